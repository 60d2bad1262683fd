import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { parseNote } from '../../src/index.ts';
import { generateKey } from '../../src/ledger/keys.ts';
import { exitCodeOf, type VerifyOptions, verifyLedger } from '../../src/sqlite/index.ts';
import { LEDGER_VKEY, ORIGIN, openLedger, tempDirectory } from '../fixtures/ledger.ts';
import { forged, noteOf, tampered } from './forge.ts';
import { APPROVERS, call, guardOn, writeScenario } from './scenario.ts';

const KEYS: VerifyOptions = { publicKeys: [LEDGER_VKEY], approvers: APPROVERS };
const stranger = generateKey(ORIGIN);
const sha256 = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');

let path: string;
let size: number;
let head: string;
beforeAll(async () => {
  path = (await writeScenario()).path;
  const store = openLedger(path);
  ({ size, note: head } = await store.head());
  await store.close();
});

describe('an honest ledger', () => {
  it('is valid and intact, and proves its author to whoever brings the key', async () => {
    const report = await verifyLedger(path, KEYS);
    expect(report).toMatchObject({
      status: 'valid',
      format: 'countersign-1',
      origin: ORIGIN,
      entries: size,
      integrity: 'intact',
      authorship: 'proven',
      end: 'unproven',
      open_decisions: 1,
      counts: {
        decisions: 24,
        allowed: 14,
        refused: 5,
        asked: 5,
        approvals: 6,
        outcomes: 13,
        sessions: 5,
        policies: 2,
        recoveries: 1,
        others: 2,
      },
      problems: [],
      problem_count: 0,
      warnings: [],
      from: '2026-01-01T00:00:00.000Z',
      to: '2026-01-01T02:00:02.500Z',
    });
    expect(report.counts.decisions).toBe(report.counts.allowed + report.counts.refused + report.counts.asked);
    expect(exitCodeOf(report)).toBe(0);
  });

  it('is valid without keys, and says that nobody checked who signed', async () => {
    expect(await verifyLedger(path)).toMatchObject({ status: 'valid', integrity: 'intact', authorship: 'unchecked' });
  });

  it('says when approver keys were not given', async () => {
    const report = await verifyLedger(path, { publicKeys: [LEDGER_VKEY] });
    expect(report.warnings).toMatchObject([{ entry: 0, code: 'APPROVER_UNCHECKED' }]);
  });

  it('tells when an approver with a key answered without it', async () => {
    for (const name of ['alice', 'Alice', 'ALI\u200bCE ']) {
      const options = { publicKeys: [LEDGER_VKEY], approvers: new Map([...APPROVERS, [name, LEDGER_VKEY]]) };
      const report = await verifyLedger(path, options);
      expect(report).toMatchObject({ status: 'valid', warnings: [{ code: 'APPROVER_METHOD' }] });
      const strict = await verifyLedger(path, { ...options, expectHead: report.root ?? '', strict: true });
      expect(strict).toMatchObject({ status: 'unproven', end: 'proven', authorship: 'proven', problems: [] });
    }
  });

  it('of several full tiles is valid too, while another process writes to it', async () => {
    const busy = join(tempDirectory(), 'busy.db');
    const store = openLedger(busy);
    const guard = guardOn(store, { budgets: [] });
    const running = Array.from({ length: 300 }, (_, i) => guard.run(call('read', { i }), () => i));
    await Promise.all(running);
    expect(await verifyLedger(busy, KEYS)).toMatchObject({ status: 'valid', integrity: 'intact', authorship: 'proven', end: 'unproven' });
    const done: number[] = [];
    const writing = guard.run(call('read'), () => 'ok');
    const report = await verifyLedger(busy, { ...KEYS, onProgress: (count, total) => done.push(count, total) });
    await writing;
    expect(report.status).toBe('valid');
    expect(done.slice(-2)).toEqual([report.entries, report.entries]);
    await guard.close();
    await store.close();
    expect((await verifyLedger(busy, KEYS)).entries).toBeGreaterThan(512);
  });
});

describe('reading changes nothing', () => {
  it('of a closed ledger, and leaves no file behind', async () => {
    const before = sha256(path);
    const files = readdirSync(dirname(path));
    await verifyLedger(path, KEYS);
    expect(sha256(path)).toBe(before);
    expect(readdirSync(dirname(path))).toEqual(files);
  });

  it('of a ledger that is open', async () => {
    const busy = join(tempDirectory(), 'busy.db');
    const store = openLedger(busy);
    const guard = guardOn(store);
    await guard.run(call('read'), () => 'ok');
    await guard.close();
    const before = [sha256(busy), sha256(`${busy}-wal`)];
    expect(await verifyLedger(busy, KEYS)).toMatchObject({ status: 'valid' });
    expect([sha256(busy), sha256(`${busy}-wal`)]).toEqual(before);
    await store.close();
  });
});

