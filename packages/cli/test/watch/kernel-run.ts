/** What tests of `countersign run` with kernel control share. */
import { readFileSync } from 'node:fs';
import { hostCapabilities } from '@countersign/monitor';
import { expect } from 'vitest';
import { json, run } from '../harness.ts';
import type { Started } from './agent-process.ts';

const native = hostCapabilities().capabilities.find(({ name }) => name === 'native');
export const canHold: boolean = process.platform === 'linux' && native?.available === true;
if (!canHold) console.warn(`SKIPPED: kernel control: ${native?.why ?? 'only on Linux'}; without it nothing here is shown`);

export const KERNEL = ['run', '--kernel', 'required'] as const;
export const JANE = ['--key', 'jane.key', '--as', 'jane'] as const;
/** Whole processes, on whatever machine: each starts Node several times. */
export const SLOW = { timeout: 300_000 } as const;

export async function entriesOf(cwd: string, kind: string): Promise<readonly Record<string, unknown>[]> {
  const { stdout } = await run(['filter', '--kind', kind], { cwd });
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as { readonly entry: Record<string, unknown> }).entry);
}

export async function isValid(cwd: string): Promise<void> {
  const report = json(await run(['verify', '--public-key', '.countersign/ledger.key.pub', '--json'], { cwd }));
  expect(report).toMatchObject({ status: 'valid', problems: [], open_decisions: 0 });
}

/** The id of the n-th halt that is asked about, from 1. */
export async function halted(agent: Started, nth = 1): Promise<string> {
  const [, id = ''] = await agent.until(new RegExp(`(?:countersign resume ([0-9a-f]{8}) {2}[^]*?--kill[^]*?){${nth}}`));
  return id;
}

export async function answer(cwd: string, id: string, ...how: readonly string[]): Promise<void> {
  expect(await run(['resume', id, ...how, ...JANE], { cwd })).toMatchObject({ code: 0 });
}

export function isAlive(pid: number): boolean {
  return /^[^ZX]$/.test(stateOf(pid));
}

/** A letter; `X`: there is no such process. */
export function stateOf(pid: number): string {
  return /^State:\s+(\w)/m.exec(read(`/proc/${pid}/status`))?.[1] ?? 'X';
}

/** The first thread of it is in a call that a supervisor has to answer. */
export function waitsForAnswer(pid: number): boolean {
  return read(`/proc/${pid}/wchan`).startsWith('seccomp_do_user_notification');
}

/** Looks until it is so: what is waited for comes. */
export async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 20));
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
