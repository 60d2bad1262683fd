/**
 * What decisions and outcomes claim against those before them: every decision hash is the one its entry gives and stands
 * once, every outcome belongs to one allowed decision, an approval fits the call it allowed and is used once.
 *
 * References here are hashes. Memory: 21 bytes for each of the last million decisions (`verify/seen.ts`), and a record for each
 * decision that is open, of which a quarter of a million are kept.
 */
import type { VerifyCode } from '../verify/codes.ts';
import type { Findings } from '../verify/report.ts';
import { SeenIds } from '../verify/seen.ts';
import {
  decisionTextOf,
  type SudoApproval,
  type SudoDecision,
  type SudoEntry,
  type SudoOutcome,
  sha256,
  sliceOf,
  textOf,
} from './entry.ts';
import { microseconds } from './time.ts';

/** States of a decision. */
const DENIED = 1;
const OPEN = 2;
const SETTLED = 3;
/** Its entry was changed, which is reported there; nothing that leans on it is reported again. */
const SUSPECT = 4;
/** State of an approval id. */
const USED = 1;

const MAX_OPEN_KEPT = 262_144;
/** Ids are kept while a decision is open; a longer one is kept as its hash. */
const MAX_ID_KEPT = 128;

interface OpenDecision {
  readonly number: number;
  readonly requestId: string;
  readonly createdAt: string;
  /** The hash follows from the entry, so the one of an outcome must follow from it too. */
  readonly isBound: boolean;
}

export class SudoHistory {
  private readonly findings: Findings;
  private readonly decisions: SeenIds;
  private readonly approvals: SeenIds;
  private readonly open = new Map<string, OpenDecision>();
  private readonly maxOpen: number;
  /** What the newest allowed decision's hash is of. */
  private newest: string | undefined;
  private unreadable = false;
  private openDropped = 0;
  private openCount = 0;
  readonly counts = { decisions: 0, allowed: 0, refused: 0, approvals: 0, outcomes: 0, others: 0 };

  constructor(findings: Findings, maxSeen?: number, maxOpen: number = MAX_OPEN_KEPT) {
    this.findings = findings;
    this.decisions = new SeenIds(maxSeen);
    this.approvals = new SeenIds(maxSeen);
    this.maxOpen = maxOpen;
  }

  get openDecisions(): number {
    return this.openCount;
  }

  /** An entry that cannot be read: what seems to be missing later may have been it. */
  unread(): void {
    this.unreadable = true;
  }

  /** An entry that was changed, and can still be read. */
  suspect(decisionHash: string | undefined, number: number): void {
    if (decisionHash === undefined) this.unreadable = true;
    else if (this.decisions.get(decisionHash) === undefined) this.decisions.set(decisionHash, SUSPECT, number);
  }

  other(): void {
    this.counts.others++;
  }

  decision(number: number, parsed: SudoEntry, entry: SudoDecision): void {
    const { decisionHash, effect, approval } = entry;
    this.counts.decisions++;
    if (effect === 'allow') this.counts.allowed++;
    else this.counts.refused++;
    if (approval !== undefined) this.counts.approvals++;
    const known = this.decisions.get(decisionHash);
    if (known !== undefined) {
      if (known.state !== SUSPECT)
        this.problem(number, 'DECISION_REPEATED', `the decision hash is that of entry ${known.number}: one decision stands twice`);
      return;
    }
    const text = decisionTextOf(parsed, entry, entry.createdAt);
    const isBound = text !== undefined && sha256(text) === decisionHash;
    if (!isBound) {
      const what = 'the decision hash is not that of its request, action, parameters, agent, policy and time';
      this.problem(number, 'DECISION_HASH_MISMATCH', `${what}: one of them was changed`);
    }
    this.decisions.set(decisionHash, effect === 'allow' ? OPEN : DENIED, number);
    if (effect !== 'allow') return;
    this.newest = isBound ? text : undefined;
    this.keepOpen(number, entry, isBound);
    this.checkApproval(number, parsed, entry);
  }

  outcome(number: number, parsed: SudoEntry, entry: SudoOutcome): void {
    this.counts.outcomes++;
    const open = this.open.get(entry.decisionHash);
    if (open !== undefined) return this.settle(number, parsed, entry, open);
    const known = this.decisions.get(entry.decisionHash);
    if (known !== undefined) this.misplaced(number, entry, known);
    else if (this.unreadable) return;
    else if (this.openDropped > 0) this.uncompared(number);
    else this.problem(number, 'OUTCOME_WITHOUT_DECISION', `no decision before it has the hash that the outcome names${this.horizon()}`);
  }

  finish(): void {
    const { dropped } = this.decisions;
    if (dropped === 0) return;
    this.findings.warn(0, 'REPEATS_UNCHECKED', `a repeat of one of the first ${dropped} decisions would not have been noticed`);
  }

  private misplaced(number: number, { decisionHash }: SudoOutcome, { state, number: of }: { state: number; number: number }): void {
    switch (state) {
      case DENIED:
        return this.problem(number, 'OUTCOME_AFTER_DENY', `the call ran although entry ${of} denied it`);
      case SETTLED:
        return this.problem(number, 'OUTCOME_TWICE', `the decision of entry ${of} has an outcome already`);
      case OPEN:
        this.decisions.set(decisionHash, SETTLED, of);
        this.openCount--;
        return this.uncompared(number);
      default:
        return;
    }
  }

