import { beforeAll, describe, expect, it } from 'vitest';
import { formatCheckpoint } from '../../src/ledger/checkpoint.ts';
import { leafHash } from '../../src/ledger/merkle.ts';
import type { VerifyReport } from '../../src/sqlite/index.ts';
import { LEDGER_VKEY, ORIGIN, openLedger, tempDirectory } from '../fixtures/ledger.ts';
import { verifyLedger } from './both.ts';
import { entriesOf, forged, noteOf, tampered } from './forge.ts';
import { APPROVERS, call, guardOn, writeScenario } from './scenario.ts';

const OPTIONS = { publicKeys: [LEDGER_VKEY], approvers: APPROVERS };

let path: string;
let size: number;
beforeAll(async () => {
  path = (await writeScenario()).path;
  size = entriesOf(path).length;
});

/** Broken bytes: authorship of what is here is not proven by a good signature over something else. */
async function expectBroken(changed: string, ...problems: readonly { entry: number; code: string }[]): Promise<VerifyReport> {
  const report = await verifyLedger(changed, OPTIONS);
  expect(report).toMatchObject({ status: 'invalid', integrity: 'broken', authorship: 'failed' });
  expect(report.problems.slice(0, problems.length)).toMatchObject(problems);
  return report;
}

describe('one changed byte', () => {
  it('names the entry, wherever the byte is', async () => {
    for (let seq = 0; seq < size; seq++) {
      const length = JSON.stringify(entriesOf(path)[seq]).length;
      for (const at of [0, 1 + ((seq * 7919) % (length - 2)), length - 1]) {
        const changed = tampered(path, (database) => {
          const body = database
            .prepare<[number], Buffer>('SELECT CAST(body AS BLOB) FROM entries WHERE seq = ?')
            .pluck()
            .get(seq) as Buffer;
          body[at] = (body[at] as number) ^ 0x01;
          database.prepare('UPDATE entries SET body = CAST(? AS TEXT) WHERE seq = ?').run(body, seq);
        });
        const report = await verifyLedger(changed, OPTIONS);
        expect(report, `byte ${at} of entry ${seq + 1}`).toMatchObject({
          status: 'invalid',
          integrity: 'broken',
          authorship: 'failed',
          problems: [{ entry: seq + 1, code: 'ENTRY_CHANGED' }],
          problem_count: 1,
        });
      }
    }
  });

  it('that makes invalid UTF-8 look the same when it is read is noticed', async () => {
    const note = entriesOf(path).findIndex(({ kind }) => kind === 'note');
    const changed = tampered(path, (database) => {
      const body = database.prepare<[number], Buffer>('SELECT CAST(body AS BLOB) FROM entries WHERE seq = ?').pluck().get(note) as Buffer;
      const at = body.indexOf('\ufffd');
      // A truncated sequence of three bytes decodes to the one replacement character that was there.
      Buffer.from([0xf0, 0x9f, 0x98]).copy(body, at);
      expect(leafHash(body.toString())).toBe(database.prepare('SELECT leaf FROM entries WHERE seq = ?').pluck().get(note));
      database.prepare('UPDATE entries SET body = CAST(? AS TEXT) WHERE seq = ?').run(body, note);
    });
    await expectBroken(changed, { entry: note + 1, code: 'ENTRY_CHANGED' });
  });

  it('and the hash beside it is named by what others remember of the entry, or by a range', async () => {
    const changes = entriesOf(path).map((entry, seq) => ({ seq, text: JSON.stringify({ ...entry, at: (entry['at'] as number) + 1 }) }));
    let named = 0;
    for (const { seq, text } of changes) {
      const changed = tampered(path, (database) =>
        database.prepare('UPDATE entries SET body = ?, leaf = ? WHERE seq = ?').run(text, leafHash(text), seq),
      );
      const report = await verifyLedger(changed, OPTIONS);
      expect(report).toMatchObject({ status: 'invalid', integrity: 'broken' });
      expect(report.problems.map(({ code }) => code)).toContain('ROOT_MISMATCH');
      const blamed = report.problems.filter(({ code }) => code === 'ENTRY_CHANGED').map(({ entry }) => entry);
      expect([[], [seq + 1]]).toContainEqual(blamed);
      named += blamed.length;
    }
    // Decisions, outcomes, asks, answers and policies are remembered elsewhere.
    expect(named).toBeGreaterThan(size / 2);
  });
});

