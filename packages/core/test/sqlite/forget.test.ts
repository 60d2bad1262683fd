import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { describe, expect, it, vi } from 'vitest';
import {
  type Approver,
  createGuard,
  definePolicy,
  type EntryRef,
  fileAuditSink,
  type Guard,
  generateKey,
  monitorHost,
} from '../../src/index.ts';
import { signerFromPem } from '../../src/ledger/keys.ts';
import { forgetClearText, makeReceipt, openStore, type SqliteStore, verifyLedger } from '../../src/sqlite/index.ts';
import { memoryStore } from '../../src/testing/index.ts';
import { guardOn, tempDirectory } from '../fixtures/ledger.ts';
import { entriesOf } from '../verify/forge.ts';

const ORIGIN = 'test.example/forget';
const { privatePem, vkey } = generateKey(ORIGIN);
const SECRETS = [
  'PLANTED-args-\u00e9\u{1f600}-value',
  'PLANTED-reason-"quoted"',
  'PLANTED-message-value',
  'PLANTED-result-value',
  'PLANTED-error-value',
] as const;
const [ARGS, REASON, MESSAGE, RESULT, ERROR] = SECRETS;
const alice: Approver = { id: 'alice', method: 'host' };
const refused = (code: string): unknown => expect.objectContaining({ code });

interface Made {
  readonly folder: string;
  readonly path: string;
  readonly store: SqliteStore;
  readonly guard: Guard;
}

function make(more: { readonly writer?: 'inline' | 'worker' } = {}): Made {
  const folder = tempDirectory();
  const path = join(folder, 'ledger.db');
  const store = openStore({
    path,
    origin: ORIGIN,
    signer: signerFromPem(privatePem, ORIGIN),
    stateDirectory: join(folder, 'state'),
    mirror: { path: join(folder, 'mirror.jsonl') },
    ...more,
  });
  const policy = definePolicy({
    id: 'p',
    evaluate: ({ tool: { name } }) =>
      name === 'ask'
        ? { effect: 'require_approval', rule: 'r', reason: REASON }
        : name === 'no'
          ? { effect: 'deny', rule: 'r', reason: REASON }
          : { effect: 'allow', rule: 'r', reason: REASON },
  });
  const audit = [fileAuditSink({ path: join(folder, 'audit.jsonl'), include: ['args', 'reason'] })];
  return { folder, path, store, guard: createGuard({ agent: 'bot', policy, store, session: 's1', audit }) };
}

/** One call of each kind, all with planted values. */
async function plant({ guard }: Pick<Made, 'guard'>, args: string = ARGS): Promise<void> {
  const call = (name: string, id: string) => ({ tool: { name }, args: { value: args, list: [args] }, id, turn: '1' });
  await guard.run(call('read', 'a'), () => RESULT);
  await guard.run(call('read', 'b'), () => Promise.reject(new Error(ERROR))).catch(() => undefined);
  await guard.authorize(call('no', 'c'));
  const pending = await guard.authorize(call('ask', 'd'), { approval: 'suspend' });
  if (pending.kind !== 'pending') throw new Error('it did not ask');
  await guard.approvals.resolve(pending.approvalId, { decision: 'approve', message: MESSAGE }, alice);
  const permit = await guard.authorize(call('ask', 'd'), { approval: 'suspend' });
  if (permit.kind === 'permit') await permit.settle({ status: 'success', result: RESULT }, { durable: true });
}

/** Every file below a folder. */
function files(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((file) => statSync(file).isFile());
}

