import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { canonicalize, parseVerifierKey, verifyCheckpoint } from '@countersign/core';
import { type DsseEnvelope, openDsse, verifyActaReceipt } from '@countersign/core/sqlite';
import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { calls, json, project, run } from '../harness.ts';

const LEDGER = '.countersign/ledger.db';
const EVIL = '\u001b[2J\u202epay\u200b';

const lineSchema = z.strictObject({
  index: z.int(),
  leaf: z.string(),
  entry: z.looseObject({ kind: z.string() }).optional(),
  text: z.string().optional(),
  opening: z.strictObject({ key: z.string(), sections: z.record(z.string(), z.unknown()) }).optional(),
});

async function filled(): Promise<string> {
  const cwd = await project();
  await calls(cwd, [{ tool: 'read_file', args: { path: 'S3CR-not-in-body', [EVIL]: EVIL } }, {}]);
  return cwd;
}

describe('head', () => {
  it('prints the note as it is, so that it can be kept', async () => {
    const cwd = await filled();
    const ran = await run(['head'], { cwd });
    expect(ran.code).toBe(0);
    expect(ran.stderr).toBe('');
    const vkey = readFileSync(join(cwd, '.countersign/ledger.key.pub'), 'utf8').trim();
    expect(verifyCheckpoint(ran.stdout, [vkey]).checkpoint.origin).toBe('countersign.local/bot');
    expect((await run(['head', LEDGER], { cwd })).stdout).toBe(ran.stdout);
  });

  it('has this JSON shape', async () => {
    const cwd = await filled();
    const head = json(await run(['head', '--json'], { cwd }));
    expect(Object.keys(head)).toEqual(['origin', 'size', 'root', 'note', 'signatures']);
    expect(head).toMatchObject({ origin: 'countersign.local/bot', signatures: [{ name: 'countersign.local/bot' }] });
  });

  it('refuses a malformed note and never prints it', async () => {
    const cwd = await filled();
    const database = new Database(join(cwd, LEDGER));
    database.prepare('UPDATE checkpoints SET note = ?').run(`${EVIL}\n1\nx\n`);
    database.close();
    const ran = await run(['head'], { cwd });
    expect(ran).toMatchObject({ code: 1, stdout: '' });
    expect(ran.stderr).toContain('[LEDGER_CORRUPT]');
  });

  it.each([
    ['nowhere.db', 'LEDGER_NOT_FOUND'],
    ['countersign.yaml', 'LEDGER_UNREADABLE'],
  ])('cannot read %s', async (path, code) => {
    const cwd = await filled();
    const ran = await run(['head', path, '--json'], { cwd });
    expect(ran.code).toBe(4);
    expect(json(ran)).toMatchObject({ error: { code } });
  });

  it('refuses a database whose tables only look like ours', async () => {
    const cwd = await filled();
    const database = new Database(join(cwd, LEDGER));
    database.exec('ALTER TABLE entries RENAME TO hidden; CREATE VIEW entries AS SELECT * FROM hidden');
    database.close();
    const ran = await run(['head'], { cwd });
    expect(ran).toMatchObject({ code: 4, stdout: '' });
    expect(ran.stderr).toContain('[LEDGER_UNREADABLE]');
  });
});

