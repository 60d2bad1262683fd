/** Attacks on halts: whoever is halted wants to go on. */
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  allowAll,
  CallRefusedError,
  createGuard,
  definePolicy,
  type Guard,
  type GuardOptions,
  generateKey,
  type Halt,
  type MonitorHost,
  monitorHost,
  type Store,
  signerFromPem,
} from '../../src/index.ts';
import { openStore, type SqliteStore, verifyLedger } from '../../src/sqlite/index.ts';
import { fixedClock, memoryStore } from '../../src/testing/index.ts';
import { guardOn, LEDGER_PEM, LEDGER_VKEY, ORIGIN, openLedger, tempDirectory } from '../fixtures/ledger.ts';
import { entriesOf } from '../verify/forge.ts';

const finance = generateKey('finance');
const signer = signerFromPem(finance.privatePem, 'finance');
const ALICE = { id: 'alice', method: 'host' } as const;
const read = { tool: { name: 'read' }, args: {} };

const opened: SqliteStore[] = [];
afterEach(async () => {
  // Some are closed by their test, or broken on purpose.
  for (const store of opened.splice(0)) await store.close().catch(() => undefined);
});

function ledger(path: string = join(tempDirectory(), 'ledger.db'), writer: 'inline' | 'worker' = 'inline'): SqliteStore {
  const store = openLedger(path, { writer, clock: fixedClock() });
  opened.push(store);
  return store;
}
const hostOf = (store: Store): MonitorHost => monitorHost({ store, agent: 'tester', session: 'monitor' });
const guarded = (store: Store, options: Partial<GuardOptions> = {}): Guard =>
  createGuard({
    agent: 'tester',
    policy: allowAll(),
    store,
    session: 's1',
    approvals: { approvers: new Map([['finance', finance.vkey]]) },
    ...options,
  });
const codeOf = async (guard: Guard, session?: string): Promise<string> => {
  const decided = await guard.authorize({ ...read, ...(session !== undefined && { session }) });
  return decided.kind === 'permit' ? 'allowed' : decided.decision.reasonCode;
};

const stores: readonly (readonly [string, (path: string) => Store])[] = [
  ['memory', () => memoryStore()],
  ['sqlite, inline', (path) => ledger(path)],
  ['sqlite, worker', (path) => ledger(path, 'worker')],
];

