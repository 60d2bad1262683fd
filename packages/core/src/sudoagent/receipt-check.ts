/** Checks a receipt of a SudoAgent 2.0 ledger, without the ledger and trusting nobody: the keys the caller brings decide. */
import { z } from 'zod';
import { CountersignError } from '../errors.ts';
import { MAX_CANONICAL_CHARS, parseCanonical } from '../ledger/canonical.ts';
import type { TrustedKey } from '../ledger/key-rules.ts';
import { Findings } from '../verify/report.ts';
import { entryHashOf, parseSudoEntry, readSudoShape, type SudoEntry, textOf } from './entry.ts';
import { SudoHistory } from './history.ts';
import { isSignedNow, readSudoKeys, type SudoKey } from './keys.ts';

export interface SudoReceiptFinding {
  /** Which entry it is about; `receipt`: the whole. */
  readonly part: 'receipt' | 'entry' | 'outcome';
  /** `RECEIPT_MALFORMED`, `RECEIPT_VERSION`, or one of `VERIFY_CODES`. */
  readonly code: string;
  readonly message: string;
}

/** One entry as it stands in the ledger. */
export interface SudoReceiptEntry {
  /** Its text. Numbers in it may have more digits than JavaScript can hold. */
  readonly text: string;
  readonly entry_hash: string;
  readonly decision_hash: string;
  readonly request_id: string;
  readonly created_at: string;
  readonly action: string;
  readonly agent_id: string;
  /** Of a decision. */
  readonly effect?: 'allow' | 'deny';
  /** Of an outcome. */
  readonly status?: string;
}

export interface SudoReceiptReport {
  /**
   * `invalid`: something contradicts. `unproven`: nothing does, but no key was given, so that whoever made the receipt could
   * have made up all of it. `valid`: a key given by the caller signed these entries.
   */
  readonly status: 'valid' | 'invalid' | 'unproven';
  readonly format: 'sudoagent-receipt-1';
  /** Whether entry hash and decision hash are those of what the entries say. */
  readonly hashes: 'proven' | 'failed';
  readonly authorship: 'proven' | 'unchecked' | 'unsigned' | 'failed';
  /** Always: where in which ledger the entries stand, and that nothing was cut out around them, a receipt of a chain cannot show. */
  readonly place: 'unproven';
  /** Absent when the receipt is invalid: nothing in it is to be relied on then. */
  readonly entry?: SudoReceiptEntry;
  readonly outcome?: SudoReceiptEntry;
  readonly problems: readonly SudoReceiptFinding[];
  readonly warnings: readonly SudoReceiptFinding[];
}

export interface CheckSudoReceiptOptions {
  /** SPKI PEM or verifier lines of Ed25519 keys; without limits, since a receipt does not show its place. */
  readonly publicKeys?: readonly (string | TrustedKey)[];
}

const START = '{"countersign":"sudoagent-receipt",';
/** Longest receipt as a file: each character takes at most three bytes. */
export const MAX_SUDO_RECEIPT_BYTES: number = 3 * MAX_CANONICAL_CHARS;

/** True for what claims to be such a receipt. */
export function isSudoReceipt(receipt: string | Uint8Array): boolean {
  return (typeof receipt === 'string' ? receipt : Buffer.from(receipt.subarray(0, START.length)).toString('latin1')).startsWith(START);
}

/**
 * Checks a receipt. Whatever is wrong with it is in the report.
 *
 * @param receipt - the text, or the bytes of the file; from anyone. One line feed may follow.
 * @throws {CountersignError} only for the options: `KEY_INVALID`, `OPTIONS_INVALID`
 */
export function checkSudoReceipt(receipt: string | Uint8Array, options: CheckSudoReceiptOptions = {}): SudoReceiptReport {
  const given = options.publicKeys ?? [];
  const limited = given.some((key) => typeof key !== 'string' && (key.from ?? key.until ?? key.revokedFrom) !== undefined);
  if (limited)
    throw new CountersignError(
      'OPTIONS_INVALID',
      'public key: a receipt of a SudoAgent ledger does not show its place, so limits cannot apply',
    );
  const keys = readSudoKeys(given);
  const form = readForm(receipt);
  if ('code' in form) return report([{ part: 'receipt', ...form }], [], keys, undefined, undefined);
  const findings = new Findings();
  const history = new SudoHistory(findings);
  const entry = readPart(ENTRY, form.entry, findings, history);
  const outcome = form.outcome === undefined ? undefined : readPart(OUTCOME, form.outcome, findings, history);
  for (const [number, part] of [[ENTRY, entry] as const, [OUTCOME, outcome] as const])
    if (part !== undefined && keys.length > 0) checkSignature(number, part.parsed, keys, findings);
  return report(findings.problems().map(partOf), findings.warnings().map(partOf), keys, entry, outcome);
}

/** Numbers under which the two are checked. */
const ENTRY = 1;
const OUTCOME = 2;

interface Form {
  readonly entry: string;
  readonly outcome?: string | undefined;
}

const form = z.strictObject({
  countersign: z.literal('sudoagent-receipt'),
  v: z.number(),
  entry: z.string(),
  outcome: z.string().optional(),
});

