/**
 * A call that one process decides and another settles: the hooks of a client, which are a process each.
 *
 *     process 1   authorize(call, { handOver })   the decision is durable, and the call kept under a name (`Custody`)
 *     process 2   takeOver(call)                  finds it by that name, and settles it
 *
 * The name is a MAC under the store's secret of agent, session and the framework's id, so it says nothing of what was asked
 * for: a call that comes back with other arguments than were decided on is found, and told apart. Who calls `takeOver` is
 * whoever can use the store; that a call ended, and how, is that process' word.
 */
import type { Decision, Permit } from './call.ts';
import { custodyName } from './call-key.ts';
import type { Engine, Rules } from './engine.ts';
import { CountersignError } from './errors.ts';
import { policyInput } from './judge.ts';
import { parseEntry } from './ledger/body.ts';
import type { DecisionBody, Entry } from './ledger/entry.ts';
import { createPermit } from './permit.ts';
import { FactRecorder } from './policy/facts.ts';
import { isUnusable, type PreparedCall, type UnusableCall } from './prepare.ts';
import type { CallRow } from './store-rows.ts';
import type { Custody } from './store-units.ts';

/** What is known of a call that somebody says has run. */
export type TakenOver =
  /** Decided and open: settle it. */
  | { readonly kind: 'permit'; readonly permit: Permit }
  /** Settled before, by an outcome that is signed, or this store's own; or the ledger is not signed. */
  | { readonly kind: 'settled'; readonly callId: string }
  /** Open under its id, and decided with other arguments, or for another tool. */
  | { readonly kind: 'changed'; readonly callId: string }
  /** Refused, or still waiting for a person. */
  | { readonly kind: 'refused'; readonly callId: string }
  /** Nobody decided it here. */
  | { readonly kind: 'unknown' };

/** Longest a call may outlive the process that decided it. */
export const MAX_HAND_OVER_MS: number = 7 * 24 * 60 * 60_000;

/** @throws {CountersignError} `OPTIONS_INVALID` for a call without an id, or a time that is none. */
export function custodyOf(call: PreparedCall, { forMs }: { readonly forMs: number }, engine: Engine): Custody {
  if (call.id === undefined) throw new CountersignError('OPTIONS_INVALID', 'handOver: a call without an id would not be found again');
  if (!Number.isSafeInteger(forMs) || forMs < 1 || forMs > MAX_HAND_OVER_MS)
    throw new CountersignError('OPTIONS_INVALID', `handOver: forMs must be whole milliseconds from 1 to ${MAX_HAND_OVER_MS}`);
  return { name: nameOf({ ...call, id: call.id }, engine), forMs };
}

/** As `Guard.takeOver`. */
export async function takeOver(call: PreparedCall | UnusableCall, rules: Rules, engine: Engine): Promise<TakenOver> {
  if (isUnusable(call) || call.id === undefined || call.key === undefined) return { kind: 'unknown' };
  const row = (await engine.store.inCustody(nameOf({ ...call, id: call.id }, engine))) ?? (await engine.store.callByKey(call.key));
  if (row === undefined || row.agent !== engine.agent || row.session !== call.session) return { kind: 'unknown' };
  // Whoever can write to the file, and has no key, must not make it look settled, or no rule would look at what it brought.
  const state = row.state === 'settled' && !(await isSettled(row, engine)) ? 'allowed' : row.state;
  switch (state) {
    case 'settled':
      return { kind: 'settled', callId: row.id };
    case 'asked':
    case 'denied':
      return { kind: 'refused', callId: row.id };
    case 'allowed':
    case 'unknown': {
      const decision = await allowOf(row, engine);
      if (decision === undefined) return { kind: 'unknown' };
      // Of an edited call too: its row has the match of the arguments that were decided on in the end.
      if (row.match !== call.match) return { kind: 'changed', callId: row.id };
      return { kind: 'permit', permit: await permitOf(call, row, decision, rules, engine) };
    }
  }
}

/**
 * The row says where to look. An outcome that stood unsigned may be anybody's: then this one's result is looked at too, and a
 * second word of an honest process is only put beside the first (`commit.ts`).
 */
async function isSettled({ id, outcome }: CallRow, { store }: Engine): Promise<boolean> {
  const text = outcome === undefined ? undefined : await store.entry(outcome);
  const entry = text === undefined ? undefined : parseEntry(text);
  if (outcome === undefined || entry?.kind !== 'outcome' || entry.call !== id) return false;
  return !(await store.stoodUnsigned(outcome));
}

/**
 * Rows say where to look: an outcome may only name a decision that stands in the tree. One that stood unsigned is taken too:
 * where the key signs later, so is what the process that decided wrote last. That it did, the ledger tells for ever.
 */
async function allowOf(row: CallRow, { store }: Engine): Promise<(Entry & DecisionBody) | undefined> {
  const text = await store.entry(row.decision);
  const entry = text === undefined ? undefined : parseEntry(text);
  if (entry?.kind !== 'decision' || entry.effect !== 'allow') return undefined;
  return entry.call === row.id && entry.session === row.session && entry.agent === row.agent ? entry : undefined;
}

async function permitOf(call: PreparedCall, row: CallRow, entry: Entry & DecisionBody, rules: Rules, engine: Engine): Promise<Permit> {
  const { policy } = rules.now();
  const session = await engine.store.session(row.session);
  const circumstances = { atMs: engine.store.nowMs(), recorder: new FactRecorder(), counts: undefined };
  const decision: Decision = {
    effect: 'allow',
    would: entry.would,
    reasonCode: entry.reason_code,
    ...(entry.rule !== undefined && { rule: entry.rule }),
  };
  const granted = {
    callId: row.id,
    session: row.session,
    decision,
    entry: row.decision,
    args: call.args,
    watch: undefined,
    story: undefined,
    policy,
    input: policyInput(call, session, circumstances, engine),
    decidedAtMs: entry.at,
  };
  return createPermit(granted, engine);
}

function nameOf(call: { readonly agent: string; readonly session: string; readonly id: string }, { store }: Engine): string {
  return custodyName(call, (text) => store.mac(text));
}