describe.each(stores)('calls that race with a halt, %s', (name, open) => {
  it.each([['of their session', 's1'] as const, ['of every session', undefined] as const])(
    '%s: none is allowed after it',
    async (_of, halted) => {
      const path = join(tempDirectory(), 'ledger.db');
      const store = open(path);
      const guard = guarded(store);
      const host = hostOf(store);
      const calls = Array.from({ length: 64 }, (_, i) => guard.authorize({ ...read, args: { i } }));
      const halting = (async () => {
        await calls[20];
        await host.halt(halted, 'MONITOR_HALTED');
      })();
      const more = Array.from({ length: 64 }, async (_, i) => {
        for (let turn = 0; turn < i % 8; turn++) await new Promise(setImmediate);
        return guard.authorize({ ...read, args: { more: i } });
      });
      const decided = await Promise.all([...calls, ...more]);
      await halting;
      expect(await codeOf(guard)).toBe('SESSION_HALTED');
      const entries = 'entries' in store ? (store as ReturnType<typeof memoryStore>).entries() : (await settled(store), entriesOf(path));
      const at = entries.findIndex((entry) => 'event' in entry && entry.event === 'halted');
      expect(at).toBeGreaterThan(0);
      const allowed = entries.flatMap((entry, place) => ('effect' in entry && entry.effect === 'allow' ? [place] : []));
      expect(allowed.filter((place) => place > at)).toEqual([]);
      expect(decided.filter(({ kind }) => kind === 'permit')).toHaveLength(allowed.length);
    },
  );

  it('a call that was approved before the halt does not run after it, and neither does one that waits', async () => {
    const store = open(join(tempDirectory(), 'ledger.db'));
    const guard = guardOn(store);
    const suspended = { tool: { name: 'ask' }, args: {}, id: 'c1', turn: '1' };
    const pending = await guard.authorize(suspended, { approval: 'suspend' });
    if (pending.kind !== 'pending') throw new Error('nobody was asked');
    await guard.approvals.resolve(pending.approvalId, { decision: 'approve' }, ALICE);
    const waiting = guard.authorize({ tool: { name: 'ask' }, args: { other: 1 } });
    const asked = await vi.waitFor(async () => {
      const [row] = await guard.approvals.list({ state: 'pending' });
      if (row === undefined) throw new Error('not yet');
      return row;
    }, 20_000);
    await hostOf(store).halt(undefined, 'MONITOR_HALTED');
    await guard.approvals.resolve(asked.id, { decision: 'approve' }, ALICE);
    expect((await waiting).decision.reasonCode).toBe('SESSION_HALTED');
    expect((await guard.authorize(suspended, { approval: 'suspend' })).decision.reasonCode).toBe('SESSION_HALTED');
  });

  it('that a monitor halts once more does not hide whose word it was first, until that ends', async () => {
    const path = join(tempDirectory(), 'ledger.db');
    const store = open(path);
    const [person, monitor] = [monitorHost({ store, agent: 'tester', session: 'person' }), hostOf(store)];
    await monitor.halt(undefined, 'MONITOR_HALTED');
    expect((await store.halts())[0]).not.toHaveProperty('operator');
    await person.halt(undefined, 'OPERATOR_HALT');
    const [{ entry: word }] = (await store.halts()) as [Halt];
    await monitor.halt(undefined, 'MONITOR_HALTED');
    expect(await store.halts()).toMatchObject([{ reasonCode: 'MONITOR_HALTED', operator: word }]);
    if (name !== 'memory') expect(await ledger(path).halts()).toMatchObject([{ reasonCode: 'MONITOR_HALTED', operator: word }]);
    await guarded(store).halts.resume({}, ALICE);
    await monitor.halt(undefined, 'MONITOR_HALTED');
    expect((await store.halts())[0]).not.toHaveProperty('operator');
  });

  it('a grant, a kept result and a preview bring nothing either', async () => {
    const store = open(join(tempDirectory(), 'ledger.db'));
    const guard = guarded(store);
    const call = { ...read, id: 'c1', turn: '1' };
    expect(await guard.run(call, () => 'secret')).toBe('secret');
    await hostOf(store).halt(undefined, 'MONITOR_HALTED');
    await expect(guard.run(call, () => 'again')).rejects.toThrow(CallRefusedError);
    expect((await guard.preview(read)).decision.reasonCode).toBe('SESSION_HALTED');
    const [offer] = await guard.offers([{ name: 'read' }]);
    expect(JSON.stringify(offer)).toContain('SESSION_HALTED');
  });
});

const QUESTION = { tool: { server: 'countersign', name: 'after_halt' }, args: { do: 'resume' }, turn: '1' } as const;

