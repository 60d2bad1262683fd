/**
 * Writes ledgers of SudoAgent 2.0 as its own code does, for tests: another implementation than the reader's, which never
 * writes. Names are sorted by their UTF-8 bytes, which is the order of code points.
 */
import { createHash, type KeyObject, sign } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { tempDirectory } from '../fixtures/ledger.ts';

/** A number that JavaScript may not be able to hold. */
export class Digits {
  readonly digits: string;
  constructor(digits: string) {
    this.digits = digits;
  }
}

export type Value = string | boolean | null | Digits | readonly Value[] | Fields;
export interface Fields {
  readonly [name: string]: Value;
}

export function canonical(value: Value): string {
  if (value instanceof Digits) return value.digits;
  if (Array.isArray(value)) return `[${value.map((item: Value) => canonical(item)).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value as Fields).toSorted(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`).join(',')}}`;
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** Chains entries as if they had just been appended, whatever hashes they had. */
export function chained(entries: readonly Fields[], key?: KeyObject): readonly Fields[] {
  let last: string | null = null;
  return entries.map(({ entry_signature: _old, ...entry }) => {
    const open: Fields = { ...entry, prev_entry_hash: last, entry_hash: null };
    last = sha256(canonical(open));
    const signature = key === undefined ? {} : { entry_signature: sign(null, Buffer.from(last), key).toString('base64') };
    return { ...open, entry_hash: last, ...signature };
  });
}

export const lines = (entries: readonly Fields[]): string => entries.map((entry) => `${canonical(entry)}\n`).join('');

let calls = 0;
const POLICY = 'a3'.repeat(32);

/** A time so many milliseconds after noon. */
export const at = (ms: number): string =>
  `2026-11-22T12:00:${String(Math.floor(ms / 1000)).padStart(2, '0')}.${String(ms % 1000).padStart(3, '0')}042Z`;

export interface CallOptions {
  readonly kwargs?: Fields;
  readonly args?: readonly Value[];
  readonly effect?: string;
  readonly action?: string;
  readonly budget?: Fields;
}

/** A decision entry, not yet in a chain. */
export function decision({ kwargs = {}, args = [], effect = 'allow', action = 'tools.refund', budget }: CallOptions = {}): Fields {
  const number = ++calls;
  const requestId = `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`;
  return bound({
    schema_version: '2.0',
    ledger_version: '2.0',
    created_at: at(number % 60_000),
    request_id: requestId,
    event: 'decision',
    action,
    agent_id: 'agent:test',
    decision: {
      effect,
      reason: 'low risk — ok',
      reason_code: 'POLICY_ALLOW_LOW_RISK',
      policy_id: 'p',
      policy_version: '1',
      policy_hash: POLICY,
    },
    approval: null,
    budget: budget ?? null,
    parameters: { args, kwargs },
    metadata: { reason_code: 'POLICY_ALLOW_LOW_RISK' },
  });
}

/** With the decision hash its fields give. */
export function bound(entry: Fields): Fields {
  const block = entry['decision'] as Fields;
  const hash = sha256(
    canonical({
      version: '2.0',
      request_id: entry['request_id'] as string,
      decision_at: entry['created_at'] as string,
      policy_hash: block['policy_hash'] as string,
      intent: entry['action'] as string,
      resource: { type: 'function', name: entry['action'] as string },
      parameters: entry['parameters'] as Fields,
      actor: { principal: entry['agent_id'] as string, source: 'python' },
    }),
  );
  return { ...entry, decision: { ...block, decision_hash: hash } };
}

/** A decision that an approval allowed, or whatever `approval` makes of it. */
export function approved(options: CallOptions = {}, approval: Fields = {}, metadata: Fields = {}): Fields {
  const entry = decision(options);
  const { decision_hash, policy_hash } = entry['decision'] as { decision_hash: string; policy_hash: string };
  const binding = { request_id: entry['request_id'] as string, policy_hash, decision_hash };
  return {
    ...entry,
    approval: {
      approval_id: entry['request_id'] as string,
      approver_id: 'alice@example.com',
      state: 'approved',
      created_at: '2026-11-22T12:00:00.100000+00:00',
      resolved_at: '2026-11-22T12:00:20.100000+00:00',
      expires_at: '2026-11-22T12:05:00+00:00',
      binding,
      ...approval,
    },
    metadata: {
      approval_binding: binding,
      approved: true,
      approver_id: 'alice@example.com',
      policy_decision: 'require_approval',
      ...metadata,
    },
  };
}

export function outcome(of: Fields, status = 'success'): Fields {
  const { effect: _effect, ...block } = of['decision'] as Fields;
  return {
    schema_version: '2.0',
    ledger_version: '2.0',
    created_at: at(59_000),
    request_id: of['request_id'] as string,
    event: 'outcome',
    action: of['action'] as string,
    agent_id: of['agent_id'] as string,
    decision: block,
    outcome: { status, reason: 'low risk — ok', reason_code: null, error_type: null, error: null },
    parameters: of['parameters'] as Fields,
  };
}

export const checkpoint = (): Fields => ({
  schema_version: '2.0',
  ledger_version: '2.0',
  created_at: at(59_500),
  request_id: null,
  event: 'checkpoint',
  action: '',
  agent_id: 'agent:test',
  metadata: {},
});

/** Everything the format has, numbers and names that JavaScript gets wrong among it. Entry 12 is an open decision. */
export function scenario(): readonly Fields[] {
  const numbers = decision({
    args: ['0', '-1', '12345678901234567890', '1180591620717411303424', '0.00000000000000000001', '-123456789.123456789123456789'].map(
      (digits) => new Digits(digits),
    ),
    kwargs: { i53: new Digits('9007199254740993'), million: new Digits(`1${'0'.repeat(500)}`) },
  });
  const names = decision({
    kwargs: { m: { '': true, '\r': null, '\u007f': '\u2028', ö: 'naïve café', '\uff21': '東京', '😀': '🚀', '\ue000': [] } },
  });
  const plain = decision({ args: ['/srv/report.txt'], kwargs: { limit: new Digits('10') }, action: 'tools.read' });
  const budget = {
    budget_key: null,
    agent_id: 'agent:test',
    action: 'tools.refund',
    cost: new Digits('1'),
    window_seconds: new Digits('3600'),
    checked: true,
  };
  const paid = decision({ budget });
  const asked = approved({ kwargs: { amount: new Digits('1250.5') } });
  const refused = approved(
    { effect: 'deny' },
    { state: 'denied', binding: { request_id: 'old', policy_hash: 'x', decision_hash: 'y' } },
    { approved: false },
  );
  return [
    ...[
      plain,
      outcome(plain),
      decision({ effect: 'deny', kwargs: { tab: 'a\tb\u0001 "\\/' } }),
      numbers,
      outcome(numbers),
      names,
      outcome(names),
    ],
    ...[asked, refused, outcome(asked, 'error'), paid, decision({ action: 'tools.still_running' }), checkpoint(), outcome(paid)],
  ];
}

export function writeLines(content: string | Uint8Array, name = 'ledger.jsonl'): string {
  const path = join(tempDirectory(), name);
  writeFileSync(path, content);
  return path;
}

export const SCHEMA = `CREATE TABLE ledger (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            entry_json TEXT NOT NULL,
            entry_hash TEXT NOT NULL,
            prev_entry_hash TEXT
        )`;

export function writeSqlite(entries: readonly Fields[], change: (database: Sqlite.Database) => void = () => {}, schema = SCHEMA): string {
  const path = join(tempDirectory(), 'ledger.sqlite');
  const database = new Sqlite(path);
  database.exec(schema);
  const insert = database.prepare('INSERT INTO ledger (entry_json, entry_hash, prev_entry_hash) VALUES (?, ?, ?)');
  for (const entry of entries) insert.run(canonical(entry), entry['entry_hash'], entry['prev_entry_hash']);
  change(database);
  database.close();
  return path;
}
