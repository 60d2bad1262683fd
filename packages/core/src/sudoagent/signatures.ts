/** Signatures of entries, collected while they are read and checked together: a check takes longer than everything else. */
import type { Findings, VerifyReport } from '../verify/report.ts';
import { isSignedBy, type SudoKey } from './keys.ts';

interface Signed {
  readonly number: number;
  readonly entryHash: string;
  readonly signature: string | undefined;
}

export class Signatures {
  private readonly keys: readonly SudoKey[];
  private waiting: Signed[] = [];
  private signed = 0;
  private firstUnsigned: number | undefined;
  private isGood = true;

  constructor(keys: readonly SudoKey[]) {
    this.keys = keys;
  }

  get hasKeys(): boolean {
    return this.keys.length > 0;
  }

  take(number: number, entryHash: string, signature: string | undefined): void {
    if (signature === undefined) this.firstUnsigned ??= number;
    else this.signed++;
    if (this.hasKeys) this.waiting.push({ number, entryHash, signature });
  }

  /** Checks what was taken since, on the threads of Node's pool. */
  async check(findings: Findings): Promise<void> {
    const { waiting } = this;
    this.waiting = [];
    const answers = await Promise.all(
      waiting.map(
        async ({ number, entryHash, signature }) => signature !== undefined && (await isSignedBy(this.keys, number, entryHash, signature)),
      ),
    );
    for (const [index, { number, signature }] of waiting.entries()) {
      if (answers[index] === true) continue;
      this.isGood = false;
      if (signature === undefined) findings.problem(number, 'ENTRY_UNSIGNED', 'a key was given, and the entry is not signed');
      else findings.problem(number, 'ENTRY_SIGNATURE_INVALID', 'the signature of the entry is not by a key that was given');
    }
  }

  authorship(isIntact: boolean, findings: Findings): VerifyReport['authorship'] {
    if (this.signed === 0) return 'unsigned';
    if (!this.hasKeys) {
      if (this.firstUnsigned !== undefined)
        findings.warn(this.firstUnsigned, 'ENTRY_UNSIGNED', 'some entries are signed, this is the first that is not');
      return 'unchecked';
    }
    // Good signatures over hashes that are not of these entries, or in another order, say nothing about who wrote this.
    return this.isGood && isIntact ? 'proven' : 'failed';
  }
}