/** What is to happen may be asked by others than whoever halted: a person halts from another process than the one that holds the tree. */
describe.each(stores)('the question what is to happen, while another’s halt stands, %s', (name, open) => {
  const asking = (store: Store): Guard =>
    guarded(store, {
      policy: definePolicy({
        id: 'asks',
        version: '1',
        evaluate: ({ args }) =>
          (args as { readonly do?: string }).do === 'deny'
            ? { effect: 'allow', rule: 'edited' }
            : { effect: 'require_approval', rule: 'after-halt' },
      }),
    });
  const ask = async (guard: Guard, id: string, call: object = QUESTION): Promise<string> => {
    const pending = await guard.authorize({ ...QUESTION, ...call, id }, { approval: 'suspend' });
    return pending.kind === 'pending' ? pending.approvalId : pending.kind === 'permit' ? 'allowed' : pending.decision.reasonCode;
  };
  const halts = [['of every session', undefined] as const, ['of its session', 's1'] as const];

  it.each(halts)('%s: an answer to what was asked since is good', async (_which, session) => {
    const path = join(tempDirectory(), 'ledger.db');
    const store = open(path);
    const guard = asking(store);
    await monitorHost({ store, agent: 'tester', session: 'person' }).halt(session, 'OPERATOR_HALT');
    const id = await ask(guard, 'c1');
    await guard.approvals.resolve(id, { decision: 'approve' }, ALICE);
    expect(await ask(guard, 'c1')).toBe('allowed');
    expect(await codeOf(guard)).toBe('SESSION_HALTED');
    await guard.close();
    if (name !== 'memory') expect((await verifyLedger(path, { publicKeys: [LEDGER_VKEY] })).problems).toEqual([]);
  });

  it.each(halts)('%s: an answer to what was asked before is not, however late it comes', async (_which, session) => {
    const store = open(join(tempDirectory(), 'ledger.db'));
    const guard = asking(store);
    const [early, late, edited] = [await ask(guard, 'c1'), await ask(guard, 'c2'), await ask(guard, 'c3')];
    await guard.approvals.resolve(early, { decision: 'approve' }, ALICE);
    await monitorHost({ store, agent: 'tester', session: 'person' }).halt(session, 'OPERATOR_HALT');
    await guard.approvals.resolve(late, { decision: 'approve' }, ALICE);
    await guard.approvals.resolve(edited, { decision: 'edit', args: { do: 'deny' } }, ALICE);
    expect([await ask(guard, 'c1'), await ask(guard, 'c2'), await ask(guard, 'c3')]).toEqual(Array(3).fill('SESSION_HALTED'));
  });

  it.each(halts)('%s: halted once more, what was answered between is good for nothing', async (_which, session) => {
    const store = open(join(tempDirectory(), 'ledger.db'));
    const guard = asking(store);
    const person = monitorHost({ store, agent: 'tester', session: 'person' });
    await person.halt(session, 'OPERATOR_HALT');
    const id = await ask(guard, 'c1');
    await guard.approvals.resolve(id, { decision: 'approve' }, ALICE);
    await person.halt(session, 'OPERATOR_HALT');
    expect(await ask(guard, 'c1')).toBe('SESSION_HALTED');
  });

  it.each(halts)('%s: an edit that was made since is good', async (_which, session) => {
    const store = open(join(tempDirectory(), 'ledger.db'));
    const guard = asking(store);
    await monitorHost({ store, agent: 'tester', session: 'person' }).halt(session, 'OPERATOR_HALT');
    await guard.approvals.resolve(await ask(guard, 'c1'), { decision: 'edit', args: { do: 'deny' } }, ALICE);
    expect(await ask(guard, 'c1')).toBe('allowed');
  });

  it.each(halts)('%s: an override given before it answers nothing, and is left for later', async (_which, session) => {
    const store = open(join(tempDirectory(), 'ledger.db'));
    const guard = asking(store);
    const grant = { ttlMs: 60_000, uses: 1, reason: 'cleaning up', scope: 'session' } as const;
    await guard.approvals.resolve(await ask(guard, 'c1'), { decision: 'approve', grant }, ALICE);
    const person = monitorHost({ store, agent: 'tester', session: 'person' });
    await person.halt(session, 'OPERATOR_HALT');
    expect(await ask(guard, 'c2')).toMatch(/^[0-9a-f]{32}$/);
    await guard.halts.resume(session === undefined ? {} : { session }, ALICE);
    expect(await ask(guard, 'c3')).toBe('allowed');
  });

  it.each([
    ['an operator halted it too, after that was asked', 'OPERATOR_HALT', 'after', 'stands'],
    ['an operator halted it too, before that was asked', 'OPERATOR_HALT', 'before', 'stands'],
    ['another incident halted it after that was asked', 'MONITOR_HALTED', 'after', 'stands'],
    ['nothing', undefined, 'before', 'ended'],
  ] as const)('what is answered about an incident ends the halt of the session of its call, unless %s', async (_what, code, when, then) => {
    const path = join(tempDirectory(), 'ledger.db');
    const store = open(path);
    const [guard, warden] = [asking(store), monitorHost({ store, agent: 'tester', session: 's1' })];
    const halt = async (at: string): Promise<void> => {
      if (code !== undefined && at === when) await monitorHost({ store, agent: 'tester', session: 'other' }).halt('s2', code);
    };
    await halt('before');
    await warden.halt('s2', 'MONITOR_HALTED', { incident: 'e'.repeat(32) });
    const id = await ask(guard, 'c1');
    await halt('after');
    await guard.approvals.resolve(id, { decision: 'approve' }, ALICE);
    const permit = await guard.authorize({ ...QUESTION, id: 'c1' }, { approval: 'suspend' });
    if (permit.kind !== 'permit') throw new Error('not allowed');
    await warden.resume('s2', { id, decision: permit.entry });
    expect(await codeOf(guarded(store), 's2')).toBe(then === 'stands' ? 'SESSION_HALTED' : 'allowed');
    expect(await store.halts()).toHaveLength(then === 'stands' ? 1 : 0);
  });

  it('a monitor that halts everything once more makes an answer and a grant from before an operator’s halt no better', async () => {
    const store = open(join(tempDirectory(), 'ledger.db'));
    const guard = asking(store);
    const monitor = monitorHost({ store, agent: 'tester', session: 's1' });
    await monitor.halt(undefined, 'MONITOR_HALTED');
    const [early, granting] = [await ask(guard, 'c1'), await ask(guard, 'c2')];
    await guard.approvals.resolve(early, { decision: 'approve' }, ALICE);
    const grant = { ttlMs: 60_000, uses: 1, reason: 'cleaning up', scope: 'session' } as const;
    await guard.approvals.resolve(granting, { decision: 'approve', grant }, ALICE);
    await monitorHost({ store, agent: 'tester', session: 'person' }).halt(undefined, 'OPERATOR_HALT');
    await monitor.halt(undefined, 'MONITOR_HALTED');
    expect(await ask(guard, 'c1')).toBe('SESSION_HALTED');
    const id = await ask(guard, 'c3');
    expect(id).toMatch(/^[0-9a-f]{32}$/);
    await guard.approvals.resolve(id, { decision: 'approve' }, ALICE);
    expect(await ask(guard, 'c3')).toBe('allowed');
  });

  it.each([
    ['another tool of that server', { tool: { server: 'countersign', name: 'x' } }],
    ['that name without the server', { tool: { name: 'after_halt' } }],
    ['that name of another server', { tool: { server: 'shop', name: 'after_halt' } }],
  ])('%s may not even be asked about', async (_what, call) => {
    const store = open(join(tempDirectory(), 'ledger.db'));
    const guard = asking(store);
    await monitorHost({ store, agent: 'tester', session: 'person' }).halt(undefined, 'OPERATOR_HALT');
    expect(await ask(guard, 'c1', call)).toBe('SESSION_HALTED');
  });
});

