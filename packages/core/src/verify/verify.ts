/**
 * Checks a whole ledger, trusting nobody: not the writer, not the file, not a key found in it.
 *
 *     source       read-only, one snapshot, only tables that are ours word for word
 *     reading      every body hashed, canonical, of the shape of its kind
 *     integrity    the tree rebuilt; which entry was changed when it is not the signed one
 *     checkpoints  who signed, and whether kept checkpoints agree
 *     history      what each entry claims follows from those before it
 *     openings     clear text beside an entry is what the entry commits to
 *     end          what the caller knows from elsewhere about where the ledger ends
 *
 * Memory stays flat: per entry a few bytes; per session, policy, open call, unused approval and budget one record; the ids of
 * at most the last million calls.
 * Ids of entries are not checked for repeats: nothing refers to an entry by its id.
 */
import { availableParallelism } from 'node:os';
import { type ContainerFormat, containerFormat } from '../container/format.ts';
import { openContainer } from '../container/open-source.ts';
import { CountersignError } from '../errors.ts';
import { type Cosignature, isLogKey, type KeyRule, keyRules } from '../ledger/key-rules.ts';
import { parseVerifierKey, TYPE_COSIGNATURE } from '../ledger/verifier-key.ts';
import { isPublicKeyPem } from '../sudoagent/keys.ts';
import { verifySudoLedger } from '../sudoagent/verify.ts';
import { parseTsaCertificates, type TsaCertificate } from '../timestamp/certificate.ts';
import type { Timestamp } from '../timestamp/line.ts';
import { Checkpoints } from './checkpoints.ts';
import { checkEnd, checkLastSeen, checkSince } from './end.ts';
import { type ExpectedHead, expectedHead, type ReadCheckpoint, readCheckpoint } from './heads.ts';
import { History } from './history.ts';
import { Integrity } from './integrity.ts';
import { isoTime } from './iso-time.ts';
import { Openings } from './openings.ts';
import type { VerifyOptions } from './options.ts';
import { isDatabaseError, Reading } from './reading.ts';
import { Recall } from './recall.ts';
import { Findings, type VerifyReport } from './report.ts';
import { judgedParts, type ThreadOptions } from './scan.ts';
import { printable } from './shapes.ts';
import { Start } from './since.ts';
import type { LedgerSource } from './source.ts';
import { unreadableReport } from './unreadable.ts';

const MAX_THREADS = 16;
const DEFAULT_THREADS = 4;
/** Below it, starting threads takes longer than the rest. */
const WORTH_THREADS = 100_000;

const MAX_STRAYS = 20;

/**
 * Verifies a ledger file. Changes no byte of it; whatever is wrong with it is in the report.
 *
 * @throws {CountersignError} only for options: `KEY_INVALID`, `OPTIONS_INVALID`, `NOTE_INVALID` or `CHECKPOINT_INVALID`
 *   (`against` or `since` is no checkpoint).
 */
export async function verifyLedger(path: string, options: VerifyOptions = {}): Promise<VerifyReport> {
  return verifyWith(path, options, {});
}

/** The same, with a say in how threads are run. */
export async function verifyWith(path: string, options: VerifyOptions, running: ThreadOptions): Promise<VerifyReport> {
  const format = formatOf(path);
  if ((format === 'sudoagent-jsonl' || format === 'sudoagent-sqlite') && options.since !== undefined)
    throw new CountersignError('OPTIONS_INVALID', 'a ledger of SudoAgent has no checkpoints to check since: verify all of it');
  if ((format === 'sudoagent-jsonl' || format === 'sudoagent-sqlite') && (options.tsaCertificates ?? []).length > 0)
    throw new CountersignError('OPTIONS_INVALID', 'a ledger of SudoAgent has no checkpoints that could have timestamps');
  if (format === 'sudoagent-jsonl' || format === 'sudoagent-sqlite') return await verifySudoLedger(path, format, options);
  if (CountersignError.is(format)) {
    // Nobody knows which keys it would have needed; those that are verifier lines must be some.
    readOptions({ ...options, publicKeys: (options.publicKeys ?? []).filter((key) => typeof key !== 'string' || !isPublicKeyPem(key)) });
    return unreadableReport('countersign-1', format.code, format.message);
  }
  const asked = readOptions(options);
  let source: LedgerSource;
  try {
    source = openContainer(path);
  } catch (error) {
    if (CountersignError.is(error)) return unreadableReport('countersign-1', error.code, error.message);
    throw error;
  }
  try {
    return await verifySource(source, options, asked, running);
  } catch (error) {
    if (!isDatabaseError(error)) throw error;
    return unreadableReport('countersign-1', 'LEDGER_UNREADABLE', `the database is damaged (${error.code})`);
  } finally {
    source.close();
  }
}

