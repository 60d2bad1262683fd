import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { generateKey } from '../../src/ledger/keys.ts';
import { type VerifyReport, verifyLedger } from '../../src/sqlite/index.ts';
import { SourceRows } from '../../src/sqlite/source-rows.ts';
import type { SourceRow } from '../../src/verify/source.ts';
import { LEDGER_VKEY, openLedger, tempDirectory } from '../fixtures/ledger.ts';
import { entriesOf, forged, type Loose, noteOf, tampered } from './forge.ts';
import { APPROVERS, call, guardOn, writeScenario } from './scenario.ts';

const OPTIONS = { publicKeys: [LEDGER_VKEY], approvers: APPROVERS };

let path: string;
let size: number;
/** Signed checkpoints by size. */
const notes = new Map<number, string>();
beforeAll(async () => {
  path = (await writeScenario()).path;
  size = entriesOf(path).length;
  for (let at = 1; at <= size; at++) {
    const { root = '' } = await verifyLedger(forged(path, (entries) => entries.slice(0, at)));
    notes.set(at, noteOf({ size: at, root }));
  }
});

const since = async (file: string, at: number, more = {}): Promise<VerifyReport> =>
  verifyLedger(file, { ...OPTIONS, since: notes.get(at) ?? '', ...more });

describe('only what follows a checkpoint', () => {
  it('is read, from every size on, and an honest ledger stays valid', async () => {
    const full = await verifyLedger(path, OPTIONS);
    for (let at = 1; at <= size; at++) {
      const report = await since(path, at);
      expect(report, `since ${at}`).toMatchObject({
        status: 'valid',
        integrity: 'intact',
        authorship: 'proven',
        entries: size,
        since: { size: at },
        root: full.root,
        problem_count: 0,
        warnings: [],
      });
      const told = Object.values(report.counts).reduce((sum, count) => sum + count, 0);
      expect(told).toBeLessThanOrEqual(size - at + report.counts.decisions);
    }
    expect(full).not.toHaveProperty('since');
  });

  it('also under an older checkpoint, or a size and root, known from elsewhere', async () => {
    expect(await since(path, 30, { against: notes.get(20) })).toMatchObject({ status: 'valid', end: 'proven', since: { size: 30 } });
    expect(await since(path, 30, { against: notes.get(size), strict: true })).toMatchObject({ status: 'valid', end: 'proven' });
    const other = noteOf({ size: 20, root: '1'.repeat(64) });
    expect(await since(path, 30, { against: other })).toMatchObject({ status: 'unproven', end: 'unproven' });
  });

  it('is all that is read of a larger ledger', async () => {
    const large = join(tempDirectory(), 'large.db');
    const store = openLedger(large);
    const guard = guardOn(store, { budgets: [] });
    await Promise.all(Array.from({ length: 400 }, async (_, i) => guard.run(call('read', { i }), () => i)));
    await guard.close();
    const { note, size: before } = await store.head();
    const later = guardOn(store, { budgets: [] });
    await later.run(call('read'), () => 'ok');
    await later.close();
    const after = (await store.head()).size;
    await store.close();
    let rows = 0;
    const original = Reflect.get(SourceRows.prototype, 'chunks') as (
      this: SourceRows,
      from: number,
      to: number,
    ) => Iterable<readonly SourceRow[]>;
    const chunks = vi.spyOn(SourceRows.prototype, 'chunks').mockImplementation(function* (this: SourceRows, from, to) {
      for (const chunk of original.call(this, from, to)) {
        rows += chunk.length;
        yield chunk;
      }
    });
    const report = await verifyLedger(large, { ...OPTIONS, since: note });
    chunks.mockRestore();
    expect(report).toMatchObject({ status: 'valid', since: { size: before }, entries: after });
    // The new ones, and the last of the old ones for its time.
    expect(rows).toBe(after - before + 1);
  });
});

