/** What a file is: `struct statx`, the same on every architecture. */
import type { FileCalls } from '../native/file-calls.ts';
import { AT_EMPTY_PATH } from './open-flags.ts';

export type FileType = 'file' | 'folder' | 'link' | 'fifo' | 'socket' | 'character' | 'block' | 'other';

export interface FileStatus {
  readonly type: FileType;
  readonly mode: number;
  readonly uid: number;
  readonly links: number;
  readonly inode: bigint;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
  /** Of a device file: which device. */
  readonly major: number;
  readonly minor: number;
  /** UTC, milliseconds; absent where the file system does not know. */
  readonly bornMs?: number;
}

const STATX_BYTES = 256;
const STATX_BASIC_AND_BIRTH = 0xfff;
const STATX_BTIME = 0x800;
/** What is known is enough: no server is asked. */
const AT_STATX_DONT_SYNC = 0x4000;
const TYPE_MASK = 0o170000;
const TYPES: ReadonlyMap<number, FileType> = new Map([
  [0o100000, 'file'],
  [0o040000, 'folder'],
  [0o120000, 'link'],
  [0o010000, 'fifo'],
  [0o140000, 'socket'],
  [0o020000, 'character'],
  [0o060000, 'block'],
]);
const EMPTY = Buffer.alloc(1);
const into = Buffer.alloc(STATX_BYTES);

/** Of a descriptor of ours. Undefined: it cannot be asked. */
export function statusOf(files: FileCalls, fd: number): FileStatus | undefined {
  if (files.statx(fd, EMPTY, AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_BASIC_AND_BIRTH, into) < 0) return undefined;
  const mode = into.readUInt16LE(28);
  const type = TYPES.get(mode & TYPE_MASK) ?? 'other';
  const born =
    (into.readUInt32LE(0) & STATX_BTIME) === 0 ? undefined : Number(into.readBigInt64LE(80)) * 1_000 + into.readUInt32LE(88) / 1e6;
  return {
    type,
    mode,
    links: into.readUInt32LE(16),
    uid: into.readUInt32LE(20),
    inode: into.readBigUInt64LE(32),
    major: into.readUInt32LE(128),
    minor: into.readUInt32LE(132),
    deviceMajor: into.readUInt32LE(136),
    deviceMinor: into.readUInt32LE(140),
    ...(born !== undefined && { bornMs: born }),
  };
}