function formatOf(path: string): ContainerFormat | CountersignError {
  try {
    return containerFormat(path);
  } catch (error) {
    if (CountersignError.is(error)) return error;
    throw error;
  }
}

interface Asked {
  readonly keys: readonly KeyRule[];
  readonly tsa: readonly TsaCertificate[];
  readonly against: ReadCheckpoint | undefined;
  readonly since: ReadCheckpoint | undefined;
  readonly expected: ExpectedHead | undefined;
}

function readOptions(options: VerifyOptions): Asked {
  const keys = keyRules(options.publicKeys ?? []);
  const tsa = parseTsaCertificates(options.tsaCertificates ?? []);
  for (const vkey of options.approvers?.values() ?? []) parseVerifierKey(vkey);
  const { threads = 1 } = options;
  if (!Number.isInteger(threads) || threads < 1 || threads > MAX_THREADS)
    throw new CountersignError('OPTIONS_INVALID', `the number of threads must be 1 to ${MAX_THREADS}`);
  return {
    keys,
    tsa,
    against: options.against === undefined ? undefined : readCheckpoint(options.against, keys, tsa),
    since: options.since === undefined ? undefined : readCheckpoint(options.since, keys),
    expected: expectedHead(options.expectSize, options.expectHead),
  };
}

async function verifySource(source: LedgerSource, options: VerifyOptions, asked: Asked, running: ThreadOptions): Promise<VerifyReport> {
  const { keys, tsa, against, since, expected } = asked;
  const mustBeSigned = keys.some(isLogKey);
  const strict = options.strict === true;
  const findings = new Findings();
  const { start, tree } = (since === undefined ? undefined : Start.of(source, since)) ?? {};
  const from = start?.size ?? 0;
  const integrity = new Integrity(source, findings, tree);
  const checkpoints = new Checkpoints(source, integrity, asked, findings, start);
  const history = new History(findings, integrity.suspect, options.approvers, start && new Recall(start, findings));
  const openings = new Openings(findings);
  const sizes = new Set([checkpoints.newest?.size, against?.size, since?.size, expected?.size, options.lastSeen?.size]);
  const onSize = (size: number): void => {
    if (sizes.has(size)) integrity.keepRoot();
    checkpoints.reach(size);
  };
  const onProgress = (done: number, total: number): void => options.onProgress?.(done, total);
  const parts = judgedParts(source, { ...running, from, threads: threadsFor(source.size - from, options.threads) });
  const bodyOf = (index: number): string | undefined => (index < from ? undefined : source.body(index));
  const total = source.size - from;
  const reading = new Reading({ parts, total, bodyOf, integrity, history, openings, findings, strict, onSize, onProgress });

  await reading.readAll();
  const isDoubtful = tellFaults(source, findings);
  integrity.keepRoot();
  checkpoints.checkCoverage();
  const isIntact = integrity.finish(checkpoints.newest, checkpoints.broken) && !findings.hasChanges;
  for (const seq of source.strayOpenings(MAX_STRAYS, start !== undefined))
    findings.problem(0, 'OPENING_WITHOUT_ENTRY', `an opening lies at position ${seq}, where no entry stands`);
  openings.finish(integrity.size);
  history.finish(isIntact ? checkpoints.newest : undefined);

  const origin = checkpoints.newest?.origin ?? source.origin;
  const authorship = checkpoints.authorship(isIntact, history.rotations);
  for (const claim of [against, expected, options.lastSeen]) if (start !== undefined) proveOlder(claim, start, integrity);
  if (since !== undefined) checkSince({ since, origin, mustBeSigned }, integrity, findings);
  if (since !== undefined && since.size > 0 && start === undefined)
    findings.warn(0, 'SINCE_READ_ALL', 'nothing stored here shows the start that was given: everything was read');
  if (options.lastSeen !== undefined)
    checkLastSeen(options.lastSeen, source, integrity, (message) =>
      strict ? findings.problem(0, 'LEDGER_ROLLED_BACK', message) : findings.warn(0, 'LEDGER_ROLLED_BACK', message),
    );
  const end = checkEnd({ against, expected, origin, mustBeSigned }, integrity, findings);
  if (against !== undefined) checkpoints.stamped.tell('the checkpoint given', against.stamped);
  if (end === 'proven' && against !== undefined) {
    checkpoints.cosigned.add(against.cosignatures);
    checkpoints.stamped.add(against.stamped);
  }
  const cosigned = checkpoints.cosigned.list();
  const unseen = keys.filter(({ key, vkey }) => key.type === TYPE_COSIGNATURE && !cosigned.some((each) => each.vkey === vkey));
  for (const { key } of unseen)
    findings.warn(0, 'COSIGNATURE_MISSING', `no checkpoint here is cosigned by the witness ${printable(key.name)}`);
  const stamped = checkpoints.stamped.list();
  checkpoints.stamped.finish(tsa.length > 0);
  const isShort =
    reading.entries + from === 0 ||
    isDoubtful ||
    checkpoints.uncovered > 0 ||
    (authorship !== 'proven' && (strict || mustBeSigned)) ||
    unseen.length > 0 ||
    (tsa.length > 0 && stamped.length === 0) ||
    (strict && history.adopted > 0) ||
    (end !== 'proven' && (strict || against !== undefined || expected !== undefined)) ||
    // Whoever can write to the file erases clear text without a key: only a `forget` entry says that it was meant to go.
    (strict && (openings.missing > 0 || history.uncheckedAnswers > 0 || history.keylessAnswers > 0));
  const { root } = integrity;
  return {
    status: findings.count > 0 ? 'invalid' : isShort ? 'unproven' : 'valid',
    format: source.format,
    ...(origin !== undefined && { origin }),
    entries: reading.entries + from,
    ...(start !== undefined && { since: { size: start.size, root: start.root } }),
    ...(root !== undefined && { root }),
    integrity: findings.hasChanges ? 'broken' : isIntact && checkpoints.uncovered === 0 ? 'intact' : 'unknown',
    authorship,
    end,
    open_decisions: history.openDecisions,
    counts: history.counts,
    ...(checkpoints.uncovered > 0 && { not_covered: checkpoints.uncovered }),
    forgotten: openings.forgotten,
    ...(checkpoints.signedTo !== undefined && { signed_to: checkpoints.signedTo }),
    ...(checkpoints.unsignedTail > 0 && { unsigned_tail: checkpoints.unsignedTail }),
    ...(history.adopted > 0 && { adopted: history.adopted }),
    ...(cosigned.length > 0 && { witnesses: cosigned.map(witnessOf) }),
    ...(stamped.length > 0 && { timestamps: stamped.map(timestampOf) }),
    ...(checkpoints.stamped.unchecked > 0 && { timestamps_unchecked: checkpoints.stamped.unchecked }),
    warnings: findings.warnings(),
    problems: findings.problems(),
    problem_count: findings.count,
    ...(reading.from !== undefined && { from: isoTime(reading.from) }),
    ...(reading.to !== undefined && { to: isoTime(reading.to) }),
  };
}

