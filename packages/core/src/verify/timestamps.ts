/** The timestamps on the checkpoints that the entries confirm. */
import type { Timestamp, TimestampVerdict } from '../timestamp/line.ts';
import type { Findings } from './report.ts';

export class Timestamps {
  /** Checkpoints with timestamps that were not looked at, since no certificate was given. */
  unchecked = 0;
  private readonly newest = new Map<string, Timestamp>();
  private readonly findings: Findings;
  /** By authorities that are not trusted. A ledger may have one on each checkpoint, so they are told together. */
  private unknown = 0;
  private whyUnknown = '';

  constructor(findings: Findings) {
    this.findings = findings;
  }

  /** @param what - names the checkpoint. */
  tell(what: string, { wrong, unknown }: TimestampVerdict): void {
    for (const why of wrong) this.findings.problem(0, 'TIMESTAMP_INVALID', `${what} has a timestamp that ${why}`);
    const [why] = unknown;
    if (why === undefined) return;
    if (this.unknown === 0) this.whyUnknown = `${what} has a timestamp that ${why}`;
    this.unknown++;
  }

  /** Once all were seen. */
  finish(isAsked: boolean): void {
    const more = this.unknown > 1 ? `, and so have ${this.unknown - 1} more` : '';
    if (this.unknown > 0) this.findings.warn(0, 'TIMESTAMP_UNKNOWN', `${this.whyUnknown}${more}`);
    if (isAsked && this.newest.size === 0)
      this.findings.warn(0, 'TIMESTAMP_MISSING', 'no checkpoint here has a timestamp that the certificates given vouch for');
  }

  add({ timestamps, unchecked }: TimestampVerdict): void {
    if (unchecked > 0) this.unchecked++;
    for (const each of timestamps) {
      const known = this.newest.get(each.tsa);
      // Of one checkpoint the earliest: whoever has it stamped again later hides nothing.
      const isBetter = known === undefined || known.size < each.size || (known.size === each.size && each.beforeMs < known.beforeMs);
      if (isBetter) this.newest.set(each.tsa, each);
    }
  }

  /** The newest of each authority. */
  list(): readonly Timestamp[] {
    return [...this.newest.values()];
  }
}
