import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { beforeAll, describe, expect, it } from 'vitest';
import { openContainer } from '../../src/container/open-source.ts';
import { exportHeader, recordLine } from '../../src/export/ndjson.ts';
import { checkReceipt, verifyCheckpoint } from '../../src/index.ts';
import { inclusionProof, leafHash, verifyInclusion } from '../../src/ledger/merkle.ts';
import { parseTlogProof } from '../../src/ledger/tlog-proof.ts';
import { hashedSubtrees, storedSubtrees } from '../../src/receipt/subtrees.ts';
import { factsOf, makeReceipt, openRecords } from '../../src/sqlite/index.ts';
import { guardOn, LEDGER_VKEY, ORIGIN, openLedger, tempDirectory } from '../fixtures/ledger.ts';
import { edited, entriesOf, forged, type Loose, tampered } from '../verify/forge.ts';
import { writeScenario } from '../verify/scenario.ts';

const publicKeys = [LEDGER_VKEY];
let path: string;
let entries: Loose[];
beforeAll(async () => {
  ({ path } = await writeScenario());
  entries = entriesOf(path);
});

const indexOf = (wanted: Loose): number =>
  entries.findIndex((entry) => Object.entries(wanted).every(([name, value]) => entry[name] === value));
const callOf = (index: number): string => entries[index]?.['call'] as string;
const code = (code: string): unknown => expect.objectContaining({ code });

describe('makeReceipt', () => {
  it('makes one of every entry, and each is valid', () => {
    for (const index of entries.keys()) {
      const made = makeReceipt(path, { index });
      const report = checkReceipt(made.text, { publicKeys, origin: ORIGIN });
      expect(report, `entry ${index + 1}`).toMatchObject({
        status: 'valid',
        entry: { entry: index + 1, leaf: made.leaf, kind: made.kind },
      });
      expect(makeReceipt(path, { leaf: made.leaf }).text).toBe(made.text);
    }
  });

  it('takes for a call its allow and the outcome, also where an ask stands before', () => {
    const ask = entries.findIndex(
      ({ effect, call }) => effect === 'require_approval' && entries.some((e) => e['call'] === call && e['effect'] === 'allow'),
    );
    const made = makeReceipt(path, { call: callOf(ask) });
    expect(made).toMatchObject({ kind: 'decision', effect: 'allow', outcome: 'included', isSigned: true, hasClearText: true });
    const report = checkReceipt(made.text, { publicKeys });
    expect(report.outcome?.body).toMatchObject({ kind: 'outcome', call: callOf(ask), decision: { of: made.index, leaf: made.leaf } });
  });

  it('takes the newest decision where nothing was allowed', () => {
    const denied = indexOf({ effect: 'deny' });
    expect(makeReceipt(path, { call: callOf(denied) })).toMatchObject({ index: denied, effect: 'deny', outcome: 'none' });
  });

  it('leaves the clear text out when asked', () => {
    const allow = indexOf({ effect: 'allow' });
    const made = makeReceipt(path, { index: allow }, { openings: false });
    expect(made).toMatchObject({ hasClearText: false, outcome: 'included' });
    expect(made.text).not.toContain('/srv/q1.csv');
    expect(checkReceipt(made.text, { publicKeys })).toMatchObject({
      status: 'valid',
      entry: { clear_text: 'withheld', withheld_sections: ['args'] },
    });
  });

  it('says what is not there', () => {
    expect(() => makeReceipt(path, { call: '0'.repeat(32) })).toThrow(code('ENTRY_NOT_FOUND'));
    expect(() => makeReceipt(path, { leaf: '0'.repeat(64) })).toThrow(code('ENTRY_NOT_FOUND'));
    expect(() => makeReceipt(path, { index: entries.length })).toThrow(code('ENTRY_NOT_FOUND'));
    expect(() => makeReceipt(path, { index: -1 })).toThrow(code('OPTIONS_INVALID'));
    expect(() => makeReceipt(path, { leaf: 'x' })).toThrow(code('OPTIONS_INVALID'));
    expect(() => makeReceipt(join(tempDirectory(), 'none.db'), { index: 0 })).toThrow(code('LEDGER_NOT_FOUND'));
  });

  it('has a proof that reads as a C2SP tlog-proof by itself', () => {
    const made = makeReceipt(path, { index: 5 });
    const { entry, proof } = JSON.parse(made.text) as { entry: string; proof: string };
    const { index, hashes, checkpoint } = parseTlogProof(proof);
    const { size, root } = verifyCheckpoint(checkpoint, publicKeys).checkpoint;
    expect(verifyInclusion({ index, size, root, leaf: leafHash(entry), proof: hashes })).toBe(true);
  });

  it('works on a ledger that is being written', async () => {
    const live = join(tempDirectory(), 'ledger.db');
    const store = openLedger(live);
    const guard = guardOn(store);
    await guard.run({ tool: { name: 'read' }, args: { path: '/a' } }, () => 'ok');
    const { call } = entriesOf(live).find(({ kind }) => kind === 'decision') as { call: string };
    const made = makeReceipt(live, { call });
    await guard.close();
    await store.close();
    expect(checkReceipt(made.text, { publicKeys }).status).toBe('valid');
  });

  it('says of an unsigned ledger that it is', async () => {
    const unsigned = await writeScenario({ signer: 'none' });
    const made = makeReceipt(unsigned.path, { index: 3 });
    expect(made.isSigned).toBe(false);
    expect(checkReceipt(made.text)).toMatchObject({ status: 'unproven', authorship: 'unsigned' });
  });
});

