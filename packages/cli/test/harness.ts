/** Runs commands in process, on streams and folders of the test's own. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, type Readable, Writable } from 'node:stream';
import { loadConfig } from '@countersign/core';
import { guardFromConfig, storeFromConfig } from '@countersign/core/sqlite';
import { onTestFinished } from 'vitest';
import { main } from '../src/dispatch.ts';
import { ruledConfig } from './ruled-config.ts';

export class Sink extends Writable {
  text = '';
  /** Called with everything written so far. */
  onText: (text: string) => void = () => {};

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    this.onText(this.text);
    done();
  }
}

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** All three streams are terminals. */
  readonly tty?: boolean;
  readonly columns?: number;
  readonly stdin?: Readable;
  readonly stdout?: Writable;
  /** Read it while the command runs; what it got is the result too. */
  readonly stderr?: Sink;
}

export async function run(argv: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const { cwd = tmpdir(), env = {}, tty = false, columns = 80, stdin = new PassThrough() } = options;
  const [stdout, stderr] = [new Sink(), options.stderr ?? new Sink()];
  const isTTY = { stdin: tty, stdout: tty, stderr: tty };
  // Last known heads go where the test run keeps them, whatever the test's environment.
  const state = { COUNTERSIGN_STATE_DIR: process.env['COUNTERSIGN_STATE_DIR'] };
  const code = await main(argv, { stdin, stdout: options.stdout ?? stdout, stderr, env: { ...state, ...env }, cwd, isTTY, columns });
  return { code, stdout: stdout.text, stderr: stderr.text };
}

/** The one JSON document on standard output. */
export function json(ran: Ran): Record<string, unknown> {
  const value: unknown = JSON.parse(ran.stdout);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('no JSON object');
  return { ...value };
}

export function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'countersign-cli-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** A folder in which `countersign init` ran, with `enforce` and whatever `extra` adds to the configuration. */
export async function project(extra = '', change: (text: string) => string = (text) => text): Promise<string> {
  const cwd = folder();
  await run(['init', '--agent', 'bot'], { cwd });
  const text = ruledConfig('bot').replace('mode: audit', 'mode: enforce').replace('writes-ask', 'ask');
  writeFileSync(join(cwd, 'countersign.yaml'), change(`${text}${extra}`));
  return cwd;
}

export interface CallGiven {
  readonly tool?: string;
  readonly server?: string;
  readonly args?: unknown;
  readonly session?: string;
}

/** Puts calls through a guard of this project; returns the ids of approvals that now wait. */
export async function calls(
  cwd: string,
  given: readonly CallGiven[],
  options: Parameters<typeof storeFromConfig>[1] = {},
): Promise<readonly string[]> {
  const config = loadConfig(join(cwd, 'countersign.yaml'), { env: {} });
  const store = storeFromConfig(config, { onError: () => {}, ...options });
  const guard = guardFromConfig(config, store);
  const waiting: string[] = [];
  for (const { tool = 'write_file', server = 'files', args = { path: '/srv/a.txt' }, session = 's1' } of given) {
    const answer = await guard.authorize({ tool: { server, name: tool }, args, session }, { approval: 'suspend' });
    if (answer.kind === 'pending') waiting.push(answer.approvalId);
    if (answer.kind === 'permit') await answer.settle({ status: 'success', result: 'ok' }, { durable: true });
  }
  await store.close();
  return waiting;
}
