/**
 * What the session entries of a ledger tell of halts (`told-entries.ts`): which sessions are refused, since when and why.
 *
 * Of entries that stood unsigned when their writer was gone a halt counts, its end does not.
 */

import type { EntryRef } from '../call.ts';
import type { Entry, SessionBody } from '../ledger/entry.ts';
import { type Range, type Told, ToldEntries, type ToldSource } from '../ledger/told-entries.ts';
import { OPERATOR_HALT } from './after-halt.ts';

/** A halt that stands. */
export interface Halt {
  /** Absent: every session. */
  readonly session?: string;
  /** Whose word it is: of the halt of every session the one that said so. */
  readonly by: string;
  readonly agent: string;
  readonly entry: EntryRef;
  readonly atMs: number;
  readonly reasonCode?: string;
  readonly incident?: string;
  /** The newest of an operator's words (`OPERATOR_HALT`) that no end came after. A monitor may have halted it once more since. */
  readonly operator?: EntryRef;
}

/** No session has this name: names are not empty. */
const EVERY = '';

export class HaltBook {
  private readonly told: ToldEntries<SessionBody>;
  private readonly standing = new Map<string, Halt>();

  constructor(source: ToldSource) {
    this.told = new ToldEntries(source, {
      marks: ['"event":"halted"', '"event":"resumed"'],
      isTold,
      waymark: 'halt',
      chainsTails: true,
      apply: (told) => this.apply(told),
      reset: () => this.standing.clear(),
    });
  }

  /**
   * @param size - entries there are, those of this transaction included.
   * @param tail - found to be unsigned just now: no entry tells of it yet.
   */
  readOn(size: number, tail?: Range): this {
    this.told.readOn(size, tail);
    return this;
  }

  /** The halt of this session alone; without a session, that of all. */
  of(session: string | undefined): Halt | undefined {
    return this.standing.get(session ?? EVERY);
  }

  /** Oldest first. */
  all(): readonly Halt[] {
    return [...this.standing.values()].toSorted((one, other) => one.entry.of - other.entry.of);
  }

  /** The newest entry that halted, ended a halt, or told that one of those stood unsigned. */
  get newest(): EntryRef | undefined {
    return this.told.newest;
  }

  get isDoubtful(): boolean {
    return this.told.isDoubtful;
  }

  appended(ref: EntryRef, atMs: number, body: { readonly kind: string }): void {
    this.told.appended(ref, atMs, body);
  }

  clear(): void {
    this.told.clear();
  }

  private apply({ ref, atMs, body }: Told<SessionBody>): void {
    const { agent, session, event, scope, reason_code: reasonCode, incident } = body;
    const whose = scope === 'ledger' ? EVERY : session;
    if (event === 'resumed') {
      if (!this.told.isDoubted(ref.of)) this.standing.delete(whose);
      return;
    }
    const operator = reasonCode === OPERATOR_HALT ? ref : this.standing.get(whose)?.operator;
    this.standing.set(whose, {
      ...(scope !== 'ledger' && { session }),
      by: session,
      agent,
      entry: ref,
      atMs,
      ...(reasonCode !== undefined && { reasonCode }),
      ...(incident !== undefined && { incident }),
      ...(operator !== undefined && { operator }),
    });
  }
}

function isTold(entry: Entry): entry is Entry & SessionBody {
  return entry.kind === 'session' && (entry.event === 'halted' || entry.event === 'resumed');
}
