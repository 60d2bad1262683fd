/**
 * Readers of /proc. Everything in it that a process chooses (name, arguments, paths, environment) is hostile: it may hold newlines,
 * parentheses, escapes, bytes that are no UTF-8, megabytes. Anything may vanish between two reads, or belong to another user.
 *
 * Readings are synchronous: on /proc that is three to five times cheaper than promises, and what was read belongs together.
 */
import { closeSync, opendirSync, openSync, readdirSync, readlinkSync, readSync, statSync } from 'node:fs';
import { type Descriptor, type DescriptorState, parseDescriptorInfo } from './descriptor.ts';
import { type Markers, parseMarkers } from './markers.ts';
import { type ProcessStat, parseStat } from './stat.ts';

/** Why there is no reading: the process ended, or is not ours to read (another user's, or it made itself unreadable). */
export type Unread = 'gone' | 'denied';

/** Bytes that went to or came from storage; not what a cache answered. */
export interface ProcessIo {
  readonly readBytes: number;
  readonly writeBytes: number;
}

/** Bounded, and never throws: `undefined` is a process that ended or cannot be read. */
export interface ProcReader {
  /** At most `MAX_PIDS`. Empty where there is no /proc. */
  pids(): readonly number[];
  stat(pid: number): ProcessStat | undefined;
  /** At most `MAX_ARGV` of them, of the first `MAX_CMDLINE_BYTES`. Bytes that are no UTF-8 become U+FFFD. A process may rewrite them. */
  argv(pid: number): readonly string[] | undefined;
  /** As the kernel resolved it; ends in ` (deleted)` where the file is gone. */
  exe(pid: number): string | undefined;
  /** Which file that is: stays the same when it is renamed or removed, and is another after an exec of another. */
  exeFile(pid: number): string | undefined;
  cwd(pid: number): string | undefined;
  /** Our own markers in the environment it was started with. No other variable leaves this function. */
  markers(pid: number): Markers | undefined;
  /** At most `MAX_DESCRIPTORS`. */
  descriptors(pid: number): readonly Descriptor[] | Unread;
  /** How a descriptor was opened and where it stands. */
  descriptorState(pid: number, fd: number): DescriptorState | undefined;
  /** Open descriptors, without a look at each; at most `MAX_DESCRIPTORS`. */
  descriptorCount(pid: number): number | undefined;
  io(pid: number): ProcessIo | undefined;
  /**
   * Another text whenever one of its threads ran, even for a microsecond. Undefined where the kernel does not account for that, and
   * past `MAX_MARKED_THREADS`. @param threads - how many it had when last looked at.
   */
  ranMark(pid: number, threads: number): string | undefined;
  /** Numeric id of the user it runs as. */
  owner(pid: number): number | undefined;
  /** A table of sockets, the first `MAX_NET_BYTES` of it. @param pid - whose network namespace; absent: ours. */
  net(name: NetTable, pid?: number): string | undefined;
}

export type NetTable = 'tcp' | 'tcp6' | 'udp' | 'udp6' | 'unix';

export const MAX_PIDS = 65_536;
export const MAX_ARGV = 1_000;
export const MAX_CMDLINE_BYTES: number = 64 * 1024;
/** Of one process; those beyond are not looked at. */
export const MAX_DESCRIPTORS = 4_096;
/** A larger environment is searched only so far; the kernel allows megabytes. */
export const MAX_ENVIRON_BYTES: number = 256 * 1024;
export const MAX_NET_BYTES: number = 4 * 1024 * 1024;
export const MAX_MARKED_THREADS = 64;
/** More than any of the small tables has. */
const MAX_SMALL_BYTES = 8 * 1024;

