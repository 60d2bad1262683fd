import { appendFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfig } from '@countersign/core';
import { guardFromConfig, storeFromConfig } from '@countersign/core/sqlite';
import { describe, expect, it, onTestFinished } from 'vitest';
import { calls, json, project, run } from '../harness.ts';

const JANE = ['--key', 'jane.key', '--as', 'jane'] as const;
const HALTED = { code: 'CALL_REFUSED', refusal: { decision: { reasonCode: 'SESSION_HALTED' } } };

async function withJane(change?: (text: string) => string): Promise<string> {
  const cwd = await project('', change);
  const { stdout: vkey } = await run(['keygen', '--out', 'jane.key'], { cwd });
  appendFileSync(join(cwd, 'countersign.yaml'), `approvers:\n  jane: { key: ${JSON.stringify(vkey.trim())} }\n`);
  return cwd;
}

/** An agent that is at work while the command runs. */
function working(cwd: string): (session?: string) => Promise<unknown> {
  const config = loadConfig(join(cwd, 'countersign.yaml'), { env: {} });
  const store = storeFromConfig(config, { onError: () => {} });
  const guard = guardFromConfig(config, store);
  onTestFinished(async () => {
    await guard.close();
    await store.close();
  });
  return (session = 's1') => guard.run({ tool: { server: 'files', name: 'read_file' }, args: {}, session }, () => 'read');
}

describe('countersign halt', () => {
  it('refuses every call of an agent at work, until a person resumes', async () => {
    const cwd = await withJane();
    const read = working(cwd);
    expect(await read()).toBe('read');
    expect(await run(['halt'], { cwd })).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(
        /^halted: calls of every session are refused, ledger .*\nwhat .* freezes .*\nto let calls .*: countersign resume --all\n$/,
      ),
    });
    await expect(read()).rejects.toMatchObject(HALTED);
    await expect(read('a session to come')).rejects.toMatchObject(HALTED);
    expect((await run(['resume'], { cwd })).stdout).toContain('--all  calls refused since a halt OPERATOR_HALT');
    expect(await run(['resume', '--all', ...JANE], { cwd })).toMatchObject({ code: 0 });
    expect(await read()).toBe('read');
    const report = json(await run(['verify', '--public-key', '.countersign/ledger.key.pub', '--json'], { cwd }));
    expect(report).toMatchObject({ status: 'valid', problems: [] });
  });

  it('of one session leaves the others', async () => {
    const cwd = await withJane();
    const read = working(cwd);
    await read('s1');
    const ran = await run(['halt', 's1', '--json'], { cwd });
    expect(json(ran)).toMatchObject({ session: 's1', halted: true, known: true });
    await expect(read('s1')).rejects.toMatchObject(HALTED);
    expect(await read('s2')).toBe('read');
    expect(await run(['resume', 's1', ...JANE], { cwd })).toMatchObject({ code: 0 });
    expect(await read('s1')).toBe('read');
  });

  it('holds in audit mode too, where nothing else is refused', async () => {
    const cwd = await withJane((text) => text.replace('mode: enforce', 'mode: audit'));
    const read = working(cwd);
    await read();
    expect(await run(['halt'], { cwd })).toMatchObject({ code: 0 });
    await expect(read()).rejects.toMatchObject(HALTED);
  });

  it('takes the use from an approval that was given', async () => {
    const cwd = await withJane();
    const [id = ''] = await calls(cwd, [{}]);
    expect(await run(['approvals', 'approve', id, ...JANE], { cwd })).toMatchObject({ code: 0 });
    expect(await run(['halt', 's1'], { cwd })).toMatchObject({ code: 0 });
    await calls(cwd, [{}]);
    const shown = json(await run(['approvals', 'show', id, '--json'], { cwd }));
    expect(shown).toMatchObject({ approval: { state: 'approved' } });
  });

  it('is not refused where an answer would be: it only takes away', async () => {
    const cwd = await withJane();
    await calls(cwd, [{ tool: 'read_file' }]);
    const env = { COUNTERSIGN_GUARDED: '1', COUNTERSIGN_CALL: 'a'.repeat(32) };
    expect(await run(['resume', '--all', ...JANE], { cwd, env })).not.toMatchObject({ code: 0 });
    expect(await run(['halt'], { cwd, env })).toMatchObject({ code: 0 });
    expect(await run(['resume', '--all', ...JANE], { cwd, env })).not.toMatchObject({ code: 0 });
  });

  it('says so when no call of that session is known, and halts it all the same', async () => {
    const cwd = await withJane();
    const read = working(cwd);
    await read('order-7');
    const ran = await run(['halt', 'ordr-7'], { cwd });
    expect(ran).toMatchObject({ code: 0, stderr: expect.stringContaining('is it the name?') });
    expect(await read('order-7')).toBe('read');
    await expect(read('ordr-7')).rejects.toMatchObject(HALTED);
  });

  it.each(['', '\ud800', 'x'.repeat(100_000), 'sk-ant-api03-'.padEnd(60, 'aB3')])(
    'refuses %j, which no session has, and halts nothing',
    async (name) => {
      const cwd = await withJane();
      const read = working(cwd);
      await read();
      const ran = await run(['halt', name], { cwd });
      expect(ran.code).toBe(1);
      expect(ran.stderr).toContain('OPTIONS_INVALID');
      expect(await read()).toBe('read');
    },
  );

  it('makes no ledger where there is none', async () => {
    const cwd = await withJane();
    const ran = await run(['halt'], { cwd });
    expect(ran.code).not.toBe(0);
    expect(ran.stderr).toContain('LEDGER_NOT_FOUND');
    expect(existsSync(join(cwd, '.countersign/ledger.db'))).toBe(false);
  });
});
