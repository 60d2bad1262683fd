import { fork } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fileAuditSink, MAX_LINE_BYTES } from '../../src/audit-log/file-sink.ts';
import type { AuditRecord } from '../../src/audit-log/record.ts';
import { existingFiles } from '../../src/audit-log/segments.ts';
import { tempDirectory } from '../fixtures/ledger.ts';

const WRITER = new URL('../fixtures/audit-writer.ts', import.meta.url);
const PROCESSES = 4;
const LINES_EACH = 1000;

const record = (what: string, session = 's'): AuditRecord => ({
  v: 1,
  at: '2026-01-01T00:00:00.000Z',
  pid: 1,
  event: 'session',
  agent: 'a',
  session,
  what,
});
const decision = (args: AuditRecord extends infer R ? (R extends { args?: infer A } ? A : never) : never): AuditRecord => ({
  v: 1,
  at: '2026-01-01T00:00:00.000Z',
  pid: 1,
  event: 'decision',
  agent: 'a',
  session: 's',
  call: 'c',
  tool: { name: 't' },
  mode: 'enforce',
  effect: 'allow',
  would: 'allow',
  reason_code: 'POLICY_DEFAULT_ALLOW',
  policy: { id: 'p', hash: 'h' },
  entry: { of: 0, leaf: 'l' },
  args,
});
const lines = (path: string): readonly Record<string, unknown>[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Record<string, unknown>]));
const logPath = (): string => join(tempDirectory(), 'audit.jsonl');

