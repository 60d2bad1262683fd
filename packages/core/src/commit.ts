/**
 * The rules of the transaction (DESIGN section 4, step 5), the same for every store.
 *
 * `applyUnit` runs inside a transaction that the store opened and will make durable; it reads and writes through `Tx`.
 * It never throws for a business reason: a refusal is a value and an entry. Whatever it does throw fails the batch.
 *
 * Rows are hints; authority comes from entries. Whoever can edit the file can edit rows, but not the tree without the
 * ledger's key, so asks, answers and earlier uses of an approval are read back from entries proven to be in the tree.
 */
import { foldApprover } from './approval/approver-name.ts';
import type { BuiltInReasonCode, EntryRef, OutcomeStatus } from './call.ts';
import { commitSection, newOpeningKey } from './ledger/commitment.ts';
import type { ApprovalBody, BudgetCharge, DecisionBody, Entry, EntryBody, Opening } from './ledger/entry.ts';
import type {
  AnswerUnit,
  ApprovalRow,
  ApprovalState,
  CallRow,
  CallState,
  Charge,
  Committed,
  DecideUnit,
  OutcomeUnit,
  RecordUnit,
  Unit,
} from './store.ts';

/** A session as kept. */
export interface SessionRecord {
  readonly id: string;
  readonly agent: string;
  readonly labels: readonly string[];
  readonly version: number;
  readonly halted: boolean;
  readonly startedAtMs: number;
}

/** A call as kept; `writerAlive` is worked out when it is read. */
export interface CallRecord extends Omit<CallRow, 'writerAlive'> {
  readonly outcome?: EntryRef;
}

/** An approval as kept; the clear text lies in the openings. */
export type ApprovalRecord = Omit<ApprovalRow, 'shown' | 'reason' | 'message'>;

/** Rows inside one open transaction. */
export interface Tx {
  /** Store time of this transaction: max(newest entry, wall clock). */
  readonly atMs: number;
  readonly writer: string;
  /** Stamps, serialises, hashes and inserts; the entry joins the tree with the commit. */
  append(body: EntryBody, opening?: Opening): EntryRef;
  /** The entry at `ref`, if it is proven to be in the tree (entries of this transaction included). */
  entry(ref: EntryRef): Entry | undefined;
  /**
   * Entries after `of` that name this approval, from entries proven to be the tree's, not from rows.
   * @throws {CountersignError} `LEDGER_CORRUPT` when what is stored since then is not what the tree holds.
   */
  entriesAbout(of: number, approval: string): readonly Entry[];
  session(id: string): SessionRecord | undefined;
  putSession(row: SessionRecord): void;
  callById(id: string): (CallRecord & CallRow) | undefined;
  callByKey(key: string): CallRow | undefined;
  putCall(row: CallRecord): void;
  approval(id: string): ApprovalRecord | undefined;
  putApproval(row: ApprovalRecord): void;
  /** Sum of charges to (budget, key) at or after `sinceMs`; undefined = for life. */
  spent(budget: string, key: string, sinceMs: number | undefined): number;
  charge(charge: { readonly budget: string; readonly key: string; readonly cost: number; readonly call: string }): void;
  mark(name: string): EntryRef | undefined;
  putMark(name: string, ref: EntryRef): void;
}

export function applyUnit(unit: Unit, tx: Tx): Committed {
  switch (unit.kind) {
    case 'decide':
      return decide(unit, tx);
    case 'answer':
      return answer(unit, tx);
    case 'lapse':
      return lapse(unit.approval, unit.state, tx);
    case 'outcome':
      return settle(unit, tx);
    case 'record':
      return record(unit, tx);
  }
}

