/**
 * What a person reads who is asked after a halt, and the three answers there are. Every channel shows these lines and gives its buttons
 * these names, so that *deny* means the same wherever it is said: not what denying the question itself does, which ends everything.
 */
import type { Json, ToolRef } from '../call.ts';
import { isAfterHalt } from './after-halt.ts';

export interface HaltQuestion {
  /** Label and text, in the order of reading. Escape them for the medium: a process chose names and paths in them. */
  readonly lines: readonly (readonly [label: string, text: string])[];
  /** Arguments that an edit proposes to say *deny*; `approve` says *resume*, and a denial *kill*. */
  readonly deny: Json;
}

const MAX_HELD_LINES = 10;

/** Undefined for any other call, and for a question that says nothing of its answers. What it holds was chosen by whoever wrote the row. */
export function haltQuestion({
  tool,
  args,
}: {
  readonly tool: Pick<ToolRef, 'server' | 'name'>;
  readonly args: Json;
}): HaltQuestion | undefined {
  const { rule, level, why, held, call, since, answers } = objectOf(isAfterHalt(tool) ? args : null);
  const { resume, deny, kill, unanswered } = objectOf(answers ?? null);
  if (typeof resume !== 'string' || typeof deny !== 'string' || typeof kill !== 'string') return undefined;
  const things = Array.isArray(held) ? held.slice(0, MAX_HELD_LINES) : [];
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
    ['resume', resume],
    ['deny', deny],
    ['kill', kill],
    ['silence', unanswered],
  ];
  return {
    lines: facts.flatMap(([label, text]) => (typeof text === 'string' ? [[label, text] as const] : [])),
    deny: { ...objectOf(args), do: 'deny' },
  };
}

function objectOf(value: Json): { readonly [name: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as { readonly [name: string]: Json }) : {};
}
