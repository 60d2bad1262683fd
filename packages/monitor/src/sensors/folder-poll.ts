/**
 * What is deleted and renamed below a workspace, by comparing listings of its folders once a second, where inotify is not to be had.
 *
 * It does not know who did it. A file that comes and goes between two looks is not seen. Renaming is told by the inode and the time the
 * file was made; where the file system keeps no such time a renaming shows as a deletion.
 */
import { type BigIntStats, lstatSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { CountersignError } from '@countersign/core';
import type { ActionKind, FileAction, RenameAction } from '../activity.ts';
import { PACKAGE_FOLDERS } from '../rules/folders.ts';
import type { CoverageLevel, Sensor, SensorHost, SensorStats } from '../sensor.ts';
import { inSlices, type PollTiming, REAL_TIMING } from './timing.ts';

export interface FolderPollOptions {
  /** Absolute. `.git` and package folders in it are left out. */
  readonly workspace: string;
  readonly timing?: PollTiming;
}

export const FOLDER_INTERVAL_MS = 1_000;
/** Folders and files remembered. Those beyond are not watched and count as lost. */
export const MAX_FOLDERS = 4_096;
export const MAX_FILES = 50_000;
/** Clocks of file systems are this coarse: a folder that was listed so soon after its last change is listed again. */
const COARSE_NS = 50_000_000n;

export function folderPoll(options: FolderPollOptions): Sensor {
  return new FolderPoll(options);
}

interface Folder {
  /** Of its inode: the time of modification can be put back by whoever deleted something. */
  readonly changedNs: bigint;
  readonly files: ReadonlyMap<string, File>;
}

interface File {
  readonly inode: bigint;
  readonly madeNs: bigint;
  /** There at the first look. */
  readonly existed: boolean;
}

interface Found {
  readonly path: string;
  readonly file: File;
}

class FolderPoll implements Sensor {
  readonly name = 'folder-poll';
  readonly level: CoverageLevel = 'L0';
  readonly gives: readonly ActionKind[] = ['delete', 'rename'];
  readonly #workspace: string;
  readonly #timing: PollTiming;
  readonly #folders = new Map<string, Folder>();
  #files = 0;
  #host: SensorHost | undefined;
  #stopTimer: (() => void) | undefined;
  #looking: Promise<void> | undefined;
  #isStopped = false;
  #isFirst = true;
  #seen = 0;
  #lost = 0;

  constructor({ workspace, timing = REAL_TIMING }: FolderPollOptions) {
    this.#workspace = resolve(workspace);
    this.#timing = timing;
  }

  /** Resolves when everything was listed once. @throws {CountersignError} `MONITOR_UNAVAILABLE` when the workspace cannot be listed */
  async start(host: SensorHost): Promise<void> {
    this.#host = host;
    this.#folders.set(this.#workspace, NEVER_LISTED);
    await this.#look();
    this.#isFirst = false;
    if (!this.#folders.has(this.#workspace)) throw new CountersignError('MONITOR_UNAVAILABLE', 'the workspace cannot be listed');
    this.#wait();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#stopTimer?.();
    await this.#looking;
    this.#host = undefined;
  }

  stats(): SensorStats {
    return { seen: this.#seen, lost: this.#lost };
  }

  #wait(): void {
    if (this.#isStopped) return;
    this.#stopTimer = this.#timing.after(FOLDER_INTERVAL_MS, () => {
      this.#looking = this.#look();
      void this.#looking.then(() => this.#wait());
    });
  }

  async #look(): Promise<void> {
    const gone: Found[] = [];
    const come: Found[] = [];
    await inSlices(this.#compare(gone, come), this.#timing);
    // By inode: the same file under another name. A file that was made since has another time.
    const byInode = new Map(come.flatMap(({ file, path }) => (file.madeNs === 0n ? [] : [[`${file.inode} ${file.madeNs}`, path]])));
    for (const { path, file } of gone) {
      const to = byInode.get(`${file.inode} ${file.madeNs}`);
      this.#emit(to === undefined ? { kind: 'delete', path, existed: file.existed } : { kind: 'rename', path, to, existed: file.existed });
    }
  }

  *#compare(gone: Found[], come: Found[]): Generator<void, void> {
    // Grows while it is walked through, by folders that are new.
    for (const [path, before] of this.#folders) {
      const now = this.#list(path, before);
      yield;
      if (now === before) continue;
      for (const [name, file] of before.files) {
        if (now?.files.has(name) !== true) gone.push({ path: join(path, name), file });
      }
      for (const [name, file] of now?.files ?? []) if (!before.files.has(name)) come.push({ path: join(path, name), file });
      this.#files += (now?.files.size ?? 0) - before.files.size;
      if (now === undefined) this.#folders.delete(path);
      else this.#folders.set(path, now);
    }
  }

  /** @returns what it was given when nothing changed, undefined when the folder is gone. */
  #list(path: string, before: Folder): Folder | undefined {
    try {
      const stat = lstatSync(path, { bigint: true });
      if (!stat.isDirectory()) return undefined;
      const isSettled = BigInt(Math.round(this.#timing.now())) * 1_000_000n - stat.ctimeNs > COARSE_NS;
      if (stat.ctimeNs === before.changedNs) return before;
      const files = new Map<string, File>();
      for (const entry of readdirSync(path, { withFileTypes: true })) {
        if (entry.isDirectory()) this.#addFolder(entry.name, join(path, entry.name));
        else this.#addFile(files, entry.name, join(path, entry.name), before);
      }
      return { changedNs: isSettled ? stat.ctimeNs : NOT_SETTLED, files };
    } catch {
      return undefined;
    }
  }

  #addFolder(name: string, path: string): void {
    if (SKIPPED.has(name) || this.#folders.has(path)) return;
    if (this.#folders.size < MAX_FOLDERS) this.#folders.set(path, NEVER_LISTED);
    else this.#lost++;
  }

  #addFile(files: Map<string, File>, name: string, path: string, before: Folder): void {
    const known = before.files.get(name);
    if (known !== undefined) {
      files.set(name, known);
      return;
    }
    if (this.#files + files.size >= MAX_FILES) {
      this.#lost++;
      return;
    }
    const stat = statOrNone(path);
    if (stat !== undefined) files.set(name, { inode: stat.ino, madeNs: stat.birthtimeNs, existed: this.#isFirst });
  }

  #emit(action: FileAction | RenameAction): void {
    if (this.#host === undefined || this.#isStopped) return;
    this.#seen++;
    this.#host.emit({ at: this.#timing.now(), sensor: this.name, phase: 'after', action });
  }
}

const NOT_SETTLED = -1n;
const NEVER_LISTED: Folder = { changedNs: NOT_SETTLED, files: new Map() };
const SKIPPED: ReadonlySet<string> = new Set(['.git', ...PACKAGE_FOLDERS]);

function statOrNone(path: string): BigIntStats | undefined {
  try {
    return lstatSync(path, { bigint: true });
  } catch {
    return undefined;
  }
}
