/**
 * The two kinds nearly all entries are of, read in one pass: an ordinary decision and its outcome.
 *
 * Reading them this way is at once the parser, the canonical form and the shape: keys in their order, each at most once,
 * nothing between the tokens, strings without escapes, whole numbers in their one form. What is read is canonical and has the
 * shape (`shapes.ts`); what is not says nothing, and takes the long way. Bodies come from anybody: each byte is looked at
 * once, and long bodies are not tried.
 */
import type { BudgetCharge } from '../ledger/entry.ts';
import { leafDigest } from '../ledger/merkle.ts';
import { isOwnKey, type Payer } from './budgets.ts';
import type { PlainDecision, PlainOutcome } from './judged.ts';
import { type Literal, literal, MAX_SCANNED_CHARS, Names, Scanner } from './scanner.ts';

/** Tails remembered, each at most as long as a body. */
const MAX_TAILS = 256;
const ID_DIGITS = 32;
const HASH_DIGITS = 64;

// A body is well formed UTF-16, so what is no escape is written as it is.
const STRING = '[^"\\\\\\x00-\\x1f]*';
const TEXT = '[^"\\\\\\x00-\\x1f]+';
const TEXTS = `\\["${TEXT}"(?:,"${TEXT}")*\\]`;
const ID_HEX = `[0-9a-f]{${ID_DIGITS}}`;
const HASH_HEX = `[0-9a-f]{${HASH_DIGITS}}`;

/** How a decision ends: mostly the same for all calls of a tool in a session. No two parts can match the same text. */
const DECISION_TAIL = new RegExp(
  [
    `^,"kind":"decision",(?:"labels":(${TEXTS}),)?"mode":"(audit|confirm|enforce)","policy":\\{"hash":"(${HASH_HEX})","id":"(${TEXT})"`,
    `(?:,"version":"${STRING}")?\\},(?:"principal":"(${TEXT})",)?"reason_code":"${TEXT}",(?:"reason_commit":"(${HASH_HEX})",)?`,
    `(?:"redacted":${TEXTS},)?(?:"rule":"${TEXT}",)?"session":"(${TEXT})"(?:,"session_labels":(${TEXTS}))?,"tool":\\{"name":"(${TEXT})"(?:,"schema":"${TEXT}")?`,
    `(?:,"server":"(${TEXT})")?\\},"v":1,"would":"(allow|deny|require_approval)","writer":"(${ID_HEX})"\\}$`,
  ].join(''),
);

/** How an outcome ends. */
const OUTCOME_TAIL = new RegExp(`^,"session":"(${TEXT})","status":"(?:success|error|cancelled)","v":1,"writer":"(${ID_HEX})"\\}$`);

/** Commitment by section, those that are there. */
export type Commits = readonly (readonly [section: string, commit: string])[];

export interface Plain {
  readonly entry: PlainDecision | PlainOutcome;
  readonly commits: Commits;
}

const scanner = new Scanner();
// What is cut from a body is a view on the whole of it, and would keep it: names and ids are taken out of it.
const names = {
  agent: new Names(),
  session: new Names(),
  writer: new Names(),
  policy: new Names(),
  principal: new Names(),
  server: new Names(),
  tool: new Names(),
  budget: new Names(),
  key: new Names(),
  labels: new Names(),
};

/**
 * @param body - a text from anybody.
 * @returns `leaf`: its digest; `plain`: undefined when the text needs the long way.
 * @throws {CountersignError} `CANONICAL_INVALID` as `leafDigest` does.
 */
export function readBody(body: string): { readonly leaf: string; readonly plain: Plain | undefined } {
  if (body.length > MAX_SCANNED_CHARS || !body.isWellFormed()) return { leaf: leafDigest(body), plain: undefined };
  scanner.open(body);
  return { leaf: scanner.leaf(), plain: readPlain() };
}

function readPlain(): Plain | undefined {
  scanner.need(AGENT);
  const agent = scanner.name(names.agent);
  const args = commit(ARGS_COMMIT);
  scanner.need(AT);
  const at = scanner.count();
  const isAgain = scanner.take(ATTEMPT);
  if (isAgain) scanner.positive();
  const budgets = scanner.take(BUDGETS) ? charges() : undefined;
  scanner.need(CALL);
  const callAt = scanner.skipHex(ID_DIGITS);
  if (!scanner.take(DECISION)) return readDecision(agent, at, callAt, args, budgets);
  return args !== undefined || isAgain || budgets !== undefined ? undefined : readOutcome(agent, at, callAt);
}

