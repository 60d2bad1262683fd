/** The report about a ledger that could not be read at all. */
import { noCounts } from './history.ts';
import type { VerifyReport } from './report.ts';

/** @param format - as in reports of ledgers of that kind. */
export function unreadableReport(format: string, code: string, message: string): VerifyReport {
  return {
    status: 'unreadable',
    format,
    entries: 0,
    integrity: 'unknown',
    authorship: 'unchecked',
    end: 'unproven',
    open_decisions: 0,
    counts: noCounts(),
    forgotten: 0,
    warnings: [],
    problems: [{ entry: 0, code, message }],
    problem_count: 1,
  };
}
