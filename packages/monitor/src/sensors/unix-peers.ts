/**
 * What unix sockets are connected to, which /proc does not say: one question to the kernel's `sock_diag`, by netlink. A socket that was
 * connected has a peer, and the peer the name that whoever listens bound it to; nobody who connects has a say in that.
 */
import { type Native, native } from '../native/native.ts';

const AF_NETLINK = 16;
const SOCK_RAW_NONBLOCK_CLOEXEC = 0o2004003;
const NETLINK_SOCK_DIAG = 4;
const SOCK_DIAG_BY_FAMILY = 20;
const REQUEST_AND_DUMP = 0x301;
const AF_UNIX = 1;
const SHOW_NAME_AND_PEER = 0x5;
const NLMSG_DONE = 3;
const HEADER_BYTES = 16;
const REQUEST_BYTES = HEADER_BYTES + 24;
/** After its header: family, type, state, a byte, inode and two words of a cookie. */
const MESSAGE_BYTES = 16;
const INODE_AT = 4;
const ATTRIBUTE_BYTES = 4;
const NAME = 0;
const PEER = 2;
const PIECE_BYTES = 65_536;
const MAX_PIECES = 1_024;

export interface UnixSocket {
  readonly inode: number;
  readonly peer?: number;
  /** As it was bound. Begins with a zero byte where it is in no folder. */
  readonly name?: string;
}

/** By inode: the name of what it is connected to. Empty where the kernel does not say. */
export function unixPeers(calls: Native | undefined = native()): ReadonlyMap<number, string> {
  const fd = calls?.socket(AF_NETLINK, SOCK_RAW_NONBLOCK_CLOEXEC, NETLINK_SOCK_DIAG) ?? -1;
  if (calls === undefined || fd < 0) return new Map();
  try {
    if (calls.send(fd, question()) < 0) return new Map();
    const found: UnixSocket[] = [];
    const piece = Buffer.alloc(PIECE_BYTES);
    for (let n = 0; n < MAX_PIECES; n++) {
      const got = calls.recv(fd, piece);
      if (got <= 0) break;
      const { sockets, isLast } = parseUnixSockets(piece.subarray(0, got));
      found.push(...sockets);
      if (isLast) break;
    }
    return peersOf(found);
  } finally {
    calls.close(fd);
  }
}

export function peersOf(sockets: readonly UnixSocket[]): ReadonlyMap<number, string> {
  const names = new Map(sockets.flatMap(({ inode, name }) => (name === undefined ? [] : [[inode, name] as const])));
  return new Map(
    sockets.flatMap(({ inode, peer }) => {
      const name = peer === undefined ? undefined : names.get(peer);
      return name === undefined ? [] : [[inode, name] as const];
    }),
  );
}

/** Messages as the kernel gives them, in the byte order of the machine: little, on all that we run on. */
export function parseUnixSockets(bytes: Buffer): { readonly sockets: readonly UnixSocket[]; readonly isLast: boolean } {
  const sockets: UnixSocket[] = [];
  for (let at = 0; at + HEADER_BYTES <= bytes.length; ) {
    const length = bytes.readUInt32LE(at);
    if (length < HEADER_BYTES || at + length > bytes.length) break;
    const type = bytes.readUInt16LE(at + 4);
    // Done, or an error.
    if (type <= NLMSG_DONE) return { sockets, isLast: true };
    const body = at + HEADER_BYTES;
    if (type === SOCK_DIAG_BY_FAMILY && length >= HEADER_BYTES + MESSAGE_BYTES && bytes[body] === AF_UNIX)
      sockets.push({ inode: bytes.readUInt32LE(body + INODE_AT), ...attributes(bytes.subarray(body + MESSAGE_BYTES, at + length)) });
    at += aligned(length);
  }
  return { sockets, isLast: false };
}

function attributes(bytes: Buffer): Omit<UnixSocket, 'inode'> {
  let peer: number | undefined;
  let name: string | undefined;
  for (let at = 0; at + ATTRIBUTE_BYTES <= bytes.length; ) {
    const length = bytes.readUInt16LE(at);
    if (length < ATTRIBUTE_BYTES || at + length > bytes.length) break;
    const value = bytes.subarray(at + ATTRIBUTE_BYTES, at + length);
    const type = bytes.readUInt16LE(at + 2);
    if (type === PEER && value.length >= 4) peer = value.readUInt32LE(0);
    if (type === NAME && value.length > 0) name = value[0] === 0 ? value.toString() : value.toString().replace(/\0.*$/s, '');
    at += aligned(length);
  }
  return { ...(peer !== undefined && { peer }), ...(name !== undefined && { name }) };
}

function aligned(length: number): number {
  return (length + 3) & ~3;
}

function question(): Buffer {
  const bytes = Buffer.alloc(REQUEST_BYTES);
  bytes.writeUInt32LE(REQUEST_BYTES, 0);
  bytes.writeUInt16LE(SOCK_DIAG_BY_FAMILY, 4);
  bytes.writeUInt16LE(REQUEST_AND_DUMP, 6);
  bytes.writeUInt8(AF_UNIX, HEADER_BYTES);
  // In every state.
  bytes.writeUInt32LE(0xff_ff_ff_ff, HEADER_BYTES + 4);
  bytes.writeUInt32LE(SHOW_NAME_AND_PEER, HEADER_BYTES + 12);
  return bytes;
}