/** Everything that was asked for is on disk. */
async function settled(store: Store): Promise<void> {
  await store.head();
}

describe('names of sessions', () => {
  it.each(['', '*', 'ledger', '__proto__', 'constructor', 'toString'])('%j halts or frees nobody else', async (name) => {
    const store = memoryStore();
    const guard = guarded(store);
    const host = hostOf(store);
    if (name === '') {
      await expect(host.halt(name, 'X')).rejects.toMatchObject({ code: 'OPTIONS_INVALID' });
      expect(await codeOf(guard, name)).toBe('ARGUMENTS_INVALID');
      return;
    }
    await host.halt(name, 'X');
    expect([await codeOf(guard), await codeOf(guard, name)]).toEqual(['allowed', 'SESSION_HALTED']);
    await host.halt(undefined, 'X');
    await host.resume(name);
    expect(await codeOf(guard, name)).toBe('SESSION_HALTED');
  });

  it('whoever takes the name of the monitor’s session may not do more than ask what is to happen', async () => {
    const store = memoryStore();
    const guard = guarded(store);
    await hostOf(store).halt(undefined, 'X');
    expect(await codeOf(guard, 'monitor')).toBe('SESSION_HALTED');
    // Nor is the question itself allowed without an answer.
    const question = { tool: { server: 'countersign', name: 'after_halt' }, args: {}, session: 'monitor' };
    expect((await guard.authorize(question)).decision.reasonCode).toBe('SESSION_HALTED');
    expect((await guard.authorize({ ...question, session: 's1' })).decision.reasonCode).toBe('SESSION_HALTED');
  });
});

