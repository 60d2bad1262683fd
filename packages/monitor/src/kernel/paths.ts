/**
 * Where a path of a waiting process leads: opened without being used, then asked what it is. Names are bytes: what is no text leads
 * somewhere all the same.
 */
import { constants } from 'node:os';
import { posix } from 'node:path';
import type { FileCalls } from '../native/file-calls.ts';
import type { Found, Walker } from './broker-walk.ts';
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, O_PATH, RESOLVE_IN_ROOT, RESOLVE_NO_SYMLINKS } from './open-flags.ts';
import { isOutOfDescriptors, type OwnDescriptors, zeroEnded } from './own-descriptors.ts';
import { ofWholeProcess } from './processes.ts';

export { AT_FDCWD } from './open-flags.ts';

export interface Place {
  /** As the process named it, made absolute. */
  readonly path: string;
  /** Where it leads, links followed; of what is not there, its folder's place with the last name. Absent: it could not be looked up. */
  readonly resolved?: string;
}

/** `fd`: of what is there, ours, opened as a name only; whoever gets it closes it. Else `errno`, positive: why there is nothing. */
export type OpenedPlace = { readonly place: Place; readonly fd: number } | { readonly place: Place; readonly errno: number };

export interface PathsParts {
  readonly files: FileCalls;
  readonly own: OwnDescriptors;
  readonly walker: Walker;
  /** Whose thread it is. */
  readonly processOf: (thread: number) => number | undefined;
}

const SLASH = 47;
const DOT = 46;
const CLOSING = 41;
const LAST_ASCII = 127;
const PROC = Buffer.from('/proc');
const EMPTY = Buffer.alloc(0);
const { EBADF, ENOENT, ENOTDIR } = constants.errno;
/** `struct open_how`. */
const OPEN_HOW_BYTES = 24;
const RESOLVE_AT = 16;
const MAX_PLAIN_BYTES = 4_096;
const NONE_LEFT = 'the monitor has no descriptor left';
/** Whether the last name of what is opened is followed when it is a link. */
export function follows(flags: number): boolean {
  return (flags & O_NOFOLLOW) === 0;
}

/** As it is named within a root of its own, made absolute: nothing leads above that. */
export function inRoot(root: Buffer | undefined, name: string): string {
  return posix.join(root?.toString('utf8') ?? '/', posix.resolve('/', name));
}

export class Paths {
  readonly #parts: PathsParts;
  readonly #how = Buffer.alloc(OPEN_HOW_BYTES);
  readonly #name = Buffer.alloc(MAX_PLAIN_BYTES);
  readonly #link = Buffer.alloc(MAX_PLAIN_BYTES);

  constructor(parts: PathsParts) {
    this.#parts = parts;
    this.#how.writeUInt32LE(RESOLVE_NO_SYMLINKS, RESOLVE_AT);
  }

  /**
   * @param follow - the last name too, when it is a link
   * @param reads - nothing is made where there is nothing
   * @param resolve - `RESOLVE_*` of openat2(2)
   * @throws where we have no descriptor left to look it up with, or something would be made: nobody knows then where it leads
   */
  place(tid: number, folder: number, name: Buffer, follow: boolean, reads = false, resolve = 0): Place {
    const { files } = this.#parts;
    // All other bounds make it fail, or lead where it would without them.
    if ((resolve & RESOLVE_IN_ROOT) !== 0) return this.#inRoot(tid, folder, name, follow, reads);
    const plain = this.#plain(tid, folder, name, follow, reads);
    if (plain !== undefined) return { path: plain, resolved: plain };
    const from = this.#from(tid, folder, name);
    try {
      const path = this.#text(tid, from, name);
      // Where it begins is gone, or none of its descriptors: it fails.
      const resolved = from < 0 && from !== AT_FDCWD ? undefined : this.#real(tid, from, name, follow);
      return placeOf(path, resolved);
    } finally {
      if (from >= 0) files.close(from);
    }
  }

