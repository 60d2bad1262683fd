/**
 * The two kinds nearly all entries are of, read in one pass: an ordinary decision and its outcome.
 *
 * One pattern per kind is at once the parser, the canonical form and the shape: keys in their order, each at most once,
 * nothing between the tokens, strings without escapes, whole numbers in their one form. What it matches is canonical and
 * has the shape (`shapes.ts`); what it does not match says nothing, and takes the long way. Bodies come from anybody:
 * no two parts of a pattern can match the same text, so that a miss costs one walk over it, and long bodies are not tried.
 */
import type { BudgetCharge } from '../ledger/entry.ts';
import { Interned, ownId } from './interned.ts';
import type { PlainDecision, PlainOutcome } from './judged.ts';

const MAX_PLAIN_CHARS = 8192;
/** Tails remembered, each at most as long as a body. */
const MAX_TAILS = 256;

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

/** With captures: cost, id, key, left, limit, per, window. */
const FIRST_CHARGE = charge(`(${TEXT})`, `(${COUNT})`, `(${INTEGER})`, '(agent|key|principal|session|tool)', `(${POSITIVE})`);
const CHARGE = charge(TEXT, COUNT, INTEGER, '(?:agent|key|principal|session|tool)', POSITIVE);

function charge(text: string, count: string, integer: string, per: string, window: string): string {
  const end = `"limit":${count},"per":"${per}"(?:,"window_ms":${window})?\\}`;
  return `\\{"cost":${count},"id":"${text}","key":"${text}","left":${integer},${end}`;
}

const DECISION = new RegExp(
  [
    `\\{"agent":"(${TEXT})",(?:"args_commit":"(${HASH})",)?"at":(${COUNT}),(?:"attempt":${POSITIVE},)?`,
    `(?:"budgets":\\[${FIRST_CHARGE}((?:,${CHARGE})*)\\],)?"call":"(${ID})","effect":"(allow|deny)",`,
    `(?:"facts_commit":"(${HASH})",)?"id":"${ID}",`,
  ].join(''),
  'y',
);

