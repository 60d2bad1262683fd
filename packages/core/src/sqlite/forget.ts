/** Forgetting: finding what belongs together, erasing it on record, and getting the bytes out of every file we keep. */
import { resolve } from 'node:path';
import { scrubAuditLog } from '../audit-log/scrub.ts';
import type { EntryRef } from '../call.ts';
import { openContainer } from '../container/open-source.ts';
import { CountersignError } from '../errors.ts';
import { canonicalize } from '../ledger/canonical.ts';
import { leafHash } from '../ledger/merkle.ts';
import type { Committed } from '../store-units.ts';
import { type Erased, eraseDeleted } from './erase.ts';
import type { SqliteStore } from './store.ts';

/** Entries forgotten at once. */
export const MAX_FORGOTTEN = 10_000;
const MAX_TRIES = 5;
/** How the entries of grants read. Data of a note may read the same, and then stands for no answer. */
const GRANT_KIND = '"kind":"grant"';
const CONTAINMENT_KIND = '"kind":"containment"';
const DEADLINE_MS = 10_000;

export interface ForgetRequest {
  /** Calls of which everything is to go. */
  readonly calls?: readonly string[];
  /** Sessions of whose calls everything is to go. */
  readonly sessions?: readonly string[];
  /** 0-based positions of single entries. */
  readonly entries?: readonly number[];
  /** Why, as a code of the caller's. It stays in the ledger. */
  readonly reasonCode?: string;
  /** The audit log beside the ledger. */
  readonly auditLog?: string;
  /** How long to wait for readers of old snapshots, default 10 s. */
  readonly deadlineMs?: number;
}

export interface Forgotten extends Erased {
  /** Entries whose clear text was erased, and the entries that say so. */
  readonly entries: readonly EntryRef[];
  readonly recorded: readonly EntryRef[];
  readonly calls: readonly string[];
  /** Lines of the audit log that held clear text of these calls. */
  readonly auditLines: number;
  /** False when old bytes are still in a file: see `file` and `log`, and run it again once the readers are gone. */
  readonly isComplete: boolean;
}

/**
 * Erases clear text and its keys from the ledger, records a `forget` entry, and takes the bytes out of its files.
 *
 * @param store - the ledger, open under its key: what is forgotten is a signed entry.
 * @throws {CountersignError} `ENTRY_NOT_FOUND`, `FORGET_REFUSED` (an approval waits, or the call still runs),
 *   `ALREADY_FORGOTTEN` (the files were cleaned all the same), `OPTIONS_INVALID`, `AUDIT_LOG_FAILED`, `LEDGER_*`
 */
export async function forgetClearText(store: SqliteStore, request: ForgetRequest): Promise<Forgotten> {
  const path = store.files[0] as string;
  checkRequest(request);
  const { committed, calls } = await commitForget(store, path, request);
  const auditLines = request.auditLog === undefined ? 0 : scrubAuditLog(resolve(request.auditLog), { calls: new Set(calls) }).lines;
  const erased = await eraseDeleted(path, request.deadlineMs ?? DEADLINE_MS);
  if (committed.kind === 'not-forgettable')
    throw new CountersignError(
      'ALREADY_FORGOTTEN',
      `no clear text lies beside these entries: it was erased before, or there never was any. Nothing was recorded; the files were ${erased.log === 'emptied' ? 'cleaned again' : 'in use and could not be cleaned again'}`,
    );
  const { entries, recorded } = committed;
  return { ...erased, entries, recorded, calls, auditLines, isComplete: erased.file === 'rewritten' && erased.log === 'emptied' };
}

function checkRequest({ calls = [], sessions = [], entries = [] }: ForgetRequest): void {
  if (calls.length + sessions.length + entries.length === 0)
    throw new CountersignError('OPTIONS_INVALID', 'forget: name calls, sessions or entries');
  if (!entries.every((index) => Number.isSafeInteger(index) && index >= 0))
    throw new CountersignError('OPTIONS_INVALID', 'forget: a position must be a whole number from 0');
}

type Settled = Extract<Committed, { readonly kind: 'forgotten' | 'not-forgettable' }>;

async function commitForget(
  store: SqliteStore,
  path: string,
  request: ForgetRequest,
): Promise<{ committed: Settled; calls: readonly string[] }> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const { entries, wholeCalls, calls, size } = lookUp(path, request);
    const { reasonCode } = request;
    const committed = await store.commit({
      kind: 'forget',
      entries,
      calls: wholeCalls,
      since: size,
      ...(reasonCode !== undefined && { reasonCode }),
    });
    if (committed.kind === 'forgotten') return { committed, calls };
    if (committed.kind === 'not-forgettable') {
      if (committed.why !== 'already') throw objection(committed);
      return { committed, calls };
    }
  }
  throw new CountersignError('FORGET_REFUSED', 'the call went on while it was to be forgotten: try again once it is done');
}

interface Meant {
  readonly entries: readonly EntryRef[];
  /** Calls asked for as a whole; `calls`: also those of single entries. */
  readonly wholeCalls: readonly string[];
  readonly calls: readonly string[];
  readonly size: number;
}