function readForm(receipt: string | Uint8Array): Form | { readonly code: string; readonly message: string } {
  const malformed = (message: string): { readonly code: string; readonly message: string } => ({ code: 'RECEIPT_MALFORMED', message });
  if (receipt.length > MAX_SUDO_RECEIPT_BYTES) return malformed('it is larger than any receipt');
  let text: string;
  try {
    text = typeof receipt === 'string' ? receipt : new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(receipt);
  } catch {
    return malformed('it is not valid UTF-8');
  }
  let value: unknown;
  try {
    value = parseCanonical(text.endsWith('\n') ? text.slice(0, -1) : text);
  } catch (error) {
    return malformed(CountersignError.is(error) ? error.message : 'it is not JSON');
  }
  const parsed = form.safeParse(value);
  if (!parsed.success) return malformed('it does not have exactly the members of a receipt');
  if (parsed.data.v !== 1) return { code: 'RECEIPT_VERSION', message: `it has version ${parsed.data.v}, 1 is known` };
  return parsed.data;
}

interface Part {
  readonly parsed: SudoEntry;
  readonly shown: SudoReceiptEntry;
}

function readPart(number: number, text: string, findings: Findings, history: SudoHistory): Part | undefined {
  let parsed: ReturnType<typeof parseSudoEntry>;
  try {
    parsed = parseSudoEntry(text);
  } catch (error) {
    if (!CountersignError.is(error)) throw error;
    findings.change(number, 'ENTRY_NOT_CANONICAL', `the entry is not canonical: ${error.message}`);
    return undefined;
  }
  if ('why' in parsed) {
    findings.change(number, 'ENTRY_SHAPE', parsed.why);
    return undefined;
  }
  if (entryHashOf(parsed) !== parsed.entryHash)
    findings.change(number, 'ENTRY_HASH_MISMATCH', 'entry_hash is not the hash of this entry: one of the two was changed');
  const shape = readSudoShape(parsed);
  if (shape.kind === 'version') findings.problem(number, 'ENTRY_VERSION', shape.why);
  if (shape.kind === 'malformed') findings.problem(number, 'ENTRY_SHAPE', shape.why);
  if (shape.kind === 'version' || shape.kind === 'malformed') return undefined;
  const { members } = parsed;
  const text_ = (name: string): string => textOf(members.get(name)) ?? '';
  const of = {
    text,
    entry_hash: parsed.entryHash,
    request_id: text_('request_id'),
    created_at: text_('created_at'),
    action: text_('action'),
    agent_id: text_('agent_id'),
  };
  if (shape.kind === 'decision' && number === ENTRY) {
    history.decision(number, parsed, shape.entry);
    return { parsed, shown: { ...of, decision_hash: shape.entry.decisionHash, effect: shape.entry.effect } };
  }
  if (shape.kind === 'outcome' && number === OUTCOME) {
    history.outcome(number, parsed, shape.entry);
    return { parsed, shown: { ...of, decision_hash: shape.entry.decisionHash, status: shape.entry.status } };
  }
  findings.problem(number, 'OUTCOME_WITHOUT_DECISION', 'a receipt holds a decision, and beside it an outcome');
  return undefined;
}

function checkSignature(number: number, { entryHash, signature }: SudoEntry, keys: readonly SudoKey[], findings: Findings): void {
  if (signature === undefined) findings.problem(number, 'ENTRY_UNSIGNED', 'a key was given, and the entry is not signed');
  else if (!isSignedNow(keys, entryHash, signature))
    findings.problem(number, 'ENTRY_SIGNATURE_INVALID', 'the signature of the entry is not by a key that was given');
}

function partOf({ entry, code, message }: { readonly entry: number; readonly code: string; readonly message: string }): SudoReceiptFinding {
  return { part: entry === ENTRY ? 'entry' : entry === OUTCOME ? 'outcome' : 'receipt', code, message };
}

function report(
  problems: readonly SudoReceiptFinding[],
  warnings: readonly SudoReceiptFinding[],
  keys: readonly SudoKey[],
  entry: Part | undefined,
  outcome: Part | undefined,
): SudoReceiptReport {
  const isInvalid = problems.length > 0;
  const authorship = authorshipOf(keys, isInvalid, [entry, outcome]);
  const hasBadHash = entry === undefined || problems.some(({ code }) => code !== 'ENTRY_UNSIGNED' && code !== 'ENTRY_SIGNATURE_INVALID');
  return {
    status: isInvalid ? 'invalid' : authorship === 'proven' ? 'valid' : 'unproven',
    format: 'sudoagent-receipt-1',
    hashes: hasBadHash ? 'failed' : 'proven',
    authorship,
    place: 'unproven',
    ...(!isInvalid && entry !== undefined && { entry: entry.shown }),
    ...(!isInvalid && outcome !== undefined && { outcome: outcome.shown }),
    problems,
    warnings,
  };
}

function authorshipOf(keys: readonly SudoKey[], isInvalid: boolean, parts: readonly (Part | undefined)[]): SudoReceiptReport['authorship'] {
  if (keys.length > 0) return isInvalid ? 'failed' : 'proven';
  return parts.some((part) => part?.parsed.signature !== undefined) ? 'unchecked' : 'unsigned';
}
