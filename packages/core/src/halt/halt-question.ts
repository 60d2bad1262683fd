/**
 * What a person reads who is asked after a halt, and the three answers there are. Every channel shows these lines and gives its buttons
 * these names, so that *deny* means the same wherever it is said: not what denying the question itself does, which ends everything.
 */
import type { Json, ToolRef } from '../call.ts';
import { COVERAGES } from '../ledger/entry.ts';
import { isAfterHalt } from './after-halt.ts';

export interface HaltQuestion {
  /** Label and text, in the order of reading. Escape them for the medium: a process chose names and paths in them. */
  readonly lines: readonly (readonly [label: string, text: string])[];
  /** Arguments that an edit proposes to say *deny*; `approve` says *resume*, and a denial *kill*. */
  readonly deny: Json;
  /** Coverage level of the monitor when it asked: `none`, `L0` ... `L3`. Absent: an older question, or none of those. */
  readonly watched?: string;
}

const MAX_HELD_LINES = 10;

/**
 * Undefined for any other call, and for a question that says nothing of its answers. What it holds was chosen by whoever wrote the row.
 *
 * @param coverageSince - the level that went on record for its session after it was asked, as an `ApprovalView` has it.
 */
export function haltQuestion({
  tool,
  args,
  coverageSince,
}: {
  readonly tool: Pick<ToolRef, 'server' | 'name'>;
  readonly args: Json;
  readonly coverageSince?: string | undefined;
}): HaltQuestion | undefined {
  const { rule, level, why, held, call, since, coverage, answers } = objectOf(isAfterHalt(tool) ? args : null);
  const { resume, deny, kill, unanswered } = objectOf(answers ?? null);
  if (typeof resume !== 'string' || typeof deny !== 'string' || typeof kill !== 'string') return undefined;
  const all: readonly Json[] = Array.isArray(held) ? held : [];
  const things = [
    ...all.slice(0, MAX_HELD_LINES),
    ...(all.length > MAX_HELD_LINES ? [`… and ${all.length - MAX_HELD_LINES} more: the arguments have all`] : []),
  ];
  const facts: readonly (readonly [string, Json | undefined])[] = [
    ...things.map((thing, index) => [index === 0 ? 'held' : '', thing] as const),
    [
      'because',
      [level, rule, why].every((each) => typeof each === 'string')
        ? `${level as string} by ${rule as string}: ${why as string}`
        : undefined,
    ],
    ['call', call],
    ['since', since],
    ...coverageFacts(coverage ?? null, coverageSince),
    ['resume', resume],
    ['deny', deny],
    ['kill', kill],
    ['silence', unanswered],
  ];
  const watched = levelOf(coverage ?? null);
  return {
    ...(watched !== undefined && { watched }),
    lines: facts.flatMap(([label, text]) => (typeof text === 'string' ? [[label, text] as const] : [])),
    deny: { ...objectOf(args), do: 'deny' },
  };
}

/** How much is seen and held of what goes on, or would: one line, and its detail. Older questions do not say. */
function coverageFacts(coverage: Json, since: string | undefined): readonly (readonly [string, Json | undefined])[] {
  const level = levelOf(coverage);
  const { means, holds } = objectOf(coverage);
  const changed = since === undefined || since === level || !COVERAGES.includes(since) ? [] : [`since it was asked the level is ${since}`];
  if (level === undefined) return changed.map((text) => ['watched', text] as const);
  return [
    ['watched', typeof means === 'string' ? `level ${level}: ${means}` : `level ${level}`],
    ['', holds],
    ...changed.map((text) => ['', `${text}: what is said here of ${level} holds no more`] as const),
  ];
}

function levelOf(coverage: Json): string | undefined {
  const { level } = objectOf(coverage);
  return typeof level === 'string' && COVERAGES.includes(level) ? level : undefined;
}

function objectOf(value: Json): { readonly [name: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as { readonly [name: string]: Json }) : {};
}
