/** Which programs an exec runs: the file itself, what it was called as, and what wrappers and `sh -c` make of the arguments. */
import { analyzeArguments, type ShellAnalysis } from '@countersign/core/light';
import type { ExecAction } from '../activity.ts';
import { baseOf } from './path-text.ts';

/** Most programs of one exec that are looked at. */
export const MAX_PROGRAMS = 200;
/** Most characters of a command line that is compared. */
export const MAX_LINE_CHARS = 32_768;

export interface Program {
  /** Base name, lower case, without `.exe`. */
  readonly name: string;
  /** The base name first; undefined for a word of which some is not known. */
  readonly words: readonly (string | undefined)[];
  /** It is what was executed, not what that is going to run. */
  readonly outer: boolean;
}

export interface Programs {
  readonly all: readonly Program[];
  readonly analysis: ShellAnalysis;
  /** As it was called. */
  readonly line: string;
}

/** Programs that do what their first argument, or the name they are called by, says. */
const MULTI_CALL: ReadonlySet<string> = new Set(['busybox', 'toybox', 'coreutils', 'toolbox']);

export function programsOf({ exe, argv }: ExecAction): Programs {
  const all: Program[] = [];
  const words = argv.length === 0 ? [exe] : [...argv];
  const called = words[0] ?? exe;
  const names = namesOf(exe, called);
  let analysis: ShellAnalysis | undefined;
  for (const name of names) {
    let depth = 0;
    const found = analyzeArguments([name, ...words.slice(1)], (inner) => {
      if (all.length >= MAX_PROGRAMS) return;
      all.push({ name: baseOf(inner[0] ?? ''), words: inner, outer: depth++ === 0 });
    });
    analysis ??= found;
    // Too large or not text to a shell: the program itself is known all the same.
    if (depth === 0) all.push({ name: programName(name), words: [programName(name), ...words.slice(1, MAX_PROGRAMS)], outer: true });
  }
  return { all, analysis: analysis ?? analyzeArguments([exe]), line: lineOf(words) };
}

/** The name of the file counts, and so does what it is called as: either may be the disguise. */
function namesOf(exe: string, called: string): readonly string[] {
  const file = programName(exe);
  const name = programName(called.startsWith('-') ? called.slice(1) : called);
  if (file === '' || file === name) return [name === '' ? file : name];
  return MULTI_CALL.has(file) ? [name, file] : [file, name];
}

/** `/usr/bin/Rm.exe (deleted)` is `rm`. */
export function programName(path: string): string {
  const name = baseOf(path.endsWith(DELETED) ? path.slice(0, -DELETED.length) : path).toLowerCase();
  return name.endsWith('.exe') ? name.slice(0, -4) : name;
}
export const DELETED = ' (deleted)';

function lineOf(words: readonly string[]): string {
  const line = words.join(' ');
  return line.length > MAX_LINE_CHARS ? line.slice(0, MAX_LINE_CHARS) : line;
}

/** Versions and variants of a program's name: `python3.11` is `python`, `bash` is what `sh` may be. */
const KNOWN_AS: ReadonlyMap<string, readonly string[]> = new Map([
  ['sh', ['dash', 'bash', 'busybox', 'ash', 'zsh', 'ksh']],
  ['awk', ['gawk', 'mawk', 'nawk', 'busybox']],
  ['vi', ['vim', 'vim.basic', 'vim.tiny', 'nvim']],
  ['nc', ['ncat', 'nc.openbsd', 'nc.traditional']],
  ['node', ['nodejs']],
]);

export function isKnownAs(file: string, name: string): boolean {
  if (file === name || file.replace(/[-.]?\d+(?:\.\d+)*$/, '') === name.replace(/[-.]?\d+(?:\.\d+)*$/, '')) return true;
  return KNOWN_AS.get(name)?.includes(file) === true;
}
