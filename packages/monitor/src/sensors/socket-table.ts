/**
 * Tables of sockets as in /proc/net. A line of `tcp`, shortened, with addresses in hexadecimal, each group of 32 bits in the byte order
 * of the machine:
 *
 *     sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
 *      0: 0100007F:07E8 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 590 1 ...
 */
import { SocketAddress } from 'node:net';
import { endianness } from 'node:os';

export interface SocketEnd {
  readonly address: string;
  readonly port: number;
}

export interface Socket {
  readonly inode: number;
  readonly protocol: 'tcp' | 'udp';
  readonly local: SocketEnd;
  /** Absent: to nobody. */
  readonly remote?: SocketEnd;
  readonly isListening: boolean;
}

/** Sockets read of one table. The kernel's order is not that of time: which ones are left out cannot be told. */
export const MAX_SOCKETS = 50_000;

/** Lines that are none are left out. @param text - with its heading, which is a line that is none. */
export function parseSockets(text: string, protocol: 'tcp' | 'udp'): readonly Socket[] {
  const found: Socket[] = [];
  for (const line of text.split('\n')) {
    if (found.length >= MAX_SOCKETS) break;
    const socket = parseLine(line, protocol);
    if (socket !== undefined) found.push(socket);
  }
  return found;
}

/** Inodes in a table of `unix`. It does not say who is connected to whom. */
export function parseUnixInodes(text: string): ReadonlySet<number> {
  const found = new Set<number>();
  for (const line of text.split('\n')) {
    if (found.size >= MAX_SOCKETS) break;
    // A path after it may hold anything, newlines too: a line made up in one starts with no address of the kernel's form.
    const inode = /^[0-9a-f]{8,16}: [0-9A-F]{8} [0-9A-F]{8} [0-9A-F]{8} [0-9A-F]{4} [0-9A-F]{2} +(\d{1,15})(?: |$)/i.exec(line)?.[1];
    if (inode !== undefined) found.add(Number(inode));
  }
  return found;
}

const LINE =
  /^ *\d+: ([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4}) ([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4}) ([0-9A-F]{2}) \S+ \S+ \S+ +\d+ +\d+ (\d{1,15})(?: |$)/;
const LISTEN = '0A';

function parseLine(line: string, protocol: 'tcp' | 'udp'): Socket | undefined {
  const [, localAddress = '', localPort = '', remoteAddress = '', remotePort = '', state, inode] = LINE.exec(line) ?? [];
  if (inode === undefined) return undefined;
  const remote = end(remoteAddress, remotePort);
  return {
    inode: Number(inode),
    protocol,
    local: end(localAddress, localPort),
    ...(remote.port !== 0 && { remote }),
    isListening: protocol === 'tcp' && state === LISTEN,
  };
}

function end(address: string, port: string): SocketEnd {
  return { address: addressOf(address), port: Number.parseInt(port, 16) };
}

const IS_LITTLE = endianness() === 'LE';
const V4_IN_V6 = '00000000000000000000ffff';

function addressOf(hex: string): string {
  const bytes = (hex.match(/.{8}/g) ?? []).map((word) => (IS_LITTLE ? (word.match(/../g) ?? []).toReversed().join('') : word)).join('');
  const plain = bytes.toLowerCase();
  if (plain.length === 8) return dotted(plain);
  if (plain.startsWith(V4_IN_V6)) return dotted(plain.slice(V4_IN_V6.length));
  return new SocketAddress({ family: 'ipv6', address: (plain.match(/.{4}/g) ?? []).join(':') }).address;
}

function dotted(hex: string): string {
  return (hex.match(/../g) ?? []).map((byte) => Number.parseInt(byte, 16)).join('.');
}
