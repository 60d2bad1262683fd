/**
 * Built-ins as they were when this module was first evaluated, which is before any probe is installed: what the probe and the
 * monitor use themselves, so that their own work is neither judged nor recorded, and cannot be led back into the probe.
 *
 * Only those that are made of no others: `readFileSync` of a patched `fs` opens through the patched `openSync`.
 *
 * They are bare functions, reached by who imports this very file. Code in the same process that knows where it lies can do so
 * too: the probe is a tripwire, not a wall.
 */
import * as fs from 'node:fs';
import { getCallSites } from 'node:util';

export interface Originals {
  readonly openSync: typeof fs.openSync;
  readonly closeSync: typeof fs.closeSync;
  readonly readSync: typeof fs.readSync;
  readonly writeSync: typeof fs.writeSync;
  readonly fstatSync: typeof fs.fstatSync;
  readonly lstatSync: typeof fs.lstatSync;
  readonly mkdirSync: typeof fs.mkdirSync;
  readonly mkdtempSync: typeof fs.mkdtempSync;
  readonly readdirSync: typeof fs.readdirSync;
  readonly readlinkSync: typeof fs.readlinkSync;
  readonly unlinkSync: typeof fs.unlinkSync;
  readonly rmSync: typeof fs.rmSync;
  readonly realpath: typeof fs.realpathSync.native;
  readonly getCallSites: typeof getCallSites;
  readonly apply: typeof Reflect.apply;
  readonly construct: typeof Reflect.construct;
  readonly nextTick: typeof process.nextTick;
  readonly cwd: () => string;
  /** UTC, milliseconds. */
  readonly now: () => number;
  readonly monotonicMs: () => number;
  readonly wait: typeof Atomics.wait;
}

export const originals: Originals = Object.freeze({
  openSync: fs.openSync,
  closeSync: fs.closeSync,
  readSync: fs.readSync,
  writeSync: fs.writeSync,
  fstatSync: fs.fstatSync,
  lstatSync: fs.lstatSync,
  mkdirSync: fs.mkdirSync,
  mkdtempSync: fs.mkdtempSync,
  readdirSync: fs.readdirSync,
  readlinkSync: fs.readlinkSync,
  unlinkSync: fs.unlinkSync,
  rmSync: fs.rmSync,
  realpath: fs.realpathSync.native,
  getCallSites,
  apply: Reflect.apply,
  construct: Reflect.construct,
  nextTick: process.nextTick.bind(process),
  cwd: process.cwd.bind(process),
  now: Date.now,
  monotonicMs: performance.now.bind(performance),
  wait: Atomics.wait,
});

/** @throws when it cannot be read, or is longer than `maxBytes`. */
export function readBytes(path: string, maxBytes: number): Buffer {
  const fd = originals.openSync(path, 'r');
  try {
    const chunks: Buffer[] = [];
    for (let size = 0; ; ) {
      const chunk = Buffer.allocUnsafe(65_536);
      const read = originals.readSync(fd, chunk, 0, chunk.length, null);
      if (read === 0) return Buffer.concat(chunks);
      size += read;
      if (size > maxBytes) throw new Error(`${path} is longer than ${maxBytes} bytes`);
      chunks.push(chunk.subarray(0, read));
    }
  } finally {
    originals.closeSync(fd);
  }
}

/** A new file, or the same with other content; of this user alone. */
export function writeBytes(path: string, bytes: Uint8Array): void {
  const fd = originals.openSync(path, 'w', 0o600);
  try {
    for (let at = 0; at < bytes.length; ) at += originals.writeSync(fd, bytes, at, bytes.length - at);
  } finally {
    originals.closeSync(fd);
  }
}
