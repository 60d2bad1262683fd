/**
 * The files of a mirror: comparing what they hold with the ledger, appending, and replacing the checkpoint.
 *
 * Lines are written at the place where they belong. What stands there is the ledger's in the ledger's order, so even two
 * writers that both believed to have the lock would write the same bytes to the same place.
 */
import { constants } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { CountersignError } from '../errors.ts';
import type { TreeHead } from '../ledger/checkpoint.ts';
import { MAX_ENTRY_BYTES } from '../ledger/entry.ts';
import { MAX_NOTE_BYTES } from '../ledger/note.ts';
import { LINE_FEED } from './lines.ts';
import { headOf, type MirroredCheckpoint, type MirroredLedger } from './mirrored-ledger.ts';
import { CHECKPOINT_SUFFIX } from './source.ts';

const FILE_MODE = 0o600;
const BLOCK_BYTES = 1_048_576;
const NONBLOCK = constants.O_NONBLOCK ?? 0;

/** All files a mirror consists of, for whoever protects them. */
export function mirrorFiles(path: string): readonly string[] {
  return [path, `${path}${CHECKPOINT_SUFFIX}`, temporaryOf(path), lockOf(path)];
}

export function lockOf(path: string): string {
  return `${path}.lock`;
}

/** A line boundary: so many lines, ending at that offset. */
export interface Place {
  readonly lines: number;
  readonly offset: number;
}

