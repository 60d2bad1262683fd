import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EXCERPT_BYTES, type Line, LineReader } from '../src/wire.ts';

function readAll(chunks: readonly Buffer[], maxBytes?: number): Line[] {
  const reader = new LineReader(maxBytes);
  return [...chunks.flatMap((chunk) => reader.push(chunk)), ...reader.end()];
}

function contents(lines: readonly Line[]): string[] {
  return lines.map((line) => (line.kind === 'line' ? line.content.toString() : `oversize ${line.sizeBytes}`));
}

describe('LineReader', () => {
  it.each([
    ['LF', '{"a":1}\n', ['{"a":1}']],
    ['CRLF', '{"a":1}\r\n{"b":2}\r\n', ['{"a":1}', '{"b":2}']],
    ['empty lines', '\n\r\n{}\n', ['', '', '{}']],
    ['no final newline', '{"a":1}\n{"b":2}', ['{"a":1}', '{"b":2}']],
    ['a byte order mark on the first line only', '\ufeff{"a":1}\n\ufeff{"b":2}\n', ['{"a":1}', '\ufeff{"b":2}']],
    ['a carriage return inside', '{"a":\r1}\n', ['{"a":\r1}']],
    ['nothing', '', []],
    ['only a byte order mark', '\ufeff', ['']],
  ])('reads %s', (_name, text, expected) => {
    expect(contents(readAll([Buffer.from(text)]))).toEqual(expected);
  });

  it('gives the same lines wherever two cuts fall', () => {
    const stream = Buffer.from('\ufeff{"a":"é😀"}\r\n\n{"b":[1,2]}\n{"last":true}');
    const expected = contents(readAll([stream]));
    for (let first = 0; first <= stream.length; first++) {
      for (let second = first; second <= stream.length; second++) {
        const lines = readAll([stream.subarray(0, first), stream.subarray(first, second), stream.subarray(second)]);
        expect(contents(lines)).toEqual(expected);
      }
    }
  });

  it('keeps every byte of what it reads, and adds only the last newline', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 })), (chunks) => {
        const buffers = chunks.map((chunk) => Buffer.from(chunk));
        const joined = Buffer.concat(buffers);
        const ended = joined.length === 0 || joined.at(-1) === 10 ? joined : Buffer.concat([joined, Buffer.of(10)]);
        const read = readAll(buffers).map((line) => (line.kind === 'line' ? line.bytes : Buffer.alloc(0)));
        expect(Buffer.concat(read).equals(ended)).toBe(true);
      }),
    );
  });

  it('does not give one line the memory of another', () => {
    const reader = new LineReader();
    reader.push(Buffer.from('{"first":'));
    const [first] = reader.push(Buffer.from('1}\n'));
    reader.push(Buffer.from('XXXXXXXXXXXX'));
    expect(first?.kind === 'line' && first.content.toString()).toBe('{"first":1}');
  });

  it.each([1, 7, 1000])('skips a line over the limit and reads the next, in chunks of %i', (chunkBytes) => {
    const stream = Buffer.from(`{"ok":1}\n${'x'.repeat(99)}\n${'y'.repeat(100)}\n{"ok":2}\n`);
    const chunks = Array.from({ length: Math.ceil(stream.length / chunkBytes) }, (_, i) =>
      stream.subarray(i * chunkBytes, (i + 1) * chunkBytes),
    );
    expect(contents(readAll(chunks, 100))).toEqual(['{"ok":1}', 'x'.repeat(99), 'oversize 101', '{"ok":2}']);
  });

  it('keeps only the ends of a skipped line, also when the stream ends in it', () => {
    const chunks = [Buffer.from('head'), ...Array.from({ length: 500 }, () => Buffer.alloc(100, 'x')), Buffer.from('tail')];
    const [line, ...others] = readAll(chunks, 2000);
    expect(others).toEqual([]);
    if (line?.kind !== 'oversize') throw new Error('not skipped');
    expect(line.sizeBytes).toBe(50_009);
    expect(line.head.length).toBe(EXCERPT_BYTES);
    expect(line.head.toString().startsWith('headxxx')).toBe(true);
    expect(line.tail.length).toBe(EXCERPT_BYTES);
    expect(line.tail.toString().endsWith('xxxtail\n')).toBe(true);
  });
});
