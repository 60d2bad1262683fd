/**
 * What is there of processes only as long as they are: command line, program, folder, descriptors, mapped files that no longer have a
 * name. Taken while they are frozen, so that it belongs together; it changes nothing about them.
 *
 * All of it is chosen by who is watched, and bounded. What cannot be read is left out and named: an empty list would say that there
 * was nothing.
 */
import { createHash } from 'node:crypto';
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { Attribution } from '../activity.ts';
import { parseSockets, type SocketEnd } from '../sensors/socket-table.ts';
import { type Descriptor, socketInode } from '../tree/descriptor.ts';
import { type ProcReader, procReader } from '../tree/proc-fs.ts';
import type { TreeProcess } from '../tree/process-tree.ts';

export const MAX_CAPTURED_PROCESSES = 256;
export const MAX_CAPTURED_FDS = 100;
const MAX_DELETED_MAPS = 64;
const MAX_MAPS_BYTES = 1_048_576;
/** A larger program is named and not hashed. */
export const MAX_EXE_BYTES: number = 256 * 1024 * 1024;
/** Of all programs together. */
const MAX_HASHED_BYTES: number = 512 * 1024 * 1024;
const CHUNK_BYTES = 1_048_576;

export interface CapturedDescriptor {
  readonly fd: number;
  readonly target: string;
  readonly access?: 'read' | 'write' | 'both';
  /** Bytes from the start. */
  readonly position?: number;
  /** Of a socket of TCP or UDP in our own network namespace. `remote` is absent while it is connected to nobody. */
  readonly socket?: { readonly protocol: 'tcp' | 'udp'; readonly local: string; readonly remote?: string; readonly listening?: true };
}

export interface CapturedProcess {
  readonly pid: number;
  readonly start: number;
  readonly parent?: number;
  /** Numeric id of the user it runs as. */
  readonly user?: number;
  readonly exe?: string;
  /** Of the program that runs, also where its file is gone or replaced by now; hex. */
  readonly exe_sha256?: string;
  readonly argv?: readonly string[];
  readonly cwd?: string;
  readonly fds?: readonly CapturedDescriptor[];
  readonly fds_omitted?: number;
  /** Files it has mapped that no longer have a name: how a program hides what it runs. */
  readonly deleted_maps?: readonly string[];
  readonly attribution: Attribution;
  /** What could not be read, by name. `process`: it was gone. */
  readonly unread?: readonly string[];
}

export interface CapturedEvidence {
  /** UTC milliseconds. */
  readonly at: number;
  readonly processes: readonly CapturedProcess[];
  /** Processes beyond the bound. */
  readonly omitted: number;
}

export interface CaptureOptions {
  readonly nowMs?: () => number;
  /** Where /proc is mounted; tests give a folder of their own. */
  readonly root?: string;
}

/** Never rejects for what a process is or does. @param processes - who did it first: those beyond the bound are only counted. */
export async function captureEvidence(processes: readonly TreeProcess[], options: CaptureOptions = {}): Promise<CapturedEvidence> {
  const { nowMs = Date.now, root = '/proc' } = options;
  const at = nowMs();
  const reader = procReader({ root });
  const sockets = socketsOf(reader);
  const programs = new Programs();
  const taken: { readonly facts: CapturedProcess; readonly program: Promise<string | undefined> }[] = [];
  for (const process of processes.slice(0, MAX_CAPTURED_PROCESSES)) {
    // A program is opened while its process is certainly there; hashing it may take longer.
    taken.push({ facts: capture(process, reader, root, sockets), program: programs.hash(`${root}/${process.pid}/exe`) });
    await new Promise((resolve) => setImmediate(resolve));
  }
  const found: CapturedProcess[] = [];
  for (const { facts, program } of taken) {
    const sha256 = facts.unread?.includes('process') === true ? undefined : await program;
    found.push({ ...facts, ...(sha256 !== undefined && { exe_sha256: sha256 }) });
  }
  return { at, processes: found, omitted: Math.max(0, processes.length - MAX_CAPTURED_PROCESSES) };
}

function capture(process: TreeProcess, reader: ProcReader, root: string, sockets: Sockets): CapturedProcess {
  const { pid, start, parent, attribution } = process;
  const exe = reader.exe(pid);
  const argv = reader.argv(pid);
  const cwd = reader.cwd(pid);
  const user = reader.owner(pid);
  const descriptors = reader.descriptors(pid);
  const maps = deletedMaps(`${root}/${pid}/maps`);
  const fds = typeof descriptors === 'string' ? undefined : lowest(descriptors).map((each) => described(pid, each, reader, sockets));
  // Read last: with another start time all of the above may be of a stranger.
  if (reader.stat(pid)?.start !== start) return { ...known(process), unread: ['process'] };
  const unread = Object.entries({ exe, argv, cwd, fds, maps }).flatMap(([name, value]) => (value === undefined ? [name] : []));
  const omitted = typeof descriptors === 'string' ? 0 : descriptors.length - (fds?.length ?? 0);
  return {
    pid,
    start,
    ...(parent !== undefined && { parent }),
    ...(user !== undefined && { user }),
    ...definite({ exe: exe ?? process.exe, argv: argv ?? process.argv, cwd: cwd ?? process.cwd }),
    ...(fds !== undefined && { fds }),
    ...(omitted > 0 && { fds_omitted: omitted }),
    ...(maps !== undefined && maps.length > 0 && { deleted_maps: maps }),
    attribution,
    ...(unread.length > 0 && { unread }),
  };
}

