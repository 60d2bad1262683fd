import { MAX_SHELL_COMMANDS, MAX_SHELL_WORDS, type ShellAnalysis, type ShellEffect, type ShellList, type ShellReason } from './analysis.ts';
import { type Field, hasGlob, isHidden, isKnown, shownWord } from './field.ts';
import { effectOfPath, type PathUse } from './places.ts';

/** Told of every program that would run, wrappers included. */
export type OnProgram = (words: readonly (string | undefined)[]) => void;

/** Ends an analysis that would take too much; what was found stays found. */
export class TooMuch extends Error {
  override readonly name = 'TooMuch';
}

interface Allowance {
  commands: number;
  words: number;
}

/** Collects what one analysis finds. */
export class Recorder {
  // Few each, and looked up rarely: an array is a fraction of a set.
  readonly #found: ShellEffect[] = [];
  readonly #reasons: ShellReason[] = [];
  readonly #commands: string[] = [];
  readonly #incomplete: ShellList[] = [];
  /** A list is made when there is something for it: most commands fill one or two. */
  readonly #lists: Record<ShellList, Texts | undefined> = {
    reads: undefined,
    writes: undefined,
    deletes: undefined,
    paths: undefined,
    hosts: undefined,
    scripts: undefined,
  };
  /** Files that came from the network, as the text names them. */
  #downloads: Set<string> | undefined;
  /** Files that the text wrote. */
  #made: Set<string> | undefined;
  readonly #left: Allowance;
  readonly #onProgram: OnProgram | undefined;
  #runsUnknown = false;

  /** @param left - what a second reading of the same text shares with the first. */
  constructor(onProgram?: OnProgram, left: Allowance = { commands: MAX_SHELL_COMMANDS, words: MAX_SHELL_WORDS }) {
    this.#onProgram = onProgram;
    this.#left = left;
  }

  /** Collects apart from this one, out of the same allowance; a reading that may be wrong tells of no programs. */
  apart(): Recorder {
    return new Recorder(undefined, this.#left);
  }

  find(effect: ShellEffect): void {
    addTo(this.#found, effect);
  }
  hasFound(effect: ShellEffect): boolean {
    return this.#found.includes(effect);
  }
  undecided(reason: ShellReason): void {
    addTo(this.#reasons, reason);
  }
  /** Text that is not known is run as a program. */
  runsUnknown(reason: ShellReason): void {
    addTo(this.#reasons, reason);
    this.#runsUnknown = true;
  }
  /** @throws {TooMuch} */
  countCommand(): void {
    if (--this.#left.commands < 0) throw new TooMuch();
  }
  /** @throws {TooMuch} */
  countWords(count: number): void {
    this.#left.words -= count;
    if (this.#left.words < 0) throw new TooMuch();
  }
  command(name: string, args: readonly Field[]): void {
    addTo(this.#commands, name);
    this.#onProgram?.([name, ...args].map(shownWord));
  }
  host(name: string): void {
    if (name === '') return;
    if (isKnown(name)) this.#put('hosts', name);
    else addTo(this.#incomplete, 'hosts');
  }
  misses(list: ShellList): void {
    addTo(this.#incomplete, list);
  }
  download(path: string): void {
    (this.#downloads ??= new Set()).add(path);
  }
  /** A file whose content the text itself gives: whoever runs it runs what was not looked at. */
  made(path: string): void {
    (this.#made ??= new Set()).add(withoutDot(path));
  }
  script(path: string, places: readonly (string | undefined)[]): void {
    if (this.#downloads?.has(path) === true || this.#downloads?.has(withoutDot(path)) === true) addTo(this.#found, 'downloadsAndRuns');
    if (this.#made?.has(withoutDot(path)) === true) addTo(this.#reasons, 'script');
    this.#add('scripts', path, places);
  }
  /**
   * A path that is used.
   *
   * @param places - folders the command may be in; '' is the tool's own, undefined is not known.
   */
  path(use: PathUse, path: string, places: readonly (string | undefined)[]): void {
    if (path === '') return;
    for (const effect of effectOfPath(use, path)) addTo(this.#found, effect);
    for (const place of places) {
      if (place === undefined || place === '' || isAbsolute(path)) continue;
      for (const effect of effectOfPath(use, `${place}/${path}`)) addTo(this.#found, effect);
    }
    if (use === 'write' || use === 'append') this.#add('writes', path, places);
    else if (use === 'delete') this.#add('deletes', path, places);
    else if (use === 'read') this.#add('reads', path, places);
    else this.#add('paths', path, places);
  }

  effectsOf(use: PathUse, path: string): readonly ShellEffect[] {
    return effectOfPath(use, path);
  }

  result(): ShellAnalysis {
    if (this.#runsUnknown && this.#found.includes('network')) addTo(this.#found, 'downloadsAndRuns');
    return {
      undecided: this.#reasons.length > 0,
      reasons: this.#reasons,
      found: this.#found,
      commands: this.#commands,
      reads: this.#listed('reads'),
      writes: this.#listed('writes'),
      deletes: this.#listed('deletes'),
      paths: this.#listed('paths'),
      hosts: this.#listed('hosts'),
      scripts: this.#listed('scripts'),
      incomplete: this.#incomplete,
    };
  }

  #add(list: ShellList, path: string, places: readonly (string | undefined)[]): void {
    const shown = isKnown(path) ? path : hasGlob(path) ? folderOfGlob(path) : undefined;
    if (shown === undefined || !isKnown(shown)) {
      this.#miss(list);
      return;
    }
    if (isAbsolute(shown)) {
      this.#putPath(list, shown);
      return;
    }
    for (const place of places) {
      if (place === undefined) this.#miss(list);
      else this.#putPath(list, place === '' ? shown : `${place}/${shown}`);
    }
  }
  #putPath(list: ShellList, path: string): void {
    this.#put(list, path);
    if (list !== 'paths') this.#put('paths', path);
  }
  #put(list: ShellList, text: string): void {
    (this.#lists[list] ??= new Texts()).add(text);
  }
  #listed(list: ShellList): readonly string[] {
    return this.#lists[list]?.all ?? NONE;
  }
  #miss(list: ShellList): void {
    addTo(this.#incomplete, list);
    addTo(this.#incomplete, 'paths');
  }
}

/** Each once, in the order they came. */
class Texts {
  readonly all: string[] = [];
  /** Made for many: up to then looking at each costs less. */
  #known: Set<string> | undefined;

  add(text: string): void {
    if (this.#known === undefined ? this.all.includes(text) : this.#known.has(text)) return;
    this.all.push(text);
    if (this.#known !== undefined) this.#known.add(text);
    else if (this.all.length > FEW_TEXTS) this.#known = new Set(this.all);
  }
}
const FEW_TEXTS = 8;

function addTo<T>(list: T[], item: T): void {
  if (!list.includes(item)) list.push(item);
}

const NONE: readonly string[] = [];

export function isAbsolute(path: string): boolean {
  return path.startsWith('/') || path.startsWith('~');
}

function withoutDot(path: string): string {
  return path.startsWith('./') ? path.slice(2) : path;
}

/** `dist/*.js` stands for its folder. A pattern in the middle may pass a link, and `.*` may be `..`: not known. */
function folderOfGlob(path: string): string | undefined {
  const slash = path.lastIndexOf('/');
  const folder = slash < 0 ? '.' : path.slice(0, slash) || '/';
  if (hasGlob(folder)) return undefined;
  const last = path.slice(slash + 1);
  if (last === '' || last.startsWith('.') || isHidden(last)) return undefined;
  return folder;
}
