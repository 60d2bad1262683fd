/**
 * Opens files in the place of the processes that asked, so that what was judged is what they get.
 *
 * A path is opened as a name only, which uses nothing and waits for nothing. What that leads to is judged. Then that very file is
 * opened, and the descriptor handed over: no name that is changed meanwhile, by whatever thread, makes a difference.
 */
import { constants } from 'node:os';
import type { FileCalls } from '../native/file-calls.ts';
import type { KernelCalls } from '../native/kernel-calls.ts';
import { BrokerAnswers } from './broker-answers.ts';
import { type Change, Changes, startOf } from './broker-changes.ts';
import { Creating } from './broker-creating.ts';
import { procFiles } from './broker-proc.ts';
import { Rights } from './broker-rights.ts';
import { terminalOf } from './broker-terminal.ts';
import { settled, WAITING_MS, WaitingOpens } from './broker-waiting.ts';
import { type Found, type Missing, splitName, type There, Walker } from './broker-walk.ts';
import type { Opened, Opener, OpenRequest } from './decoded.ts';
import { statusOf } from './file-status.ts';
import { HotFolders } from './hot-folders.ts';
import type { TargetMemory } from './memory.ts';
import type { Trapped } from './notification.ts';
import {
  AT_FDCWD,
  O_ASYNC,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOCTTY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_TMPFILE,
  RESOLVE_CACHED,
  RESOLVE_IN_ROOT,
  WRITES,
} from './open-flags.ts';
import { OwnDescriptors } from './own-descriptors.ts';
import { inRoot, type Place } from './paths.ts';
import { ofWholeProcess } from './processes.ts';
import type { Target } from './targets.ts';

const { EAGAIN, EEXIST, EISDIR, ELOOP, ENAMETOOLONG, ENFILE, ENOENT, ENOTDIR, ENXIO } = constants.errno;
/** With its end, for the kernel. */
const MAX_PATH_BYTES = 4_096;
/** Opened as a name and not handed over yet: those that wait for a person. What comes beyond fails. */
export const MAX_PINNED = 1_024;
const TTY_MAJOR = 5;

export interface BrokerOptions {
  readonly listener: number;
  readonly calls: KernelCalls;
  readonly files: FileCalls;
  readonly memory: Pick<TargetMemory, 'path'>;
  /** UTC, milliseconds: when the session began. */
  readonly since: number;
  /** See `HotFolders`. */
  readonly hot?: readonly string[];
}

export class Broker implements Opener {
  readonly #files: FileCalls;
  readonly #own: OwnDescriptors;
  readonly #answers: BrokerAnswers;
  readonly #walker: Walker;
  readonly #rights: Rights;
  readonly #hot: HotFolders;
  readonly #waiting: WaitingOpens;
  readonly #creating: Creating;
  readonly #changes: Changes;
  #pinned = 0;
  #ticked = 0;

