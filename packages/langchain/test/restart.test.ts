/** Each step of a story is a process of its own; only the two files on disk connect them. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Job, JobResult } from './agent-process.ts';

const program = fileURLToPath(new URL('./agent-process.ts', import.meta.url));
let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'countersign-langchain-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

async function run(job: Omit<Job, 'directory' | 'thread'> & { readonly thread?: string }): Promise<JobResult> {
  const argument = JSON.stringify({ thread: 'thread-1', ...job, directory });
  const child = spawn(process.execPath, ['--conditions=@countersign/source', program, argument], {
    env: { ...process.env, COUNTERSIGN_STATE_DIR: join(directory, 'state') },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  const exited = once(child, 'exit');
  let last: string | undefined;
  for await (const line of createInterface(child.stdout)) {
    last = line;
    if (job.step === 'hang') child.kill('SIGKILL');
  }
  await exited;
  if (last === undefined) throw new Error(`step ${job.step} ended without a result: ${errors}`);
  return JSON.parse(last) as JobResult;
}

function paid(): string[] {
  const file = join(directory, 'paid');
  return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
}

describe.each(['ask', 'hang'] as const)('an approval asked for by a process that is gone (%s)', (asking) => {
  it('runs the call once, in another process, after a third one approved it', async () => {
    const { waiting } = await run({ step: asking });
    expect(waiting).toHaveLength(1);
    expect(paid()).toEqual([]);
    await run({ step: 'approve', approval: waiting[0] ?? '' });
    expect(paid()).toEqual([]);
    expect(await run({ step: 'resume', resume: true })).toEqual({ waiting: [], messages: ['paid'] });
    expect(paid()).toEqual(['500']);
    expect(await run({ step: 'resume', resume: true })).toEqual({ waiting: [], messages: ['paid'] });
    expect(paid()).toEqual(['500']);
  });

  it('runs the call once even when the checkpoints are rolled back and resumed again', async () => {
    const { waiting } = await run({ step: asking });
    await run({ step: 'approve', approval: waiting[0] ?? '' });
    const checkpoints = readdirSync(directory).filter((name) => name.startsWith('checkpoints.db'));
    for (const name of checkpoints) cpSync(join(directory, name), join(directory, `old-${name}`));
    await run({ step: 'resume', resume: true });
    for (const name of readdirSync(directory)) if (name.startsWith('checkpoints.db')) rmSync(join(directory, name));
    for (const name of checkpoints) cpSync(join(directory, `old-${name}`), join(directory, name));
    const replayed = await run({ step: 'resume', resume: true });
    expect(replayed.messages).toEqual([expect.stringContaining('CALL_ALREADY_RUN')]);
    expect(paid()).toEqual(['500']);
  });

  it('runs nothing without the answer in the store, and keeps waiting', async () => {
    const { waiting } = await run({ step: asking });
    for (const resume of [{ approved: true }, { decision: 'approve', approvalId: waiting[0] }]) {
      expect((await run({ step: 'resume', resume })).waiting).toEqual(waiting);
      expect(paid()).toEqual([]);
    }
  });

  it('runs nothing for another thread with the same call', async () => {
    const { waiting } = await run({ step: asking });
    await run({ step: 'approve', approval: waiting[0] ?? '' });
    const other = await run({ step: 'ask', thread: 'thread-2' });
    expect(other.waiting).not.toEqual(waiting);
    expect((await run({ step: 'resume', thread: 'thread-2', resume: true })).waiting).toEqual(other.waiting);
    expect(paid()).toEqual([]);
  });
});
