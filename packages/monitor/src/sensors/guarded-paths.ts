/** Files and folders whose opening is asked about: those that rules stop by name, so that a mark can be put on each. */
import { join } from 'node:path';
import type { Scope } from '../scope/scope.ts';

export interface Guarded {
  readonly scope: Scope;
  readonly home: string;
  /** Canaries, and Countersign's own. Absolute. */
  readonly listed: readonly string[];
}

/** Absolute, each once. Patterns that name no one place cannot be marked: what they forbid is seen by other sensors, after it happened. */
export function guardedPaths({ scope: { filesystem }, home, listed }: Guarded): readonly string[] {
  const forbidden = [...filesystem.forbiddenPaths, ...filesystem.forbiddenWrites].flatMap((pattern) => placeOf(pattern, home) ?? []);
  return [...new Set([...listed, join(home, '.ssh'), ...forbidden])];
}

/** `~/.aws/**` is a folder with all in it. */
function placeOf(pattern: string, home: string): string | undefined {
  const place = pattern.replace(/\/\*{1,2}$/, '');
  if (/[*?[\]{}!]/.test(place) || place === '') return undefined;
  if (place === '~' || place.startsWith('~/')) return join(home, place.slice(1));
  return place.startsWith('/') ? place : undefined;
}
