/**
 * Checks a receipt, without a ledger and trusting nobody: the keys the caller brings decide.
 *
 *     form         canonical JSON of exactly the known members
 *     checkpoint   one for all entries; which log, and who signed
 *     inclusion    each entry is in the tree the checkpoint is of
 *     entry        canonical, of the shape of its kind
 *     outcome      belongs to this decision and no other
 *     clear text   is what the entry commits to
 */
import { CountersignError } from '../errors.ts';
import { isLogKey, type KeyRule, keyRules, type TrustedKey } from '../ledger/key-rules.ts';
import type { TlogProof } from '../ledger/tlog-proof.ts';
import { parseTsaCertificates, type TsaCertificate } from '../timestamp/certificate.ts';
import { badSignature, notByThem, type ReadCheckpoint, readCheckpoint } from '../verify/heads.ts';
import { isoTime } from '../verify/iso-time.ts';
import { difference } from '../verify/placed.ts';
import { printable } from '../verify/shapes.ts';
import { readClearText } from './clear-text.ts';
import type { ReceiptCode } from './codes.ts';
import { parseReceipt, type Receipt } from './format.ts';
import { type ReadPart, readPart, readProof } from './part.ts';
import { type ReceiptEntry, ReceiptFindings, type ReceiptReport, receiptEntry } from './report.ts';

export interface CheckReceiptOptions {
  /** Keys whose signature counts, as verifier lines or with limits; those of witnesses tell who saw the log. */
  readonly publicKeys?: readonly (string | TrustedKey)[];
  /** Certificates of timestamp authorities, or of who vouches for them, as PEM text. */
  readonly tsaCertificates?: readonly string[];
  /** The log this entry must be of. */
  readonly origin?: string;
}

/**
 * Checks a receipt. Whatever is wrong with it is in the report.
 *
 * @param receipt - the text, or the bytes of the file; from anyone.
 * @throws {CountersignError} only for the options: `KEY_INVALID`, `OPTIONS_INVALID`
 */
export function checkReceipt(receipt: string | Uint8Array, options: CheckReceiptOptions = {}): ReceiptReport {
  const keys = keyRules(options.publicKeys ?? []);
  const tsa = parseTsaCertificates(options.tsaCertificates ?? []);
  const findings = new ReceiptFindings();
  const parsed = parseReceipt(receipt);
  if ('code' in parsed) {
    findings.problem('receipt', parsed.code, parsed.message);
    return report(findings, keys, undefined, {});
  }
  const proof = readProof('entry', parsed.proof, findings);
  const head = proof === undefined ? undefined : readHead(proof, { keys, tsa, origin: options.origin }, findings);
  if (proof === undefined || head === undefined) return report(findings, keys, head, {});
  const read = readParts(parsed, proof, head, findings);
  return report(findings, keys, head, read);
}

interface Expected {
  readonly keys: readonly KeyRule[];
  readonly tsa: readonly TsaCertificate[];
  readonly origin: string | undefined;
}

function readHead(proof: TlogProof, { keys, tsa, origin }: Expected, findings: ReceiptFindings) {
  let head: ReadCheckpoint;
  try {
    head = readCheckpoint(proof.checkpoint, keys, tsa);
  } catch (error) {
    if (!CountersignError.is(error)) throw error;
    findings.problem('receipt', 'CHECKPOINT_INVALID', `the checkpoint is malformed: ${error.message}`);
    return undefined;
  }
  if (head.extensions.length > 0)
    findings.problem('receipt', 'CHECKPOINT_INVALID', 'the checkpoint has extension lines, which no ledger of ours has');
  if (origin !== undefined && head.origin !== origin)
    findings.problem('receipt', 'ORIGIN_MISMATCH', `the checkpoint is of the log ${printable(head.origin)}, another one was expected`);
  const bad = badSignature(head.signature);
  if (bad !== undefined) findings.problem('receipt', bad.code as ReceiptCode, `the checkpoint ${bad.message}`);
  if (keys.some(isLogKey)) {
    if (head.signature === 'none') findings.problem('receipt', 'UNSIGNED', 'the checkpoint is not signed at all');
    if (head.signature === 'unknown') findings.problem('receipt', 'SIGNATURE_UNKNOWN', `the checkpoint ${notByThem(head)}`);
  }
  for (const { vkey, key } of keys.filter((rule) => !isLogKey(rule))) {
    if (head.cosignatures.some((cosigned) => cosigned.vkey === vkey)) continue;
    findings.warn('receipt', 'COSIGNATURE_MISSING', `the witness ${printable(key.name)} did not cosign this checkpoint`);
  }
  const { timestamps, wrong, unknown } = head.stamped;
  for (const why of wrong) findings.problem('receipt', 'TIMESTAMP_INVALID', `the checkpoint has a timestamp that ${why}`);
  for (const why of unknown) findings.warn('receipt', 'TIMESTAMP_UNKNOWN', `the checkpoint has a timestamp that ${why}`);
  if (tsa.length > 0 && timestamps.length === 0)
    findings.warn('receipt', 'TIMESTAMP_MISSING', 'the checkpoint has no timestamp that the certificates given vouch for');
  return head;
}