function decide(unit: DecideUnit, tx: Tx): Committed {
  const { body } = unit;
  const known = unit.call.key === undefined ? undefined : tx.callByKey(unit.call.key);
  if (body.effect !== 'deny') {
    if (known !== undefined && (known.id !== body.call || known.state !== 'asked')) return { kind: 'repeat', call: known };
    // Two callers may have taken over one suspended call: the second finds it decided.
    const own = tx.callById(body.call);
    if (own !== undefined && own.state !== 'asked') return { kind: 'repeat', call: own };
  }

  const session = tx.session(body.session);
  if (unit.sessionVersion !== undefined && (session?.version ?? 0) !== unit.sessionVersion) return { kind: 'stale' };
  if (session === undefined) startSession(unit, tx);

  if (body.effect === 'deny') return refuse(unit, tx, { body, opening: unit.opening });
  if (unit.ask !== undefined) return ask(unit, unit.ask, tx);

  const objection = unit.use === undefined ? undefined : objectionToApproval(unit, unit.use, tx);
  if (objection !== undefined) return refuse(unit, tx, denied(unit, objection));

  const budgets = chargeBudgets(unit, tx);
  if ('exceeded' in budgets) {
    // The approval stays unconsumed and the call re-enterable: a window may move on.
    return refuse(unit, tx, denied(unit, budgets.exceeded.code, budgets.exceeded.reason), { keepAsked: unit.use !== undefined });
  }
  return allow(unit, budgets, tx);
}

function allow(unit: DecideUnit, budgets: Charged, tx: Tx): Committed {
  const over = budgets.over === undefined ? {} : { would: 'deny' as const, reason_code: budgets.over };
  const body: DecisionBody = { ...unit.body, ...over, ...(budgets.charges.length > 0 && { budgets: budgets.charges }) };
  const entry = tx.append(body, unit.opening);
  for (const { id, key, cost } of budgets.charges) tx.charge({ budget: id, key, cost, call: body.call });
  if (unit.use !== undefined) {
    const row = tx.approval(unit.use.approval);
    if (row !== undefined) tx.putApproval({ ...row, state: 'consumed' });
  }
  if (body.labels !== undefined) addLabels(body.session, body.labels, tx);
  tx.putCall(callRecord(unit, body, entry, 'allowed', tx));
  return { kind: 'decided', entry, atMs: tx.atMs, body };
}

function ask(unit: DecideUnit, terms: NonNullable<DecideUnit['ask']>, tx: Tx): Committed {
  const expiresAtMs = tx.atMs + terms.ttlMs;
  const body: DecisionBody = {
    ...unit.body,
    approval: { id: terms.id, expires_at: expiresAtMs, quorum: terms.quorum, ...(terms.approvers && { approvers: terms.approvers }) },
  };
  const entry = tx.append(body, unit.opening);
  tx.putCall({ ...callRecord(unit, body, entry, 'asked', tx), approval: terms.id });
  tx.putApproval({
    id: terms.id,
    call: body.call,
    agent: body.agent,
    session: body.session,
    ...(body.principal !== undefined && { principal: body.principal }),
    tool: { ...(body.tool.server !== undefined && { server: body.tool.server }), name: body.tool.name },
    ...(body.rule !== undefined && { rule: body.rule }),
    reasonCode: body.reason_code,
    state: 'pending',
    binds: body.binds ?? '',
    policyHash: body.policy.hash,
    ask: entry,
    answers: [],
    createdAtMs: tx.atMs,
    expiresAtMs,
    quorum: terms.quorum,
    ...(terms.approvers && { approvers: terms.approvers }),
  });
  return { kind: 'decided', entry, atMs: tx.atMs, body };
}

type Refused = { readonly body: DecisionBody; readonly opening: Opening | undefined };

/** A refusal is recorded like a permit. It changes the call's state only while nothing was allowed for it. */
function refuse(unit: DecideUnit, tx: Tx, refused: Refused, options: { readonly keepAsked?: boolean } = {}): Committed {
  const entry = tx.append(refused.body, refused.opening);
  const row = tx.callById(refused.body.call);
  if (options.keepAsked !== true && (row === undefined || row.state === 'asked')) {
    const { bindKey: _gone, key, ...call } = callRecord(unit, refused.body, entry, 'denied', tx);
    // The key may belong to a twin that was allowed meanwhile: its row is what keeps the call from running again.
    const owner = key === undefined ? undefined : tx.callByKey(key);
    tx.putCall(key === undefined || (owner !== undefined && owner.id !== call.id) ? call : { ...call, key });
  }
  const reason = refused.opening?.sections['reason'];
  return { kind: 'decided', entry, atMs: tx.atMs, body: refused.body, ...(typeof reason === 'string' && { reason }) };
}