/** Reads every entry: only some of a call's can be found by rows. */
function lookUp(path: string, request: ForgetRequest): Meant {
  const wanted = new Set(request.calls);
  const sessions = new Set(request.sessions);
  const positions = new Set(request.entries);
  const found: EntryRef[] = [];
  const calls = new Set<string>();
  const wholeCalls = new Set<string>();
  const missing = { calls: new Set(wanted), sessions: new Set(sessions), positions: new Set(positions) };
  const names = [...wanted, ...sessions].map((name) => canonicalize(name));
  /** Grants that were given with an answer of a call that goes. The answer stands directly before. */
  const grants = new Set<number>();
  let lastWhole = -1;
  /** Verdicts that go: what was done about them tells of the same. */
  const verdicts = new Set<number>();
  const source = openContainer(path);
  try {
    for (const chunk of source.chunks()) {
      for (const { seq, body } of chunk) {
        // Parsing every body would take longer than reading them.
        const isGrant = body?.includes(GRANT_KIND) === true && names.length > 0;
        const isContainment = verdicts.size > 0 && body?.includes(CONTAINMENT_KIND) === true;
        const isNear = body !== undefined && (isGrant || isContainment || positions.has(seq) || names.some((name) => body.includes(name)));
        const entry = isNear ? namesOf(body) : undefined;
        if (body === undefined || entry === undefined) continue;
        const { kind, call, session, granted, verdict } = entry;
        if (isGrant && granted !== undefined && (grants.has(granted) || (granted === lastWhole && granted === seq - 1))) {
          grants.add(seq);
          found.push({ of: seq, leaf: leafHash(body) });
          positions.delete(seq);
          missing.positions.delete(seq);
          continue;
        }
        const isOfCall = call !== undefined && wanted.has(call);
        const isOfSession = session !== undefined && sessions.has(session) && (call !== undefined || OF_A_SESSION.includes(kind ?? ''));
        const isWhole = isOfCall || isOfSession || (kind === 'containment' && verdict !== undefined && verdicts.has(verdict));
        if (isWhole) lastWhole = seq;
        if (isWhole && kind === 'verdict') verdicts.add(seq);
        if (session !== undefined) missing.sessions.delete(session);
        missing.positions.delete(seq);
        if (!isWhole && !positions.has(seq)) continue;
        found.push({ of: seq, leaf: leafHash(body) });
        if (call === undefined) continue;
        calls.add(call);
        missing.calls.delete(call);
        if (isWhole) wholeCalls.add(call);
      }
    }
    checkFound(missing, found.length);
    return { entries: found, wholeCalls: [...wholeCalls], calls: [...calls], size: source.size };
  } finally {
    source.close();
  }
}

type Missing = { readonly calls: ReadonlySet<string>; readonly sessions: ReadonlySet<string>; readonly positions: ReadonlySet<number> };

function checkFound({ calls, sessions, positions }: Missing, count: number): void {
  const [call] = calls;
  const [position] = positions;
  if (call !== undefined) throw new CountersignError('ENTRY_NOT_FOUND', `no entry belongs to call ${call.slice(0, 64)}`);
  if (sessions.size > 0) throw new CountersignError('ENTRY_NOT_FOUND', 'no entry belongs to that session');
  if (position !== undefined) throw new CountersignError('ENTRY_NOT_FOUND', `the ledger has no entry ${position + 1}`);
  if (count > MAX_FORGOTTEN)
    throw new CountersignError(
      'OPTIONS_INVALID',
      `forget: ${count} entries are meant, ${MAX_FORGOTTEN} are the most at once: name calls or entries`,
    );
}

/** Kinds that belong to a session and to no call, and have clear text beside them. */
const OF_A_SESSION: readonly string[] = ['verdict', 'containment', 'session'];

interface Names {
  readonly kind: string | undefined;
  readonly call: string | undefined;
  readonly session: string | undefined;
  readonly granted: number | undefined;
  /** Position of the verdict it follows. */
  readonly verdict: number | undefined;
}

/** Undefined for a body that is no object: verify tells of it, and nothing lies beside it that we wrote. */
function namesOf(body: string): Names | undefined {
  try {
    const entry: unknown = JSON.parse(body);
    if (typeof entry !== 'object' || entry === null) return undefined;
    const member = (name: string): unknown =>
      Object.hasOwn(entry, name) ? (entry as { readonly [key: string]: unknown })[name] : undefined;
    const text = (name: string): string | undefined => {
      const value = member(name);
      return typeof value === 'string' ? value : undefined;
    };
    const verdict = member('verdict');
    const of = typeof verdict === 'object' && verdict !== null && 'of' in verdict ? verdict.of : undefined;
    return {
      kind: text('kind'),
      call: text('call'),
      session: text('session'),
      granted: isGrantEntry(entry) ? grantedWith(entry) : undefined,
      verdict: typeof of === 'number' ? of : undefined,
    };
  } catch {
    return undefined;
  }
}

interface GrantLike {
  readonly kind: 'grant';
  readonly approval?: { readonly answer?: { readonly of?: unknown } };
  readonly entry?: { readonly of?: unknown };
}

function isGrantEntry(entry: object): entry is GrantLike {
  return 'kind' in entry && entry.kind === 'grant';
}

/** Position of the answer a grant was given with, or of the grant that is taken back. */
function grantedWith({ approval, entry }: GrantLike): number | undefined {
  const of = approval?.answer?.of ?? entry?.of;
  return typeof of === 'number' ? of : undefined;
}

function objection({ why, of }: Extract<Committed, { readonly kind: 'not-forgettable' }>): CountersignError {
  const entry = of === undefined ? 'an entry' : `entry ${of + 1}`;
  switch (why) {
    case 'pending':
      return new CountersignError(
        'FORGET_REFUSED',
        `the call of ${entry} waits for an approval: a person has to see what would run; deny it first`,
      );
    case 'running':
      return new CountersignError(
        'FORGET_REFUSED',
        `the call of ${entry} still runs, and its outcome would bring clear text back: try again once it is done`,
      );
    case 'unknown':
    case 'already':
      return new CountersignError('LEDGER_CORRUPT', `${entry} is not the one in the tree: nothing was erased, run \`countersign verify\``);
  }
}
