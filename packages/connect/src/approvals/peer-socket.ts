/**
 * Who is at the other end of a connection on this host, where the kernel says so (Linux).
 *
 * Cookies know no ports: a browser sends the one of this page to every server on 127.0.0.1 it visits, also to one of another
 * user. A session that answers only to the user who logged in is worth nothing to them.
 */
import { readFileSync } from 'node:fs';
import type { Peer } from '../http/serve.ts';

const TABLES: readonly string[] = ['/proc/net/tcp', '/proc/net/tcp6'];
/** Of a connection whose process has closed it. The kernel then calls it root's, whoever it was. */
const NO_INODE = '0';

export interface PeerSocket {
  /** Number of the user whose socket it is, as text. */
  readonly user: string;
  /** Processes hold it open as `socket:[inode]`. */
  readonly inode: string;
}

/** Undefined where nobody says, or the peer has hung up or is on another host. @param port - ours. */
export function peerSocket(peer: Peer, port: number, read: (path: string) => string = readTable): PeerSocket | undefined {
  const place = hexPlace(peer.address, peer.port);
  if (place === undefined) return undefined;
  for (const path of TABLES) {
    const socket = socketIn(tableText(path, read), place, port);
    if (socket !== undefined) return socket;
  }
  return undefined;
}

function tableText(path: string, read: (path: string) => string): string {
  try {
    return read(path);
  } catch {
    return '';
  }
}

function readTable(path: string): string {
  return readFileSync(path, 'latin1');
}

/** `0100007F:1F90`, as the kernel of a little-endian machine writes 127.0.0.1:8080. */
function hexPlace(address: string, port: number): string | undefined {
  const parts = /^(?:::ffff:)?(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(address)?.slice(1).map(Number);
  return parts === undefined ? undefined : `${hex(parts.toReversed(), 2)}:${hex([port], 4)}`;
}

function hex(numbers: readonly number[], digits: number): string {
  return numbers.map((number) => number.toString(16).toUpperCase().padStart(digits, '0')).join('');
}

/** Whether the kernel tells of connections at all: then one that it does not know is closed. */
export function tellsPeers(read: (path: string) => string = readTable): boolean {
  return TABLES.some((path) => tableText(path, read) !== '');
}

/** The line of the peer's own socket: its local end is what we see as remote. */
function socketIn(table: string, place: string, port: number): PeerSocket | undefined {
  const ours = `:${hex([port], 4)}`;
  for (const line of table.split('\n')) {
    const [, local = '', remote = '', , , , , user = '', , inode = ''] = line.trim().split(/\s+/);
    if (inode === NO_INODE) continue;
    if ((local === place || local.endsWith(`FFFF0000${place}`)) && remote.endsWith(ours)) return { user, inode };
  }
  return undefined;
}
