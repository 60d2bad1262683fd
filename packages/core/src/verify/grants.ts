/**
 * Grants: that each was given with an approval, by whoever gave it, to what was asked about; and that each use of it was
 * one of those that were given.
 */

import { overclaim } from '../approval/assurance.ts';
import { grantStatement, grantStatementOf, revocationStatement } from '../grant/statement.ts';
import { MAX_GRANT_USES } from '../grant/terms.ts';
import type { GrantedBody, RevokedBody } from '../ledger/entry.ts';
import { Answerers } from './answerers.ts';
import type { VerifyCode } from './codes.ts';
import { difference, type EntryOf, names, type Placed } from './placed.ts';
import type { Findings } from './report.ts';

type GrantEntry = EntryOf<'grant'>;
type Granted = GrantEntry & GrantedBody;
type Revoked = GrantEntry & RevokedBody;

interface Given {
  readonly placed: Placed;
  readonly entry: Granted;
  /** Uses seen; undefined while earlier ones may not have been read. */
  uses: number | undefined;
  revokedBy: number | undefined;
}

/** An answer, and the ask it belongs to, as the approvals know them. */
export interface GivenAnswer {
  readonly placed: Placed;
  readonly entry: EntryOf<'approval'>;
  readonly ask: EntryOf<'decision'>;
  /** It says approve, and nothing is wrong with it. */
  readonly counts: boolean;
}

export class Grants {
  private readonly findings: Findings;
  private readonly suspect: (index: number) => void;
  readonly answerers: Answerers;
  private readonly given = new Map<string, Given>();
  private readonly ofApproval = new Map<string, Given>();

  constructor(findings: Findings, suspect: (index: number) => void, approvers: ReadonlyMap<string, string> | undefined) {
    this.findings = findings;
    this.suspect = suspect;
    this.answerers = new Answerers(approvers);
  }

  /** @param last - the answer read last. @param gaps - it may be among what could not be read. */
  granted(placed: Placed, entry: Granted, last: GivenAnswer | undefined, gaps: boolean): void {
    if (this.given.has(entry.grant)) return this.problem(placed, 'GRANT_ID_REUSED', `grant ${entry.grant} was given before`);
    const given: Given = { placed, entry, uses: 0, revokedBy: undefined };
    this.given.set(entry.grant, given);
    if (this.ofApproval.has(entry.approval.id))
      this.problem(placed, 'GRANT_WITHOUT_APPROVAL', `approval ${entry.approval.id} gave another grant before`);
    this.ofApproval.set(entry.approval.id, given);
    this.compareWithAnswer(placed, entry, last, gaps);
    if (entry.uses > MAX_GRANT_USES || entry.expires_at <= entry.at || isLow(entry))
      this.problem(placed, 'GRANT_TERMS', 'the grant is good for too many uses, for no time, or given with low assurance');
    this.checkSignature(placed, entry, () => grantStatement(grantStatementOf(entry)));
  }

  /** A grant from before what is read: it was checked when that was, and how often it was used since is not known. */
  recalled(placed: Placed, entry: Granted): void {
    const given: Given = { placed, entry, uses: undefined, revokedBy: undefined };
    this.given.set(entry.grant, given);
    this.ofApproval.set(entry.approval.id, given);
  }

  revoked(placed: Placed, entry: Revoked, gaps: boolean): void {
    this.checkSignature(placed, entry, () => revocationStatement({ agent: entry.agent, approver: entry.approver.id, grant: entry.grant }));
    const given = this.given.get(entry.grant);
    if (given === undefined) {
      if (!gaps) this.problem(placed, 'REVOKED_WITHOUT_GRANT', `no grant ${entry.grant} was given before`);
      return;
    }
    if (!names(entry.entry, given.placed)) this.mismatch(placed, entry.entry.of);
    const field = difference(['agent', 'session'], entry, given.entry);
    if (field !== undefined)
      this.problem(placed, 'GRANT_MISMATCH', `the revocation and its grant, entry ${given.placed.number}, differ in ${field}`);
    given.revokedBy ??= placed.number;
  }

  /** An approver took the approval back that a grant was given with, and so the grant. */
  denied(placed: Placed, approval: string): void {
    const given = this.ofApproval.get(approval);
    if (given !== undefined) given.revokedBy ??= placed.number;
  }