const AGENT = literal('{"agent":"');
const ARGS_COMMIT = literal(',"args_commit":"');
const AT = literal(',"at":');
const ATTEMPT = literal(',"attempt":');
const BUDGETS = literal(',"budgets":[');
const CALL = literal(',"call":"');
const DECISION = literal(',"decision":{"leaf":"');
const ID = literal(',"id":"');

const EFFECT_ALLOW = literal(',"effect":"allow"');
const EFFECT_DENY = literal(',"effect":"deny"');
const FACTS_COMMIT = literal(',"facts_commit":"');

function readDecision(
  agent: string,
  at: number,
  callAt: number,
  args: string | undefined,
  budgets: readonly BudgetCharge[] | undefined,
): Plain | undefined {
  const effect = scanner.take(EFFECT_ALLOW) ? 'allow' : 'deny';
  if (effect === 'deny') scanner.need(EFFECT_DENY);
  const facts = commit(FACTS_COMMIT);
  scanner.need(ID);
  scanner.skipHex(ID_DIGITS);
  const tail = scanner.hasFailed ? undefined : decisionTails.read();
  if (tail === undefined) return undefined;
  const { given, mode, policy, principal, seen, session, tool, would, writer } = tail;
  if (budgets !== undefined && !budgets.every((charge) => isOwnKey(charge, { agent, principal, session, tool }))) return undefined;
  const call = scanner.copy(callAt, ID_DIGITS);
  const entry: PlainDecision = { kind: 'decision', agent, at, call, effect, mode, policy, session, would, writer, budgets, given, seen };
  return { entry, commits: decisionCommits(args, facts, tail.reasonCommit) };
}

const OF = literal(',"of":');
const DURATION = literal('},"duration_ms":');
const ERROR_COMMIT = literal(',"error_commit":"');
const ERROR_TYPE = literal(',"error_type":"');
const KIND_OUTCOME = literal(',"kind":"outcome"');
const LABELS = literal(',"labels":');
const TEXTS_BEGIN = literal('["');
const RESOURCES = literal(',"resources":{');
const RESULT_COMMIT = literal(',"result_commit":"');

function readOutcome(agent: string, at: number, callAt: number): Plain | undefined {
  const leaf = scanner.hex(HASH_DIGITS);
  scanner.need(OF);
  const of = scanner.count();
  scanner.need(DURATION);
  scanner.count();
  const error = commit(ERROR_COMMIT);
  if (scanner.take(ERROR_TYPE)) scanner.skipString();
  scanner.need(ID);
  scanner.skipHex(ID_DIGITS);
  scanner.need(KIND_OUTCOME);
  const given = scanner.take(LABELS) ? texts() : undefined;
  if (scanner.take(RESOURCES)) skipResources();
  const result = commit(RESULT_COMMIT);
  const tail = scanner.hasFailed ? undefined : outcomeTails.read();
  if (tail === undefined) return undefined;
  const call = scanner.slice(callAt, callAt + ID_DIGITS);
  const entry: PlainOutcome = {
    kind: 'outcome',
    agent,
    at,
    call,
    decision: { leaf, of },
    session: tail.session,
    writer: tail.writer,
    given,
  };
  return { entry, commits: commits('error', error, 'result', result) };
}

function commit(name: Literal): string | undefined {
  return scanner.take(name) ? scanner.hex(HASH_DIGITS) : undefined;
}

const NEXT_TEXT = literal(',"');
const END_OF_TEXTS = literal(']');

/** A list of texts, as it is written. */
function texts(): string {
  const { left } = scanner;
  scanner.need(TEXTS_BEGIN);
  do scanner.skipText();
  while (scanner.take(NEXT_TEXT));
  scanner.need(END_OF_TEXTS);
  return scanner.hasFailed ? '' : names.labels.own(scanner.sinceLeft(left));
}

const CPU = literal('"cpu_ms":');
const RSS = literal('"rss_bytes":');
const COMMA = literal(',');
const SAMPLES = literal('"samples":');
const OF_PROCESS = literal(',"scope":"process"}');
const OF_TREE = literal(',"scope":"tree"}');