/** The unit's decision turned into a refusal that only the transaction could know of. */
function denied(unit: DecideUnit, code: BuiltInReasonCode, reason?: string): Refused {
  const { labels: _labels, reason_commit: _commit, ...rest } = unit.body;
  const body: DecisionBody = { ...rest, effect: 'deny', would: 'deny', reason_code: code };
  if (reason === undefined) return { body, opening: withoutReason(unit.opening) };
  const key = unit.opening?.key ?? newOpeningKey();
  return {
    body: { ...body, reason_commit: commitSection(key, 'reason', reason) },
    opening: { key, sections: { ...unit.opening?.sections, reason } },
  };
}

function withoutReason(opening: Opening | undefined): Opening | undefined {
  if (opening === undefined || !('reason' in opening.sections)) return opening;
  const { reason: _reason, ...sections } = opening.sections;
  return { key: opening.key, sections };
}

function objectionToApproval(unit: DecideUnit, use: NonNullable<DecideUnit['use']>, tx: Tx): BuiltInReasonCode | undefined {
  const { body } = unit;
  const row = tx.approval(use.approval);
  if (row === undefined || row.call !== body.call || body.binds === undefined) return 'APPROVAL_BINDING_MISMATCH';
  const asked = askOf(row, tx);
  if (asked === undefined) return 'APPROVAL_BINDING_MISMATCH';
  for (const about of tx.entriesAbout(row.ask.of, use.approval)) {
    if (about.kind === 'decision' && about.effect === 'allow' && about.approval?.id === use.approval) return 'APPROVAL_ALREADY_USED';
    if (about.kind === 'approval' && about.answer === 'deny' && about.approval === use.approval) return 'APPROVAL_DENIED';
  }
  const { expires_at: expiresAt, quorum, approvers } = asked.approval;
  if (tx.atMs >= expiresAt) return 'APPROVAL_EXPIRED';
  if (asked.binds !== body.binds || asked.policyHash !== body.policy.hash) return 'APPROVAL_BINDING_MISMATCH';

  const approvedBy = new Set<string>();
  for (const ref of use.answers) {
    const given = tx.entry(ref);
    if (given?.kind !== 'approval' || given.approval !== use.approval || given.call !== body.call) return 'APPROVAL_BINDING_MISMATCH';
    if (given.binds !== body.binds || given.expires_at !== expiresAt) return 'APPROVAL_BINDING_MISMATCH';
    if (given.at >= expiresAt) return 'APPROVAL_EXPIRED';
    if (given.answer !== 'approve') return 'APPROVAL_DENIED';
    if (approvers !== undefined && !approvers.includes(given.approver.id)) return 'APPROVAL_BINDING_MISMATCH';
    approvedBy.add(foldApprover(given.approver.id));
  }
  return approvedBy.size >= quorum ? undefined : 'APPROVAL_BINDING_MISMATCH';
}

interface Charged {
  readonly charges: readonly BudgetCharge[];
  /** In audit mode: the first budget that would have refused. */
  readonly over?: BuiltInReasonCode;
}

/** All charges fit or none happens. Two charges to one budget and key within a unit count together. */
function chargeBudgets(
  unit: DecideUnit,
  tx: Tx,
): Charged | { readonly exceeded: { readonly code: BuiltInReasonCode; readonly reason: string } } {
  const charges: BudgetCharge[] = [];
  let over: BuiltInReasonCode | undefined;
  for (const charge of unit.charges ?? []) {
    const since = charge.window_ms === undefined ? undefined : tx.atMs - charge.window_ms + 1;
    const before = charges
      .filter((other) => other.id === charge.id && other.key === charge.key)
      .reduce((sum, other) => sum + other.cost, 0);
    const left = charge.limit - tx.spent(charge.id, charge.key, since) - before - charge.cost;
    if (left < 0) {
      const code = EXCEEDED[charge.per];
      if (unit.auditBudgets !== true) return { exceeded: { code, reason: exceededText(charge, left) } };
      over ??= code;
    }
    charges.push({ ...charge, left });
  }
  return over === undefined ? { charges } : { charges, over };
}

