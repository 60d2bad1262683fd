/** Where a socket is connected or a message is sent to. */
import type { ConnectAction } from '../activity.ts';
import { type DecodeContext, type Decoded, PLAIN, unreadable } from './decoded.ts';
import { intOf, type Trapped } from './notification.ts';
import { AT_FDCWD } from './paths.ts';

const AF_UNSPEC = 0;
const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const AF_VSOCK = 40;
const INET_BYTES = 16;
/** Without the scope, as the kernel takes it too. */
const INET6_BYTES = 24;
const VSOCK_BYTES = 16;
const UNIX_PATH_AT = 2;
/** `struct sockaddr_storage`: with more, the call fails. */
const MAX_ADDRESS_BYTES = 128;
/** `struct msghdr` of 64 bits, and `struct mmsghdr` around it. */
const NAME_LENGTH_AT = 8;
const HEADER_BYTES = 56;
const HEADERS_BYTES = 64;
/** The kernel takes no more at once. */
const MAX_MESSAGES = 1_024;

export function connects({ args, tid }: Trapped, context: DecodeContext): Decoded {
  return act([addressAt(intOf(args[0]), args[1] ?? 0n, intOf(args[2]), tid, context)]);
}

export function sendsTo({ args, tid }: Trapped, context: DecodeContext): Decoded {
  return act([sentTo(intOf(args[0]), args[4] ?? 0n, intOf(args[5]), tid, context)]);
}

export function sendsMessage({ args, tid }: Trapped, context: DecodeContext): Decoded {
  const header = context.memory.bytes(tid, args[1] ?? 0n, HEADER_BYTES);
  if (header === undefined) return unreadable('the message');
  return act([sentTo(intOf(args[0]), header.readBigUInt64LE(0), header.readInt32LE(NAME_LENGTH_AT), tid, context)]);
}

export function sendsMessages({ args, tid }: Trapped, context: DecodeContext): Decoded {
  const count = Math.min(Number(BigInt.asUintN(32, args[2] ?? 0n)), MAX_MESSAGES);
  const headers = context.memory.bytes(tid, args[1] ?? 0n, count * HEADERS_BYTES);
  if (headers === undefined) return unreadable('the messages');
  const names = Array.from({ length: count }, (_, index) => ({
    name: headers.readBigUInt64LE(index * HEADERS_BYTES),
    length: headers.readInt32LE(index * HEADERS_BYTES + NAME_LENGTH_AT),
  }));
  return act(names.map(({ name, length }) => sentTo(intOf(args[0]), name, length, tid, context)));
}

/** `plain`: nobody is named, or nobody beyond this host's own kernel. */
type Named = ConnectAction | 'plain' | 'unreadable';

function act(named: readonly Named[]): Decoded {
  if (named.includes('unreadable')) return unreadable('the address');
  // Many messages to one place are one connection.
  const actions = new Map(named.flatMap((each) => (typeof each === 'string' ? [] : [[`${each.address} ${each.port}`, each] as const])));
  return actions.size === 0 ? PLAIN : { kind: 'act', actions: [...actions.values()] };
}

/** For what is sent, no family stands for IPv4: the kernel takes it so, and the address with it. */
function sentTo(fd: number, address: bigint, length: number, tid: number, context: DecodeContext): Named {
  return addressAt(fd, address, length, tid, context, AF_INET);
}

/** @param unnamed - what family 0 stands for */
function addressAt(fd: number, address: bigint, length: number, tid: number, context: DecodeContext, unnamed: number = AF_UNSPEC): Named {
  const bytes = addressBytes(tid, address, length, context);
  if (bytes === undefined || bytes === 'unreadable') return bytes ?? 'plain';
  const protocol = (): 'tcp' | 'udp' => context.sockets.protocol(context.target.pid, fd);
  switch (bytes.readUInt16LE(0) || unnamed) {
    case AF_INET:
      if (length < INET_BYTES) return 'plain';
      return { kind: 'connect', protocol: protocol(), address: bytes.subarray(4, 8).join('.'), port: bytes.readUInt16BE(2) };
    case AF_INET6:
      if (length < INET6_BYTES) return 'plain';
      return { kind: 'connect', protocol: protocol(), address: ipv6(bytes.subarray(8, 24)), port: bytes.readUInt16BE(2) };
    case AF_UNIX:
      return unix(bytes.subarray(UNIX_PATH_AT), tid, context);
    case AF_VSOCK:
      // A machine around or beside this one: no address that rules know, so it is in no list of what is allowed.
      if (length < VSOCK_BYTES) return 'plain';
      return { kind: 'connect', protocol: protocol(), address: `vsock ${bytes.readUInt32LE(8)}`, port: bytes.readUInt32LE(4) };
    // `AF_UNSPEC` takes a connection back; netlink, packets and the like end in this host's own kernel, or need rights of their own.
    default:
      return 'plain';
  }
}

/** Undefined: the kernel refuses it. */
function addressBytes(tid: number, address: bigint, length: number, { memory }: DecodeContext): Buffer | 'unreadable' | undefined {
  // Shorter than a family, or longer than any address.
  if (address === 0n || length < UNIX_PATH_AT || length > MAX_ADDRESS_BYTES) return undefined;
  const read = memory.bytes(tid, address, length);
  return read === undefined ? 'unreadable' : Buffer.from(read);
}

/** The path in an address of a unix socket. Undefined: there is none, or the address is of another family. */
export function socketName(tid: number, address: bigint, length: number, context: DecodeContext): Buffer | 'unreadable' | undefined {
  const bytes = addressBytes(tid, address, length, context);
  if (bytes === undefined || bytes === 'unreadable') return bytes;
  return bytes.readUInt16LE(0) === AF_UNIX ? pathIn(bytes.subarray(UNIX_PATH_AT)) : undefined;
}

/** Undefined: none, or an abstract one. */
function pathIn(name: Buffer): Buffer | undefined {
  if (name.length === 0 || name[0] === 0) return undefined;
  const end = name.indexOf(0);
  return Buffer.from(end < 0 ? name : name.subarray(0, end));
}

/** One that stands for IPv4 is written as that: rules and people know it so. */
function ipv6(bytes: Buffer): string {
  const isMapped = bytes.subarray(0, 10).every((byte) => byte === 0) && bytes.readUInt16BE(10) === 0xffff;
  if (isMapped) return bytes.subarray(12).join('.');
  return Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16)).join(':');
}

/** An abstract name begins with a zero byte, shown as `@`. */
function unix(name: Buffer, tid: number, { paths }: DecodeContext): Named {
  if (name.length === 0) return 'plain';
  if (name[0] === 0) return { kind: 'connect', protocol: 'unix', address: `@${name.toString('utf8', 1).replaceAll('\0', '@')}` };
  const { path, resolved } = paths.place(tid, AT_FDCWD, pathIn(name) ?? name, true);
  return { kind: 'connect', protocol: 'unix', address: resolved ?? path };
}
