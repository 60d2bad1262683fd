/**
 * Where a path leads, links followed, for the moment it is asked.
 *
 * The last component is looked at each time; the real path of the folder is kept for at most `KEEP_MS`, and forgotten when this
 * process changes a link or a folder through the probe. What this is not: a lock. Between the answer and the open that follows,
 * another thread or process can put a link in the way (and, for a folder that was just looked up, within `KEEP_MS` before it).
 * Hard links and bind mounts lead elsewhere without any link to follow.
 */
import nodePath from 'node:path';
import { isPlain } from '../rules/path-text.ts';
import { originals } from './originals.ts';

export const KEEP_MS = 100;
export const MAX_KEPT_FOLDERS = 1_024;
const MAX_LINKS = 40;
const PARENT = /(?:^|\/)\.\.(?:\/|$)/;

export class RealPaths {
  readonly #folders = new Map<string, { readonly real: string; readonly untilMs: number }>();

  forget(): void {
    this.#folders.clear();
  }

  /** @param path - absolute or relative to the working folder, as it was passed. */
  follow(path: string): string {
    return this.locate(path).resolved;
  }

  /** @returns the path made absolute, and where it leads. */
  locate(path: string): { readonly path: string; readonly resolved: string } {
    if (isPlain(path)) return this.#located(path);
    const plain = nodePath.resolve(path);
    // `link/..` is the parent of where the link leads. Only the kernel's reading counts, and nothing of it is kept.
    if (path.includes('..') && PARENT.test(path)) {
      return { path: plain, resolved: this.#whole(nodePath.isAbsolute(path) ? path : `${originals.cwd()}/${path}`, 0) };
    }
    return this.#located(plain);
  }

  /** @param plain - absolute, in the one spelling it has. */
  #located(plain: string): { readonly path: string; readonly resolved: string } {
    if (plain === '/') return { path: plain, resolved: plain };
    const slash = plain.lastIndexOf('/');
    const named = slash === 0 ? '/' : plain.slice(0, slash);
    const folder = this.#folder(named);
    return { path: plain, resolved: this.#last(folder === named ? plain : folder + plain.slice(slash)) };
  }

  #folder(folder: string): string {
    const nowMs = originals.monotonicMs();
    const kept = this.#folders.get(folder);
    if (kept !== undefined && nowMs < kept.untilMs) return kept.real;
    const found = this.#whole(folder, 0);
    const real = found === '/' ? '' : found;
    if (this.#folders.size >= MAX_KEPT_FOLDERS) this.#folders.clear();
    this.#folders.set(folder, { real, untilMs: nowMs + KEEP_MS });
    return real;
  }

  /** @param path - its folder is real already. */
  #last(path: string): string {
    try {
      if (originals.lstatSync(path, NO_THROW)?.isSymbolicLink() !== true) return path;
    } catch {
      return path;
    }
    return this.#whole(path, 0);
  }

  /** What does not exist is where it would be made: below the real path of what there is, through links that lead nowhere yet. */
  #whole(path: string, links: number): string {
    try {
      return originals.realpath(path);
    } catch {
      // Something on the way is not there, or may not be looked at.
    }
    const folder = nodePath.dirname(path);
    if (folder === path || links > MAX_LINKS) return nodePath.resolve(path);
    const name = nodePath.basename(path);
    const real = this.#whole(folder, links + 1);
    const here = name === '..' ? nodePath.dirname(real) : `${real === '/' ? '' : real}/${name}`;
    const target = linkTarget(here);
    if (target === undefined) return here;
    return this.#whole(nodePath.isAbsolute(target) ? target : `${nodePath.dirname(here)}/${target}`, links + 1);
  }
}

const NO_THROW = { throwIfNoEntry: false } as const;

function linkTarget(path: string): string | undefined {
  try {
    return originals.readlinkSync(path);
  } catch {
    return undefined;
  }
}