interface Parts {
  readonly entry?: ReceiptEntry | undefined;
  readonly outcome?: ReceiptEntry | undefined;
}

function readParts(receipt: Receipt, proof: TlogProof, head: ReadCheckpoint, findings: ReceiptFindings): Parts {
  const entry = readPart('entry', receipt, proof, head, findings);
  const clear = entry && readClearText('entry', entry.body, receipt.opening, findings);
  const shown = entry && clear && receiptEntry(entry, clear);
  if (receipt.outcome === undefined) return { entry: shown };
  const outcomeProof = readProof('outcome', receipt.outcome.proof, findings);
  if (outcomeProof === undefined) return { entry: shown };
  // At another size, or under another note, it would be a second receipt with a signature of its own to check.
  if (outcomeProof.checkpoint !== proof.checkpoint) {
    findings.problem('outcome', 'CHECKPOINT_DIFFERS', 'the outcome is proven against another checkpoint than the decision');
    return { entry: shown };
  }
  const outcome = readPart('outcome', receipt.outcome, outcomeProof, head, findings);
  if (entry !== undefined && outcome !== undefined) compare(entry, outcome, findings);
  const outcomeClear = outcome && readClearText('outcome', outcome.body, receipt.outcome.opening, findings);
  return { entry: shown, outcome: outcome && outcomeClear && receiptEntry(outcome, outcomeClear) };
}

/** Whether the outcome is of this decision, and may be at all. */
function compare(decided: ReadPart, settled: ReadPart, findings: ReceiptFindings): void {
  const problem = (code: ReceiptCode, message: string): void => findings.problem('outcome', code, message);
  const { entry: decision } = decided;
  const { entry: outcome } = settled;
  if (decision?.kind !== 'decision') return problem('OUTCOME_WITHOUT_DECISION', 'an outcome stands beside an entry that is no decision');
  if (outcome?.kind !== 'outcome') return problem('OUTCOME_WITHOUT_DECISION', 'what stands in the place of the outcome is none');
  if (decision.effect !== 'allow') problem('OUTCOME_AFTER_DENY', 'the call ran although this decision did not allow it');
  const { of, leaf } = outcome.decision;
  if (of !== decided.index || leaf !== decided.leaf) problem('REFERENCE_MISMATCH', 'the outcome is of another decision');
  if (settled.index <= decided.index) problem('REFERENCE_MISMATCH', 'the outcome stands before its decision');
  const field = difference(['call', 'session', 'agent'], decision, outcome);
  if (field !== undefined) problem('OUTCOME_MISMATCH', `the outcome and its decision differ in ${field}`);
  if (outcome.at >= decision.at) return;
  // Clocks of two writers may differ; one writer's time never goes backwards.
  if (outcome.writer === decision.writer) problem('TIME_BACKWARDS', 'the outcome is older than its decision');
  else findings.warn('outcome', 'TIME_BACKWARDS', 'the outcome is older than its decision, which another writer made');
}

function report(findings: ReceiptFindings, keys: readonly KeyRule[], head: ReadCheckpoint | undefined, parts: Parts): ReceiptReport {
  const { problems, warnings } = findings;
  const { entry, outcome } = parts;
  const isInvalid = problems.length > 0;
  const authorship = authorshipOf(head, keys, isInvalid);
  const witnesses = isInvalid || head === undefined ? [] : head.cosignatures;
  const timestamps = isInvalid || head === undefined ? [] : head.stamped.timestamps;
  return {
    status: isInvalid ? 'invalid' : authorship === 'proven' ? 'valid' : 'unproven',
    format: 'countersign-receipt-1',
    ...(head !== undefined && { origin: head.origin, size: head.size, root: head.root }),
    inclusion: head === undefined ? 'unknown' : problems.some(({ code }) => code === 'INCLUSION_FAILED') ? 'failed' : 'proven',
    authorship,
    view: witnesses.length > 0 ? 'witnessed' : 'unwitnessed',
    witnesses: witnesses.map(({ name, vkey, atSec }) => ({ name, vkey, at: isoTime(atSec * 1000) })),
    ...(timestamps.length > 0 && { timestamps: timestamps.map(({ tsa, beforeMs }) => ({ tsa, before: isoTime(beforeMs) })) }),
    ...(head !== undefined && head.stamped.unchecked > 0 && { timestamps_unchecked: head.stamped.unchecked }),
    ...(!isInvalid && entry !== undefined && { entry }),
    ...(!isInvalid && outcome !== undefined && { outcome }),
    problems,
    warnings,
  };
}

function authorshipOf(head: ReadCheckpoint | undefined, keys: readonly KeyRule[], isInvalid: boolean): ReceiptReport['authorship'] {
  if (!keys.some(isLogKey)) return head?.signature === 'none' ? 'unsigned' : 'unchecked';
  // A good signature over other entries says nothing about who wrote these.
  return head?.signature === 'trusted' && !isInvalid ? 'proven' : 'failed';
}