/** @returns true when something keeps the ledger from being called valid, though it is not wrong. */
function tellFaults({ faults }: LedgerSource, findings: Findings): boolean {
  for (const { code, message, entry = 0, weight = 'problem' } of faults) {
    if (weight === 'change') findings.change(entry, code, message);
    else if (weight === 'problem') findings.problem(entry, code, message);
    else findings.warn(entry, code, message);
  }
  return faults.some(({ weight }) => weight === 'unproven');
}

function witnessOf({ name, vkey, size, atSec }: Cosignature): NonNullable<VerifyReport['witnesses']>[number] {
  return { name, vkey, size, at: isoTime(atSec * 1000) };
}

function timestampOf({ tsa, size, beforeMs }: Timestamp): NonNullable<VerifyReport['timestamps']>[number] {
  return { tsa, size, before: isoTime(beforeMs) };
}

/** Of entries that are not read a root can still be shown by those that are kept of the tree. */
function proveOlder(
  claim: { readonly size: number | undefined; readonly root: string | undefined } | undefined,
  start: Start,
  integrity: Integrity,
): void {
  const { size, root } = claim ?? {};
  if (size !== undefined && root !== undefined && size < start.size && start.startsWith({ size, root })) integrity.known({ size, root });
}

function threadsFor(entries: number, wanted: number | undefined): number {
  return wanted ?? (entries < WORTH_THREADS ? 1 : Math.min(availableParallelism(), DEFAULT_THREADS));
}