describe('authorship', () => {
  it.each([
    ['another key of the same name', [stranger.vkey], 'SIGNATURE_UNKNOWN'],
    ['a key of another name', [generateKey('other').vkey], 'SIGNATURE_UNKNOWN'],
  ])('fails under %s', async (_name, publicKeys, code) => {
    const report = await verifyLedger(path, { publicKeys });
    expect(report).toMatchObject({ status: 'invalid', integrity: 'intact', authorship: 'failed', problems: [{ entry: 0, code }] });
    expect(exitCodeOf(report)).toBe(1);
  });

  it('is proven by any one of several keys', async () => {
    expect(await verifyLedger(path, { publicKeys: [stranger.vkey, LEDGER_VKEY] })).toMatchObject({ authorship: 'proven', status: 'valid' });
  });

  it('fails when a signature claims the key and is not by it', async () => {
    const changed = tampered(path, (database) => {
      const { note } = database.prepare('SELECT note FROM checkpoints').get() as { note: string };
      const [line] = parseNote(note).signatures;
      const bytes = Buffer.concat([Buffer.from(line?.keyId ?? '', 'hex'), Buffer.alloc(64, 7)]);
      database.prepare('UPDATE checkpoints SET note = ?').run(note.replace(/\S+\n$/, `${bytes.toString('base64')}\n`));
    });
    expect(await verifyLedger(changed, KEYS)).toMatchObject({
      status: 'invalid',
      authorship: 'failed',
      problems: [{ code: 'SIGNATURE_INVALID' }],
    });
  });

  it('of an unsigned ledger is `unsigned`, and `failed` for whoever brings a key', async () => {
    const unsigned = (await writeScenario({ signer: 'none' })).path;
    expect(await verifyLedger(unsigned)).toMatchObject({ status: 'valid', integrity: 'intact', authorship: 'unsigned' });
    expect(await verifyLedger(unsigned, KEYS)).toMatchObject({ status: 'invalid', authorship: 'failed', problems: [{ code: 'UNSIGNED' }] });
    const strict = await verifyLedger(unsigned, { strict: true });
    expect(strict.status).toBe('unproven');
    expect(exitCodeOf(strict)).toBe(3);
  });

  it('is never taken from a key inside the ledger', async () => {
    const replaced = forged(
      path,
      (entries) => {
        for (const entry of entries) if (entry['kind'] === 'key') entry['vkey'] = stranger.vkey;
      },
      { pem: stranger.privatePem },
    );
    expect(await verifyLedger(replaced)).toMatchObject({ status: 'valid', authorship: 'unchecked' });
    expect(await verifyLedger(replaced, KEYS)).toMatchObject({ status: 'invalid', authorship: 'failed' });
  });

  it('tells when the signing key is not the announced one', async () => {
    const replaced = forged(path, () => undefined, { pem: stranger.privatePem });
    expect((await verifyLedger(replaced, { approvers: APPROVERS })).warnings).toMatchObject([{ code: 'KEY_NOT_ANNOUNCED' }]);
  });
});

