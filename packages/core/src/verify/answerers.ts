/** Whether those who answered are who the entries say. One for each kind of answer, which is told of in words of its own. */
import { foldApprover } from '../approval/approver-name.ts';
import { isSignedBy } from '../approval/statement.ts';
import type { ApproverIdentity } from '../ledger/entry.ts';
import { printable } from './shapes.ts';

export class Answerers {
  private readonly approvers: ReadonlyMap<string, string> | undefined;
  /** Folded names of those who have a key. */
  private readonly folded: ReadonlySet<string>;
  /** Answers by key whose signature could not be checked, for want of the key. */
  unchecked = 0;
  /** Answers that a guard with these keys would refuse: without the key of their name, or under an imitation of the name. */
  keyless = 0;

  /** @param approvers - names to verifier lines, as given to verify. */
  constructor(approvers: ReadonlyMap<string, string> | undefined) {
    this.approvers = approvers;
    this.folded = new Set([...(approvers?.keys() ?? [])].map(foldApprover));
  }

  /**
   * @param statement - what the approver signs; undefined when the entry lacks a part of it.
   * @returns what is wrong with the signature, for people.
   */
  signatureFlaw(
    { id, method }: Pick<ApproverIdentity, 'id' | 'method'>,
    signature: string | undefined,
    statement: () => Uint8Array | undefined,
  ): string | undefined {
    const vkey = this.approvers?.get(id);
    // The key may have been configured only later: worth telling, no contradiction.
    if (vkey === undefined ? this.folded.has(foldApprover(id)) : method !== 'key') this.keyless++;
    if (method !== 'key') return undefined;
    if (signature === undefined) return `${printable(id)} answers by key and did not sign`;
    if (vkey === undefined) {
      this.unchecked++;
      return undefined;
    }
    const signed = statement();
    return signed !== undefined && isSignedBy(vkey, signed, signature) ? undefined : `the signature of ${printable(id)} does not verify`;
  }
}
