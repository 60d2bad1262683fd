import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { openJsonlSource } from '../../src/jsonl/source.ts';
import { MAX_ENTRY_BYTES } from '../../src/ledger/entry.ts';
import { type VerifyReport, verifyLedger } from '../../src/sqlite/index.ts';
import { LEDGER_VKEY } from '../fixtures/ledger.ts';
import { forged, noteOf } from '../verify/forge.ts';
import { APPROVERS, writeScenario } from '../verify/scenario.ts';
import { exported, exportLines, file, headerOf, linesOf, mirror, type Parts, partsOf } from './made.ts';

const OPTIONS = { publicKeys: [LEDGER_VKEY], approvers: APPROVERS };

let path: string;
let parts: Parts;
let lines: string;
let size: number;
let whole: readonly string[];
beforeAll(async () => {
  ({ path } = await writeScenario());
  parts = partsOf(path);
  lines = linesOf(parts.bodies);
  size = parts.bodies.length;
  whole = [headerOf(parts), ...exportLines(parts)];
});

const codes = (report: VerifyReport): readonly string[] =>
  report.problems.map(({ entry, code }) => (entry === 0 ? code : `${entry} ${code}`));
const told = (report: VerifyReport): readonly string[] =>
  report.warnings.map(({ entry, code }) => (entry === 0 ? code : `${entry} ${code}`));
const without = (index: number): string[] => whole.toSpliced(index, 1);
const replaced = (index: number, line: string): string[] => whole.toSpliced(index, 1, line);

/** What a report says of the entries, whatever the container. */
function substance({ format: _format, warnings: _warnings, ...rest }: VerifyReport): object {
  return rest;
}

