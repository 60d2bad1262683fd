/**
 * Ask, answers, allow: that each approved call was asked for, answered by enough people in time, for exactly this call
 * under exactly this policy, and used once.
 */

import { foldApprover } from '../approval/approver-name.ts';
import { isAssured, overclaim } from '../approval/assurance.ts';
import { approvalStatement, statementOf } from '../approval/statement.ts';
import { Answerers } from './answerers.ts';
import type { VerifyCode } from './codes.ts';
import { Edits } from './edits.ts';
import type { GivenAnswer } from './grants.ts';
import { difference, type EntryOf, names, type Placed } from './placed.ts';
import type { Findings } from './report.ts';
import { SeenIds } from './seen.ts';
import { printable } from './shapes.ts';

interface Answer {
  readonly placed: Placed;
  readonly approver: string;
  readonly answer: 'approve' | 'deny';
  /** An approval that counts: it says approve, and nothing is wrong with it. */
  readonly counts: boolean;
}

interface Ask {
  readonly placed: Placed;
  readonly entry: EntryOf<'decision'>;
  readonly expiresAt: number;
  /** Hash of the shown arguments, when they are there. */
  readonly shown: string | undefined;
  readonly answers: Answer[];
  denied: boolean;
}

/** A used approval needs no more than its place: a second use is all that can still happen to it. */
type Used = { readonly usedBy: number };

/** State of a call that a person denied. */
const DENIED = 1;

export class Approvals {
  readonly edits: Edits;
  private readonly findings: Findings;
  private readonly suspect: (index: number) => void;
  readonly answerers: Answerers;
  private readonly asks = new Map<string, Ask | Used>();
  /** Calls that a person denied or edited: policy may come to allow them, and they do not run. */
  private readonly denied = new SeenIds();
  private isAnyDenied = false;
  /** The answer read last, when it belongs to an ask that was not used yet. */
  last: GivenAnswer | undefined;

  constructor(findings: Findings, suspect: (index: number) => void, approvers: ReadonlyMap<string, string> | undefined) {
    this.findings = findings;
    this.suspect = suspect;
    this.edits = new Edits(findings, suspect);
    this.answerers = new Answerers(approvers);
  }

  ask(placed: Placed, entry: EntryOf<'decision'>, shown: string | undefined): void {
    const { id, expires_at: expiresAt, quorum } = entry.approval ?? {};
    if (id === undefined || expiresAt === undefined || quorum === undefined || entry.binds === undefined) {
      return this.problem(
        placed,
        'ASK_INCOMPLETE',
        'the decision asks for an approval and does not say for which, until when, by how many, or what it binds',
      );
    }
    if (this.asks.has(id)) return this.problem(placed, 'APPROVAL_ID_REUSED', `approval ${id} was asked for before`);
    if (expiresAt <= entry.at) this.problem(placed, 'ASK_INCOMPLETE', 'the approval expires before it is asked for');
    this.asks.set(id, { placed, entry, expiresAt, shown, answers: [], denied: false });
  }

  /** @param shown - hash of the arguments it proposes, when they are there. */
  answer(placed: Placed, entry: EntryOf<'approval'>, shown: string | undefined, gaps: boolean): void {
    const ask = this.asks.get(entry.approval);
    if (ask === undefined) {
      if (!gaps) this.problem(placed, 'APPROVAL_WITHOUT_ASK', `nobody asked for approval ${entry.approval} before`);
      return;
    }
    if ('usedBy' in ask) return this.problem(placed, 'ANSWER_AFTER_USE', `the approval was used by entry ${ask.usedBy} before this answer`);
    const flaw = this.flawOf(placed, entry, ask);
    const by = entry.approver.id;
    if (flaw === undefined && ask.denied) this.problem(placed, 'ANSWER_AFTER_DENIAL', 'the approval was denied before this answer');
    ask.denied ||= entry.answer === 'deny';
    if (ask.denied) {
      this.denied.set(ask.entry.call, DENIED, placed.number);
      this.isAnyDenied = true;
    }
    if (entry.args_commit !== undefined) this.edits.proposed(placed, entry, ask.entry, shown);
    const counts = flaw === undefined && entry.answer === 'approve';
    ask.answers.push({ placed, approver: by, answer: entry.answer, counts });
    this.last = { placed, entry, ask: ask.entry, counts };
  }

  /** An allow that names no approval. */
  allow(placed: Placed, call: string): void {
    const denied = this.isAnyDenied ? this.denied.get(call) : undefined;
    if (denied !== undefined) this.problem(placed, 'APPROVAL_WAS_DENIED', `an approver had denied this call in entry ${denied.number}`);
  }

  /** Position of the entry that asked for an approval that was not used yet; undefined where that was not read. */
  askedAt(approval: string): number | undefined {
    const ask = this.asks.get(approval);
    return ask === undefined || 'usedBy' in ask ? undefined : ask.placed.index;
  }

