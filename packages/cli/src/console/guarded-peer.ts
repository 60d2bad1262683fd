/**
 * Whether a request to the console comes from inside a guarded process tree: an agent that got hold of a link or a cookie
 * must not answer with it. Known where the kernel tells whose a socket is (Linux), of processes of this user. The same limits
 * as `guarded-tree.ts`: a process that detached itself is not recognised.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { type Peer, peerSocket, tellsPeers } from '@countersign/connect';
import { ancestors, guardMark } from '../guarded-tree.ts';

/**
 * Why this peer may not answer; undefined when nothing speaks against it.
 *
 * @param port - ours. @param writers - pids of the processes that write to the ledger now.
 */
export function guardedPeer(peer: Peer, port: number, writers: () => readonly number[]): string | undefined {
  const socket = peerSocket(peer, port);
  // The console is reached from this host only. Whoever hangs up before it is asked who that was may be anybody.
  if (socket === undefined)
    return tellsPeers() ? `${REFUSED}: the connection is closed already, and nobody can tell whose it was` : undefined;
  // The console writes answers itself, and what it started is no agent.
  const guards = writers().filter((pid) => pid !== process.pid);
  for (const pid of holdersOf(socket.inode)) {
    const guard = [pid, ...ancestors(pid)].find((each) => guards.includes(each));
    if (guard !== undefined) return `${REFUSED}: process ${pid} was started by process ${guard}, a guard of this ledger`;
    const mark = markOf(pid);
    if (mark !== undefined) return `${REFUSED}: ${mark} is set in process ${pid}`;
  }
  return undefined;
}

const REFUSED = 'approvals are answered from outside of a guarded process tree';

/** Processes that have the socket open, of those we may look at: a child may have inherited it. */
function holdersOf(inode: string): readonly number[] {
  const name = `socket:[${inode}]`;
  return listOf('/proc')
    .map(Number)
    .filter((pid) => Number.isSafeInteger(pid) && listOf(`/proc/${pid}/fd`).some((file) => linkOf(`/proc/${pid}/fd/${file}`) === name));
}

function listOf(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    // Of another user, or gone meanwhile.
    return [];
  }
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

/** The environment a process was started with. */
function markOf(pid: number): string | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/environ`, 'latin1');
  } catch {
    return undefined;
  }
  const pairs = text.split('\0').map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)] as const);
  return guardMark(new Map(pairs));
}