describe('a mirror', () => {
  it('verifies like the ledger it mirrors, but for the clear text', async () => {
    const report = await verifyLedger(mirror(lines, parts.note), OPTIONS);
    expect(report).toMatchObject({
      status: 'valid',
      format: 'countersign-mirror-1',
      integrity: 'intact',
      authorship: 'proven',
      problems: [],
    });
    expect(substance(report)).toEqual(substance(await verifyLedger(path, OPTIONS)));
    expect(told(report).filter((code) => !code.endsWith(' OPENING_MISSING'))).toEqual([]);
  });

  it('shows no clear text, which is not enough when everything must be shown', async () => {
    const report = await verifyLedger(mirror(lines, parts.note), { ...OPTIONS, against: parts.note, strict: true });
    expect(report).toMatchObject({ status: 'unproven', end: 'proven', problems: [] });
  });

  it.each<[string, () => string, readonly string[]]>([
    ['an entry is taken out', () => linesOf(parts.bodies.toSpliced(4, 1)), ['LEDGER_TRUNCATED']],
    [
      'two entries change places',
      () => linesOf([...parts.bodies.slice(0, 4), parts.bodies[5] ?? '', parts.bodies[4] ?? '', ...parts.bodies.slice(6)]),
      ['ROOT_MISMATCH'],
    ],
    ['a line is empty', () => linesOf(parts.bodies.toSpliced(4, 1, '')), ['5 ENTRY_UNREADABLE']],
    ['a line is no JSON', () => linesOf(parts.bodies.toSpliced(4, 1, '{"at":')), ['ROOT_MISMATCH', '5 ENTRY_NOT_CANONICAL']],
    [
      'a space follows an entry',
      () => linesOf(parts.bodies.toSpliced(4, 1, `${parts.bodies[4]} `)),
      ['ROOT_MISMATCH', '5 ENTRY_NOT_CANONICAL'],
    ],
    [
      'line ends were converted',
      () => linesOf(parts.bodies.slice(0, 3)).replaceAll('\n', '\r\n') + linesOf(parts.bodies.slice(3)),
      ['1 ENTRY_UNREADABLE', '2 ENTRY_UNREADABLE', '3 ENTRY_UNREADABLE'],
    ],
    ['a byte order mark stands before it', () => `\ufeff${lines}`, ['1 ENTRY_UNREADABLE']],
    ['a line is a NUL', () => linesOf(parts.bodies.toSpliced(4, 1, '\0')), ['ROOT_MISMATCH', '5 ENTRY_NOT_CANONICAL']],
    [
      'a line is longer than any entry',
      () => linesOf(parts.bodies.toSpliced(4, 1, 'x'.repeat(MAX_ENTRY_BYTES + 1))),
      ['5 ENTRY_UNREADABLE'],
    ],
    ['a line is a header of an export', () => linesOf(parts.bodies.toSpliced(4, 1, headerOf(parts))), ['5 ENTRY_UNREADABLE']],
    ['nothing is left', () => '', ['LEDGER_TRUNCATED']],
    ['the end is cut off between lines', () => linesOf(parts.bodies.slice(0, -3)), ['LEDGER_TRUNCATED']],
  ])('%s: invalid', async (_name, content, expected) => {
    const report = await verifyLedger(mirror(content(), parts.note), OPTIONS);
    expect(report.status).toBe('invalid');
    expect(report.integrity).not.toBe('intact');
    expect(report.authorship).toBe('failed');
    expect(codes(report)).toEqual(expect.arrayContaining([...expected]));
  });

  it('tells an entry that was changed when a later one names it', async () => {
    const index = parts.bodies.findIndex((body) => body.includes('"kind":"decision"') && body.includes('"effect":"allow"'));
    const changed = parts.bodies.with(index, (parts.bodies[index] ?? '').replace('"agent":"billing"', '"agent":"b1lling"'));
    const report = await verifyLedger(mirror(linesOf(changed), parts.note), OPTIONS);
    expect(codes(report)).toEqual(expect.arrayContaining([`${index + 1} ENTRY_CHANGED`, 'ROOT_MISMATCH']));
  });

  it('invalid UTF-8 that reads as the same text is no entry', async () => {
    const bytes = Buffer.from(linesOf(parts.bodies));
    const at = bytes.indexOf('\ufffd');
    expect(at).toBeGreaterThan(0);
    const number = bytes.subarray(0, at).toString().split('\n').length;
    const report = await verifyLedger(
      mirror(Buffer.concat([bytes.subarray(0, at), Buffer.from([0xff]), bytes.subarray(at + 3)]), parts.note),
      OPTIONS,
    );
    expect(codes(report)).toContain(`${number} ENTRY_UNREADABLE`);
    expect(report.status).toBe('invalid');
  });

  describe('ahead of its checkpoint', () => {
    const behind = async (missing: number): Promise<string> => {
      const older = forged(path, (entries) => entries.slice(0, size - missing), { keepReferences: true });
      return partsOf(older).note;
    };
    it.each([1, 2, 7])('by %i entries: neither valid nor wrong', async (missing) => {
      const report = await verifyLedger(mirror(lines, await behind(missing)), OPTIONS);
      expect(report).toMatchObject({
        status: 'unproven',
        integrity: 'unknown',
        authorship: 'unchecked',
        entries: size,
        not_covered: missing,
        problems: [],
      });
      expect(told(report)).toContain(`${size - missing + 1} ENTRY_NOT_COVERED`);
    });

    it('and the entries it covers are others: invalid', async () => {
      const report = await verifyLedger(mirror(linesOf(parts.bodies.with(0, parts.bodies[1] ?? '')), await behind(2)), OPTIONS);
      expect(report).toMatchObject({ status: 'invalid', integrity: 'broken', authorship: 'failed' });
      expect(codes(report)).toContain('ROOT_MISMATCH');
    });

    it('lines added by somebody else are checked like all others, and never valid', async () => {
      const twice = parts.bodies.find((body) => body.includes('"kind":"outcome"')) ?? '';
      const report = await verifyLedger(mirror(`${lines}${twice}\n`, parts.note), OPTIONS);
      expect(report.status).toBe('invalid');
      expect(codes(report)).toContain(`${size + 1} OUTCOME_TWICE`);
    });

    it.each([1, 20, -1])('its last line is torn after %i bytes: a half written entry, told', async (length) => {
      const torn = (parts.bodies[3] ?? '').slice(0, length);
      const report = await verifyLedger(mirror(`${lines}${torn}`, parts.note), OPTIONS);
      expect(report).toMatchObject({ status: 'unproven', integrity: 'intact', entries: size, problems: [] });
      expect(told(report)).toContain('LINE_TORN');
    });

    it('its last line lacks nothing but its end: it is still no entry, since nothing covers it', async () => {
      const report = await verifyLedger(mirror(`${lines}${parts.bodies[3]}`, parts.note), OPTIONS);
      expect(report).toMatchObject({ status: 'unproven', entries: size });
    });
  });

  describe('without a checkpoint', () => {
    it('no entry can be called intact', async () => {
      const report = await verifyLedger(mirror(lines, null), OPTIONS);
      expect(report).toMatchObject({ status: 'unproven', integrity: 'unknown', authorship: 'unchecked', not_covered: size, problems: [] });
      expect(told(report)).toContain('CHECKPOINT_MISSING');
    });

    it('not even with no keys asked for', async () => {
      expect(await verifyLedger(mirror(lines, null))).toMatchObject({ status: 'unproven', integrity: 'unknown', authorship: 'unsigned' });
    });
  });

  it.each<[string, (file: string) => void]>([
    ['a folder', (file) => mkdirSync(file)],
    ['a pipe', (file) => execFileSync('mkfifo', [file])],
    ['a link to itself', (file) => symlinkSync(file, file)],
    ['a text', (file) => writeFileSync(file, 'hello\n')],
    ['empty', (file) => writeFileSync(file, '')],
    ['no UTF-8', (file) => writeFileSync(file, Buffer.from(parts.note.replace('test', '\x80est'), 'latin1'))],
    ['too long', (file) => writeFileSync(file, 'x'.repeat(1_000_001))],
    ['of another form', (file) => writeFileSync(file, parts.note.replace('\n', '\r\n'))],
  ])('whose checkpoint is %s: invalid, and it never waits', async (_name, make) => {
    const made = mirror(lines, null);
    make(`${made}.checkpoint`);
    const report = await verifyLedger(made, OPTIONS);
    expect(report.status).toBe('invalid');
    expect(codes(report)).toContain('CHECKPOINT_INVALID');
  });

  it('with the checkpoint of another log: invalid', async () => {
    const root = 'a'.repeat(64);
    const report = await verifyLedger(mirror(lines, noteOf({ size, root })), OPTIONS);
    expect(codes(report)).toEqual(['ROOT_MISMATCH']);
  });

  it('cut at every byte with its checkpoint kept: never valid', async () => {
    const short = lines.slice(-2500);
    const base = Buffer.byteLength(lines) - Buffer.byteLength(short);
    const bytes = Buffer.from(lines);
    for (let length = base; length < bytes.length - 1; length += 37) {
      const report = await verifyLedger(mirror(bytes.subarray(0, length), parts.note), OPTIONS);
      expect(report.status).toBe('invalid');
      expect(codes(report)).toContain('LEDGER_TRUNCATED');
    }
  });

  it('lacks only its very last line end: all is there, and it is told', async () => {
    const report = await verifyLedger(mirror(lines.slice(0, -1), parts.note), OPTIONS);
    expect(report).toMatchObject({ status: 'valid', entries: size });
    expect(told(report)).toContain(`${size} LINE_TORN`);
  });

  it('cut together with its checkpoint: the end is unproven, and a checkpoint kept elsewhere tells', async () => {
    const older = forged(path, (entries) => entries.slice(0, 9), { keepReferences: true });
    const { bodies, note } = partsOf(older);
    const made = mirror(linesOf(bodies), note);
    expect(await verifyLedger(made, OPTIONS)).toMatchObject({ status: 'valid', end: 'unproven' });
    expect(codes(await verifyLedger(made, { ...OPTIONS, against: parts.note }))).toEqual(['AGAINST_TRUNCATED']);
  });
});

