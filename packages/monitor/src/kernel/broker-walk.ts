/**
 * Where a path leads for another process, found out by opening it without using it: what comes of this is a descriptor of the very
 * file, and no name of it that is changed afterwards matters any more.
 *
 * The kernel walks nearly every path. Where it met /proc, it walked as us: then the path is walked again name by name, with the other
 * one's `self`, and with magic links only in the forms that are known.
 */
import { constants } from 'node:os';
import type { FileCalls } from '../native/file-calls.ts';
import { type Asker, numberIn, type ProcFiles } from './broker-proc.ts';
import { type FileStatus, statusOf } from './file-status.ts';
import {
  AT_FDCWD,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  RESOLVE_BENEATH,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
} from './open-flags.ts';
import { type OwnDescriptors, zeroEnded } from './own-descriptors.ts';

const { EACCES, EIO, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR } = constants.errno;

/** As many as the kernel follows. */
export const MAX_LINKS = 40;
/** Names of one path, links included. */
export const MAX_STEPS = 4_096;
const OPEN_HOW_BYTES = 24;
const PIN = O_PATH | O_CLOEXEC;
/** They say how far a path may lead, which only the kernel itself can keep to. */
const RESOLVE_BOUNDS = RESOLVE_BENEATH | RESOLVE_IN_ROOT | RESOLVE_NO_XDEV;
const MAX_LINK_BYTES = 4_096;
const STICKY_FOR_ALL = 0o1002;

export interface There {
  readonly kind: 'there';
  /** Ours: opened as a name only. Whoever gets it closes it. */
  readonly fd: number;
  readonly status: FileStatus;
  /** Undefined: no text is long enough for it. */
  readonly real: string | undefined;
}

export interface Missing {
  readonly kind: 'missing';
  /** The folder it would be in: ours, whoever gets it closes it. */
  readonly folder: number;
  /** The last name, with a zero at its end. */
  readonly name: Buffer;
  readonly real: string | undefined;
  /** The path ends with a slash. */
  readonly asFolder: boolean;
}

export interface Fails {
  readonly kind: 'fails';
  /** Positive. */
  readonly errno: number;
  /** As far as it is known. */
  readonly real?: string | undefined;
}

export type Found = There | Missing | Fails;

export interface WalkOptions {
  readonly asker: Asker;
  /** The last name too, when it is a link. */
  readonly follow: boolean;
  /** `RESOLVE_*` of openat2(2). */
  readonly resolve: number;
  /** It is to be changed, not only read. */
  readonly writes: boolean;
}

export class Walker {
  readonly #files: FileCalls;
  readonly #own: OwnDescriptors;
  readonly #proc: ProcFiles;
  readonly #how = Buffer.alloc(OPEN_HOW_BYTES);
  readonly #link = Buffer.alloc(MAX_LINK_BYTES);
  readonly #areLinksProtected = numberIn('/proc/sys/fs/protected_symlinks') !== 0;
  readonly #uid = process.geteuid?.() ?? -1;

  constructor(files: FileCalls, own: OwnDescriptors, proc: ProcFiles) {
    this.#files = files;
    this.#own = own;
    this.#proc = proc;
  }

  /** @param from - where it begins, or `AT_FDCWD` for a path from the root. @param name - of the path, without a zero */
  find(from: number, name: Buffer, options: WalkOptions): Found {
    const path = zeroEnded(name);
    const fd = this.#pin(from, path, options.follow ? PIN : PIN | O_NOFOLLOW, options.resolve);
    if (fd >= 0) {
      const found = this.#there(fd);
      if (found.kind === 'fails') this.#files.close(fd);
      if (found.kind === 'fails' || !this.#proc.isAny(fd, found.status)) return found;
      return this.#inProc(found, from, name, options);
    }
    if (fd === -ENOENT) {
      const missing = this.#missing(from, name, options);
      if (missing !== undefined) return missing;
    }
    return this.#byName(-fd, from, name, options);
  }

  /** What lies in /proc, and was reached by the kernel: as us. */
  #inProc(found: There, from: number, name: Buffer, options: WalkOptions): Found {
    if (!this.#proc.leadsToUs(found.real)) return this.#checked(found, options);
    this.#files.close(found.fd);
    return this.#byName(EACCES, from, name, options);
  }

  #checked(found: There, { asker, writes }: WalkOptions): Found {
    if (!this.#proc.isAny(found.fd, found.status) || this.#proc.isOpen(found.real, found.status, asker, writes)) return found;
    this.#files.close(found.fd);
    return { kind: 'fails', errno: EACCES, real: found.real };
  }

  #pin(from: number, path: Buffer, flags: number, resolve: number): number {
    this.#how.writeUInt32LE(flags, 0);
    this.#how.writeUInt32LE(resolve | RESOLVE_NO_MAGICLINKS, 16);
    return this.#files.openat2(from, path, this.#how);
  }