function skipResources(): void {
  for (const figure of [CPU, RSS]) {
    if (!scanner.take(figure)) continue;
    scanner.skipDecimal();
    scanner.need(COMMA);
  }
  scanner.need(SAMPLES);
  scanner.count();
  if (!scanner.take(OF_PROCESS)) scanner.need(OF_TREE);
}

const COST = literal('{"cost":');
const KEY = literal(',"key":"');
const LEFT = literal(',"left":');
const LIMIT = literal(',"limit":');
const PER = literal(',"per":"');
const WINDOW = literal(',"window_ms":');
const END_OF_CHARGE = literal('}');
const NEXT_CHARGE = literal(',');
const PERS = (['agent', 'tool', 'session', 'principal', 'key'] as const).map((per) => ({ per, text: literal(`${per}"`) }));

/** From behind the bracket to the end of the list. */
function charges(): readonly BudgetCharge[] {
  const all = [charge()];
  while (scanner.take(NEXT_CHARGE)) all.push(charge());
  scanner.need(END_OF_TEXTS);
  return all;
}

function charge(): BudgetCharge {
  scanner.need(COST);
  const cost = scanner.count();
  scanner.need(ID);
  const id = scanner.name(names.budget);
  scanner.need(KEY);
  const key = scanner.name(names.key);
  scanner.need(LEFT);
  const left = scanner.integer();
  scanner.need(LIMIT);
  const limit = scanner.count();
  scanner.need(PER);
  const per = readPer();
  const hasWindow = scanner.take(WINDOW);
  const window = hasWindow ? scanner.positive() : 0;
  scanner.need(END_OF_CHARGE);
  return hasWindow ? { cost, id, key, left, limit, per, window_ms: window } : { cost, id, key, left, limit, per };
}

function readPer(): BudgetCharge['per'] {
  for (const { per, text } of PERS) if (scanner.take(text)) return per;
  scanner.fail();
  return 'agent';
}

/** Groups of alternatives that did not take part are undefined. */
type Captured = readonly [string, ...string[]] & { readonly [group: number]: string };

/** Tails seen lately, one of each length: comparing one is far cheaper than matching it again. */
class Tails<Tail extends object> {
  private readonly seen = new Map<number, { readonly text: Literal; readonly tail: Tail }>();
  private readonly pattern: RegExp;
  private readonly make: (found: Captured) => Tail;
  private readonly comesAgain: (tail: Tail) => boolean;

  constructor(pattern: RegExp, make: (found: Captured) => Tail, comesAgain: (tail: Tail) => boolean) {
    this.pattern = pattern;
    this.make = make;
    this.comesAgain = comesAgain;
  }

  /** What stands from where the scanner is to the end. */
  read(): Tail | undefined {
    const { left } = scanner;
    const known = this.seen.get(left);
    if (known !== undefined && scanner.take(known.text)) return known.tail;
    const text = scanner.rest();
    const found = this.pattern.exec(text) as unknown as Captured | null;
    if (found === null) return undefined;
    const tail = this.make(found);
    if (!this.comesAgain(tail)) return tail;
    if (this.seen.size >= MAX_TAILS) this.seen.clear();
    this.seen.set(left, { text: literal(text), tail });
    return tail;
  }
}

type DecisionTail = Pick<PlainDecision, 'given' | 'mode' | 'policy' | 'seen' | 'session' | 'would' | 'writer'> & {
  readonly principal: string | undefined;
  readonly reasonCommit: string | undefined;
  readonly tool: Payer['tool'];
};

const decisionTails = new Tails<DecisionTail>(
  DECISION_TAIL,
  (found) => ({
    given: found[1] && names.labels.own(found[1]),
    mode: found[2] as DecisionTail['mode'],
    policy: { hash: names.policy.own(found[3] as string), id: names.policy.own(found[4] as string) },
    principal: found[5] && names.principal.own(found[5]),
    reasonCommit: found[6],
    session: names.session.own(found[7] as string),
    seen: found[8] && names.labels.own(found[8]),
    tool: { name: names.tool.own(found[9] as string), ...(found[10] !== undefined && { server: names.server.own(found[10]) }) },
    would: found[11] as DecisionTail['would'],
    writer: names.writer.own(found[12] as string),
  }),
  // One with a commitment of its own does not.
  ({ reasonCommit }) => reasonCommit === undefined,
);

const outcomeTails = new Tails(
  OUTCOME_TAIL,
  (found) => ({ session: names.session.own(found[1] as string), writer: names.writer.own(found[2] as string) }),
  () => true,
);

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
