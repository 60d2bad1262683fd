/** `session.calls()` where several processes make calls of one session at once, whichever thread writes. */
import { fork } from 'node:child_process';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { createGuard, rulePolicy } from '../../src/index.ts';
import { replayDecisions, verifyLedger } from '../../src/sqlite/index.ts';
import { LEDGER_PEM, LEDGER_VKEY, openLedger, tempDirectory } from '../fixtures/ledger.ts';
import { entriesOf } from '../verify/forge.ts';

const RACER = new URL('../fixtures/session-racer.ts', import.meta.url);
const PROCESSES = 4;
const CALLS = 12;
/** Fewer than are made, so that the last are raced for. */
const LIMIT = 20;

const children: ReturnType<typeof fork>[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

function next<T>(child: ReturnType<typeof fork>): Promise<T> {
  return new Promise((done, fail) => {
    child.once('message', (value) => done(value as T));
    child.once('exit', (code) => fail(new Error(`a racer died early with ${code}`)));
  });
}

it.each(['inline', 'worker'])(
  `${PROCESSES} processes, writer %s: no more calls of the session than the rule allows, and replay says the same`,
  async (writer) => {
    const path = join(tempDirectory(), 'ledger.db');
    await openLedger(path).close();
    const pem = Buffer.from(LEDGER_PEM).toString('base64');
    const racers = Array.from({ length: PROCESSES }, (_, i) =>
      fork(RACER, [path, pem, `racer-${i}`, String(CALLS), String(LIMIT)], {
        env: { ...process.env, ...(writer === 'worker' && { COUNTERSIGN_TEST_WRITER: 'worker' }) },
        execArgv: ['--conditions=@countersign/source', '--no-warnings'],
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      }),
    );
    children.push(...racers);
    await Promise.all(racers.map((racer) => next<void>(racer)));
    const counts = await Promise.all(
      racers.map((racer) => {
        const count = next<number>(racer);
        racer.send('go');
        return count;
      }),
    );
    const allowed = counts.reduce((sum, count) => sum + count, 0);
    expect(allowed).toBeLessThanOrEqual(LIMIT);

    // A busy machine may have refused some for want of the lock: those can be had now, and no more.
    const policy = rulePolicy({
      id: 'counts',
      default: 'allow',
      rules: [{ id: 'enough', tools: ['*'], when: `session.calls('*') >= ${LIMIT}`, effect: 'deny' }],
    });
    const store = openLedger(path);
    const guard = createGuard({ agent: 'tester', session: 'shared', policy, store });
    let more = 0;
    while ((await guard.authorize({ tool: { name: 'pay' }, args: { more } })).kind === 'permit') more++;
    await guard.close();
    await store.close();
    expect(allowed + more).toBe(LIMIT);
    expect(entriesOf(path).filter(({ kind, effect }) => kind === 'decision' && effect === 'allow')).toHaveLength(LIMIT);
    expect(await verifyLedger(path, { publicKeys: [LEDGER_VKEY] })).toMatchObject({ integrity: 'intact', problems: [] });

    const report = await replayDecisions(path, { policy });
    expect(report).toMatchObject({ changes: [], otherRule: 0, notReplayable: new Map() });
    expect(report.compared).toBeGreaterThan(LIMIT);
  },
  60_000,
);