describe('rows that are edited', () => {
  it.each([
    ['a session said not to be halted', `UPDATE sessions SET halted = 0`],
    ['sessions that are gone', `DELETE FROM sessions`],
  ])('%s: the session stays halted, also after it was opened again', async (_what, sql) => {
    const path = join(tempDirectory(), 'ledger.db');
    const store = ledger(path);
    const guard = guarded(store);
    await codeOf(guard);
    await hostOf(store).halt('s1', 'X');
    await hostOf(store).halt(undefined, 'X');
    const database = new Sqlite(path);
    database.exec(sql);
    database.close();
    expect([await codeOf(guard), await codeOf(guard, 'other')]).toEqual(['SESSION_HALTED', 'SESSION_HALTED']);
    await store.close();
    const again = guarded(ledger(path));
    expect([await codeOf(again), await codeOf(again, 'other')]).toEqual(['SESSION_HALTED', 'SESSION_HALTED']);
    expect(await again.halts.list()).toMatchObject([{ session: 's1' }, { by: 'monitor' }]);
    await again.halts.resume({}, ALICE);
    expect([await codeOf(again), await codeOf(again, 'other')]).toEqual(['SESSION_HALTED', 'allowed']);
    await again.close();
  });

  it('another process’s halt and its end are seen by the next call', async () => {
    const path = join(tempDirectory(), 'ledger.db');
    const [one, other] = [guarded(ledger(path)), ledger(path)];
    expect(await codeOf(one)).toBe('allowed');
    await hostOf(other).halt('s1', 'X');
    expect(await codeOf(one)).toBe('SESSION_HALTED');
    await guarded(other).halts.resume({ session: 's1' }, ALICE);
    expect(await codeOf(one)).toBe('allowed');
  });
});

