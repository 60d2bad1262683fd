/** Which entries a command is about: the options of `filter`, which `search` and `export` share. */
import { didYouMean, ENTRY_KINDS } from '@countersign/core';
import type { Criteria } from '@countersign/core/sqlite';
import type { Flags, Option } from './command.ts';
import { UsageError } from './failure.ts';
import { parseTime } from './time.ts';

const EFFECTS = ['allow', 'deny', 'require_approval'];
/** Beside our own: `checkpoint` of the predecessor's ledgers, and records that are no entry. */
const KINDS = [...ENTRY_KINDS, 'checkpoint', 'unreadable'];

export const TIME_OPTIONS: readonly Option[] = [
  { name: 'since', kind: 'text', value: 'TIME', about: 'from then on: 2026-11-25, 2026-11-25T20:30Z, or 2h, 3d ago' },
  { name: 'until', kind: 'text', value: 'TIME', about: 'before then' },
];

export const LIMIT_OPTION: Option = { name: 'limit', kind: 'text', value: 'N', about: 'at most so many entries' };

export const SELECTION_OPTIONS: readonly Option[] = [
  { name: 'call', kind: 'text', value: 'ID', about: 'one call: ask, answers, decision and outcome' },
  { name: 'request-id', kind: 'text', value: 'ID', about: 'the same, by its name in SudoAgent ledgers' },
  { name: 'tool', kind: 'text', value: 'GLOB', about: 'server/name, such as "files/*"; a name alone on any server' },
  { name: 'agent', kind: 'text', value: 'A', about: 'calls of this agent' },
  { name: 'session', kind: 'text', value: 'S', about: 'calls of this session' },
  { name: 'effect', kind: 'text', value: 'E', about: 'allow, deny or require_approval' },
  { name: 'reason-code', kind: 'text', value: 'C', about: 'decisions with this reason code' },
  { name: 'kind', kind: 'text', value: 'K', about: 'only entries of this kind: decision, approval, outcome ...' },
  ...TIME_OPTIONS,
];

export const SELECTION_NOTE =
  'Approvals and outcomes are chosen with the decision they belong to. Times are UTC unless they say otherwise.';

/** @throws {UsageError} */
export function criteriaOf(flags: Flags, nowMs: number): Criteria {
  const call = flags.text('call');
  const request = flags.text('request-id');
  if (call !== undefined && request !== undefined) throw new UsageError('--call and --request-id mean the same', 'give one of them');
  const sinceMs = timeOf(flags, 'since', nowMs);
  const untilMs = timeOf(flags, 'until', nowMs);
  if (sinceMs !== undefined && untilMs !== undefined && sinceMs >= untilMs) {
    throw new UsageError('--since is not before --until', 'no entry lies between them: swap or widen the two');
  }
  const given: { readonly [Name in keyof Criteria]: Criteria[Name] | undefined } = {
    call: call ?? request,
    tool: flags.text('tool'),
    agent: flags.text('agent'),
    session: flags.text('session'),
    effect: oneOf(flags, 'effect', EFFECTS),
    reasonCode: flags.text('reason-code'),
    kind: oneOf(flags, 'kind', KINDS),
    sinceMs,
    untilMs,
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

/** @returns Infinity without `--limit`. @throws {UsageError} */
export function limitOf(flags: Flags): number {
  const given = flags.text('limit');
  if (given === undefined) return Number.POSITIVE_INFINITY;
  const limit = Number(given);
  if (!/^[0-9]{1,15}$/.test(given) || limit < 1)
    throw new UsageError('--limit must be a whole number from 1 on', 'for example: --limit 100');
  return limit;
}

function timeOf(flags: Flags, name: string, nowMs: number): number | undefined {
  const given = flags.text(name);
  if (given === undefined) return undefined;
  const at = parseTime(given, nowMs);
  if (at === undefined) {
    throw new UsageError(
      `--${name} ${JSON.stringify(given)} is no time`,
      'write 2026-11-25, 2026-11-25T20:30:00Z, or how long ago: 90s, 15m, 2h, 3d, 1w',
    );
  }
  return at;
}

function oneOf(flags: Flags, name: string, known: readonly string[]): string | undefined {
  const given = flags.text(name);
  if (given === undefined || known.includes(given)) return given;
  throw new UsageError(`unknown ${name} ${JSON.stringify(given)}${didYouMean(given, known)}`, `use one of ${known.join(', ')}`);
}
