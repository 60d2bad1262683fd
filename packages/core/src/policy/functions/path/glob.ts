/**
 * Patterns for paths, as rules write them:
 *
 *     *.pem             a name, in any folder        *   any characters of one segment, also none
 *     **\/.ssh/**        anything in a .ssh, and it   ?   one character of a segment
 *     /srv/public/**    from the root                **  any number of segments, also none
 *
 * Everything else stands for itself. Patterns come from rules, paths from agents: nothing here becomes a RegExp.
 */
const MAX_PATTERN_CHARS = 1024;

export interface PathPattern {
  /** A step per segment compared. */
  readonly cost: number;
  matches(segments: readonly string[]): boolean;
  /** The same when case does not count. */
  matchesFolded(segments: readonly string[]): boolean;
}

/** What is wrong with a pattern, for its author; undefined when nothing is. */
export function pathPatternFault(source: string): string | undefined {
  if (source === '' || source.length > MAX_PATTERN_CHARS) return `must have 1 to ${MAX_PATTERN_CHARS} characters`;
  if (/[[\]{}\\!\p{Cc}]/u.test(source)) return 'knows * ? and ** only: write several patterns in place of [ ] { } !';
  if (source.includes('/') && !source.startsWith('/') && !source.startsWith('**/')) return 'must begin with / or **/, or be a name alone';
  const segments = source.split('/').slice(source.startsWith('/') ? 1 : 0);
  if (segments.some((segment) => segment.includes('**') && segment !== '**'))
    return 'has ** beside other characters: it stands for whole segments';
  if (segments.some((segment) => segment === '' || segment === '.' || segment === '..')) return 'has an empty segment, . or ..';
  return undefined;
}

/** @returns undefined for a pattern with a fault. */
export function pathPattern(source: string): PathPattern | undefined {
  if (pathPatternFault(source) !== undefined) return undefined;
  const written = source.split('/').slice(source.startsWith('/') ? 1 : 0);
  const segments = source.includes('/') ? written : ['**', ...written];
  const folded = segments.map(fold);
  return {
    cost: segments.length,
    matches: (path) => matchSegments(segments, path),
    matchesFolded: (path) => matchSegments(folded, path.map(fold)),
  };
}

export function fold(text: string): string {
  return text.normalize('NFC').toLowerCase();
}

/** Segment by segment; `**` takes as few as it can, and one more when what follows does not fit. */
function matchSegments(pattern: readonly string[], path: readonly string[]): boolean {
  return greedy(
    pattern.length,
    path.length,
    (at) => pattern[at] === '**',
    (at, place) => matchSegment(pattern[at] as string, path[place] as string),
  );
}

function matchSegment(pattern: string, text: string): boolean {
  const signs = [...pattern];
  const characters = [...text];
  return greedy(
    signs.length,
    characters.length,
    (at) => signs[at] === '*',
    (at, place) => signs[at] === '?' || signs[at] === characters[place],
  );
}

/** The last wildcard alone is tried again, so time is at most the product of both lengths. */
function greedy(size: number, length: number, isWild: (at: number) => boolean, fits: (at: number, place: number) => boolean): boolean {
  let at = 0;
  let place = 0;
  let retryAt = -1;
  let retryPlace = 0;
  while (place < length) {
    if (at < size && isWild(at)) {
      retryAt = ++at;
      retryPlace = place;
    } else if (at < size && fits(at, place)) {
      at++;
      place++;
    } else if (retryAt >= 0) {
      at = retryAt;
      place = ++retryPlace;
    } else return false;
  }
  while (at < size && isWild(at)) at++;
  return at === size;
}
