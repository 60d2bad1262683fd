/** What a trapped call is about to do, in the words of the rules. */
import type { Action, FileAction } from '../activity.ts';
import { connects, sendsMessage, sendsMessages, sendsTo, socketName } from './decode-connect.ts';
import { executes } from './decode-exec.ts';
import { type DecodeContext, type Decoded, type Opened, type OpenRequest, PLAIN, unreadable } from './decoded.ts';
import type { FileFacts } from './file-facts.ts';
import type { Unread } from './memory.ts';
import { intOf, type Trapped } from './notification.ts';
import { O_PATH, opensBy, WRITES } from './open-flags.ts';
import { AT_FDCWD, type Place } from './paths.ts';
import { reachOf } from './reach.ts';

const O_CREAT = 0o100;
const O_TRUNC = 0o1000;
const O_WRONLY = 0o1;
/** `struct open_how`: as it was first, and a page. The kernel takes no other. */
const MIN_OPEN_HOW_BYTES = 24n;
const MAX_OPEN_HOW_BYTES = 4_096n;
const RENAME_EXCHANGE = 0x2;
const AT_SYMLINK_FOLLOW = 0x400;

export function decode(trapped: Trapped, context: DecodeContext): Decoded {
  const { call, args } = trapped;
  const flags = (at: number): number => intOf(args[at]);
  const here = { trapped, context };
  // Calls that are of no interest have no case of their own.
  const name: string = call;
  switch (name) {
    case 'fork':
    case 'vfork':
    case 'clone':
      return { kind: 'fork' };
    case 'execve':
      return runs(here, 0, AT_FDCWD, [args[1] ?? 0n, args[2] ?? 0n]);
    case 'execveat':
      return runs(here, 1, flags(0), [args[2] ?? 0n, args[3] ?? 0n]);
    case 'open':
      return opens(trapped, context, 0, { folder: AT_FDCWD, flags: flags(1), mode: flags(2) });
    case 'openat':
      return opens(trapped, context, 1, { folder: flags(0), flags: flags(2), mode: flags(3) });
    case 'openat2':
      return opensHow(here);
    case 'creat':
      return opens(trapped, context, 0, { folder: AT_FDCWD, flags: O_WRONLY | O_CREAT | O_TRUNC, mode: flags(1) });
    case 'truncate':
      return at(here, 0, { folder: -1 }, (place) => file('write', place, context, 'truncate'));
    case 'unlink':
    case 'rmdir':
      return at(here, 0, { folder: -1, isLink: true }, (place) => file('delete', place, context));
    case 'unlinkat':
      return at(here, 1, { folder: 0, isLink: true }, (place) => file('delete', place, context));
    case 'rename':
      return both(here, [0, 1], [-1, -1], false, (from, to) => renames(from, to, 0, context));
    case 'renameat':
      return both(here, [1, 3], [0, 2], false, (from, to) => renames(from, to, 0, context));
    case 'renameat2':
      return both(here, [1, 3], [0, 2], false, (from, to) => renames(from, to, flags(4), context));
    case 'link':
      return both(here, [0, 1], [-1, -1], false, (from, to) => links(from, to, context));
    case 'linkat':
      return both(here, [1, 3], [0, 2], (flags(4) & AT_SYMLINK_FOLLOW) !== 0, (from, to) => links(from, to, context));
    case 'connect':
      return connects(trapped, context);
    case 'sendto':
      return sendsTo(trapped, context);
    case 'sendmsg':
      return sendsMessage(trapped, context);
    case 'sendmmsg':
      return sendsMessages(trapped, context);
    case 'symlink':
      return at(here, 1, { folder: -1, isLink: true }, (place) => file('write', place, context, 'name'));
    case 'symlinkat':
      return at(here, 2, { folder: 1, isLink: true }, (place) => file('write', place, context, 'name'));
    case 'mknod':
      return at(here, 0, { folder: -1, isLink: true }, (place) => file('write', place, context, 'name'));
    case 'mknodat':
      return at(here, 1, { folder: 0, isLink: true }, (place) => file('write', place, context, 'name'));
    case 'bind':
      return binds(here);
    default:
      return reachOf(trapped, context.processes) ?? PLAIN;
  }
}

/** What it comes to, once it is known where it leads. */
export function openActions({ flags }: OpenRequest, place: Place, since: number, files: FileFacts, opened?: Opened): readonly Action[] {
  const kind = (flags & WRITES) === 0 ? 'read' : 'write';
  const by = opensBy(flags);
  if (opened === undefined) return [fileAction(kind, place, { since, files }, by)];
  return (flags & O_PATH) !== 0 ? [] : [brokered(kind, opened, since, by)];
}

function brokered(
  kind: FileAction['kind'],
  { place: { path, resolved }, bornMs, isMissing }: Opened,
  since: number,
  by: FileAction['by'],
): FileAction {
  const existed = kind === 'read' ? undefined : isMissing === true ? false : bornMs === undefined ? undefined : bornMs < since;
  return { kind, path, ...(resolved !== undefined && { resolved }), ...(existed !== undefined && { existed }), ...(by && { by }) };
}

interface Here {
  readonly trapped: Trapped;
  readonly context: DecodeContext;
}

