/**
 * Connections of watched processes: sockets they hold, joined with the kernel's tables by inode.
 *
 * It sees what is connected at a reading of the tables, once a second at most: shorter connections are missed. A socket that was
 * accepted, told by a listener on its local port, is no connection of ours. What unix sockets lead to the kernel says, where it can be asked.
 */
import type { ConnectAction, ProcessId } from '../activity.ts';
import type { ProcReader } from '../tree/proc-fs.ts';
import { MAX_NET_BYTES } from '../tree/proc-fs.ts';
import { MAX_SOCKETS, parseSockets, parseUnixInodes, type Socket } from './socket-table.ts';
import { unixPeers } from './unix-peers.ts';

export const SOCKET_INTERVAL_MS = 1_000;
/** Sockets remembered. Those beyond are not looked at and count as lost. */
export const MAX_KNOWN_SOCKETS = 65_536;
/** Tables of network namespaces other than ours read in one round; sockets of the others wait for the next. */
const MAX_OTHER_NAMESPACES = 4;

export interface Connected {
  readonly process: ProcessId;
  readonly action: ConnectAction;
}

interface Held {
  readonly holders: Map<number, ProcessId>;
  /** What was reported of it; it may be connected to another later. */
  reported?: string;
  /** Known not to be of the internet. */
  isUnix?: true;
}

export class Sockets {
  readonly #reader: ProcReader;
  readonly #held = new Map<number, Held>();
  readonly #byProcess = new Map<number, ReadonlySet<number>>();
  readonly #unixPeers: () => ReadonlyMap<number, string>;
  #readAt = Number.NEGATIVE_INFINITY;
  #lost = 0;

  constructor(reader: ProcReader, peers: () => ReadonlyMap<number, string> = unixPeers) {
    this.#reader = reader;
    this.#unixPeers = peers;
  }

  /** Tables that could not be read whole, sockets there was no room for. */
  get lost(): number {
    return this.#lost;
  }

  /** What a process holds now. @param inodes - of all its sockets. */
  holds(process: ProcessId, inodes: readonly number[]): void {
    const now = new Set(inodes);
    for (const inode of this.#byProcess.get(process.pid) ?? []) if (!now.has(inode)) this.#drop(inode, process.pid);
    for (const inode of now) this.#add(inode, process);
    if (now.size > 0) this.#byProcess.set(process.pid, now);
    else this.#byProcess.delete(process.pid);
  }

  forget(pid: number): void {
    for (const inode of this.#byProcess.get(pid) ?? []) this.#drop(inode, pid);
    this.#byProcess.delete(pid);
  }

  /** What is newly connected. Empty when the last reading was less than `SOCKET_INTERVAL_MS` ago. @param nowMs - of any steady clock. */
  connected(nowMs: number): readonly Connected[] {
    const open = [...this.#held].filter(([, { isUnix }]) => isUnix !== true);
    if (this.#held.size === 0 || nowMs - this.#readAt < SOCKET_INTERVAL_MS) return [];
    this.#readAt = nowMs;
    const found: Connected[] = [];
    if (open.length > 0) this.#joinInternet(open, found);
    this.#joinUnix(found);
    return found;
  }

  #joinUnix(found: Connected[]): void {
    // What it led to once it leads to for good.
    const open = [...this.#held].filter(([, { isUnix, reported }]) => isUnix === true && reported === undefined);
    if (open.length === 0) return;
    const peers = this.#unixPeers();
    for (const [inode, held] of open) {
      const address = peers.get(inode);
      const process = held.holders.values().next().value;
      if (address === undefined || process === undefined) continue;
      held.reported = address;
      found.push({ process, action: { kind: 'connect', protocol: 'unix', address } });
    }
  }

  #joinInternet(open: readonly (readonly [number, Held])[], found: Connected[]): void {
    const elsewhere = this.#join(open, this.#tables(), found);
    const others = new Set(elsewhere.flatMap(([, { holders }]) => [...holders.keys()].slice(0, 1)));
    for (const pid of [...others].slice(0, MAX_OTHER_NAMESPACES)) {
      this.#join(
        elsewhere.filter(([, { holders }]) => holders.has(pid)),
        this.#tables(pid),
        found,
      );
    }
  }

  #add(inode: number, process: ProcessId): void {
    const held = this.#held.get(inode);
    if (held !== undefined) held.holders.set(process.pid, process);
    else if (this.#held.size < MAX_KNOWN_SOCKETS) this.#held.set(inode, { holders: new Map([[process.pid, process]]) });
    else this.#lost++;
  }

  #drop(inode: number, pid: number): void {
    const held = this.#held.get(inode);
    held?.holders.delete(pid);
    if (held?.holders.size === 0) this.#held.delete(inode);
  }

  /** @returns those that are in none of the tables: not bound or connected yet, or of another network namespace. */
  #join(open: readonly (readonly [number, Held])[], tables: Tables, found: Connected[]): readonly (readonly [number, Held])[] {
    return open.filter(([inode, held]) => {
      if (tables.unix.has(inode)) held.isUnix = true;
      const socket = tables.sockets.get(inode);
      if (socket === undefined) return held.isUnix !== true;
      const connected = this.#report(held, socket, tables.listening);
      if (connected !== undefined) found.push(connected);
      return false;
    });
  }

  #report(held: Held, { remote, local, protocol }: Socket, listening: ReadonlySet<number>): Connected | undefined {
    if (remote === undefined || (protocol === 'tcp' && listening.has(local.port))) return undefined;
    const key = `${remote.address} ${remote.port}`;
    const process = held.holders.values().next().value;
    if (held.reported === key || process === undefined) return undefined;
    held.reported = key;
    return {
      process,
      action: { kind: 'connect', protocol, address: remote.address, port: remote.port },
    };
  }

  #tables(pid?: number): Tables {
    const sockets = new Map<number, Socket>();
    const listening = new Set<number>();
    for (const [name, protocol] of INTERNET_TABLES) {
      const text = this.#table(name, pid);
      const parsed = parseSockets(text, protocol);
      if (parsed.length >= MAX_SOCKETS) this.#lost++;
      for (const socket of parsed) {
        sockets.set(socket.inode, socket);
        if (socket.isListening) listening.add(socket.local.port);
      }
    }
    return { sockets, listening, unix: parseUnixInodes(this.#table('unix', pid)) };
  }

  #table(name: 'tcp' | 'tcp6' | 'udp' | 'udp6' | 'unix', pid: number | undefined): string {
    const text = this.#reader.net(name, pid);
    // A kernel without IPv6 has no tables of it; that is no loss.
    if ((text === undefined && !name.endsWith('6')) || (text?.length ?? 0) >= MAX_NET_BYTES) this.#lost++;
    return text ?? '';
  }
}

interface Tables {
  readonly sockets: ReadonlyMap<number, Socket>;
  readonly listening: ReadonlySet<number>;
  readonly unix: ReadonlySet<number>;
}

const INTERNET_TABLES = [
  ['tcp', 'tcp'],
  ['tcp6', 'tcp'],
  ['udp', 'udp'],
  ['udp6', 'udp'],
] as const;
