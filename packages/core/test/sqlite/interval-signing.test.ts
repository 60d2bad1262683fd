/** Signing on an interval: no call waits for the signer, and nothing it did not sign looks signed. */
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { ApprovalRow, Guard, RemoteSigner, Signer } from '../../src/index.ts';
import { canonicalize, commitSection, newOpeningKey } from '../../src/index.ts';
import { formatCheckpoint } from '../../src/ledger/checkpoint.ts';
import { tailMarkingSigner } from '../../src/ledger/deferred-signer.ts';
import { generateKey, signerFromPem } from '../../src/ledger/keys.ts';
import { leafHash } from '../../src/ledger/merkle.ts';
import { type IntervalSigner, openStore, type SqliteStore, type VerifyReport, verifyLedger } from '../../src/sqlite/index.ts';
import { appendForged } from '../fixtures/forged-tail.ts';
import { guardOn, LEDGER_PEM, LEDGER_VKEY, ORIGIN, openLedger, tempDirectory } from '../fixtures/ledger.ts';
import { entriesOf, type Loose } from '../verify/forge.ts';

const KEY = signerFromPem(LEDGER_PEM, ORIGIN);
const KEYS = { publicKeys: [LEDGER_VKEY] };
const NEVER: RemoteSigner = { vkey: LEDGER_VKEY, sign: () => new Promise(() => {}) };

/** A signer that answers at once, or holds what it is asked until the test says so. */
class HandSigner implements RemoteSigner {
  readonly vkey: string = LEDGER_VKEY;
  asked = 0;
  isHeld = true;
  private readonly held: { readonly answer: () => void; readonly fail: () => void }[] = [];

  sign(message: Uint8Array): Promise<Uint8Array> {
    this.asked++;
    if (!this.isHeld) return Promise.resolve(KEY.sign(message));
    return new Promise((resolve, reject) => {
      this.held.push({ answer: () => resolve(KEY.sign(message)), fail: () => reject(new Error('the HSM is away')) });
    });
  }

  get waiting(): number {
    return this.held.length;
  }

  hold(): void {
    this.isHeld = true;
  }

  /** Answers what waits, and from here on at once. */
  release(): void {
    this.isHeld = false;
    for (const each of this.held.splice(0)) each.answer();
  }

  fail(): void {
    for (const each of this.held.splice(0)) each.fail();
  }
}

function opened(path: string, remote: RemoteSigner, more: Partial<IntervalSigner> = {}): { store: SqliteStore; guard: Guard } {
  const store = openStore({ path, origin: ORIGIN, signer: { remote, everyMs: 1, ...more } });
  return { store, guard: guardOn(store) };
}

const newPath = (): string => join(tempDirectory(), 'ledger.db');
const call = (guard: Guard, name = 'read'): Promise<unknown> => guard.run({ tool: { name }, args: {} }, () => name);
const rows = (path: string): { size: number; note: string; keep: string | null }[] => {
  const database = new Sqlite(path, { readonly: true });
  onTestFinished(() => void database.close());
  return database.prepare<[], { size: number; note: string; keep: string | null }>('SELECT * FROM checkpoints ORDER BY size').all();
};
const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise((done) => setImmediate(done));
};
const codes = (report: VerifyReport): readonly string[] => report.problems.map((problem) => problem.code);

