import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { definePolicy } from '../../src/index.ts';
import { verifyLedger } from '../../src/sqlite/index.ts';
import { guardOn, LEDGER_PEM, LEDGER_VKEY, openLedger, tempDirectory } from '../fixtures/ledger.ts';

const PROCESS = new URL('../fixtures/edited-call-process.ts', import.meta.url);
const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

/** A ledger in which a call for 700 was asked about and edited to 70; nobody came back yet. */
async function editedLedger(): Promise<{ path: string; effects: string }> {
  const path = join(tempDirectory(), 'ledger.db');
  const store = openLedger(path);
  const policy = definePolicy({
    id: 'pay',
    evaluate: ({ args }) => ((args as { amount: number }).amount > 100 ? { effect: 'require_approval' } : { effect: 'allow' }),
  });
  const guard = guardOn(store, { policy, approvals: { ttlMs: 3_600_000 } });
  const pending = await guard.authorize({ tool: { name: 'pay' }, args: { amount: 700 }, id: 'f1', turn: 't' }, { approval: 'suspend' });
  if (pending.kind !== 'pending') throw new Error('the call did not ask');
  await guard.approvals.resolve(pending.approvalId, { decision: 'edit', args: { amount: 70 } }, { id: 'alice', method: 'host' });
  await store.close();
  return { path, effects: join(tempDirectory(), 'effects') };
}

async function start(path: string, effects: string, ...more: readonly string[]): Promise<ChildProcess> {
  const child = fork(PROCESS, [path, effects, Buffer.from(LEDGER_PEM).toString('base64'), ...more], {
    execArgv: ['--conditions=@countersign/source', '--no-warnings'],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  children.push(child);
  const [message] = (await once(child, 'message')) as [string];
  expect(message).toBe('ready');
  return child;
}

async function comeBack(child: ChildProcess): Promise<string> {
  const answered = Promise.race([once(child, 'message'), once(child, 'exit')]);
  child.send('go');
  const [said] = (await answered) as [string | null];
  return said ?? 'killed';
}

const effectsOf = (effects: string): readonly string[] => (existsSync(effects) ? readFileSync(effects, 'utf8').trim().split('\n') : []);

describe('an edited call of several processes', () => {
  it('runs once, with the edited arguments, when four come back at the same time', async () => {
    const { path, effects } = await editedLedger();
    const processes = await Promise.all([1, 2, 3, 4].map(() => start(path, effects)));
    const said = await Promise.all(processes.map(comeBack));
    expect(effectsOf(effects)).toEqual(['{"amount":70}']);
    expect(said.filter((word) => word === 'ran')).toHaveLength(1);
    for (const word of said) expect(['ran', 'CALL_IN_PROGRESS', 'CALL_ALREADY_RUN']).toContain(word);
    expect(await verifyLedger(path, { publicKeys: [LEDGER_VKEY] })).toMatchObject({ status: 'valid', problems: [] });
  }, 60_000);

  it('does not run again after a kill -9 in the middle of it', async () => {
    const { path, effects } = await editedLedger();
    expect(await comeBack(await start(path, effects, 'die'))).toBe('killed');
    for (let again = 0; again < 2; again++) expect(await comeBack(await start(path, effects))).toBe('CALL_OUTCOME_UNKNOWN');
    expect(effectsOf(effects)).toEqual(['{"amount":70}']);
    expect(await verifyLedger(path, { publicKeys: [LEDGER_VKEY] })).toMatchObject({ status: 'valid', problems: [] });
  }, 60_000);
});
