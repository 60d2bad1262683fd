import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { exitOf } from '../../src/native/exit-status.ts';
import { parseInotifyEvents } from '../../src/native/inotify-event.ts';
import { connectorAddress, listenMessage, parseProcEvents } from '../../src/native/proc-event.ts';

const FORK = 1;
const EXEC = 2;
const EXIT = 0x8000_0000;

function procMessage(what: number, fields: readonly number[], { type = 3, index = 1 } = {}): Buffer {
  const message = Buffer.alloc(52 + 4 * fields.length);
  message.writeUInt32LE(message.length, 0);
  message.writeUInt16LE(type, 4);
  message.writeUInt32LE(index, 16);
  message.writeUInt32LE(1, 20);
  message.writeUInt16LE(16 + 4 * fields.length, 32);
  message.writeUInt32LE(what, 36);
  for (const [at, field] of fields.entries()) message.writeInt32LE(field, 52 + 4 * at);
  return message;
}

function inotifyRecord(watch: number, mask: number, name: string, pad = 0): Buffer {
  const bytes = Buffer.from(name);
  const header = Buffer.alloc(16);
  header.writeInt32LE(watch, 0);
  header.writeUInt32LE(mask, 4);
  header.writeUInt32LE(bytes.length + pad, 12);
  return Buffer.concat([header, bytes, Buffer.alloc(pad)]);
}

describe('process events', () => {
  it('are forks, execs and exits of processes', () => {
    expect(parseProcEvents(procMessage(FORK, [10, 10, 11, 11]))).toEqual([{ kind: 'fork', parent: 10, child: 11, atNs: 0n }]);
    expect(parseProcEvents(procMessage(EXEC, [11, 11]))).toEqual([{ kind: 'exec', pid: 11 }]);
    expect(parseProcEvents(procMessage(EXIT, [11, 11, 0x100, 17]))).toEqual([{ kind: 'exit', pid: 11, status: 0x100 }]);
  });

  it('are not threads, other events or other connectors', () => {
    expect(parseProcEvents(procMessage(FORK, [10, 10, 12, 10]))).toEqual([]);
    expect(parseProcEvents(procMessage(EXIT, [12, 10, 0, 17]))).toEqual([]);
    expect(parseProcEvents(procMessage(0x200, [1, 1, 0, 0]))).toEqual([]);
    expect(parseProcEvents(procMessage(FORK, [10, 10, 11, 11], { index: 2 }))).toEqual([]);
  });

  it('begin with the answer of the kernel', () => {
    expect(parseProcEvents(procMessage(0, [0, 0, 0, 0]))).toEqual([{ kind: 'answer', error: 0 }]);
    expect(parseProcEvents(procMessage(0, [1]))).toEqual([{ kind: 'answer', error: 1 }]);
  });

  it('may come several in one datagram', () => {
    const datagram = Buffer.concat([procMessage(FORK, [10, 10, 11, 11]), procMessage(EXEC, [11, 11])]);
    expect(parseProcEvents(datagram).map(({ kind }) => kind)).toEqual(['fork', 'exec']);
  });

  it('are left out of every cut message, and of one whose inner length lies', () => {
    const whole = procMessage(FORK, [10, 10, 11, 11]);
    for (let length = 0; length < whole.length; length++) expect(parseProcEvents(whole.subarray(0, length))).toEqual([]);
    const lying = procMessage(FORK, [10, 10, 11, 11]);
    lying.writeUInt16LE(17, 32);
    expect(parseProcEvents(lying)).toEqual([]);
  });

  it('end at a message that says it is longer than the datagram, or shorter than its header', () => {
    for (const length of [0, 15, 0xffff_ffff]) {
      const message = procMessage(EXEC, [11, 11]);
      message.writeUInt32LE(length, 0);
      expect(parseProcEvents(message)).toEqual([]);
    }
  });

  it('never throw, whatever comes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => void parseProcEvents(Buffer.from(bytes))));
    const mutated = fc.tuple(fc.integer({ min: 0, max: 67 }), fc.integer({ min: 0, max: 255 }));
    fc.assert(
      fc.property(fc.array(mutated, { maxLength: 8 }), (changes) => {
        const message = procMessage(FORK, [10, 10, 11, 11]);
        for (const [at, byte] of changes) message[at] = byte;
        parseProcEvents(message);
      }),
    );
  });

  it('are asked for with these bytes', () => {
    expect(connectorAddress().toString('hex')).toBe('100000000000000001000000');
    expect(listenMessage().toString('hex')).toBe('28000000030000000000000000000000010000000100000000000000000000000400000001000000');
  });
});

describe('inotify records', () => {
  it('hold a watch, a mask, and a name up to its first zero byte', () => {
    const bytes = Buffer.concat([inotifyRecord(1, 0x20, ''), inotifyRecord(2, 0x200, 'a\nb', 13)]);
    expect(parseInotifyEvents(bytes)).toEqual([
      { watch: 1, mask: 0x20, cookie: 0, name: '' },
      { watch: 2, mask: 0x200, cookie: 0, name: 'a\nb' },
    ]);
    expect(parseInotifyEvents(inotifyRecord(-1, 0x4000, ''))).toEqual([{ watch: -1, mask: 0x4000, cookie: 0, name: '' }]);
  });

  it('are not read past the end', () => {
    const whole = inotifyRecord(2, 0x200, 'name', 12);
    for (let length = 0; length < whole.length; length++) expect(parseInotifyEvents(whole.subarray(0, length))).toEqual([]);
    const lying = inotifyRecord(2, 0x200, 'name', 12);
    lying.writeUInt32LE(0xffff_ffff, 12);
    expect(parseInotifyEvents(lying)).toEqual([]);
  });

  it('never throw, whatever comes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => void parseInotifyEvents(Buffer.from(bytes))));
  });

  it('keep the names they were given', () => {
    const name = fc.string({ minLength: 1, unit: 'binary' }).filter((each) => !each.includes('\0') && each.isWellFormed());
    fc.assert(
      fc.property(fc.array(fc.tuple(name, fc.integer({ min: 0, max: 20 }))), (names) => {
        const bytes = Buffer.concat(names.map(([each, pad], at) => inotifyRecord(at, 1, each, pad)));
        expect(parseInotifyEvents(bytes).map((event) => event.name)).toEqual(names.map(([each]) => each));
      }),
    );
  });
});

describe('exit statuses', () => {
  it('are codes or names of signals', () => {
    expect(exitOf(0)).toEqual({ kind: 'exit', code: 0 });
    expect(exitOf(3 << 8)).toEqual({ kind: 'exit', code: 3 });
    expect(exitOf(255 << 8)).toEqual({ kind: 'exit', code: 255 });
    expect(exitOf(9)).toEqual({ kind: 'exit', signal: 'SIGKILL' });
    expect(exitOf(6)).toEqual({ kind: 'exit', signal: 'SIGABRT' });
    // Dumped core.
    expect(exitOf(0x80 | 11)).toEqual({ kind: 'exit', signal: 'SIGSEGV' });
    expect(exitOf(64)).toEqual({ kind: 'exit', signal: 'SIG64' });
  });
});
