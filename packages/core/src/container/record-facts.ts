/**
 * What one record says, in the same words for every container: what filter, search, show and the exporters work on.
 * Claims, not evidence: nothing is verified, and what does not have the expected type is left out.
 */
import type { Json } from '../call.ts';
import type { Members } from './stored-json.ts';

/** The kind of a record whose text is no entry. */
export const UNREADABLE = 'unreadable';

export interface RecordFacts {
  /** 0-based position. */
  readonly index: number;
  /** What names the record: its leaf hash; in the predecessor's ledgers the `entry_hash` it claims. */
  readonly leaf: string;
  /** As the record says, or `unreadable`. */
  readonly kind: string;
  /** UTC milliseconds. */
  readonly atMs?: number;
  /** ISO 8601, as exact as the container has it. */
  readonly time?: string;
  readonly agent?: string;
  readonly session?: string;
  readonly principal?: string;
  /** Call id; in the predecessor's ledgers the request id. */
  readonly call?: string;
  /** Of a decision. */
  readonly tool?: { readonly server?: string; readonly name: string };
  readonly mode?: string;
  readonly effect?: string;
  readonly would?: string;
  readonly reasonCode?: string;
  readonly rule?: string;
  readonly policy?: { readonly id?: string; readonly version?: string; readonly hash?: string };
  /** Id of the approval an ask opens, an answer answers, an allow uses. */
  readonly approval?: string;
  /** Id of the grant that was given, used or taken back. */
  readonly grant?: string;
  readonly answer?: string;
  readonly approver?: string;
  /** 0-based position of the decision it belongs to: of an outcome its allow, of an answer its ask. */
  readonly decision?: number;
  readonly status?: string;
  readonly errorType?: string;
  readonly durationMs?: number;
  /** Of an outcome: what a rule on results did, what policy said where audit mode let it through, and why. */
  readonly released?: { readonly action: string; readonly would?: string; readonly reasonCode?: string };
  /** Of session, containment, key and recovery entries. */
  readonly event?: string;
  /** Of a verdict: its level, and what was done of it. */
  readonly level?: string;
  readonly enforced?: string;
  /** Of a verdict, a containment and a halt. */
  readonly incident?: string;
  /** Of a halt and its end: `ledger` for every session. */
  readonly scope?: string;
  /** Of a containment: processes or files, and those that are left. */
  readonly count?: number;
  readonly left?: number;
  /** Of a containment: calls that failed instead of happening. */
  readonly refused?: number;
  /** Clear text by section: `args`, `reason`, `facts`, `message`, `result`, `error`, `activity`, `details` and others. */
  readonly shown: ReadonlyMap<string, Json>;
  /** The parsed record; undefined when it is unreadable. */
  readonly body?: Members;
}

type Present<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

/** Optional and "may be undefined" are different. */
export function withoutAbsent<T extends object>(facts: T): Present<T> {
  // Of every record that is read: a loop is several times faster than entries and back.
  const present: Record<string, unknown> = {};
  for (const name of Object.keys(facts)) {
    const value = (facts as Readonly<Record<string, unknown>>)[name];
    if (value !== undefined) present[name] = value;
  }
  return present as Present<T>;
}
