/**
 * What can be told of a row without looking at any other: the first half of verification, which threads may do.
 *
 * The second half (tree, history, openings on record) goes through these in order, on one thread.
 */
import type { BudgetCharge, Entry } from '../ledger/entry.ts';
import type { VerifyCode } from './codes.ts';
import type { EntryOf } from './placed.ts';
import type { ForgetEntry, Stamp } from './shapes.ts';

/** `change`: of the bytes themselves. `notice`: what this version does not check, a problem under `strict` only. */
export interface Found {
  readonly sort: 'change' | 'problem' | 'notice';
  readonly code: VerifyCode;
  readonly message: string;
}

type PlainFields = 'kind' | 'at' | 'writer' | 'agent' | 'session' | 'call';

/** What history asks of a decision in which neither an approval, an edit nor a grant takes part, that is not in the index of labels, and that is no waymark. */
export type PlainDecision = Pick<EntryOf<'decision'>, PlainFields | 'mode' | 'would'> & {
  readonly budgets: readonly BudgetCharge[] | undefined;
  readonly effect: 'allow' | 'deny';
  readonly policy: Pick<EntryOf<'decision'>['policy'], 'id' | 'hash'>;
  /** Labels it gives, and `session_labels`: as canonical JSON. */
  readonly given: string | undefined;
  readonly seen: string | undefined;
  readonly newest?: undefined;
  readonly approval?: undefined;
  readonly edited?: undefined;
  readonly grant?: undefined;
};

/** What history asks of an outcome that gives nothing back, whose result no rule looked at, that is not in the index of labels, and that is no waymark. */
export type PlainOutcome = Pick<EntryOf<'outcome'>, PlainFields | 'decision'> & {
  /** Labels it gives, as canonical JSON. */
  readonly given: string | undefined;
  readonly newest?: undefined;
  readonly refunds?: undefined;
  readonly released?: undefined;
};

/** What history is told: a whole entry, or what it asks of one of the two kinds that nearly all entries are of. */
export type Told = Entry | PlainDecision | PlainOutcome;

export type Content =
  /** Nothing can be read from it: what is wrong is among the findings. */
  | { readonly is: 'unread' }
  /** `shown`: hash of the arguments beside an ask, an edit, or a decision that leans on one of them. */
  | {
      readonly is: 'told';
      readonly entry: Told;
      readonly shown: string | undefined;
      /** Of a decision about what is to happen after a halt: the incident that its arguments name. */
      readonly incident?: string;
    }
  | { readonly is: 'plain'; readonly entry: PlainDecision | PlainOutcome }
  | { readonly is: 'forget'; readonly entry: ForgetEntry & Stamp }
  /** A kind this version does not check. */
  | { readonly is: 'other'; readonly stamp: Stamp };

export interface Judged {
  /** 0-based position. */
  readonly seq: number;
  /** Digest of the body (see `leafDigest`); undefined when it could not be hashed. */
  readonly leaf: string | undefined;
  /** Leaf hash stored beside it, hex. */
  readonly stored: string | undefined;
  /** The two are the same. */
  readonly fits: boolean;
  /** In the order they were found. */
  readonly found: readonly Found[];
  /** Problems that were found beyond those listed: an opening may hold a million sections. */
  readonly more: number;
  readonly content: Content;
  /** It commits to clear text that is not beside it. */
  readonly withheld: boolean;
}

export const NOTHING_FOUND: readonly Found[] = [];
export const UNREAD: Content = { is: 'unread' };
