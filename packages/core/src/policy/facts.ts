/**
 * Facts: what a decision rests on and nobody could find out later. They lie in the opening of its entry, under `facts`.
 *
 *     {"annotations":{"readOnlyHint":true},"at":1767225603000,"lookups":{"path:/srv/q1.csv":"/mnt/data/q1.csv"}}
 *
 * | member        | when                                    |                                                          |
 * |---------------|-----------------------------------------|----------------------------------------------------------|
 * | `annotations` | the tool had some                       | as the rules saw them                                    |
 * | `at`          | the policy read the time                | the time it read: store time passes until the entry stands |
 * | `calls`       | the policy read counts                  | by pattern: earlier calls of the session                 |
 * | `cost`        | the call declared one                   | micro-units                                              |
 * | `findings`    | the redactor found something            | what it replaced, and where; not when that is very long  |
 * | `lookups`     | the policy looked something up          | by `kind:subject`, what it was told                      |
 *
 * Raw arguments are never recorded: a rule that read `raw` cannot be replayed, and a replay says so.
 */
import type { Json, RedactionFinding, ToolAnnotations, ToolRef } from '../call.ts';
import { createLookups, type Lookups, type RecordedLookups } from './lookups.ts';

/** Longest findings that are recorded, as characters of their pointers: names in them are the agent's. */
export const MAX_FINDINGS_CHARS = 65_536;

export interface RecordedFacts {
  readonly annotations?: ToolAnnotations;
  readonly at?: number;
  readonly calls?: Readonly<Record<string, number>>;
  readonly cost?: number;
  readonly findings?: readonly RedactionFinding[];
  readonly lookups?: Readonly<Record<string, Json>>;
}

/** Takes down what the policy reads while it decides one call. One is made for every call, so nothing is made before it is needed. */
export class FactRecorder implements Lookups {
  #lookups: RecordedLookups | undefined;
  #at: number | undefined;
  #calls: Map<string, number> | undefined;

  lookUp(kind: string, subject: string, read: () => Json): Json {
    this.#lookups ??= createLookups();
    return this.#lookups.lookUp(kind, subject, read);
  }

  readTime(atMs: number): void {
    this.#at = atMs;
  }

  /** The policy read how many earlier calls of the session there are. */
  readCalls(subject: string, count: number): void {
    this.#calls ??= new Map();
    this.#calls.set(subject, count);
  }

  /** Counts that were read, which the transaction has to compare again. */
  counted(): Readonly<Record<string, number>> | undefined {
    return this.#calls && Object.fromEntries([...this.#calls].toSorted(([left], [right]) => (left < right ? -1 : 1)));
  }

  /** Undefined: nothing was read. */
  recorded(): Pick<RecordedFacts, 'at' | 'calls' | 'lookups'> | undefined {
    if (this.#at === undefined && this.#calls === undefined && this.#lookups === undefined) return undefined;
    const calls = this.counted();
    const lookups = this.#lookups?.recorded();
    return {
      ...(this.#at !== undefined && { at: this.#at }),
      ...(calls !== undefined && { calls }),
      ...(lookups !== undefined && { lookups }),
    };
  }
}

/** What can be recorded of a call, whatever the policy read. */
export interface CallFacts {
  readonly tool: Pick<ToolRef, 'annotations'>;
  readonly findings?: readonly RedactionFinding[];
  readonly cost?: number | undefined;
}

/** The section `facts`; undefined when there is nothing to say, as of most calls. */
export function factsSection(
  { tool, findings = [], cost }: CallFacts,
  read?: Pick<RecordedFacts, 'at' | 'calls' | 'lookups'>,
): RecordedFacts | undefined {
  const { annotations } = tool;
  if (annotations === undefined && findings.length === 0 && cost === undefined && read === undefined) return undefined;
  const facts: RecordedFacts = {
    ...(annotations !== undefined && Object.keys(annotations).length > 0 && { annotations }),
    ...(cost !== undefined && { cost }),
    ...(areRecordable(findings) && { findings }),
    ...read,
  };
  return Object.keys(facts).length === 0 ? undefined : facts;
}

function areRecordable(findings: readonly RedactionFinding[]): boolean {
  let chars = 0;
  for (const { kind, pointer } of findings) {
    chars += kind.length + pointer.length;
    if (chars > MAX_FINDINGS_CHARS) return false;
  }
  return chars > 0;
}
