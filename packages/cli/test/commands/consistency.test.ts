import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { calls, json, project, run } from '../harness.ts';

const KEY = '.countersign/ledger.key.pub';

async function grown(): Promise<string> {
  const cwd = await project();
  await calls(cwd, [{ tool: 'read_file' }]);
  writeFileSync(join(cwd, 'old.note'), (await run(['head'], { cwd })).stdout);
  await calls(cwd, [{ tool: 'read_file' }, { tool: 'delete_file' }]);
  return cwd;
}

describe('consistency', () => {
  it('proves that a ledger only grew, and is checked without it', async () => {
    const cwd = await grown();
    const made = await run(['consistency', 'make', '--from', 'old.note', '--output', 'p.json'], { cwd });
    expect(made.stdout).toContain('proof that countersign.local/bot grew from');
    const ran = await run(['consistency', 'check', 'p.json', '--from', 'old.note', '--public-key', KEY], { cwd });
    expect(ran.code).toBe(0);
    expect(ran.stdout).toContain('VALID');
    const report = json(await run(['consistency', 'check', 'p.json', '--json'], { cwd }));
    expect(report).toMatchObject({ status: 'unproven', authorship: 'unchecked', problems: [] });
    expect((await run(['consistency', 'check', 'p.json'], { cwd })).code).toBe(3);
    const piped = await run(['consistency', 'make', '--from', 'old.note'], { cwd });
    expect(piped.stdout).toBe(readFileSync(join(cwd, 'p.json'), 'utf8'));
  });

  it('says no, with a code', async () => {
    const cwd = await grown();
    const other = await grown();
    const forked = await run(['consistency', 'make', join(other, '.countersign/ledger.db'), '--from', 'old.note'], { cwd });
    expect(forked.code).toBe(1);
    expect(forked.stderr).toContain('[PROOF_INVALID]');
    await run(['consistency', 'make', '--from', 'old.note', '--output', 'p.json'], { cwd });
    const wrong = await run(['consistency', 'check', join(cwd, 'p.json'), '--from', 'old.note', '--public-key', KEY], { cwd: other });
    expect(wrong.code).toBe(1);
    expect(wrong.stdout).toContain('[CHECKPOINT_DIFFERS]');
    expect((await run(['consistency', 'make'], { cwd })).code).toBe(2);
    expect((await run(['consistency', 'check', 'p.json', '--from', 'p.json'], { cwd })).code).toBe(2);
  });
});