/** The ways in which a value could stand in a file. */
function spellings(value: string): readonly Buffer[] {
  const raw = Buffer.from(value);
  const escaped = JSON.stringify(value).slice(1, -1);
  const ascii = escaped.replaceAll(/[^\u0020-\u007e]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
  // Base64 of a text depends on where it starts: what does not.
  const base64 = [0, 1, 2].map((shift) =>
    Buffer.concat([Buffer.alloc(shift), raw])
      .toString('base64')
      .slice(4, -4),
  );
  return [
    raw,
    Buffer.from(escaped),
    Buffer.from(ascii),
    Buffer.from(value, 'utf16le'),
    Buffer.from(value, 'utf16le').swap16(),
    ...[raw.toString('hex'), raw.toString('hex').toUpperCase(), ...base64].map((text) => Buffer.from(text)),
  ];
}

function holders(folder: string, values: readonly string[]): readonly string[] {
  const needles = values.flatMap((value) => spellings(value).map((bytes) => ({ value, bytes })));
  return files(folder).flatMap((file) => {
    const content = readFileSync(file);
    return needles.filter(({ bytes }) => content.includes(bytes)).map(({ value }) => `${file}: ${value}`);
  });
}

/** Keys and MACs that lie beside the entries of calls. */
function keyMaterial(path: string): readonly string[] {
  const database = new Sqlite(path, { readonly: true });
  const openings = database.prepare<[], string>('SELECT key FROM openings').pluck().all();
  const calls = database.prepare<[], [string | null, string]>('SELECT bind_key, match FROM calls').raw().all();
  database.close();
  return [...openings, ...calls.flat()].filter((text): text is string => text !== null && text !== '');
}

const callsOf = (path: string): readonly string[] => [
  ...new Set(entriesOf(path).flatMap(({ kind, call }) => (kind === 'decision' ? [call as string] : []))),
];

describe('after a forget', () => {
  it.each(['inline', 'worker'] as const)('no byte of the values or their keys is in any file we keep (%s writer)', async (writer) => {
    const made = make({ writer });
    await plant(made);
    const { folder, path, store, guard } = made;
    const keys = keyMaterial(path);
    // The test can see what it looks for.
    await vi.waitFor(() => expect(new Set(holders(folder, SECRETS).map((line) => line.split(': ')[1]))).toEqual(new Set(SECRETS)), 20_000);
    expect(holders(folder, keys).length).toBeGreaterThan(keys.length - 1);
    expect(readFileSync(join(folder, 'audit.jsonl'), 'utf8')).toContain('PLANTED-args');

    const calls = callsOf(path);
    const forgotten = await forgetClearText(store, { calls, reasonCode: 'ERASURE_REQUEST', auditLog: join(folder, 'audit.jsonl') });
    expect(forgotten).toMatchObject({ isComplete: true, file: 'rewritten', log: 'emptied' });
    expect(forgotten.auditLines).toBeGreaterThan(0);
    expect(holders(folder, [...SECRETS, ...keys])).toEqual([]);

    await guard.close();
    await store.close();
    expect(holders(folder, [...SECRETS, ...keys])).toEqual([]);
    const report = await verifyLedger(path, { publicKeys: [vkey], strict: true, expectSize: entriesOf(path).length });
    expect(report).toMatchObject({ status: 'valid', integrity: 'intact', forgotten: forgotten.entries.length, warnings: [], problems: [] });
    expect(entriesOf(path).at(-2)).toMatchObject({ kind: 'forget', reason_code: 'ERASURE_REQUEST' });
  });

  it('none is left where rows were moved between pages', async () => {
    // Measured with DELETE alone: copies of rows that SQLite had moved stay readable.
    const { folder, path, store, guard } = make();
    const values = Array.from({ length: 150 }, (_, n) => `PLANTED-${n}-${String(n).repeat((n % 7) * 40 + 3)}-END`);
    for (const [n, value] of values.entries())
      await guard.run({ tool: { name: 'read' }, args: { value }, id: String(n), turn: '1' }, () => value);
    const keys = keyMaterial(path);
    const calls = callsOf(path);
    const half = calls.filter((_, n) => n % 3 !== 0);
    const auditLog = join(folder, 'audit.jsonl');
    await forgetClearText(store, { calls: half, auditLog });
    await forgetClearText(store, { calls: calls.filter((call) => !half.includes(call)), auditLog });
    expect(holders(folder, [...values, ...keys])).toEqual([]);
    await guard.close();
    await store.close();
    expect((await verifyLedger(path, { publicKeys: [vkey] })).status).toBe('valid');
  });

  it('other calls keep theirs, and everything goes on', async () => {
    const made = make();
    await plant(made);
    await plant(made, 'KEPT-value');
    const { path, store, guard } = made;
    const [first = ''] = callsOf(path);
    const forgotten = await forgetClearText(store, { calls: [first] });
    expect(forgotten.entries).toHaveLength(2);
    expect(makeReceipt(path, { call: first }).hasClearText).toBe(false);
    await guard.run({ tool: { name: 'read' }, args: { value: 'later' } }, () => 'ok');
    await guard.close();
    await store.close();
    expect(await verifyLedger(path, { publicKeys: [vkey] })).toMatchObject({ status: 'valid', forgotten: 2 });
    expect(readFileSync(path).includes('KEPT-value')).toBe(true);
    expect(readFileSync(path).includes('later')).toBe(true);
  });

  it('one entry alone can be forgotten, and all of a session', async () => {
    const made = make();
    await plant(made);
    const { path, store, guard } = made;
    const denied = entriesOf(path).findIndex(({ effect }) => effect === 'deny');
    expect((await forgetClearText(store, { entries: [denied] })).entries.map(({ of }) => of)).toEqual([denied]);
    const rest = await forgetClearText(store, { sessions: ['s1'] });
    expect(rest.entries.map(({ of }) => of)).not.toContain(denied);
    expect(keyMaterial(path)).toEqual([]);
    await guard.close();
    await store.close();
  });

  it('what a monitor saw and did goes with its call, or with its session', async () => {
    const { store, guard, path, folder } = make();
    await plant({ guard });
    const call = entriesOf(path).find((entry) => entry['effect'] === 'allow')?.['call'] as string;
    const host = monitorHost({ store, agent: 'bot', session: 'watch' });
    const seen = (more: object) =>
      host.record({
        kind: 'verdict',
        session: 's1',
        level: 'HALT',
        enforced: 'HALT',
        mode: 'enforce_kill',
        rule: 'r',
        evaluator: 'rules',
        confidence: 1,
        incident: 'i1',
        phase: 'after',
        activity: { path: 'SEEN-path' },
        ...more,
      });
    const done = (verdict: EntryRef) =>
      host.record({ kind: 'containment', session: 'watch', incident: 'i1', event: 'frozen', verdict, details: { path: 'DONE-path' } });
    const ofCall = await seen({ call });
    const frozen = await done(ofCall);
    const ofNobody = await seen({ session: 'watch' });
    await host.halt('s1', 'X');
    const resumed = await guard.halts.resume({ session: 's1' }, alice, { message: 'SAID-this' });
    const byCall = await forgetClearText(store, { calls: [call] });
    expect(byCall.entries.map(({ of }) => of)).toEqual(expect.arrayContaining([ofCall.of, frozen.of]));
    expect(byCall.entries.map(({ of }) => of)).not.toContain(ofNobody.of);
    expect((await forgetClearText(store, { sessions: ['watch'] })).entries.map(({ of }) => of)).toEqual([ofNobody.of]);
    expect((await forgetClearText(store, { sessions: ['s1'] })).entries.map(({ of }) => of)).toContain(resumed.of);
    await guard.close();
    await store.close();
    const files = readdirSync(folder).flatMap((name) =>
      statSync(join(folder, name)).isFile() ? [readFileSync(join(folder, name), 'latin1')] : [],
    );
    for (const text of ['SEEN-path', 'DONE-path', 'SAID-this']) expect(files.some((file) => file.includes(text))).toBe(false);
    expect(await verifyLedger(path, { publicKeys: [vkey] })).toMatchObject({ status: 'valid', problems: [], warnings: [] });
  });

  it('a framework that repeats the call still does not run it twice', async () => {
    const made = make();
    await plant(made);
    const { path, store, guard } = made;
    await forgetClearText(store, { sessions: ['s1'] });
    await guard.close();
    const again = createGuard({
      agent: 'bot',
      policy: definePolicy({ id: 'p', evaluate: () => ({ effect: 'allow' }) }),
      store,
      session: 's1',
    });
    const repeated = again.authorize({ tool: { name: 'read' }, args: { value: ARGS, list: [ARGS] }, id: 'a', turn: '1' });
    expect(await repeated).toMatchObject({ kind: 'refusal', decision: { reasonCode: 'CALL_ALREADY_RUN' } });
    await again.close();
    await store.close();
    expect(path).toBeTruthy();
  });
});

describe('a live ledger', () => {
  it('is cleaned while others write, and they go on', async () => {
    const made = make();
    await plant(made);
    const { folder, path, store, guard } = made;
    const other = openStore({ path, origin: ORIGIN, signer: signerFromPem(privatePem, ORIGIN), stateDirectory: join(folder, 'state') });
    const busy = guardOn(other, { session: 's2' });
    let running = true;
    const writing = (async () => {
      for (let n = 0; running; n++) await busy.run({ tool: { name: 'read' }, args: { n } }, () => n);
    })();
    const forgotten = await forgetClearText(store, { sessions: ['s1'], auditLog: join(folder, 'audit.jsonl') });
    running = false;
    await writing;
    expect(forgotten.file).toBe('rewritten');
    await Promise.all([guard.close(), busy.close()]);
    await other.close();
    await store.close();
    expect(holders(folder, SECRETS)).toEqual([]);
    expect((await verifyLedger(path, { publicKeys: [vkey] })).status).toBe('valid');
  });

  it('says so when a reader holds old pages, and is clean once it is gone', async () => {
    const made = make();
    await plant(made);
    const { folder, path, store, guard } = made;
    const reader = new Sqlite(path, { readonly: true });
    reader.exec('BEGIN');
    reader.prepare('SELECT count(*) FROM entries').get();
    const calls = callsOf(path);
    const held = await forgetClearText(store, { calls, deadlineMs: 50, auditLog: join(folder, 'audit.jsonl') });
    expect(held).toMatchObject({ isComplete: false, log: 'busy' });
    expect(holders(folder, SECRETS).length).toBeGreaterThan(0);
    reader.close();
    await expect(forgetClearText(store, { calls })).rejects.toThrow(refused('ALREADY_FORGOTTEN'));
    expect(holders(folder, SECRETS)).toEqual([]);
    await guard.close();
    await store.close();
  });
});

describe('what is not forgotten', () => {
  it('a call that waits for a person, or was approved and not used yet', async () => {
    const { path, store, guard } = make();
    const call = { tool: { name: 'ask' }, args: { value: ARGS }, id: 'x', turn: '1' };
    const pending = await guard.authorize(call, { approval: 'suspend' });
    const [id = ''] = callsOf(path);
    const ask = entriesOf(path).findIndex(({ effect }) => effect === 'require_approval');
    await expect(forgetClearText(store, { calls: [id] })).rejects.toThrow(refused('FORGET_REFUSED'));
    await expect(forgetClearText(store, { entries: [ask] })).rejects.toThrow(refused('FORGET_REFUSED'));
    if (pending.kind === 'pending') await guard.approvals.resolve(pending.approvalId, { decision: 'approve' }, alice);
    await expect(forgetClearText(store, { calls: [id] })).rejects.toThrow(refused('FORGET_REFUSED'));
    expect(readFileSync(`${path}-wal`).includes(Buffer.from(ARGS))).toBe(true);
    expect(entriesOf(path).some(({ kind }) => kind === 'forget')).toBe(false);
    await guard.close();
    await store.close();
  });

  it('one a person denied is', async () => {
    const { path, store, guard } = make();
    const pending = await guard.authorize({ tool: { name: 'ask' }, args: { value: ARGS } }, { approval: 'suspend' });
    if (pending.kind === 'pending') await guard.approvals.resolve(pending.approvalId, { decision: 'deny' }, alice);
    expect((await forgetClearText(store, { calls: callsOf(path) })).isComplete).toBe(true);
    await guard.close();
    await store.close();
  });

  it('a call that still runs; one whose process died is', async () => {
    const made = make();
    const permit = await made.guard.authorize({ tool: { name: 'read' }, args: { value: ARGS } });
    const calls = callsOf(made.path);
    await expect(forgetClearText(made.store, { calls })).rejects.toThrow(refused('FORGET_REFUSED'));
    expect(permit.kind).toBe('permit');
    await made.guard.close();
    await made.store.close();
    const store = openStore({
      path: made.path,
      origin: ORIGIN,
      signer: signerFromPem(privatePem, ORIGIN),
      stateDirectory: join(made.folder, 'state'),
    });
    expect((await forgetClearText(store, { calls, auditLog: join(made.folder, 'audit.jsonl') })).isComplete).toBe(true);
    await store.close();
    expect(holders(made.folder, [ARGS])).toEqual([]);
    expect(await verifyLedger(made.path, { publicKeys: [vkey], strict: false })).toMatchObject({
      status: 'valid',
      forgotten: 1,
      open_decisions: 1,
    });
  });

  it('nothing, without a code', async () => {
    const made = make();
    await plant(made);
    const { path, store, guard } = made;
    await expect(forgetClearText(store, {})).rejects.toThrow(refused('OPTIONS_INVALID'));
    await expect(forgetClearText(store, { entries: [-1] })).rejects.toThrow(refused('OPTIONS_INVALID'));
    await expect(forgetClearText(store, { calls: ['0'.repeat(32)] })).rejects.toThrow(refused('ENTRY_NOT_FOUND'));
    await expect(forgetClearText(store, { calls: ['call":"'] })).rejects.toThrow(refused('ENTRY_NOT_FOUND'));
    await expect(forgetClearText(store, { sessions: ['nobody'] })).rejects.toThrow(refused('ENTRY_NOT_FOUND'));
    await expect(forgetClearText(store, { entries: [9999] })).rejects.toThrow(refused('ENTRY_NOT_FOUND'));
    const size = entriesOf(path).length;
    await expect(forgetClearText(store, { entries: [0] })).rejects.toThrow(refused('ALREADY_FORGOTTEN'));
    expect(entriesOf(path)).toHaveLength(size);
    await guard.close();
    await store.close();
  });
});

describe('the forget unit', () => {
  it('is stale when the call went on, refuses what the tree does not hold, and works in memory', async () => {
    const store = memoryStore();
    const guard = guardOn(store);
    await guard.run({ tool: { name: 'read' }, args: { a: 1 } }, () => 'ok');
    const call = store.entries().find(({ kind }) => kind === 'decision') as { readonly call: string };
    const head = await store.head();
    const unit = { kind: 'forget', entries: [], calls: [call.call], since: 1 } as const;
    expect(await store.commit(unit)).toEqual({ kind: 'stale' });
    const wrong = { ...unit, calls: [], entries: [{ of: 2, leaf: '0'.repeat(64) }], since: head.size };
    expect(await store.commit(wrong)).toEqual({ kind: 'not-forgettable', why: 'unknown', of: 2 });
    expect(store.openings().size).toBeGreaterThan(0);
    await guard.close();
  });
});