/** @param options.root - where /proc is mounted; tests give a directory of their own. */
export function procReader(options: { readonly root?: string } = {}): ProcReader {
  const root = options.root ?? '/proc';
  const ofProcess = <T>(pid: number, read: (folder: string) => T, isEmpty?: (value: T) => boolean): T | Unread =>
    readProcess(root, pid, read, isEmpty);
  return {
    pids: () => known(attempt(() => numbersOf(readdirSync(root), MAX_PIDS))) ?? [],
    stat: (pid) => known(attempt(() => parseStat(readText(`${root}/${pid}/stat`)))),
    argv: (pid) => known(ofProcess(pid, (folder) => splitArguments(readFile(`${folder}/cmdline`, MAX_CMDLINE_BYTES)), isEmptyList)),
    exe: (pid) => knownText(ofProcess(pid, (folder) => readLink(`${folder}/exe`))),
    exeFile: (pid) => knownText(ofProcess(pid, (folder) => fileAt(`${folder}/exe`))),
    cwd: (pid) => knownText(ofProcess(pid, (folder) => readLink(`${folder}/cwd`))),
    markers: (pid) => known(ofProcess(pid, (folder) => parseMarkers(readFile(`${folder}/environ`, MAX_ENVIRON_BYTES)))),
    descriptors: (pid) => ofProcess(pid, (folder) => readDescriptors(`${folder}/fd`), isEmptyList),
    descriptorState: (pid, fd) => known(ofProcess(pid, (folder) => parseDescriptorInfo(readText(`${folder}/fdinfo/${fd}`)))),
    descriptorCount: (pid) => known(ofProcess(pid, (folder) => descriptorNumbers(`${folder}/fd`), isEmptyList))?.length,
    io: (pid) => known(attempt(() => parseIo(readText(`${root}/${pid}/io`)))),
    ranMark: (pid, threads) =>
      knownText(attempt(() => ({ text: threads === 1 ? ranMark(`${root}/${pid}`) : threadMarks(`${root}/${pid}/task`) }))),
    owner: (pid) => known(attempt(() => statSync(`${root}/${pid}`).uid)),
    net: (name, pid) => knownText(attempt(() => ({ text: readNet(pid === undefined ? root : `${root}/${pid}`, name) }))),
  };
}

/** When the first thread of a process has left, its own folder is empty while the other threads go on: look into one of theirs. */
function readProcess<T>(root: string, pid: number, read: (folder: string) => T, isEmpty: ((value: T) => boolean) | undefined): T | Unread {
  const folder = `${root}/${pid}`;
  const first = attempt(() => read(folder));
  if (first !== 'gone' && (isUnread(first) || isEmpty?.(first) !== true)) return first;
  const thread = known(attempt(() => numbersIn(`${folder}/task`, MAX_THREADS_TRIED)))?.find((id) => id !== pid);
  return thread === undefined ? first : attempt(() => read(`${folder}/task/${thread}`));
}

const MAX_THREADS_TRIED = 2;

function attempt<T>(read: () => T): T | Unread {
  try {
    return read();
  } catch (error) {
    return GONE.has(codeOf(error)) ? 'gone' : 'denied';
  }
}

const GONE: ReadonlySet<string> = new Set(['ENOENT', 'ESRCH', 'ENOTDIR']);

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

function isUnread(value: unknown): value is Unread {
  return value === 'gone' || value === 'denied';
}

function known<T>(value: T | Unread): T | undefined {
  return isUnread(value) ? undefined : value;
}

/** Text from outside is wrapped, so that it is never mistaken for a failure. */
function knownText(value: { readonly text: string | undefined } | Unread): string | undefined {
  return known(value)?.text;
}

function isEmptyList(value: readonly unknown[]): boolean {
  return value.length === 0;
}

function readLink(path: string): { readonly text: string } {
  return { text: readlinkSync(path) };
}

function fileAt(path: string): { readonly text: string } {
  const { dev, ino } = statSync(path, { bigint: true });
  return { text: `${dev}:${ino}` };
}

function readNet(folder: string, name: NetTable): string {
  return readFile(`${folder}/net/${name}`, MAX_NET_BYTES).toString('latin1');
}

