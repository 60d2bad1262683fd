/**
 * Files that nobody should touch (canaries, secrets): each use of them, however short, but not by whom: inotify tells no process. Others
 * than the tree, an editor or a backup, are reported too. And, below a workspace, what is deleted and renamed.
 *
 * Nothing in here is prevented. A file that is replaced is watched anew, with a moment in between that is not seen.
 */
import { dirname, join, resolve } from 'node:path';
import { CountersignError } from '@countersign/core';
import type { Action, ActionKind } from '../activity.ts';
import {
  IN_ACCESS,
  IN_ATTRIB,
  IN_CLOSE_NOWRITE,
  IN_CLOSE_WRITE,
  IN_CREATE,
  IN_DELETE,
  IN_DELETE_SELF,
  IN_IGNORED,
  IN_ISDIR,
  IN_MODIFY,
  IN_MOVE_SELF,
  IN_MOVED_FROM,
  IN_MOVED_TO,
  IN_OPEN,
  IN_Q_OVERFLOW,
  type InotifyEvent,
  parseInotifyEvents,
} from '../native/inotify-event.ts';
import { errorName, type Native, native, nativeMissing } from '../native/native.ts';
import { PACKAGE_FOLDERS } from '../rules/folders.ts';
import type { CoverageLevel, Sensor, SensorHost, SensorStats } from '../sensor.ts';
import { isFolder, MAX_WATCHES, type Watched, WatchList } from './watch-list.ts';

export interface InotifyOptions {
  /** Absolute paths of files and folders, at most `MAX_LISTED`. What is not there yet is watched as soon as its folder is. */
  readonly paths: readonly string[];
  /** Below it deletions and renames are reported, but in `.git` and package folders. */
  readonly workspace?: string;
  /** Files and folders watched at most: an integer from 1 to `MAX_WATCHES`, which is the default. The system may allow fewer. */
  readonly maxWatches?: number;
  /** Told once when not all can be watched: the system's limit, or ours, is reached. Must not throw. */
  readonly onIncomplete?: (unwatched: number) => void;
}

export const MAX_LISTED = 1_000;
/** Between two tries to watch what was not there. */
const RETRY_MS = 1_000;
const BUFFER_BYTES = 64 * 1024;
/** Buffers read before others have their turn. */
const MAX_READS_PER_TURN = 64;

/** @throws {CountersignError} `OPTIONS_INVALID` */
export function inotifySensor(options: InotifyOptions): InotifySensor {
  if (options.paths.length > MAX_LISTED)
    throw new CountersignError('OPTIONS_INVALID', `inotify watches at most ${MAX_LISTED} listed paths`);
  const { maxWatches = MAX_WATCHES } = options;
  if (!Number.isInteger(maxWatches) || maxWatches < 1 || maxWatches > MAX_WATCHES)
    throw new CountersignError('OPTIONS_INVALID', `maxWatches must be an integer from 1 to ${MAX_WATCHES}`);
  return new InotifySensor(options);
}

export class InotifySensor implements Sensor {
  readonly name = 'inotify';
  readonly level: CoverageLevel = 'L1';
  readonly gives: readonly ActionKind[] = ['read', 'write', 'delete', 'rename'];
  readonly #options: InotifyOptions;
  readonly #buffer = Buffer.alloc(BUFFER_BYTES);
  /** Listed paths that cannot be watched yet. */
  readonly #missing = new Set<string>();
  /** Uses that were told, until the file is closed. */
  readonly #told = new Set<string>();
  #host: SensorHost | undefined;
  #list: WatchList | undefined;
  #stopWatching: (() => void) | undefined;
  #wasIncomplete = false;
  #seen = 0;
  #lost = 0;

  constructor(options: InotifyOptions) {
    this.#options = options;
  }