describe('the audit file', () => {
  it('holds one line per record, for its owner only', () => {
    const path = join(tempDirectory(), 'new', 'audit.jsonl');
    const sink = fileAuditSink({ path });
    for (const what of ['start', 'end']) void sink.write(record(what));
    expect(lines(path).map(({ what }) => what)).toEqual(['start', 'end']);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    void sink.close();
    void sink.write(record('again'));
    expect(lines(path)).toHaveLength(3);
    void sink.close();
  });

  it('keeps hostile text inside its line, and off the terminal', () => {
    const path = logPath();
    const sink = fileAuditSink({ path });
    const hostile = '\u001b[2J\u202e"}\n{"event":"decision"}\u2028\ud800';
    void sink.write(record('start', hostile));
    void sink.close();
    expect(readFileSync(path, 'utf8').trimEnd()).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Cs}]/u);
    expect(lines(path)).toMatchObject([{ session: hostile }]);
  });

  it('leaves clear text out of a line that would be too long, and says so', () => {
    const path = logPath();
    const sink = fileAuditSink({ path });
    void sink.write(decision({ text: 'x'.repeat(MAX_LINE_BYTES) }));
    void sink.write(decision({ text: 'short' }));
    void sink.close();
    const [long, short] = lines(path);
    expect(long).toMatchObject({ call: 'c', omitted: ['args'] });
    expect(long).not.toHaveProperty('args');
    expect(short).toMatchObject({ args: { text: 'short' } });
  });

  it('rotates before it grows past its bound, and keeps so many', () => {
    const path = logPath();
    const sink = fileAuditSink({ path, maxBytes: 65_536, keep: 3 });
    for (let line = 0; line < 400; line++) void sink.write(record(String(line), 'x'.repeat(1000)));
    void sink.close();
    expect(readdirSync(join(path, '..')).toSorted()).toEqual(['audit.jsonl', 'audit.jsonl.1', 'audit.jsonl.2', 'audit.jsonl.3']);
    const files = existingFiles(path);
    for (const file of files) expect(statSync(file).size).toBeLessThanOrEqual(65_536);
    const told = files.toReversed().flatMap((file) => lines(file).map(({ what }) => Number(what)));
    expect(told).toEqual(Array.from({ length: told.length }, (_, index) => 400 - told.length + index));
  });

  it('without older files begins anew', () => {
    const path = logPath();
    const sink = fileAuditSink({ path, maxBytes: 65_536, keep: 0 });
    for (let line = 0; line < 100; line++) void sink.write(record(String(line), 'x'.repeat(1000)));
    void sink.close();
    expect(readdirSync(join(path, '..'))).toEqual(['audit.jsonl']);
    expect(lines(path).at(-1)).toMatchObject({ what: '99' });
  });

  it('follows its path when the file is renamed or removed', () => {
    const path = logPath();
    const sink = fileAuditSink({ path });
    void sink.write(record('1'));
    renameSync(path, `${path}.moved`);
    void sink.write(record('2'));
    rmSync(path);
    void sink.write(record('3'));
    void sink.close();
    expect(lines(`${path}.moved`)).toMatchObject([{ what: '1' }]);
    expect(lines(path)).toMatchObject([{ what: '3' }]);
  });

  it('goes on in the same file while another process shifts names, and after one that died doing so', () => {
    const path = logPath();
    const sink = fileAuditSink({ path, maxBytes: 65_536 });
    writeFileSync(`${path}.lock`, '');
    for (let line = 0; line < 100; line++) void sink.write(record(String(line), 'x'.repeat(1000)));
    expect(existsSync(`${path}.1`)).toBe(false);
    expect(lines(path)).toHaveLength(100);
    utimesSync(`${path}.lock`, new Date(0), new Date(0));
    void sink.write(record('100'));
    void sink.close();
    expect(lines(`${path}.1`)).toHaveLength(100);
    expect(existsSync(`${path}.lock`)).toBe(false);
  });

  it('never replaces an older file that is in the way', () => {
    const path = logPath();
    const sink = fileAuditSink({ path, maxBytes: 65_536, keep: 5 });
    mkdirSync(`${path}.1`);
    for (let line = 0; line < 100; line++) void sink.write(record(String(line), 'x'.repeat(1000)));
    void sink.close();
    const told = [path, `${path}.2`].filter((file) => existsSync(file) && statSync(file).isFile()).flatMap((file) => lines(file));
    expect(told).toHaveLength(100);
  });

  it('closes off a line that a power loss tore', () => {
    const path = logPath();
    writeFileSync(path, '{"what":"whole"}\n{"what":"to');
    const sink = fileAuditSink({ path });
    void sink.write(record('next'));
    void sink.close();
    expect(
      readFileSync(path, 'utf8')
        .split('\n')
        .map((line) => line.slice(0, 12)),
    ).toEqual(['{"what":"who', '{"what":"to', '{"v":1,"at":', '']);
  });

  it('takes back half a line when the disk is full', () => {
    const path = logPath();
    let room = 250;
    const full = ((descriptor: number, bytes: Buffer) => {
      const part = bytes.subarray(0, Math.max(0, Math.min(bytes.length, room)));
      room -= part.length;
      return part.length === 0 ? 0 : writeSync(descriptor, part);
    }) as typeof writeSync;
    const sink = fileAuditSink({ path }, full);
    void sink.write(record('1'));
    void sink.write(record('2'));
    expect(() => sink.write(record('3'))).toThrow(expect.objectContaining({ code: 'AUDIT_LOG_FAILED' }));
    expect(() => sink.write(record('3'))).toThrow(expect.objectContaining({ code: 'AUDIT_LOG_FAILED' }));
    room = 1000;
    void sink.write(record('4'));
    void sink.close();
    expect(lines(path).map(({ what }) => what)).toEqual(['1', '2', '4']);
  });

  it.each(['SQLite format 3\0...', '-----BEGIN PRIVATE KEY-----\n', 'version: 1\n', '# notes\n'])(
    'does not append to a file that holds %j',
    (text) => {
      const path = logPath();
      writeFileSync(path, text);
      const sink = fileAuditSink({ path });
      expect(() => sink.write(record('1'))).toThrow(expect.objectContaining({ code: 'AUDIT_LOG_FAILED' }));
      expect(readFileSync(path, 'utf8')).toBe(text);
    },
  );

  it.each([
    ['a folder', (path: string) => mkdirSync(path)],
    ['a link', (path: string) => symlinkSync('elsewhere', path)],
    ['a file in the place of its folder', (path: string) => writeFileSync(dirname(path), '')],
  ])('does not write into %s', (what, make) => {
    const folder = tempDirectory();
    const path = what.includes('folder') && what !== 'a folder' ? join(folder, 'sub', 'audit.jsonl') : join(folder, 'audit.jsonl');
    make(path);
    const sink = fileAuditSink({ path });
    expect(() => sink.write(record('1'))).toThrow(/audit\.jsonl|file already exists|not a directory/);
    expect(existsSync(join(folder, 'elsewhere'))).toBe(false);
  });

  it.each([
    { path: '' },
    { path: 'a', maxBytes: 1000 },
    { path: 'a', maxBytes: Number.NaN },
    { path: 'a', keep: -1 },
    { path: 'a', keep: 101 },
    { path: 'a', include: ['everything' as 'args'] },
  ])('refuses %j', (options) => {
    expect(() => fileAuditSink(options)).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
  });
});

it(`${PROCESSES} processes write to one file that is being rotated: no line is torn, lost or written twice`, async () => {
  const path = logPath();
  const exits = Array.from({ length: PROCESSES }, (_, index) => {
    const child = fork(WRITER, [path, `w${index}`, String(LINES_EACH)], { execArgv: ['--conditions=@countersign/source'] });
    return new Promise<number | null>((done) => child.once('exit', done));
  });
  expect(await Promise.all(exits)).toEqual(Array.from({ length: PROCESSES }, () => 0));
  const files = existingFiles(path);
  expect(files.length).toBeGreaterThan(10);
  const all = files.flatMap((file) => lines(file));
  for (let writer = 0; writer < PROCESSES; writer++) {
    const numbers = all.filter(({ agent }) => agent === `w${writer}`).map(({ what }) => Number(what));
    expect(numbers.toSorted((a, b) => a - b)).toEqual(Array.from({ length: LINES_EACH }, (_, index) => index));
  }
  expect(all).toHaveLength(PROCESSES * LINES_EACH);
});
