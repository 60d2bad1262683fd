/** A check of what is new says of an honest ledger what a full check says, or less; never that it is wrong. */
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import type { RemoteSigner, Signer } from '../../src/index.ts';
import { generateKey, signerFromPem } from '../../src/ledger/keys.ts';
import { CompactRange, leafHash } from '../../src/ledger/merkle.ts';
import { forgetClearText, openStore, rotateKey, type VerifyOptions, type VerifyReport, verifyLedger } from '../../src/sqlite/index.ts';
import { LEDGER_PEM, LEDGER_VKEY, ORIGIN, openLedger, tempDirectory } from '../fixtures/ledger.ts';
import { entriesOf, noteOf } from './forge.ts';
import { APPROVERS, call, guardOn, writeScenario } from './scenario.ts';

const KEY = signerFromPem(LEDGER_PEM, ORIGIN);
const SECOND_PEM = generateKey(ORIGIN).privatePem;
const THIRD_PEM = generateKey(ORIGIN).privatePem;
const SECOND = signerFromPem(SECOND_PEM, ORIGIN);
const THIRD = signerFromPem(THIRD_PEM, ORIGIN);

const newPath = (): string => join(tempDirectory(), 'ledger.db');

async function callsOn(path: string, signer: Signer, session: string, count = 3): Promise<void> {
  const store = openStore({ path, origin: ORIGIN, signer });
  const guard = guardOn(store, { session, budgets: [] });
  for (let i = 0; i < count; i++) await guard.run(call('read', { session, i }), () => i);
  await guard.close();
  await store.close();
}

/** Its signer answers until it is told to be silent: then the end stays unsigned. */
async function intervalSigned(path = newPath()): Promise<string> {
  let isSilent = false;
  const remote: RemoteSigner = {
    vkey: LEDGER_VKEY,
    sign: async (message) => (isSilent ? new Promise<Uint8Array>(() => {}) : KEY.sign(message)),
  };
  const store = openStore({ path, origin: ORIGIN, signer: { remote, everyMs: 1, timeoutMs: 50 } });
  const guard = guardOn(store, { budgets: [] });
  for (let i = 0; i < 4; i++) await guard.run(call('read', { i }), () => i);
  while (store['open'].log.unsignedTail > 0) await new Promise((done) => setImmediate(done));
  isSilent = true;
  for (let i = 0; i < 4; i++) await guard.run(call('late', { i }), () => i);
  await guard.close();
  await store.close();
  return path;
}

async function rotated(): Promise<string> {
  const path = newPath();
  await callsOn(path, KEY, 'one');
  rotateKey({ path, origin: ORIGIN, signer: KEY, next: SECOND });
  await callsOn(path, SECOND, 'two');
  rotateKey({ path, origin: ORIGIN, signer: SECOND, next: THIRD });
  await callsOn(path, THIRD, 'three');
  return path;
}

async function forgotten(): Promise<string> {
  const path = newPath();
  const store = openLedger(path);
  const guard = guardOn(store, { budgets: [] });
  for (const id of ['a', 'b', 'c']) await guard.run(call('read', { secret: id }, { id, turn: '1' }), () => id);
  const calls = entriesOf(path).flatMap(({ kind, call: id }) => (kind === 'decision' && typeof id === 'string' ? [id] : []));
  await forgetClearText(store, { calls: calls.slice(0, 1) });
  await guard.run(call('read', { after: true }), () => 'ok');
  await forgetClearText(store, { calls: calls.slice(2, 3) });
  await guard.run(call('read', { after: true }), () => 'ok');
  await guard.close();
  await store.close();
  return path;
}

function rootsOf(path: string): readonly string[] {
  const database = new Sqlite(path, { readonly: true });
  const tree = new CompactRange();
  const bodies = database.prepare<[], string>('SELECT body FROM entries ORDER BY seq').pluck().all();
  database.close();
  return bodies.map((body) => {
    tree.push(leafHash(body));
    return tree.root();
  });
}

const STATUS = ['invalid', 'unproven', 'valid'] as const;
const AUTHORSHIP = ['failed', 'unsigned', 'unchecked', 'proven'] as const;
const rank = (all: readonly string[], one: string): number => all.indexOf(one);