  async start(host: SensorHost): Promise<void> {
    const calls = native();
    if (calls === undefined) throw unavailable(nativeMissing() ?? 'koffi is missing');
    const fd = calls.inotifyInit();
    if (fd < 0) throw unavailable(errorName(fd));
    this.#host = host;
    const list = new WatchList(calls, fd, new Set(['.git', ...PACKAGE_FOLDERS]), this.#options.maxWatches ?? MAX_WATCHES);
    this.#list = list;
    for (const path of this.#options.paths) this.#watch(list, resolve(path));
    const { workspace } = this.#options;
    const stopPolling = calls.onReadable(fd, () => this.#read(calls, fd));
    const retry = setInterval(() => this.#retry(list), RETRY_MS).unref();
    this.#stopWatching = () => {
      clearInterval(retry);
      stopPolling();
      calls.close(fd);
    };
    if (workspace !== undefined) await list.addTree(resolve(workspace));
    this.#checkComplete(list);
  }

  async stop(): Promise<void> {
    this.#stopWatching?.();
    this.#stopWatching = undefined;
    this.#list = undefined;
    this.#host = undefined;
  }

  /** `lost`: overflows of the kernel's queue, and folders that are not watched. */
  stats(): SensorStats {
    return { seen: this.#seen, lost: this.#lost + (this.#list?.unwatched ?? 0) };
  }

  #watch(list: WatchList, path: string): void {
    const isWatched = isFolder(path) ? list.addListed(path) : list.addFile(path);
    if (isWatched) this.#missing.delete(path);
    else {
      // Its folder is there, so there is no room for it.
      if (isFolder(dirname(path)) && !this.#missing.has(path)) list.unwatched++;
      this.#missing.add(path);
    }
  }

  #retry(list: WatchList): void {
    for (const path of this.#missing) this.#watch(list, path);
    this.#checkComplete(list);
  }

  #checkComplete(list: WatchList): void {
    if (list.unwatched === 0 || this.#wasIncomplete) return;
    this.#wasIncomplete = true;
    this.#options.onIncomplete?.(list.unwatched);
  }

  #read(calls: Native, fd: number): void {
    const events: InotifyEvent[] = [];
    for (let reads = 0; reads < MAX_READS_PER_TURN; reads++) {
      const size = calls.read(fd, this.#buffer);
      if (size <= 0) {
        if (errorName(size) === 'EAGAIN') break;
        const host = this.#host;
        void this.stop();
        return host?.died(unavailable(`its events cannot be read any more (${errorName(size)})`));
      }
      events.push(...parseInotifyEvents(this.#buffer.subarray(0, size)));
    }
    const list = this.#list;
    if (list !== undefined) this.#take(list, events);
  }

  #take(list: WatchList, events: readonly InotifyEvent[]): void {
    // Both ends of a rename come one after the other. An end without the other one led in from elsewhere, or out.
    const arrivals = new Map(events.filter(({ mask }) => (mask & IN_MOVED_TO) !== 0).map((event) => [event.cookie, event]));
    const departures = new Set(events.filter(({ mask }) => (mask & IN_MOVED_FROM) !== 0).map(({ cookie }) => cookie));
    for (const event of events) {
      if ((event.mask & IN_Q_OVERFLOW) !== 0) {
        this.#lost++;
        continue;
      }
      const watched = list.get(event.watch);
      if (watched === undefined) continue;
      if ((event.mask & IN_IGNORED) !== 0) this.#ended(list, event.watch, watched);
      else if (event.name === '') this.#itself(list, watched, event.mask);
      else if ((event.mask & IN_MOVED_FROM) !== 0) this.#left(list, watched, event, arrivals.get(event.cookie));
      // Told with its other end.
      else if ((event.mask & IN_MOVED_TO) !== 0 && departures.has(event.cookie)) this.#arrived(list, watched, event, false);
      else this.#inside(list, watched, event);
    }
  }

  #ended(list: WatchList, watch: number, watched: Watched): void {
    list.forget(watch);
    if (watched.isFile || watched.isListed || watched.names.size > 0) {
      for (const path of watched.names.size > 0 ? [...watched.names].map((name) => join(watched.path, name)) : [watched.path]) {
        if (this.#isListed(path)) this.#watch(list, path);
      }
    }
  }

  /** An event of what is watched itself: a listed file. Of a folder only what is in it counts. */
  #itself(list: WatchList, watched: Watched, mask: number): void {
    if (!watched.isFile || (mask & IN_ISDIR) !== 0) return;
    this.#used(watched.path, mask);
    // While somebody has it open, a deleted file is only a file with one name less.
    if ((mask & (IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF)) !== 0) list.watchAnew(watched.path);
  }

  #inside(list: WatchList, watched: Watched, event: InotifyEvent): void {
    const path = join(watched.path, event.name);
    if ((event.mask & IN_DELETE) !== 0) return this.#deleted(list, watched, event);
    if ((event.mask & (IN_CREATE | IN_MOVED_TO)) !== 0) return this.#arrived(list, watched, event, true);
    if (watched.isListed && (event.mask & IN_ISDIR) === 0) this.#used(path, event.mask);
  }

  /** Opened or read is a read, once until it is closed; so is a write. */
  #used(path: string, mask: number): void {
    if ((mask & (IN_OPEN | IN_ACCESS)) !== 0) this.#once('read', path, (mask & IN_OPEN) !== 0);
    if ((mask & IN_MODIFY) !== 0) this.#once('write', path, false);
    if ((mask & (IN_CLOSE_WRITE | IN_CLOSE_NOWRITE)) !== 0) {
      this.#told.delete(`read ${path}`);
      this.#told.delete(`write ${path}`);
    }
  }

  #once(kind: 'read' | 'write', path: string, always: boolean): void {
    const key = `${kind} ${path}`;
    if (this.#told.has(key) && !always) return;
    if (this.#told.size < MAX_LISTED) this.#told.add(key);
    this.#emit({ kind, path });
  }

  #deleted(list: WatchList, watched: Watched, { name, mask }: InotifyEvent): void {
    const path = join(watched.path, name);
    const existed = list.unmade(path, watched);
    // What was in a folder was deleted before it, each by itself.
    if ((mask & IN_ISDIR) === 0 && counts(watched, name)) this.#emit({ kind: 'delete', path, ...(existed !== undefined && { existed }) });
    if (watched.names.has(name)) this.#missing.add(path);
  }

  #left(list: WatchList, watched: Watched, { name, mask }: InotifyEvent, arrival: InotifyEvent | undefined): void {
    const path = join(watched.path, name);
    const existed = list.unmade(path, watched);
    const there = arrival === undefined ? undefined : list.get(arrival.watch);
    const to = there === undefined || arrival === undefined ? undefined : join(there.path, arrival.name);
    const fact = existed === undefined ? {} : { existed };
    const isTold = counts(watched, name) || (there !== undefined && arrival !== undefined && counts(there, arrival.name));
    if (isTold) this.#emit(to === undefined ? { kind: 'delete', path, ...fact } : { kind: 'rename', path, to, ...fact });
    if ((mask & IN_ISDIR) !== 0) list.moved(path, to);
    if (to !== undefined && existed === false) list.made(to);
    if (watched.names.has(name)) this.#missing.add(path);
  }

  /** @param isTold - nobody else tells that it came. */
  #arrived(list: WatchList, watched: Watched, { name, mask }: InotifyEvent, isTold: boolean): void {
    const path = join(watched.path, name);
    const isNewHere = (mask & IN_CREATE) !== 0 || isTold;
    if ((mask & IN_ISDIR) !== 0) {
      if (isNewHere) this.#folderCame(list, watched, path, name);
      if (this.#isListed(path)) this.#watch(list, path);
      return;
    }
    if (watched.isTree && isNewHere) list.made(path);
    if (isTold && (watched.isListed || watched.names.has(name))) this.#emit({ kind: 'write', path });
    if (watched.names.has(name) && list.watchAnew(path)) this.#missing.delete(path);
  }

  #folderCame(list: WatchList, watched: Watched, path: string, name: string): void {
    if (watched.isListed) list.addBelow(path, true);
    if (watched.isTree && !list.isSkipped(name)) void list.addTree(path, true).then(() => this.#checkComplete(list));
  }

  #isListed(path: string): boolean {
    return this.#options.paths.some((each) => resolve(each) === path);
  }

  #emit(action: Action): void {
    if (this.#host === undefined) return;
    this.#seen++;
    this.#host.emit({ at: Date.now(), sensor: this.name, phase: 'after', action, attribution: { method: 'none' } });
  }
}

function counts(watched: Watched, name: string): boolean {
  return watched.isTree || watched.isListed || watched.names.has(name);
}

function unavailable(reason: string): CountersignError {
  return new CountersignError('MONITOR_UNAVAILABLE', `files cannot be watched: ${reason}`);
}
