/** A record in one line, for people. Everything in it that came from the ledger is escaped. */
import type { RecordFacts } from '@countersign/core/sqlite';
import { type Output, type Style, safe } from './output.ts';
import { fit } from './table.ts';

/** Below it the date gives way to what happened. */
const NARROW_COLUMNS = 72;
const KIND_CHARS = 11;

/** `12  2026-11-25 20:31:05  decision   DENY drop-table  POLICY_DENY_HIGH_RISK`, cut to the terminal. */
export function recordRow(facts: RecordFacts, output: Output, numberChars: number): string {
  const number = String(facts.index + 1).padStart(numberChars);
  const time = shortTime(facts, output.columns < NARROW_COLUMNS);
  const kind = fit(safe(facts.kind), KIND_CHARS).padEnd(KIND_CHARS);
  const { style, word, rest } = headline(facts);
  const before = `${number}  ${time}  ${kind}  `;
  const room = output.columns - before.length;
  const what = fit(word, room);
  const more = rest === '' ? '' : fit(` ${rest}`, Math.max(1, room - what.length));
  return `${output.style('dim', `${number}  ${time}`)}  ${kind}  ${style === undefined ? what : output.style(style, what)}${more}`;
}

export interface Headline {
  readonly style: Style | undefined;
  /** What was decided, or what happened. */
  readonly word: string;
  readonly rest: string;
}

/** What a record is about. All of it is escaped. */
export function headline(facts: RecordFacts): Headline {
  const { kind, event, status, answer } = facts;
  switch (kind) {
    case 'decision':
      return line(effectStyle(facts.effect), effectWord(facts.effect), [toolText(facts), facts.reasonCode, ruleText(facts)]);
    case 'approval':
      return line(answer === 'approve' ? 'good' : 'bad', answer === 'approve' ? 'approved' : 'denied', [`by ${facts.approver ?? '?'}`]);
    case 'grant':
      return line(event === 'granted' ? 'warn' : 'good', event ?? '?', [
        facts.tool === undefined ? undefined : toolText(facts),
        `by ${facts.approver ?? '?'}`,
        ruleText(facts),
      ]);
    case 'outcome':
      return line(status === 'success' ? 'good' : status === 'error' ? 'bad' : 'warn', status ?? '?', [
        facts.errorType,
        facts.durationMs === undefined ? undefined : `${facts.durationMs} ms`,
        facts.released === undefined ? undefined : `result ${releasedText(facts)}`,
        facts.tool === undefined ? undefined : toolText(facts),
      ]);
    case 'session':
      return line(event === 'halted' ? 'bad' : event === 'resumed' ? 'warn' : undefined, event ?? '?', [
        facts.scope === 'ledger' ? 'every session' : facts.session,
        facts.reasonCode,
        facts.approver === undefined ? undefined : `by ${facts.approver}`,
        incidentText(facts),
      ]);
    case 'verdict':
      return line(levelStyle(facts.level), facts.level ?? '?', [facts.rule, enforcedText(facts), incidentText(facts)]);
    case 'containment':
      return line(containmentStyle(event), event ?? '?', [
        countText(facts),
        refusedText(facts),
        leftText(facts),
        incidentText(facts),
        facts.reasonCode,
      ]);
    case 'policy':
      return line(undefined, facts.policy?.id ?? '?', [facts.policy?.version]);
    case 'unreadable':
      return line('bad', 'this is no entry', ['run `countersign verify`']);
    default:
      return line(undefined, event ?? facts.reasonCode ?? '', []);
  }
}

export function levelStyle(level: string | undefined): Style {
  return level === 'FLAG' ? 'warn' : 'bad';
}

export function containmentStyle(event: string | undefined): Style {
  if (event === 'failed' || event === 'killed' || event === 'frozen') return 'bad';
  return event === 'overridden' || event === 'resumed' ? 'warn' : 'good';
}

/** What was done of a verdict, where that is less than it says. Not escaped. */
export function enforcedText({ level, enforced }: Pick<RecordFacts, 'level' | 'enforced'>): string | undefined {
  return enforced === undefined || enforced === level ? undefined : `enforced as ${enforced}`;
}

/** Not escaped. */
export function incidentText({ incident }: Pick<RecordFacts, 'incident'>): string | undefined {
  return incident === undefined ? undefined : `incident ${incident}`;
}

/** Processes or files that something was done to. */
export function countText({ count, event }: Pick<RecordFacts, 'count' | 'event'>): string | undefined {
  if (count === undefined) return undefined;
  const isOfFiles = event === 'quarantined' || event === 'restored';
  if (count === 1) return isOfFiles ? '1 file' : '1 process';
  return `${count} ${isOfFiles ? 'files' : 'processes'}`;
}

export function leftText({ left }: Pick<RecordFacts, 'left'>): string | undefined {
  return left === undefined || left === 0 ? undefined : `${left} left`;
}

export function refusedText({ refused }: Pick<RecordFacts, 'refused'>): string | undefined {
  return refused === undefined || refused === 0 ? undefined : `${callsText(refused)} refused`;
}

/** Of processes to the system: a tool call is another thing. */
export function callsText(count: number): string {
  return count === 1 ? '1 system call' : `${count} system calls`;
}

/** `server/name`, or the name alone. Not escaped. */
export function toolText({ tool }: Pick<RecordFacts, 'tool'>): string {
  if (tool === undefined) return '?';
  return tool.server === undefined ? tool.name : `${tool.server}/${tool.name}`;
}

export function effectWord(effect: string | undefined): string {
  return effect === 'require_approval' ? 'ASK' : (effect ?? '?').toUpperCase();
}

export function effectStyle(effect: string | undefined): Style {
  return effect === 'allow' ? 'good' : effect === 'require_approval' ? 'warn' : 'bad';
}

const RELEASE_WORDS: ReadonlyMap<string, string> = new Map([
  ['release', 'released as it was'],
  ['label', 'labelled'],
  ['mask', 'masked'],
  ['truncate', 'cut'],
  ['withhold', 'withheld'],
]);

/** Undefined for a result that no rule changed. */
export function releasedText({ released }: RecordFacts): string | undefined {
  if (released === undefined) return undefined;
  const { action, would } = released;
  const word = RELEASE_WORDS.get(action) ?? action;
  return would === undefined ? word : `${word}; policy said ${would}`;
}

function ruleText({ rule }: RecordFacts): string | undefined {
  return rule === undefined ? undefined : `(${rule})`;
}

function line(style: Style | undefined, word: string, parts: readonly (string | undefined)[]): Headline {
  const rest = parts.flatMap((part) => (part === undefined || part === '' ? [] : [safe(part)])).join('  ');
  return { style, word: safe(word), rest };
}

function shortTime({ atMs }: RecordFacts, isNarrow: boolean): string {
  const date = new Date(atMs ?? Number.NaN);
  const text = Number.isNaN(date.getTime()) ? '????-??-?? ??:??:??' : date.toISOString().slice(0, 19).replace('T', ' ');
  return isNarrow ? text.slice(-8) : text;
}
