/** Whether the ledger ends where somebody outside knows it to end. A chain of hashes cannot show that its end was cut off. */
import { CountersignError } from '../errors.ts';
import { isHash } from '../ledger/merkle.ts';
import type { Findings, VerifyReport } from '../verify/report.ts';

/** A claim about the ledger that came from outside it. */
export interface ExpectedEnd {
  /** Absent: of all entries. */
  readonly size: number | undefined;
  /** `entry_hash` of the last of them. */
  readonly head: string | undefined;
}

/** @throws {CountersignError} `OPTIONS_INVALID` */
export function expectedEnd(size: number | undefined, head: string | undefined): ExpectedEnd | undefined {
  if (size === undefined && head === undefined) return undefined;
  if (size !== undefined && (!Number.isSafeInteger(size) || size < 0))
    throw new CountersignError('OPTIONS_INVALID', 'the expected size must be a whole number, 0 or more');
  if (head !== undefined && !isHash(head))
    throw new CountersignError('OPTIONS_INVALID', 'the expected head of a SudoAgent ledger is an entry_hash: 64 lower-case hex digits');
  return { size, head };
}

interface ReadEnd {
  readonly entries: number;
  readonly head: string | undefined;
  /** Hash of the entry of the expected size. */
  readonly kept: string | undefined;
}

export function endOf(expected: ExpectedEnd | undefined, read: ReadEnd, findings: Findings): VerifyReport['end'] {
  if (expected === undefined) return 'unproven';
  const { entries } = read;
  const { size = entries, head } = expected;
  if (size > entries) {
    const missing = `${size - entries} are missing at the end`;
    findings.problem(0, 'EXPECT_TRUNCATED', `the head expected has ${size} entries, the ledger ${entries}: ${missing}`);
    return 'contradicted';
  }
  const found = expected.size === undefined ? read.head : read.kept;
  if (head !== undefined && found !== head) {
    findings.problem(0, 'EXPECT_FORKED', size === 0 ? 'no entry has the hash expected' : `entry ${size} does not have the hash expected`);
    return 'contradicted';
  }
  if (size < entries)
    findings.warn(0, 'END_BEYOND_HEAD', `${entries - size} entries follow the head expected: nothing shows whether more followed them`);
  // A chain that is broken before its head does not lead to it.
  return findings.hasChanges && head !== undefined ? 'unproven' : 'proven';
}