describe('signing that lags behind', () => {
  /** As interval signing leaves it: the newest checkpoint is text, a signed one of `size` is kept. */
  const lagging = (size: number): string => {
    const signed = new Sqlite(
      forged(path, (all) => all.slice(0, size), { keepReferences: true }),
      { readonly: true },
    );
    const note = signed.prepare('SELECT note FROM checkpoints').pluck().get() as string;
    signed.close();
    return tampered(path, (database) => {
      database.exec(`UPDATE checkpoints SET note = substr(note, 1, instr(note, char(10) || char(10)))`);
      database.prepare(`INSERT INTO checkpoints VALUES (?, ?, 'signed')`).run(size, note);
    });
  };

  it('gives a receipt under the newest signed checkpoint that covers the entry', () => {
    const made = makeReceipt(lagging(20), { index: 5 });
    expect(made).toMatchObject({ size: 20, isSigned: true });
    expect(checkReceipt(made.text, { publicKeys })).toMatchObject({ status: 'valid', size: 20 });
  });

  it('says when there will be one, and leaves an outcome out that is not covered yet', () => {
    const outcome = entries.findIndex(({ kind }, index) => kind === 'outcome' && index > 10);
    const { of } = (entries[outcome] as Loose)['decision'] as { of: number };
    const lag = lagging(outcome);
    expect(() => makeReceipt(lag, { index: outcome })).toThrow(code('ENTRY_NOT_SIGNED'));
    const made = makeReceipt(lag, { index: of });
    expect(made.outcome).toBe('later');
    expect(checkReceipt(made.text, { publicKeys })).toMatchObject({ status: 'valid' });
    expect(checkReceipt(made.text, { publicKeys })).not.toHaveProperty('outcome');
  });

  it('never takes a signed ledger for an unsigned one', () => {
    const stripped = tampered(path, (database) => {
      database.exec(`UPDATE checkpoints SET note = substr(note, 1, instr(note, char(10) || char(10)))`);
    });
    expect(() => makeReceipt(stripped, { index: 0 })).toThrow(code('ENTRY_NOT_SIGNED'));
  });
});

