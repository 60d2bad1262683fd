/**
 * A small ledger from fixed inputs, byte for byte the same on every machine: the examples of `docs/formats/`.
 * Where a writer takes random bytes, this one takes numbers that are easy to recognise.
 */
import { approvalStatement, statementOf } from '../../src/approval/statement.ts';
import type { EntryRef, Json } from '../../src/call.ts';
import { callBinding } from '../../src/call-key.ts';
import { canonicalize } from '../../src/ledger/canonical.ts';
import { signCheckpoint } from '../../src/ledger/checkpoint.ts';
import { commitSection } from '../../src/ledger/commitment.ts';
import type { EntryBody, Opening } from '../../src/ledger/entry.ts';
import { signerFromPem } from '../../src/ledger/keys.ts';
import { CompactRange, leafHash } from '../../src/ledger/merkle.ts';
import { policyHash } from '../../src/policy/hash.ts';

export const ORIGIN = 'example.com/billing';
const START_MS = Date.UTC(2026, 0, 1);
const WRITER = 'a0'.repeat(16);
const DEAD_WRITER = 'b0'.repeat(16);
export const id = (number: number): string => number.toString(16).padStart(32, '0');
export const key = (number: number): string => number.toString(16).padStart(64, '0');

/** PKCS#8 of an Ed25519 key whose seed is that byte, repeated. */
function pemOf(byte: string): string {
  const der = Buffer.from(`302e020100300506032b657004220420${byte.repeat(32)}`, 'hex').toString('base64');
  return `-----BEGIN PRIVATE KEY-----\n${der}\n-----END PRIVATE KEY-----\n`;
}

export const signer = signerFromPem(pemOf('01'), ORIGIN);
export const finance = signerFromPem(pemOf('02'), 'finance');

export interface GoldenEntry {
  readonly text: string;
  readonly leaf: string;
  readonly opening: Opening | undefined;
}

const entries: GoldenEntry[] = [];

type Forget = { readonly kind: 'forget'; readonly entries: readonly EntryRef[] };
export type Append = (body: EntryBody | Forget, more?: { opening?: Opening; writer?: string }) => EntryRef;

/** Appends to a list of entries, each a second after the one before. */
export function appendTo(list: GoldenEntry[]): Append {
  return (body, { opening, writer = WRITER } = {}) => {
    const of = list.length;
    const text = canonicalize({ ...body, v: 1, id: id(of + 1), at: timeOf(of), writer });
    const leaf = leafHash(text);
    list.push({ text, leaf, opening });
    return { of, leaf };
  };
}

export function timeOf(position: number): number {
  return START_MS + position * 1000;
}

const append = appendTo(entries);

const document = canonicalize({ id: 'billing', kind: 'rules', rules: [{ effect: 'allow', id: 'small-refund', tools: ['refund'] }] });
export const policy = { id: 'billing', version: '3', hash: policyHash(document) };
export const context = { agent: 'billing-bot', session: 's1' };

export function opened(
  number: number,
  sections: { readonly [section: string]: Json },
): { opening: Opening; commits: { [name: string]: string } } {
  const opening = { key: key(number), sections };
  const commits = Object.entries(sections).map(([name, value]) => [`${name}_commit`, commitSection(opening.key, name, value)] as const);
  return { opening, commits: Object.fromEntries(commits) };
}

append({ kind: 'key', event: 'first', vkey: signer.vkey, from: 0 });
append({ kind: 'policy', policy, document });
append({ kind: 'session', ...context, event: 'start', coverage: 'none' });

const small = opened(1, { args: { amount: 120, iban: '[redacted:iban]' } });
const allowed = append(
  {
    kind: 'decision',
    ...context,
    call: id(101),
    principal: 'ada',
    tool: { server: 'bank', name: 'refund' },
    mode: 'enforce',
    effect: 'allow',
    would: 'allow',
    reason_code: 'POLICY_ALLOW_LOW_RISK',
    rule: 'small-refund',
    policy,
    ...small.commits,
    redacted: ['iban'],
    budgets: [
      {
        id: 'refund-total',
        per: 'agent',
        key: 'billing-bot',
        cost: 120_000_000,
        limit: 10_000_000_000,
        window_ms: 86_400_000,
        left: 9_880_000_000,
      },
    ],
  },
  { opening: small.opening },
);
const result = opened(2, { result: { excerpt: 'paid' } });
append(
  { kind: 'outcome', ...context, call: id(101), decision: allowed, status: 'success', duration_ms: 42, ...result.commits },
  { opening: result.opening },
);
const no = opened(3, { args: {}, reason: 'nobody may drop tables' });
append(
  {
    kind: 'decision',
    ...context,
    call: id(102),
    tool: { name: 'drop-table' },
    mode: 'enforce',
    effect: 'deny',
    would: 'deny',
    reason_code: 'POLICY_DENY_HIGH_RISK',
    rule: 'no-drops',
    policy,
    ...no.commits,
  },
  { opening: no.opening },
);

