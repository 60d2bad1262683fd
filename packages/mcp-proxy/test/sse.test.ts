import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EventReader, type SsePiece } from '../src/sse.ts';
import { formatEvent, readEvent, withData } from '../src/sse-event.ts';

function read(chunks: readonly (string | Buffer)[], maxBytes?: number): SsePiece[] {
  const reader = new EventReader(maxBytes);
  return [...chunks.flatMap((chunk) => reader.push(Buffer.from(chunk))), ...reader.end()];
}

/** Without offsets and memory: what a piece says. */
const told = (pieces: readonly SsePiece[]): unknown[] =>
  pieces.map((piece) => {
    if (piece.kind !== 'event') return { ...piece, ...('bytes' in piece && { bytes: piece.bytes.toString() }) };
    const { start: _start, ...rest } = piece;
    return { ...rest, bytes: piece.bytes.toString(), ...(piece.data !== undefined && { data: piece.data.toString() }) };
  });

const datas = (pieces: readonly SsePiece[]): (string | undefined)[] =>
  pieces.flatMap((piece) => (piece.kind === 'event' ? [piece.data?.toString()] : []));

/** The format as the standard has it, on a whole text: the model the reader is held against. */
function standard(text: string): { data: string; id: string; event: string }[] {
  const events: { data: string; id: string; event: string }[] = [];
  let [data, event, id] = ['', '', ''];
  const lines = text.replace(/^\ufeff/, '').split(/\r\n|\r|\n/);
  for (const line of lines.slice(0, -1)) {
    if (line === '') {
      if (data !== '') events.push({ data: data.slice(0, -1), id, event: event || 'message' });
      [data, event] = ['', ''];
      continue;
    }
    const [, name = '', value = ''] = /^([^:]*)(?:: ?(.*))?$/su.exec(line) ?? [];
    if (name === 'data') data += `${value}\n`;
    if (name === 'event') event = value;
    if (name === 'id' && !value.includes('\0')) id = value;
  }
  return events;
}

const piece = fc.constantFrom(
  'data: {"a":1}',
  'data:x',
  'data',
  'data:',
  'data:  two',
  ' data: x',
  'Data: x',
  'datax: y',
  'data : y',
  ': comment',
  ':',
  'id: 1',
  'id',
  'id: a\0b',
  'event: ping',
  'event:',
  'retry: 10',
  'retry: -1',
  'data: é😀 ',
  '\ufeff',
  '\ufeffdata: x',
  'x'.repeat(40),
);
const lineEnd = fc.constantFrom('\n', '\r', '\r\n', '\n\n', '\r\r', '\r\n\r\n', '');
const stream = fc.array(fc.tuple(piece, lineEnd), { maxLength: 20 }).map((parts) => parts.flat().join(''));
const oneEnding = fc
  .tuple(fc.constantFrom('\n', '\r', '\r\n'), fc.array(piece, { maxLength: 20 }))
  .map(([end, pieces]) => pieces.map((each, i) => each + (i % 2 === 0 ? end : end + end)).join(''));

