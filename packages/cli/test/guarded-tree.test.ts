import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { CountersignError } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { ancestors, parentFromPs, refuseInsideGuard } from '../src/guarded-tree.ts';
import { calls, json, project, run } from './harness.ts';

const GUARD = new URL('./fixtures/guard-that-spawns.ts', import.meta.url).pathname;

describe('ancestors', () => {
  it('begin with the parent', () => {
    expect(ancestors(process.pid)[0]).toBe(process.ppid);
  });

  it('are empty for a process that is not there', () => {
    expect(ancestors(2 ** 30)).toEqual([]);
  });
});

// Some containers have no ps; macOS, where it is needed, does.
describe.runIf(existsSync('/bin/ps'))('parentFromPs', () => {
  it('knows the parent, whatever PATH leads to', () => {
    expect(parentFromPs(process.pid)).toBe(process.ppid);
  });

  it.each([2 ** 30, -1, Number.NaN])('knows none of %d', (pid) => {
    expect(parentFromPs(pid)).toBe(undefined);
  });
});

describe('refuseInsideGuard', () => {
  it('lets a process pass whose ancestors guard nothing', () => {
    expect(() => refuseInsideGuard({}, [process.pid])).not.toThrow();
    expect(() => refuseInsideGuard({ COUNTERSIGN_CALL: '', COUNTERSIGN_GUARDED: '' }, [])).not.toThrow();
  });

  it('refuses below a guard', () => {
    expect(() => refuseInsideGuard({}, [process.ppid])).toThrow(CountersignError);
  });
});

/** Ends with what the command printed when it ran as child, or grandchild, of a process that guards the ledger. */
async function fromInside(cwd: string, id: string, depth: string): Promise<{ readonly code: number | null; readonly stdout: string }> {
  const env = { ...process.env, COUNTERSIGN_GUARDED: '', COUNTERSIGN_CALL: '' };
  const child = spawn(process.execPath, ['--conditions=@countersign/source', GUARD, cwd, id, depth], {
    cwd,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  const [code]: (number | null)[] = await once(child, 'close');
  return { code: code ?? null, stdout };
}

describe('the command, started by a process that guards the ledger', () => {
  it.runIf(process.platform === 'linux').each(['child', 'grandchild'])('is refused as its %s, even with the right key', async (depth) => {
    const cwd = await project();
    const { stdout: vkey } = await run(['keygen', '--out', 'finance.key'], { cwd });
    appendFileSync(join(cwd, 'countersign.yaml'), `approvers:\n  finance: { key: ${JSON.stringify(vkey.trim())} }\n`);
    const [id = ''] = await calls(cwd, [{}]);
    const { code, stdout } = await fromInside(cwd, id, depth);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      error: { code: 'APPROVER_REFUSED', message: expect.stringContaining('is a guard of this ledger') },
    });
    expect(json(await run(['approvals', 'show', id, '--json'], { cwd }))).toMatchObject({ approval: { state: 'pending' } });
    // The same words from outside are taken, so it was the tree that was refused.
    expect((await run(['approvals', 'approve', id, '--key', 'finance.key', '--as', 'finance'], { cwd })).code).toBe(0);
  });
});
