import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { createGuard, loadConfig, monitorHost, rulePolicy } from '@countersign/core';
import { storeFromConfig } from '@countersign/core/sqlite';
import { describe, expect, it } from 'vitest';
import { calls, json, project, run } from '../harness.ts';

const JANE = ['--key', 'jane.key', '--as', 'jane'] as const;

/** A project in which this session, or every session, was halted. */
async function halted(session: string | undefined): Promise<string> {
  const cwd = await project();
  const { stdout: vkey } = await run(['keygen', '--out', 'jane.key'], { cwd });
  appendFileSync(join(cwd, 'countersign.yaml'), `approvers:\n  jane: { key: ${JSON.stringify(vkey.trim())} }\n`);
  await calls(cwd, [{ tool: 'read_file', session: 's1' }]);
  const config = loadConfig(join(cwd, 'countersign.yaml'), { env: {} });
  const store = storeFromConfig(config, { onError: () => {} });
  await monitorHost({ store, agent: 'bot' }).halt(session, 'MONITOR_HALTED', { incident: 'e'.repeat(32) });
  await store.close();
  return cwd;
}

describe('a halted session', () => {
  it('is listed, and resumed by name', async () => {
    const cwd = await halted('s1');
    expect((await run(['resume'], { cwd })).stdout).toContain('s1  calls refused since a halt MONITOR_HALTED');
    expect(json(await run(['resume', '--json'], { cwd }))).toMatchObject({
      halts: [],
      sessions: [{ session: 's1', incident: 'e'.repeat(32) }],
    });
    expect(await run(['resume', 's1', ...JANE], { cwd })).toMatchObject({
      code: 0,
      stdout: 'resumed: calls of session s1 are decided again\n',
    });
    expect((await run(['resume'], { cwd })).stdout).toBe('nothing is halted\n');
    const report = json(await run(['verify', '--public-key', '.countersign/ledger.key.pub', '--json'], { cwd }));
    expect(report).toMatchObject({ status: 'valid', problems: [] });
  });

  it('with all others is resumed by --all, and by nothing else', async () => {
    const cwd = await halted(undefined);
    expect((await run(['resume'], { cwd })).stdout).toContain('--all  calls refused');
    const one = await run(['resume', 's1', ...JANE], { cwd });
    expect(one).toMatchObject({ code: 1, stderr: expect.stringContaining('HALT_NOT_FOUND') });
    expect(one.stderr).toContain('session s1 is not halted: every session is: `countersign resume --all`');
    expect(await run(['resume', '--all', ...JANE], { cwd })).toMatchObject({ code: 0 });
  });

  it('twice: the second time there is nothing to answer', async () => {
    const cwd = await halted('s1');
    expect((await run(['resume', 's1', ...JANE], { cwd })).code).toBe(0);
    expect(await run(['resume', 's1', ...JANE], { cwd })).toMatchObject({ code: 1, stderr: expect.stringContaining('HALT_NOT_FOUND') });
  });

  it.each([
    [['s1'], 2, 'USAGE'],
    [['s1', '--kill', ...JANE], 2, 'USAGE'],
    [['s1', '--deny', ...JANE], 2, 'USAGE'],
    [['s1', '--override', '1m', '--reason', 'r', ...JANE], 2, 'USAGE'],
    [['s2', ...JANE], 1, 'HALT_NOT_FOUND'],
    [['__proto__', ...JANE], 1, 'HALT_NOT_FOUND'],
    [['', ...JANE], 1, 'HALT_NOT_FOUND'],
    [['s1', '--key', 'jane.key', '--as', 'mallory'], 1, 'APPROVER_REFUSED'],
    [['s1', '--key', '.countersign/ledger.key', '--as', 'jane'], 1, 'APPROVER_REFUSED'],
  ])('%j changes nothing', async (words, code, said) => {
    const cwd = await halted('s1');
    expect(await run(['resume', ...words], { cwd })).toMatchObject({ code, stderr: expect.stringContaining(said) });
    expect((await run(['resume'], { cwd })).stdout).toContain('s1');
  });

  it.each(['COUNTERSIGN_GUARDED', 'COUNTERSIGN_CALL'])('is not resumed where %s is set', async (name) => {
    const cwd = await halted('s1');
    expect(await run(['resume', 's1', ...JANE], { cwd, env: { [name]: '1' } })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('APPROVER_REFUSED'),
    });
  });

  it('nothing is halted in a ledger that is new, and that is said', async () => {
    const cwd = await project();
    await calls(cwd, [{ tool: 'read_file' }]);
    expect(await run(['resume'], { cwd })).toMatchObject({ code: 0, stdout: 'nothing is halted\n' });
  });
});

describe('a call of an agent that is named like the question after a halt', () => {
  const asksAll = rulePolicy({ id: 'p', rules: [{ id: 'all', tools: ['*/*', '*'], effect: 'require_approval' }] });

  it.each([
    ['without a server', { name: 'countersign/after_halt' }],
    ['in capitals', { server: 'Countersign', name: 'after_halt' }],
  ])('%s is no halt: not listed, and not approved unread', async (_how, tool) => {
    const cwd = await halted('s1');
    const store = storeFromConfig(loadConfig(join(cwd, 'countersign.yaml'), { env: {} }), { onError: () => {} });
    const guard = createGuard({ agent: 'bot', policy: asksAll, store });
    const args = { incident: 'e'.repeat(32), rule: 'r', do: 'resume', why: 'nothing', answers: { resume: 'a', deny: 'b', kill: 'c' } };
    const pending = await guard.authorize({ tool, args, id: 'c1', turn: '1' }, { approval: 'suspend' });
    if (pending.kind !== 'pending') throw new Error('nobody was asked');
    await store.close();
    expect(json(await run(['resume', '--json'], { cwd }))).toMatchObject({ halts: [], sessions: [{ session: 's1' }] });
    for (const id of [pending.approvalId, 'e'.repeat(8)]) expect((await run(['resume', id, ...JANE], { cwd })).code).not.toBe(0);
    expect(json(await run(['approvals', 'show', pending.approvalId, '--json'], { cwd }))).toMatchObject({ approval: { state: 'pending' } });
  });
});
