/** An approval as people see it, and what of it does not agree with the ledger entry that opened it. */
import { approvalRow, askFacts } from '../approval/row.ts';
import type { EntryRef } from '../call.ts';
import { parseEntry } from '../ledger/body.ts';
import { checkOpening } from '../ledger/commitment.ts';
import type { Entry, Opening } from '../ledger/entry.ts';
import { leafHash } from '../ledger/merkle.ts';
import type { ApprovalRow } from '../store-rows.ts';
import type { ApprovalRecord } from '../transaction/tx.ts';

export interface ApprovalView extends ApprovalRow {
  /**
   * What the row or the opening says differently from the entry: `tool`, `args` ... Empty when all agrees. Rows and
   * openings can be edited by whoever can write the file; nobody should approve on the strength of such a row.
   */
  readonly mismatches: readonly string[];
  /**
   * Of a question after a halt, looked at alone: the newest coverage level that went on record for its session since it was asked. Absent:
   * none did.
   */
  readonly coverageSince?: string;
}

/** What stands at the positions a row names. */
export interface ApprovalParts {
  /** Text of the entry at a 0-based position. */
  text(of: number): string | undefined;
  /** Beside the ask. */
  readonly opening: Opening | undefined;
  /** Beside the newest answer. */
  readonly answer: Opening | undefined;
  /** Beside the entry at a 0-based position. */
  openingAt(of: number): Opening | undefined;
}

/** More than any quorum; a row that claims more is not ours, and its entries are not looked up. */
const MAX_ANSWERS = 256;

export function approvalView(row: ApprovalRecord, parts: ApprovalParts, nowMs: number): ApprovalView {
  return {
    ...approvalRow(row, { ask: parts.opening, answer: parts.answer }, nowMs),
    ...askFacts(row.ask, { entry: (ref) => entryAt(ref, parts), opening: (of) => parts.openingAt(of) }),
    mismatches: mismatchesOf(row, parts),
  };
}

/** The newest answer, as far as a row that somebody may have edited has one. */
export function newestAnswer({ answers }: Pick<ApprovalRecord, 'answers'>): ApprovalRecord['answers'][number] | undefined {
  const given: unknown = Array.isArray(answers) ? answers.at(-1) : undefined;
  return isPlace(given) ? answers.at(-1) : undefined;
}

function isPlace(given: unknown): given is EntryRef {
  return typeof given === 'object' && given !== null && 'of' in given && Number.isSafeInteger(given.of);
}

function mismatchesOf(row: ApprovalRecord, parts: ApprovalParts): readonly string[] {
  const entry = entryAt(row.ask, parts);
  if (entry?.kind !== 'decision' || entry.effect !== 'require_approval' || entry.approval?.id !== row.id) return ['entry'];
  const claims: readonly (readonly [string, unknown, unknown])[] = [
    ['call', row.call, entry.call],
    ['agent', row.agent, entry.agent],
    ['session', row.session, entry.session],
    ['principal', row.principal, entry.principal],
    ['tool', toolText(row.tool), toolText(entry.tool)],
    ['rule', row.rule, entry.rule],
    ['reason_code', row.reasonCode, entry.reason_code],
    ['binds', row.binds, entry.binds],
    ['policy', row.policyHash, entry.policy.hash],
    ['expiry', row.expiresAtMs, entry.approval.expires_at],
    ['quorum', row.quorum, entry.approval.quorum],
    ['approvers', listText(row.approvers), listText(entry.approval.approvers)],
  ];
  const differing = claims.filter(([, said, recorded]) => said !== recorded).map(([name]) => name);
  const commits = {
    ...(entry.args_commit !== undefined && { args: entry.args_commit }),
    ...(entry.reason_commit !== undefined && { reason: entry.reason_commit }),
    ...(entry.facts_commit !== undefined && { facts: entry.facts_commit }),
  };
  return [
    ...differing,
    ...(parts.opening === undefined ? [] : checkOpening(commits, parts.opening)),
    ...(areRecorded(row, parts) ? answerMismatches(row, parts) : ['answers']),
    ...beforeMismatch(entry, parts),
  ];
}

/** True when each answer is another entry, and that entry gives this answer by this approver to this ask. */
function areRecorded(row: ApprovalRecord, parts: ApprovalParts): boolean {
  // Parsed from the row's JSON and nothing more: whoever can write the file chose its shape.
  const answers: unknown = row.answers;
  if (!Array.isArray(answers) || answers.length > MAX_ANSWERS) return false;
  // One entry named twice would look like two approvals.
  const positions = new Set(row.answers.map((given) => given?.of));
  return positions.size === answers.length && row.answers.every((given) => isRecorded(given, row, parts));
}

function isRecorded(given: ApprovalRecord['answers'][number], row: ApprovalRecord, parts: ApprovalParts): boolean {
  const entry = entryAt(given, parts);
  return (
    entry?.kind === 'approval' &&
    entry.approval === row.id &&
    entry.ask?.of === row.ask.of &&
    entry.ask.leaf === row.ask.leaf &&
    entry.binds === row.binds &&
    entry.approver?.id === given.approver &&
    entry.answer === given.answer &&
    (entry.args_commit !== undefined) === (given.edited === true)
  );
}

function answerMismatches(row: ApprovalRecord, parts: ApprovalParts): readonly string[] {
  const newest = newestAnswer(row);
  if (newest === undefined || parts.answer === undefined) return [];
  const entry = entryAt(newest, parts);
  if (entry?.kind !== 'approval') return ['answers'];
  const { args_commit: args, message_commit: message } = entry;
  return checkOpening({ ...(args !== undefined && { args }), ...(message !== undefined && { message }) }, parts.answer).map((section) =>
    section === 'args' ? 'edit' : section,
  );
}

/** The arguments as they were before a person edited them, which are shown for comparison. */
function beforeMismatch(entry: Extract<Entry, { readonly kind: 'decision' }>, parts: ApprovalParts): readonly string[] {
  if (entry.edited === undefined) return [];
  const answer = entryAt(entry.edited.answer, parts);
  const asked = answer?.kind === 'approval' ? entryAt(answer.ask, parts) : undefined;
  if (asked?.kind !== 'decision' || asked.call !== entry.edited.call) return ['edited'];
  const opening = parts.openingAt(answer?.kind === 'approval' ? answer.ask.of : -1);
  if (opening === undefined || asked.args_commit === undefined) return [];
  return checkOpening({ args: asked.args_commit }, { ...opening, sections: argsOf(opening) }).length > 0 ? ['edited'] : [];
}

function argsOf({ sections }: Opening): Opening['sections'] {
  return Object.hasOwn(sections, 'args') && sections['args'] !== undefined ? { args: sections['args'] } : {};
}

/** Undefined when nothing, something else or no entry stands there. */
function entryAt(ref: EntryRef | null, parts: ApprovalParts): Entry | undefined {
  if (ref === null || !Number.isSafeInteger(ref.of) || ref.of < 0) return undefined;
  const text = parts.text(ref.of);
  try {
    return text !== undefined && leafHash(text) === ref.leaf ? parseEntry(text) : undefined;
  } catch {
    return undefined;
  }
}

function toolText(tool: { readonly server?: string; readonly name: string }): string {
  return JSON.stringify([tool.server ?? null, tool.name]);
}

function listText(names: readonly string[] | undefined): string {
  return JSON.stringify(names ?? null);
}