  /** An allow that names an approval. */
  use(placed: Placed, entry: EntryOf<'decision'>, shown: string | undefined, gaps: boolean): void {
    const id = entry.approval?.id ?? '';
    const ask = this.asks.get(id);
    if (ask === undefined) {
      if (!gaps) this.problem(placed, 'ALLOW_WITHOUT_ASK', `nobody asked for approval ${id}, which allowed this call`);
      return;
    }
    if ('usedBy' in ask) return this.problem(placed, 'APPROVAL_REUSED', `approval ${id} was used by entry ${ask.usedBy} before`);
    this.asks.set(id, { usedBy: placed.number });
    const field =
      difference(['call', 'session', 'agent', 'principal'], entry, ask.entry) ??
      difference(['server', 'name', 'schema'], entry.tool, ask.entry.tool);
    if (field !== undefined)
      this.problem(
        placed,
        'APPROVAL_MISMATCH',
        `the call differs in ${field} from the one that was asked for in entry ${ask.placed.number}`,
      );
    else if (entry.binds !== ask.entry.binds)
      this.problem(placed, 'BINDING_MISMATCH', `the call is not bound to what was asked for in entry ${ask.placed.number}`);
    if (entry.policy.hash !== ask.entry.policy.hash)
      this.problem(placed, 'APPROVAL_POLICY_CHANGED', `the policy is another than when entry ${ask.placed.number} asked`);
    if (entry.at >= ask.expiresAt)
      this.problem(placed, 'APPROVAL_EXPIRED', `the approval had expired ${entry.at - ask.expiresAt} ms before it was used`);
    if (ask.denied) this.problem(placed, 'APPROVAL_WAS_DENIED', 'an approver had denied this call');
    // An answer that cannot be read is reported where it stands.
    if (!gaps) this.countAnswers(placed, entry, ask);
    if (shown !== undefined && ask.shown !== undefined && shown !== ask.shown) {
      this.findings.warn(
        placed.number,
        'SHOWN_DIFFERS',
        `the arguments shown here are not those shown in entry ${ask.placed.number}: was redaction changed in between?`,
      );
    }
  }

  finish(): void {
    const { unchecked, keyless } = this.answerers;
    if (unchecked > 0)
      this.findings.warn(
        0,
        'APPROVER_UNCHECKED',
        `${unchecked} answers are signed by approver keys that were not given: their signatures were not checked`,
      );
    if (keyless > 0)
      this.findings.warn(
        0,
        'APPROVER_METHOD',
        `${keyless} answers by approvers who have a key, or under names that imitate theirs, were given without it`,
      );
  }

  private countAnswers(placed: Placed, entry: EntryOf<'decision'>, ask: Ask): void {
    const approvedBy = new Set<string>();
    for (const ref of entry.approval?.answers ?? []) {
      const answer = ask.answers.find((given) => given.placed.index === ref.of);
      if (answer === undefined) {
        this.problem(placed, 'APPROVAL_UNPROVEN', `entry ${ref.of + 1} is no answer to this approval`);
      } else if (!names(ref, answer.placed)) {
        this.mismatch(placed, ref.of, 'answer');
      } else if (answer.counts) {
        approvedBy.add(foldApprover(answer.approver));
      }
    }
    const quorum = ask.entry.approval?.quorum ?? 1;
    if (approvedBy.size < quorum)
      this.problem(placed, 'QUORUM_NOT_MET', `${approvedBy.size} approvers approved this call, ${quorum} were needed`);
  }

  /** Reports what is wrong with an answer. One with a flaw counts for nothing. */
  private flawOf(placed: Placed, entry: EntryOf<'approval'>, ask: Ask): VerifyCode | undefined {
    const flaws: [VerifyCode, string][] = [];
    if (entry.ask.of !== ask.placed.index || entry.ask.leaf !== ask.placed.leaf) {
      this.mismatch(placed, ask.placed.index, 'ask');
      return 'REFERENCE_MISMATCH';
    }
    const asked = ask.entry;
    const field =
      difference(['call', 'session', 'agent', 'binds'], entry, asked) ?? (entry.expires_at === ask.expiresAt ? undefined : 'expires_at');
    if (field !== undefined) flaws.push(['APPROVAL_MISMATCH', `the answer and its ask, entry ${ask.placed.number}, differ in ${field}`]);
    if (entry.at >= ask.expiresAt)
      flaws.push(['APPROVAL_LATE', `the answer came ${entry.at - ask.expiresAt} ms after the approval had expired`]);
    const by = entry.approver.id;
    if (asked.approval?.approvers?.includes(by) === false)
      flaws.push(['APPROVER_NOT_LISTED', `${printable(by)} is not among those who may answer`]);
    const { assurance } = entry.approver;
    const tooMuch = overclaim(entry.approver);
    if (tooMuch !== undefined) flaws.push(['APPROVER_ASSURANCE', tooMuch]);
    else if ((entry.answer === 'approve' || entry.args_commit !== undefined) && !isAssured(assurance, asked.approval?.assurance))
      flaws.push(['APPROVER_ASSURANCE', `the answer has ${assurance} assurance, ${asked.approval?.assurance} was asked for`]);
    const before = ask.answers.filter((given) => foldApprover(given.approver) === foldApprover(by));
    // Whoever approved may take it back before it is used; nobody says the same thing twice, or comes round to it.
    if (before.length > 0 && (entry.answer === 'approve' || before.some((given) => given.answer === 'deny')))
      flaws.push(['APPROVER_TWICE', `${printable(by)} has answered this approval before`]);
    const signature = this.signatureFlaw(entry);
    if (signature !== undefined) flaws.push(['APPROVAL_SIGNATURE', signature]);
    for (const [code, message] of flaws) this.problem(placed, code, message);
    return flaws[0]?.[0];
  }

  private signatureFlaw({ approver, signature, answer, args_commit: argsCommit, ...entry }: EntryOf<'approval'>): string | undefined {
    const { approval, agent, session, call, binds, expires_at: expiresAtMs } = entry;
    const given = { answer, ...(argsCommit !== undefined && { argsCommit }) };
    return this.answerers.signatureFlaw(approver, signature, () =>
      approvalStatement(statementOf({ id: approval, agent, session, call, binds, expiresAtMs }, given, approver.id)),
    );
  }

  private mismatch(placed: Placed, of: number, what: string): void {
    this.problem(placed, 'REFERENCE_MISMATCH', `the ${what} it names, entry ${of + 1}, has another hash or place`);
    this.suspect(of);
  }

  private problem(placed: Placed, code: VerifyCode, message: string): void {
    this.findings.problem(placed.number, code, message);
  }
}
