/**
 * Who writes to a ledger right now. Each open of the store holds one lease row: pid, start time of that process, host.
 *
 * A call that outlives its writer is kept by a row of its own, whose heartbeat lies ahead: it counts as alive until a minute
 * after that, to every version that reads this table.
 *
 * A client whose hooks are a process each has a row too, though it writes nothing itself: its hooks are gone while its tools
 * run, and whoever answers for people has to know it by then.
 *
 * A writer is dead when its process is gone or its pid now belongs to another start time. Processes that cannot be seen
 * from here (another host or pid namespace) count as dead once their heartbeat is a minute old.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import type { Database } from 'better-sqlite3';

export const HEARTBEAT_MS = 15_000;
const SILENT_MS = 60_000;
/** So long a row of a client stays where its process cannot be seen, after the last hook of it. */
const CLIENT_MS = 12 * 60 * 60_000;
/** Host of rows that no process stands behind. The identity of a real one holds spaces. */
const CUSTODY = 'custody';

interface LeaseRow {
  readonly writer: string;
  readonly pid: number;
  readonly start_time: string;
  readonly host: string;
  readonly heartbeat_at: number;
}

export class Leases {
  private readonly database: Database;
  private readonly writer: string;

  constructor(database: Database, writer: string) {
    this.database = database;
    this.writer = writer;
  }

  /** Takes or renews the lease; a writer that slept too long and was taken for dead gets it back. */
  take(): void {
    this.database
      .prepare('INSERT OR REPLACE INTO leases (writer, pid, start_time, host, heartbeat_at) VALUES (?, ?, ?, ?, ?)')
      .run(this.writer, process.pid, processStart(process.pid) ?? '', hostIdentity(), Date.now());
  }

  release(): void {
    this.database.prepare('DELETE FROM leases WHERE writer = ?').run(this.writer);
  }

  /** Keeps calls under this name alive for so long, whatever becomes of this process. */
  keep(name: string, forMs: number): void {
    this.database
      .prepare('INSERT OR REPLACE INTO leases (writer, pid, start_time, host, heartbeat_at) VALUES (?, 0, ?, ?, ?)')
      .run(name, '', CUSTODY, Date.now() + forMs - SILENT_MS);
  }

  /** A process of this host whose calls are decided here counts as a guard for as long as it lives. One that is gone is nothing to keep. */
  guards(pid: number): void {
    const start = processStart(pid);
    // Without a start time, where there is no /proc, a process is known by its pid alone.
    if (start === undefined && (processStart(process.pid) !== undefined || !processExists(pid))) return;
    this.database
      .prepare('INSERT OR REPLACE INTO leases (writer, pid, start_time, host, heartbeat_at) VALUES (?, ?, ?, ?, ?)')
      .run(`client ${pid} ${start ?? ''} ${hostIdentity()}`, pid, start ?? '', hostIdentity(), Date.now() + CLIENT_MS - SILENT_MS);
  }

  /** Ends that. No lease of a process is touched. */
  letGo(name: string): void {
    this.database.prepare('DELETE FROM leases WHERE writer = ? AND host = ?').run(name, CUSTODY);
  }

  isAlive(writer: string): boolean {
    if (writer === this.writer) return true;
    const row = this.database.prepare('SELECT * FROM leases WHERE writer = ?').get(writer) as LeaseRow | undefined;
    return row !== undefined && isAlive(row);
  }

  /** Leases whose process is gone; their rows are removed. */
  reapDead(): void {
    for (const row of this.database.prepare('SELECT * FROM leases').all() as LeaseRow[]) {
      if (row.writer !== this.writer && !isAlive(row)) this.database.prepare('DELETE FROM leases WHERE writer = ?').run(row.writer);
    }
  }
}

/** Pids on this host and pid namespace that hold a lease, or are a client, and live: the guards of this ledger. */
export function liveWriterPids(database: Database): readonly number[] {
  const rows = database.prepare('SELECT * FROM leases').all() as LeaseRow[];
  return rows.filter((row) => row.host === hostIdentity() && isAlive(row)).map((row) => row.pid);
}

function isAlive(row: LeaseRow): boolean {
  if (row.host !== hostIdentity()) return Date.now() - row.heartbeat_at < SILENT_MS;
  const start = processStart(row.pid);
  if (start !== undefined) return start === row.start_time;
  return row.start_time === '' && processExists(row.pid) && Date.now() - row.heartbeat_at < SILENT_MS;
}

function processExists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Start time of a process in clock ticks since boot (field 22 of /proc/PID/stat); undefined where there is no /proc or process. */
export function processStart(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The command name may hold spaces and parentheses: fields count from the last one.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // A zombie has stopped writing even though its pid still answers.
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

let cachedHost: string | undefined;

/** Names the space in which pids mean something: this boot of this host and this pid namespace. */
function hostIdentity(): string {
  cachedHost ??= [
    hostname(),
    readOr('', () => readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()),
    readOr('', () => readlinkSync('/proc/self/ns/pid')),
  ].join(' ');
  return cachedHost;
}

function readOr(fallback: string, read: () => string): string {
  try {
    return read();
  } catch {
    return fallback;
  }
}