describe('rows', () => {
  it.each<[string, string, number, string]>([
    ['removed inside', 'DELETE FROM entries WHERE seq = 9', 10, 'ENTRY_MISSING'],
    ['removed at the start', 'DELETE FROM entries WHERE seq = 0', 1, 'ENTRY_MISSING'],
    ['removed at the end', 'DELETE FROM entries WHERE seq > 50', 0, 'LEDGER_TRUNCATED'],
    ['all removed', 'DELETE FROM entries', 0, 'LEDGER_TRUNCATED'],
    ['added at the end', `INSERT INTO entries SELECT seq + 1, leaf, body FROM entries ORDER BY seq DESC LIMIT 1`, 0, 'ENTRY_NOT_COVERED'],
    ['with a body too large', `UPDATE entries SET body = printf('%.*c', 1048577, 'x') WHERE seq = 4`, 5, 'ENTRY_UNREADABLE'],
    ['far apart', 'UPDATE entries SET seq = 9007199254740990 WHERE seq = 58', 59, 'ENTRY_MISSING'],
    ['too far apart', 'UPDATE entries SET seq = 9007199254740990 WHERE seq = 58', 0, 'READING_STOPPED'],
  ])('%s are noticed', async (_name, sql, entry, code) => {
    const changed = tampered(path, (database) => database.exec(sql));
    const report = await verifyLedger(changed, OPTIONS);
    expect(report).toMatchObject({ status: 'invalid', integrity: 'broken', authorship: 'failed' });
    const place = code === 'ENTRY_NOT_COVERED' ? size + 1 : entry;
    expect(report.problems).toContainEqual(expect.objectContaining({ entry: place, code }));
  });

  it('before the first position are noticed', async () => {
    const changed = tampered(path, (database) => database.exec('INSERT INTO entries SELECT -1, leaf, body FROM entries WHERE seq = 3'));
    expect(await verifyLedger(changed, OPTIONS)).toMatchObject({ status: 'invalid', problems: [{ code: 'ENTRY_MISPLACED' }] });
  });

  it('exchanged are both named', async () => {
    const changed = tampered(path, (database) => {
      const [a, b] = [11, 23].map((seq) => database.prepare('SELECT body FROM entries WHERE seq = ?').pluck().get(seq));
      database.prepare('UPDATE entries SET body = ? WHERE seq = 11').run(b);
      database.prepare('UPDATE entries SET body = ? WHERE seq = 23').run(a);
    });
    const report = await expectBroken(changed, { entry: 12, code: 'ENTRY_CHANGED' }, { entry: 24, code: 'ENTRY_CHANGED' });
    expect(report.problem_count).toBe(2);
  });

  it('changed by the hundred are listed up to a limit and counted', async () => {
    const many = `${tempDirectory()}/many.db`;
    const store = openLedger(many);
    const guard = guardOn(store, { budgets: [] });
    await Promise.all(Array.from({ length: 150 }, () => guard.run(call('read'), () => 'ok')));
    await guard.close();
    await store.close();
    const changed = tampered(many, (database) => database.exec(`UPDATE entries SET body = body || ' '`));
    const report = await expectBroken(changed, { entry: 1, code: 'ENTRY_CHANGED' });
    expect(report.problems).toHaveLength(100);
    expect(report.problem_count).toBeGreaterThan(100);
  });
});

describe('what only helps to find an entry', () => {
  it('a changed hash beside an intact entry is told, and blames nobody', async () => {
    const changed = tampered(path, (database) => database.prepare('UPDATE entries SET leaf = ? WHERE seq = 7').run('a'.repeat(64)));
    expect(await verifyLedger(changed, OPTIONS)).toMatchObject({
      status: 'invalid',
      integrity: 'intact',
      problems: [{ entry: 8, code: 'LEAF_MISMATCH' }],
      problem_count: 1,
    });
  });

  describe('full tiles', () => {
    let tiled: string;
    beforeAll(async () => {
      tiled = `${tempDirectory()}/tiled.db`;
      const store = openLedger(tiled);
      const guard = guardOn(store, { budgets: [] });
      await Promise.all(Array.from({ length: 150 }, () => guard.run(call('read'), () => 'ok')));
      await guard.close();
      await store.close();
    });

    it.each([
      ['changed', `UPDATE tiles SET hashes = zeroblob(8192)`],
      ['with a changed root', `UPDATE tiles SET root = lower(hex(substr(hashes, 1, 32)))`],
      ['removed', 'DELETE FROM tiles'],
      ['added', 'INSERT INTO tiles SELECT 1, 0, hashes, root FROM tiles'],
    ])('%s are told', async (_name, sql) => {
      const changed = tampered(tiled, (database) => database.exec(sql));
      expect(await verifyLedger(changed, OPTIONS)).toMatchObject({
        status: 'invalid',
        integrity: 'intact',
        problems: [{ code: 'TILE_MISMATCH' }],
      });
    });

    it('name the entry when the hash beside it was changed too', async () => {
      const changed = tampered(tiled, (database) => {
        const text = `${String(database.prepare('SELECT body FROM entries WHERE seq = 200').pluck().get()).slice(0, -1)} }`;
        database.prepare('UPDATE entries SET body = ?, leaf = ? WHERE seq = 200').run(text, leafHash(text));
        database.exec(`DELETE FROM calls; DELETE FROM marks; DELETE FROM approvals`);
      });
      const report = await expectBroken(changed, { entry: 201, code: 'ENTRY_CHANGED' }, { entry: 0, code: 'ROOT_MISMATCH' });
      expect(report.problems.some(({ entry, code }) => entry === 201 && code === 'ENTRY_NOT_CANONICAL')).toBe(true);
    });
  });
});

