import type { ParsedScript, WordPart } from 'unbash';
import { MAX_SHELL_DEPTH } from './analysis.ts';
import type { Field } from './field.ts';
import type { Recorder } from './recorder.ts';
import type { Body, ShellState } from './state.ts';

/** What a command reads from its standard input, as far as the text tells. */
export type Input =
  | { readonly kind: 'inherited' }
  /** Exactly this text. */
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'unknown' };

export const INHERITED: Input = { kind: 'inherited' };
export const UNKNOWN_INPUT: Input = { kind: 'unknown' };

/** Where in the script we are. */
export interface Context {
  readonly recorder: Recorder;
  readonly state: ShellState;
  readonly input: Input;
  readonly depth: number;
  /** In a pipe or in the background: a function that calls itself here is a fork bomb. */
  readonly besides: boolean;
  readonly engine: Engine;
}

/** The parts of the analysis, each of which needs the others. */
export interface Engine {
  readonly followScript: (script: ParsedScript, context: Context) => void;
  readonly followBody: (body: Body, context: Context) => void;
  /** Parses and follows a text that is run as a script, in this very shell. */
  readonly runText: (text: string, context: Context) => void;
  /** Runs a command that is given as words: a function, an alias, or a program. */
  readonly run: (fields: readonly Field[], context: Context) => void;
  readonly textOfParts: (parts: readonly WordPart[], context: Context) => Field;
}

/** One level deeper, or `undefined`, with the reason recorded, when that is too deep. */
export function deeper(context: Context, changes?: Partial<Context>): Context | undefined {
  if (context.depth >= MAX_SHELL_DEPTH) {
    context.recorder.undecided('too-deep');
    return undefined;
  }
  const { recorder, state, input, besides, engine } = changes === undefined ? context : { ...context, ...changes };
  return { recorder, state, input, depth: context.depth + 1, besides, engine };
}

/** A subshell: what it sets is forgotten. */
export function followApart(script: ParsedScript, context: Context, changes: Partial<Context> = {}): void {
  const inner = deeper(context, { ...changes, state: context.state.fork() });
  if (inner !== undefined) context.engine.followScript(script, inner);
}