const EXCEEDED: Readonly<Record<Charge['per'], BuiltInReasonCode>> = {
  agent: 'BUDGET_EXCEEDED_AGENT_RATE',
  tool: 'BUDGET_EXCEEDED_TOOL_RATE',
  session: 'BUDGET_EXCEEDED_SESSION_RATE',
  principal: 'BUDGET_EXCEEDED_PRINCIPAL_RATE',
};

function exceededText(charge: Charge, left: number): string {
  const amount = (micro: number): string => String(micro / 1_000_000);
  const window = charge.window_ms === undefined ? 'for life' : `per ${charge.window_ms / 1000} s`;
  return `budget ${charge.id}: ${amount(left + charge.cost)} left of ${amount(charge.limit)} ${window}, this call needs ${amount(charge.cost)}`;
}

function answer(unit: AnswerUnit, tx: Tx): Committed {
  const row = tx.approval(unit.approval);
  if (row === undefined) return { kind: 'not-answerable', why: 'not-found' };
  // What an answer binds comes from the ask in the tree: a row that was edited must not get a signature under it.
  const asked = askOf(row, tx);
  if (asked === undefined) return { kind: 'not-answerable', why: 'altered' };
  const { expires_at: expiresAt, quorum, approvers } = asked.approval;
  if (row.state !== 'pending') return { kind: 'not-answerable', why: 'not-pending', state: row.state };
  if (tx.atMs >= expiresAt) return { kind: 'not-answerable', why: 'expired', state: 'expired' };
  if (approvers !== undefined && !approvers.includes(unit.approver.id)) return { kind: 'not-answerable', why: 'approver' };
  if (row.answers.some((given) => foldApprover(given.approver) === foldApprover(unit.approver.id))) {
    return { kind: 'not-answerable', why: 'not-pending', state: row.state };
  }

  const opening = unit.message === undefined ? undefined : { key: newOpeningKey(), sections: { message: unit.message } };
  const body: ApprovalBody = {
    kind: 'approval',
    agent: asked.agent,
    session: asked.session,
    call: asked.call,
    approval: row.id,
    ask: row.ask,
    answer: unit.answer,
    approver: unit.approver,
    binds: asked.binds,
    expires_at: expiresAt,
    ...(opening && { message_commit: commitSection(opening.key, 'message', opening.sections.message) }),
    ...(unit.signature !== undefined && { signature: unit.signature }),
  };
  const entry = tx.append(body, opening);
  const answers = [...row.answers, { ...entry, approver: unit.approver.id, answer: unit.answer }];
  const approved = answers.filter((given) => given.answer === 'approve').length >= quorum;
  const state: ApprovalState = unit.answer === 'deny' ? 'denied' : approved ? 'approved' : 'pending';
  const updated = { ...row, answers, state };
  tx.putApproval(updated);
  return { kind: 'answered', entry, atMs: tx.atMs, approval: { ...updated, ...(unit.message !== undefined && { message: unit.message }) } };
}

interface Ask {
  readonly agent: string;
  readonly session: string;
  readonly call: string;
  readonly binds: string;
  readonly policyHash: string;
  readonly approval: { readonly expires_at: number; readonly quorum: number; readonly approvers?: readonly string[] };
}

/** The ask an approval's row points to, if the tree has it and it is this approval's. */
function askOf(row: ApprovalRecord, tx: Tx): Ask | undefined {
  const entry = tx.entry(row.ask);
  if (entry?.kind !== 'decision' || entry.effect !== 'require_approval' || entry.call !== row.call) return undefined;
  const { approval, binds, agent, session, call, policy } = entry;
  if (approval?.id !== row.id || approval.expires_at === undefined || binds === undefined) return undefined;
  const { expires_at, quorum = 1, approvers } = approval;
  return { agent, session, call, binds, policyHash: policy.hash, approval: { expires_at, quorum, ...(approvers && { approvers }) } };
}

