import { MAX_SHELL_COMMANDS, MAX_SHELL_WORDS, type ShellAnalysis, type ShellEffect, type ShellList, type ShellReason } from './analysis.ts';
import { hasGlob, isHidden, isKnown, ONE, STAR } from './field.ts';
import { effectOfPath, type PathUse } from './places.ts';

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
  readonly #found = new Set<ShellEffect>();
  readonly #reasons = new Set<ShellReason>();
  readonly #commands = new Set<string>();
  readonly #incomplete = new Set<ShellList>();
  readonly #lists = {
    reads: new Set<string>(),
    writes: new Set<string>(),
    deletes: new Set<string>(),
    paths: new Set<string>(),
    hosts: new Set<string>(),
    scripts: new Set<string>(),
  };
  /** Files that came from the network, as the text names them. */
  readonly #downloads = new Set<string>();
  readonly #left: Allowance;
  #runsUnknown = false;

  /** @param left - what a second reading of the same text shares with the first. */
  constructor(left: Allowance = { commands: MAX_SHELL_COMMANDS, words: MAX_SHELL_WORDS }) {
    this.#left = left;
  }

  /** Collects apart from this one, out of the same allowance. */
  apart(): Recorder {
    return new Recorder(this.#left);
  }

  find(effect: ShellEffect): void {
    this.#found.add(effect);
  }
  hasFound(effect: ShellEffect): boolean {
    return this.#found.has(effect);
  }
  undecided(reason: ShellReason): void {
    this.#reasons.add(reason);
  }
  /** Text that is not known is run as a program. */
  runsUnknown(reason: ShellReason): void {
    this.#reasons.add(reason);
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
  command(name: string): void {
    this.#commands.add(name);
  }
  host(name: string): void {
    if (name === '') return;
    if (isKnown(name)) this.#lists.hosts.add(name);
    else this.#incomplete.add('hosts');
  }
  misses(list: ShellList): void {
    this.#incomplete.add(list);
  }
  download(path: string): void {
    this.#downloads.add(path);
  }
  script(path: string, places: readonly (string | undefined)[]): void {
    if (this.#downloads.has(path) || this.#downloads.has(withoutDot(path))) this.#found.add('downloadsAndRuns');
    this.#add('scripts', path, places);
  }
  /**
   * A path that is used.
   *
   * @param places - folders the command may be in; '' is the tool's own, undefined is not known.
   */
  path(use: PathUse, path: string, places: readonly (string | undefined)[]): void {
    if (path === '') return;
    for (const effect of effectOfPath(use, path)) this.#found.add(effect);
    for (const place of places) {
      if (place === undefined || place === '' || isAbsolute(path)) continue;
      for (const effect of effectOfPath(use, `${place}/${path}`)) this.#found.add(effect);
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
    if (this.#runsUnknown && this.#found.has('network')) this.#found.add('downloadsAndRuns');
    return {
      undecided: this.#reasons.size > 0,
      reasons: [...this.#reasons],
      found: [...this.#found],
      commands: [...this.#commands],
      reads: [...this.#lists.reads],
      writes: [...this.#lists.writes],
      deletes: [...this.#lists.deletes],
      paths: [...this.#lists.paths],
      hosts: [...this.#lists.hosts],
      scripts: [...this.#lists.scripts],
      incomplete: [...this.#incomplete],
    };
  }

  #add(list: Exclude<ShellList, 'hosts'>, path: string, places: readonly (string | undefined)[]): void {
    const shown = hasGlob(path) ? folderOfGlob(path) : path;
    if (shown === undefined || isHidden(shown) || !isKnown(shown)) {
      this.#miss(list);
      return;
    }
    if (isAbsolute(shown)) {
      this.#put(list, shown);
      return;
    }
    for (const place of places) {
      if (place === undefined) this.#miss(list);
      else this.#put(list, place === '' ? shown : `${place}/${shown}`);
    }
  }
  #put(list: Exclude<ShellList, 'hosts'>, path: string): void {
    this.#lists[list].add(path);
    this.#lists.paths.add(path);
  }
  #miss(list: ShellList): void {
    this.#incomplete.add(list);
    this.#incomplete.add('paths');
  }
}

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
  return last.includes(STAR) || last.includes(ONE) ? folder : path;
}
