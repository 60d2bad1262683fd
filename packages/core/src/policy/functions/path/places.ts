/** Every place that a path may name, and the answers that hold for all of them. */
import type { Json } from '../../../call.ts';
import { type Disk, isCaseInsensitive, pathText, resolveOnDisk } from './disk.ts';
import { fold, type PathPattern } from './glob.ts';
import { fault, normalized, readingsOf, type Spelling, spellingOf } from './spelling.ts';

/** What the answers depend on besides the text. */
export interface PathWorld {
  readonly platform: NodeJS.Platform;
  readonly disk: Disk;
  /** What relative paths are relative to: the declared root of the tool's server. @returns undefined when there is none. */
  base(): string | undefined;
  /** Remembers and records what `read` finds for an absolute path. */
  lookUp(path: string, read: () => Json): Json;
}

type Segments = readonly string[];

interface Place {
  readonly segments: Segments;
  /** Read off the text; else where that leads once links are followed. */
  readonly isSpelled: boolean;
  /** Of another Unicode form of the text, which is compared as such. */
  readonly isForm: boolean;
}

/** Whether the path is the root or below it. @throws {ConditionFault} when its readings do not agree. */
export function isWithin(text: string, root: string, world: PathWorld): boolean {
  const places = placesOf(text, world);
  const rootSpelling = absolute(spellingOf(root, world.platform), world);
  const rootReal = resolve(rootSpelling, world);
  const roots = [normalized(rootSpelling), rootReal];
  const answers = places.map((place) =>
    place.isSpelled ? roots.some((one) => isBelow(place, one, world)) : isBelow(place, rootReal, world),
  );
  return agreed(answers, 'is inside by one reading and outside by another, such as a link out of the folder');
}

/** Whether any of the patterns matches. @throws {ConditionFault} when the readings of the path do not agree. */
export function matchesAny(text: string, patterns: readonly PathPattern[], world: PathWorld): boolean {
  const answers = placesOf(text, world).flatMap(({ segments, isForm }) => [
    patterns.some((pattern) => pattern.matches(isForm ? segments.map(composed) : segments)),
    patterns.some((pattern) => pattern.matchesFolded(segments)),
  ]);
  return agreed(answers, 'matches by one reading and not by another, such as a link or capital letters');
}

/** The last segment, as spelled; '' for the root. @throws {ConditionFault} */
export function lastName(text: string, platform: NodeJS.Platform): string {
  const names = new Set(readingsOf(text, platform).map(({ segments }) => normalized(segments).at(-1) ?? ''));
  const [name = '', ...others] = names;
  // Forms of one Unicode text are one name.
  if (others.some((other) => other.normalize('NFC') !== name.normalize('NFC'))) throw fault('has another name by another reading');
  return name;
}

function agreed(answers: readonly boolean[], otherwise: string): boolean {
  const [first = false] = answers;
  if (answers.some((answer) => answer !== first)) throw fault(otherwise);
  return first;
}

function placesOf(text: string, world: PathWorld): readonly Place[] {
  const places: Place[] = [];
  for (const reading of readingsOf(text, world.platform)) {
    const { isForm } = reading;
    const segments = absolute(reading, world);
    const plain = normalized(segments);
    places.push({ segments: plain, isSpelled: true, isForm }, { segments: resolve(segments, world), isSpelled: false, isForm });
    // Some tools take `..` off the text before they open it, some leave that to the system.
    if (segments.includes('..')) places.push({ segments: resolve(plain, world), isSpelled: false, isForm });
  }
  return places;
}

function absolute({ segments, isAbsolute }: Spelling, world: PathWorld): Segments {
  if (isAbsolute) return segments;
  const base = world.base();
  if (base === undefined) throw fault('is relative, and the configuration declares no root for this tool');
  return [...spellingOf(base, world.platform).segments, ...segments];
}

function resolve(segments: Segments, world: PathWorld): Segments {
  const { platform, disk } = world;
  const answer = world.lookUp(pathText(segments, platform), () => {
    const resolution = resolveOnDisk(segments, disk, platform);
    return 'error' in resolution ? { error: resolution.error } : pathText(resolution.segments, platform);
  });
  if (typeof answer === 'string') return answer.split('/').filter((segment) => segment !== '');
  throw fault('leads somewhere that cannot be seen from here');
}

function isBelow({ segments, isForm }: Place, root: Segments, { platform }: PathWorld): boolean {
  const form = isCaseInsensitive(platform) ? fold : isForm ? composed : (text: string) => text;
  return segments.length >= root.length && root.every((segment, index) => form(segment) === form(segments[index] as string));
}

function composed(text: string): string {
  return text.normalize('NFC');
}