describe('checkpoints', () => {
  const root = '1'.repeat(64);
  const note = (at: number, options = {}): string => noteOf({ size: at, root }, options);

  it.each<[string, string, (string | number)[], string]>([
    ['removed', 'DELETE FROM checkpoints', [], 'CHECKPOINT_MISSING'],
    ['of another root', 'UPDATE checkpoints SET note = ?', [note(59)], 'ROOT_MISMATCH'],
    ['that states another size', 'UPDATE checkpoints SET note = ?', [note(58)], 'CHECKPOINT_INVALID'],
    ['that is no note', 'UPDATE checkpoints SET note = ?', ['hello'], 'CHECKPOINT_INVALID'],
    ['too long to be one', `UPDATE checkpoints SET note = printf('%.*c', 1000001, 'x')`, [], 'CHECKPOINT_INVALID'],
    ['of a longer log', 'UPDATE checkpoints SET size = 70, note = ?', [note(70)], 'LEDGER_TRUNCATED'],
    ['of a shorter log', 'UPDATE checkpoints SET size = 50, note = ?', [note(50)], 'ENTRY_NOT_COVERED'],
    ['kept, of another root', `INSERT INTO checkpoints VALUES (20, ?, 'anchor')`, [note(20)], 'CHECKPOINT_FORKED'],
    ['kept, that is no note', `INSERT INTO checkpoints VALUES (20, ?, 'anchor')`, ['x'], 'CHECKPOINT_INVALID'],
  ])('%s break the ledger', async (_name, sql, values, code) => {
    const changed = tampered(path, (database) => database.prepare(sql).run(...values));
    const report = await verifyLedger(changed, OPTIONS);
    expect(report).toMatchObject({ status: 'invalid', integrity: 'broken' });
    expect(report.problems.map((problem) => problem.code)).toContain(code);
  });

  it('of another log are told', async () => {
    const renamed = tampered(path, (database) => database.exec(`UPDATE meta SET value = 'other.example' WHERE key = 'origin'`));
    expect(await verifyLedger(renamed, OPTIONS)).toMatchObject({ status: 'invalid', problems: [{ code: 'ORIGIN_MISMATCH' }] });
    const early = forged(path, (entries) => entries.slice(0, 20));
    const rootAt20 = (await verifyLedger(early)).root ?? '';
    const other = noteOf({ size: 20, root: rootAt20 }, { origin: 'other.example' });
    const kept = tampered(path, (database) => database.prepare(`INSERT INTO checkpoints VALUES (20, ?, 'anchor')`).run(other));
    expect(await verifyLedger(kept, OPTIONS)).toMatchObject({ problems: [{ code: 'ORIGIN_MISMATCH' }] });
  });

  it('kept ones narrow the place down when nothing names it', async () => {
    const early = forged(path, (entries) => entries.slice(0, 20));
    const rootAt20 = (await verifyLedger(early)).root ?? '';
    const changed = tampered(path, (database) => {
      database.prepare(`INSERT INTO checkpoints VALUES (20, ?, 'anchor')`).run(noteOf({ size: 20, root: rootAt20 }));
      const text = String(database.prepare('SELECT body FROM entries WHERE seq = 58').pluck().get()).replace('"end"', '"start"');
      database.prepare('UPDATE entries SET body = ?, leaf = ? WHERE seq = 58').run(text, leafHash(text));
    });
    const report = await expectBroken(changed, { entry: 0, code: 'ROOT_MISMATCH' });
    expect(report.problems[0]?.message).toContain('entries 21 to 59');
  });

  it('kept and unsigned, or by an unknown key, are told; a wrong signature is a problem', async () => {
    const early = forged(path, (entries) => entries.slice(0, 20));
    const rootAt20 = (await verifyLedger(early)).root ?? '';
    const plain = formatCheckpoint({ origin: ORIGIN, size: 20, root: rootAt20 });
    const kept = (text: string): string =>
      tampered(path, (database) => database.prepare(`INSERT INTO checkpoints VALUES (20, ?, 'anchor')`).run(text));
    expect(await verifyLedger(kept(plain), OPTIONS)).toMatchObject({ status: 'valid', warnings: [{ code: 'SIGNATURE_UNKNOWN' }] });
    const signed = noteOf({ size: 20, root: rootAt20 });
    expect(await verifyLedger(kept(signed), OPTIONS)).toMatchObject({ status: 'valid', warnings: [] });
    const wrong = signed.replace(/(\S+)\n$/, (_all, line: string) => `${Buffer.from(line, 'base64').fill(7, 4).toString('base64')}\n`);
    expect(await verifyLedger(kept(wrong), OPTIONS)).toMatchObject({ status: 'invalid', problems: [{ code: 'SIGNATURE_INVALID' }] });
  });
});
