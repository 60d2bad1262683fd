/**
 * One entry of a SudoAgent 2.0 ledger: what of it is read, and the two hashes it carries.
 *
 *     entry_hash     SHA-256 of the entry's text with `entry_hash` null and `entry_signature` removed
 *     decision_hash  SHA-256 of {actor, decision_at, intent, parameters, policy_hash, request_id, resource, version}
 *
 * Version 2.0.0 writes the time of the decision as `created_at` of its entry, always, so the decision hash can be made again
 * from the entry alone. Both hashes are taken over pieces of the stored text: it is canonical, so nothing is written anew.
 */
import { hash } from 'node:crypto';
import { isHash } from '../ledger/merkle.ts';
import { parseSudoText, type SudoMembers, type SudoValue } from './text.ts';
import { isSudoTime } from './time.ts';

/** An entry that is canonical and carries the fields of the chain. Nothing in it is believed yet. */
export interface SudoEntry {
  readonly text: string;
  readonly members: SudoMembers;
  readonly entryHash: string;
  readonly prevHash: string | null;
  readonly signature: string | undefined;
}

/** @throws {CountersignError} `CANONICAL_INVALID` */
export function parseSudoEntry(text: string): SudoEntry | { readonly why: string } {
  const members = parseSudoText(text);
  const entryHash = textOf(members.get('entry_hash'));
  const prev = members.get('prev_entry_hash');
  const prevHash = prev?.kind === 'null' ? null : textOf(prev);
  const signature = members.get('entry_signature');
  if (!isHash(entryHash)) return { why: 'entry_hash is not 64 lower-case hex digits' };
  if (prevHash !== null && !isHash(prevHash)) return { why: 'prev_entry_hash is neither null nor 64 lower-case hex digits' };
  if (signature !== undefined && signature.kind !== 'string') return { why: 'entry_signature is not a text' };
  return { text, members, entryHash, prevHash, signature: textOf(signature) };
}

/** What `entry_hash` must be. */
export function entryHashOf({ text, members }: SudoEntry): string {
  const own = members.get('entry_hash') as SudoValue;
  const signature = members.get('entry_signature');
  if (signature === undefined) return sha256(`${text.slice(0, own.start)}null${text.slice(own.end)}`);
  const start = signature.start - SIGNATURE_NAME.length;
  // `entry_hash` stands before it, so a comma does too.
  return sha256(`${text.slice(0, own.start)}null${text.slice(own.end, start - 1)}${text.slice(signature.end)}`);
}

const SIGNATURE_NAME = '"entry_signature":';

/** What the entry of a decision or an outcome says, in the shape of its event. */
export interface SudoCall {
  readonly event: 'decision' | 'outcome';
  readonly createdAt: string;
  readonly requestId: string;
  readonly decisionHash: string;
  readonly blocks: SudoBlocks;
}

export interface SudoDecision extends SudoCall {
  readonly event: 'decision';
  readonly effect: 'allow' | 'deny';
  readonly policyHash: string;
  readonly approval: SudoApproval | undefined;
  /** The entry's metadata repeat the approval: that one was asked for, what it bound, and the answer. */
  readonly metadata: SudoMembers;
}

export interface SudoOutcome extends SudoCall {
  readonly event: 'outcome';
  readonly status: 'success' | 'error';
}

export interface SudoApproval {
  readonly id: string | undefined;
  readonly state: string;
  readonly createdAt: string | undefined;
  readonly resolvedAt: string | undefined;
  readonly expiresAt: string | undefined;
  readonly approver: string | undefined;
  readonly binding: SudoMembers | undefined;
  /** Text of the binding, to compare it with its copy. */
  readonly bindingText: string;
}

interface SudoBlocks {
  readonly decision: SudoMembers;
  readonly parameters: SudoMembers | undefined;
}

export type SudoShape =
  | { readonly kind: 'decision'; readonly entry: SudoDecision }
  | { readonly kind: 'outcome'; readonly entry: SudoOutcome }
  /** An event the format knows and version 2.0.0 never writes. */
  | { readonly kind: 'checkpoint'; readonly createdAt: string }
  | { readonly kind: 'version'; readonly why: string }
  | { readonly kind: 'malformed'; readonly why: string };

const VERSION = '2.0';

export function readSudoShape(parsed: SudoEntry): SudoShape {
  const { members } = parsed;
  for (const name of ['schema_version', 'ledger_version']) {
    const version = textOf(members.get(name));
    if (version !== VERSION)
      return { kind: 'version', why: `${name} is ${version === undefined ? 'not there' : 'another'}, not ${VERSION}` };
  }
  const createdAt = textOf(members.get('created_at'));
  if (createdAt === undefined || !isSudoTime(createdAt)) return malformed('created_at is no time in UTC with microseconds');
  const event = textOf(members.get('event'));
  if (event === 'checkpoint') return { kind: 'checkpoint', createdAt };
  if (event !== 'decision' && event !== 'outcome') return malformed('event is neither decision, outcome nor checkpoint');
  const requestId = textOf(members.get('request_id'));
  const decision = membersOf(members.get('decision'));
  const decisionHash = textOf(decision?.get('decision_hash'));
  for (const name of ['request_id', 'action', 'agent_id'])
    if (members.get(name)?.kind !== 'string') return malformed(`${name} is not a text`);
  if (requestId === undefined || decision === undefined) return malformed('decision is not an object');
  if (!isHash(decisionHash)) return malformed('decision.decision_hash is not 64 lower-case hex digits');
  const policyHash = textOf(decision.get('policy_hash'));
  if (policyHash === undefined) return malformed('decision.policy_hash is not a text');
  const parameters = members.get('parameters');
  if (parameters !== undefined && !areParameters(parameters)) return malformed('parameters are not args and kwargs');
  const call = { createdAt, requestId, decisionHash, blocks: { decision, parameters: membersOf(parameters) } };
  return event === 'outcome' ? outcomeShape(parsed, call) : decisionShape(parsed, { ...call, policyHash });
}