function lapse(id: string, state: 'failed' | 'expired', tx: Tx): Committed {
  const row = tx.approval(id);
  if (row?.state === 'pending') tx.putApproval({ ...row, state });
  return { kind: 'lapsed' };
}

function settle(unit: OutcomeUnit, tx: Tx): Committed {
  const { body } = unit;
  const row = tx.callById(body.call);
  // The permit's owner settles once; a second outcome for one decision would make the ledger invalid.
  if (row?.outcome !== undefined) return { kind: 'settled', entry: row.outcome };
  const entry = tx.append(body, unit.opening);
  if (row !== undefined) {
    const { bindKey: _gone, ...kept } = row;
    tx.putCall({ ...kept, state: 'settled', status: body.status satisfies OutcomeStatus, outcome: entry });
  }
  if (body.labels !== undefined) addLabels(body.session, body.labels, tx);
  return { kind: 'settled', entry };
}

function record(unit: RecordUnit, tx: Tx): Committed {
  const { body } = unit;
  if (unit.once !== undefined && isRecorded(tx.mark(unit.once), body, tx)) return { kind: 'recorded' };
  const session = body.kind === 'session' ? tx.session(body.session) : undefined;
  // The first call of a session writes its start; ending or halting one that never started says nothing.
  if (body.kind === 'session' && session === undefined && body.event !== 'start' && body.event !== 'halted') return { kind: 'recorded' };
  const entry = tx.append(body);
  if (unit.once !== undefined) tx.putMark(unit.once, entry);
  if (body.kind === 'session') {
    const row = session ?? { id: body.session, agent: body.agent, labels: [], version: 1, halted: false, startedAtMs: tx.atMs };
    const halted = body.event === 'halted' ? true : body.event === 'resumed' ? false : row.halted;
    const labels = body.labels === undefined ? row.labels : union(row.labels, body.labels);
    tx.putSession({ ...row, halted, labels, version: row.version + 1 });
  }
  return { kind: 'recorded', entry };
}

/** A mark says where to look; what stands there decides. */
function isRecorded(mark: EntryRef | undefined, body: RecordUnit['body'], tx: Tx): boolean {
  const entry = mark === undefined ? undefined : tx.entry(mark);
  if (entry === undefined || entry.kind !== body.kind) return false;
  return entry.kind !== 'policy' || body.kind !== 'policy' || entry.policy.hash === body.policy.hash;
}

function startSession(unit: DecideUnit, tx: Tx): void {
  const { agent, session } = unit.body;
  tx.append({ kind: 'session', agent, session, event: 'start', coverage: unit.coverage ?? 'none' });
  // Version 0 means "no entry yet" to whoever decided; starting changes nothing a policy can see.
  tx.putSession({ id: session, agent, labels: [], version: 0, halted: false, startedAtMs: tx.atMs });
}

function addLabels(session: string, labels: readonly string[], tx: Tx): void {
  const row = tx.session(session);
  if (row === undefined) return;
  const all = union(row.labels, labels);
  if (all.length > row.labels.length) tx.putSession({ ...row, labels: all, version: row.version + 1 });
}

function union(some: readonly string[], more: readonly string[]): readonly string[] {
  return [...new Set([...some, ...more])].toSorted();
}

function callRecord(unit: DecideUnit, body: DecisionBody, entry: EntryRef, state: CallState, tx: Tx): CallRecord {
  const earlier = tx.callById(body.call);
  return {
    id: body.call,
    ...(unit.call.key !== undefined && { key: unit.call.key }),
    match: unit.call.match,
    state,
    session: body.session,
    agent: body.agent,
    writer: tx.writer,
    ...(unit.call.bindKey !== undefined && { bindKey: unit.call.bindKey }),
    ...(earlier?.approval !== undefined && { approval: earlier.approval }),
    decision: entry,
    reasonCode: body.reason_code,
  };
}