describe('an export', () => {
  it('verifies like the ledger it was made from', async () => {
    const report = await verifyLedger(exported(whole), OPTIONS);
    expect(report).toMatchObject({ status: 'valid', format: 'countersign-export-1', problems: [] });
    const { format: _format, ...rest } = await verifyLedger(path, OPTIONS);
    expect(report).toMatchObject(rest);
  });

  it('without openings is as valid as a mirror', async () => {
    const report = await verifyLedger(exported([headerOf(parts), ...exportLines(parts, false)]), OPTIONS);
    expect(report.status).toBe('valid');
    expect(told(report).some((code) => code.endsWith('OPENING_MISSING'))).toBe(true);
  });

  const openedLine = (): number => whole.findIndex((line) => line.includes('"sections":{"args":{"path"'));
  const swap = (line: string, from: string | RegExp, to: string): string => {
    const changed = line.replace(from, to);
    expect(changed).not.toBe(line);
    return changed;
  };
  const at = (index: number): string => whole[index] ?? '';

  it.each<[string, () => readonly string[], readonly string[]]>([
    ['a body is changed', () => replaced(4, swap(at(4), '"at":1', '"at":2')), ['4 ENTRY_CHANGED']],
    ['a body and the hash beside it', () => replaced(4, swap(at(4), /"leaf":"....../, '"leaf":"000000')), ['4 LEAF_MISMATCH']],
    ['the hash is no hash', () => replaced(4, swap(at(4), /"leaf":"[0-9a-f]{64}"/, '"leaf":"x"')), ['4 LEAF_MISMATCH']],
    ['an entry is taken out', () => without(5), ['5 ENTRY_MISSING']],
    ['the first entry is taken out', () => without(1), ['1 ENTRY_MISSING']],
    ['the last entry is taken out', () => whole.slice(0, -1), ['LEDGER_TRUNCATED']],
    ['an entry stands twice', () => whole.toSpliced(5, 0, at(5)), ['ENTRY_MISPLACED']],
    ['two entries change places', () => whole.toSpliced(5, 2, at(6), at(5)), ['5 ENTRY_MISSING', 'ENTRY_MISPLACED']],
    ['an entry is added at the end', () => [...whole, swap(at(size), `"index":${size - 1}`, `"index":${size}`)], ['ENTRY_NOT_COVERED']],
    ['a position is far off', () => replaced(5, swap(at(5), '"index":4', '"index":9007199254740991')), ['READING_STOPPED']],
    ['a position is no number', () => replaced(5, swap(at(5), '"index":4', '"index":04')), ['5 ENTRY_UNREADABLE']],
    ['a member is unknown', () => replaced(5, swap(at(5), /\}$/, ',"more":1}')), ['5 ENTRY_UNREADABLE']],
    ['a member stands twice', () => replaced(5, swap(at(5), '{"index":4,', '{"index":4,"index":4,')), ['5 ENTRY_UNREADABLE']],
    ['an entry stands twice in a line', () => replaced(5, swap(at(5), /\}$/, ',"entry":{}}')), ['5 ENTRY_UNREADABLE']],
    [
      'a second opening follows',
      () => replaced(openedLine(), swap(at(openedLine()), /\}$/, ',"opening":{"key":"","sections":{}}}')),
      ['ENTRY_UNREADABLE'],
    ],
    [
      'members stand in another order',
      () => replaced(5, swap(at(5), /^\{("index":4),("leaf":"[0-9a-f]+")/, '{$2,$1')),
      ['5 ENTRY_UNREADABLE'],
    ],
    ['a space stands between members', () => replaced(5, swap(at(5), '{"index":4,', '{"index":4, ')), ['5 ENTRY_UNREADABLE']],
    ['something follows a line', () => replaced(5, `${at(5)} `), ['5 ENTRY_UNREADABLE']],
    ['a line is empty', () => whole.toSpliced(5, 0, ''), ['5 ENTRY_UNREADABLE']],
    ['a line is no JSON', () => replaced(5, 'hello'), ['5 ENTRY_UNREADABLE']],
    ['an entry is a number', () => replaced(5, swap(at(5), /"entry":.*\}$/, '"entry":7}')), ['5 ENTRY_UNREADABLE']],
    ['an entry does not end', () => replaced(5, at(5).slice(0, -2)), ['5 ENTRY_UNREADABLE']],
    ['an entry is spaced out', () => replaced(5, swap(at(5), '"entry":{', '"entry":{ ')), ['5 ENTRY_CHANGED']],
    ['line ends were converted', () => whole.map((line) => `${line}\r`), ['1 ENTRY_UNREADABLE']],
    [
      'clear text is changed',
      () => replaced(openedLine(), swap(at(openedLine()), '"sections":{"args":{"path":"/srv', '"sections":{"args":{"path":"/etc')),
      ['OPENING_MISMATCH'],
    ],
    [
      'clear text is spaced out',
      () => replaced(openedLine(), swap(at(openedLine()), '"sections":{', '"sections":{ ')),
      ['OPENING_INVALID'],
    ],
    [
      'clear text has a name twice',
      () => replaced(openedLine(), swap(at(openedLine()), '"sections":{"args"', '"sections":{"args":1,"args"')),
      ['OPENING_INVALID'],
    ],
    [
      'the key of an opening is changed',
      () => replaced(openedLine(), swap(at(openedLine()), /"opening":\{"key":"./, '"opening":{"key":"x')),
      ['OPENING_MISMATCH'],
    ],
    ['the header is missing', () => without(0), ['HEADER_MISSING', 'CHECKPOINT_MISSING']],
    ['the header comes late', () => [...whole.slice(1), at(0)], ['HEADER_MISSING', 'ENTRY_UNREADABLE']],
    ['two headers', () => [at(0), ...whole], ['1 ENTRY_UNREADABLE']],
    ['two exports in one file', () => [...whole, ...whole], ['ENTRY_UNREADABLE', 'ENTRY_MISPLACED']],
    [
      'the header has no checkpoint',
      () => replaced(0, JSON.stringify({ ...(JSON.parse(at(0)) as object), checkpoint: null })),
      ['CHECKPOINT_MISSING'],
    ],
    [
      'the header has another size',
      () => replaced(0, JSON.stringify({ ...(JSON.parse(at(0)) as object), size: size - 1 })),
      ['CHECKPOINT_INVALID'],
    ],
    ['the header names another log', () => replaced(0, headerOf(parts, 'evil.example/log')), ['ORIGIN_MISMATCH']],
    [
      'the header has a later version',
      () => replaced(0, JSON.stringify({ ...(JSON.parse(at(0)) as object), version: 2 })),
      ['HEADER_INVALID'],
    ],
    [
      'the header has one more member',
      () => replaced(0, JSON.stringify({ ...(JSON.parse(at(0)) as object), more: 1 })),
      ['HEADER_INVALID'],
    ],
    ['a member of the header stands twice', () => replaced(0, swap(at(0), '"size":', '"size":1,"size":')), ['HEADER_INVALID']],
    ['the header is spaced out', () => replaced(0, swap(at(0), '"version":', ' "version":')), ['HEADER_INVALID']],
    ['the header is torn', () => replaced(0, at(0).slice(0, 60)), ['HEADER_INVALID']],
    [
      'the header has a size below none',
      () => replaced(0, JSON.stringify({ ...(JSON.parse(at(0)) as object), size: -1 })),
      ['HEADER_INVALID'],
    ],
    [
      'the header has an origin that is none',
      () => replaced(0, JSON.stringify({ ...(JSON.parse(at(0)) as object), origin: 7 })),
      ['HEADER_INVALID'],
    ],
    [
      'the header has a checkpoint that is none',
      () => replaced(0, JSON.stringify({ ...(JSON.parse(at(0)) as object), checkpoint: 7 })),
      ['HEADER_INVALID'],
    ],
  ])('%s: invalid', async (_name, changed, expected) => {
    const report = await verifyLedger(exported(changed()), OPTIONS);
    expect(report.status).toBe('invalid');
    const found = codes(report);
    const missing = expected.filter((code) => !found.some((each) => each === code || each.endsWith(` ${code}`)));
    expect({ missing, found }).toMatchObject({ missing: [] });
  });

  it('takes the entry as it stands, also where it holds what looks like the end of it', async () => {
    const tricky = forged(path, (entries) => {
      const note = entries.find((entry) => entry['kind'] === 'note');
      if (note !== undefined) note['data'] = { a: '\\', b: '"}', opening: { key: 'k', sections: { '\\"': '}}' } }, z: ['],"opening":{'] };
    });
    const made = partsOf(tricky);
    expect(await verifyLedger(exported([headerOf(made), ...exportLines(made)]), OPTIONS)).toMatchObject({ status: 'valid', problems: [] });
  });

  it('a stored text that is no JSON stands as a string, and is found out', async () => {
    const line = at(5).replace(/"entry":.*$/, `"text":${JSON.stringify('not\njson')}}`);
    const report = await verifyLedger(exported(replaced(5, line)), OPTIONS);
    expect(codes(report)).toEqual(expect.arrayContaining(['5 ENTRY_CHANGED']));
  });

  it('older exports put names that look like numbers first: read, and nothing else out of order', async () => {
    const source = openJsonlSource(
      exported([
        headerOf(parts),
        `{"index":0,"leaf":"","entry":{},"opening":{"key":"k","sections":{"args":{"9":1,"10":2}}}}`,
        `{"index":1,"leaf":"","entry":{},"opening":{"key":"k","sections":{"args":{"9":1,"9":2}}}}`,
      ]),
    );
    const rows = [...source.chunks()].flat();
    expect(rows.map(({ opening }) => opening?.sections)).toEqual(['{"args":{"10":2,"9":1}}', '{"args":{"9":1,"9":2}}']);
    source.close();
  });

  it('cut at every byte: never valid', async () => {
    const bytes = readFileSync(exported(whole));
    for (let length = 0; length < bytes.length - 1; length += length < 300 ? 7 : 1009) {
      const report = await verifyLedger(file(bytes.subarray(0, length)), OPTIONS);
      expect(['invalid', 'unreadable']).toContain(report.status);
    }
  });

  it('cut within its last line: the entry is named', async () => {
    const bytes = readFileSync(exported(whole));
    const report = await verifyLedger(file(bytes.subarray(0, -20)), OPTIONS);
    expect(codes(report)).toEqual(expect.arrayContaining([`${size} LINE_TORN`, 'LEDGER_TRUNCATED']));
  });

  it('lacks only its last line end: told', async () => {
    const report = await verifyLedger(exported(whole, ''), OPTIONS);
    expect(report.status).toBe('valid');
    expect(told(report)).toContain(`${size} LINE_TORN`);
  });

  it('as one JSON document is refused, with what to do', async () => {
    const report = await verifyLedger(
      file(`${headerOf(parts).slice(0, -1)},"entries":[\n${exportLines(parts).join(',\n')}\n]}\n`),
      OPTIONS,
    );
    expect(report).toMatchObject({ status: 'unreadable', problems: [{ code: 'LEDGER_UNREADABLE' }] });
    expect(report.problems[0]?.message).toContain('--format ndjson');
  });

  it('of a ledger without entries proves nothing', async () => {
    const header = JSON.stringify({ countersign: 'export', version: 1, origin: 'test.example/ledger', size: 0, checkpoint: null });
    expect(await verifyLedger(exported([header]), OPTIONS)).toMatchObject({ status: 'unproven', entries: 0, problems: [] });
  });
});

describe('files that would fill memory or never end', () => {
  it('a line without an end is not read to its end', async () => {
    const made = mirror(lines, parts.note);
    // A hole: it costs nothing to make, and reading all of it would take hours.
    truncateSync(made, 2 ** 43);
    const report = await verifyLedger(made, OPTIONS);
    expect(codes(report)).toContain('FILE_DAMAGED');
    expect(report.status).toBe('invalid');
  });

  it('millions of empty lines are counted, not kept', async () => {
    const made = mirror(Buffer.alloc(400_000, '\n'), parts.note);
    const report = await verifyLedger(made, OPTIONS);
    expect(report).toMatchObject({ status: 'invalid', entries: 400_000 });
    expect(report.problems.length).toBeLessThanOrEqual(100);
  });

  it('a file that is cut while it is read is told', async () => {
    const big = linesOf(Array.from({ length: 4000 }, () => parts.bodies[3] ?? ''));
    const made = mirror(big, parts.note);
    const source = openJsonlSource(made);
    const chunks = source.chunks()[Symbol.iterator]();
    chunks.next();
    truncateSync(made, 10);
    while (chunks.next().done !== true);
    expect(source.faults).toMatchObject([{ code: 'FILE_DAMAGED', weight: 'change' }]);
    source.close();
  });

  it('what is appended meanwhile is not seen', async () => {
    const made = mirror(lines, parts.note);
    const source = openJsonlSource(made);
    appendFileSync(made, lines);
    expect([...source.chunks()].flat()).toHaveLength(size);
    expect(source.size).toBe(size);
    source.close();
  });
});

describe('reading from the middle', () => {
  it.each(['mirror', 'export'])('of a %s gives the same rows', (shape) => {
    const bodies = Array.from({ length: 5000 }, (_, index) => `{"kind":"x","n":${index}}`);
    const made = { bodies, openings: new Map<number, never>(), note: parts.note };
    const source = openJsonlSource(
      shape === 'mirror' ? mirror(linesOf(bodies), parts.note) : exported([headerOf(made), ...exportLines(made)]),
    );
    expect(source.size).toBe(5000);
    for (const from of [0, 1, 1023, 1024, 1025, 4999]) {
      expect([...source.chunks(from)].flat().map(({ body }) => body)).toEqual(bodies.slice(from));
      expect(source.body(from)).toBe(bodies[from]);
      expect(Buffer.from(source.bytes(from) ?? []).toString()).toBe(bodies[from]);
    }
    expect(source.body(5000)).toBeUndefined();
    source.close();
  });
});
