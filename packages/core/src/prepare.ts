/** Step 1: from whatever an adapter handed over to a call the guard can reason about. Everything in `call` may be hostile. */
import {
  type Declared,
  type EntryRef,
  type Json,
  MAX_REASON_CHARS,
  type RedactionFinding,
  type ToolAnnotations,
  type ToolCall,
  type ToolRef,
} from './call.ts';
import { callNames, type KeyedCall, ownedMatch } from './call-key.ts';
import { CountersignError } from './errors.ts';
import { newOrderedId } from './ledger/body.ts';
import { isClean, isName, isText, MAX_NAME_CHARS } from './names.ts';
import { captureArguments } from './redact/arguments.ts';
import type { Redactor } from './redact/redact.ts';
import { type CallScope, currentCall } from './scope.ts';
import type { Store } from './store.ts';

/** Longest title of a tool that is looked at; a longer one is cut. */
export const MAX_TITLE_CHARS = 256;
/** Declarations of one tool that a call may say its client was shown before. */
const MAX_DECLARED = 64;
/** Longest shown view, as JSON. */
export const MAX_SHOWN_CHARS = 8_388_608;
/** The redactor makes nothing more than eight times longer. */
const LARGE_ARGUMENTS_CHARS = MAX_SHOWN_CHARS / 8;

export interface PreparedCall extends KeyedCall {
  readonly callId: string;
  /** A private copy of the arguments: what the tool will be run with. */
  readonly args: unknown;
  /** The shown view: what policy, prompts and the ledger see. */
  readonly shown: Json;
  readonly findings: readonly RedactionFinding[];
  /** The framework's own. */
  readonly id: string | undefined;
  readonly attempt: number;
  readonly cost: number | undefined;
  /** Absent when the framework gives no id: repeats of such a call cannot be recognised. */
  readonly key: string | undefined;
  readonly match: string;
  /** The call was made by an edit: of which call, by which answer, and what was shown of it. */
  readonly edited?: { readonly call: string; readonly answer: EntryRef; readonly from: Json };
}

/** A call that cannot even be decided on, with what can safely be recorded of it. */
export interface UnusableCall {
  readonly callId: string;
  readonly tool: ToolRef;
  readonly session: string;
  readonly reasonCode: 'ARGUMENTS_INVALID' | 'REDACTION_FAILED';
  readonly reason: string;
}

export interface PrepareDeps {
  readonly agent: string;
  readonly session: string;
  readonly store: Pick<Store, 'mac' | 'nowMs'>;
  readonly redactor: Redactor;
}

/** @param costOf - works out the cost from the copied arguments, for wrapped tools that declare one. */
export function prepareCall(call: ToolCall, deps: PrepareDeps, costOf?: (args: unknown) => number): PreparedCall | UnusableCall {
  const callId = newOrderedId(deps.store.nowMs());
  const outer: Surroundings = currentCall() ?? { session: deps.session };
  let names: CallNames | string;
  let given: unknown;
  try {
    // Everything is read once: what was checked is what is used.
    names = readNames(call, outer, deps);
    given = call.args;
  } catch {
    names = 'the call could not be read';
  }
  const unusable = (reasonCode: UnusableCall['reasonCode'], reason: string): UnusableCall => {
    const { tool, session } = typeof names === 'string' ? { tool: { name: '[invalid]' }, session: outer.session } : names;
    return {
      callId,
      tool,
      session,
      reasonCode,
      reason: deps.redactor.text(reason.toWellFormed()).slice(0, MAX_REASON_CHARS).toWellFormed(),
    };
  };
  if (typeof names === 'string') return unusable('ARGUMENTS_INVALID', names);

  let captured: ReturnType<typeof captureArguments>;
  let cost: number | undefined;
  try {
    captured = captureArguments(given, deps.redactor);
    cost = costOf === undefined ? names.cost : costOf(captured.value);
  } catch (error) {
    return unusable('ARGUMENTS_INVALID', CountersignError.is(error) ? error.message : 'the arguments could not be read');
  }
  if (cost !== undefined && !(Number.isSafeInteger(cost) && cost >= 0)) {
    return unusable('ARGUMENTS_INVALID', 'cost must be a whole number of micro-units, 0 or more');
  }
  let redacted: ReturnType<Redactor['redact']>;
  try {
    redacted = deps.redactor.redact(captured.value);
  } catch {
    // The error may quote what it could not redact.
    return unusable('REDACTION_FAILED', 'the arguments could not be redacted');
  }
  // Placeholders may be longer than what they replace. Only large arguments can grow past what an opening holds.
  if (captured.exact.length > LARGE_ARGUMENTS_CHARS && JSON.stringify(redacted.shown).length > MAX_SHOWN_CHARS) {
    return unusable('ARGUMENTS_INVALID', `the arguments exceed ${MAX_SHOWN_CHARS} characters once secrets are replaced`);
  }

  const { tool, session, principal, id, turn, attempt } = names;
  const keyed: KeyedCall = { agent: deps.agent, session, principal, tool, exact: captured.exact };
  const mac = (text: string): string => deps.store.mac(text);
  return {
    ...keyed,
    callId,
    args: captured.value,
    shown: redacted.shown,
    findings: redacted.findings,
    id,
    attempt,
    cost,
    ...callNames(keyed, id === undefined ? undefined : { id, turn, attempt }, mac),
  };
}