/** Opens the file; without `create` for reading only. Undefined when it is not there and shall not be made. */
export async function openMirrorFile(path: string, create: boolean): Promise<FileHandle | undefined> {
  let handle: FileHandle;
  try {
    handle = await open(path, NONBLOCK | (create ? constants.O_RDWR | constants.O_CREAT : constants.O_RDONLY), FILE_MODE);
  } catch (cause) {
    if (!create && (cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw cause;
  }
  if ((await handle.stat()).isFile()) return handle;
  await handle.close();
  throw new CountersignError('MIRROR_FAILED', `${path} is not a regular file`);
}

/**
 * The checkpoint beside a mirror; undefined when there is none.
 * @throws {CountersignError} `MIRROR_DIVERGED` when what lies there is no checkpoint, and system errors.
 */
export async function readMirrorCheckpoint(path: string): Promise<TreeHead | undefined> {
  const name = `${path}${CHECKPOINT_SUFFIX}`;
  const handle = await openMirrorFile(name, false);
  if (handle === undefined) return undefined;
  try {
    const bytes = Buffer.alloc(MAX_NOTE_BYTES);
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, 0);
    return headOf(bytes.toString('utf8', 0, bytesRead));
  } catch (cause) {
    if (CountersignError.is(cause)) throw diverged(`${name} holds no checkpoint`, cause);
    throw cause;
  } finally {
    await handle.close();
  }
}

/**
 * Where the lines end that the checkpoint covers, once it is the ledger's and the last of them too.
 *
 * Lines before are not compared: that is what `verify` is for, and it takes long.
 * @throws {CountersignError} `MIRROR_DIVERGED`
 */
export async function coveredPlace(handle: FileHandle, covered: TreeHead | undefined, ledger: MirroredLedger): Promise<Place> {
  if (covered === undefined || covered.size === 0) return { lines: 0, offset: 0 };
  if (covered.size > ledger.size)
    throw diverged(`its checkpoint covers ${covered.size} entries, the ledger has ${ledger.size}: an older ledger was put back`);
  if (covered.root !== ledger.rootAt(covered.size)) throw diverged('its checkpoint has another root than the ledger had at that size');
  const { last, end } = await findLine(handle, covered.size);
  const expected = ledger.lines(covered.size - 1).bytes;
  const line = await readAt(handle, last, Math.min(end - last, expected.length));
  if (expected.indexOf(LINE_FEED) + 1 !== end - last || !line.equals(expected.subarray(0, end - last)))
    throw diverged(`line ${covered.size} is not that entry of the ledger`);
  return { lines: covered.size, offset: end };
}

/** Where the line of that number begins and ends. */
async function findLine(handle: FileHandle, number: number): Promise<{ readonly last: number; readonly end: number }> {
  const block = Buffer.allocUnsafe(BLOCK_BYTES);
  let [lines, last, end, position] = [0, 0, 0, 0];
  for (;;) {
    const { bytesRead } = await handle.read(block, 0, block.length, position);
    if (bytesRead === 0) throw diverged(`it has ${lines} whole lines, its checkpoint covers ${number} entries`);
    for (let at = block.indexOf(LINE_FEED); at >= 0 && at < bytesRead; at = block.indexOf(LINE_FEED, at + 1)) {
      last = end;
      end = position + at + 1;
      if (++lines === number) return { last, end };
    }
    position += bytesRead;
  }
}

/**
 * Compares what follows a place with the ledger.
 *
 * @param sizeBytes - how long the mirror was before the ledger was opened or read: what stood there was committed before.
 * @returns how far whole lines go, and how many bytes of a torn one follow.
 * @throws {CountersignError} `MIRROR_DIVERGED`
 */
export async function compareTail(
  handle: FileHandle,
  from: Place,
  ledger: MirroredLedger,
  sizeBytes: number,
): Promise<Place & { readonly tornBytes: number }> {
  let { lines, offset } = from;
  for (;;) {
    const expected = ledger.lines(lines);
    const actual = await readAt(handle, offset, Math.min(sizeBytes - offset, expected.bytes.length));
    const isSame = expected.count > 0 && actual.equals(expected.bytes);
    const whole = isSame ? actual.length : actual.lastIndexOf(LINE_FEED) + 1;
    if (!actual.subarray(0, whole).equals(expected.bytes.subarray(0, whole)))
      throw diverged(`what follows line ${lines} are not the entries of the ledger`);
    lines += isSame ? expected.count : countLines(actual.subarray(0, whole));
    offset += whole;
    if (isSame) continue;
    const tornBytes = sizeBytes - offset;
    const rest = await readAt(handle, offset, Math.min(tornBytes, MAX_ENTRY_BYTES + 1));
    if (rest.length > MAX_ENTRY_BYTES || rest.includes(LINE_FEED)) throw diverged(`line ${lines + 1} is not that entry of the ledger`);
    return { lines, offset, tornBytes };
  }
}

/** Appends as many lines as the ledger gives at once. What cannot be written whole is taken away again. */
export async function appendLines(handle: FileHandle, place: Place, ledger: MirroredLedger): Promise<Place> {
  const { bytes, count } = ledger.lines(place.lines);
  if (count === 0)
    throw new CountersignError('LEDGER_CORRUPT', `the ledger has no entry ${place.lines + 1}, though a checkpoint covers it`);
  try {
    for (let written = 0; written < bytes.length; )
      written += (await handle.write(bytes, written, bytes.length - written, place.offset + written)).bytesWritten;
  } catch (error) {
    // If that fails too, the next turn finds a torn line and cuts it off.
    await handle.truncate(place.offset).catch(() => undefined);
    throw error;
  }
  return { lines: place.lines + count, offset: place.offset + bytes.length };
}

/** The lines it covers must be on the disk by now. After this the new one is, whatever happens. */
export async function replaceCheckpoint(path: string, { note }: MirroredCheckpoint): Promise<void> {
  const temporary = temporaryOf(path);
  await rm(temporary, { force: true });
  const handle = await open(temporary, 'wx', FILE_MODE);
  try {
    await handle.writeFile(note);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, `${path}${CHECKPOINT_SUFFIX}`);
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function temporaryOf(path: string): string {
  return `${path}${CHECKPOINT_SUFFIX}.tmp`;
}

async function readAt(handle: FileHandle, offset: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(Math.max(0, length));
  let filled = 0;
  while (filled < buffer.length) {
    const { bytesRead } = await handle.read(buffer, filled, buffer.length - filled, offset + filled);
    if (bytesRead === 0) throw diverged('it became shorter while it was read');
    filled += bytesRead;
  }
  return buffer;
}

function countLines(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(LINE_FEED); at >= 0; at = bytes.indexOf(LINE_FEED, at + 1)) count++;
  return count;
}

export function diverged(what: string, cause?: unknown): CountersignError {
  return new CountersignError(
    'MIRROR_DIVERGED',
    `the mirror is not one of this ledger: ${what}. Nothing is written to it: verify both, then move the mirror away to have a new one made`,
    cause === undefined ? {} : { cause },
  );
}