const big = { tool: { server: 'bank', name: 'refund' }, exact: '{"amount":900}' };
const binds = callBinding({ ...context, principal: 'ada', ...big }, policy.hash, key(200));
const shown = opened(4, { args: { amount: 900 }, reason: 'over 500' });
const asked = {
  kind: 'decision',
  ...context,
  call: id(103),
  principal: 'ada',
  tool: big.tool,
  mode: 'enforce',
  would: 'require_approval',
  rule: 'big-refund',
  policy,
} as const;
const expiresAt = START_MS + 6000 + 300_000;
const ask = append(
  {
    ...asked,
    effect: 'require_approval',
    reason_code: 'POLICY_REQUIRE_APPROVAL_HIGH_VALUE',
    ...shown.commits,
    approval: { id: id(201), expires_at: expiresAt, quorum: 1, approvers: ['finance'] },
    binds,
  },
  { opening: shown.opening },
);
export const statement = approvalStatement(
  statementOf({ id: id(201), ...context, call: id(103), binds, expiresAtMs: expiresAt }, 'approve', 'finance'),
);
const message = opened(5, { message: 'checked with the customer' });
const answer = append(
  {
    kind: 'approval',
    ...context,
    call: id(103),
    approval: id(201),
    ask,
    answer: 'approve',
    approver: { id: 'finance', method: 'key', assurance: 'high' },
    binds,
    expires_at: expiresAt,
    ...message.commits,
    signature: Buffer.from(finance.sign(statement)).toString('base64'),
  },
  { opening: message.opening },
);
const again = opened(6, { args: { amount: 900 } });
const used = append(
  {
    ...asked,
    effect: 'allow',
    reason_code: 'APPROVAL_GRANTED',
    ...again.commits,
    budgets: [
      {
        id: 'refund-total',
        per: 'agent',
        key: 'billing-bot',
        cost: 900_000_000,
        limit: 10_000_000_000,
        window_ms: 86_400_000,
        left: 8_980_000_000,
      },
    ],
    approval: { id: id(201), answers: [answer] },
    binds,
  },
  { opening: again.opening },
);
const failed = opened(7, { error: { excerpt: 'Error: the bank did not answer' } });
append(
  {
    kind: 'outcome',
    ...context,
    call: id(103),
    decision: used,
    status: 'error',
    error_type: 'Error',
    duration_ms: 3000,
    ...failed.commits,
  },
  { opening: failed.opening },
);
const left = append(
  {
    kind: 'decision',
    ...context,
    call: id(104),
    tool: { name: 'report' },
    mode: 'enforce',
    effect: 'allow',
    would: 'allow',
    reason_code: 'POLICY_ALLOW_LOW_RISK',
    policy,
    args_commit: commitSection(key(8), 'args', { month: 12 }),
  },
  { writer: DEAD_WRITER },
);
append({ kind: 'recovery', event: 'open-decisions', of_writer: DEAD_WRITER, open: [left] });
append({ kind: 'forget', entries: [left] });
append({ kind: 'note', topic: 'activity-log', data: { segment: 'activity-0001.jsonl', sha256: key(9) } });
append({ kind: 'session', ...context, event: 'end' });

export const GOLDEN: readonly GoldenEntry[] = entries;

export const CHECKPOINT: string = checkpointOf(entries);

export function checkpointOf(list: readonly GoldenEntry[]): string {
  const range = new CompactRange();
  for (const { leaf } of list) range.push(leaf);
  return signCheckpoint({ origin: ORIGIN, size: range.size, root: range.root() }, signer);
}
