import type { Context } from '../context.ts';
import { type Field, isHidden, isKnown, mayHideOptions } from '../field.ts';

/** A command that runs, as words. */
export interface Call {
  /** Base name in lower case. */
  readonly name: string;
  readonly args: readonly Field[];
  readonly context: Context;
}
export type Handler = (call: Call) => void;

/** Options that take a value; all others do not. */
export interface OptionSyntax {
  /** Letters, such as `ot` for `-o file -t folder`. */
  readonly short?: string;
  /** Long names without dashes. */
  readonly long?: readonly string[];
  /** Single-dash words, as `find`, `java` and `openssl` have them, are not bundles of letters. */
  readonly words?: boolean;
  /** The first operand ends the options: wrappers, whose operands have options of their own. */
  readonly stops?: boolean;
}

export interface Options {
  /** Letters and long names as written, which may be shortened. */
  readonly names: readonly string[];
  readonly values: readonly (readonly [name: string, value: Field])[];
  readonly operands: readonly Field[];
  /** Words whose text is not known and that may be options. */
  readonly hidden: boolean;
}

/** Options and operands, the way getopt reads them: bundles, `--name=value`, `--`, options after operands. */
export function parseOptions(args: readonly Field[], syntax: OptionSyntax = {}): Options {
  const names: string[] = [];
  const values: (readonly [string, Field])[] = [];
  const operands: Field[] = [];
  const { short = '', long = [] } = syntax;
  let at = 0;
  for (; at < args.length; at++) {
    const arg = args[at] ?? '';
    if (arg === '--') {
      operands.push(...args.slice(at + 1));
      break;
    }
    if (arg === '-' || !arg.startsWith('-')) {
      operands.push(arg);
      if (syntax.stops !== true) continue;
      operands.push(...args.slice(at + 1));
      break;
    }
    if (arg.startsWith('--') || syntax.words === true) {
      const [name, value] = splitLong(arg);
      names.push(name);
      if (value !== undefined) values.push([name, value]);
      else if (at + 1 < args.length && long.includes(name)) values.push([name, args[++at] ?? '']);
      // Cut short it may be another option, and the next word an operand: it counts as both.
      else if (at + 1 < args.length && long.some((known) => isShortFor(name, known))) values.push([name, args[at + 1] ?? '']);
      continue;
    }
    for (let i = 1; i < arg.length; i++) {
      const letter = arg[i] ?? '';
      names.push(letter);
      if (!short.includes(letter)) continue;
      const attached = arg.slice(i + 1);
      if (attached !== '') values.push([letter, attached]);
      else if (at + 1 < args.length) values.push([letter, args[++at] ?? '']);
      break;
    }
  }
  return { names, values, operands, hidden: mayHideOptions(args) };
}

function splitLong(arg: string): readonly [string, string | undefined] {
  const start = arg.startsWith('--') ? 2 : 1;
  const equals = arg.indexOf('=');
  return equals < 0 ? [arg.slice(start), undefined] : [arg.slice(start, equals), arg.slice(equals + 1)];
}

/** GNU programs take a long option cut short. */
function isShortFor(given: string, full: string): boolean {
  return given !== '' && (given === full || (given.length > 1 && full.startsWith(given)));
}

/** True when one of the letters or long names is there. */
export function has(options: Options, ...wanted: readonly string[]): boolean {
  return options.names.some((name) => wanted.some((one) => name === one || (one.length > 1 && isShortFor(name, one))));
}

export function valuesOf(options: Options, ...wanted: readonly string[]): readonly Field[] {
  return options.values
    .filter(([name]) => wanted.some((one) => name === one || (one.length > 1 && isShortFor(name, one))))
    .map(([, value]) => value);
}

/** Options and operands that a word of unknown text could add would matter here. */
export function undecidedIfHidden(options: Options, { context }: Call): void {
  if (options.hidden) context.recorder.undecided('argument');
}

export function read(path: Field, { context }: Call): void {
  if (path !== '-') context.recorder.path('read', path, context.state.places);
}
export function write(path: Field, { context }: Call): void {
  if (path === '-') return;
  context.recorder.path('write', path, context.state.places);
  if (isHidden(path)) context.recorder.undecided('argument');
}

/** Runs words as a command: what a wrapper does with the rest of its line. */
export function runInside(words: readonly Field[], { context }: Call, changes?: Partial<Context>): void {
  if (words.length > 0) context.engine.run(words, changes === undefined ? context : { ...context, ...changes });
}

/** Runs a text as a script, when it is known. */
export function runCode(text: Field | undefined, call: Call): void {
  if (text === undefined) return;
  if (isKnown(text)) call.context.engine.runText(text, call.context);
  else call.context.recorder.runsUnknown('script');
}
