/** What a trapped call is about to do, in the words of the rules. */
import { lstatSync } from 'node:fs';
import type { Action, FileAction } from '../activity.ts';
import { CALL_MARKER, parseMarkers } from '../tree/markers.ts';
import type { DecodeContext, Decoded, Opened, OpenRequest } from './decoded.ts';
import type { TargetMemory } from './memory.ts';
import { intOf, type Trapped } from './notification.ts';
import { O_PATH, WRITES } from './open-flags.ts';
import { AT_FDCWD, type Place } from './paths.ts';
import { reachOf } from './reach.ts';

/** `struct open_how`: as it was first, and a page. The kernel takes no other. */
const MIN_OPEN_HOW_BYTES = 24n;
const MAX_OPEN_HOW_BYTES = 4_096n;
const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const MAX_SOCKADDR_BYTES = 128;

export function decode(trapped: Trapped, context: DecodeContext): Decoded {
  const { call, args, tid } = trapped;
  const path = (arg: number, folder = AT_FDCWD, follow = true): Place | undefined => {
    const text = context.memory.text(tid, args[arg] ?? 0n);
    return text === undefined ? undefined : context.paths.place(tid, folder, text, follow);
  };
  const plainOpen = (arg: number) => ({ tid, name: context.memory.text(tid, args[arg] ?? 0n), resolve: 0 });
  const folderOf = (arg: number): number => intOf(args[arg]);
  // Calls that fail at once, or are of no interest, have no case of their own.
  const name: string = call;
  switch (name) {
    case 'fork':
    case 'vfork':
    case 'clone':
      return { kind: 'fork' };
    case 'execve':
      return executes(path(0), args[1] ?? 0n, args[2] ?? 0n, trapped, context);
    case 'execveat':
      return executes(path(1, folderOf(0)), args[2] ?? 0n, args[3] ?? 0n, trapped, context);
    case 'open':
      return opens({ ...plainOpen(0), folder: AT_FDCWD, flags: intOf(args[1]), mode: intOf(args[2]) });
    case 'openat':
      return opens({ ...plainOpen(1), folder: folderOf(0), flags: intOf(args[2]), mode: intOf(args[3]) });
    case 'openat2': {
      const size = args[3] ?? 0n;
      // It fails, whatever else there is.
      if (size < MIN_OPEN_HOW_BYTES || size > MAX_OPEN_HOW_BYTES) return { kind: 'plain' };
      const read = context.memory.bytes(tid, args[2] ?? 0n, Number(size));
      if (read === undefined) return unreadable('the flags');
      const how = Buffer.from(read);
      const [flags, mode, resolve] = [how.readUInt32LE(0), how.readUInt32LE(8), how.readUInt32LE(16)];
      return opens({ ...plainOpen(1), folder: folderOf(0), flags, mode, resolve, how });
    }
    case 'creat':
      return opens({ ...plainOpen(0), folder: AT_FDCWD, flags: O_WRONLY_CREATE, mode: intOf(args[1]) });
    case 'truncate':
      return file('write', path(0), context);
    case 'unlink':
    case 'rmdir':
      return file('delete', path(0, AT_FDCWD, false), context);
    case 'unlinkat':
      return file('delete', path(1, folderOf(0), false), context);
    case 'rename':
      return renames(path(0, AT_FDCWD, false), path(1, AT_FDCWD, false), context);
    case 'renameat':
    case 'renameat2':
      return renames(path(1, folderOf(0), false), path(3, folderOf(2), false), context);
    case 'link':
      return links(path(0, AT_FDCWD, false), path(1, AT_FDCWD, false), context);
    case 'linkat':
      return links(path(1, folderOf(0), false), path(3, folderOf(2), false), context);
    case 'connect':
      return connects(args[1] ?? 0n, Number(args[2] ?? 0n), 'tcp', trapped, context);
    case 'sendto':
      return connects(args[4] ?? 0n, intOf(args[5]), 'udp', trapped, context);
    case 'symlink':
      return file('write', path(1, AT_FDCWD, false), context);
    case 'symlinkat':
      return file('write', path(2, folderOf(1), false), context);
    case 'mknod':
      return file('write', path(0, AT_FDCWD, false), context);
    case 'mknodat':
      return file('write', path(1, folderOf(0), false), context);
    default:
      return reachOf(trapped, context.processes) ?? { kind: 'plain' };
  }
}

const O_WRONLY_CREATE = 0o1 | 0o100 | 0o1000;

function opens({ name, ...rest }: Omit<OpenRequest, 'name'> & { readonly name: Buffer | undefined }): Decoded {
  if (name === undefined) return unreadable('the path');
  // It opens nothing: only a name for what is there. Where the flags lie in memory they may be others by now.
  if ((rest.flags & O_PATH) !== 0 && rest.how === undefined) return { kind: 'plain' };
  return { kind: 'open', request: { ...rest, name } };
}

