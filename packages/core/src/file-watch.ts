/** Being told by the system that a file is written to: one watch per file and process, however many stores lie on it. */
import { type FSWatcher, watch } from 'node:fs';

export interface FileListener {
  changed(): void;
  /** The watch is gone for good: the file was moved away or removed, or the system gave up. */
  lost(): void;
}

interface Shared {
  readonly watcher: FSWatcher;
  readonly listeners: Set<FileListener>;
}

const watched = new Map<string, Shared>();

/**
 * Watches one file, not its folder: mirrors and logs are often written beside it. Does not keep the process alive.
 *
 * @param path - absolute.
 * @returns ends it for this listener.
 * @throws what the system says when it cannot: `ENOENT`, `EMFILE` and `ENOSPC` (too many watches).
 */
export function watchFile(path: string, listener: FileListener): () => void {
  const shared = watched.get(path) ?? startWatching(path);
  shared.listeners.add(listener);
  return () => {
    shared.listeners.delete(listener);
    if (shared.listeners.size === 0) stopWatching(path, shared);
  };
}

/** Files this process watches now, for tests that look for leaks. */
export function watchedFiles(): readonly string[] {
  return [...watched.keys()];
}

function startWatching(path: string): Shared {
  const watcher = watch(path, { persistent: false });
  const shared: Shared = { watcher, listeners: new Set() };
  const lost = (): void => {
    stopWatching(path, shared);
    for (const listener of [...shared.listeners]) listener.lost();
    shared.listeners.clear();
  };
  // `rename`: this file is not what the path leads to any more, and nothing will be told about what now does.
  watcher.on('change', (event) => {
    if (event === 'rename') return lost();
    for (const listener of [...shared.listeners]) listener.changed();
  });
  watcher.on('error', lost);
  watched.set(path, shared);
  return shared;
}

function stopWatching(path: string, shared: Shared): void {
  if (watched.get(path) === shared) watched.delete(path);
  shared.watcher.close();
}
