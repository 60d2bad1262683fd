/**
 * Whether the path of a ledger still leads to the files that were opened. What is written to others is lost, and so is what
 * others wrote, when they are taken for ours.
 */
import { type BigIntStats, lstatSync } from 'node:fs';
import { dirname } from 'node:path';
import { CountersignError } from '../errors.ts';
import { openDescriptors } from './descriptors.ts';

/** Times of files are coarse on some systems, two seconds at worst: a younger time of a folder may be that of two changes. */
const SETTLED_MS = 3000;

/** BigInts: inode numbers of some file systems exceed 2^53. */
export type Identity = Pick<BigIntStats, 'dev' | 'ino'>;
type Looked = Pick<BigIntStats, 'dev' | 'ino' | 'ctimeNs' | 'ctimeMs' | 'size'>;

export interface IdentitySources {
  readonly nowMs: () => number;
  readonly look: (path: string) => Looked | undefined;
  /** Whether this process has that file open; true where nobody can tell. */
  readonly isOpen: (file: Identity) => boolean;
}

const SYSTEM: IdentitySources = { nowMs: Date.now, look: identity, isOpen };

/**
 * The file is looked at each time; the WAL only where its folder changed, as it cannot come, go or be renamed without that.
 * Looking at the WAL after each commit is dear: docs/decisions/2026-11-27-the-folder-tells-of-the-wal.md
 */
export class LedgerFiles {
  private readonly file: string;
  private readonly wal: string;
  private readonly shm: string;
  private readonly folder: string;
  private readonly opened: Identity;
  private readonly sources: IdentitySources;
  private walOpened: Identity | undefined;
  private shmOpened: Identity | undefined;
  private intact: Looked | undefined;
  /** SQLite had others than those that lie here when they were first looked at. */
  private isForeign = false;

  /** @param opened - the file as it was when it was opened. */
  constructor(file: string, opened: Identity, sources: IdentitySources = SYSTEM) {
    this.file = file;
    this.wal = `${file}-wal`;
    this.shm = `${file}-shm`;
    // Of a link to the folder this is the folder.
    this.folder = `${dirname(file)}/.`;
    this.opened = opened;
    this.sources = sources;
  }

  /**
   * To be called for the first time when SQLite has just opened all of them.
   * @throws {CountersignError} `LEDGER_REPLACED` when the path leads elsewhere.
   */
  check(): void {
    const { sources, intact } = this;
    if (!isSame(sources.look(this.file), this.opened)) throw replaced(this.file);
    // INVARIANT: before the WAL, so that what happens to that from here on shows in it the next time.
    const now = sources.look(this.folder);
    if (isSame(now, intact) && now?.ctimeNs === intact?.ctimeNs) return;
    const [walNow, shmNow] = [sources.look(this.wal), sources.look(this.shm)];
    if (this.walOpened === undefined || this.shmOpened === undefined) this.take(walNow, shmNow);
    // While a connection is open SQLite never removes the WAL: a missing or other one means somebody did.
    if (!isSame(walNow, this.walOpened)) throw replaced(this.wal);
    // Writers lock each other out in it: with two of them, each writes over what the other was told is durable.
    if (!isSame(shmNow, this.shmOpened)) throw replaced(this.shm);
    this.intact = now !== undefined && sources.nowMs() - Number(now.ctimeMs) > SETTLED_MS ? now : undefined;
  }

  /**
   * What lies here is ours if this process has it open. All connections of a process to one ledger share the -shm of the first
   * of them: a connection opened just now may have one that was taken away long ago.
   */
  private take(wal: Identity | undefined, shm: Identity | undefined): void {
    const parts: readonly [string, Identity | undefined][] = [
      [this.wal, wal],
      [this.shm, shm],
    ];
    for (const [path, found] of parts) {
      if (found === undefined) throw replaced(path);
      this.isForeign = !this.sources.isOpen(found);
      if (this.isForeign) throw replaced(path);
    }
    this.walOpened = wal;
    this.shmOpened = shm;
  }

  /**
   * Whether nothing of others is lost when SQLite tidies up after the last connection: it moves into the ledger what its own
   * -shm knows of, and removes the WAL that lies there. Of the ledger itself it finds out by itself.
   */
  mayTidyUp(): boolean {
    const { walOpened, shmOpened, sources } = this;
    if (walOpened === undefined) return !this.isForeign;
    const [wal, shm] = [sources.look(this.wal), sources.look(this.shm)];
    // Nobody wrote to it, and what our own WAL held is saved.
    if (wal === undefined || wal.size === 0n) return shm === undefined || isSame(shm, shmOpened);
    return isSame(wal, walOpened) && isSame(shm, shmOpened);
  }
}

/**
 * Undefined also when the path cannot be followed any more: for what was opened that is as good as gone. So is a link: SQLite
 * looks for a WAL beside the file it leads to, and the folder does not tell what happens there.
 */
export function identity(path: string): BigIntStats | undefined {
  try {
    const found = lstatSync(path, { bigint: true, throwIfNoEntry: false });
    return found?.isSymbolicLink() === true ? undefined : found;
  } catch {
    return undefined;
  }
}

function isOpen(file: Identity): boolean {
  return openDescriptors()?.some((each) => isSame(each, file)) ?? true;
}

export function isSame(one: Identity | undefined, other: Identity | undefined): boolean {
  return one !== undefined && other !== undefined && one.ino === other.ino && one.dev === other.dev;
}

export function replaced(file: string): CountersignError {
  return new CountersignError(
    'LEDGER_REPLACED',
    `${file} was removed, replaced or made a link while open: nothing more is written to it, and calls are refused until the ledger opens again with all its checks`,
  );
}
