/** Finding the grant a person means, and how it is shown to people and machines. */
import { CountersignError, DURATION_HINT, type GrantRow, type GrantTerms, parseDuration } from '@countersign/core';
import type { ApprovalView, LedgerReader } from '@countersign/core/sqlite';
import { findApproval, toolName } from './approval-lookup.ts';
import type { Flags, Option } from './command.ts';
import { UsageError } from './failure.ts';
import { type Output, safe, safeName } from './output.ts';
import { type Column, tableLines } from './table.ts';
import { instant, span } from './time.ts';

const ID_CHARS = 8;
const MAX_LISTED = 200;
const PREFIX_SHAPE = /^[0-9a-f]{6,32}$/;

export type FoundApproval = { readonly approval: ApprovalView } | { readonly grant: GrantRow };

/**
 * The grant or approval with this id, or the only one whose id starts so.
 *
 * @throws {UsageError}; {CountersignError} `APPROVAL_NOT_FOUND`
 */
export function findGrantOrApproval(reader: LedgerReader, given: string): FoundApproval {
  const grants = PREFIX_SHAPE.test(given) ? reader.grants().filter(({ id }) => id.startsWith(given)) : [];
  const [grant, another] = grants;
  if (another !== undefined) throw new UsageError(`more than one grant has an id that starts with ${given}`, 'give more digits of it');
  if (grant === undefined) return { approval: findApproval(reader, given) };
  if (grant.id !== given && hasApproval(reader, given))
    throw new UsageError(`a grant and an approval have an id that starts with ${given}`, 'give more digits of it');
  return { grant };
}

function hasApproval(reader: LedgerReader, given: string): boolean {
  try {
    findApproval(reader, given);
    return true;
  } catch (error) {
    if (CountersignError.is(error) && error.code === 'APPROVAL_NOT_FOUND') return false;
    throw error;
  }
}

/** Options of `approvals approve`. */
export const GRANT_OPTIONS: readonly Option[] = [
  { name: 'grant', kind: 'text', value: 'TIME', about: 'let later calls of this tool run without asking, for 30m, 1h ...' },
  { name: 'uses', kind: 'text', value: 'N', about: 'how many later calls; needed with --grant' },
  { name: 'reason', kind: 'text', value: 'R', about: 'why; needed with --grant' },
  { name: 'when', kind: 'text', value: 'CEL', about: 'only calls that meet this condition: args.amount <= 1000' },
  { name: 'scope', kind: 'text', value: 'S', about: 'session (default): only the session that asked; agent: all of that agent' },
];

/** Terms as they were typed; undefined without `--grant`. What they may be is for the guard to say. @throws {UsageError} */
export function grantTermsOf(flags: Flags): GrantTerms | undefined {
  const [time, uses, reason, when, scope] = ['grant', 'uses', 'reason', 'when', 'scope'].map((name) => flags.text(name));
  if (time === undefined) {
    const stray = ['uses', 'reason', 'when', 'scope'].find((name) => flags.on(name));
    if (stray !== undefined) throw new UsageError(`--${stray} is about a grant`, 'say for how long: --grant 1h');
    return undefined;
  }
  const ttlMs = parseDuration(time);
  if (ttlMs === undefined) throw new UsageError(`--grant ${JSON.stringify(time)} is no time`, DURATION_HINT);
  if (uses === undefined || !/^[1-9]\d{0,5}$/.test(uses))
    throw new UsageError('--grant needs --uses N, a whole number', 'such as --uses 5');
  if (reason === undefined) throw new UsageError('--grant needs --reason R', 'whoever reads the ledger should know why');
  if (scope !== undefined && scope !== 'session' && scope !== 'agent')
    throw new UsageError(`--scope ${JSON.stringify(scope)} is none`, 'use session or agent');
  return { ttlMs, uses: Number(uses), reason, ...(when !== undefined && { when }), ...(scope !== undefined && { scope }) };
}

const COLUMNS: readonly Column[] = [
  { title: 'ID' },
  { title: 'STATE' },
  { title: 'USED' },
  { title: 'LEFT' },
  { title: 'EXPIRES' },
  { title: 'BY', minWidth: 8 },
  { title: 'AGENT', minWidth: 8 },
  { title: 'TOOL', minWidth: 12 },
];

export function grantListLines(rows: readonly GrantRow[], columns: number | undefined): readonly string[] {
  if (rows.length === 0)
    return [
      'nothing was granted in this ledger',
      'A grant is given with an answer: countersign approvals approve ID --grant 1h --uses 5 --reason ...',
    ];
  const nowMs = Date.now();
  const shown = rows.slice(0, MAX_LISTED);
  const cells = shown.map((row) => [
    safe(row.id).slice(0, ID_CHARS),
    safe(row.state),
    String(row.uses - row.usesLeft),
    String(row.usesLeft),
    row.state === 'open' ? `in ${span(row.expiresAtMs - nowMs)}` : '-',
    safe(row.approver.id),
    safe(row.agent),
    safe(toolName(row)),
  ]);
  return [
    ...tableLines(COLUMNS, cells, columns),
    ...(rows.length > shown.length ? [`… ${rows.length - shown.length} more; --json lists all`] : []),
    '',
    'details: countersign approvals show <id>; take one back: countersign approvals revoke <id>',
  ];
}

export function grantLines(row: GrantRow, output: Output): readonly string[] {
  const facts: readonly (readonly [string, string | undefined])[] = [
    ['state', row.state],
    ['used', `${row.uses - row.usesLeft} of ${row.uses}, ${row.usesLeft} left`],
    ['given', `${span(Date.now() - row.givenAtMs)} ago, at ${instant(row.givenAtMs)}`],
    ['expires', instant(row.expiresAtMs)],
    ['by', `${row.approver.id} (${row.approver.method}, ${row.approver.assurance} assurance)`],
    ['agent', row.agent],
    ['for', row.principal],
    ['session', row.session ?? 'every session of this agent'],
    ['tool', toolName(row)],
    ['rule', row.rule],
    ['policy', row.policyHash],
    ['reason', row.reason ?? '(not in the ledger any more)'],
    ['when', row.when ?? (row.isConditional ? '(not in the ledger any more)' : undefined)],
    ['approval', `${row.approval}, answered in entry ${row.answer.of + 1}`],
  ];
  return [
    output.style('bold', `grant ${safe(row.id)}, entry ${row.entry.of + 1}`),
    ...facts.flatMap(([name, value]) => (value === undefined ? [] : [`  ${name.padEnd(8)} ${safeName(value)}`])),
    ...(row.state === 'open'
      ? ['', `take it back: countersign approvals revoke ${safe(row.id).slice(0, ID_CHARS)} --key FILE --as NAME`]
      : []),
  ];
}

/** Pinned: the shape of a grant in every `--json` output. */
export function grantJson(row: GrantRow): Record<string, unknown> {
  return {
    id: row.id,
    state: row.state,
    agent: row.agent,
    session: row.session ?? null,
    principal: row.principal ?? null,
    tool: { server: row.tool.server ?? null, name: row.tool.name, schema: row.tool.schema ?? null },
    rule: row.rule ?? null,
    policy_hash: row.policyHash,
    uses: row.uses,
    uses_left: row.usesLeft,
    given_at: row.givenAtMs,
    expires_at: row.expiresAtMs,
    approver: row.approver,
    approval: row.approval,
    answer: row.answer,
    entry: row.entry,
    reason: row.reason ?? null,
    when: row.when ?? null,
  };
}