describe('what is wrong after the checkpoint is found', () => {
  const changes: readonly [string, string, (entry: Loose, entries: readonly Loose[]) => void, (entry: Loose) => boolean][] = [
    ['OUTCOME_MISMATCH', 'an outcome of another call', (entry) => void (entry['call'] = '0'.repeat(32)), ({ kind }) => kind === 'outcome'],
    ['ENTRY_SHAPE', 'a shape', (entry) => void delete entry['topic'], ({ kind }) => kind === 'note'],
    [
      'APPROVAL_MISMATCH',
      'an answer that binds something else',
      (entry) => void (entry['binds'] = '0'.repeat(64)),
      ({ kind }) => kind === 'approval',
    ],
    [
      'BINDING_MISMATCH',
      'an allow bound to something else',
      (entry) => void (entry['binds'] = '0'.repeat(64)),
      (entry) => entry['effect'] === 'allow' && 'approval' in entry,
    ],
  ];
  it.each(changes)('%s: %s, also when what it names stands before', async (code, _name, change, test) => {
    for (let nth = 0; nth < 3; nth++) {
      let at = -1;
      const changed = forged(path, (entries) => {
        const found = entries.filter(test)[nth];
        if (found === undefined) return;
        at = entries.indexOf(found);
        change(found, entries);
      });
      if (at < 1) continue;
      // Everything before the changed entry is as it was, so is its checkpoint.
      const report = await since(changed, at);
      expect(report).toMatchObject({ status: 'invalid', integrity: 'intact', since: { size: at } });
      expect(report.problems.map((problem) => problem.code)).toContain(code);
    }
  });

  it('OUTCOME_AFTER_DENY and OUTCOME_WITHOUT_DECISION of old entries', async () => {
    for (const [kind, code] of [
      ['deny', 'OUTCOME_AFTER_DENY'],
      ['policy', 'OUTCOME_WITHOUT_DECISION'],
    ] as const) {
      let at = 0;
      const changed = forged(path, (entries) => {
        const last = entries.findLastIndex((entry) => entry['kind'] === 'outcome');
        const of = entries.findIndex((entry) => entry['effect'] === kind || entry['kind'] === kind);
        at = last;
        (entries[last] as Loose)['decision'] = { of, leaf: '0'.repeat(64) };
      });
      expect((await since(changed, at)).problems.map((problem) => problem.code)).toContain(code);
    }
  });
});

it('an answer to an old entry that asked for nothing is noticed, since that entry is read', async () => {
  const entries = entriesOf(path);
  const at = entries.findLastIndex(({ kind }) => kind === 'approval');
  const changed = forged(path, (all) => {
    const of = all.findIndex((entry) => entry['effect'] === 'deny');
    (all[at] as Loose)['ask'] = { of, leaf: '0'.repeat(64) };
  });
  // Only the ask itself lies before: it is not what the answer names any more.
  expect((await since(changed, at)).problems).toContainEqual(expect.objectContaining({ entry: at + 1, code: 'APPROVAL_WITHOUT_ASK' }));
});