  /** Closes nothing. */
  #there(fd: number): There | Fails {
    const status = statusOf(this.#files, fd);
    if (status === undefined) return { kind: 'fails', errno: EIO };
    return { kind: 'there', fd, status, real: this.#own.realPath(fd, status) };
  }

  /** The folder of what is not there, when that is all there is to it. */
  #missing(from: number, name: Buffer, { resolve }: WalkOptions): Found | undefined {
    const { folder, last, asFolder } = splitName(name);
    if (last.length === 0) return undefined;
    const fd = this.#pin(from, zeroEnded(folder), PIN | O_DIRECTORY, resolve);
    if (fd < 0) return undefined;
    const parent = this.#there(fd);
    const named = zeroEnded(last);
    if (parent.kind === 'there' && !this.#proc.isAny(fd, parent.status)) {
      const again = this.#files.openat(fd, named, PIN | O_NOFOLLOW, 0);
      if (again === -ENOENT) return { kind: 'missing', folder: fd, name: named, real: below(parent.real, last), asFolder };
      // A link that leads to nothing, or it has appeared by now.
      if (again >= 0) this.#files.close(again);
    }
    this.#files.close(fd);
    return undefined;
  }

  #byName(errno: number, from: number, name: Buffer, options: WalkOptions): Found {
    if ((options.resolve & RESOLVE_NO_SYMLINKS) !== 0) return { kind: 'fails', errno };
    if ((options.resolve & RESOLVE_BOUNDS) !== 0) return { kind: 'fails', errno };
    const walk: Walk = { at: this.#start(from, name), left: name.toString('latin1').split('/'), links: 0, options };
    if (walk.at < 0) return { kind: 'fails', errno: -walk.at };
    const found = this.#walk(walk);
    if (found.kind !== 'there' || found.fd !== walk.at) this.#files.close(walk.at);
    return found.kind === 'there' ? this.#checked(found, options) : found;
  }