/** In order, so that two captures compare; the first are what a program was started with. */
function lowest(descriptors: readonly Descriptor[]): readonly Descriptor[] {
  return descriptors.toSorted((a, b) => a.fd - b.fd).slice(0, MAX_CAPTURED_FDS);
}

/** What was known of it before. */
function known({ pid, start, parent, exe, argv, cwd, attribution }: TreeProcess): CapturedProcess {
  return { pid, start, ...(parent !== undefined && { parent }), ...definite({ exe, argv, cwd }), attribution };
}

interface Told {
  readonly exe: string | undefined;
  readonly argv: readonly string[] | undefined;
  readonly cwd: string | undefined;
}

function definite({ exe, argv, cwd }: Told): Pick<CapturedProcess, 'exe' | 'argv' | 'cwd'> {
  return { ...(exe !== undefined && { exe }), ...(argv !== undefined && { argv }), ...(cwd !== undefined && { cwd }) };
}

function described(pid: number, { fd, target }: Descriptor, reader: ProcReader, sockets: Sockets): CapturedDescriptor {
  const inode = socketInode(target);
  const socket = inode === undefined ? undefined : sockets.get(inode);
  const known = { fd, target, ...(socket !== undefined && { socket }) };
  const state = reader.descriptorState(pid, fd);
  if (state === undefined) return known;
  const { read, write, position } = state;
  const access = read && write ? 'both' : write ? 'write' : 'read';
  return { ...known, access, ...(inode === undefined && position > 0 && { position }) };
}

type Sockets = ReadonlyMap<number, NonNullable<CapturedDescriptor['socket']>>;

/** By inode. Read once, for all processes. */
function socketsOf(reader: ProcReader): Sockets {
  const found = new Map<number, NonNullable<CapturedDescriptor['socket']>>();
  for (const [table, protocol] of TABLES) {
    for (const { inode, local, remote, isListening } of parseSockets(reader.net(table) ?? '', protocol)) {
      const far = remote === undefined ? {} : { remote: endText(remote) };
      found.set(inode, { protocol, local: endText(local), ...far, ...(isListening && { listening: true as const }) });
    }
  }
  return found;
}

const TABLES = [
  ['tcp', 'tcp'],
  ['tcp6', 'tcp'],
  ['udp', 'udp'],
  ['udp6', 'udp'],
] as const;

function endText({ address, port }: SocketEnd): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Undefined when it cannot be read. */
function deletedMaps(path: string): readonly string[] | undefined {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    return undefined;
  }
  const bytes = Buffer.alloc(MAX_MAPS_BYTES);
  let length = 0;
  try {
    for (let read = -1; read !== 0 && length < bytes.length; length += read)
      read = readSync(file, bytes, length, bytes.length - length, null);
  } catch {
    if (length === 0) return undefined;
  } finally {
    closeSync(file);
  }
  const names = bytes
    .toString('utf8', 0, length)
    .split('\n')
    .flatMap((line) => DELETED_MAP.exec(line)?.[1] ?? []);
  return [...new Set(names)].slice(0, MAX_DELETED_MAPS);
}

/** `7f2c...-7f2c... r-xp 00000000 00:01 1234    /memfd:x (deleted)`; the kernel writes a newline in a name as `\012`. */
const DELETED_MAP = /^[0-9a-f]+-[0-9a-f]+ \S{4} [0-9a-f]+ \S+ [0-9]+ +(\/.*) \(deleted\)$/;

/** Hashes of running programs; many processes run the same one. */
class Programs {
  readonly #known = new Map<string, Promise<string | undefined>>();
  #left = MAX_HASHED_BYTES;

  async hash(path: string): Promise<string | undefined> {
    let file: FileHandle;
    try {
      file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    } catch {
      return undefined;
    }
    try {
      const stats = await file.stat();
      if (!stats.isFile()) return undefined;
      const { dev, ino, size, mtimeMs } = stats;
      const key = `${dev}:${ino}:${size}:${mtimeMs}`;
      const before = this.#known.get(key);
      if (before !== undefined) return await before;
      if (size > MAX_EXE_BYTES || size > this.#left) return undefined;
      this.#left -= size;
      const hashing = digest(file, size);
      this.#known.set(key, hashing);
      return await hashing;
    } catch {
      return undefined;
    } finally {
      // It was only read, and the hash is known by now.
      await file.close().catch(() => undefined);
    }
  }
}

async function digest(file: FileHandle, size: number): Promise<string | undefined> {
  const hash = createHash('sha256');
  const chunk = Buffer.alloc(CHUNK_BYTES);
  // No further than it reached: whoever appends to it does not keep us here.
  for (let done = 0; done < size; ) {
    const { bytesRead } = await file.read(chunk, 0, Math.min(chunk.length, size - done), done);
    if (bytesRead === 0) return undefined;
    hash.update(chunk.subarray(0, bytesRead));
    done += bytesRead;
  }
  return hash.digest('hex');
}