  /**
   * With the very file, to be asked what it is: its name may be another's by then, and with `self` in it means another one to us. Without a
   * name it is what the descriptor is of. Links are followed.
   *
   * @throws as `place`
   */
  opened(tid: number, folder: number, name: Buffer): OpenedPlace {
    const from = this.#from(tid, folder, name);
    const path = this.#text(tid, from, name);
    if (from < 0 && from !== AT_FDCWD) return { place: placeOf(path), errno: folder === AT_FDCWD ? -from : EBADF };
    if (name.length === 0 && from >= 0) return { place: placeOf(path, this.#parts.own.linkOf(from)?.toString('utf8')), fd: from };
    try {
      const found = this.#find(tid, from, name, true);
      const place = placeOf(path, found.real);
      if (found.kind === 'there') return { place, fd: found.fd };
      if (found.kind === 'missing') this.#parts.files.close(found.folder);
      return { place, errno: found.kind === 'missing' ? ENOENT : found.errno };
    } finally {
      if (from >= 0) this.#parts.files.close(from);
    }
  }

  close(fd: number): void {
    this.#parts.files.close(fd);
  }

  /** Within a root of its own a path begins there, whatever it begins with, and so does every link on the way. */
  #inRoot(tid: number, folder: number, name: Buffer, follow: boolean, reads: boolean): Place {
    const { files, own } = this.#parts;
    const from = this.#from(tid, folder, EMPTY);
    // None of its descriptors: it fails.
    if (from < 0) return placeOf(this.#text(tid, from, name));
    try {
      const found = this.#find(tid, from, name, follow, RESOLVE_IN_ROOT);
      if (found.kind === 'there') files.close(found.fd);
      if (found.kind === 'missing') files.close(found.folder);
      // A link that leads to nothing is followed by whoever makes something.
      if (found.kind === 'fails' && !reads) throw new Error('what is made within this root cannot be told');
      const named = inRoot(own.linkOf(from), name.toString('utf8'));
      return placeOf(this.#text(tid, from, Buffer.from(named)), found.real);
    } finally {
      files.close(from);
    }
  }

  /**
   * Most lead where they say: there is no link on the way, or nothing at its end. That costs a third of what it costs to find out where
   * another leads. It is asked for as a folder: of all else the kernel says that it is none, and there is nothing to close.
   */
  #plain(tid: number, folder: number, name: Buffer, follow: boolean, reads: boolean): string | undefined {
    const length = this.#joined(name[0] === SLASH ? 0 : this.#folder(tid, folder), name);
    if (length === 0 || !isPlain(this.#name, length)) return undefined;
    const found = this.#look(AT_FDCWD, this.#name, follow);
    const isThere = found === 0 || found === -ENOTDIR;
    return isThere || (found === -ENOENT && reads && this.#isNowhere(tid, folder, name, length))
      ? this.#name.toString('latin1', 0, length)
      : undefined;
  }

  /** Over no link at all, not even in between: one that is met says so (ELOOP), also where it leads to nothing. */
  #look(from: number, name: Buffer, follow: boolean): number {
    this.#how.writeUInt32LE(O_PATH | O_CLOEXEC | O_DIRECTORY | (follow ? 0 : O_NOFOLLOW), 0);
    const fd = this.#parts.files.openat2(from, name, this.#how);
    if (fd >= 0) this.#parts.files.close(fd);
    return Math.min(fd, 0);
  }

  /**
   * Whoever reads what is not there gets nothing, if it is not there for them either: another folder may lie under the name of theirs by
   * now, or over it. Theirs itself is asked.
   */
  #isNowhere(tid: number, folder: number, name: Buffer, length: number): boolean {
    if (name[0] === SLASH) return true;
    const start = length - name.length + (isHere(name) ? HERE_BYTES : 0);
    // It may be gone: the name the kernel gives it then is not its own.
    if (this.#name[start - 2] === CLOSING) return false;
    const from = this.#from(tid, folder, name);
    if (from < 0) return false;
    const found = this.#look(from, this.#name.subarray(start), true);
    this.#parts.files.close(from);
    return found === -ENOENT;
  }

  /**
   * Into `#name`: where the kernel says its folder is. One that is gone has another name there, under which nothing is found.
   *
   * @returns its length; 0: there is none
   */
  #folder(tid: number, folder: number): number {
    this.#link[this.#link.write(folderOf(tid, folder), 'latin1')] = 0;
    const got = this.#parts.files.readlinkat(AT_FDCWD, this.#link, this.#name);
    return got <= 0 || got >= MAX_PLAIN_BYTES ? 0 : got;
  }

  /** The name after its folder, in `#name`, with a zero at its end. @returns the length without that; 0: there is no room, or no folder */
  #joined(folder: number, name: Buffer): number {
    if (folder === 0 && name[0] !== SLASH) return 0;
    const from = folder > 0 && isHere(name) ? HERE_BYTES : 0;
    const start = folder === 0 ? 0 : folder + 1;
    const length = start + name.length - from;
    if (length >= MAX_PLAIN_BYTES) return 0;
    if (folder > 0) this.#name[folder] = SLASH;
    name.copy(this.#name, start, from);
    this.#name[length] = 0;
    return length;
  }

  /** Its folder itself, not its name: that may be another one's by now, or nobody's any more. */
  #from(tid: number, folder: number, name: Buffer): number {
    if (name[0] === SLASH) return AT_FDCWD;
    const fd = this.#parts.files.openat(AT_FDCWD, zeroEnded(folderOf(tid, folder)), O_PATH | O_CLOEXEC, 0);
    if (fd < 0 && isOutOfDescriptors(-fd)) throw new Error(NONE_LEFT);
    // `AT_FDCWD` is less than zero too, and no errno.
    return fd === AT_FDCWD ? -1 : fd;
  }

  #text(tid: number, from: number, name: Buffer): string {
    // `/proc/self` is whoever asks, for whoever reads of it later.
    const text = name.toString('utf8').replace(/^\/+proc\/+(?:self|thread-self)(?=\/|$)/, `/proc/${tid}`);
    if (text.startsWith('/')) return text;
    const base = from < 0 ? undefined : this.#parts.own.linkOf(from)?.toString('utf8');
    return text === '' ? (base ?? '.') : `${base ?? '.'}/${text}`;
  }

  #real(tid: number, from: number, name: Buffer, follow: boolean): string | undefined {
    const { files, own } = this.#parts;
    // Without a name it is the folder's descriptor itself.
    if (name.length === 0) return from < 0 ? undefined : own.linkOf(from)?.toString('utf8');
    const found = this.#find(tid, from, name, follow);
    if (found.kind === 'there') files.close(found.fd);
    if (found.kind === 'missing') files.close(found.folder);
    return found.real;
  }