describe('signing on an interval', () => {
  it('runs calls while the signer is silent, with one request in flight, and signs the end on closing', async () => {
    const path = newPath();
    const signer = new HandSigner();
    const { store, guard } = opened(path, signer);
    for (let i = 0; i < 5; i++) expect(await call(guard, `read-${i}`)).toBe(`read-${i}`);
    await until(() => signer.waiting > 0);
    for (let i = 0; i < 5; i++) await call(guard, `more-${i}`);
    expect(signer.asked).toBe(1);
    expect(await verifyLedger(path, KEYS)).toMatchObject({ status: 'invalid', problems: [{ code: 'UNSIGNED' }] });
    signer.release();
    await guard.close();
    await store.close();
    expect(await verifyLedger(path, KEYS)).toMatchObject({ status: 'valid', authorship: 'proven', warnings: [] });
    expect(rows(path)).toMatchObject([{ keep: null }]);
  });

  it('keeps the newest signed head beside the unsigned end, and one only', async () => {
    const path = newPath();
    const signer = new HandSigner();
    const { store, guard } = opened(path, signer);
    for (let i = 0; i < 3; i++) {
      signer.release();
      await call(guard, `read-${i}`);
      await until(() => store['open'].log.unsignedTail === 0);
      signer.hold();
      const permit = await guard.authorize({ tool: { name: `held-${i}` }, args: {} });
      // Durable: an outcome that rides would join the end while it is looked at.
      if (permit.kind === 'permit') await permit.settle({ status: 'success' }, { durable: true });
    }
    const kept = rows(path);
    expect(kept.map(({ keep }) => keep)).toEqual(['signed', null]);
    const report = await verifyLedger(path, KEYS);
    const tail = (kept[1]?.size ?? 0) - (kept[0]?.size ?? 0);
    expect(tail).toBeGreaterThan(0);
    expect(report).toMatchObject({
      status: 'unproven',
      integrity: 'intact',
      authorship: 'unchecked',
      signed_to: kept[0]?.size,
      unsigned_tail: tail,
    });
    expect(report.warnings.map(({ code }) => code)).toContain('TAIL_UNSIGNED');
    expect(await verifyLedger(path)).toMatchObject({ status: 'valid', authorship: 'unchecked', unsigned_tail: tail });
    signer.release();
    await guard.close();
    await store.close();
    expect(await verifyLedger(path, KEYS)).toMatchObject({ status: 'valid', authorship: 'proven' });
  });

  it.each<[string, (message: Uint8Array) => unknown]>([
    ['by another key', (message) => signerFromPem(generateKey(ORIGIN).privatePem, ORIGIN).sign(message)],
    ['over something else', () => KEY.sign(Buffer.from('something else'))],
    ['of no bytes', () => new Uint8Array(0)],
    ['that is text', () => 'AAAA'],
    ['that is nothing', () => undefined],
    [
      'that never was: it throws',
      () => {
        throw new Error('no');
      },
    ],
  ])('never stores a signature %s', async (_name, sign) => {
    const path = newPath();
    const errors: Error[] = [];
    // What a signer outside of TypeScript may give.
    const remote = { vkey: LEDGER_VKEY, sign } as unknown as RemoteSigner;
    const { store, guard } = opened(path, remote, { onError: (error) => void errors.push(error) });
    await call(guard);
    await until(() => errors.length >= 2);
    expect(await call(guard, 'again')).toBe('again');
    await guard.close();
    await store.close();
    expect(rows(path).every(({ note }) => !note.includes('\n\n'))).toBe(true);
    expect(codes(await verifyLedger(path, KEYS))).toEqual(['UNSIGNED']);
  });

  it('asks a signer that never answers again, and closes all the same', async () => {
    const path = newPath();
    const errors: Error[] = [];
    const { store, guard } = opened(path, NEVER, { timeoutMs: 5, onError: (error) => void errors.push(error) });
    await call(guard);
    await until(() => errors.length >= 2);
    expect(errors[0]).toMatchObject({ code: 'LEDGER_NOT_SIGNED' });
    await guard.close();
    await store.close();
  });

  it('drops an answer that comes after its time, and asks again', async () => {
    const path = newPath();
    const signer = new HandSigner();
    const errors: Error[] = [];
    const { store, guard } = opened(path, signer, { timeoutMs: 5, onError: (error) => void errors.push(error) });
    await call(guard);
    await until(() => errors.length === 2);
    signer.fail();
    signer.release();
    await until(() => store['open'].log.unsignedTail === 0);
    await guard.close();
    await store.close();
    expect(errors.every((error) => 'code' in error && error.code === 'LEDGER_NOT_SIGNED')).toBe(true);
    expect(await verifyLedger(path, KEYS)).toMatchObject({ status: 'valid', authorship: 'proven' });
  });

  it('refuses calls once entries waited too long, and allows them again', async () => {
    const path = newPath();
    const signer = new HandSigner();
    const { store, guard } = opened(path, signer, { maxLagMs: 1_000 });
    await call(guard);
    await until(() => store['objection']() !== undefined);
    await expect(call(guard, 'late')).rejects.toMatchObject({ code: 'CALL_REFUSED' });
    await expect(store.commit({ kind: 'decide', body: { effect: 'allow' } } as never)).rejects.toMatchObject({ code: 'LEDGER_NOT_SIGNED' });
    signer.release();
    await until(() => store['objection']() === undefined);
    expect(await call(guard, 'again')).toBe('again');
    await guard.close();
    await store.close();
    const names = entriesOf(path).flatMap((entry) => (entry['kind'] === 'decision' ? [(entry['tool'] as Loose)['name']] : []));
    expect(names).toEqual(['read', 'again']);
  });

  it.each<[string, object, string]>([
    ['an interval of nothing', { everyMs: 0 }, 'OPTIONS_INVALID'],
    ['a time that is none', { timeoutMs: Number.NaN }, 'OPTIONS_INVALID'],
    ['a key that is no line', { remote: { ...NEVER, vkey: 'x' } }, 'KEY_INVALID'],
  ])('refuses %s', (_name, options, code) => {
    expect(() => openStore({ path: newPath(), origin: ORIGIN, signer: { remote: NEVER, ...options } })).toThrow(
      expect.objectContaining({ code }),
    );
  });

  it('is not done by a writer on another thread', () => {
    expect(() => openStore({ path: newPath(), origin: ORIGIN, signer: { remote: NEVER }, writer: 'worker' })).toThrow(
      expect.objectContaining({ code: 'OPTIONS_INVALID' }),
    );
  });
});