describe('an end of a halt', () => {
  async function halted(): Promise<{ readonly guard: Guard; readonly store: ReturnType<typeof memoryStore>; readonly host: MonitorHost }> {
    const store = memoryStore();
    const host = hostOf(store);
    await host.halt('s1', 'X');
    return { guard: guarded(store), store, host };
  }

  it('cannot come from inside of a call', async () => {
    const { guard } = await halted();
    await expect(guard.run({ ...read, session: 's2' }, () => guard.halts.resume({ session: 's1' }, ALICE))).rejects.toMatchObject({
      code: 'APPROVER_REFUSED',
    });
    expect(await codeOf(guard)).toBe('SESSION_HALTED');
  });

  it.each([
    ['who is asked by the client', { id: 'alice', method: 'elicitation' }],
    ['who has a key and does not use it', { id: 'finance', method: 'host' }],
    ['who imitates somebody', { id: 'Finance', method: 'host' }],
    ['a key without a signature', { id: 'finance', method: 'key' }],
    ['a key that nobody knows', { id: 'mallory', method: 'key', signature: 'AA==' }],
    ['no name', { id: '', method: 'host' }],
    ['no method', { id: 'alice', method: 'magic' as 'host' }],
    ['a name that is a secret', { id: 'ghp_16C7e42F292c6912E7710c838347Ae178B4a', method: 'host' }],
  ] as const)('cannot come from %s', async (_who, approver) => {
    const { guard } = await halted();
    await expect(guard.halts.resume({ session: 's1' }, approver)).rejects.toMatchObject({ code: 'APPROVER_REFUSED' });
    expect(await codeOf(guard)).toBe('SESSION_HALTED');
  });

  it('is good for the halt it was given for, and not again', async () => {
    const { guard, host } = await halted();
    const draft = await guard.halts.draft({ session: 's1' });
    const signature = Buffer.from(signer.sign(draft.statement('finance'))).toString('base64');
    const approver = { id: 'finance', method: 'key', signature } as const;
    await guard.halts.resume({ session: 's1' }, approver, { halt: draft.halt.entry });
    expect(await codeOf(guard)).toBe('allowed');
    await expect(guard.halts.resume({ session: 's1' }, approver)).rejects.toMatchObject({ code: 'HALT_NOT_FOUND' });
    await host.halt('s1', 'X');
    await expect(guard.halts.resume({ session: 's1' }, approver, { halt: draft.halt.entry })).rejects.toMatchObject({ code: 'HALT_MOVED' });
    await expect(guard.halts.resume({ session: 's1' }, approver)).rejects.toMatchObject({ code: 'APPROVER_REFUSED' });
    await host.halt('s2', 'X');
    await expect(guard.halts.resume({ session: 's2' }, approver)).rejects.toMatchObject({ code: 'APPROVER_REFUSED' });
    await expect(guard.halts.resume({}, approver)).rejects.toMatchObject({ code: 'HALT_NOT_FOUND' });
    expect(await codeOf(guard)).toBe('SESSION_HALTED');
  });

  it('is answered once by two operators at once, and keeps what they said as it may be', async () => {
    const { guard, store } = await halted();
    const secret = 'sk-live-0123456789abcdef0123456789abcdef';
    const both = await Promise.allSettled(
      ['alice', 'bob'].map((id) => guard.halts.resume({ session: 's1' }, { id, method: 'host' }, { message: `fine ${secret}` })),
    );
    expect(both.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
    expect(JSON.stringify([store.entries(), [...store.openings()]])).not.toContain(secret);
    expect(store.entries().filter((entry) => entry.kind === 'session' && entry.event === 'resumed')).toHaveLength(1);
  });

  it('in an unsigned tail that anybody may have written ends nothing', async () => {
    const path = join(tempDirectory(), 'ledger.db');
    // Never answers, so that what is written stands unsigned: as if somebody had added it to the file.
    const remote = { vkey: LEDGER_VKEY, sign: () => new Promise<Uint8Array>(() => undefined) };
    const first = openLedger(path);
    await hostOf(first).halt('s1', 'X');
    await first.close();
    const deferred = openStore({ path, origin: ORIGIN, signer: { remote, everyMs: 1 } });
    await hostOf(deferred).resume('s1');
    expect(await codeOf(guarded(deferred))).toBe('allowed');
    // As if its process had died: closing would wait for the signer.
    await deferred.head();
    const key = signerFromPem(LEDGER_PEM, ORIGIN);
    const answering = { vkey: LEDGER_VKEY, sign: (message: Uint8Array) => key.sign(message) };
    const reopened = (): SqliteStore => {
      const store = openStore({ path, origin: ORIGIN, signer: { remote: answering, everyMs: 1 } });
      opened.push(store);
      return store;
    };
    const guard = guarded(reopened());
    expect(entriesOf(path).some((entry) => entry['event'] === 'unsigned-tail')).toBe(true);
    expect(await codeOf(guard)).toBe('SESSION_HALTED');
    expect(await codeOf(guarded(reopened()))).toBe('SESSION_HALTED');
    await guard.halts.resume({ session: 's1' }, ALICE);
    expect(await codeOf(guard)).toBe('allowed');
    // Closing signs what is left.
    for (const store of opened.splice(0)) await store.close();
    expect(await codeOf(guarded(reopened()))).toBe('allowed');
    const report = await verifyLedger(path, { publicKeys: [LEDGER_VKEY] });
    expect(report.problems).toEqual([]);
  });
});
