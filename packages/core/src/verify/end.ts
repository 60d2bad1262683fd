/** Whether the ledger ends where somebody outside knows it to end. Nothing inside a ledger can show that. */
import { badSignature, type ExpectedHead, notByThem, type ReadCheckpoint } from './heads.ts';
import type { Integrity } from './integrity.ts';
import type { Findings, VerifyReport } from './report.ts';
import type { LedgerSource } from './source.ts';

type End = VerifyReport['end'];

interface KnownHead {
  readonly size: number;
  readonly root: string | undefined;
  readonly what: string;
  readonly truncated: 'AGAINST_TRUNCATED' | 'EXPECT_TRUNCATED';
  readonly forked: 'AGAINST_FORKED' | 'EXPECT_FORKED';
}

export interface EndQuestion {
  readonly against: ReadCheckpoint | undefined;
  readonly expected: ExpectedHead | undefined;
  readonly origin: string | undefined;
  /** A checkpoint given must be signed by a key that was given, if there are any. */
  readonly mustBeSigned: boolean;
}

/** Heads count up to their size: `proven` is that those entries are all there, and unchanged if a root is known. */
export function checkEnd(question: EndQuestion, integrity: Integrity, findings: Findings): End {
  const { against, expected } = question;
  const verdicts: End[] = [];
  if (against !== undefined) {
    const head = { ...against, what: 'the checkpoint given', truncated: 'AGAINST_TRUNCATED', forked: 'AGAINST_FORKED' } as const;
    verdicts.push(isUsable(against, question, findings) ? endAt(head, integrity, findings) : 'unproven');
  }
  if (expected !== undefined) {
    const { size = integrity.size, root } = expected;
    verdicts.push(
      endAt({ size, root, what: 'the head expected', truncated: 'EXPECT_TRUNCATED', forked: 'EXPECT_FORKED' }, integrity, findings),
    );
  }
  if (verdicts.includes('contradicted')) return 'contradicted';
  return verdicts.length > 0 && verdicts.every((verdict) => verdict === 'proven') ? 'proven' : 'unproven';
}

/** The checkpoint from which on entries were read must be of this log, too, and its entries the first of these. */
export function checkSince(
  { since, origin, mustBeSigned }: Omit<EndQuestion, 'against' | 'expected'> & { readonly since: ReadCheckpoint },
  integrity: Integrity,
  findings: Findings,
): void {
  const what = 'the checkpoint given as start';
  if (since.origin !== origin) findings.problem(0, 'SINCE_ORIGIN', `${what} is of the log ${since.origin}, not of this one`);
  const bad = badSignature(since.signature);
  if (bad !== undefined) findings.problem(0, 'SINCE_SIGNATURE', `${what} ${bad.message}`);
  else if (mustBeSigned && since.signature !== 'trusted') findings.problem(0, 'SINCE_SIGNATURE', `${what} ${notByThem(since)}`);
  const missing = since.size - integrity.size;
  if (missing > 0) findings.problem(0, 'SINCE_TRUNCATED', `${what} has ${since.size} entries: ${missing} are missing at the end`);
  else if (integrity.compare(since) === 'other')
    findings.problem(0, 'SINCE_FORKED', `the first ${since.size} entries are not those of ${what}`);
}

/** What this machine remembers of the ledger. No evidence, whoever can edit the ledger may edit that too: a reason to look. */
export interface LastSeen {
  /** What the container called the ledger. */
  readonly ledger: string;
  readonly size: number;
  /** 64 hex digits. */
  readonly root: string;
}

export function checkLastSeen(
  { ledger, size, root }: LastSeen,
  source: Pick<LedgerSource, 'ledgerId'>,
  integrity: Integrity,
  tell: (message: string) => void,
): void {
  const seen = 'this machine last saw at this path';
  if (ledger !== source.ledgerId) tell(`it is another ledger than the one ${seen}`);
  else if (size > integrity.size) tell(`the ledger that ${seen} had ${size} entries: ${size - integrity.size} are missing at the end`);
  else if (integrity.compare({ size, root }) === 'other') tell(`its first ${size} entries are not those that ${seen}`);
}

function isUsable(against: ReadCheckpoint, question: EndQuestion, findings: Findings): boolean {
  if (against.origin !== question.origin) {
    findings.problem(0, 'AGAINST_ORIGIN', `the checkpoint given is of the log ${against.origin}, not of this one`);
    return false;
  }
  const bad = badSignature(against.signature);
  if (bad !== undefined) {
    findings.problem(0, 'AGAINST_SIGNATURE', `the checkpoint given ${bad.message}`);
    return false;
  }
  if (question.mustBeSigned && against.signature !== 'trusted') {
    findings.problem(0, 'AGAINST_SIGNATURE', `the checkpoint given ${notByThem(against)}`);
    return false;
  }
  return true;
}

function endAt({ size, root, what, truncated, forked }: KnownHead, integrity: Integrity, findings: Findings): End {
  const entries = integrity.size;
  if (size > entries) {
    findings.problem(0, truncated, `${what} has ${size} entries, the ledger ${entries}: ${size - entries} are missing at the end`);
    return 'contradicted';
  }
  const verdict = root === undefined ? 'same' : integrity.compare({ size, root });
  if (verdict === 'unknown') return 'unproven';
  if (verdict === 'other') {
    findings.problem(0, forked, `the first ${size} entries are not those of ${what}`);
    return 'contradicted';
  }
  if (size < entries)
    findings.warn(0, 'END_BEYOND_HEAD', `${entries - size} entries follow ${what}: nothing shows whether more followed them`);
  return 'proven';
}
