/**
 * What the text of a shell command would do, judged from the text alone.
 *
 * The text is parsed, not searched: quoting, expansions, pipes, wrappers such as `sudo` and `find -exec`, nested shells
 * and functions are followed. What the text does not tell (a variable from outside as the name of a command, code in
 * another language, decoded scripts) makes the analysis *undecided*, and an undecided command counts as everything it might be.
 *
 * Not looked at, and therefore not judged: the content of files that are run (`./x.sh`, `make`, `npm run`; they are listed in
 * `scripts` where the text names them; one that the text itself writes makes it undecided), what a program that is not known
 * by name does with its arguments (but a destructive command among them makes it undecided), and what
 * `PATH` and aliases of the machine make of a name.
 */

/** Longest text that is analysed, in UTF-16 units. */
export const MAX_SHELL_CHARS = 32_768;
/** Deepest nesting of shells, substitutions and function calls that is followed. */
export const MAX_SHELL_DEPTH = 24;
/** Most simple commands that are followed, counted each time a loop or function repeats them. */
export const MAX_SHELL_COMMANDS = 1000;
/** Most words looked at. */
export const MAX_SHELL_WORDS = 20_000;
/** Longest value of a variable that is followed. */
export const MAX_SHELL_VALUE_CHARS = 8192;
/** Most words that brace expansion makes of one. */
export const MAX_BRACE_WORDS = 128;
/** Most rounds of a `for` loop over literal words that are followed one by one. */
export const MAX_LOOP_ROUNDS = 16;

/** What a command can be found to do. */
export type ShellEffect = 'destructive' | 'network' | 'privileged' | 'persistence' | 'downloadsAndRuns' | 'credentials';

/** Why a command is undecided. */
export type ShellReason =
  | 'too-large'
  | 'too-deep'
  | 'too-much'
  | 'parse-error'
  | 'control-character'
  | 'redacted'
  | 'command-name'
  | 'argument'
  | 'code'
  | 'script'
  | 'environment'
  | 'other-shell'
  | 'option'
  | 'redirect'
  | 'arithmetic'
  | 'expansion'
  | 'alias'
  | 'recursion';

/** The lists that may be incomplete. */
export type ShellList = 'reads' | 'writes' | 'deletes' | 'paths' | 'hosts' | 'scripts';

export interface ShellAnalysis {
  /** True when the text does not tell everything it would run; the lists may then miss something. */
  readonly undecided: boolean;
  readonly reasons: readonly ShellReason[];
  /** Effects that the text shows for certain, undecided or not. */
  readonly found: readonly ShellEffect[];
  /** Base names of everything that runs, wrappers included: `sudo env rm x` gives `sudo`, `env`, `rm`. */
  readonly commands: readonly string[];
  readonly reads: readonly string[];
  readonly writes: readonly string[];
  readonly deletes: readonly string[];
  /** Everything that is or looks like a path, those above included. */
  readonly paths: readonly string[];
  readonly hosts: readonly string[];
  /** Files whose content is run and was not looked at. */
  readonly scripts: readonly string[];
  /** Lists that miss something because a word is not known, such as `writes` for `> "$file"`. */
  readonly incomplete: readonly ShellList[];
}

/** True when the effect was found or cannot be excluded. */
export function mayBe(analysis: ShellAnalysis, effect: ShellEffect): boolean {
  return analysis.undecided || analysis.found.includes(effect);
}
