/** Each request is served by a process of its own; only the ledger and the client's history connect them. */
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Job } from './chat-process.ts';

const program = fileURLToPath(new URL('./chat-process.ts', import.meta.url));
let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'countersign-vercel-ai-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

async function run(step: Job['step']): Promise<readonly string[]> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--conditions=@countersign/source', program, JSON.stringify({ directory, step })],
    { env: { ...process.env, COUNTERSIGN_STATE_DIR: join(directory, 'state') } },
  );
  return JSON.parse(stdout) as readonly string[];
}

function paid(): string[] {
  const file = join(directory, 'paid');
  return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
}

it('runs an approved call once, across processes, however often the history is sent', async () => {
  expect(await run('ask')).toEqual([]);
  expect(await run('resume')).toEqual([expect.stringContaining('waits for approval')]);
  expect(paid()).toEqual([]);
  await run('approve');
  expect(paid()).toEqual([]);
  expect(await run('resume')).toEqual(['text: paid']);
  expect(await run('resume')).toEqual([expect.stringContaining('CALL_ALREADY_RUN')]);
  expect(paid()).toEqual(['500']);
});
