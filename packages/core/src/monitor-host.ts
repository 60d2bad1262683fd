/**
 * The ledger as a monitor sees it: what it judged and did goes on record, and calls are refused or let through again.
 *
 * Only code that was given a store or a guard has one. Nothing here is reached by a tool call or by what a framework hands over.
 */
import { type EntryRef, type Json } from './call.ts';
import { CountersignError } from './errors.ts';
import type { ContainmentRecord, MonitorHost, VerdictRecord } from './interfaces.ts';
import { newId } from './ledger/body.ts';
import { commitSection, newOpeningKey } from './ledger/commitment.ts';
import { COVERAGES, type ContainmentBody, type HaltAnswer, type Opening, type SessionBody, type VerdictBody } from './ledger/entry.ts';
import { isRecordable } from './names.ts';
import { showAnything } from './redact/excerpt.ts';
import { createRedactor, type Redactor } from './redact/redact.ts';
import type { Store } from './store.ts';
import type { Committed, RecordUnit } from './store-units.ts';

/** Characters of what was seen, or of what was done to what, that are kept beside one entry. */
export const MAX_ACTIVITY_CHARS = 65_536;
/** Calls that a verdict may belong to. */
export const MAX_CANDIDATES = 100;
/** Characters of a note's data, as JSON. */
export const MAX_NOTE_CHARS = 524_288;

const ID = /^[0-9a-f]{32}$/;

export interface MonitorHostOptions {
  readonly store: Pick<Store, 'commit' | 'session'>;
  readonly agent: string;
  /** Default: a fresh one. */
  readonly session?: string;
  /** Default: the built-in detectors. */
  readonly redactor?: Redactor;
  /** What the guard itself reads and writes. Default: none that is known. */
  readonly files?: readonly string[];
  /** Calls that run now. Default: none. */
  readonly inFlight?: (server?: string) => readonly string[];
  /** Tells who follows calls. Default: nobody does. */
  readonly tell?: MonitorHost['tell'];
}

/**
 * A ledger for a monitor that runs without a guard (`run`, `attach`). A guard gives its own to the monitor it was made with.
 *
 * @throws {CountersignError} `OPTIONS_INVALID` for an agent or session that no entry can hold
 */
export function monitorHost({
  store,
  agent,
  session = newId(),
  redactor = createRedactor(),
  files = [],
  inFlight = () => [],
  tell = () => {},
}: MonitorHostOptions): MonitorHost {
  const requireName = (what: string, name: unknown): void => {
    if (!isRecordable(name, redactor))
      throw new CountersignError('OPTIONS_INVALID', `monitor host: the ${what} is not a name that an entry can hold`);
  };
  requireName('agent', agent);
  requireName('session', session);

  const append = async (unit: Omit<RecordUnit, 'kind'>): Promise<Committed> => store.commit({ kind: 'record', ...unit });
  const entryOf = (committed: Committed): EntryRef => {
    if (committed.kind === 'recorded' && committed.entry !== undefined) return committed.entry;
    throw new CountersignError('LEDGER_WRITE_FAILED', `the store answered with ${committed.kind}`);
  };
  const change = async (body: Omit<SessionBody, 'kind' | 'agent'>): Promise<void> => {
    requireName('session', body.session);
    await append({ body: { kind: 'session', agent, ...body } });
  };

  return {
    agent,
    session,
    files,
    async record(record) {
      for (const [what, name] of namesOf(record)) if (name !== undefined) requireName(what, name);
      return entryOf(
        await append(record.kind === 'verdict' ? verdictUnit(record, agent, redactor) : containmentUnit(record, agent, redactor)),
      );
    },
    tell,
    async note(topic, data) {
      requireName('topic', topic);
      const chars = JSON.stringify(data)?.length ?? 0;
      if (chars === 0 || chars > MAX_NOTE_CHARS)
        throw new CountersignError('OPTIONS_INVALID', `a note holds at most ${MAX_NOTE_CHARS} characters of JSON`, { details: { chars } });
      return entryOf(await append({ body: { kind: 'note', topic, data } }));
    },
    async mark(event, { session: of = session, coverage } = {}) {
      if (coverage !== undefined && !COVERAGES.includes(coverage))
        throw new CountersignError('OPTIONS_INVALID', `monitor host: coverage is one of ${COVERAGES.join(', ')}`);
      await change({ session: of, event, ...(coverage !== undefined && { coverage }) });
    },
    async halt(halted, reasonCode, { incident } = {}) {
      requireName('reason code', reasonCode);
      if (incident !== undefined) requireName('incident', incident);
      const why = { reason_code: reasonCode, ...(incident !== undefined && { incident }) };
      await change({ session: halted ?? session, event: 'halted', ...(halted === undefined && { scope: 'ledger' }), ...why });
    },
    async resume(halted, approval) {
      const answer = approval === undefined ? {} : { approval: approvalOf(approval) };
      await change({ session: halted ?? session, event: 'resumed', ...(halted === undefined && { scope: 'ledger' }), ...answer });
    },
    isHalted: async (of) => (await store.session(of)).halted,
    inFlight,
  };
}