/** The same call, asked for by one of several clients that share a session. @param adopt - as `AuthorizeOptions.adopt`. */
export function ownedBy<T extends PreparedCall | UnusableCall>(call: T, adopt: boolean | string | undefined, deps: PrepareDeps): T {
  if (typeof adopt !== 'string' || isUnusable(call)) return call;
  return { ...call, match: ownedMatch(call.match, adopt, (text) => deps.store.mac(text)) };
}

interface CallNames {
  readonly tool: ToolRef;
  readonly session: string;
  readonly principal: string | undefined;
  readonly id: string | undefined;
  readonly turn: string | undefined;
  readonly attempt: number;
  readonly cost: number | undefined;
}

/** What a call belongs to that names neither: the call it is made in, or the guard. */
type Surroundings = Pick<CallScope, 'session' | 'principal'>;

/** A copy of everything but the arguments, or what is wrong with it. Names go into every entry, so the ledger must be able to hold them. */
function readNames(call: ToolCall, outer: Surroundings, deps: PrepareDeps): CallNames | string {
  const { session = outer.session, principal = outer.principal, id, turn, attempt = 1, cost } = call;
  const tool = toolRef(call.tool, deps.redactor);
  const problem =
    problemWith('tool name', tool.name, deps) ??
    (tool.server === undefined ? undefined : problemWith('server name', tool.server, deps)) ??
    (tool.schema === undefined ? undefined : problemWith('schema digest', tool.schema, deps)) ??
    (session === undefined ? undefined : problemWith('session', session, deps)) ??
    (principal === undefined ? undefined : problemWith('principal', principal, deps));
  if (problem !== undefined) return problem;
  if (id !== undefined && !isText(id)) return `the framework id must be a string of 1 to ${MAX_NAME_CHARS} characters`;
  if (turn !== undefined && !isText(turn)) return `the turn must be a string of 1 to ${MAX_NAME_CHARS} characters`;
  if (!Number.isSafeInteger(attempt) || attempt < 1) return 'attempt must be a whole number from 1 on';
  return { tool, session, principal, id, turn, attempt, cost };
}

function problemWith(what: string, name: unknown, { redactor }: PrepareDeps): string | undefined {
  if (!isName(name)) return `the ${what} must be a string of 1 to ${MAX_NAME_CHARS} characters without control characters`;
  // A name stands in the entry itself, where nothing can erase it.
  return isClean(name, redactor) ? undefined : `the ${what} looks like a secret`;
}

export function isUnusable(call: PreparedCall | UnusableCall): call is UnusableCall {
  return 'reasonCode' in call;
}

/** A private copy with nothing but what we know: adapters pass through what servers declare. */
export function toolRef(tool: ToolRef, redactor: Pick<Redactor, 'text'>): ToolRef {
  const { server, name, schema } = tool;
  const annotations = annotationsOf(tool.annotations, redactor);
  const declared = declaredOf(tool.declared);
  const digest = schema ?? (typeof declared === 'object' ? declared.digest : undefined);
  const ref: { -readonly [Member in keyof ToolRef]: ToolRef[Member] } = { name };
  if (server !== undefined) ref.server = server;
  if (digest !== undefined) ref.schema = digest;
  if (annotations !== undefined) ref.annotations = annotations;
  if (declared !== undefined) ref.declared = declared;
  return ref;
}

const DIGEST_SHAPE = /^[0-9a-f]{64}$/;

/** What is no digest cannot be compared. */
function declaredOf(given: unknown): Declared | undefined {
  if (given === undefined || given === 'unlisted' || given === 'unpinnable') return given;
  if (typeof given !== 'object' || given === null) return 'unpinnable';
  const { digest, others = [] } = given as { readonly digest?: unknown; readonly others?: unknown };
  const isDigest = (each: unknown): each is string => typeof each === 'string' && DIGEST_SHAPE.test(each);
  if (!isDigest(digest) || !Array.isArray(others) || others.length > MAX_DECLARED || !others.every(isDigest)) return 'unpinnable';
  return others.length === 0 ? { digest } : { digest, others: [...others] };
}

const HINTS = ['readOnlyHint', 'destructiveHint', 'idempotentHint', 'openWorldHint'] as const;

/** They are recorded beside the decision. A hint that is no yes or no is none: a rule that needs it does not find it. */
function annotationsOf(given: unknown, redactor: Pick<Redactor, 'text'>): ToolAnnotations | undefined {
  if (typeof given !== 'object' || given === null) return undefined;
  const { title, ...hints } = given as Readonly<Record<string, unknown>>;
  const known = HINTS.flatMap((hint) => (typeof hints[hint] === 'boolean' ? [[hint, hints[hint]] as const] : []));
  if (typeof title !== 'string') return Object.fromEntries(known);
  const shown = redactor.text(title.slice(0, MAX_TITLE_CHARS).toWellFormed());
  return { ...Object.fromEntries(known), title: shown };
}