describe('the end', () => {
  const cut = (count: number): string => forged(path, (entries) => entries.slice(0, -count));

  it('is proven by a checkpoint kept elsewhere', async () => {
    expect(await verifyLedger(path, { ...KEYS, against: head, strict: true })).toMatchObject({
      status: 'valid',
      end: 'proven',
      warnings: [],
    });
  });

  it('is proven up to an older checkpoint, and says what follows it', async () => {
    const older = forged(path, (entries) => entries.slice(0, 20));
    const { root = '' } = await verifyLedger(older);
    const report = await verifyLedger(path, { ...KEYS, against: noteOf({ size: 20, root }) });
    expect(report).toMatchObject({ status: 'valid', end: 'proven', warnings: [{ code: 'END_BEYOND_HEAD' }] });
  });

  it.each([1, 7, 40])('of a ledger without its last %i entries is contradicted only by who knows better', async (count) => {
    const short = cut(count);
    expect(await verifyLedger(short, KEYS)).toMatchObject({ status: 'valid', authorship: 'proven', end: 'unproven' });
    const report = await verifyLedger(short, { ...KEYS, against: head });
    expect(report).toMatchObject({ status: 'invalid', end: 'contradicted', problems: [{ entry: 0, code: 'AGAINST_TRUNCATED' }] });
    expect(report.problems[0]?.message).toContain(`${count} are missing`);
    expect(await verifyLedger(short, { expectSize: size })).toMatchObject({
      end: 'contradicted',
      problems: [{ code: 'EXPECT_TRUNCATED' }],
    });
  });

  it('of a rewritten ledger of the same length is contradicted', async () => {
    const rewritten = forged(path, (entries) => {
      for (const entry of entries) if (entry['kind'] === 'outcome') entry['duration_ms'] = 99_999;
    });
    expect(await verifyLedger(rewritten, { ...KEYS, against: head })).toMatchObject({
      status: 'invalid',
      end: 'contradicted',
      problems: [{ code: 'AGAINST_FORKED' }],
    });
  });

  it('takes size and root from elsewhere', async () => {
    const { root = '' } = await verifyLedger(path);
    const base64 = Buffer.from(root, 'hex').toString('base64');
    for (const options of [{ expectSize: size }, { expectHead: root }, { expectHead: base64 }, { expectSize: size, expectHead: root }]) {
      expect(await verifyLedger(path, options)).toMatchObject({ status: 'valid', end: 'proven' });
    }
    expect(await verifyLedger(path, { expectHead: '0'.repeat(64) })).toMatchObject({
      status: 'invalid',
      end: 'contradicted',
      problems: [{ code: 'EXPECT_FORKED' }],
    });
    expect(await verifyLedger(path, { expectSize: size - 1, expectHead: root })).toMatchObject({ end: 'contradicted' });
  });

  it.each([
    ['of another log', () => noteOf({ size: 1, root: '0'.repeat(64) }, { origin: 'other.example' }), 'AGAINST_ORIGIN'],
    ['signed by a stranger', () => noteOf({ size: 1, root: '0'.repeat(64) }, { pem: stranger.privatePem }), 'AGAINST_SIGNATURE'],
    ['not signed', () => noteOf({ size: 1, root: '0'.repeat(64) }, { pem: 'none' }), 'AGAINST_SIGNATURE'],
  ])('is not proven by a checkpoint %s', async (_name, note, code) => {
    expect(await verifyLedger(path, { ...KEYS, against: note() })).toMatchObject({
      status: 'invalid',
      end: 'unproven',
      problems: [{ code }],
    });
  });

  it('under `strict` must be shown', async () => {
    expect(await verifyLedger(path, { ...KEYS, strict: true })).toMatchObject({ status: 'unproven', end: 'unproven' });
    expect(await verifyLedger(path, { against: head, strict: true })).toMatchObject({ status: 'unproven', authorship: 'unchecked' });
    expect(await verifyLedger(path, { publicKeys: [LEDGER_VKEY], against: head, strict: true })).toMatchObject({ status: 'unproven' });
  });
});

describe('options', () => {
  it.each([
    ['a malformed key', { publicKeys: ['x'] }, 'KEY_INVALID'],
    ['a malformed approver key', { approvers: new Map([['a', 'x']]) }, 'KEY_INVALID'],
    ['a text that is no checkpoint', { against: 'hello' }, 'CHECKPOINT_INVALID'],
    ['a note that is no note', { against: 'a\n1\nx\n\nno signature\n' }, 'NOTE_INVALID'],
    ['a negative size', { expectSize: -1 }, 'OPTIONS_INVALID'],
    ['a head that is no root', { expectHead: 'abc' }, 'OPTIONS_INVALID'],
  ])('refuses %s', async (_name, options, code) => {
    await expect(verifyLedger(path, options)).rejects.toMatchObject({ code });
  });
});

it('an empty ledger is readable and proves nothing', async () => {
  const empty = join(tempDirectory(), 'empty.db');
  await openLedger(empty, { signer: 'none' }).close();
  const report = await verifyLedger(empty);
  expect(report).toMatchObject({ status: 'unproven', entries: 0, integrity: 'unknown', problems: [] });
  expect(exitCodeOf(report)).toBe(3);
  expect(await verifyLedger(empty, { against: noteOf({ size: 3, root: '0'.repeat(64) }) })).toMatchObject({
    status: 'invalid',
    end: 'contradicted',
  });
});

it('an end is proven only when everything the caller knows agrees', async () => {
  const { path } = await writeScenario();
  const { entries } = await verifyLedger(path);
  const other = noteOf({ size: entries, root: 'ab'.repeat(32) }, { origin: 'other.example/log' });
  expect(await verifyLedger(path, { expectSize: entries })).toMatchObject({ end: 'proven' });
  expect(await verifyLedger(path, { expectSize: entries, against: other })).toMatchObject({ status: 'invalid', end: 'unproven' });
});
