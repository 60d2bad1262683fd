/**
 * The entries a replay uses, read from the text of a ledger that may be anybody's: what does not have the members a replay
 * looks at, in their types, is no entry. Whether it is a right one is for `verify`.
 */

import { MODES } from '../config/schema.ts';
import { isShallow } from '../container/stored-json.ts';
import type { DecisionBody, Entry, EntryStamp, Opening, OutcomeBody, SessionBody } from '../ledger/entry.ts';
import { EFFECTS } from '../policy/rule-definition.ts';
import type { SourceRow } from '../verify/source.ts';

export type ReplayEntry = EntryStamp & (DecisionBody | SessionBody | OutcomeBody);

/** Undefined: no entry. `other`: an entry that changes nothing a policy sees. */
export function readEntry(text: string | undefined): ReplayEntry | 'other' | undefined {
  if (text === undefined) return undefined;
  let entry: Partial<Record<string, unknown>>;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    entry = value;
  } catch {
    return undefined;
  }
  const { kind, at, labels } = entry;
  if (typeof kind !== 'string' || !Number.isSafeInteger(at)) return undefined;
  if (!HANDLED.has(kind)) return 'other';
  if (typeof entry['session'] !== 'string' || (labels !== undefined && !isTexts(labels))) return undefined;
  // The members that are used were looked at.
  if (kind === 'session') return typeof entry['event'] === 'string' ? (entry as unknown as ReplayEntry) : undefined;
  if (kind === 'outcome') return entry as unknown as ReplayEntry;
  return isDecision(entry) ? (entry as unknown as ReplayEntry) : undefined;
}

const HANDLED: ReadonlySet<string> = new Set<Entry['kind']>(['decision', 'session', 'outcome']);
const TEXTS = ['agent', 'call', 'reason_code'];
const OPTIONAL_TEXTS = ['principal', 'rule', 'args_commit', 'facts_commit'];

function isDecision(entry: Partial<Record<string, unknown>>): boolean {
  const { effect, would, mode, tool, policy, redacted } = entry;
  for (const name of TEXTS) if (typeof entry[name] !== 'string') return false;
  for (const name of OPTIONAL_TEXTS) if (entry[name] !== undefined && typeof entry[name] !== 'string') return false;
  if (!isOneOf(effect, EFFECTS) || !isOneOf(would, EFFECTS) || !isOneOf(mode, MODES)) return false;
  if (redacted !== undefined && !isTexts(redacted)) return false;
  return hasTexts(tool, ['name'], ['server', 'schema']) && hasTexts(policy, ['id', 'hash'], ['version']);
}

function isOneOf(value: unknown, known: readonly string[]): boolean {
  return typeof value === 'string' && known.includes(value);
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

function hasTexts(value: unknown, required: readonly string[], optional: readonly string[]): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const members = value as Partial<Record<string, unknown>>;
  return (
    required.every((name) => typeof members[name] === 'string') &&
    optional.every((name) => members[name] === undefined || typeof members[name] === 'string')
  );
}

/** Undefined when there is none, or nobody can read it. */
export function readOpening({ opening }: SourceRow): Opening | undefined {
  if (opening?.key === undefined || opening.sections === undefined) return undefined;
  try {
    const sections: unknown = JSON.parse(opening.sections);
    if (typeof sections !== 'object' || sections === null || Array.isArray(sections) || !isShallow(sections)) return undefined;
    return { key: opening.key, sections: sections as Opening['sections'] };
  } catch {
    return undefined;
  }
}