/** What it comes to, once it is known where it leads. */
export function openActions({ flags }: OpenRequest, place: Place, since: number, opened?: Opened): readonly Action[] {
  if ((flags & O_PATH) !== 0 || opened?.isHot === true) return [];
  const kind = (flags & WRITES) === 0 ? 'read' : 'write';
  return [opened === undefined ? fileAction(kind, place, since) : brokered(kind, opened, since)];
}

function brokered(kind: FileAction['kind'], { place: { path, resolved }, bornMs, isMissing }: Opened, since: number): FileAction {
  const existed = kind === 'read' ? undefined : isMissing === true ? false : bornMs === undefined ? undefined : bornMs < since;
  return { kind, path, ...(resolved !== undefined && { resolved }), ...(existed !== undefined && { existed }) };
}

function file(kind: FileAction['kind'], place: Place | undefined, { since }: DecodeContext): Decoded {
  if (place === undefined) return unreadable('the path');
  return { kind: 'act', actions: [fileAction(kind, place, since)] };
}

function fileAction(kind: FileAction['kind'], place: Place, since: number): FileAction {
  const { path, resolved } = place;
  const existed = kind === 'read' ? undefined : wasThere(place, since);
  return { kind, path, ...(resolved !== undefined && { resolved }), ...(existed !== undefined && { existed }) };
}

function renames(from: Place | undefined, to: Place | undefined, { since }: DecodeContext): Decoded {
  if (from === undefined || to === undefined) return unreadable('a path');
  const existed = wasThere(from, since);
  return {
    kind: 'act',
    actions: [{ kind: 'rename', path: from.resolved ?? from.path, to: to.resolved ?? to.path, ...(existed !== undefined && { existed }) }],
  };
}

/** One more name for a file: under it, it could be read later. */
function links(from: Place | undefined, to: Place | undefined, context: DecodeContext): Decoded {
  const read = file('read', from, context);
  const write = file('write', to, context);
  if (read.kind !== 'act' || write.kind !== 'act') return unreadable('a path');
  return { kind: 'act', actions: [...read.actions, ...write.actions] };
}

/** Undefined: it is not there, or cannot be looked at. */
function wasThere({ path, resolved }: Place, since: number): boolean | undefined {
  const stats = lstatSync(resolved ?? path, { throwIfNoEntry: false });
  return stats === undefined ? false : stats.birthtimeMs < since;
}

function executes(place: Place | undefined, argv: bigint, envp: bigint, { tid }: Trapped, { memory, target }: DecodeContext): Decoded {
  const words = memory.texts(tid, argv);
  if (place === undefined) return unreadable('the path');
  if (words === undefined) return unreadable('the arguments');
  const call = callOf(memory, tid, envp);
  const { cwd } = target;
  return {
    kind: 'act',
    actions: [
      {
        kind: 'exec',
        exe: place.resolved ?? place.path,
        argv: words.texts.map((word) => word.toString('utf8')),
        ...(cwd !== undefined && { cwd }),
      },
    ],
    ...(call !== undefined && { attribution: { method: 'marker', call } }),
  };
}

/** Our marker in the environment it will have. */
function callOf(memory: TargetMemory, tid: number, envp: bigint): string | undefined {
  const variables = memory.texts(tid, envp)?.texts.filter((each) => each.toString('latin1', 0, CALL_MARKER.length) === CALL_MARKER) ?? [];
  return parseMarkers(Buffer.concat(variables.flatMap((each) => [each, Buffer.alloc(1)]))).call;
}

function connects(address: bigint, length: number, protocol: 'tcp' | 'udp', { tid }: Trapped, { memory }: DecodeContext): Decoded {
  const bytes = memory.bytes(tid, address, Math.max(2, Math.min(length, MAX_SOCKADDR_BYTES)));
  if (bytes === undefined) return unreadable('the address');
  switch (bytes.readUInt16LE(0)) {
    case AF_INET:
      if (bytes.length < 8) return { kind: 'plain' };
      return {
        kind: 'act',
        actions: [{ kind: 'connect', protocol, address: bytes.subarray(4, 8).join('.'), port: bytes.readUInt16BE(2) }],
      };
    case AF_INET6:
      if (bytes.length < 24) return { kind: 'plain' };
      return { kind: 'act', actions: [{ kind: 'connect', protocol, address: ipv6(bytes.subarray(8, 24)), port: bytes.readUInt16BE(2) }] };
    case AF_UNIX:
      return { kind: 'act', actions: [{ kind: 'connect', protocol: 'unix', address: unixName(bytes.subarray(2)) }] };
    default:
      return { kind: 'plain' };
  }
}

function ipv6(bytes: Buffer): string {
  return Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16)).join(':');
}

/** An abstract one begins with a zero byte, shown as `@`. */
function unixName(bytes: Buffer): string {
  if (bytes[0] === 0) return `@${bytes.subarray(1).toString('utf8').replaceAll('\0', '@')}`;
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end < 0 ? bytes.length : end);
}

function unreadable(what: string): Decoded {
  return { kind: 'unreadable', what };
}
