/**
 * Names that are taken away, moved or added for another process: by us, in the folders that were judged. A folder or a link on the way
 * that is changed meanwhile makes no difference; and no file comes by a name under which it was not judged, to be read under it later.
 */
import { constants } from 'node:os';
import type { Action, FileAction } from '../activity.ts';
import type { FileCalls } from '../native/file-calls.ts';
import type { BrokerAnswers } from './broker-answers.ts';
import type { Creating } from './broker-creating.ts';
import { type Fails, splitName, type There, type Walker } from './broker-walk.ts';
import type { Opened } from './decoded.ts';
import { statusOf } from './file-status.ts';
import type { TargetMemory } from './memory.ts';
import { intOf, type Trapped } from './notification.ts';
import { AT_EMPTY_PATH, AT_FDCWD, O_CLOEXEC, O_NOFOLLOW, O_NONBLOCK, O_PATH, O_WRONLY } from './open-flags.ts';
import { type OwnDescriptors, zeroEnded } from './own-descriptors.ts';
import type { Target } from './targets.ts';

const { EBADF, EINVAL, EISDIR, ENAMETOOLONG, ENOENT, ENOTDIR } = constants.errno;
const AT_REMOVEDIR = 0x200;
const AT_SYMLINK_FOLLOW = 0x400;
const RENAME_EXCHANGE = 2;
const MODE_AND_TYPE = 0o177777;
const SLASH = 47;
const NONE = 0n;
/** Of a call that has no such argument: the working directory. */
const CWD = BigInt(AT_FDCWD);

/** What it comes to, and how it is done. */
export interface Change {
  readonly actions: readonly Action[];
  readonly opened: Opened;
}

interface ChangeParts {
  readonly files: FileCalls;
  readonly own: OwnDescriptors;
  readonly walker: Walker;
  readonly answers: BrokerAnswers;
  readonly creating: Creating;
  readonly memory: Pick<TargetMemory, 'path'>;
  /** UTC, milliseconds: what is older existed before. */
  readonly since: number;
}

/** A name in a folder that is pinned. */
interface Slot {
  readonly folder: number;
  /** As it was given, slashes at its end included, with a zero. */
  readonly tail: Buffer;
  readonly path: string;
  readonly real: string;
  readonly bornMs: number | undefined;
  readonly isThere: boolean;
}

type Asked = (changes: Changes, trapped: Trapped, target: Target) => Change | undefined;

/** Arguments: which is the folder's descriptor, which the name. */
const CALLS: ReadonlyMap<string, Asked> = new Map<string, Asked>([
  ['unlink', (changes, trapped, target) => changes.remove(trapped, target, CWD, 0, 0)],
  ['rmdir', (changes, trapped, target) => changes.remove(trapped, target, CWD, 0, AT_REMOVEDIR)],
  ['unlinkat', (changes, trapped, target) => changes.remove(trapped, target, trapped.args[0] ?? NONE, 1, intOf(trapped.args[2]))],
  ['rename', (changes, trapped, target) => changes.rename(trapped, target, [CWD, CWD], [0, 1], 0)],
  ['renameat', (changes, trapped, target) => changes.rename(trapped, target, foldersOf(trapped), [1, 3], 0)],
  ['renameat2', (changes, trapped, target) => changes.rename(trapped, target, foldersOf(trapped), [1, 3], intOf(trapped.args[4]))],
  ['link', (changes, trapped, target) => changes.link(trapped, target, [CWD, CWD], [0, 1], 0)],
  ['linkat', (changes, trapped, target) => changes.link(trapped, target, foldersOf(trapped), [1, 3], intOf(trapped.args[4]))],
  ['symlink', (changes, trapped, target) => changes.symlink(trapped, target, CWD, 1)],
  ['symlinkat', (changes, trapped, target) => changes.symlink(trapped, target, trapped.args[1] ?? NONE, 2)],
  ['mknod', (changes, trapped, target) => changes.make(trapped, target, CWD, [0, 1, 2])],
  ['mknodat', (changes, trapped, target) => changes.make(trapped, target, trapped.args[0] ?? NONE, [1, 2, 3])],
  ['truncate', (changes, trapped, target) => changes.truncate(trapped, target)],
]);

export class Changes {
  readonly #parts: ChangeParts;

  constructor(parts: ChangeParts) {
    this.#parts = parts;
  }