/** A ledger whose end nobody signed: its writer hung on the signer until it was closed. */
async function withTail(): Promise<string> {
  const path = newPath();
  const signed = opened(path, { vkey: LEDGER_VKEY, sign: async (message) => KEY.sign(message) });
  await call(signed.guard);
  await signed.guard.close();
  await signed.store.close();
  const { store, guard } = opened(path, { vkey: LEDGER_VKEY, sign: () => Promise.reject(new Error('away')) });
  await call(guard, 'unsigned');
  await guard.close();
  await store.close();
  return path;
}

describe('an unsigned end that was left behind', () => {
  it('is told of in an entry before anybody signs over it', async () => {
    const path = await withTail();
    const before = await verifyLedger(path, KEYS);
    expect(before).toMatchObject({ status: 'unproven' });
    const tail = before.unsigned_tail ?? 0;
    const { store, guard } = opened(path, { vkey: LEDGER_VKEY, sign: async (message) => KEY.sign(message) });
    await guard.close();
    await store.close();
    const marks = entriesOf(path).filter((entry) => entry['event'] === 'unsigned-tail');
    expect(marks).toMatchObject([{ kind: 'recovery', from: before.entries - tail, to: before.entries }]);
    const report = await verifyLedger(path, KEYS);
    expect(report).toMatchObject({ status: 'valid', authorship: 'proven', adopted: tail });
    expect(report.warnings.map(({ code }) => code)).toEqual(['TAIL_ADOPTED']);
    expect(await verifyLedger(path, { ...KEYS, strict: true })).toMatchObject({ status: 'unproven' });
  });

  it('is refused by a key that signs every commit, unless it is opened to mark it', async () => {
    const path = await withTail();
    expect(() => openLedger(path)).toThrow(expect.objectContaining({ code: 'KEY_MISMATCH' }));
    expect(() => openLedger(path, { signer: 'none' })).toThrow(expect.objectContaining({ code: 'KEY_MISMATCH' }));
    await openLedger(path, { signer: tailMarkingSigner(KEY) }).close();
    expect(await verifyLedger(path, KEYS)).toMatchObject({ status: 'valid', authorship: 'proven' });
    await openLedger(path).close();
  });

  it('is refused under another key, and when the signed part is not the tree’s', async () => {
    const path = await withTail();
    const other = generateKey(ORIGIN);
    expect(() => opened(path, { ...NEVER, vkey: other.vkey })).toThrow(expect.objectContaining({ code: 'KEY_MISMATCH' }));
    const database = new Sqlite(path);
    const { size, note } = database.prepare(`SELECT size, note FROM checkpoints WHERE keep = 'signed'`).get() as {
      size: number;
      note: string;
    };
    const forged = signed({ size, root: 'ab'.repeat(32) }, KEY);
    database.prepare('UPDATE checkpoints SET note = ? WHERE size = ?').run(forged, size);
    expect(() => opened(path, NEVER)).toThrow(expect.objectContaining({ code: 'LEDGER_CORRUPT' }));
    database.prepare('UPDATE checkpoints SET note = ? WHERE size = ?').run(note.replace(/\n\n.*/s, '\n'), size);
    // Whose ledger it is stands in its first entry; everything in it is told to be unsigned.
    const { store, guard } = opened(path, { vkey: LEDGER_VKEY, sign: async (message) => KEY.sign(message) });
    await guard.close();
    await store.close();
    database.close();
    expect(entriesOf(path).filter((entry) => entry['event'] === 'unsigned-tail')).toMatchObject([{ from: 0 }]);
  });
});