describe('a ledger somebody edited', () => {
  it('gives no receipt of a changed entry, whatever the tiles say', () => {
    const changed = tampered(path, (database) => database.exec(`UPDATE entries SET body = replace(body, 'read', 'reaD') WHERE seq = 5`));
    expect(() => makeReceipt(changed, { index: 5 })).toThrow(code('LEDGER_CORRUPT'));
    expect(() => makeReceipt(changed, { index: 6 })).toThrow(code('LEDGER_CORRUPT'));
  });

  it('is not led astray by rows that point elsewhere', () => {
    const allow = indexOf({ effect: 'allow' });
    const call = callOf(allow);
    const right = makeReceipt(path, { call }).text;
    for (const sql of [
      `UPDATE calls SET decision_of = 0 WHERE id = '${call}'`,
      `UPDATE calls SET outcome_of = 1 WHERE id = '${call}'`,
      `UPDATE calls SET decision_of = 999999 WHERE id = '${call}'`,
      `DELETE FROM calls`,
    ]) {
      expect(makeReceipt(edited(path, sql), { call }).text, sql).toBe(right);
    }
    const { leaf } = makeReceipt(path, { index: 4 });
    const moved = tampered(path, (database) =>
      database.exec(`UPDATE entries SET leaf = '${leaf}' WHERE seq = 2; UPDATE entries SET leaf = '' WHERE seq = 4`),
    );
    expect(makeReceipt(moved, { leaf }).index).toBe(4);
  });

  it('gives a receipt with clear text that a checker refuses, when the clear text was edited', () => {
    const allow = indexOf({ effect: 'allow' });
    const wrong = edited(path, `UPDATE openings SET sections = replace(sections, 'q1', 'q2')`);
    expect(checkReceipt(makeReceipt(wrong, { index: allow }).text, { publicKeys }).problems[0]?.code).toBe('OPENING_MISMATCH');
    const broken = edited(path, `UPDATE openings SET sections = sections || ' '`);
    expect(() => makeReceipt(broken, { index: allow })).toThrow(code('LEDGER_CORRUPT'));
    expect(makeReceipt(broken, { index: allow }, { openings: false }).hasClearText).toBe(false);
  });

  it('is refused when it has another schema', () => {
    expect(() => makeReceipt(edited(path, 'DROP TABLE openings; CREATE VIEW openings AS SELECT 1 AS seq'), { index: 0 })).toThrow(
      code('LEDGER_UNREADABLE'),
    );
  });
});

describe('a log of more than one tile', () => {
  let large: string;
  let size: number;
  beforeAll(async () => {
    large = join(tempDirectory(), 'ledger.db');
    const store = openLedger(large);
    const note = (n: number) => store.commit({ kind: 'record', body: { kind: 'note', topic: 't', data: n } });
    await Promise.all(Array.from({ length: 1300 }, (_, n) => note(n)));
    await store.close();
    size = entriesOf(large).length;
  });

  it('gives the same proofs from tiles as from entries', () => {
    const source = openContainer(large);
    for (const index of [0, 1, 255, 256, 257, 511, 512, 1023, 1024, 1279, 1280, size - 1]) {
      const stored = inclusionProof(index, size, storedSubtrees(source));
      const hashed = inclusionProof(
        index,
        size,
        hashedSubtrees(source, size, (read) => void inclusionProof(index, size, read)),
      );
      expect(stored).toEqual(hashed);
    }
    source.close();
    for (const index of [0, 255, 256, 1024, size - 1])
      expect(checkReceipt(makeReceipt(large, { index }).text, { publicKeys }).status).toBe('valid');
  });

  it('does without tiles that were removed, cut or changed', () => {
    const right = makeReceipt(large, { index: 300 }).text;
    for (const sql of [
      'DELETE FROM tiles',
      'UPDATE tiles SET hashes = zeroblob(8192)',
      'UPDATE tiles SET hashes = substr(hashes, 1, 100)',
      `UPDATE tiles SET root = '${'0'.repeat(64)}'`,
      'UPDATE tiles SET hashes = (SELECT hashes FROM tiles WHERE idx = 1)',
    ]) {
      expect(makeReceipt(edited(large, sql), { index: 300 }).text, sql).toBe(right);
    }
  });

  it('stays small', () => {
    const { text } = makeReceipt(large, { index: 300 });
    expect(text.length - (JSON.parse(text) as { entry: string }).entry.length).toBeLessThan(2000);
  });
});

describe('JSON lines', () => {
  it('an export gives the same receipts', () => {
    const reader = openRecords(path);
    const lines = [exportHeader(reader, true)];
    for (const record of reader.records()) lines.push(recordLine(record, factsOf(record, reader.container).leaf, true));
    reader.close();
    const file = join(tempDirectory(), 'export.ndjson');
    writeFileSync(file, `${lines.join('\n')}\n`);
    const allow = indexOf({ effect: 'allow' });
    for (const target of [{ index: 0 }, { index: allow }, { call: callOf(allow) }, { leaf: makeReceipt(path, { index: 7 }).leaf }]) {
      expect(makeReceipt(file, target).text).toBe(makeReceipt(path, target).text);
    }
    expect(() => makeReceipt(file, { call: '0'.repeat(32) })).toThrow(code('ENTRY_NOT_FOUND'));
  });
});