describe('export', () => {
  it('writes a header and one line per entry, in order', async () => {
    const cwd = await filled();
    const ran = await run(['export', '--format', 'ndjson'], { cwd });
    expect(ran.code).toBe(0);
    const [header = '', ...lines] = ran.stdout.trimEnd().split('\n');
    const head = json(await run(['head', '--json'], { cwd }));
    expect(JSON.parse(header)).toEqual({
      countersign: 'export',
      version: 1,
      origin: 'countersign.local/bot',
      size: head['size'],
      checkpoint: head['note'],
    });
    const parsed = lines.map((line) => lineSchema.parse(JSON.parse(line)));
    expect(parsed.map(({ index }) => index)).toEqual(Array.from({ length: Number(head['size']) }, (_, index) => index));
    // The stored text itself: already canonical.
    for (const [index, { entry }] of parsed.entries()) expect(lines[index]).toContain(`"entry":${canonicalize(entry)}`);
    expect(parsed.some(({ opening }) => JSON.stringify(opening ?? null).includes('S3CR-not-in-body'))).toBe(true);
  });

  it('leaves the clear text out on request', async () => {
    const cwd = await filled();
    const ran = await run(['export', '--no-openings'], { cwd });
    expect(ran.stdout).not.toContain('S3CR-not-in-body');
    expect(ran.stdout).not.toContain('"opening"');
  });

  it('as json is one document with the same entries', async () => {
    const cwd = await filled();
    const lines = (await run(['export'], { cwd })).stdout.trimEnd().split('\n').slice(1);
    const document = json(await run(['export', '--format', 'json'], { cwd }));
    expect(Object.keys(document)).toEqual(['countersign', 'version', 'origin', 'size', 'checkpoint', 'entries']);
    expect(document['entries']).toEqual(lines.map((line) => JSON.parse(line)));
    expect(json(await run(['export', '--json'], { cwd }))).toEqual(document);
  });

  it('writes a file whole, for its owner only, and replaces none unasked', async () => {
    const cwd = await filled();
    const ran = await run(['export', '--output', 'out.ndjson'], { cwd });
    expect(ran.code).toBe(0);
    const path = join(cwd, 'out.ndjson');
    expect(readFileSync(path, 'utf8')).toBe((await run(['export'], { cwd })).stdout);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    writeFileSync(path, 'mine');
    const refused = await run(['export', '--output', 'out.ndjson'], { cwd });
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('[FILE_EXISTS]');
    expect(readFileSync(path, 'utf8')).toBe('mine');
    expect(json(await run(['export', '--output', 'out.ndjson', '--force', '--json'], { cwd }))).toMatchObject({
      output: path,
      format: 'ndjson',
    });
    expect(readFileSync(path, 'utf8')).not.toBe('mine');
    expect(readdirSync(cwd).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('says when nothing in it is signed', async () => {
    const cwd = await filled();
    expect((await run(['export'], { cwd })).stderr).toBe('');
    const database = new Database(join(cwd, LEDGER));
    // As a ledger stands whose signer has not answered yet.
    database.exec('UPDATE checkpoints SET note = substr(note, 1, instr(note, char(10) || char(10)))');
    database.close();
    expect((await run(['export'], { cwd })).stderr).toContain('the newest checkpoint is not signed');
    expect((await run(['export', '--limit', '1'], { cwd })).stderr).not.toContain('not signed');
  });

  it.each(['.countersign/ledger.db', '.countersign/ledger.key'])('never replaces %s, whatever it is told', async (file) => {
    const cwd = await project();
    await calls(cwd, [{ tool: 'read_file' }]);
    const before = readFileSync(join(cwd, file));
    const ran = await run(['export', '--output', file, '--force'], { cwd });
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain('a database or a key');
    expect(readFileSync(join(cwd, file)).equals(before)).toBe(true);
  });

  it('names a folder that is not there', async () => {
    const cwd = await filled();
    const ran = await run(['export', '--output', 'gone/out.json'], { cwd });
    expect(ran.code).toBe(4);
    expect(ran.stderr).toContain('[ENOENT]');
    expect(existsSync(join(cwd, 'gone'))).toBe(false);
  });

  it('keeps a tampered text inside its own line', async () => {
    const cwd = await filled();
    const database = new Database(join(cwd, LEDGER));
    database.exec('DROP TRIGGER entries_no_update');
    database.prepare('UPDATE entries SET body = ? WHERE seq = 0').run('{}}\n{"index":99,"entry":{}');
    database.prepare('UPDATE openings SET sections = ? WHERE seq = (SELECT max(seq) FROM openings)').run('[1');
    database.exec(`CREATE TRIGGER entries_no_update BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END`);
    database.close();
    const ran = await run(['export'], { cwd });
    const lines = ran.stdout
      .trimEnd()
      .split('\n')
      .slice(1)
      .map((line) => lineSchema.parse(JSON.parse(line)));
    expect(lines[0]).toMatchObject({ index: 0, text: '{}}\n{"index":99,"entry":{}' });
    expect(lines.map(({ index }) => index)).not.toContain(99);
    expect(lines.some(({ opening }) => opening?.sections['malformed'] === '[1')).toBe(true);
  });

  it('on a terminal spells out what would act on it, as the same JSON', async () => {
    const cwd = await filled();
    const piped = await run(['export'], { cwd });
    const shown = await run(['export'], { cwd, tty: true });
    expect(piped.stdout).toContain('\u202e');
    expect(shown.stdout.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    const values = (text: string): unknown[] =>
      text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line));
    expect(values(shown.stdout)).toEqual(values(piped.stdout));
  });

  it('ends quietly when its reader leaves', async () => {
    const cwd = await filled();
    let written = 0;
    const stdout = new Writable({
      write(_chunk, _encoding, done) {
        written++;
        done(written > 1 ? Object.assign(new Error('write EPIPE'), { code: 'EPIPE', syscall: 'write' }) : null);
      },
    });
    expect(await run(['export'], { cwd, stdout })).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  it.each(['csv', 'ocsf', 'acta'])('as %s is piped and written alike', async (format) => {
    const cwd = await filled();
    const piped = await run(['export', '--format', format], { cwd });
    expect(piped.code, piped.stderr).toBe(0);
    expect(piped.stdout.split('\n').length).toBeGreaterThan(1);
    const ran = await run(['export', '--format', format, '--output', 'out', '--json'], { cwd });
    expect(json(ran)).toMatchObject({ format });
    expect(readFileSync(join(cwd, 'out'), 'utf8')).toBe(piped.stdout);
    const shown = await run(['export', '--format', format], { cwd, tty: true });
    expect(shown.stdout.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  });

  it('signs receipts and envelopes with a key that is given, under the name of the ledger', async () => {
    const cwd = await filled();
    const key = '.countersign/ledger.key';
    const vkey = readFileSync(join(cwd, `${key}.pub`), 'utf8').trim();
    const envelopes = await run(['export', '--format', 'dsse', '--sign-key', key, '--kind', 'decision'], { cwd });
    expect(envelopes.code, envelopes.stderr).toBe(0);
    const { publicKey } = parseVerifierKey(vkey);
    for (const line of envelopes.stdout.trimEnd().split('\n')) {
      const envelope = JSON.parse(line) as DsseEnvelope;
      expect(envelope.signatures[0]?.keyid).toBe(vkey);
      expect(openDsse(envelope, publicKey)).toBeDefined();
    }
    const receipts = await run(['export', '--format', 'acta', '--sign-key', key], { cwd });
    const parsed = receipts.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(parsed.length).toBeGreaterThan(0);
    for (const receipt of parsed) expect(verifyActaReceipt(receipt, publicKey)).toBe(true);
    const unsigned = await run(['export', '--format', 'acta'], { cwd });
    expect(unsigned.stderr).toContain('not signed, so no receipts yet');
    expect(unsigned.stdout).not.toContain('"signature"');
  });

  it('takes the filters of filter, and its header then says that it is no ledger', async () => {
    const cwd = await filled();
    const ran = await run(['export', '--kind', 'decision', '--tool', 'read_file'], { cwd });
    const [header = '', ...lines] = ran.stdout.trimEnd().split('\n');
    expect(JSON.parse(header)).toMatchObject({ countersign: 'selection' });
    expect(lines).toEqual((await run(['filter', '--kind', 'decision', '--tool', 'read_file'], { cwd })).stdout.trimEnd().split('\n'));
    const limited = await run(['export', '--limit', '1'], { cwd });
    expect(limited.stdout.trimEnd().split('\n')).toHaveLength(2);
    expect(limited.stderr).toContain('stopped after 1 entries');
  });

  it('can be verified when it is whole, and is refused when it is not', async () => {
    const cwd = await filled();
    await run(['export', '--output', 'whole.ndjson'], { cwd });
    await run(['export', '--limit', '2', '--output', 'part.ndjson'], { cwd });
    expect(json(await run(['verify', 'whole.ndjson', '--json'], { cwd }))).toMatchObject({ status: 'valid' });
    expect(json(await run(['verify', 'part.ndjson', '--json'], { cwd }))['status']).not.toBe('valid');
  });

  it.each([
    [['--format', 'xml'], 'unknown format "xml"'],
    [['--format', 'cvs'], 'did you mean "csv"?'],
    [['--format', 'dsse'], '--format dsse needs --sign-key FILE'],
    [['--format', 'csv', '--sign-key', 'k'], '--sign-key: csv is not signed'],
    [['--passphrase-file', 'p'], '--passphrase-file opens a --sign-key'],
    [['--since', 'x'], 'is no time'],
    [['--limit', '0'], '--limit'],
    [['--call', 'a', '--request-id', 'b'], 'mean the same'],
  ])('refuses %j', async (argv, message) => {
    const cwd = await filled();
    const ran = await run(['export', ...argv], { cwd });
    expect(ran).toMatchObject({ code: 2, stdout: '' });
    expect(ran.stderr).toContain(message);
  });

  it("says when the key is not there or not its owner's alone", async () => {
    const cwd = await filled();
    expect((await run(['export', '--format', 'dsse', '--sign-key', 'gone.key'], { cwd })).stderr).toContain('[KEY_NOT_FOUND]');
    const open = await run(['export', '--format', 'dsse', '--sign-key', 'countersign.yaml'], { cwd });
    expect(open).toMatchObject({ code: 1, stdout: '' });
    expect(open.stderr).toContain('[KEY_INVALID]');
  });
});
