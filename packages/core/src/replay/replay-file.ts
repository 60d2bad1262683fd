import { containerFormat } from '../container/format.ts';
import { openContainer } from '../container/open-source.ts';
import { CountersignError } from '../errors.ts';
import { type ReplayOptions, replayLedger } from './replay.ts';
import type { ReplayReport } from './report.ts';

/**
 * Every past decision of a ledger under another policy: see `replay.ts` for what the numbers mean. Changes no byte.
 *
 * @param path - a ledger, a mirror, or an export with openings.
 * @throws {CountersignError} `LEDGER_NOT_FOUND`, `LEDGER_UNREADABLE`, `LEDGER_VERSION` (also for ledgers of SudoAgent, which
 *   do not hold what a policy saw).
 */
export async function replayDecisions(path: string, options: ReplayOptions): Promise<ReplayReport> {
  if (containerFormat(path).startsWith('sudoagent'))
    throw new CountersignError('LEDGER_VERSION', 'a ledger of SudoAgent does not hold what a policy saw: its decisions cannot be replayed');
  const source = openContainer(path);
  try {
    return await replayLedger(source, options);
  } finally {
    source.close();
  }
}
