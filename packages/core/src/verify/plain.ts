/**
 * The two kinds nearly all entries are of, read in one pass: an ordinary decision and its outcome.
 *
 * One pattern per kind is at once the parser, the canonical form and the shape: keys in their order, each at most once,
 * nothing between the tokens, strings without escapes, whole numbers in their one form. What it matches is canonical and
 * has the shape (`shapes.ts`); what it does not match says nothing, and takes the long way. Bodies come from anybody:
 * no two parts of a pattern can match the same text, so that a miss costs one walk over it, and long bodies are not tried.
 */
import type { BudgetCharge } from '../ledger/entry.ts';
import { Interned, ownCopy } from './interned.ts';
import type { PlainDecision, PlainOutcome } from './judged.ts';

const MAX_PLAIN_CHARS = 8192;

// A body is well formed UTF-16 (`leafDigest` refuses others), so what is no escape is written as it is.
const STRING = '[^"\\\\\\x00-\\x1f]*';
const TEXT = '[^"\\\\\\x00-\\x1f]+';
const TEXTS = `\\["${TEXT}"(?:,"${TEXT}")*\\]`;
/** Within 2^53 - 1, whatever the digits are. */
const COUNT = '(?:0|[1-9][0-9]{0,14})';
const POSITIVE = '[1-9][0-9]{0,14}';
const INTEGER = '(?:0|-?[1-9][0-9]{0,14})';
const DECIMAL = '[0-9]+(?:\\.[0-9]+)?';
const ID = '[0-9a-f]{32}';
const HASH = '[0-9a-f]{64}';

const charge = (text: string, count: string, integer: string): string =>
  `\\{"cost":${count},"id":"${text}","key":"${text}","left":${integer},"limit":${count},"per":"${
    count === COUNT ? '(?:agent|tool|session|principal)' : '(agent|tool|session|principal)'
  }"(?:,"window_ms":${count === COUNT ? POSITIVE : `(${POSITIVE})`})?\\}`;
const CHARGE = charge(TEXT, COUNT, INTEGER);

const DECISION = new RegExp(
  [
    `^\\{"agent":"(${TEXT})",(?:"args_commit":"(${HASH})",)?"at":(${COUNT}),(?:"attempt":${POSITIVE},)?`,
    `(?:"budgets":\\[(${CHARGE}(?:,${CHARGE})*)\\],)?"call":"(${ID})","effect":"(allow|deny)","id":"${ID}","kind":"decision",`,
    `(?:"labels":${TEXTS},)?"mode":"(audit|confirm|enforce)","policy":\\{"hash":"(${HASH})","id":"(${TEXT})"(?:,"version":"${STRING}")?\\},`,
    `(?:"principal":"${TEXT}",)?"reason_code":"${TEXT}",(?:"reason_commit":"(${HASH})",)?(?:"redacted":${TEXTS},)?(?:"rule":"${TEXT}",)?`,
    `"session":"(${TEXT})","tool":\\{"name":"${TEXT}"(?:,"schema":"${TEXT}")?(?:,"server":"${TEXT}")?\\},"v":1,`,
    `"would":"(allow|deny|require_approval)","writer":"(${ID})"\\}$`,
  ].join(''),
);

const OUTCOME = new RegExp(
  [
    `^\\{"agent":"(${TEXT})","at":(${COUNT}),"call":"(${ID})","decision":\\{"leaf":"(${HASH})","of":(${COUNT})\\},"duration_ms":${COUNT},`,
    `(?:"error_commit":"(${HASH})",)?(?:"error_type":"${STRING}",)?"id":"${ID}","kind":"outcome",(?:"labels":${TEXTS},)?`,
    `(?:"resources":\\{(?:"cpu_ms":(${DECIMAL}),)?(?:"rss_bytes":(${DECIMAL}),)?"samples":${COUNT},"scope":"(?:process|tree)"\\},)?`,
    `(?:"result_commit":"(${HASH})",)?"session":"(${TEXT})","status":"(?:success|error|cancelled)","v":1,"writer":"(${ID})"\\}$`,
  ].join(''),
);

const EACH_CHARGE = new RegExp(charge(`(${TEXT})`, `(${COUNT})`, `(${INTEGER})`), 'g');

/** Commitment by section, those that are there. */
export type Commits = readonly (readonly [section: string, commit: string])[];

export interface Plain {
  readonly entry: PlainDecision | PlainOutcome;
  readonly commits: Commits;
}

/** @param body - a well-formed text. @returns undefined when the text needs the long way. */
export function readPlain(body: string): Plain | undefined {
  if (body.length > MAX_PLAIN_CHARS) return undefined;
  const decision = DECISION.exec(body);
  if (decision !== null) return plainDecision(decision as unknown as Captured);
  const outcome = OUTCOME.exec(body);
  return outcome === null ? undefined : plainOutcome(outcome as unknown as Captured);
}

/** Groups of alternatives that did not take part are undefined. */
type Captured = readonly [string, ...string[]] & { readonly [group: number]: string };

// What a match captures is a view on the whole body, and would keep it: names and ids are taken out of it.
const names = new Interned();

function plainDecision(found: Captured): Plain {
  const budgets: string | undefined = found[4];
  const entry: PlainDecision = {
    kind: 'decision',
    agent: names.own(found[1] as string),
    at: Number(found[3]),
    call: ownCopy(found[5] as string),
    effect: found[6] as 'allow' | 'deny',
    mode: found[7] as PlainDecision['mode'],
    policy: { hash: names.own(found[8] as string), id: names.own(found[9] as string) },
    session: names.own(found[11] as string),
    would: found[12] as PlainDecision['would'],
    writer: names.own(found[13] as string),
    budgets: budgets === undefined ? undefined : charges(budgets),
  };
  return { entry, commits: commits('args', found[2], 'reason', found[10]) };
}

function plainOutcome(found: Captured): Plain | undefined {
  // Of fractions, too, one form is canonical: the one this language writes.
  if (!isCanonical(found[7]) || !isCanonical(found[8])) return undefined;
  const entry: PlainOutcome = {
    kind: 'outcome',
    agent: names.own(found[1] as string),
    at: Number(found[2]),
    call: found[3] as string,
    decision: { leaf: found[4] as string, of: Number(found[5]) },
    session: names.own(found[10] as string),
    writer: names.own(found[11] as string),
  };
  return { entry, commits: commits('error', found[6], 'result', found[9]) };
}

function isCanonical(number: string | undefined): boolean {
  return number === undefined || String(Number(number)) === number;
}

function charges(text: string): readonly BudgetCharge[] {
  return Array.from(text.matchAll(EACH_CHARGE), ([, cost, id, key, left, limit, per, window]) => ({
    cost: Number(cost),
    id: names.own(id as string),
    key: names.own(key as string),
    left: Number(left),
    limit: Number(limit),
    per: per as BudgetCharge['per'],
    ...(window !== undefined && { window_ms: Number(window) }),
  }));
}

const NO_COMMITS: Commits = [];

function commits(one: string, first: string | undefined, other: string, second: string | undefined): Commits {
  if (first === undefined) return second === undefined ? NO_COMMITS : [[other, second]];
  return second === undefined
    ? [[one, first]]
    : [
        [one, first],
        [other, second],
      ];
}
