import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openRecords } from '@countersign/core/sqlite';
import { describe, expect, it } from 'vitest';
import { calls, json, project, run } from '../harness.ts';

const PLANTED = '/srv/PLANTED';
const KEY = '.countersign/ledger.key.pub';

function callIds(cwd: string): readonly string[] {
  const reader = openRecords(join(cwd, '.countersign/ledger.db'));
  const entries = [...reader.records()].map(({ text }) => JSON.parse(text) as Record<string, string>);
  reader.close();
  return [...new Set(entries.flatMap(({ kind, call }) => (kind === 'decision' && call !== undefined ? [call] : [])))];
}

function isAnywhere(cwd: string): boolean {
  const folder = join(cwd, '.countersign');
  return readdirSync(folder).some((name) => readFileSync(join(folder, name)).includes(PLANTED));
}

describe('forget', () => {
  it('erases, records, says what it cannot reach, and verify says what was forgotten', async () => {
    const cwd = await project();
    await calls(cwd, [{ tool: 'read_file', args: { path: PLANTED } }]);
    expect(isAnywhere(cwd)).toBe(true);
    const [call = ''] = callIds(cwd);
    const ran = await run(['forget', '--call', call, '--reason-code', 'ERASURE_REQUEST'], { cwd });
    expect(ran.code).toBe(0);
    expect(ran.stdout).toContain('forgotten: the clear text of 2 entries');
    expect(ran.stdout).toContain('not reached: exports, receipts and backups');
    expect(isAnywhere(cwd)).toBe(false);
    const verified = await run(['verify', '--public-key', KEY], { cwd });
    expect(verified.code).toBe(0);
    expect(verified.stdout).toContain('forgotten  clear text of 2 entries was erased on purpose');
    const again = await run(['forget', '--call', call], { cwd });
    expect(again.code).toBe(1);
    expect(again.stderr).toContain('[ALREADY_FORGOTTEN]');
  });

  it('has this JSON shape', async () => {
    const cwd = await project();
    await calls(cwd, [{ tool: 'read_file', args: { path: PLANTED } }]);
    const result = json(await run(['forget', '--session', 's1', '--json'], { cwd }));
    expect(Object.keys(result).toSorted()).toEqual([
      'audit_lines',
      'calls',
      'complete',
      'entries',
      'file',
      'log',
      'out_of_reach',
      'recorded',
    ]);
    expect(result).toMatchObject({ complete: true, file: 'rewritten', log: 'emptied', calls: callIds(cwd) });
  });

  it('is refused for a call that waits for a person', async () => {
    const cwd = await project();
    await calls(cwd, [{ tool: 'write_file', args: { path: PLANTED } }]);
    const [call = ''] = callIds(cwd);
    const ran = await run(['forget', '--call', call], { cwd });
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain('[FORGET_REFUSED]');
    expect(isAnywhere(cwd)).toBe(true);
  });

  it.each(['COUNTERSIGN_GUARDED', 'COUNTERSIGN_CALL'])(
    'is refused inside a guarded process tree (%s): an agent must not erase evidence',
    async (name) => {
      const cwd = await project();
      await calls(cwd, [{ tool: 'read_file', args: { path: PLANTED } }]);
      const ran = await run(['forget', '--session', 's1'], { cwd, env: { [name]: '1' } });
      expect(ran.code).toBe(1);
      expect(ran.stderr).toContain('[FORGET_REFUSED]');
      expect(isAnywhere(cwd)).toBe(true);
    },
  );

  it.each([
    [[], 'needs --call'],
    [['--call', 'x'], '--call must be'],
    [['--entry', '0'], '--entry must be'],
    [['--session', 's1', '--reason-code', 'no spaces'], '--reason-code must be'],
    [['--session', 's1', 'other.db'], 'unexpected'],
  ])('%j is a usage error', async (more, message) => {
    const cwd = await project();
    const ran = await run(['forget', ...more], { cwd });
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain(message);
  });
});