/** @param folder - argument that is the folder's descriptor; -1: there is none, and names begin in the working directory */
function placeOf({ trapped: { args, tid }, context }: Here, name: number, folder: number, follow: boolean): Place | Unread {
  const text = context.memory.path(tid, args[name] ?? 0n);
  return typeof text === 'string' ? text : context.paths.place(tid, folder < 0 ? AT_FDCWD : intOf(args[folder]), text, follow);
}

function at(
  here: Here,
  name: number,
  { folder, isLink = false }: { readonly folder: number; readonly isLink?: boolean },
  then: (place: Place) => Decoded,
): Decoded {
  const place = placeOf(here, name, folder, !isLink);
  return typeof place === 'string' ? unreadable('the path', place) : then(place);
}

/** @param follow - the last name of the first one too, when it is a link */
function both(
  here: Here,
  names: readonly [number, number],
  folders: readonly [number, number],
  follow: boolean,
  then: (from: Place, to: Place) => Decoded,
): Decoded {
  const from = placeOf(here, names[0], folders[0], follow);
  const to = placeOf(here, names[1], folders[1], false);
  if (typeof from === 'string') return unreadable('the first path', from);
  return typeof to === 'string' ? unreadable('the second path', to) : then(from, to);
}

/** Only what makes a file: ports and abstract names are nobody's but this host's. */
function binds({ trapped: { args, tid }, context }: Here): Decoded {
  const name = socketName(tid, args[1] ?? 0n, intOf(args[2]), context);
  if (name === 'unreadable') return unreadable('the address');
  return name === undefined ? PLAIN : file('write', context.paths.place(tid, AT_FDCWD, name, false), context, 'name');
}

/** Without a name it is the descriptor that is run: of a file that may have no name any more, or never had one. */
function runs({ context, trapped }: Here, name: number, folder: number, lists: readonly [argv: bigint, envp: bigint]): Decoded {
  const { tid } = trapped;
  const text = context.memory.path(tid, trapped.args[name] ?? 0n);
  return typeof text === 'string' ? unreadable('the path', text) : executes({ tid, folder, name: text }, lists, context);
}

function opens(
  { args, tid }: Trapped,
  { memory }: DecodeContext,
  name: number,
  { folder, flags, mode }: Pick<OpenRequest, 'folder' | 'flags' | 'mode'>,
): Decoded {
  // It opens nothing: only a name for what is there, and using that is another call.
  if ((flags & O_PATH) !== 0) return PLAIN;
  const text = memory.path(tid, args[name] ?? 0n);
  return typeof text === 'string'
    ? unreadable('the path', text)
    : { kind: 'open', request: { tid, folder, name: text, flags, mode, resolve: 0 } };
}

/** Its flags lie in memory, where they may be others by the time the kernel looks: `O_PATH` in them says nothing. */
function opensHow({ trapped: { args, tid }, context }: Here): Decoded {
  const size = args[3] ?? 0n;
  // It fails, whatever else there is.
  if (size < MIN_OPEN_HOW_BYTES || size > MAX_OPEN_HOW_BYTES) return PLAIN;
  const read = context.memory.bytes(tid, args[2] ?? 0n, Number(size));
  if (read === undefined) return unreadable('the flags');
  const how = Buffer.from(read);
  const [flags, mode, resolve] = [how.readUInt32LE(0), how.readUInt32LE(8), how.readUInt32LE(16)];
  const text = context.memory.path(tid, args[1] ?? 0n);
  if (typeof text === 'string') return unreadable('the path', text);
  return { kind: 'open', request: { tid, folder: intOf(args[0]), name: text, flags, mode, resolve, how } };
}

function file(kind: FileAction['kind'], place: Place, context: DecodeContext, by?: FileAction['by']): Decoded {
  return { kind: 'act', actions: [fileAction(kind, place, context, by)] };
}

function fileAction(
  kind: FileAction['kind'],
  { path, resolved }: Place,
  { since, files }: Pick<DecodeContext, 'since' | 'files'>,
  by?: FileAction['by'],
): FileAction {
  const existed = kind === 'read' ? undefined : files.existed(resolved ?? path, since);
  return { kind, path, ...(resolved !== undefined && { resolved }), ...(existed !== undefined && { existed }), ...(by && { by }) };
}

function renames(from: Place, to: Place, flags: number, { since, files }: DecodeContext): Decoded {
  const moved = (one: Place, other: Place): Action => {
    const existed = files.existed(one.resolved ?? one.path, since);
    return {
      kind: 'rename',
      path: one.path,
      to: other.path,
      ...(one.resolved !== undefined && one.resolved !== one.path && { resolved: one.resolved }),
      ...(other.resolved !== undefined && other.resolved !== other.path && { resolved_to: other.resolved }),
      ...(existed !== undefined && { existed }),
    };
  };
  return { kind: 'act', actions: [moved(from, to), ...((flags & RENAME_EXCHANGE) === 0 ? [] : [moved(to, from)])] };
}

/** One more name for a file: under it, it could be read later. */
function links(from: Place, to: Place, context: DecodeContext): Decoded {
  return { kind: 'act', actions: [fileAction('read', from, context, 'name'), fileAction('write', to, context, 'name')] };
}
