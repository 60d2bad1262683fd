/**
 * What `session.calls('pattern')` counts: earlier calls of the session that were allowed, by tool pattern.
 *
 * A policy says when it is loaded which patterns it counts, so that the counts can be read before it is asked and
 * compared again in the transaction. A *subject* is a pattern and how far it reaches, as one text: `upload` in a deny or
 * ask rule, `[narrow]upload` in an allow rule, as in the `tools` of these rules.
 */
import type { ToolRef } from '../call.ts';
import { compileToolPattern, type PatternReach, type ToolPattern } from './patterns.ts';

/** Most patterns that one policy may count. */
export const MAX_COUNTED_PATTERNS = 64;

const NARROW = '[narrow]';

export function countSubject(pattern: string, reach: PatternReach): string {
  return reach === 'narrow' ? `${NARROW}${pattern}` : pattern;
}

/** @throws {CountersignError} `OPTIONS_INVALID` */
export function compileCountSubject(subject: string): ToolPattern {
  // No pattern holds a `[`.
  if (subject.startsWith(NARROW)) return compileToolPattern(subject.slice(NARROW.length), 'narrow', 'session.calls()');
  return compileToolPattern(subject, 'wide', 'session.calls()');
}

/** How many calls of one tool were allowed. */
export interface ToolCount {
  readonly tool: Pick<ToolRef, 'server' | 'name'>;
  readonly count: number;
}

/** @throws {CountersignError} `OPTIONS_INVALID` */
export function countOf(subject: string, tools: Iterable<ToolCount>): number {
  const pattern = compileCountSubject(subject);
  let sum = 0;
  for (const { tool, count } of tools) if (pattern.matches(tool)) sum += count;
  return sum;
}
