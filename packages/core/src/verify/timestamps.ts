/** The timestamps on the checkpoints that the entries confirm. */
import type { Timestamp, TimestampVerdict } from '../timestamp/line.ts';
import type { Findings } from './report.ts';

export class Timestamps {
  /** Checkpoints with timestamps that were not looked at, since no certificate was given. */
  unchecked = 0;
  private readonly newest = new Map<string, Timestamp>();

  add({ timestamps, unchecked }: TimestampVerdict): void {
    if (unchecked > 0) this.unchecked++;
    for (const each of timestamps) {
      const known = this.newest.get(each.tsa);
      if (known === undefined || known.size <= each.size) this.newest.set(each.tsa, each);
    }
  }

  /** The newest of each authority. */
  list(): readonly Timestamp[] {
    return [...this.newest.values()];
  }
}

/** @param what - names the checkpoint. */
export function tellTimestamps(what: string, { wrong, unknown }: TimestampVerdict, findings: Pick<Findings, 'problem' | 'warn'>): void {
  for (const why of wrong) findings.problem(0, 'TIMESTAMP_INVALID', `${what} has a timestamp that ${why}`);
  for (const why of unknown) findings.warn(0, 'TIMESTAMP_UNKNOWN', `${what} has a timestamp that ${why}`);
}
