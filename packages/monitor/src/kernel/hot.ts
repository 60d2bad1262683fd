/**
 * Folders that every program reads from, hundreds of files at a time: safe reads there are counted and not told one by one. They are
 * judged like any other, and one that is not safe is told.
 */
import { join } from 'node:path';
import type { Action } from '../activity.ts';

export type IsHot = (action: Action) => boolean;

const SYSTEM: readonly string[] = [
  '/usr',
  '/lib',
  '/lib64',
  '/bin',
  '/sbin',
  '/etc/ld.so.cache',
  '/etc/ld.so.preload',
  '/etc/localtime',
  '/etc/locale.alias',
  '/etc/nsswitch.conf',
  '/etc/passwd',
  '/etc/group',
  '/proc/filesystems',
  '/dev/null',
  '/dev/zero',
  '/dev/urandom',
];

/** What is hot where nobody says otherwise. */
export function usuallyHot(workspace: string): readonly string[] {
  return [...SYSTEM, join(workspace, 'node_modules')];
}

/** @param folders - absolute; a file stands for itself. Under both of its names something has to be hot. */
export function hotReads(folders: readonly string[]): IsHot {
  const exact = new Set(folders);
  const below = folders.map((folder) => `${folder}/`);
  const isHot = (path: string): boolean => exact.has(path) || below.some((folder) => path.startsWith(folder));
  return (action) =>
    action.kind === 'read' &&
    !action.path.includes('/../') &&
    isHot(action.path) &&
    (action.resolved === undefined || action.resolved === action.path || isHot(action.resolved));
}