describe('a start that is not this ledger’s', () => {
  const stranger = generateKey('test.example/ledger');
  it.each<[string, () => string, string]>([
    ['of other entries', () => noteOf({ size: 20, root: '1'.repeat(64) }), 'SINCE_FORKED'],
    ['of more entries', () => noteOf({ size: 5000, root: '1'.repeat(64) }), 'SINCE_TRUNCATED'],
    ['of another log', () => noteOf({ size: 20, root: '1'.repeat(64) }, { origin: 'other.example' }), 'SINCE_ORIGIN'],
    ['signed by a stranger', () => noteOf({ size: 20, root: '1'.repeat(64) }, { pem: stranger.privatePem }), 'SINCE_SIGNATURE'],
    ['that is not signed', () => noteOf({ size: 20, root: '1'.repeat(64) }, { pem: 'none' }), 'SINCE_SIGNATURE'],
  ])('%s is told, and everything is read', async (_name, note, code) => {
    const report = await verifyLedger(path, { ...OPTIONS, since: note() });
    expect(report).toMatchObject({ status: 'invalid', entries: size });
    expect(report).not.toHaveProperty('since');
    expect(report.problems.map((problem) => problem.code)).toContain(code);
    expect(report.warnings.map((warning) => warning.code)).toContain('SINCE_READ_ALL');
  });

  it('is told with the key that it says signed it, as a checkpoint to compare with is', async () => {
    const note = noteOf({ size: 20, root: '1'.repeat(64) }, { pem: stranger.privatePem });
    const says = `by test.example/ledger+${stranger.vkey.split('+')[1]}. Where the key was rotated`;
    for (const given of [{ since: note }, { against: note }]) {
      const { problems } = await verifyLedger(path, { ...OPTIONS, ...given });
      expect(problems[0]?.message).toContain(says);
    }
    const { problems } = await verifyLedger(path, { ...OPTIONS, publicKeys: [stranger.vkey] });
    expect(problems[0]).toMatchObject({ code: 'SIGNATURE_UNKNOWN', message: expect.stringContaining(`by test.example/ledger+`) });
  });

  it('rewritten before the checkpoint and signed anew is found', async () => {
    const rewritten = forged(path, (entries) => void ((entries[5] as Loose)['at'] = (entries[5] as Loose)['at'] as number));
    expect(await since(rewritten, 20)).toMatchObject({ status: 'valid' });
    const other = forged(path, (entries) => void ((entries.find(({ kind }) => kind === 'outcome') as Loose)['duration_ms'] = 77_777));
    const report = await since(other, 20);
    expect(report.problems.map((problem) => problem.code)).toContain('SINCE_FORKED');
  });

  it('an old entry that a new one names must be the one that was covered', async () => {
    // The outcome of the call that was left open would come now.
    const entries = entriesOf(path);
    const outcomeAt = entries.findLastIndex(({ kind }) => kind === 'outcome');
    const of = ((entries[outcomeAt] as Loose)['decision'] as Loose)['of'] as number;
    expect(of).toBe(outcomeAt - 1);
    const changed = tampered(path, (database) => {
      database.prepare(`UPDATE entries SET body = replace(body, '"mode"', '"mOde"') WHERE seq = ?`).run(of);
    });
    const report = await since(changed, outcomeAt);
    expect(report).toMatchObject({ status: 'invalid' });
    expect(report.problems).toContainEqual(expect.objectContaining({ entry: of + 1, code: 'ENTRY_CHANGED' }));
  });

  it('tiles that were changed or removed cost time, and nothing else', async () => {
    const large = join(tempDirectory(), 'large.db');
    const store = openLedger(large);
    const guard = guardOn(store, { budgets: [] });
    await Promise.all(Array.from({ length: 200 }, async (_, i) => guard.run(call('read', { i }), () => i)));
    await guard.close();
    const { note } = await store.head();
    await store.close();
    expect(await verifyLedger(large, { ...OPTIONS, since: note })).toMatchObject({
      status: 'valid',
      since: { size: entriesOf(large).length },
    });
    for (const sql of [
      `UPDATE tiles SET hashes = zeroblob(8192), root = '${'0'.repeat(64)}'`,
      'DELETE FROM tiles',
      `UPDATE tiles SET hashes = x'00'`,
    ]) {
      const changed = tampered(large, (database) => database.exec(sql));
      const report = await verifyLedger(changed, { ...OPTIONS, since: note });
      expect(report.integrity).toBe('intact');
      expect(report.entries).toBe(entriesOf(large).length);
    }
  });
});

it('the options must be a checkpoint, and of a ledger that has some', async () => {
  await expect(verifyLedger(path, { since: 'hello' })).rejects.toMatchObject({ code: 'CHECKPOINT_INVALID' });
  const other = join(tempDirectory(), 'old.db');
  new Sqlite(other).exec('CREATE TABLE ledger (entry_json TEXT, entry_hash TEXT, prev_entry_hash TEXT)').close();
  await expect(verifyLedger(other, { since: notes.get(20) ?? '' })).rejects.toMatchObject({ code: 'OPTIONS_INVALID' });
});
