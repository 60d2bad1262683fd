/**
 * Where a path of a waiting process leads: opened without being used, then asked what it is. Names are bytes: what is no text leads
 * somewhere all the same.
 */
import { isAscii } from 'node:buffer';
import { constants } from 'node:os';
import type { FileCalls } from '../native/file-calls.ts';
import type { Found, Walker } from './broker-walk.ts';
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, O_PATH, RESOLVE_NO_SYMLINKS } from './open-flags.ts';
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
const { EBADF, ENOENT, ENOTDIR } = constants.errno;
/** `struct open_how`. */
const OPEN_HOW_BYTES = 24;
const RESOLVE_AT = 16;
const MAX_PLAIN_BYTES = 4_096;
const NONE_LEFT = 'the monitor has no descriptor left';
/** Nothing in it that has another spelling, or another meaning for whoever looks. */
const PLAIN = /^(?!\/proc(?:\/|$))(?:\/(?!\.{1,2}(?:\/|$))[^/]+)+$/;
/** The same below a folder, as programs that walk through one name it. */
const PLAIN_BELOW = /^(?:\.\/)?(?!\.{1,2}(?:\/|$))[^/]+(?:\/(?!\.{1,2}(?:\/|$))[^/]+)*$/;

/** Whether the last name of what is opened is followed when it is a link. */
export function follows(flags: number): boolean {
  return (flags & O_NOFOLLOW) === 0;
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
   * @throws where we have no descriptor left to look it up with: nobody knows then where it leads
   */
  place(tid: number, folder: number, name: Buffer, follow: boolean): Place {
    const { files } = this.#parts;
    const plain = name[0] === SLASH ? this.#plain(plainText(name), follow) : undefined;
    if (plain !== undefined) return { path: plain, resolved: plain };
    const below = name[0] === SLASH ? undefined : this.#plainBelow(tid, folder, name, follow);
    if (below !== undefined) return { path: below, resolved: below };
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

  /**
   * Most lead where they say: there is no link on the way, or nothing at its end. That costs a third of what it costs to find out where
   * another leads. It is asked for as a folder: of all else the kernel says that it is none, and there is nothing to close.
   */
  #plain(path: string | undefined, follow: boolean): string | undefined {
    if (path === undefined || path.length >= MAX_PLAIN_BYTES || !PLAIN.test(path)) return undefined;
    this.#how.writeUInt32LE(O_PATH | O_CLOEXEC | O_DIRECTORY | (follow ? 0 : O_NOFOLLOW), 0);
    this.#name[this.#name.write(path, 'latin1')] = 0;
    const { files } = this.#parts;
    const fd = files.openat2(AT_FDCWD, this.#name, this.#how);
    if (fd >= 0) files.close(fd);
    return fd >= 0 || fd === -ENOTDIR ? path : undefined;
  }

  /** Below where the kernel says its folder is. A folder that is gone has another name there, under which nothing is found. */
  #plainBelow(tid: number, folder: number, name: Buffer, follow: boolean): string | undefined {
    const rest = plainText(name);
    if (rest === undefined || !PLAIN_BELOW.test(rest)) return undefined;
    const got = this.#parts.files.readlinkat(AT_FDCWD, zeroEnded(folderOf(tid, folder)), this.#link);
    if (got <= 0 || got >= this.#link.length) return undefined;
    const base = plainText(this.#link.subarray(0, got));
    return base === undefined ? undefined : this.#plain(`${base}/${rest.startsWith('./') ? rest.slice(2) : rest}`, follow);
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

  #find(tid: number, from: number, name: Buffer, follow: boolean): Found {
    const { walker, processOf } = this.#parts;
    const asker = {
      tid,
      // Asked for only where /proc is in the way.
      get pid(): number {
        return processOf(tid) ?? tid;
      },
    };
    const found = walker.find(from, name, { asker, follow, resolve: 0, writes: false });
    if (found.kind === 'fails' && isOutOfDescriptors(found.errno)) throw new Error(NONE_LEFT);
    return found;
  }
}

/** A thread has a folder of its own in /proc, with the memory of its process in it. @param resolved - absolute, or it leads nowhere */
function placeOf(path: string, resolved?: string): Place {
  return { path: ofWholeProcess(path), ...(resolved?.startsWith('/') === true && { resolved: ofWholeProcess(resolved) }) };
}

/** Bytes that are their own text in every encoding of names. */
function plainText(bytes: Buffer): string | undefined {
  return isAscii(bytes) ? bytes.toString('latin1') : undefined;
}

function folderOf(tid: number, folder: number): string {
  return folder === AT_FDCWD ? `/proc/${tid}/cwd` : `/proc/${tid}/fd/${folder}`;
}