function outcomeShape({ members }: SudoEntry, call: Omit<SudoCall, 'event'>): SudoShape {
  const status = textOf(membersOf(members.get('outcome'))?.get('status'));
  if (status !== 'success' && status !== 'error') return malformed('outcome.status is neither success nor error');
  return { kind: 'outcome', entry: { ...call, event: 'outcome', status } };
}

function decisionShape(parsed: SudoEntry, call: Omit<SudoCall, 'event'> & { readonly policyHash: string }): SudoShape {
  const { members } = parsed;
  const effect = textOf(call.blocks.decision.get('effect'));
  if (effect !== 'allow' && effect !== 'deny') return malformed('decision.effect is neither allow nor deny');
  if (call.blocks.parameters === undefined) return malformed('a decision has no parameters');
  const approval = approvalOf(parsed);
  if (approval === 'malformed') return malformed('approval does not have its shape');
  const budget = members.get('budget');
  if (budget !== undefined && budget.kind !== 'null' && budget.kind !== 'object') return malformed('budget is neither null nor an object');
  const metadata = membersOf(members.get('metadata'));
  if (metadata === undefined) return malformed('metadata is not an object');
  return { kind: 'decision', entry: { ...call, event: 'decision', effect, approval, metadata } };
}

function approvalOf({ text, members }: SudoEntry): SudoApproval | undefined | 'malformed' {
  const block = members.get('approval');
  if (block === undefined || block.kind === 'null') return undefined;
  const fields = membersOf(block);
  const state = textOf(fields?.get('state'));
  if (fields === undefined || state === undefined) return 'malformed';
  for (const name of OPTIONAL_TEXTS) if (!isOptional(fields.get(name), 'string')) return 'malformed';
  const binding = fields.get('binding');
  if (!isOptional(binding, 'object')) return 'malformed';
  return {
    id: textOf(fields.get('approval_id')),
    state,
    createdAt: textOf(fields.get('created_at')),
    resolvedAt: textOf(fields.get('resolved_at')),
    expiresAt: textOf(fields.get('expires_at')),
    approver: textOf(fields.get('approver_id')),
    binding: membersOf(binding),
    bindingText: sliceOf(text, binding),
  };
}

const OPTIONAL_TEXTS = ['approval_id', 'approver_id', 'created_at', 'resolved_at', 'expires_at'];

/**
 * The text whose hash is the decision hash that the entry's action, agent, parameters, policy and request give.
 *
 * @param decisionAt - when it was decided: of an outcome, `created_at` of its decision. A time as `isSudoTime` knows it.
 * @returns undefined for an outcome that does not repeat the parameters.
 */
export function decisionTextOf({ text, members }: SudoEntry, { blocks }: SudoCall, decisionAt: string): string | undefined {
  const { parameters, decision } = blocks;
  if (parameters === undefined) return undefined;
  const of = (value: SudoValue | undefined): string => sliceOf(text, value);
  const action = of(members.get('action'));
  return (
    `{"actor":{"principal":${of(members.get('agent_id'))},"source":"python"},"decision_at":"${decisionAt}","intent":${action},` +
    `"parameters":{"args":${of(parameters.get('args'))},"kwargs":${of(parameters.get('kwargs'))}},` +
    `"policy_hash":${of(decision.get('policy_hash'))},"request_id":${of(members.get('request_id'))},` +
    `"resource":{"name":${action},"type":"function"},"version":"2.0"}`
  );
}

/** Fields that version 2.0.0 writes, and the one it declares. */
const KNOWN_FIELDS: ReadonlySet<string> = new Set([
  ...['action', 'agent_id', 'approval', 'budget', 'created_at', 'decision', 'entry_hash', 'entry_signature', 'event', 'key_id'],
  ...['ledger_version', 'metadata', 'outcome', 'parameters', 'prev_entry_hash', 'request_id', 'schema_version'],
]);

export function hasUnknownFields({ members }: SudoEntry): boolean {
  for (const name of members.keys()) if (!KNOWN_FIELDS.has(name)) return true;
  return false;
}

export function textOf(value: SudoValue | undefined): string | undefined {
  return value?.kind === 'string' ? value.text : undefined;
}

function membersOf(value: SudoValue | undefined): SudoMembers | undefined {
  return value?.kind === 'object' ? value.members : undefined;
}

export function sliceOf(text: string, value: SudoValue | undefined): string {
  return value === undefined ? '' : text.slice(value.start, value.end);
}

function areParameters(value: SudoValue): boolean {
  const members = membersOf(value);
  return members?.size === 2 && members.get('args')?.kind === 'array' && members.get('kwargs')?.kind === 'object';
}

function isOptional(value: SudoValue | undefined, kind: 'string' | 'object'): boolean {
  return value === undefined || value.kind === 'null' || value.kind === kind;
}

function malformed(why: string): SudoShape {
  return { kind: 'malformed', why };
}

export function sha256(text: string): string {
  return hash('sha256', text, 'hex');
}
