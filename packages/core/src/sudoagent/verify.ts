/**
 * Checks a ledger of SudoAgent 2.0, the predecessor: lines or rows chained by their hashes. Trusts nobody, like `verify/`.
 *
 *     source    lines of a file or rows of a database, bounded (lines.ts, rows.ts)
 *     chain     every entry canonical, its hash its own, naming the hash of the one before it
 *     keys      every entry signed, when keys are given
 *     history   what decisions, outcomes and approvals claim follows from those before them
 *     end       what the caller knows from elsewhere: nothing in this format can show that nothing was cut off
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { CountersignError } from '../errors.ts';
import { noCounts } from '../verify/history.ts';
import type { VerifyOptions } from '../verify/options.ts';
import { isDatabaseError } from '../verify/reading.ts';
import { Findings, type VerifyReport } from '../verify/report.ts';
import { unreadableReport } from '../verify/unreadable.ts';
import { Chain } from './chain.ts';
import { type ExpectedEnd, endOf, expectedEnd } from './end.ts';
import { SudoHistory } from './history.ts';
import { readSudoKeys } from './keys.ts';
import { openSudoSource } from './open.ts';
import { Signatures } from './signatures.ts';
import type { SudoContainer, SudoSource } from './source.ts';

export const SUDO_FORMAT = 'sudoagent-v2';

/**
 * Verifies a ledger file of the predecessor. Changes no byte of it; whatever is wrong with it is in the report.
 *
 * @throws {CountersignError} only for options: `KEY_INVALID`, `OPTIONS_INVALID`.
 */
export async function verifySudoLedger(path: string, container: SudoContainer, options: VerifyOptions = {}): Promise<VerifyReport> {
  if (options.against !== undefined)
    throw new CountersignError(
      'OPTIONS_INVALID',
      'against: ledgers of SudoAgent have no checkpoints; give the size and the last entry_hash',
    );
  const keys = readSudoKeys(options.publicKeys ?? []);
  const expected = expectedEnd(options.expectSize, options.expectHead);
  let source: SudoSource | undefined;
  try {
    source = openSudoSource(path, container);
    return await verifySource(source, new Signatures(keys), expected, options);
  } catch (error) {
    if (isDatabaseError(error)) return unreadableReport(SUDO_FORMAT, 'LEDGER_UNREADABLE', `the database is damaged (${error.code})`);
    if (CountersignError.is(error)) return unreadableReport(SUDO_FORMAT, error.code, error.message);
    throw error;
  } finally {
    source?.close();
  }
}

async function verifySource(
  source: SudoSource,
  signatures: Signatures,
  expected: ExpectedEnd | undefined,
  options: VerifyOptions,
): Promise<VerifyReport> {
  const strict = options.strict === true;
  const findings = new Findings();
  const history = new SudoHistory(findings);
  const chain = new Chain({ findings, history, signatures, strict, keepHashOf: expected?.size });
  for (const { code, message } of source.faults) findings.problem(0, code, message);
  for (const { code, message } of source.remarks) chain.notice(0, code, message);
  try {
    for (const rows of source.chunks()) {
      for (const row of rows) chain.take(row);
      await signatures.check(findings);
      options.onProgress?.(source.done, source.total);
      await nextTurn();
    }
  } catch (error) {
    if (!isDatabaseError(error)) throw error;
    findings.change(0, 'DATABASE_DAMAGED', `the database cannot be read after entry ${chain.entries} (${error.code})`);
  }
  history.finish();

  const end = endOf(expected, chain, findings);
  const isIntact = chain.entries > 0 && !findings.hasChanges;
  const authorship = signatures.authorship(isIntact, findings);
  const isShort =
    chain.entries === 0 ||
    (authorship !== 'proven' && (strict || signatures.hasKeys)) ||
    (end !== 'proven' && (strict || expected !== undefined));
  return {
    status: findings.count > 0 ? 'invalid' : isShort ? 'unproven' : 'valid',
    format: SUDO_FORMAT,
    entries: chain.entries,
    ...(chain.head !== undefined && { head: chain.head }),
    integrity: findings.hasChanges ? 'broken' : isIntact ? 'intact' : 'unknown',
    authorship,
    end,
    open_decisions: history.openDecisions,
    counts: { ...noCounts(), ...history.counts },
    forgotten: 0,
    warnings: findings.warnings(),
    problems: findings.problems(),
    problem_count: findings.count,
    ...(chain.from !== undefined && { from: chain.from }),
    ...(chain.to !== undefined && { to: chain.to }),
  };
}