  constructor({ listener, calls, files, memory, since, hot = [] }: BrokerOptions) {
    this.#files = files;
    this.#own = new OwnDescriptors(files);
    this.#answers = new BrokerAnswers(listener, calls, files);
    this.#walker = new Walker(files, this.#own, procFiles(files));
    this.#rights = new Rights();
    this.#hot = new HotFolders(files, hot);
    this.#waiting = new WaitingOpens(files, this.#own, this.#answers);
    this.#creating = new Creating(files);
    this.#changes = new Changes({
      files,
      own: this.#own,
      walker: this.#walker,
      answers: this.#answers,
      memory,
      since,
      creating: this.#creating,
    });
  }

  open({ id }: Trapped, request: OpenRequest, target: Target): Opened | undefined {
    if (this.#rights.notOurs(target) !== undefined) return undefined;
    const hot = this.#hotOpened(id, request);
    if (hot !== undefined) return hot;
    const refused = this.#refused(request);
    if (refused !== undefined) return this.#failing(id, { path: textOf(request.name, target) }, refused);
    // Within a root of its own a path begins there, whatever it begins with.
    const isBound = (request.resolve & RESOLVE_IN_ROOT) !== 0;
    const from = startOf(this.#files, request.tid, request.folder, isBound ? EMPTY : request.name);
    if (from < 0 && from !== AT_FDCWD) return this.#failing(id, { path: textOf(request.name, target) }, -from);
    const found = this.#found(from, request, target);
    const place = this.#place(from, request, found, target);
    if (from >= 0) this.#files.close(from);
    return this.#opened(id, request, place, found);
  }

  #found(from: number, { name, flags, resolve }: OpenRequest, asker: Target): Found {
    const follow = (flags & O_NOFOLLOW) === 0 && !isExclusive(flags);
    const options = { asker, follow, resolve, writes: (flags & WRITES) !== 0 };
    const { folder, last, asFolder } = splitName(name);
    if (!isMaking(flags) || !asFolder || isDots(last)) return this.#walker.find(from, name, options);
    // No folder is made by opening, whether it is there or not: only the way to it is looked at.
    const found = this.#walker.find(from, folder, { ...options, follow: true });
    if (found.kind === 'fails') return found;
    this.#files.close(found.kind === 'there' ? found.fd : found.folder);
    if (found.kind === 'missing') return { kind: 'fails', errno: ENOENT };
    return { kind: 'fails', errno: found.status.type === 'folder' ? EISDIR : ENOTDIR };
  }

  /** Undefined: no call that changes names, or one that is left to the kernel. */
  change(trapped: Trapped, target: Target): Change | undefined {
    if (this.#rights.notOurs(target) !== undefined) return undefined;
    return this.#changes.of(trapped, target);
  }

  /** It is about to change what it may do. */
  changesRights(tid: number): void {
    this.#rights.changes(tid);
  }

  /** Some wait for the other end of a pipe, or a lease: `tick` is to be called. */
  get isWaiting(): boolean {
    return this.#waiting.size > 0;
  }

  /** The threads that do. */
  get waiting(): readonly number[] {
    return this.#waiting.threads;
  }

  tick(now: number): void {
    if (now - this.#ticked < WAITING_MS) return;
    this.#ticked = now;
    this.#waiting.tick();
  }

  close(): void {
    this.#waiting.close();
    this.#hot.close();
    this.#own.close();
  }

  /** Below such a folder, over no link: its name says where it is. Opened at once, and judged like any other before it is handed over. */
  #hotOpened(id: bigint, { name, flags, resolve, how }: OpenRequest): Opened | undefined {
    if ((flags & (WRITES | O_PATH)) !== 0 || resolve !== 0 || how !== undefined || this.#pinned >= MAX_PINNED) return undefined;
    const fd = this.#hot.open(name, flags);
    if (fd === undefined) return undefined;
    const place = { path: name.toString('utf8') };
    if (fd < 0) return this.#failing(id, place, -fd);
    this.#pinned++;
    return {
      place,
      give: () => {
        this.#pinned--;
        this.#answers.give(id, settled(this.#files, fd, flags), flags);
      },
      drop: () => {
        this.#pinned--;
        this.#files.close(fd);
      },
    };
  }

  /** What the kernel says no to before it looks at any file. */
  #refused({ name, flags, mode, resolve, how }: OpenRequest): number | undefined {
    if (name.length >= MAX_PATH_BYTES) return ENAMETOOLONG;
    if (this.#pinned >= MAX_PINNED) return ENFILE;
    // An empty name comes to nothing, once the flags were found to make sense.
    const isOdd = (flags & O_TMPFILE) !== 0 || ((flags & O_CREAT) !== 0 && (flags & O_DIRECTORY) !== 0);
    const said =
      how !== undefined ? this.#files.openat2(AT_FDCWD, EMPTY, how) : isOdd ? this.#files.openat(AT_FDCWD, EMPTY, flags, mode) : -ENOENT;
    if (said !== -ENOENT) return said < 0 ? -said : EAGAIN;
    // Only what we have looked at ourselves could be answered so, and not what the process would find.
    if ((resolve & RESOLVE_CACHED) !== 0) return EAGAIN;
    return name.length === 0 ? ENOENT : undefined;
  }

  #place(from: number, { name, resolve }: OpenRequest, { real }: { readonly real?: string | undefined }, target: Target): Place {
    const text = textOf(name, target);
    const path =
      (resolve & RESOLVE_IN_ROOT) !== 0
        ? inRoot(this.#own.linkOf(from), text)
        : from === AT_FDCWD || text.startsWith('/')
          ? text
          : `${this.#own.linkOf(from)?.toString('utf8') ?? '.'}/${text}`;
    // What has no path (a pipe of its own, say) has only the name it was asked for by.
    // A thread has a folder of its own in /proc, with the memory of its process in it.
    return { path: ofWholeProcess(path), ...(real?.startsWith('/') === true && { resolved: ofWholeProcess(real) }) };
  }

  #opened(id: bigint, request: OpenRequest, place: Place, found: Found): Opened {
    if (found.kind === 'fails') return this.#failing(id, place, found.errno);
    const pin = found.kind === 'there' ? found.fd : found.folder;
    // No rule could tell what it is.
    if (found.real === undefined) return this.#closed(pin, () => this.#failing(id, place, ENAMETOOLONG));
    const errno = found.kind === 'there' ? this.#errnoOf(found, request) : errnoOfMissing(found, request);
    if (errno !== undefined) return this.#closed(pin, () => this.#failing(id, place, errno));
    this.#pinned++;
    const unpinned = (): void => void this.#pinned--;
    return {
      place,
      bornMs: found.kind === 'there' ? found.status.bornMs : undefined,
      isMissing: found.kind === 'missing',
      give: () => {
        unpinned();
        if (found.kind === 'there') this.#give(id, request, found);
        else this.#make(id, request, found);
      },
      drop: () => {
        unpinned();
        this.#files.close(pin);
      },
    };
  }

  #closed<T>(fd: number, then: () => T): T {
    this.#files.close(fd);
    return then();
  }

  #failing(id: bigint, place: Place, errno: number): Opened {
    return { place, give: () => this.#answers.fail(id, errno), drop: () => {} };
  }

  /** What the kernel says of a file that is there, without opening it. */
  #errnoOf(found: There, { flags }: OpenRequest): number | undefined {
    const { type } = found.status;
    if (isExclusive(flags)) return EEXIST;
    if ((flags & O_DIRECTORY) !== 0 && type !== 'folder') return ENOTDIR;
    if ((flags & O_PATH) !== 0) return undefined;
    if (type === 'link') return ELOOP;
    if ((flags & O_CREAT) === 0) return undefined;
    if (type === 'folder') return EISDIR;
    return this.#creating.errnoOfExisting(found);
  }

  /** It is there: that very file, whatever its name is by now. */
  #give(id: bigint, request: OpenRequest, { fd, status }: There): void {
    const { flags } = request;
    if ((flags & O_PATH) !== 0) return this.#answers.give(id, fd, flags);
    const isTerminal = status.type === 'character' && status.major === TTY_MAJOR && status.minor === 0;
    const pin = isTerminal ? this.#closed(fd, () => terminalOf(this.#files, request.tid)) : fd;
    if (pin === undefined) return this.#answers.fail(id, ENXIO);
    // We wait for nothing, get no terminal by it, and follow nothing: we are there.
    const withFlags = (flags & ~(O_CREAT | O_NOFOLLOW | O_ASYNC | (isMaking(flags) ? O_EXCL : 0))) | O_NONBLOCK | O_NOCTTY;
    if ((flags & O_NONBLOCK) === 0 && status.type === 'fifo')
      return this.#waiting.open({ id, tid: request.tid }, pin, true, flags, withFlags);
    const opened =
      (flags & O_TMPFILE) === 0
        ? this.#own.reopen(pin, withFlags)
        : this.#creating.withUmask(request.tid, () => this.#own.reopen(pin, withFlags, request.mode));
    if (opened === -EAGAIN && (flags & O_NONBLOCK) === 0) return this.#waiting.open({ id, tid: request.tid }, pin, false, flags, withFlags);
    this.#files.close(pin);
    if (opened < 0) this.#answers.fail(id, -opened);
    else this.#answers.give(id, settled(this.#files, opened, flags), flags);
  }

  /** It is not there: made anew in the folder that was judged, and only if it is still not there. */
  #make(id: bigint, request: OpenRequest, missing: Missing): void {
    const made = this.#creating.make(missing, request);
    if (made === -EEXIST && (request.flags & O_EXCL) === 0) return this.#appeared(id, request, missing);
    this.#files.close(missing.folder);
    if (made < 0) this.#answers.fail(id, -made);
    else this.#answers.give(id, settled(this.#files, made, request.flags), request.flags);
  }

  /** Somebody else made it since it was judged, under the very name that was judged. A link may lead anywhere: it is not followed. */
  #appeared(id: bigint, request: OpenRequest, { folder, name, real }: Missing): void {
    const fd = this.#files.openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
    this.#files.close(folder);
    if (fd < 0) return this.#answers.fail(id, -fd);
    const status = statusOf(this.#files, fd);
    const there = status && { kind: 'there' as const, fd, status, real: this.#own.realPath(fd, status) };
    const errno = there === undefined || there.real !== real ? EEXIST : this.#errnoOf(there, request);
    if (there !== undefined && errno === undefined) return this.#give(id, request, there);
    this.#files.close(fd);
    this.#answers.fail(id, errno ?? EEXIST);
  }
}

const EMPTY = Buffer.alloc(1);
const DOT = Buffer.from('.');
const DOTS = Buffer.from('..');

function isDots(name: Buffer): boolean {
  return name.length === 0 || name.equals(DOT) || name.equals(DOTS);
}

function isMaking(flags: number): boolean {
  return (flags & O_CREAT) !== 0;
}

function isExclusive(flags: number): boolean {
  return isMaking(flags) && (flags & O_EXCL) !== 0;
}

function errnoOfMissing({ asFolder }: Missing, { flags }: OpenRequest): number | undefined {
  if (!isMaking(flags)) return ENOENT;
  return asFolder ? EISDIR : undefined;
}

/** `self` is the one who asks, for whoever reads of it later. */
function textOf(name: Buffer, { tid }: Target): string {
  return name.toString('utf8').replace(/^\/+proc\/+(?:self|thread-self)(?=\/|$)/, `/proc/${tid}`);
}