/** Every start of the ledger, signed by each of the keys: somebody kept the checkpoint when it was the newest. */
async function compare(path: string, pems: readonly string[], options: VerifyOptions): Promise<readonly VerifyReport[]> {
  const full = await verifyLedger(path, options);
  expect(full.problems).toEqual([]);
  const reports: VerifyReport[] = [];
  for (const [index, root] of rootsOf(path).entries()) {
    for (const pem of pems) {
      const report = await verifyLedger(path, { ...options, since: noteOf({ size: index + 1, root }, { pem }) });
      const what = `since ${index + 1}: ${JSON.stringify(report.problems)}`;
      expect(report.problems, what).toEqual([]);
      expect(report, what).toMatchObject({ integrity: full.integrity, entries: full.entries, root: full.root, since: { size: index + 1 } });
      expect(rank(STATUS, report.status), what).toBeLessThanOrEqual(rank(STATUS, full.status));
      expect(rank(AUTHORSHIP, report.authorship), what).toBeLessThanOrEqual(rank(AUTHORSHIP, full.authorship));
      expect(report.signed_to, what).toBe(full.signed_to);
      expect(report.unsigned_tail, what).toBe(full.unsigned_tail);
      const fullCodes = new Set(full.warnings.map(({ code }) => code));
      for (const { code } of report.warnings) expect(fullCodes, what).toContain(code);
      reports.push(report);
    }
  }
  return reports;
}

describe('since every size of an honest ledger', () => {
  const given: VerifyOptions = { publicKeys: [LEDGER_VKEY], approvers: APPROVERS };

  it('of all kinds of entries', async () => {
    const { path } = await writeScenario();
    for (const options of [given, { approvers: APPROVERS }, {}, { ...given, strict: true }]) await compare(path, [LEDGER_PEM], options);
  });

  it('signed on an interval, also where the newest signature lies before the start', async () => {
    const path = await intervalSigned();
    const full = await verifyLedger(path, given);
    expect(full).toMatchObject({ status: 'unproven', authorship: 'unchecked' });
    expect(full.unsigned_tail).toBeGreaterThan(2);
    for (const options of [given, {}, { ...given, strict: true }]) await compare(path, [LEDGER_PEM], options);
  });

  it('whose key was rotated twice, under every key or the first alone', async () => {
    const path = await rotated();
    const keys = [LEDGER_VKEY, SECOND.vkey, THIRD.vkey];
    await compare(path, [LEDGER_PEM, SECOND_PEM, THIRD_PEM], { publicKeys: keys });
    const reports = await compare(path, [LEDGER_PEM], { publicKeys: [LEDGER_VKEY] });
    for (const report of reports) {
      expect(report.status).toBe('unproven');
      expect(report.warnings.map(({ code }) => code)).toContain('KEY_ROTATED');
    }
    await compare(path, [SECOND_PEM], { publicKeys: [SECOND.vkey] });
    await compare(path, [THIRD_PEM], { publicKeys: [THIRD.vkey] });
  });

  it('in which clear text was forgotten', async () => {
    const path = await forgotten();
    const full = await verifyLedger(path, given);
    expect(full.forgotten).toBeGreaterThan(2);
    for (const options of [given, {}, { ...given, strict: true }]) {
      for (const report of await compare(path, [LEDGER_PEM], options)) expect(report.forgotten).toBeLessThanOrEqual(full.forgotten);
    }
  });
});

it('a signed checkpoint of another tree below the start counts for nothing', async () => {
  const path = await intervalSigned();
  const roots = rootsOf(path);
  const database = new Sqlite(path);
  const { size } = database.prepare(`SELECT size FROM checkpoints WHERE keep = 'signed'`).get() as { size: number };
  // Of a fork that the same key signed once: all that stands in this tree was signed by nobody then.
  const fork = noteOf({ size, root: 'ab'.repeat(32) });
  database.prepare(`UPDATE checkpoints SET note = ? WHERE keep = 'signed'`).run(fork);
  database.close();
  const since = noteOf({ size: size + 1, root: roots[size] as string });
  const report = await verifyLedger(path, { publicKeys: [LEDGER_VKEY], since });
  expect(report.status).not.toBe('valid');
  expect(report.signed_to).toBeUndefined();
});
