/** Timestamps in a ledger: found, missed, foreign, forged, and under options that ask for them. The rest is in `timestamp/`. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Anchor, checkReceipt, timestampQuestions } from '../../src/index.ts';
import { makeReceipt, verifyLedger } from '../../src/sqlite/index.ts';
import { withTimestamp } from '../../src/timestamp/line.ts';
import { guardOn, LEDGER_VKEY, openLedger, tempDirectory } from '../fixtures/ledger.ts';
import { hasOpenssl, TestTsa, tstInfo } from '../fixtures/tsa.ts';
import { forged, tampered } from './forge.ts';

const call = { tool: { name: 'read' }, args: {} };
const publicKeys = [LEDGER_VKEY];
const NAME = 'tsa.example/tsr';

describe.skipIf(!hasOpenssl)('a ledger with timestamps', { timeout: 60_000 }, () => {
  let tsa: TestTsa;
  beforeAll(() => {
    tsa = new TestTsa();
    tsa.issue('other-root', { as: 'authority' });
  });

  async function ledger(): Promise<string> {
    const ask = timestampQuestions({ name: NAME, certificates: tsa.of('root').file });
    const anchor: Anchor = {
      name: 'tsa',
      async publish(note) {
        const { request, take } = ask(note);
        const answer = take(tsa.reply(request));
        if ('refused' in answer) throw new Error(answer.refused);
        return answer.note;
      },
    };
    const path = join(tempDirectory(), 'ledger.db');
    const store = openLedger(path, { anchors: { anchors: [anchor], everyMs: 3_600_000 } });
    await guardOn(store).run(call, () => 1);
    expect((await store.publishAnchors()).every(({ error }) => error === undefined)).toBe(true);
    await guardOn(store).run(call, () => 2);
    await store.close();
    return path;
  }

  /** The newest checkpoint with another line in place of its timestamp, or with one more. */
  function changed(path: string, change: (note: string, text: string) => string): void {
    const database = new Database(path);
    const row = database.prepare<[], { size: number; note: string }>('SELECT size, note FROM checkpoints ORDER BY size DESC LIMIT 1').get();
    const text = row?.note.slice(0, row.note.indexOf('\n\n') + 1) ?? '';
    database.prepare('UPDATE checkpoints SET note = ? WHERE size = ?').run(change(row?.note ?? '', text), row?.size);
    database.close();
  }
  const unstamped = (note: string): string => note.replace(/— tsa\.example.*\n/, '');
  const codes = (found: readonly { readonly code: string }[]): readonly string[] => found.map(({ code }) => code);

  it('proves when its entries existed at the latest, to whoever brings a certificate', async () => {
    const path = await ledger();
    const report = await verifyLedger(path, { publicKeys, tsaCertificates: [tsa.of('root').pem, tsa.of('other-root').pem] });
    expect(report).toMatchObject({ status: 'valid', warnings: [], timestamps: [{ tsa: 'CN=tsa', size: report.entries }] });
    // When is not who: without a key of the log nobody is known to have written it.
    expect(await verifyLedger(path, { tsaCertificates: [tsa.of('tsa').pem] })).toMatchObject({
      authorship: 'unchecked',
      timestamps: [{ tsa: 'CN=tsa' }],
    });
  });

  it('is told of by the earliest timestamp of a checkpoint, whoever had it stamped again later', async () => {
    const path = await ledger();
    const tsaCertificates = [tsa.of('root').pem];
    const before = await verifyLedger(path, { publicKeys, tsaCertificates });
    const late = (text: string): Buffer => tsa.forge(tstInfo({ text, time: '20440101000000Z' }));
    changed(path, (note, text) => withTimestamp(note, 'later.example/tsr', late(text)));
    expect(await verifyLedger(path, { publicKeys, tsaCertificates })).toEqual(before);
  });

  it('that lost its newest timestamp is stamped as far as an older one reaches', async () => {
    const path = await ledger();
    changed(path, unstamped);
    const { entries, timestamps, status } = await verifyLedger(path, { publicKeys, tsaCertificates: [tsa.of('root').pem] });
    expect(status).toBe('valid');
    expect(timestamps?.[0]?.size).toBeLessThan(entries);
  });

  it('gets no old time for entries that were changed since, though the hashes beside them were kept', async () => {
    const path = await ledger();
    const rows = <T>(sql: string): readonly T[] => {
      const database = new Database(path, { readonly: true });
      const all = database.prepare<[], T>(sql).all();
      database.close();
      return all;
    };
    const leaves = rows<{ seq: number; leaf: Buffer }>('SELECT seq, leaf FROM entries');
    const [kept] = rows<{ size: number; note: string; keep: unknown }>('SELECT * FROM checkpoints ORDER BY size');
    expect(kept?.note).toContain('tsa.example');
    // By whoever has the key of the log.
    const anew = forged(path, (entries) => {
      for (const entry of entries) if (entry['agent'] !== undefined) entry['agent'] = 'somebody-else';
    });
    const changedSince = tampered(anew, (database) => {
      for (const { seq, leaf } of leaves) database.prepare('UPDATE entries SET leaf = ? WHERE seq = ?').run(leaf, seq);
      database.prepare('INSERT INTO checkpoints (size, note, keep) VALUES (?, ?, ?)').run(kept?.size, kept?.note, kept?.keep);
    });
    const report = await verifyLedger(changedSince, { publicKeys, tsaCertificates: [tsa.of('root').pem] });
    expect(report.status).toBe('invalid');
    expect(report.timestamps).toBeUndefined();
    expect(codes(report.problems)).toContain('CHECKPOINT_FORKED');
    // Nor is the end proven by it, when it was kept elsewhere.
    const against = await verifyLedger(changedSince, { publicKeys, ...(kept !== undefined && { against: kept.note }) });
    expect(against.end).toBe('contradicted');
    expect(codes(against.problems)).toContain('AGAINST_FORKED');
    expect(codes(report.warnings)).toContain('TIMESTAMP_MISSING');
  });

  it('is not proven where timestamps were asked for, and are none or of others', async () => {
    const path = await ledger();
    const foreign = await verifyLedger(path, { publicKeys, tsaCertificates: [tsa.of('other-root').pem] });
    expect(foreign.status).toBe('unproven');
    expect(foreign.warnings).toEqual([
      {
        entry: 0,
        code: 'TIMESTAMP_UNKNOWN',
        message: expect.stringMatching(
          /^the checkpoint kept at size \d+ has a timestamp that is by an authority .*, and so have 1 more$/,
        ) as string,
      },
      expect.objectContaining({ code: 'TIMESTAMP_MISSING' }),
    ]);
    const plain = join(tempDirectory(), 'ledger.db');
    const store = openLedger(plain);
    await guardOn(store).run(call, () => 1);
    await store.close();
    const none = await verifyLedger(plain, { publicKeys, tsaCertificates: [tsa.of('root').pem] });
    expect(none.status).toBe('unproven');
    expect(codes(none.warnings)).toEqual(['TIMESTAMP_MISSING']);
  });

  it.each<[string, (text: string) => Uint8Array]>([
    ['nothing but a byte', () => Buffer.of(1)],
    ['a token over another text', (text) => tsa.forge(tstInfo({ text: `${text}\n` }))],
    ['a token by a certificate for anything', (text) => tsa.forge(tstInfo({ text }), { by: issued('no_use') })],
    ['a token of too long ago for its certificate', (text) => tsa.forge(tstInfo({ text, time: '19991231235959Z' }))],
  ])('is invalid with %s in its place', async (_name, make) => {
    const path = await ledger();
    changed(path, (note, text) => withTimestamp(unstamped(note), NAME, make(text)));
    const report = await verifyLedger(path, { publicKeys, tsaCertificates: [tsa.of('root').pem] });
    expect(report).toMatchObject({ status: 'invalid', authorship: 'proven' });
    expect(codes(report.problems)).toEqual(['TIMESTAMP_INVALID']);
    // A line of a key that nobody gave is passed over, as it always was.
    expect(await verifyLedger(path, { publicKeys })).toMatchObject({ status: 'valid', timestamps_unchecked: 2 });
  });

  it('is invalid with the timestamp of another of its checkpoints, and so is a receipt', async () => {
    const path = await ledger();
    const database = new Database(path, { readonly: true });
    const first = database.prepare("SELECT note FROM checkpoints WHERE keep = 'anchor' ORDER BY size LIMIT 1").pluck().get() as string;
    database.close();
    const line = (note: string): string => /— tsa\.example.*\n/.exec(note)?.[0] ?? '';
    changed(path, (note) => note.replace(line(note), line(first)));
    const options = { publicKeys, tsaCertificates: [tsa.of('root').pem] };
    const report = await verifyLedger(path, options);
    expect(report).toMatchObject({ status: 'invalid', authorship: 'proven' });
    expect(report.problems).toEqual([
      { entry: 0, code: 'TIMESTAMP_INVALID', message: 'the newest checkpoint has a timestamp that is over something else' },
    ]);
    expect(report.timestamps?.[0]?.size).toBeLessThan(report.entries);
    const receipt = makeReceipt(path, { index: 1 }).text;
    expect(checkReceipt(receipt, options)).toMatchObject({ status: 'invalid', problems: [{ code: 'TIMESTAMP_INVALID' }] });
    expect(checkReceipt(receipt, { publicKeys })).toMatchObject({ status: 'valid', timestamps_unchecked: 1 });
  });

  it('says nothing of times when its entries were changed', async () => {
    const path = await ledger();
    const database = new Database(path);
    const triggers = database.prepare("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").all() as {
      name: string;
      sql: string;
    }[];
    for (const { name } of triggers) database.exec(`DROP TRIGGER ${name}`);
    database.prepare(`UPDATE entries SET body = replace(body, '"tester"', '"TESTER"') WHERE seq = (SELECT max(seq) FROM entries)`).run();
    for (const { sql } of triggers) database.exec(sql);
    database.close();
    const report = await verifyLedger(path, { publicKeys, tsaCertificates: [tsa.of('root').pem] });
    expect(report).toMatchObject({ status: 'invalid', integrity: 'broken' });
    expect(report.timestamps?.every(({ size }) => size < report.entries)).not.toBe(false);
  });

  it('takes the timestamps of a checkpoint that was kept elsewhere', async () => {
    const path = await ledger();
    const database = new Database(path, { readonly: true });
    const [against = ''] = database.prepare('SELECT note FROM checkpoints ORDER BY size DESC LIMIT 1').pluck().all() as string[];
    database.close();
    changed(path, unstamped);
    const options = { publicKeys, tsaCertificates: [tsa.of('root').pem] };
    const report = await verifyLedger(path, { ...options, against });
    expect(report).toMatchObject({ status: 'valid', end: 'proven', timestamps: [{ size: report.entries }] });
    const forged = against.replace(
      /(— tsa\.example\S* )(\S{40})/,
      (_all, name: string, start: string) => name + start.slice(0, 36) + 'AAAA',
    );
    expect(codes((await verifyLedger(path, { ...options, against: forged })).problems)).toEqual(['TIMESTAMP_INVALID']);
  });

  const made = new Set<string>();
  function issued(as: string): string {
    if (!made.has(as)) tsa.issue(as, { by: 'root', as });
    made.add(as);
    return as;
  }
});

it('what is no certificate is refused before the ledger is opened, and so is a ledger without checkpoints', async () => {
  const path = join(tempDirectory(), 'nowhere.db');
  await expect(verifyLedger(path, { tsaCertificates: ['no'] })).rejects.toMatchObject({ code: 'OPTIONS_INVALID' });
  const old = join(tempDirectory(), 'old.jsonl');
  writeFileSync(old, '{"schema_version":"2.0"}\n');
  await expect(verifyLedger(old, { tsaCertificates: ['no'] })).rejects.toMatchObject({ code: 'OPTIONS_INVALID' });
});
