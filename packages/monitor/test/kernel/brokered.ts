/** The hostile program of `broker.c`, and the same program with nobody in between. */
import { execFile } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { onTestFinished } from 'vitest';
import { type Supervised, type SupervisedOptions, supervised } from './supervised.ts';

/** Gone after the test. */
export function folder(): string {
  const made = realpathSync(mkdtempSync(join(tmpdir(), 'countersign-brokered-')));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

/** Ends with the test. */
export async function under(options: SupervisedOptions): Promise<Supervised> {
  const started = await supervised(options);
  onTestFinished(() => started.close());
  return started;
}

/** What it prints under the broker, and how it ends; nothing is held or refused. */
export async function brokered(program: string, args: readonly string[], cwd: string, more: Partial<SupervisedOptions> = {}) {
  const run = await under({ program, args, workspace: cwd, trapReads: 'broker', mode: 'audit_only', ...more });
  const [output, end] = await Promise.all([run.output, run.ended]);
  return { output, end, told: run.told };
}

/** The same with nobody in between. */
export async function direct(program: string, args: readonly string[], cwd: string): Promise<{ output: string; end: { code: number } }> {
  const env = { PATH: '/usr/local/bin:/usr/bin:/bin', HOME: join(cwd, 'home') };
  try {
    const { stdout } = await promisify(execFile)(program, args, { cwd, env, maxBuffer: 64 * 1024 * 1024 });
    return { output: stdout, end: { code: 0 } };
  } catch (error) {
    const { stdout = '', code = -1 } = error as { stdout?: string; code?: number };
    return { output: stdout, end: { code } };
  }
}