/** What follows: mostly the same for all calls of a tool in a session. */
const DECISION_TAIL = new RegExp(
  [
    `^"kind":"decision",(?:"labels":${TEXTS},)?"mode":"(audit|confirm|enforce)","policy":\\{"hash":"(${HASH})","id":"(${TEXT})"`,
    `(?:,"version":"${STRING}")?\\},(?:"principal":"${TEXT}",)?"reason_code":"${TEXT}",(?:"reason_commit":"(${HASH})",)?`,
    `(?:"redacted":${TEXTS},)?(?:"rule":"${TEXT}",)?"session":"(${TEXT})","tool":\\{"name":"${TEXT}"(?:,"schema":"${TEXT}")?`,
    `(?:,"server":"${TEXT}")?\\},"v":1,"would":"(allow|deny|require_approval)","writer":"(${ID})"\\}$`,
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

const NEXT_CHARGE = new RegExp(`,${FIRST_CHARGE}`, 'y');

/** Commitment by section, those that are there. */
export type Commits = readonly (readonly [section: string, commit: string])[];

export interface Plain {
  readonly entry: PlainDecision | PlainOutcome;
  readonly commits: Commits;
}

/** @param body - a well-formed text. @returns undefined when the text needs the long way. */
export function readPlain(body: string): Plain | undefined {
  if (body.length > MAX_PLAIN_CHARS) return undefined;
  const outcome = OUTCOME.exec(body);
  if (outcome !== null) return plainOutcome(outcome as unknown as Captured);
  DECISION.lastIndex = 0;
  const decision = DECISION.exec(body);
  if (decision === null) return undefined;
  const tail = tails.read(body.slice(DECISION.lastIndex));
  return tail === undefined ? undefined : plainDecision(decision as unknown as Captured, tail);
}

/** Groups of alternatives that did not take part are undefined. */
type Captured = readonly [string, ...string[]] & { readonly [group: number]: string };

// What a match captures is a view on the whole body, and would keep it: names and ids are taken out of it.
const names = { agent: new Interned(), session: new Interned(), writer: new Interned(), policy: new Interned(), budget: new Interned() };

function plainDecision(found: Captured, tail: Tail): Plain {
  const entry: PlainDecision = {
    kind: 'decision',
    agent: names.agent.own(found[1] as string),
    at: Number(found[3]),
    call: ownId(found[12] as string),
    effect: found[13] as 'allow' | 'deny',
    mode: tail.mode,
    policy: tail.policy,
    session: tail.session,
    would: tail.would,
    writer: tail.writer,
    budgets: found[4] === undefined ? undefined : charges(found),
  };
  return { entry, commits: decisionCommits(found[2], found[14], tail.reasonCommit) };
}

type Tail = Pick<PlainDecision, 'mode' | 'policy' | 'session' | 'would' | 'writer'> & { readonly reasonCommit: string | undefined };

/** Tails seen lately, one of each length: comparing one is far cheaper than matching it again. */
class Tails {
  private readonly seen = new Map<number, { readonly text: string; readonly tail: Tail }>();

  read(text: string): Tail | undefined {
    const known = this.seen.get(text.length);
    if (known?.text === text) return known.tail;
    const found = DECISION_TAIL.exec(text) as unknown as Captured | null;
    if (found === null) return undefined;
    const tail: Tail = {
      mode: found[1] as Tail['mode'],
      policy: { hash: names.policy.own(found[2] as string), id: names.policy.own(found[3] as string) },
      reasonCommit: found[4],
      session: names.session.own(found[5] as string),
      would: found[6] as Tail['would'],
      writer: names.writer.own(found[7] as string),
    };
    // A tail with a commitment of its own does not come again.
    if (tail.reasonCommit !== undefined) return tail;
    if (this.seen.size >= MAX_TAILS) this.seen.clear();
    this.seen.set(text.length, { text: Buffer.from(text).toString(), tail });
    return tail;
  }
}

const tails = new Tails();

function plainOutcome(found: Captured): Plain | undefined {
  // Of fractions, too, one form is canonical: the one this language writes.
  if (!isCanonical(found[7]) || !isCanonical(found[8])) return undefined;
  const entry: PlainOutcome = {
    kind: 'outcome',
    agent: names.agent.own(found[1] as string),
    at: Number(found[2]),
    call: found[3] as string,
    decision: { leaf: found[4] as string, of: Number(found[5]) },
    session: names.session.own(found[10] as string),
    writer: names.writer.own(found[11] as string),
  };
  return { entry, commits: commits('error', found[6], 'result', found[9]) };
}

function isCanonical(number: string | undefined): boolean {
  return number === undefined || String(Number(number)) === number;
}

function charges(found: Captured): readonly BudgetCharge[] {
  const first = chargeOf(found, 4);
  const rest = found[11] as string;
  if (rest === '') return [first];
  const all = [first];
  NEXT_CHARGE.lastIndex = 0;
  for (let next = NEXT_CHARGE.exec(rest); next !== null; next = NEXT_CHARGE.exec(rest)) all.push(chargeOf(next as unknown as Captured, 1));
  return all;
}

function chargeOf(found: Captured, at: number): BudgetCharge {
  const window: string | undefined = found[at + 6];
  const always = {
    cost: Number(found[at]),
    id: names.budget.own(found[at + 1] as string),
    key: names.budget.own(found[at + 2] as string),
    left: Number(found[at + 3]),
    limit: Number(found[at + 4]),
    per: found[at + 5] as BudgetCharge['per'],
  };
  return window === undefined ? always : { ...always, window_ms: Number(window) };
}

const NO_COMMITS: Commits = [];

function decisionCommits(args: string | undefined, facts: string | undefined, reason: string | undefined): Commits {
  if (facts === undefined) return commits('args', args, 'reason', reason);
  return [...commits('args', args, 'facts', facts), ...commits('reason', reason, '', undefined)];
}

function commits(one: string, first: string | undefined, other: string, second: string | undefined): Commits {
  if (first === undefined) return second === undefined ? NO_COMMITS : [[other, second]];
  return second === undefined
    ? [[one, first]]
    : [
        [one, first],
        [other, second],
      ];
}