  private settle(number: number, parsed: SudoEntry, entry: SudoOutcome, open: OpenDecision): void {
    this.open.delete(entry.decisionHash);
    this.openCount--;
    this.decisions.set(entry.decisionHash, SETTLED, open.number);
    const named = `the outcome and its decision, entry ${open.number}, differ in`;
    if (kept(entry.requestId) !== open.requestId) return this.problem(number, 'OUTCOME_MISMATCH', `${named} request_id`);
    if (!open.isBound) return;
    const text = decisionTextOf(parsed, entry, open.createdAt);
    // Most outcomes follow their decision, and then need no hash.
    if (text !== undefined && text !== this.newest && sha256(text) !== entry.decisionHash)
      this.problem(number, 'OUTCOME_MISMATCH', `${named} action, parameters, agent or policy`);
  }

  private checkApproval(number: number, parsed: SudoEntry, entry: SudoDecision): void {
    const { approval, metadata } = entry;
    const wasAsked = textOf(metadata.get('policy_decision')) === 'require_approval' || metadata.has('approval_binding');
    if (approval === undefined) {
      if (wasAsked) this.problem(number, 'ALLOW_WITHOUT_APPROVAL', 'the policy asked for an approval, and the entry has none');
      return;
    }
    this.checkAnswer(number, approval, metadata.get('approved')?.kind);
    this.checkBinding(number, parsed, entry, approval);
    this.checkTimes(number, entry, approval);
    const approver = textOf(metadata.get('approver_id'));
    if (approver !== undefined && approver !== approval.approver)
      this.problem(number, 'APPROVAL_MISMATCH', 'the approval and its copy in the metadata name different approvers');
    if (approval.id === undefined) return this.problem(number, 'APPROVAL_UNPROVEN', 'the approval has no id');
    const id = sha256(approval.id);
    const used = this.approvals.get(id);
    if (used === undefined) this.approvals.set(id, USED, number);
    else this.problem(number, 'APPROVAL_REUSED', `the approval was used by entry ${used.number} already`);
  }

  private checkAnswer(number: number, { state }: SudoApproval, approved: string | undefined): void {
    if (state === 'denied' || approved === 'false')
      return this.problem(number, 'APPROVAL_WAS_DENIED', 'the call was allowed, and its approval was denied');
    if (state === 'expired') return this.problem(number, 'APPROVAL_EXPIRED', 'the call was allowed, and its approval had expired');
    if (state !== 'approved') this.problem(number, 'APPROVAL_UNPROVEN', 'the call was allowed, and its approval was not given');
  }

  private checkBinding(number: number, parsed: SudoEntry, entry: SudoDecision, { binding, bindingText }: SudoApproval): void {
    const copy = entry.metadata.get('approval_binding');
    if (copy !== undefined && sliceOf(parsed.text, copy) !== bindingText)
      this.problem(number, 'BINDING_MISMATCH', 'the approval and its copy in the metadata bind different calls');
    const { requestId, policyHash, decisionHash } = entry;
    const wanted = { request_id: requestId, policy_hash: policyHash, decision_hash: decisionHash };
    for (const [name, value] of Object.entries(wanted)) {
      if (textOf(binding?.get(name)) === value) continue;
      return this.problem(number, 'BINDING_MISMATCH', `the approval is not bound to this call: it differs in ${name}`);
    }
  }

  private checkTimes(number: number, { createdAt }: SudoDecision, approval: SudoApproval): void {
    const [decided, resolved, expires] = [createdAt, approval.resolvedAt, approval.expiresAt].map((text) =>
      text === undefined ? undefined : microseconds(text),
    );
    const isUnreadable = (text: string | undefined, time: number | undefined): boolean => text !== undefined && time === undefined;
    if (isUnreadable(approval.resolvedAt, resolved) || isUnreadable(approval.expiresAt, expires))
      return this.findings.warn(number, 'APPROVAL_TIMES_UNCHECKED', 'the times of the approval are not ISO 8601: lateness was not checked');
    if (expires === undefined) return;
    if (resolved !== undefined && resolved > expires)
      this.problem(number, 'APPROVAL_LATE', 'the answer came after the approval had expired');
    // The decision bears the time at which the call was made, so what expired before was not asked for it.
    if (decided !== undefined && decided > expires)
      this.problem(number, 'APPROVAL_EXPIRED', 'the approval had expired before the call was made');
  }

  private keepOpen(number: number, { decisionHash, createdAt, requestId }: SudoDecision, isBound: boolean): void {
    this.openCount++;
    const id = kept(requestId);
    // Pieces of one small text of their own: a piece of the entry would keep all of it in memory.
    const own = copyOf(`${decisionHash}${createdAt}${id}`);
    const time = decisionHash.length + createdAt.length;
    this.open.set(own.slice(0, decisionHash.length), {
      number,
      requestId: own.slice(time),
      createdAt: own.slice(decisionHash.length, time),
      isBound,
    });
    if (this.open.size <= this.maxOpen) return;
    this.open.delete(this.open.keys().next().value as string);
    this.openDropped++;
  }

  private uncompared(number: number): void {
    this.findings.warn(number, 'OUTCOME_UNCOMPARED', 'so many decisions are open that this outcome was not compared with its own');
  }

  private horizon(): string {
    return this.decisions.dropped === 0 ? '' : ', as far back as decisions were kept';
  }

  private problem(number: number, code: VerifyCode, message: string): void {
    this.findings.problem(number, code, message);
  }
}

/** Longer than any id that is kept as it is, so that the two cannot be mistaken for each other. */
function kept(id: string): string {
  return id.length <= MAX_ID_KEPT ? id : sha256(id).padEnd(MAX_ID_KEPT + 1);
}

function copyOf(text: string): string {
  return Buffer.from(text).toString();
}
