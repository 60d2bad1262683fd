/**
 * The grant that a call may use in place of asking. What is found here is checked again in the transaction, all but who
 * gave it and whether the call meets its condition: keys and arguments are at hand only here.
 */
import { identifyApprover } from '../approval/answers.ts';
import { assuranceOf, isAssured } from '../approval/assurance.ts';
import { isSignedBy } from '../approval/statement.ts';
import type { EntryRef } from '../call.ts';
import type { Engine, Rules } from '../engine.ts';
import type { Judgement } from '../judge.ts';
import { parseEntry } from '../ledger/body.ts';
import type { Entry } from '../ledger/entry.ts';
import { compileCondition } from '../policy/conditions.ts';
import type { PreparedCall } from '../prepare.ts';
import type { GrantRow } from '../store-rows.ts';
import { grantStatement, grantStatementOf } from './statement.ts';

/** The grant a call is to use. */
export interface GrantInHand {
  readonly id: string;
  readonly entry: EntryRef;
}

type FindEngine = Pick<Engine, 'agent' | 'store' | 'keys' | 'maxGrantTtlMs' | 'authenticGrants' | 'report'>;

const MAX_REMEMBERED = 1000;

/** @param spent - grants the transaction turned down for this call. */
export async function findGrant(
  call: PreparedCall,
  judgement: Judgement,
  rules: Rules,
  engine: FindEngine,
  spent: ReadonlySet<string> = new Set(),
): Promise<GrantInHand | undefined> {
  // A grant is for one rule. Where several ask, or more than one person must agree, one person's word is not enough.
  if (judgement.asks > 1 || (judgement.terms.quorum ?? 1) > 1) return undefined;
  for (const row of await engine.store.openGrants()) {
    if (row.state !== 'open' || spent.has(row.id) || !isFor(row, call, judgement, rules, engine)) continue;
    if (!meetsTerms(row, judgement) || !(await isAuthentic(row, judgement, engine))) continue;
    if (meetsCondition(row, call, judgement, engine)) return { id: row.id, entry: row.entry };
  }
  return undefined;
}

function isFor(row: GrantRow, call: PreparedCall, { decision }: Judgement, { policy }: Rules, engine: FindEngine): boolean {
  return (
    row.agent === engine.agent &&
    (row.session === undefined || row.session === call.session) &&
    row.principal === call.principal &&
    row.tool.server === call.tool.server &&
    row.tool.name === call.tool.name &&
    row.tool.schema === call.tool.schema &&
    row.rule === decision.rule &&
    row.policyHash === policy.hash
  );
}

/** What the rule asks for now: the policy may be code, and ask for more from this call than from the one that was approved. */
function meetsTerms({ approver }: GrantRow, { terms }: Judgement): boolean {
  const assurance = assuranceOf(approver.method);
  if (assurance === undefined || assurance === 'low') return false;
  return terms.approvers?.includes(approver.id) !== false && isAssured(assurance, terms.assurance);
}

/** Entries never change, and keys not while the guard runs: what was found out once is so. */
async function isAuthentic(row: GrantRow, { decision }: Judgement, engine: FindEngine): Promise<boolean> {
  const { authenticGrants: known } = engine;
  const name = `${row.entry.of} ${row.entry.leaf}`;
  if (!known.has(name)) {
    if (known.size >= MAX_REMEMBERED) known.clear();
    known.set(name, await reasonAskedFor(row, engine));
  }
  // Policies that name no rule tell their reasons apart by code.
  return known.get(name) === decision.reasonCode;
}

/**
 * The reason code of the ask that a grant was given for, when it was given by whom it says: whoever holds the ledger's key
 * can write entries, and a name with a key gives grants by that key only.
 */
async function reasonAskedFor(row: GrantRow, engine: FindEngine): Promise<string | undefined> {
  if (row.expiresAtMs - row.givenAtMs > engine.maxGrantTtlMs) return undefined;
  const answer = await entryAt(row.answer, engine);
  if (answer?.kind !== 'approval' || answer.approval !== row.approval || answer.answer !== 'approve') return undefined;
  const { approver, signature } = answer;
  if (approver.id !== row.approver.id || approver.method !== row.approver.method) return undefined;
  const ask = await entryAt(answer.ask, engine);
  if (ask?.kind !== 'decision') return undefined;
  const { approval: id, agent, session, call, binds, expires_at: expiresAtMs } = answer;
  const claimed = { ...approver, ...(signature !== undefined && { signature }) };
  const who = identifyApprover(claimed, { id, agent, session, call, binds, expiresAtMs }, { answer: 'approve' }, engine.keys);
  if ('refused' in who || (approver.method === 'key' && !(await isSigned(row, engine)))) return undefined;
  return ask.reason_code;
}

async function isSigned(row: GrantRow, engine: FindEngine): Promise<boolean> {
  const granted = await entryAt(row.entry, engine);
  const vkey = engine.keys.get(row.approver.id);
  if (granted?.kind !== 'grant' || granted.event !== 'granted' || vkey === undefined) return false;
  return isSignedBy(vkey, grantStatement(grantStatementOf(granted)), granted.signature);
}

async function entryAt(ref: EntryRef, engine: FindEngine): Promise<Entry | undefined> {
  const text = await engine.store.entry(ref);
  return text === undefined ? undefined : parseEntry(text);
}

function meetsCondition(row: GrantRow, call: PreparedCall, { input }: Judgement, engine: FindEngine): boolean {
  if (!row.isConditional) return true;
  if (row.when === undefined) return false;
  try {
    return compileCondition(row.when, `grant ${row.id} when`)(input);
  } catch (error) {
    // It says nothing of this call, and nothing is granted.
    engine.report(error, { callId: call.callId, during: 'the condition of a grant' });
    return false;
  }
}
