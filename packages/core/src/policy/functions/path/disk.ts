/**
 * Where a path leads once links are followed, as the kernel would go: `..` is the parent of what a link led to.
 *
 * The longest part that exists is followed; what does not exist yet is appended as it is spelled. Links that lead
 * somewhere else for everybody who looks (`/proc/self/cwd`, `/dev/fd/3`) cannot be followed for a tool in another process.
 *
 * The answer holds for the moment it was given: whoever can write to the folder can put a link there afterwards.
 */
import { lstatSync, readlinkSync, realpathSync } from 'node:fs';

/** As Linux has it. */
const MAX_LINKS = 40;
/** Longest walk, links included. */
const MAX_STEPS = 1024;

/** What the disk says about one absolute path. */
export interface Disk {
  /** `link` with its target, `other` for everything that exists and is no link, undefined for what does not exist. */
  look(path: string): { readonly kind: 'link'; readonly target: string } | { readonly kind: 'folder' | 'other' } | undefined;
  /** An existing path in the spelling the disk has for it; asked only where case does not count. */
  canonical(path: string): string;
}

/** Segments from the root, or why they cannot be told. */
export type Resolution = { readonly segments: readonly string[] } | { readonly error: string };

/** @param segments - from the root, `..` included. */
export function resolveOnDisk(segments: readonly string[], disk: Disk, platform: NodeJS.Platform): Resolution {
  const pending = segments.toReversed();
  let resolved: string[] = [];
  let exists = true;
  let canGoOn = true;
  let links = 0;
  let steps = 0;
  for (let segment = pending.pop(); segment !== undefined; segment = pending.pop()) {
    if (++steps > MAX_STEPS) return { error: 'TOO_LONG' };
    if (segment === '..') {
      // The parent of something that is not there, or of a file, is nobody's to know.
      if (!exists || !canGoOn) return { error: 'ENOENT' };
      resolved.pop();
      continue;
    }
    resolved.push(segment);
    if (!exists || !canGoOn) {
      exists = false;
      continue;
    }
    const path = pathText(resolved, platform);
    if (isMagic(path)) return { error: 'MAGIC_LINK' };
    let found: ReturnType<Disk['look']>;
    try {
      found = disk.look(path);
    } catch (error) {
      return { error: error instanceof Error && 'code' in error ? String(error.code) : 'UNKNOWN' };
    }
    if (found === undefined) {
      exists = false;
      continue;
    }
    canGoOn = found.kind === 'folder';
    if (found.kind !== 'link') continue;
    if (++links > MAX_LINKS) return { error: 'ELOOP' };
    canGoOn = true;
    const target = targetSegments(found.target, platform);
    if (target === undefined) return { error: 'TARGET' };
    resolved = target.isAbsolute ? [] : resolved.slice(0, -1);
    for (const part of target.segments.toReversed()) pending.push(part);
  }
  return { segments: canonicalSegments(resolved, disk, platform) };
}

export function pathText(segments: readonly string[], platform: NodeJS.Platform): string {
  return platform === 'win32' ? (segments.length === 1 ? `${segments[0]}/` : segments.join('/')) : `/${segments.join('/')}`;
}

/** On Linux these lead where the process that looks has its root, its folder, its open files. */
function isMagic(path: string): boolean {
  return /^\/proc\/(?:self|thread-self|\d+)(?:\/|$)/i.test(path) || /^\/dev\/(?:fd|stdin|stdout|stderr)(?:\/|$)/i.test(path);
}

interface Target {
  readonly segments: readonly string[];
  readonly isAbsolute: boolean;
}

/** Undefined for a name that is not UTF-8, and on Windows for one that names another host or no drive. */
function targetSegments(target: string, platform: NodeJS.Platform): Target | undefined {
  if (target.includes('\ufffd')) return undefined;
  const text = platform === 'win32' ? target.replace(/^\\\\\?\\/, '').replaceAll('\\', '/') : target;
  const isAbsolute = platform === 'win32' ? /^[A-Za-z]:\//.test(text) : text.startsWith('/');
  if (platform === 'win32' && !isAbsolute && (text.startsWith('/') || text.includes(':'))) return undefined;
  return { segments: text.split('/').filter((segment) => segment !== '' && segment !== '.'), isAbsolute };
}

/** Case and Unicode forms of what exists, as the disk has them: two spellings of one file become one text. */
function canonicalSegments(segments: readonly string[], disk: Disk, platform: NodeJS.Platform): readonly string[] {
  if (!isCaseInsensitive(platform)) return segments;
  for (let count = segments.length; count > 0; count--) {
    const head = pathText(segments.slice(0, count), platform);
    try {
      if (disk.look(head) === undefined) continue;
      const canonical = targetSegments(disk.canonical(head), platform);
      return [...(canonical?.segments ?? segments.slice(0, count)), ...segments.slice(count)];
    } catch {
      return segments;
    }
  }
  return segments;
}

/** Taken for the whole system: a volume may differ, and then two names that differ by case count as one. */
export function isCaseInsensitive(platform: NodeJS.Platform): boolean {
  return platform === 'darwin' || platform === 'win32';
}

export const realDisk: Disk = {
  look(path) {
    const stats = lstatSync(path, { throwIfNoEntry: false });
    if (stats === undefined) return undefined;
    if (stats.isSymbolicLink()) return { kind: 'link', target: readlinkSync(path, 'utf8') };
    return { kind: stats.isDirectory() ? 'folder' : 'other' };
  },
  canonical: (path) => realpathSync.native(path),
};
