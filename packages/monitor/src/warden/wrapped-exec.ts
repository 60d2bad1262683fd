/**
 * `sh -c 'curl https://a.example'` is one thing that is run by two calls: the shell is, and then becomes `curl`, or starts it as its child.
 * Both are held by the same rule; a person who let the first go on has read the whole of the second. So the next program of that very
 * process, or of a child of it, needs no second answer, if it is exactly what the line said: why this, and not less, is in
 * docs/decisions/2026-11-26-one-answer-for-a-shell.md.
 *
 * All of it is chosen by whoever is watched. What does not fit to the letter is asked about.
 */
import type { Activity, ProcessId } from '../activity.ts';
import { baseOf } from '../rules/path-text.ts';
import type { Verdict } from '../verdict.ts';

/** From the answer on: a shell that has not become anything by then was let go on for something else. */
export const MAX_WRAPPED_MS = 5_000;
export const MAX_WRAPPED = 64;
const MAX_LINE_CHARS = 4_096;
const SHELLS: ReadonlySet<string> = new Set(['sh', 'dash', 'bash', 'ash', 'ksh', 'zsh']);
/** Written by root alone. Elsewhere a file of that name may be anything, since the person did not see which one it is. */
const SYSTEM_FOLDERS: ReadonlySet<string> = new Set(['/bin', '/sbin', '/usr/bin', '/usr/sbin']);

interface Expected {
  readonly argv: readonly string[];
  readonly rule: string;
  readonly level: Verdict['level'];
  readonly untilMs: number;
}

export class WrappedExecs {
  readonly #expected = new Map<string, Expected>();

  /** A person let it go on, on a clock that only goes forward. */
  letGoOn({ actor, action }: Activity, { rule, level }: Verdict, nowMs: number): void {
    if (actor === undefined || action.kind !== 'exec') return;
    const argv = commandIn(action.argv);
    if (argv === undefined || this.#expected.size >= MAX_WRAPPED) return;
    this.#expected.set(keyOf(actor), { argv, rule, level, untilMs: nowMs + MAX_WRAPPED_MS });
  }

  /**
   * Whether a person answered for this already. Once: whatever the shell or a child of it runs next ends what was expected of it.
   *
   * @param activity - as the sensor told it that is asked before things happen. What others see afterwards is nothing that is run next.
   * @param parent - of its actor, alive
   */
  covers(
    { actor, action }: Pick<Activity, 'actor' | 'action'>,
    { rule, level }: Verdict,
    { isHeld, parent, nowMs }: { readonly isHeld: boolean; readonly parent: ProcessId | undefined; readonly nowMs: number },
  ): boolean {
    for (const [key, { untilMs }] of this.#expected) if (nowMs > untilMs) this.#expected.delete(key);
    if (actor === undefined || action.kind !== 'exec') return false;
    const key = [actor, parent].flatMap((each) => (each === undefined ? [] : keyOf(each))).find((each) => this.#expected.has(each));
    if (key === undefined) return false;
    const expected = this.#expected.get(key);
    this.#expected.delete(key);
    return (
      expected !== undefined &&
      isHeld &&
      expected.rule === rule &&
      expected.level === level &&
      expected.argv.length === action.argv.length &&
      expected.argv.every((word, index) => word === action.argv[index]) &&
      isNamedBy(action.exe, expected.argv[0] ?? '')
    );
  }
}

/** The program that ran first stays the same process: a later one of that number has another start. */
function keyOf({ pid, start }: ProcessId): string {
  return `${pid}:${start}`;
}

/** The command of `sh -c`, where every shell takes the line for one command of these words. */
export function commandIn(argv: readonly string[]): readonly string[] | undefined {
  const [shell = '', option, line = '', ...more] = argv;
  if (!SHELLS.has(baseOf(shell)) || option !== '-c' || more.length > 0 || line.length > MAX_LINE_CHARS || !ONE_COMMAND.test(line))
    return undefined;
  const words = [...line.matchAll(WORD)].map(([word]) => word.replaceAll("'", ''));
  // An assignment, or nothing to be run.
  return words[0] === undefined || words[0] === '' || words[0].includes('=') ? undefined : words;
}

/** Letters that mean themselves in every shell, or anything but a quote within single quotes. */
const WORD_TEXT = String.raw`(?:[A-Za-z0-9_@%+=:,./-]|'[^'\0\n]*')+`;
const ONE_COMMAND = new RegExp(`^ *${WORD_TEXT}(?: +${WORD_TEXT})* *$`);
const WORD = new RegExp(WORD_TEXT, 'g');

function isNamedBy(exe: string, word: string): boolean {
  if (exe === word) return word.startsWith('/');
  const name = baseOf(exe);
  const isSystem = SYSTEM_FOLDERS.has(exe.slice(0, exe.length - name.length - 1));
  if (!word.includes('/')) return isSystem && name === word;
  // `/bin` may be a link to `/usr/bin`.
  return isSystem && name === baseOf(word) && SYSTEM_FOLDERS.has(word.slice(0, word.length - name.length - 1));
}
