/**
 * Verifying a ledger of the predecessor, 20,000 entries of about 850 bytes each, as lines.
 *
 * Against it stands the loop one writes first: read the file, and for each line JSON.parse, write it canonically again,
 * compare, hash it with its own hash taken out, compare that and the link. It loses long numbers, checks no decision hash
 * and no outcome; ours does. What one entry takes is printed in microseconds: the original tool took 373 to 540 on the
 * machine of the reference, an absolute figure that swings with the machine.
 */
import { hash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { verifyLedger } from '@countersign/core/sqlite';
import { atLeast, type Claim, printed } from './figure.ts';
import { freshPath } from './fixtures.ts';
import { timeRatio } from './measure.ts';

const ENTRIES = 20_000;
const ratio = 'verify a SudoAgent ledger / naive loop that parses, canonicalises and hashes, entries per second';
const each = 'verify a SudoAgent ledger, per entry';

export const sudoagentClaims: readonly Claim[] = [
  { name: ratio, measure: async () => atLeast(ratio, await againstNaive(), 1.5) },
  { name: each, measure: async () => printed(each, await perEntry(), 'us') },
];

async function againstNaive(): Promise<number> {
  const path = sudoLedger();
  const ours = await timeRatio(
    async (count) => {
      for (let i = 0; i < count; i++) await verifyWhole(path);
    },
    (count) => {
      for (let i = 0; i < count; i++) naive(path);
    },
    { rounds: 5, warmUpRounds: 1, slices: 1, count: 1 },
  );
  return 1 / ours;
}

async function perEntry(): Promise<number> {
  const path = sudoLedger();
  const times: number[] = [];
  for (let run = 0; run < 6; run++) {
    const startedAt = performance.now();
    await verifyWhole(path);
    times.push(((performance.now() - startedAt) * 1000) / ENTRIES);
  }
  // The first run warms up.
  return times.slice(1).toSorted((a, b) => a - b)[2] ?? Number.NaN;
}

async function verifyWhole(path: string): Promise<void> {
  const { status, entries } = await verifyLedger(path);
  if (status !== 'valid' || entries !== ENTRIES) throw new Error(`the ledger of the bench is ${status}`);
}

type Value = string | number | boolean | null | readonly Value[] | { readonly [name: string]: Value };

function naive(path: string): void {
  let last: Value = null;
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    if (line === '') continue;
    const { entry_hash: own = null, ...entry } = JSON.parse(line) as { readonly [name: string]: Value };
    if (canonical({ ...entry, entry_hash: own }) !== line) throw new Error('not canonical');
    if (hash('sha256', canonical({ ...entry, entry_hash: null }), 'hex') !== own || entry['prev_entry_hash'] !== last)
      throw new Error('broken');
    last = own;
  }
}

function canonical(value: Value): string {
  if (Array.isArray(value)) return `[${value.map((item: Value) => canonical(item)).join(',')}]`;
  if (typeof value === 'string') return JSON.stringify(value.normalize('NFC'));
  if (typeof value !== 'object' || value === null) return String(value);
  const members = Object.entries(value as { readonly [name: string]: Value }).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${canonical(name)}:${canonical(member)}`).join(',')}}`;
}

let made: string | undefined;

/** Pairs of an allowed decision and its outcome, as the predecessor writes them. */
function sudoLedger(): string {
  if (made !== undefined) return made;
  made = freshPath('sudoagent.jsonl');
  const lines: string[] = [];
  let last: string | null = null;
  const append = (entry: { readonly [name: string]: Value }): void => {
    const open: { readonly [name: string]: Value } = { ...entry, prev_entry_hash: last, entry_hash: null };
    last = hash('sha256', canonical(open), 'hex');
    lines.push(`${canonical({ ...open, entry_hash: last })}\n`);
  };
  for (let call = 0; call < ENTRIES / 2; call++) {
    const base = {
      schema_version: '2.0',
      ledger_version: '2.0',
      created_at: `2026-11-22T12:00:00.${String(call).padStart(6, '0')}Z`,
      request_id: `b922db16-890c-4f5c-9a30-${String(call).padStart(12, '0')}`,
      action: 'tools.billing.refund',
      agent_id: 'agent:billing',
      parameters: {
        args: [`/srv/invoices/${call}.pdf`],
        kwargs: { amount: call, currency: 'EUR', customer: { id: 77, tags: ['vip', 'eu'] }, note: 'naïve café' },
      },
    };
    const policy = {
      policy_id: 'billing',
      policy_version: '3',
      policy_hash: 'a3'.repeat(32),
      reason: 'low risk — ok',
      reason_code: 'POLICY_ALLOW_LOW_RISK',
    };
    const decision_hash = hash(
      'sha256',
      canonical({
        version: '2.0',
        request_id: base.request_id,
        decision_at: base.created_at,
        policy_hash: policy.policy_hash,
        intent: base.action,
        resource: { type: 'function', name: base.action },
        parameters: base.parameters,
        actor: { principal: base.agent_id, source: 'python' },
      }),
      'hex',
    );
    append({
      ...base,
      event: 'decision',
      decision: { ...policy, decision_hash, effect: 'allow' },
      approval: null,
      budget: null,
      metadata: { reason_code: policy.reason_code },
    });
    append({
      ...base,
      event: 'outcome',
      decision: { ...policy, decision_hash },
      outcome: { status: 'success', reason: policy.reason, reason_code: policy.reason_code, error_type: null, error: null },
    });
  }
  writeFileSync(made, lines.join(''));
  return made;
}