describe('an event stream', () => {
  it('reads the same whatever the chunks are, and as the standard does', () => {
    fc.assert(
      fc.property(fc.oneof(stream, oneEnding), fc.array(fc.nat(12), { minLength: 1, maxLength: 5 }), (text, sizes) => {
        const bytes = Buffer.from(text);
        const whole = read([bytes]);
        const chunks: Buffer[] = [];
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const size = sizes[i % sizes.length] ?? 1;
          chunks.push(bytes.subarray(at, at + size));
          at += i % 7 === 6 ? Math.max(size, 1) : size;
          if (sizes.every((each) => each === 0)) break;
        }
        if (Buffer.concat(chunks).equals(bytes)) expect(told(read(chunks))).toEqual(told(whole));
        expect(told(read([...bytes].map((byte) => Buffer.of(byte))))).toEqual(told(whole));

        let id = '';
        // Of what readers differ about, nobody is asked.
        if (whole.some((each) => each.kind === 'unclear')) return;
        const events = whole.flatMap((each) => {
          if (each.kind !== 'event') return [];
          id = each.id ?? id;
          return each.data === undefined ? [] : [{ data: each.data.toString(), id, event: each.event || 'message' }];
        });
        expect(events).toEqual(standard(text));
      }),
      { numRuns: 3000 },
    );
  });

  it('gives back every byte, but those of an event that was cut off', () => {
    fc.assert(
      fc.property(fc.oneof(stream, oneEnding), (text) => {
        const pieces = read([text]);
        const bytes = Buffer.concat(pieces.flatMap((each) => ('bytes' in each ? [each.bytes] : [])));
        const cut = pieces.find((each) => each.kind === 'cut')?.sizeBytes ?? 0;
        expect(bytes.toString()).toBe(
          Buffer.from(text)
            .subarray(0, Buffer.byteLength(text) - cut)
            .toString(),
        );
        expect(pieces.slice(0, -1).some((each) => each.kind === 'cut')).toBe(false);
      }),
      { numRuns: 2000 },
    );
  });

  it('changes only the data of an event, to a reader and in bytes', () => {
    const replaced = fc.oneof(fc.constantFrom('', ' ', ' x', '{\n"a":\r\n1\r}', '\n', 'data: y'), fc.json());
    fc.assert(
      fc.property(fc.oneof(stream, oneEnding), replaced, (text, data) => {
        for (const event of read([text])) {
          if (event.kind !== 'event') continue;
          const written = withData(event, Buffer.from(data));
          const again = readEvent(written, event.start);
          expect(again.data?.toString()).toBe(data.replace(/\r\n|\r/g, '\n'));
          const { bytes: _a, data: _b, ...before } = event;
          const { bytes: _c, data: _d, ...after } = again;
          expect(after).toEqual(before);
          const others = (bytes: Buffer): string[] =>
            bytes
              .toString()
              .split(/\r\n|\r|\n/)
              .filter((line) => !/^(\ufeff)?data(:|$)/.test(line));
          expect(others(written)).toEqual(others(event.bytes));
          // Alone in a stream it is one event still. Of mixed line ends, a LF may be left over.
          const kinds = read([written.subarray(event.start)]).map(({ kind }) => kind);
          expect(kinds.filter((kind) => kind !== 'gap')).toEqual(['event']);
        }
      }),
      { numRuns: 3000 },
    );
  });

  it.each(['\n', '\r', '\r\n'])('gives an event as soon as its blank line is there (%j)', (end) => {
    const reader = new EventReader();
    reader.push(Buffer.from(`data: 0${end}${end}`));
    const one = Buffer.from(`: still here${end}data: 1${end}${end}`);
    const early = [...one.subarray(0, -1)].flatMap((byte) => reader.push(Buffer.of(byte)));
    expect(datas([...early, ...reader.push(one.subarray(-1))])).toEqual(['1']);
  });

  it('passes comments and blank lines on at once', () => {
    const reader = new EventReader();
    expect(told(reader.push(Buffer.from(': ping\n')))).toEqual([{ kind: 'gap', bytes: ': ping\n' }]);
    expect(told(reader.push(Buffer.from('\r\n')))).toEqual([{ kind: 'gap', bytes: '\r\n' }]);
  });

  it.each([
    ['data: a', 'no line end'],
    ['data: a\n', 'no blank line'],
    ['data: a\nid: 1\r', 'a line end that may go on'],
    ['data: a\n\ndata: b\n', 'after another'],
  ])('does not make an event of %j (%s)', (text) => {
    expect(read([text]).at(-1)?.kind).toBe('cut');
    expect(datas(read([text]))).toEqual(text.includes('b') ? ['a'] : []);
  });

  it('knows data only by its exact name', () => {
    expect(datas(read(['Data: x\n\n', ' data: x\n\n', 'data\u0301: x\n\n', 'datum: x\n\n', 'dat\ndata : x\n\n']))).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });

  it('takes a byte order mark at the start of the stream only', () => {
    expect(datas(read(['\ufeffdata: x\n\n']))).toEqual(['x']);
    expect(datas(read(['\ufeff\ufeffdata: x\n\n', 'data: y\n\n']))).toEqual(['y']);
    expect(read(['data: x\n\n\ufeffdata: y\n\n'])).toMatchObject([{ kind: 'event' }, { kind: 'unclear' }]);
    expect(datas(read([Buffer.from([0xef]), Buffer.from([0xbb]), Buffer.from([0xbf]), 'data: x\n\n']))).toEqual(['x']);
    expect(told(read([Buffer.from([0xef, 0xbb])]))).toEqual([{ kind: 'cut', sizeBytes: 2 }]);
  });

  it.each(['\v', '\f', '\x1c', '\x1d', '\x1e', '\x85', '\u2028', '\u2029'])(
    'holds back data behind what ends a line to Python (%j)',
    (end) => {
      const smuggled = `data: {"text":"${end}data: {} ${end}${end}"}\n\n`;
      expect(read([smuggled, 'data: y\n\n'])).toMatchObject([{ kind: 'unclear' }, { kind: 'event' }]);
      // Where nothing stands behind them, they are text as any other.
      expect(datas(read([`data: {"text":"a${end}b data: ${end}"}\n\n`]))).toEqual([`{"text":"a${end}b data: ${end}"}`]);
    },
  );

  it('reads id and retry as clients do', () => {
    expect(read(['id: 7\nretry: 250\ndata:\n\n'])).toMatchObject([{ id: '7', retry: 250 }]);
    expect(read(['id: a\0b\nretry: 1e3\ndata:\n\n'])[0]).not.toHaveProperty('id');
    expect(read(['id\nretry: 99999999999999\ndata:\n\n'])[0]).toMatchObject({ id: '' });
    expect(read(['retry: 99999999999999\ndata:\n\n'])[0]).not.toHaveProperty('retry');
  });

  it('skips an event over the limit, keeps its ends, and goes on', () => {
    const large = `id: 3\ndata: {"jsonrpc":"2.0","id":5,"result":"${'x'.repeat(5000)}"}\n\n`;
    for (const chunks of [[`data: a\n\n${large}data: b\n\n`], [...`data: a\n\n${large}data: b\n\n`]]) {
      const pieces = read(chunks, 4000);
      expect(datas(pieces)).toEqual(['a', 'b']);
      const [oversize] = pieces.filter((each) => each.kind === 'oversize');
      expect(oversize?.sizeBytes).toBe(large.length);
      expect(oversize?.head.toString()).toMatch(/^\{"jsonrpc":"2\.0","id":5,"result":"x+$/);
      expect(oversize?.tail.toString()).toMatch(/^x+"\}\n\n$/);
    }
  });

  it.each([
    ['a line', 'data: '],
    ['a comment', ':'],
    ['a name', ''],
  ])('holds no more than the limit of %s that never ends', (_what, head) => {
    const reader = new EventReader(1000);
    reader.push(Buffer.from(head));
    for (let i = 0; i < 100; i++) expect(reader.push(Buffer.alloc(1000, 0x61))).toEqual([]);
    expect(reader.end()).toEqual([{ kind: 'cut', sizeBytes: 100_000 + head.length }]);
  });

  it('reads an event of very many lines', () => {
    const [event] = read([`${'data:x\n'.repeat(500_000)}\n`]);
    expect(event?.kind === 'event' && event.data?.length).toBe(999_999);
  });

  it('writes events of our own that read back', () => {
    const event = formatEvent({ data: Buffer.from('{"a":1}'), id: 's_7', event: 'message', retry: 100 });
    expect(told(read([event]))).toEqual([
      { kind: 'event', bytes: event.toString(), data: '{"a":1}', id: 's_7', event: 'message', retry: 100 },
    ]);
    expect(formatEvent({ data: Buffer.from(' a\nb') }).toString()).toBe('data:  a\ndata: b\n\n');
  });
});