  #find(tid: number, from: number, name: Buffer, follow: boolean, resolve = 0): Found {
    const { walker, processOf } = this.#parts;
    const asker = {
      tid,
      // Asked for only where /proc is in the way.
      get pid(): number {
        return processOf(tid) ?? tid;
      },
    };
    const found = walker.find(from, name, { asker, follow, resolve, writes: false });
    if (found.kind === 'fails' && isOutOfDescriptors(found.errno)) throw new Error(NONE_LEFT);
    return found;
  }
}

/** A thread has a folder of its own in /proc, with the memory of its process in it. @param resolved - absolute, or it leads nowhere */
function placeOf(path: string, resolved?: string): Place {
  return { path: ofWholeProcess(path), ...(resolved?.startsWith('/') === true && { resolved: ofWholeProcess(resolved) }) };
}

const HERE_BYTES = 2;

/** `./` */
function isHere(name: Buffer): boolean {
  return name[0] === DOT && name[1] === SLASH;
}

/** From the root, and nothing in it that has another spelling, another text, or another meaning for whoever looks. */
function isPlain(path: Buffer, length: number): boolean {
  if (path[0] !== SLASH || isInProc(path, length)) return false;
  for (let [at, start] = [1, 1]; ; at++) {
    const byte = at === length ? SLASH : (path[at] ?? 0);
    if (byte === 0 || byte > LAST_ASCII) return false;
    if (byte !== SLASH) continue;
    if (at === start || (path[start] === DOT && (at === start + 1 || (at === start + 2 && path[start + 1] === DOT)))) return false;
    if (at === length) return true;
    start = at + 1;
  }
}

function isInProc(path: Buffer, length: number): boolean {
  for (let at = 0; at < PROC.length; at++) if (path[at] !== PROC[at]) return false;
  return length === PROC.length || path[PROC.length] === SLASH;
}

function folderOf(tid: number, folder: number): string {
  return folder === AT_FDCWD ? `/proc/${tid}/cwd` : `/proc/${tid}/fd/${folder}`;
}
