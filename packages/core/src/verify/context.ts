/** What must stand before a decision: its policy, its session, its time, the key that signs. */
import { CountersignError } from '../errors.ts';
import { parseVerifierKey, type VerifierKey } from '../ledger/verifier-key.ts';
import { policyHash } from '../policy/hash.ts';
import type { Told } from './judged.ts';
import type { EntryOf, Placed } from './placed.ts';
import type { Findings } from './report.ts';
import { printable } from './shapes.ts';

const MAX_ROTATIONS = 1000;

export class Context {
  private readonly findings: Findings;
  private readonly policies = new Set<string>();
  /** Sessions that have an entry. */
  private readonly sessions = new Set<string>();
  private readonly lastOf = new Map<string, number>();
  private latest = 0;
  private key: VerifierKey | undefined;
  /** Rotations, in order: which key was announced where. The last `MAX_ROTATIONS`. */
  readonly rotations: { readonly index: number; readonly vkey: string }[] = [];
  /** Entries that stood unsigned when another writer went on after them. */
  adopted = 0;

  constructor(findings: Findings) {
    this.findings = findings;
  }

  time(placed: Placed, at: number, writer: string): void {
    if (at < (this.lastOf.get(writer) ?? 0)) {
      this.findings.problem(placed.number, 'TIME_BACKWARDS', 'the entry is older than one its writer made before it');
    } else if (at < this.latest) {
      this.findings.warn(placed.number, 'TIME_BACKWARDS', 'the entry is older than one that another writer made before it');
    }
    this.lastOf.set(writer, at);
    this.latest = Math.max(this.latest, at);
  }

  policy(placed: Placed, entry: EntryOf<'policy'>): void {
    const { hash } = entry.policy;
    if (policyHash(entry.document) !== hash) {
      this.findings.problem(
        placed.number,
        'POLICY_HASH_MISMATCH',
        `the document of policy ${printable(entry.policy.id)} does not have the hash it is recorded under`,
      );
      return;
    }
    this.policies.add(hash);
  }

  session({ session, scope }: EntryOf<'session'>): void {
    if (scope === undefined) this.sessions.add(session);
  }

  decision(placed: Placed, entry: Extract<Told, { readonly kind: 'decision' }>, gaps: boolean): void {
    if (!this.sessions.has(entry.session) && !gaps)
      this.findings.problem(placed.number, 'SESSION_NOT_STARTED', `session ${printable(entry.session)} has no entry before this decision`);
    if (!this.policies.has(entry.policy.hash) && !gaps)
      this.findings.problem(
        placed.number,
        'POLICY_UNRECORDED',
        `no entry before this decision holds the document of policy ${printable(entry.policy.id)}`,
      );
    if (entry.effect !== 'allow' || entry.mode === 'audit' || entry.would === 'allow') return;
    // In confirm mode the default deny becomes a question, so an approved allow may say `would: deny` there.
    if ((entry.approval === undefined && entry.grant === undefined) || (entry.would === 'deny' && entry.mode === 'enforce'))
      this.findings.problem(
        placed.number,
        'ALLOW_WITHOUT_APPROVAL',
        `the call was allowed in mode ${entry.mode}, policy said ${entry.would}`,
      );
  }

  announce(placed: Placed, entry: EntryOf<'key'>): void {
    try {
      this.key = parseVerifierKey(entry.vkey);
    } catch (error) {
      if (!CountersignError.is(error)) throw error;
      this.findings.problem(placed.number, 'KEY_ENTRY_INVALID', 'the entry holds no verifier line');
      return;
    }
    if (entry.event === 'first' && placed.index > 0)
      this.findings.problem(placed.number, 'KEY_ENTRY_INVALID', 'a first key is announced where entries stand before it');
    if (entry.event === 'rotated') {
      this.rotations.push({ index: placed.index, vkey: entry.vkey });
      if (this.rotations.length > MAX_ROTATIONS) this.rotations.shift();
    }
    if (entry.from > placed.index)
      this.findings.problem(
        placed.number,
        'KEY_ENTRY_INVALID',
        `the key is said to sign from size ${entry.from} on, before it is announced`,
      );
  }

  /** Signed over later, on record: whoever could write to the file may have added them. */
  unsignedTail(placed: Placed, { from, to }: EntryOf<'recovery'>): void {
    if (from === undefined || to === undefined || from >= to || to > placed.index) {
      this.findings.problem(placed.number, 'RECOVERY_MISMATCH', 'the unsigned entries it tells of are none before it');
      return;
    }
    this.adopted += to - from;
    this.findings.warn(
      placed.number,
      'TAIL_ADOPTED',
      `entries ${from + 1} to ${to} had no signature when their writer was gone: the later one does not show who wrote them`,
    );
  }

  /** Who signs should be who was announced. A key found in here is never trusted for it: this only tells of a difference. */
  finish(signatures: readonly { readonly name: string; readonly keyId: string }[], isPartial: boolean): void {
    const { key } = this;
    if (signatures.length === 0 || (isPartial && key === undefined)) return;
    if (key === undefined || !signatures.some((line) => line.name === key.name && line.keyId === key.keyId))
      this.findings.warn(0, 'KEY_NOT_ANNOUNCED', 'the newest checkpoint is not signed by the key that the last key entry announces');
  }
}