  /** Undefined: no such call, or its names cannot be read. */
  of(trapped: Trapped, target: Target): Change | undefined {
    return CALLS.get(trapped.call)?.(this, trapped, target);
  }

  remove(trapped: Trapped, target: Target, folder: bigint, name: number, flags: number): Change | undefined {
    const slot = this.#slot(trapped, target, folder, name);
    if (slot === undefined) return slot;
    if ('errno' in slot) return this.#failing(trapped, 'delete', slot);
    return {
      actions: [this.#action('delete', slot)],
      opened: this.#done(trapped, [slot], () => this.#parts.files.unlinkat(slot.folder, slot.tail, flags)),
    };
  }

  rename(trapped: Trapped, target: Target, folders: readonly bigint[], names: readonly number[], flags: number): Change | undefined {
    const both = this.#both(trapped, target, folders, names);
    if (both === undefined || 'opened' in both) return both;
    const { from, to } = both;
    const moved = (one: Slot, other: Slot): Action => ({
      kind: 'rename',
      path: one.path,
      to: other.path,
      ...(one.real !== one.path && { resolved: one.real }),
      ...(other.real !== other.path && { resolved_to: other.real }),
      ...existedIn(one, this.#parts.since),
    });
    return {
      actions: [moved(from, to), ...((flags & RENAME_EXCHANGE) === 0 ? [] : [moved(to, from)])],
      opened: this.#done(trapped, [from, to], () => this.#parts.files.renameat2(from.folder, from.tail, to.folder, to.tail, flags)),
    };
  }

  link(trapped: Trapped, target: Target, folders: readonly bigint[], names: readonly number[], flags: number): Change | undefined {
    if ((flags & (AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)) !== 0) return this.#linkWhatIsThere(trapped, target, folders, names, flags);
    const both = this.#both(trapped, target, folders, names);
    if (both === undefined || 'opened' in both) return both;
    const { from, to } = both;
    return {
      actions: [{ kind: 'read', path: from.path, resolved: from.real, by: 'name' }, this.#action('write', to, 'name')],
      opened: this.#done(trapped, [from, to], () => this.#parts.files.linkat(from.folder, from.tail, to.folder, to.tail, flags)),
    };
  }

  symlink(trapped: Trapped, target: Target, folder: bigint, name: number): Change | undefined {
    const { files, memory } = this.#parts;
    const text = memory.path(trapped.tid, trapped.args[0] ?? NONE);
    if (typeof text === 'string') return undefined;
    return this.#added(trapped, target, folder, name, (slot) => files.symlinkat(zeroEnded(text), slot.folder, slot.tail));
  }

  /** Pipes, sockets, devices, and empty files. @param at - arguments: name, mode, device */
  make(trapped: Trapped, target: Target, folder: bigint, at: readonly [number, number, number]): Change | undefined {
    const { files, creating } = this.#parts;
    const [mode, device] = [intOf(trapped.args[at[1]]), BigInt.asUintN(32, trapped.args[at[2]] ?? NONE)];
    return this.#added(trapped, target, folder, at[0], (slot) =>
      creating.withUmask(trapped.tid, () => files.mknodat(slot.folder, slot.tail, mode & MODE_AND_TYPE, device)),
    );
  }

  #added(trapped: Trapped, target: Target, folder: bigint, name: number, add: (slot: Slot) => number): Change | undefined {
    const slot = this.#slot(trapped, target, folder, name);
    if (slot === undefined) return undefined;
    if ('errno' in slot) return this.#failing(trapped, 'write', slot);
    return { actions: [this.#action('write', slot, 'name')], opened: this.#done(trapped, [slot], () => add(slot)) };
  }

  /** Shorter or longer: opened without waiting for a lease, as `open` does. */
  truncate(trapped: Trapped, target: Target): Change | undefined {
    const { files, own } = this.#parts;
    const pinned = this.#pinned(trapped, target, CWD, 0, true);
    if (pinned === undefined) return undefined;
    if (pinned.found.kind === 'fails') return this.#failing(trapped, 'write', { errno: pinned.found.errno, path: pinned.path });
    const { fd, status, real } = pinned.found;
    if (real === undefined) {
      files.close(fd);
      return this.#failing(trapped, 'write', { errno: ENAMETOOLONG, path: pinned.path });
    }
    const length = BigInt.asIntN(64, trapped.args[1] ?? NONE);
    const cut = (): number => {
      if (length < 0n) return -EINVAL;
      if (status.type !== 'file') return status.type === 'folder' ? -EISDIR : -EINVAL;
      const open = own.reopen(fd, O_WRONLY | O_NONBLOCK);
      if (open < 0) return open;
      const result = files.ftruncate(open, length);
      files.close(open);
      return result;
    };
    const slot: Slot = { folder: fd, tail: NO_NAME, path: pinned.path, real, bornMs: status.bornMs, isThere: true };
    return { actions: [this.#action('write', slot, 'truncate')], opened: this.#done(trapped, [slot], cut) };
  }

  /** The file itself gets one more name, whatever its names are by then. */
  #linkWhatIsThere(
    trapped: Trapped,
    target: Target,
    folders: readonly bigint[],
    names: readonly number[],
    flags: number,
  ): Change | undefined {
    const { files, own } = this.#parts;
    const pinned = this.#pinned(trapped, target, folders[0] ?? NONE, names[0] ?? 0, (flags & AT_SYMLINK_FOLLOW) !== 0, flags);
    if (pinned === undefined) return undefined;
    if (pinned.found.kind === 'fails') return this.#failing(trapped, 'read', { errno: pinned.found.errno, path: pinned.path });
    const { fd, real } = pinned.found;
    const nameless = { errno: ENAMETOOLONG, path: pinned.path };
    const to = real === undefined ? nameless : this.#slot(trapped, target, folders[1] ?? NONE, names[1] ?? 0);
    if (to === undefined || 'errno' in to) {
      files.close(fd);
      return to === undefined ? to : this.#failing(trapped, 'write', to);
    }
    const from: FileAction = { kind: 'read', path: pinned.path, ...(real?.startsWith('/') === true && { resolved: real }), by: 'name' };
    const opened = this.#done(trapped, [to], () => own.link(fd, to.folder, to.tail));
    return {
      actions: [from, this.#action('write', to, 'name')],
      opened: {
        ...opened,
        give: () => {
          opened.give();
          files.close(fd);
        },
        drop: () => {
          opened.drop();
          files.close(fd);
        },
      },
    };
  }

  #both(
    trapped: Trapped,
    target: Target,
    folders: readonly bigint[],
    names: readonly number[],
  ): { readonly from: Slot; readonly to: Slot } | Change | undefined {
    const from = this.#slot(trapped, target, folders[0] ?? NONE, names[0] ?? 0);
    if (from === undefined) return from;
    if ('errno' in from) return this.#failing(trapped, 'delete', from);
    const to = this.#slot(trapped, target, folders[1] ?? NONE, names[1] ?? 0);
    if (to !== undefined && !('errno' in to)) return { from, to };
    this.#parts.files.close(from.folder);
    return to === undefined ? to : this.#failing(trapped, 'write', to);
  }

  /** The folder of a name, opened as a name only. Undefined: the name cannot be read. */
  #slot(trapped: Trapped, target: Target, folder: bigint, name: number): Slot | { errno: number; path: string } | undefined {
    const { files, own, memory, walker } = this.#parts;
    const text = memory.path(trapped.tid, trapped.args[name] ?? NONE);
    if (typeof text === 'string') return undefined;
    const asked = text.toString('utf8');
    if (text.length === 0) return { errno: ENOENT, path: asked };
    const from = startOf(files, trapped.tid, intOf(folder), text);
    if (from < 0 && from !== AT_FDCWD) return { errno: -from, path: asked };
    const { folder: way, last } = splitName(text);
    const path = absolute(own, from, asked);
    const found = walker.find(from, way, { asker: target, follow: true, resolve: 0, writes: true });
    if (from >= 0) files.close(from);
    if (found.kind === 'fails') return { errno: found.errno, path };
    if (found.kind === 'missing' || found.status.type !== 'folder') {
      files.close(found.kind === 'missing' ? found.folder : found.fd);
      return { errno: found.kind === 'missing' ? ENOENT : ENOTDIR, path };
    }
    if (found.real === undefined) {
      files.close(found.fd);
      return { errno: ENAMETOOLONG, path };
    }
    const tail = last.length === 0 ? ROOT : zeroEnded(text.subarray(lastStart(text, last)));
    return { folder: found.fd, tail, path, real: joined(found.real, last), ...this.#born(found.fd, last) };
  }

  #born(folder: number, last: Buffer): { readonly bornMs: number | undefined; readonly isThere: boolean } {
    const { files } = this.#parts;
    const fd = files.openat(folder, zeroEnded(last.length === 0 ? DOT : last), O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
    if (fd < 0) return { bornMs: undefined, isThere: false };
    const status = statusOf(files, fd);
    files.close(fd);
    return { bornMs: status?.bornMs, isThere: true };
  }

  /** What a name leads to, opened as a name only. Undefined: the name cannot be read. */
  #pinned(
    trapped: Trapped,
    target: Target,
    folder: bigint,
    name: number,
    follow: boolean,
    flags = 0,
  ): { readonly found: There | Fails; readonly path: string } | undefined {
    const { files, own, memory, walker } = this.#parts;
    const text = memory.path(trapped.tid, trapped.args[name] ?? NONE);
    if (typeof text === 'string') return undefined;
    const asked = text.toString('utf8');
    const isItself = text.length === 0 && (flags & AT_EMPTY_PATH) !== 0;
    if (text.length === 0 && !isItself) return { found: { kind: 'fails', errno: ENOENT }, path: asked };
    const from = startOf(files, trapped.tid, intOf(folder), text);
    if (from < 0 && from !== AT_FDCWD) return { found: { kind: 'fails', errno: -from }, path: asked };
    const path = absolute(own, from, asked);
    const found = walker.find(from, isItself ? DOT_SELF : text, { asker: target, follow, resolve: 0, writes: true });
    if (from >= 0) files.close(from);
    if (found.kind !== 'missing') return { found, path };
    files.close(found.folder);
    return { found: { kind: 'fails', errno: ENOENT, real: found.real }, path };
  }

  #action(kind: FileAction['kind'], slot: Slot, by?: FileAction['by']): FileAction {
    const { path, real } = slot;
    return { kind, path, resolved: real, ...existedIn(slot, this.#parts.since), ...(by && { by }) };
  }

  /** Tried, and to no end: that is judged as well. */
  #failing({ id }: Trapped, kind: FileAction['kind'], { errno, path }: { readonly errno: number; readonly path: string }): Change {
    const { answers } = this.#parts;
    return { actions: [{ kind, path }], opened: { place: { path }, give: () => answers.fail(id, errno), drop: () => {} } };
  }

  #done({ id }: Trapped, slots: readonly Slot[], act: () => number): Opened {
    const { answers, files } = this.#parts;
    const drop = (): void => {
      for (const { folder } of slots) files.close(folder);
    };
    return {
      place: { path: slots[0]?.path ?? '' },
      give: () => {
        const result = act();
        drop();
        answers.done(id, result);
      },
      drop,
    };
  }
}

const DOT = Buffer.from('.');
const DOT_SELF = Buffer.alloc(0);
const NO_NAME = Buffer.alloc(1);
const ROOT = Buffer.from('/\0');

function foldersOf({ args }: Trapped): readonly bigint[] {
  return [args[0] ?? NONE, args[2] ?? NONE];
}

/** Where a path begins: ours to close, unless it is the root we share. */
export function startOf(files: FileCalls, tid: number, folder: number, name: Buffer): number {
  if (name[0] === SLASH) return AT_FDCWD;
  const path = folder === AT_FDCWD ? `/proc/${tid}/cwd` : `/proc/${tid}/fd/${folder}`;
  const fd = files.openat(AT_FDCWD, zeroEnded(path), O_PATH | O_CLOEXEC, 0);
  return fd === -ENOENT && folder !== AT_FDCWD ? -EBADF : fd;
}

function absolute(own: OwnDescriptors, from: number, text: string): string {
  return from === AT_FDCWD ? text : `${own.linkOf(from)?.toString('utf8') ?? '.'}/${text}`;
}

function lastStart(path: Buffer, last: Buffer): number {
  return last.byteOffset - path.byteOffset;
}

function joined(folder: string, name: Buffer): string {
  return `${folder === '/' ? '' : folder}/${name.toString('utf8')}`;
}

function existedIn({ bornMs, isThere }: Slot, since: number): { readonly existed?: boolean } {
  if (!isThere) return { existed: false };
  return bornMs === undefined ? {} : { existed: bornMs < since };
}
