/**
 * What processes hold open, compared with the last look.
 *
 * A read or write is reported when a descriptor is new. The same number for the same path is new when it was closed at a look in
 * between, when it leads to another file, or when it stands at an earlier position than before. What cannot be told: a file that was
 * closed and opened again under the same number and read just as far, between two looks.
 */
import type { FileAction, ProcessId } from '../activity.ts';
import { type DescriptorState, isPath, socketInode } from '../tree/descriptor.ts';
import type { ProcReader } from '../tree/proc-fs.ts';
import type { NameOf } from './other-names.ts';

/** Descriptors remembered of all processes together. Those beyond are reported at every look: whoever hides behind the bound is loud. */
export const MAX_KNOWN_DESCRIPTORS = 262_144;

export interface Look {
  readonly opened: readonly FileAction[];
  /** Inodes of all sockets it holds. */
  readonly sockets: readonly number[];
  /** Descriptors that closed while they were looked at or are not remembered; 1 for a process that ended or lets nobody look. */
  readonly lost: number;
}

interface Table {
  readonly start: number;
  readonly files: Map<number, Known>;
  isDenied: boolean;
}

interface Known {
  readonly target: string;
  readonly state?: DescriptorState;
}

export type DescriptorReader = Pick<ProcReader, 'descriptors' | 'descriptorState'>;

export class OpenFiles {
  readonly #reader: DescriptorReader;
  readonly #nameOf: NameOf;
  readonly #tables = new Map<number, Table>();
  #known = 0;

  /** @param nameOf - where a file also leads. Default: nowhere else. */
  constructor(reader: DescriptorReader, nameOf: NameOf = () => undefined) {
    this.#reader = reader;
    this.#nameOf = nameOf;
  }

  /** @param parent - what it was forked from: descriptors it inherited were reported there. */
  look(process: ProcessId, parent?: ProcessId): Look {
    const table = this.#tableOf(process);
    const inherited = table.files.size === 0 && parent !== undefined ? this.#tables.get(parent.pid)?.files : undefined;
    const descriptors = this.#reader.descriptors(process.pid);
    if (typeof descriptors === 'string') return this.#unread(table, descriptors === 'denied');
    table.isDenied = false;
    const opened: FileAction[] = [];
    const sockets: number[] = [];
    const open = new Set<number>();
    let lost = 0;
    for (const { fd, target } of descriptors) {
      open.add(fd);
      const socket = socketInode(target);
      if (socket !== undefined) sockets.push(socket);
      const before = table.files.get(fd);
      if (!isFile(target)) {
        lost += this.#remember(table, fd, before, { target });
        continue;
      }
      const state = this.#reader.descriptorState(process.pid, fd);
      if (state === undefined) {
        lost++;
        continue;
      }
      lost += this.#remember(table, fd, before, { target, state });
      const known = before ?? inherited?.get(fd);
      if (known === undefined || isOpenedAgain(known, { target, state })) opened.push(...actionsOf(target, state, this.#nameOf));
    }
    for (const fd of table.files.keys()) if (!open.has(fd) && table.files.delete(fd)) this.#known--;
    return { opened, sockets, lost };
  }

  forget(pid: number): void {
    const table = this.#tables.get(pid);
    if (table === undefined) return;
    this.#known -= table.files.size;
    this.#tables.delete(pid);
  }

  #tableOf({ pid, start }: ProcessId): Table {
    const before = this.#tables.get(pid);
    if (before?.start === start) return before;
    this.forget(pid);
    const table: Table = { start, files: new Map(), isDenied: false };
    this.#tables.set(pid, table);
    return table;
  }

  /** Counted once for as long as it lasts. */
  #unread(table: Table, isDenied: boolean): Look {
    const lost = isDenied && table.isDenied ? 0 : 1;
    table.isDenied = isDenied;
    return { opened: [], sockets: [], lost };
  }

  /** @returns 1 when there is no room. */
  #remember(table: Table, fd: number, before: Known | undefined, now: Known): number {
    if (before === undefined && this.#known >= MAX_KNOWN_DESCRIPTORS) return 1;
    if (before === undefined) this.#known++;
    table.files.set(fd, now);
    return 0;
  }
}

function isOpenedAgain(before: Known, now: Required<Known>): boolean {
  // Unlinked since: the kernel adds this to the name, and it is the file it was.
  const isSameName = before.target === now.target || `${before.target}${DELETED}` === now.target;
  if (!isSameName || before.state === undefined) return true;
  return before.state.inode !== now.state.inode || now.state.position < before.state.position;
}

/** Opened for both is both. Through a descriptor that only names a file nothing is read or written. */
function actionsOf(target: string, state: DescriptorState, nameOf: NameOf): readonly FileAction[] {
  const { read, write, nameOnly } = state;
  if (nameOnly) return [];
  const path = target.endsWith(DELETED) ? target.slice(0, -DELETED.length) : target;
  const kinds = [...(read ? (['read'] as const) : []), ...(write ? (['write'] as const) : [])];
  // The kernel gives the path it led to, not the one it was asked for; of a file under two names, the one it was opened by.
  const resolved = nameOf(state) ?? path;
  return kinds.map((kind) => ({ kind, path, resolved }));
}

const DELETED = ' (deleted)';

/** Files by name. Terminals and devices that hold nothing are none, nor is memory that looks like a file. */
function isFile(target: string): boolean {
  return isPath(target) && !EMPTY_DEVICES.has(target) && !target.startsWith('/dev/pts/') && !target.startsWith('/memfd:');
}

const EMPTY_DEVICES: ReadonlySet<string> = new Set(
  ['null', 'zero', 'full', 'random', 'urandom', 'tty', 'ptmx'].map((name) => `/dev/${name}`),
);
