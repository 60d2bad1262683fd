/** Texts of errors: at load with line and column, at run time with the place in the rule and never a value of the call. */
import { didYouMean } from '../config/nearest.ts';
import { CountersignError } from '../errors.ts';
import { CONDITION_WORDS } from './condition-environment.ts';
import { ConditionFault } from './condition-value.ts';

/** What the evaluator's errors carry. Their messages quote values, so only the code and the place are used at run time. */
interface EvaluatorError {
  readonly code: string;
  readonly summary: string;
  readonly range?: { readonly start: number; readonly end: number };
  readonly node?: { readonly start: number; readonly end: number; readonly args?: unknown };
}

function isEvaluatorError(error: unknown): error is EvaluatorError {
  return (
    error instanceof Error && 'code' in error && 'summary' in error && typeof error.code === 'string' && typeof error.summary === 'string'
  );
}

/** An error of the parser or the type check, with its place in the expression. */
export function compileError(error: unknown, where: string, source: string): CountersignError {
  if (!isEvaluatorError(error)) return invalid(where, messageOf(error), source, 0);
  const name = error.node?.args;
  const suggestion = error.code !== 'unknown_variable' || typeof name !== 'string' ? '' : suggestionFor(name);
  const text = error.code === 'unknown_variable' && typeof name === 'string' ? `unknown variable "${name}"` : lowerFirst(error.summary);
  return invalid(where, text + suggestion, source, error.range?.start ?? 0);
}

function suggestionFor(name: string): string {
  return name === 'result' ? ': only a rule with on: result can see what came back' : didYouMean(name, CONDITION_WORDS);
}

/** @param at - where in `source`, in UTF-16 units. */
export function invalid(where: string, message: string, source: string, at: number): CountersignError {
  const before = source.slice(0, at).split('\n');
  const line = before.length;
  const column = (before.at(-1)?.length ?? 0) + 1;
  return new CountersignError('CONDITION_INVALID', `${where}: ${message} (line ${line}, column ${column} of the expression)`, {
    details: { line, column },
  });
}

const FAULT_TEXTS: ReadonlyMap<string, string> = new Map([
  ['no_such_key', 'missing key'],
  ['index_out_of_bounds', 'index out of bounds'],
  ['no_such_overload', 'type error'],
  ['no_matching_overload', 'type error'],
  ['unsupported_type', 'type error'],
  ['variable_type_mismatch', 'type error'],
]);
const MAX_SNIPPET_CHARS = 80;

/** Why an expression has no answer for this call, without a value of it. */
export function faultText(error: unknown, source: string): string {
  if (error instanceof ConditionFault) return error.message;
  // Anything else may quote a value.
  if (!isEvaluatorError(error)) return 'evaluation failed';
  const text = FAULT_TEXTS.get(error.code) ?? error.code.replaceAll('_', ' ');
  const { start, end } = error.node ?? error.range ?? { start: 0, end: 0 };
  const snippet = source.slice(start, end);
  if (snippet === '') return text;
  return `${text} at "${snippet.length > MAX_SNIPPET_CHARS ? `${snippet.slice(0, MAX_SNIPPET_CHARS)}...` : snippet}"`;
}

function lowerFirst(text: string): string {
  return text.slice(0, 1).toLowerCase() + text.slice(1);
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : 'unknown error';
}