function numbersOf(names: readonly string[], most: number): readonly number[] {
  const found: number[] = [];
  for (const name of names) {
    if (found.length >= most) break;
    if (/^\d{1,10}$/.test(name)) found.push(Number(name));
  }
  return found;
}

function numbersIn(folder: string, most: number): readonly number[] {
  const found: number[] = [];
  const listing = opendirSync(folder, { bufferSize: LISTING_BATCH });
  try {
    for (let entry = listing.readSync(); entry !== null && found.length < most; entry = listing.readSync()) {
      if (/^\d{1,10}$/.test(entry.name)) found.push(Number(entry.name));
    }
  } finally {
    listing.closeSync();
  }
  return found;
}

const LISTING_BATCH = 1_024;

/** A listing at once costs a third of one in pieces, but a process may open a million: since Linux 6.2 the folder's size says how many. */
function descriptorNumbers(folder: string): readonly number[] {
  const open = statSync(folder).size;
  return open > 0 && open <= MAX_DESCRIPTORS ? numbersOf(readdirSync(folder), MAX_DESCRIPTORS) : numbersIn(folder, MAX_DESCRIPTORS);
}

function readDescriptors(folder: string): readonly Descriptor[] {
  const found: Descriptor[] = [];
  for (const fd of descriptorNumbers(folder)) {
    const link = attempt(() => readLink(`${folder}/${fd}`));
    // Closed since the listing.
    if (!isUnread(link)) found.push({ fd, target: link.text });
  }
  return found;
}

function splitArguments(bytes: Buffer): readonly string[] {
  if (bytes.length === 0) return [];
  const text = bytes.toString('utf8');
  return (text.endsWith('\0') ? text.slice(0, -1) : text).split('\0', MAX_ARGV);
}

/** Nanoseconds on a processor, nanoseconds waiting for one, times it got one. */
function ranMark(folder: string): string | undefined {
  const mark = /^\d{1,20} \d{1,20} \d{1,20}$/.exec(readText(`${folder}/schedstat`).trimEnd())?.[0];
  return mark === undefined || mark.startsWith('0 ') ? undefined : mark;
}

function threadMarks(folder: string): string | undefined {
  const threads = readdirSync(folder);
  if (threads.length > MAX_MARKED_THREADS) return undefined;
  const marks = threads.map((thread) => ranMark(`${folder}/${thread}`));
  return marks.includes(undefined) ? undefined : marks.join();
}

function parseIo(text: string): ProcessIo | undefined {
  const readBytes = Number(/^read_bytes: (\d{1,19})$/m.exec(text)?.[1] ?? Number.NaN);
  const writeBytes = Number(/^write_bytes: (\d{1,19})$/m.exec(text)?.[1] ?? Number.NaN);
  return Number.isSafeInteger(readBytes) && Number.isSafeInteger(writeBytes) ? { readBytes, writeBytes } : undefined;
}

function readText(path: string): string {
  return readFile(path, MAX_SMALL_BYTES).toString('utf8');
}

/** What was read last lies here until it is copied out: one buffer, as nothing else runs between. */
const scratch = Buffer.allocUnsafe(64 * 1024);

/** The first `most` bytes. The size of a file in /proc is not known before it is read. */
function readFile(path: string, most: number): Buffer {
  const file = openSync(path, 'r');
  try {
    const first = readSync(file, scratch, 0, Math.min(scratch.length, most), null);
    // Short tables come in one piece; a second read would only hear that there is no more.
    if (first < PIECE_BYTES || first >= most) return scratch.subarray(0, first);
    const pieces = [Buffer.from(scratch.subarray(0, first))];
    for (let total = first; total < most; ) {
      const got = readSync(file, scratch, 0, Math.min(scratch.length, most - total), null);
      if (got === 0) break;
      pieces.push(Buffer.from(scratch.subarray(0, got)));
      total += got;
    }
    return Buffer.concat(pieces);
  } finally {
    closeSync(file);
  }
}

/** The kernel gives tables in pieces of at least this size while there is more: less is the end. */
const PIECE_BYTES = 2_048;