function namesOf(record: VerdictRecord | ContainmentRecord): readonly (readonly [string, unknown])[] {
  const common = [['session', record.session] as const, ['incident', record.incident] as const];
  return record.kind === 'verdict'
    ? [...common, ['rule', record.rule]]
    : [...common, ['reason code', record.reason_code], ['approval', record.approval?.id]];
}

function verdictUnit(record: VerdictRecord, agent: string, redactor: Redactor): Omit<RecordUnit, 'kind'> {
  const { activity, candidates, call, level, enforced, confidence, incident, session, mode, rule, evaluator, phase } = record;
  const opening = openingOf('activity', activity, redactor);
  const some = call !== undefined || candidates === undefined ? [] : [...new Set(candidates)].toSorted().slice(0, MAX_CANDIDATES);
  if (![...some, ...(call === undefined ? [] : [call])].every((id) => ID.test(id))) throw invalid('a verdict names what is no call');
  if (!(confidence >= 0 && confidence <= 1)) throw invalid('the confidence of a verdict is from 0 to 1');
  if (level !== 'FLAG' && incident === undefined) throw invalid(`a verdict of ${level} has an incident`);
  const body: VerdictBody = {
    kind: 'verdict',
    agent,
    session,
    ...(call !== undefined && { call }),
    ...(some.length > 0 && { candidates: some }),
    level,
    enforced,
    mode,
    rule,
    evaluator,
    confidence,
    ...(incident !== undefined && { incident }),
    phase,
    activity_commit: commitSection(opening.key, 'activity', opening.sections['activity'] as Json),
  };
  return { body, opening };
}

function containmentUnit(record: ContainmentRecord, agent: string, redactor: Redactor): Omit<RecordUnit, 'kind'> {
  const { session, incident, event, verdict, grade, count, refused, left, duration_ms: took, approval, details } = record;
  const { reason_code: reasonCode } = record;
  if (![count, refused, left].every((each) => each === undefined || (Number.isSafeInteger(each) && each >= 0)))
    throw invalid('count, refused and left of a containment are whole numbers');
  if (took !== undefined && !(Number.isFinite(took) && took >= 0)) throw invalid('duration_ms of a containment is milliseconds');
  const opening = details === undefined ? undefined : openingOf('details', details, redactor);
  const body: ContainmentBody = {
    kind: 'containment',
    agent,
    session,
    incident,
    event,
    ...(verdict !== undefined && { verdict: refOf(verdict) }),
    ...(grade !== undefined && { grade }),
    ...(count !== undefined && { count }),
    ...(refused !== undefined && { refused }),
    ...(left !== undefined && { left }),
    ...(took !== undefined && { duration_ms: Math.round(took) }),
    ...(approval !== undefined && { approval: approvalOf(approval) }),
    ...(reasonCode !== undefined && { reason_code: reasonCode }),
    ...(opening !== undefined && { details_commit: commitSection(opening.key, 'details', opening.sections['details'] as Json) }),
  };
  return { body, ...(opening !== undefined && { opening }) };
}

function openingOf(section: string, value: Json, redactor: Redactor): Opening {
  return { key: newOpeningKey(), sections: { [section]: showAnything(value, redactor, MAX_ACTIVITY_CHARS) } };
}

function approvalOf({ id, decision }: HaltAnswer): HaltAnswer {
  if (!ID.test(id)) throw invalid('an approval has an id of 32 hex digits');
  return { id, decision: refOf(decision) };
}

function refOf({ of, leaf }: EntryRef): EntryRef {
  if (!Number.isSafeInteger(of) || of < 0 || !/^[0-9a-f]{64}$/.test(leaf))
    throw invalid('a reference to an entry is its position and its hash');
  return { of, leaf };
}

function invalid(message: string): CountersignError {
  return new CountersignError('OPTIONS_INVALID', message);
}
