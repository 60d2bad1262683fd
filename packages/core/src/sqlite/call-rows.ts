/** Rows of the table `calls`. */
import type { Database } from 'better-sqlite3';
import type { OutcomeStatus } from '../call.ts';
import type { CallState } from '../store-rows.ts';
import type { CallRecord } from '../transaction/tx.ts';

const COLUMNS =
  'id, key, match, state, session, agent, writer, bind_key, approval, decision_of, decision_leaf, outcome_of, outcome_leaf, reason_code, status';

/** In the order of the columns. */
type CallSql = readonly [
  id: string,
  key: string | null,
  match: string,
  state: CallState,
  session: string,
  agent: string,
  writer: string,
  bindKey: string | null,
  approval: string | null,
  decisionOf: number,
  decisionLeaf: string,
  outcomeOf: number | null,
  outcomeLeaf: string | null,
  reasonCode: string,
  status: OutcomeStatus | null,
];

export class CallRows {
  private readonly statements: ReturnType<typeof prepare>;

  constructor(database: Database) {
    this.statements = prepare(database);
  }

  byId(id: string): CallRecord | undefined {
    return callRecord(this.statements.byId.get(id));
  }

  byKey(key: string): CallRecord | undefined {
    return callRecord(this.statements.byKey.get(key));
  }

  /** The latest of those that ask for the same. */
  asked(match: string): CallRecord | undefined {
    return callRecord(this.statements.asked.get(match));
  }

  /** Writers whose calls are open. */
  openWriters(): readonly string[] {
    return this.statements.openWriters.all();
  }

  /** In the order of their decisions. */
  openOf(writer: string): readonly CallRecord[] {
    return this.statements.openOf.all(writer).flatMap((row) => callRecord(row) ?? []);
  }

  put(row: CallRecord): void {
    this.statements.put.run(
      row.id,
      row.key ?? null,
      row.match,
      row.state,
      row.session,
      row.agent,
      row.writer,
      row.bindKey ?? null,
      row.approval ?? null,
      row.decision.of,
      row.decision.leaf,
      row.outcome?.of ?? null,
      row.outcome?.leaf ?? null,
      row.reasonCode,
      row.status ?? null,
    );
  }
}

function callRecord(row: CallSql | undefined): CallRecord | undefined {
  if (row === undefined) return undefined;
  const [
    id,
    key,
    match,
    state,
    session,
    agent,
    writer,
    bindKey,
    approval,
    decisionOf,
    decisionLeaf,
    outcomeOf,
    outcomeLeaf,
    reasonCode,
    status,
  ] = row;
  return {
    id,
    ...(key !== null && { key }),
    match,
    state,
    session,
    agent,
    writer,
    ...(bindKey !== null && { bindKey }),
    ...(approval !== null && { approval }),
    decision: { of: decisionOf, leaf: decisionLeaf },
    ...(outcomeOf !== null && outcomeLeaf !== null && { outcome: { of: outcomeOf, leaf: outcomeLeaf } }),
    reasonCode,
    ...(status !== null && { status }),
  };
}

function prepare(database: Database) {
  const marks = COLUMNS.replaceAll(/\w+/g, '?');
  const updates = COLUMNS.replaceAll(/(\w+)/g, '$1 = excluded.$1');
  // Every call reads them. They come as arrays: an object costs a look-up of each column's name.
  const select = (where: string) => database.prepare<[string], CallSql>(`SELECT ${COLUMNS} FROM calls WHERE ${where}`).raw();
  return {
    byId: select('id = ?'),
    byKey: select('key = ?'),
    asked: select(`match = ? AND state = 'asked' ORDER BY decision_of DESC LIMIT 1`),
    openOf: select(`writer = ? AND state = 'allowed' ORDER BY decision_of`),
    openWriters: database.prepare<[], string>(`SELECT DISTINCT writer FROM calls WHERE state = 'allowed'`).pluck(),
    put: database.prepare(
      // Not OR REPLACE: a second row with the same key must fail, not delete the first.
      `INSERT INTO calls (${COLUMNS}) VALUES (${marks}) ON CONFLICT (id) DO UPDATE SET ${updates}`,
    ),
  };
}
