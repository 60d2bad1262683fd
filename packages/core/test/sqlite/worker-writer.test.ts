/** The writer on a thread of its own: nothing runs on a commit that is not durable, and nobody waits for ever. */
import { spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Sqlite from 'better-sqlite3';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { allowAll, budgetFrom, type Guard, type Signer, type Unit } from '../../src/index.ts';
import { parseEntry } from '../../src/ledger/body.ts';
import type { Entry } from '../../src/ledger/entry.ts';
import { generateKey, signerFromPem } from '../../src/ledger/keys.ts';
import { openStore, type SqliteStore, verifyLedger } from '../../src/sqlite/index.ts';
import type { Committed } from '../../src/store-units.ts';
import type * as threads from '../../src/thread.ts';
import { FAULTS, type Fault } from '../fixtures/faults.ts';
import { guardOn, LEDGER_PEM, LEDGER_VKEY, ORIGIN, openLedger, tempDirectory } from '../fixtures/ledger.ts';

const shared = vi.hoisted(() => ({ fault: new Int32Array(new SharedArrayBuffer(4)), started: 0 }));

vi.mock('../../src/thread.ts', async (original) => {
  const { startThread } = await original<typeof threads>();
  return {
    startThread: (_base: string, _name: string, options: NonNullable<Parameters<typeof startThread>[2]>) => {
      shared.started += 1;
      const workerData = { ...options.workerData, fault: shared.fault };
      // Small enough that running out of memory takes a moment only.
      const resourceLimits = { maxOldGenerationSizeMb: 64 };
      return startThread(import.meta.url, '../fixtures/faulty-writer-thread', { ...options, workerData, resourceLimits });
    },
  };
});

const open: SqliteStore[] = [];
afterEach(async () => {
  strike('none');
  for (const store of open.splice(0)) await store.close().catch(() => {});
});

function ledger(path: string, options: Parameters<typeof openLedger>[1] = {}): SqliteStore {
  shared.started = 0;
  const store = openLedger(path, { writer: 'worker', ...options });
  open.push(store);
  return store;
}

function strike(fault: Fault): void {
  Atomics.store(shared.fault, 0, FAULTS.indexOf(fault));
}

/** Threads start slowly on a busy machine. */
const WAIT = { timeout: 20_000, interval: 50 };
const tool = vi.fn(() => 'ran');
const attempt = (guard: Guard): Promise<unknown> => guard.run({ tool: { name: 'read' }, args: {} }, tool).catch((error: unknown) => error);
const REFUSED = { code: 'CALL_REFUSED', refusal: { decision: { reasonCode: 'LEDGER_WRITE_FAILED_DECISION' } } };
const comesBack = (guard: Guard): Promise<unknown> => vi.waitFor(async () => expect(await attempt(guard)).toBe('ran'), WAIT);

function entriesOf(path: string): readonly Entry[] {
  const reader = new Sqlite(path, { readonly: true });
  const entries = reader.prepare<[], string>('SELECT body FROM entries ORDER BY seq').pluck().all().map(parseEntry);
  reader.close();
  return entries;
}

/** Every allowed call has an outcome or is named by one recovery entry, never both. */
async function expectSound(path: string, ran: number): Promise<void> {
  const entries = entriesOf(path);
  const settled = entries.flatMap((entry) => (entry.kind === 'outcome' ? [entry.decision.of] : []));
  const recovered = entries.flatMap((entry) => (entry.kind === 'recovery' ? (entry.open ?? []).map((ref) => ref.of) : []));
  const allowed = entries.flatMap((entry, of) => (entry.kind === 'decision' && entry.effect === 'allow' ? [of] : []));
  expect(settled).toHaveLength(ran);
  expect([...settled, ...recovered].toSorted((a, b) => a - b)).toEqual(allowed);
  expect(await verifyLedger(path, { publicKeys: [LEDGER_VKEY] })).toMatchObject({ status: 'valid', authorship: 'proven', problems: [] });
}

describe('a thread that fails in a batch', () => {
  it.each<[Fault, string]>([
    ['exit-before', 'ended with code'],
    ['exit-after', 'ended with code'],
    ['throw', 'ledger could not be written'],
    ['out-of-memory', 'memory'],
    ['hang-before', 'did not answer for 400 ms'],
    ['hang-after', 'did not answer for 400 ms'],
    ['nonsense', 'answered a batch with closed'],
    ['fsync-error', 'disk I/O error'],
    ['commit-then-error', 'disk I/O error'],
    ['full', 'full'],
  ])('%s: every caller is refused, doubtful calls are recorded, and a new thread goes on', { timeout: 60_000 }, async (fault, message) => {
    const path = join(tempDirectory(), 'ledger.db');
    const deadlineMs = fault.startsWith('hang') ? 400 : 20_000;
    const store = ledger(path, { queue: { deadlineMs } });
    const guard = guardOn(store, { policy: allowAll() });
    expect(await attempt(guard)).toBe('ran');
    // Its outcome rides with the next commit, and shall not ride with the one that fails.
    await vi.waitFor(async () => expect((await store.head()).size).toBe(5), WAIT);
    expect(shared.started).toBe(1);
    tool.mockClear();
    const errors = vi.spyOn(store, 'commit');
    strike(fault);
    // Enough that a disk without room is full for certain.
    const calls = fault === 'full' ? 40 : 5;
    const answers = await Promise.all(Array.from({ length: calls }, () => attempt(guard)));
    for (const answer of answers) expect(answer).toMatchObject(REFUSED);
    expect(tool).not.toHaveBeenCalled();
    const reasons = await Promise.allSettled(errors.mock.results.map(({ value }) => value as Promise<unknown>));
    const codes = reasons.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
    expect(codes.length).toBeGreaterThanOrEqual(calls);
    for (const reason of codes) expect(reason).toMatchObject({ code: expect.stringMatching(/^LEDGER_/) });
    expect(String(codes[0]?.message)).toContain(message);

    await comesBack(guard);
    expect(shared.started).toBeGreaterThan(1);
    await guard.close();
    await store.close();
    await expectSound(path, tool.mock.calls.length + 1);
    const recovered = entriesOf(path).flatMap((entry) => (entry.kind === 'recovery' ? (entry.open ?? []) : []));
    const mayBeDurable = ['exit-after', 'hang-after', 'nonsense', 'commit-then-error'].includes(fault);
    expect(recovered).toHaveLength(mayBeDurable ? calls : 0);
  });

  it('reading is refused as well while there is no writer', async () => {
    const store = ledger(join(tempDirectory(), 'ledger.db'));
    const guard = guardOn(store);
    expect(await attempt(guard)).toBe('ran');
    strike('exit-before');
    expect(await attempt(guard)).toMatchObject(REFUSED);
    await expect(store.session('s1')).rejects.toMatchObject({ code: 'LEDGER_WRITE_FAILED' });
    await vi.waitFor(async () => expect((await store.session('s1')).id).toBe('s1'), WAIT);
  });
});

describe('a thread that cannot be started', () => {
  it('refuses, and starts once it can', async () => {
    strike('no-start');
    const store = ledger(join(tempDirectory(), 'ledger.db'));
    const guard = guardOn(store);
    tool.mockClear();
    expect(await attempt(guard)).toMatchObject(REFUSED);
    expect(await attempt(guard)).toMatchObject(REFUSED);
    expect(tool).not.toHaveBeenCalled();
    strike('none');
    await comesBack(guard);
  });

  it('with `auto` it goes on writing here', async () => {
    strike('no-start');
    const store = ledger(join(tempDirectory(), 'ledger.db'), { writer: 'auto' });
    const guard = guardOn(store, { policy: allowAll() });
    const crowd = async (): Promise<void> => {
      expect(new Set(await Promise.all(Array.from({ length: 100 }, () => attempt(guard))))).toEqual(new Set(['ran']));
    };
    await crowd();
    await vi.waitFor(() => expect(shared.started).toBe(1), WAIT);
    await sleep(200);
    await crowd();
    expect(shared.started).toBe(1);
    expect(store['ledger']['inline']).toBeDefined();
  });
});

describe('auto', () => {
  it('moves to a thread after a large batch, under load, and loses nothing', async () => {
    const path = join(tempDirectory(), 'ledger.db');
    const store = ledger(path, { writer: 'auto' });
    const guard = guardOn(store, { policy: allowAll() });
    expect(await attempt(guard)).toBe('ran');
    await sleep(30);
    expect(shared.started).toBe(0);
    tool.mockClear();
    let moved = false;
    let after = 0;
    while (after < 200) {
      const answers = await Promise.all(Array.from({ length: 100 }, () => attempt(guard)));
      expect(new Set(answers)).toEqual(new Set(['ran']));
      moved ||= store['ledger']['inline'] === undefined;
      if (moved) after += 100;
    }
    await guard.close();
    const { size } = await store.head();
    await store.close();
    expect(entriesOf(path)).toHaveLength(size);
    const writers = new Set(entriesOf(path).map((entry) => entry.writer));
    expect(writers).toEqual(new Set([store.writer]));
    await expectSound(path, tool.mock.calls.length + 1);
  });

  it('moves to a thread once most commits are slow', async () => {
    const store = ledger(join(tempDirectory(), 'ledger.db'), { writer: 'auto' });
    const unit = (): Unit => ({ kind: 'record', body: { kind: 'note', topic: 't', data: {} } });
    const { inline } = store['ledger'];
    if (inline === undefined) throw new Error('not inline');
    const { commit } = inline.open.transaction;
    const run = commit.run.bind(commit);
    const pause = new Int32Array(new SharedArrayBuffer(4));
    Object.defineProperty(commit, 'run', { value: () => (Atomics.wait(pause, 0, 0, 1.5), run()) });
    for (let i = 0; i < 63; i++) await store.commit(unit());
    expect(shared.started).toBe(0);
    await store.commit(unit());
    expect(shared.started).toBe(1);
    await vi.waitFor(async () => {
      await store.commit(unit());
      expect(store['ledger']['inline'] === undefined).toBe(true);
    }, WAIT);
    await store.commit(unit());
  });

  it('stays here with a signer that no thread can be given', async () => {
    const store = ledger(join(tempDirectory(), 'ledger.db'), { writer: 'auto', signer: ownSigner() });
    const guard = guardOn(store, { policy: allowAll() });
    for (let i = 0; i < 3; i++) await Promise.all(Array.from({ length: 100 }, () => attempt(guard)));
    expect(shared.started).toBe(0);
  });
});

function ownSigner(): Signer {
  const { vkey, privatePem } = generateKey(ORIGIN);
  const inside = signerFromPem(privatePem, ORIGIN);
  return { vkey, sign: (message) => inside.sign(message) };
}

describe('the same as inline', () => {
  it('a signer that no thread can be given is refused with what to do', () => {
    expect(() => ledger(join(tempDirectory(), 'ledger.db'), { signer: ownSigner() })).toThrow(
      expect.objectContaining({ code: 'OPTIONS_INVALID', message: expect.stringContaining('readSigner') }),
    );
  });

  it('an unknown writer is refused', () => {
    const options = { path: join(tempDirectory(), 'l.db'), origin: ORIGIN, signer: 'none', writer: 'thread' } as unknown;
    expect(() => openStore(options as Parameters<typeof openStore>[0])).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
  });

  it('what is wrong with a ledger is said when it is opened', async () => {
    const path = join(tempDirectory(), 'ledger.db');
    await ledger(path).close();
    const other = signerFromPem(generateKey(ORIGIN).privatePem, ORIGIN);
    expect(() => ledger(path, { signer: other })).toThrow(expect.objectContaining({ code: 'KEY_MISMATCH' }));
    rmSync(path);
    expect(() => ledger(path)).toThrow(expect.objectContaining({ code: 'LEDGER_ROLLED_BACK' }));
  });

  it('the signer shows nothing of its key', () => {
    const signer = signerFromPem(LEDGER_PEM, ORIGIN);
    expect(Object.keys(signer).toSorted()).toEqual(['sign', 'vkey']);
    expect(Reflect.ownKeys(signer)).toHaveLength(2);
  });

  it("entries carry the store's clock, and time never runs backwards", async () => {
    let nowMs = 5_000_000;
    const path = join(tempDirectory(), 'ledger.db');
    const store = ledger(path, { clock: { nowMs: () => nowMs } });
    const unit: Unit = { kind: 'record', body: { kind: 'note', topic: 't', data: {} } };
    await store.commit(unit);
    nowMs = 7_000_000;
    await store.commit(unit);
    nowMs = 6_000_000;
    await store.commit(unit);
    expect(store.nowMs()).toBe(7_000_000);
    await store.close();
    const notes = entriesOf(path).filter((entry) => entry.kind === 'note');
    expect(notes.map(({ at }) => at)).toEqual([5_000_000, 7_000_000, 7_000_000]);
  });

  it('what was committed is read at once, and proven', async () => {
    const store = ledger(join(tempDirectory(), 'ledger.db'));
    const guard = guardOn(store);
    for (let i = 0; i < 3; i++) {
      const pending = await guard.authorize({ tool: { name: 'ask' }, args: { i }, id: `c${i}` }, { approval: 'suspend' });
      if (pending.kind !== 'pending') throw new Error(pending.kind);
      const row = await store.approval(pending.approvalId);
      expect(await store.entry(row?.ask ?? { of: 0, leaf: '' })).toContain('require_approval');
      await guard.approvals.resolve(pending.approvalId, { decision: 'approve' }, { id: 'alice', method: 'host' });
      expect((await guard.authorize({ tool: { name: 'ask' }, args: { i }, id: `c${i}` }, { approval: 'suspend' })).kind).toBe('permit');
    }
    expect(await store.entry({ of: 2, leaf: '0'.repeat(64) })).toBeUndefined();
  });

  it('an entry edited behind our back is not proven', async () => {
    const path = join(tempDirectory(), 'ledger.db');
    const store = ledger(path);
    const committed = await store.commit({ kind: 'record', body: { kind: 'note', topic: 'before', data: {} } });
    if (committed.kind !== 'recorded' || committed.entry === undefined) throw new Error(committed.kind);
    expect(await store.entry(committed.entry)).toContain('before');
    const raw = new Sqlite(path);
    raw.exec('DROP TRIGGER entries_no_update');
    raw.prepare('UPDATE entries SET body = replace(body, ?, ?) WHERE seq = ?').run('before', 'afters', committed.entry.of);
    raw.close();
    expect(await store.entry(committed.entry)).toBeUndefined();
  });

  it('a reader far behind catches up over stored tiles', async () => {
    const store = ledger(join(tempDirectory(), 'ledger.db'), { signer: 'none' });
    await store.head();
    const unit: Unit = { kind: 'record', body: { kind: 'note', topic: 't', data: {} } };
    const all = await Promise.all(Array.from({ length: 3000 }, () => store.commit(unit)));
    expect(store['ledger'].view.log.size).toBe(0);
    expect((await store.head()).size).toBe(3000);
    const last = all.at(-1);
    if (last?.kind !== 'recorded' || last.entry === undefined) throw new Error('not recorded');
    expect(await store.entry(last.entry)).toContain('note');
  });

  it('what cannot cross to a thread fails nobody else', async () => {
    const store = ledger(join(tempDirectory(), 'ledger.db'));
    await store.commit({ kind: 'record', body: { kind: 'note', topic: 'first', data: {} } });
    const bad = { kind: 'record', body: { kind: 'note', topic: 't', data: { fn: () => 1 } } } as unknown as Unit;
    const nan = { kind: 'record', body: { kind: 'note', topic: 't', data: { n: Number.NaN } } } as unknown as Unit;
    const good: Unit = { kind: 'record', body: { kind: 'note', topic: 't', data: {} } };
    const answers = await Promise.allSettled([store.commit(good), store.commit(bad), store.commit(nan), store.commit(good)]);
    expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected', 'fulfilled']);
    expect(shared.started).toBe(1);
  });

  it('a decision the transaction changed comes back as it was recorded', async () => {
    const budgets = [budgetFrom({ id: 'calls', per: 'agent', limit: 1, window: '24h' })];
    const recorded: unknown[][] = [];
    for (const writer of ['inline', 'worker'] as const) {
      const store = ledger(join(tempDirectory(), 'ledger.db'), { writer });
      const commits = vi.spyOn(store, 'commit');
      const guard = guardOn(store, { budgets });
      for (const name of ['label', 'label', 'no']) await guard.authorize({ tool: { name }, args: {} });
      const results = await Promise.all(commits.mock.results.map(({ value }) => value as Promise<Committed>));
      const bodies = results.flatMap((result) => (result.kind === 'decided' ? [result.body] : []));
      const random = { call: '', args_commit: '', reason_commit: '' };
      recorded.push(bodies.map((body) => ({ ...body, ...random })));
    }
    expect(recorded[1]).toStrictEqual(recorded[0]);
    expect(recorded[1]).toMatchObject([
      { effect: 'allow', labels: ['seen'], budgets: [{ left: 0 }] },
      { effect: 'deny' },
      { effect: 'deny' },
    ]);
    expect(recorded[1]?.[1]).not.toHaveProperty('labels');
  });

  it('a writer that is closed leaves no thread, no lease and no -wal', async () => {
    const path = join(tempDirectory(), 'ledger.db');
    const store = ledger(path);
    expect(await attempt(guardOn(store))).toBe('ran');
    await store.close();
    const raw = new Sqlite(path);
    expect(raw.prepare('SELECT count(*) FROM leases').pluck().get()).toBe(0);
    raw.close();
    await expect(store.commit({ kind: 'lapse', approval: 'x', state: 'failed' })).rejects.toMatchObject({ code: 'LEDGER_CLOSED' });
  });

  it.each([
    ['closed', 'await store.close();'],
    ['forgotten', ''],
  ])('a process whose store was %s exits', { timeout: 30_000 }, (_what, end) => {
    const path = join(tempDirectory(), 'ledger.db');
    const source = new URL('../../src/sqlite/index.ts', import.meta.url).href;
    const program = `
      import { openStore } from ${JSON.stringify(source)};
      const store = openStore({ path: ${JSON.stringify(path)}, origin: 'x', signer: 'none', writer: 'worker' });
      await store.commit({ kind: 'record', body: { kind: 'note', topic: 't', data: {} } });
      console.log('committed');
      ${end}`;
    const file = join(tempDirectory(), 'program.ts');
    writeFileSync(file, program);
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--conditions=@countersign/source', '--no-warnings', file], {
      encoding: 'utf8',
      timeout: 20_000,
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: 'committed\n', stderr: '' });
  });
});