  #start(from: number, name: Buffer): number {
    return name[0] === SLASH || from === AT_FDCWD ? this.#files.openat(AT_FDCWD, ROOT, PIN | O_DIRECTORY, 0) : this.#files.dup(from);
  }

  #walk(walk: Walk): Found {
    for (let steps = 0; walk.left.length > 0; steps++) {
      if (steps > MAX_STEPS) return { kind: 'fails', errno: ENAMETOOLONG };
      const part = walk.left.shift() ?? '';
      if (part === '' || part === '.') continue;
      const ended = this.#step(walk, part);
      if (ended !== undefined) return ended;
    }
    return this.#there(walk.at);
  }

  /** Undefined: on to the next name. */
  #step(walk: Walk, part: string): Found | undefined {
    const name = zeroEnded(part);
    const isLast = walk.left.every((each) => each === '' || each === '.');
    const asFolder = isLast && walk.left.length > 0;
    const next = this.#files.openat(walk.at, name, PIN | O_NOFOLLOW, 0);
    if (next === -ENOENT && isLast) return this.#gone(walk, name, asFolder);
    if (next < 0) return { kind: 'fails', errno: -next };
    const status = statusOf(this.#files, next);
    if (status === undefined) return this.#failed(next, EIO);
    if (status.type === 'link' && (!isLast || asFolder || walk.options.follow)) return this.#follow(walk, part, next, status);
    if (asFolder && status.type !== 'folder') return this.#failed(next, ENOTDIR);
    this.#moveTo(walk, next);
    return undefined;
  }

  #gone(walk: Walk, name: Buffer, asFolder: boolean): Found {
    const folder = this.#there(walk.at);
    if (folder.kind === 'fails') return folder;
    // Nothing is made in /proc.
    if (this.#proc.isAny(walk.at, folder.status)) return { kind: 'fails', errno: ENOENT, real: below(folder.real, name.subarray(0, -1)) };
    return { kind: 'missing', folder: this.#files.dup(walk.at), name, real: below(folder.real, name.subarray(0, -1)), asFolder };
  }

  #follow(walk: Walk, part: string, link: number, status: FileStatus): Found | undefined {
    if (++walk.links > MAX_LINKS) return this.#failed(link, ELOOP);
    if (this.#proc.isAny(link, status)) return this.#procLink(walk, part, link);
    if (!this.#isFollowed(walk.at, status)) return this.#failed(link, EACCES);
    const got = this.#files.readlinkat(link, EMPTY, this.#link);
    this.#files.close(link);
    if (got <= 0) return { kind: 'fails', errno: ENOENT };
    return this.#goOn(walk, this.#link.toString('latin1', 0, got));
  }

  #procLink(walk: Walk, part: string, link: number): Found | undefined {
    const at = statusOf(this.#files, walk.at);
    const self = at !== undefined && this.#proc.isRoot(at) ? this.#proc.self(part, walk.options.asker) : undefined;
    const real = this.#own.linkOf(link)?.toString('utf8');
    const kind = self === undefined ? this.#proc.magic(real) : 'none';
    const got = kind === 'none' && self === undefined ? this.#files.readlinkat(link, EMPTY, this.#link) : 0;
    this.#files.close(link);
    switch (kind) {
      case 'ours':
      case 'unknown':
        return { kind: 'fails', errno: EACCES, real };
      case 'none':
        if (self !== undefined) return this.#goOn(walk, self);
        return got <= 0 ? { kind: 'fails', errno: ENOENT } : this.#goOn(walk, this.#link.toString('latin1', 0, got));
      case 'opens':
        return this.#through(walk, part);
    }
  }

  /** A magic link of somebody else's: what it leads to has no other path. */
  #through(walk: Walk, part: string): Found | undefined {
    if ((walk.options.resolve & RESOLVE_NO_MAGICLINKS) !== 0) return { kind: 'fails', errno: ELOOP };
    const next = this.#files.openat(walk.at, zeroEnded(part), PIN, 0);
    if (next < 0) return { kind: 'fails', errno: -next };
    const status = statusOf(this.#files, next);
    if (status === undefined || status.type === 'link') return this.#failed(next, status === undefined ? EIO : ELOOP);
    // Where it led must be a folder to go on in, which the next name will tell.
    this.#moveTo(walk, next);
    return undefined;
  }

  #goOn(walk: Walk, target: string): Found | undefined {
    walk.left.unshift(...target.split('/'));
    if (!target.startsWith('/')) return undefined;
    const root = this.#files.openat(AT_FDCWD, ROOT, PIN | O_DIRECTORY, 0);
    if (root < 0) return { kind: 'fails', errno: -root };
    this.#moveTo(walk, root);
    return undefined;
  }

  /** As the kernel does where /tmp is everybody's: links of others are not followed there. */
  #isFollowed(folder: number, link: FileStatus): boolean {
    if (!this.#areLinksProtected || link.uid === this.#uid) return true;
    const at = statusOf(this.#files, folder);
    return at !== undefined && ((at.mode & STICKY_FOR_ALL) !== STICKY_FOR_ALL || at.uid === link.uid);
  }

  #moveTo(walk: Walk, next: number): void {
    this.#files.close(walk.at);
    walk.at = next;
  }

  #failed(fd: number, errno: number): Fails {
    const real = this.#own.linkOf(fd)?.toString('utf8');
    this.#files.close(fd);
    return { kind: 'fails', errno, real };
  }
}

interface Walk {
  at: number;
  /** Names still to go, bytes as latin1. */
  readonly left: string[];
  links: number;
  readonly options: WalkOptions;
}

const SLASH = 47;
const ROOT = Buffer.from('/\0');
const EMPTY = Buffer.alloc(1);

/** Of a path without its last name: `.` or `/` when nothing is left of it. */
export function splitName(path: Buffer): { readonly folder: Buffer; readonly last: Buffer; readonly asFolder: boolean } {
  let end = path.length;
  while (end > 0 && path[end - 1] === SLASH) end--;
  const from = path.lastIndexOf(SLASH, end - 1) + 1;
  const last = end === 0 ? Buffer.alloc(0) : path.subarray(from, end);
  const folder = from === 0 ? Buffer.from('.') : path.subarray(0, from);
  return { folder, last, asFolder: end < path.length };
}

function below(folder: string | undefined, name: Buffer): string | undefined {
  if (folder === undefined) return undefined;
  return `${folder === '/' ? '' : folder}/${name.toString('utf8')}`;
}