  /** An allow that names a grant. */
  use(placed: Placed, entry: EntryOf<'decision'>, gaps: boolean): void {
    const { id, entry: ref, use } = entry.grant as NonNullable<typeof entry.grant>;
    const given = this.given.get(id);
    if (given === undefined) {
      if (!gaps) this.problem(placed, 'ALLOW_WITHOUT_GRANT', `no grant ${id}, which allowed this call, was given before`);
      return;
    }
    if (!names(ref, given.placed)) this.mismatch(placed, ref.of);
    const granted = given.entry;
    const at = given.placed.number;
    const field =
      difference(
        granted.session === undefined ? ['agent', 'principal', 'rule'] : ['agent', 'session', 'principal', 'rule'],
        entry,
        granted,
      ) ??
      difference(['server', 'name', 'schema'], entry.tool, granted.tool) ??
      difference(['hash'], entry.policy, granted.policy);
    if (field !== undefined) this.problem(placed, 'GRANT_MISMATCH', `the call differs in ${field} from what entry ${at} granted`);
    if (entry.reason_code !== 'GRANT_USED')
      this.problem(placed, 'GRANT_MISMATCH', 'the call was allowed by a grant, and its reason code says otherwise');
    if (entry.at >= granted.expires_at)
      this.problem(placed, 'GRANT_EXPIRED', `the grant had expired ${entry.at - granted.expires_at} ms before it was used`);
    if (given.revokedBy !== undefined) this.problem(placed, 'GRANT_REVOKED', `entry ${given.revokedBy} had taken the grant back`);
    if (use > granted.uses) this.problem(placed, 'GRANT_OVERUSED', `this is use ${use} of a grant for ${granted.uses}`);
    const expected = (given.uses ?? use - 1) + 1;
    if (use !== expected) this.problem(placed, 'GRANT_USE_NUMBER', `this is said to be use ${use} of the grant, and it is use ${expected}`);
    given.uses = Math.max(use, expected);
  }

  finish(): void {
    const { unchecked } = this.answerers;
    if (unchecked === 0) return;
    const what = `${unchecked} grants or revocations are signed by approver keys that were not given`;
    this.findings.warn(0, 'APPROVER_UNCHECKED', `${what}: their signatures were not checked`);
  }

  private compareWithAnswer(placed: Placed, entry: Granted, last: GivenAnswer | undefined, gaps: boolean): void {
    const { id, answer: ref } = entry.approval;
    if (last === undefined || last.placed.index !== placed.index - 1 || ref.of !== placed.index - 1 || last.entry.approval !== id) {
      if (!gaps) this.problem(placed, 'GRANT_WITHOUT_APPROVAL', `the entry before the grant is no answer to approval ${id}`);
      return;
    }
    if (!names(ref, last.placed)) return this.mismatch(placed, ref.of);
    if (!last.counts) this.problem(placed, 'GRANT_WITHOUT_APPROVAL', 'the answer it was given with approves nothing');
    const { ask } = last;
    if ((ask.approval?.quorum ?? 1) !== 1) this.problem(placed, 'GRANT_TERMS', 'one approver gave a grant where several must approve');
    const field =
      difference(['agent', 'principal', 'rule'], entry, ask) ??
      (entry.session === undefined ? undefined : difference(['session'], entry, ask)) ??
      difference(['server', 'name', 'schema'], entry.tool, ask.tool) ??
      difference(['hash'], entry.policy, ask.policy) ??
      difference(['id', 'method', 'assurance'], entry.approver, last.entry.approver);
    if (field !== undefined) this.problem(placed, 'GRANT_MISMATCH', `the grant differs in ${field} from the approval it was given with`);
  }

  private checkSignature(placed: Placed, { approver, signature }: GrantEntry, statement: () => Uint8Array): void {
    const tooMuch = overclaim(approver);
    if (tooMuch !== undefined) this.problem(placed, 'APPROVER_ASSURANCE', tooMuch);
    const flaw = this.answerers.signatureFlaw(approver, signature, statement);
    if (flaw !== undefined) this.problem(placed, 'GRANT_SIGNATURE', flaw);
  }

  private mismatch(placed: Placed, of: number): void {
    this.problem(placed, 'REFERENCE_MISMATCH', `the entry it names, entry ${of + 1}, has another hash or place`);
    this.suspect(of);
  }

  private problem(placed: Placed, code: VerifyCode, message: string): void {
    this.findings.problem(placed.number, code, message);
  }
}

/** What the method is worth is fixed, whatever the entry says. */
function isLow({ approver }: Granted): boolean {
  return approver.assurance === 'low' || approver.method === 'elicitation';
}