function signed(head: { size: number; root: string }, key: Signer): string {
  const text = formatCheckpoint({ origin: ORIGIN, ...head });
  return `${text}\n— ${ORIGIN} ${Buffer.concat([Buffer.from(key.vkey.split('+')[1] ?? '', 'hex'), key.sign(Buffer.from(text))]).toString('base64')}\n`;
}

describe('entries that somebody without the key put into the file', () => {
  it('are refused where every commit is signed', async () => {
    const path = newPath();
    const store = openLedger(path);
    const guard = guardOn(store);
    await call(guard);
    const last = entriesOf(path).at(-1) as Loose;
    appendForged(path, [
      { kind: 'note', topic: 'forged', data: 1, v: 1, id: 'ab'.repeat(16), at: last['at'] as number, writer: 'cd'.repeat(16) },
    ]);
    await expect(call(guard, 'next')).rejects.toMatchObject({ code: 'CALL_REFUSED' });
    await guard.close().catch(() => undefined);
    await store.close().catch(() => undefined);
  });

  it('are told of before they are signed over, and answer no approval', async () => {
    const path = newPath();
    const sign = async (message: Uint8Array): Promise<Uint8Array> => KEY.sign(message);
    const { store, guard } = opened(path, { vkey: LEDGER_VKEY, sign });
    const asked = { tool: { name: 'ask-refund' }, args: { amount: 1 } };
    const pending = await guard.authorize(asked, { approval: 'suspend' });
    if (pending.kind !== 'pending') throw new Error('it did not ask');
    await until(() => !store['open'].log.unsignedHead());
    const row = await store.approval(pending.approvalId);
    if (row === undefined) throw new Error('no row');
    const forged = forgedAnswer(row, { answer: 'approve' });
    const of = entriesOf(path).length;
    const answers = JSON.stringify([{ of, leaf: leafHash(canonicalize(forged)), approver: 'alice', answer: 'approve' }]);
    appendForged(path, [forged], `UPDATE approvals SET state = 'approved', answers = '${answers}'`);
    const again = await guard.authorize(asked, { approval: 'suspend' });
    expect(again.kind).not.toBe('permit');
    await guard.close();
    await store.close();
    expect(entriesOf(path).filter((entry) => entry['event'] === 'unsigned-tail')).toMatchObject([{ from: of, to: of + 1 }]);
    expect(entriesOf(path).some((entry) => entry['effect'] === 'allow')).toBe(false);
  });

  it('propose no other arguments', async () => {
    const path = newPath();
    const sign = async (message: Uint8Array): Promise<Uint8Array> => KEY.sign(message);
    const { store, guard } = opened(path, { vkey: LEDGER_VKEY, sign });
    const asked = { tool: { name: 'ask-refund' }, args: { amount: 1 }, id: 'f1' };
    const pending = await guard.authorize(asked, { approval: 'suspend' });
    const row = pending.kind === 'pending' ? await store.approval(pending.approvalId) : undefined;
    if (row === undefined) throw new Error('no row');
    await until(() => !store['open'].log.unsignedHead());
    const key = newOpeningKey();
    const args = { amount: 1_000_000 };
    const forged = forgedAnswer(row, { answer: 'deny', args_commit: commitSection(key, 'args', args) });
    const of = entriesOf(path).length;
    const answers = JSON.stringify([{ of, leaf: leafHash(canonicalize(forged)), approver: 'alice', answer: 'deny', edited: true }]);
    const opening = `INSERT INTO openings (seq, key, sections) VALUES (${of}, '${key}', '${canonicalize({ args })}')`;
    appendForged(path, [forged], `UPDATE approvals SET state = 'denied', answers = '${answers}'; ${opening}`);
    for (let again = 0; again < 2; again++) {
      const refused = await guard.authorize(asked, { approval: 'suspend' });
      expect(refused).toMatchObject({ kind: 'refusal', decision: { reasonCode: 'APPROVAL_FORGED' } });
    }
    await guard.close();
    await store.close();
    expect(
      entriesOf(path).some((entry) => entry['effect'] === 'allow' || (entry['effect'] === 'require_approval' && 'edited' in entry)),
    ).toBe(false);
  });

  it('give no grant, whoever wrote them', async () => {
    const path = newPath();
    const before = opened(path, NEVER);
    const ask = (guard: Guard, args: object): ReturnType<Guard['authorize']> =>
      guard.authorize({ tool: { name: 'ask' }, args }, { approval: 'suspend' });
    const pending = await ask(before.guard, {});
    if (pending.kind !== 'pending') throw new Error('it did not ask');
    const grant = { ttlMs: 3_600_000, uses: 5, reason: 'tonight' };
    await before.guard.approvals.resolve(pending.approvalId, { decision: 'approve', grant }, { id: 'alice', method: 'host' });
    // For its own writer it is good: nobody else wrote these entries.
    expect((await ask(before.guard, { a: 1 })).decision.reasonCode).toBe('GRANT_USED');
    await before.guard.close();
    await before.store.close();
    const sign = async (message: Uint8Array): Promise<Uint8Array> => KEY.sign(message);
    const after = opened(path, { vkey: LEDGER_VKEY, sign });
    expect((await ask(after.guard, { a: 2 })).kind).toBe('pending');
    expect(await after.guard.approvals.grants()).toMatchObject([{ state: 'altered' }]);
    await after.guard.close();
    await after.store.close();
  });
});

/** An answer to that ask as whoever can write to the file may add it. */
function forgedAnswer({ id, createdAtMs, agent, session, call: asked, ask, binds, expiresAtMs }: ApprovalRow, said: Loose): Loose {
  return {
    kind: 'approval',
    v: 1,
    id: 'ab'.repeat(16),
    at: createdAtMs,
    writer: 'cd'.repeat(16),
    agent,
    session,
    call: asked,
    approval: id,
    ask: { ...ask },
    approver: { id: 'alice', method: 'host', assurance: 'medium' },
    binds,
    expires_at: expiresAtMs,
    ...said,
  };
}
