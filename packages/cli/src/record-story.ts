/** Entries told to people: a sentence, the facts, and the clear text beside it. Everything from the ledger is escaped. */
import { factsOf, type RecordFacts, type RecordReader } from '@countersign/core/sqlite';
import { detailRows } from './entry-details.ts';
import { type Output, safe } from './output.ts';
import {
  containmentStyle,
  countText,
  effectStyle,
  enforcedText,
  leftText,
  levelStyle,
  refusedText,
  releasedText,
  toolText,
} from './record-text.ts';
import type { Found } from './selected.ts';
import { fit } from './table.ts';

const LABEL_CHARS = 9;
const MIN_COLUMNS = 24;
/** Longest value told here; `--json` has all of it. */
const MAX_VALUE_CHARS = 2000;
const MAX_JSON_LINES = 60;

const SECTIONS: readonly (readonly [string, string])[] = [
  ['args', 'arguments, as the policy saw them'],
  ['reason', 'reason'],
  ['facts', 'what the decision rests on besides'],
  ['message', 'what the approver said'],
  ['when', 'condition, in CEL'],
  ['declarations', 'tools, as their server declares them'],
  ['result', 'result, as an excerpt'],
  ['error', 'error, as an excerpt'],
  ['activity', 'what was seen, and why that is said of it'],
  ['details', 'what it was done to'],
  ['malformed', 'what lies beside the entry is no opening'],
];

/** One entry in a sentence and its facts, without the clear text beside it. */
export function factLines(facts: RecordFacts, output: Output): readonly string[] {
  return [...sentence(facts, output, widthOf(output)), ...factRows(facts, facts.tool, widthOf(output))];
}

export function storyLines(found: readonly Found[], reader: RecordReader, output: Output): readonly string[] {
  const width = widthOf(output);
  const [first] = found;
  const isCall = found.length > 1;
  return [
    ...(isCall && first?.facts.call !== undefined ? [output.style('bold', `call ${safe(first.facts.call)}`), ''] : []),
    ...found.flatMap((each) => [...entryLines(each, reader, output, width), '']),
    ...(!isCall && first?.facts.call !== undefined
      ? wrapped(`all of this call: countersign show ${safe(first.facts.call)}`, width, '')
      : []),
    ...wrapped(NOT_VERIFIED, width, ''),
  ];
}

const NOT_VERIFIED =
  'Nothing here is verified. `countersign verify` checks the ledger, `countersign receipt make` gives one entry with its proof.';

function entryLines({ record, facts }: Found, reader: RecordReader, output: Output, width: number): readonly string[] {
  return [
    `${output.style('bold', `entry ${facts.index + 1}`)}  ${safe(facts.kind)}`,
    ...sentence(facts, output, width),
    ...factRows(facts, facts.tool ?? toolOfDecision(facts, reader), width),
    ...(record.unreadable === undefined ? [] : wrapped(`  unreadable: ${safe(record.unreadable)}`, width, '    ')),
    ...(facts.kind === 'unreadable' ? wrapped(`  stored    ${safe(cut(record.text))}`, width, '    ') : []),
    ...SECTIONS.flatMap(([section, title]) => sectionLines(facts, section, title, width)),
    ...missingLines(facts, width),
  ];
}

function widthOf(output: Output): number {
  return output.isTerminal ? Math.max(MIN_COLUMNS, output.columns) : Number.POSITIVE_INFINITY;
}

function sentence(facts: RecordFacts, output: Output, width: number): readonly string[] {
  const [word, style, rest] = told(facts);
  const text = wrapped(`  ${word}${rest === '' ? '' : ` ${rest}`}`, width, '  ');
  const [head = '', ...more] = text;
  return [
    head.startsWith(`  ${word}`) && style !== undefined ? `  ${output.style(style, word)}${head.slice(word.length + 2)}` : head,
    ...more,
  ];
}

function told(facts: RecordFacts): readonly [string, Parameters<Output['style']>[0] | undefined, string] {
  const who = safe(facts.agent ?? 'somebody');
  switch (facts.kind) {
    case 'decision': {
      const what = `${who}: ${safe(toolText(facts))}`;
      if (facts.effect === 'allow') return ['ALLOWED', 'good', what];
      if (facts.effect === 'require_approval') return ['A PERSON WAS ASKED', 'warn', what];
      return ['DENIED', effectStyle(facts.effect), what];
    }
    case 'approval':
      return facts.answer === 'approve'
        ? ['APPROVED', 'good', `by ${safe(facts.approver ?? 'somebody')}`]
        : ['DENIED', 'bad', `by ${safe(facts.approver ?? 'somebody')}`];
    case 'grant':
      return facts.event === 'granted'
        ? ['GRANTED', 'warn', `by ${safe(facts.approver ?? 'somebody')} to ${who}: ${safe(toolText(facts))}, without asking each time`]
        : ['TAKEN BACK', 'good', `by ${safe(facts.approver ?? 'somebody')}: what was granted to ${who}`];
    case 'outcome': {
      const duration = facts.durationMs === undefined ? '' : ` after ${facts.durationMs} ms`;
      if (facts.status === 'success') return ['SUCCEEDED', 'good', `the call ended${duration}`];
      if (facts.status === 'cancelled') return ['CANCELLED', 'warn', `the call did not run to its end${duration}`];
      return [
        'FAILED',
        'bad',
        `the call ended with an error${facts.errorType === undefined ? '' : ` (${safe(facts.errorType)})`}${duration}`,
      ];
    }
    case 'session':
      return sessionTold(facts, who);
    case 'verdict':
      return [safe(facts.level ?? '?'), levelStyle(facts.level), verdictTold(facts, who)];
    case 'containment':
      return [safe((facts.event ?? '?').toUpperCase()), containmentStyle(facts.event), containmentTold(facts)];
    case 'policy':
      return ['policy', undefined, `${safe(facts.policy?.id ?? '?')} as it was when decisions began to use it`];
    case 'unreadable':
      return ['THIS IS NO ENTRY', 'bad', 'the stored text is not an object a ledger can hold'];
    default:
      return [safe(facts.event ?? facts.kind), undefined, ''];
  }
}

function sessionTold(facts: RecordFacts, who: string): ReturnType<typeof told> {
  const { event, scope, approver } = facts;
  const which = scope === 'ledger' ? 'every session of this ledger' : `session ${safe(facts.session ?? '?')} of ${who}`;
  if (event === 'halted') return ['HALTED', 'bad', `${which}: no call is allowed until it is resumed`];
  if (event === 'resumed')
    return ['RESUMED', 'warn', `${which}${approver === undefined ? '' : ` by ${safe(approver)}`}: calls are decided again`];
  return ['session', undefined, `${safe(facts.session ?? '?')} of ${who}: ${safe(event ?? '?')}`];
}

function verdictTold(facts: RecordFacts, who: string): string {
  const done = enforcedText(facts);
  const of = facts.call === undefined ? 'something of' : 'a call of';
  return `by rule ${safe(facts.rule ?? '?')} on ${of} ${who}${done === undefined ? '' : `, ${safe(done)}`}`;
}

/** What runs now, by event. */
const CONTAINMENTS = new Map([
  ['frozen', 'stopped, waiting for an answer'],
  ['resumed', 'going on'],
  ['denied', 'ended for what was done; the rest goes on'],
  ['killed', 'ended'],
  ['overridden', 'going on, as a person allowed beforehand'],
  ['quarantined', 'put aside'],
  ['restored', 'put back'],
  ['failed', 'could not be done, and what is left runs'],
]);

function containmentTold(facts: RecordFacts): string {
  const left = leftText(facts);
  const refused = refusedText(facts);
  if (facts.event === 'denied' && facts.count === undefined && refused !== undefined) return `${refused}; all goes on`;
  const what = `${CONTAINMENTS.get(facts.event ?? '') ?? ''}${refused === undefined ? '' : `; ${refused}`}`;
  return `${countText(facts) ?? 'what was watched'}: ${what}${left === undefined ? '' : `, ${left}`}`;
}

function factRows(facts: RecordFacts, tool: RecordFacts['tool'], width: number): readonly string[] {
  const { policy } = facts;
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['at', facts.time],
    ['agent', facts.agent],
    ['for', facts.principal],
    ['session', facts.session],
    ['call', facts.call],
    ['tool', tool === undefined ? undefined : toolText({ tool })],
    ['code', facts.reasonCode],
    ['result', releasedText(facts)],
    ['rule', facts.rule],
    ['policy', policy?.id === undefined ? undefined : [policy.id, policy.version].filter((part) => part !== undefined).join(' ')],
    ['mode', modeText(facts)],
    ['incident', facts.incident],
    ['approval', facts.approval],
    ['grant', facts.grant],
    ['decision', facts.decision === undefined ? undefined : `entry ${facts.decision + 1}`],
    ...detailRows(facts),
    ['leaf', facts.leaf],
  ];
  return rows.flatMap(([label, value]) =>
    value === undefined ? [] : wrapped(`  ${label.padEnd(LABEL_CHARS)} ${safe(cut(value))}`, width, ' '.repeat(LABEL_CHARS + 3)),
  );
}

function modeText({ kind, mode, would }: RecordFacts): string | undefined {
  if (mode === undefined || mode === 'enforce') return undefined;
  return kind === 'verdict' ? mode : `${mode}; policy said ${would ?? '?'}`;
}

/** Outcomes and answers do not repeat the tool: it stands in the entry they name. */
function toolOfDecision({ decision, index }: RecordFacts, reader: RecordReader): RecordFacts['tool'] {
  if (decision === undefined || decision >= index) return undefined;
  for (const record of reader.records(decision)) return record.index === decision ? factsOf(record, reader.container).tool : undefined;
  return undefined;
}

function sectionLines({ shown }: RecordFacts, section: string, title: string, width: number): readonly string[] {
  const value = shown.get(section);
  if (value === undefined) return [];
  const lines = JSON.stringify(value, undefined, 2).split('\n');
  const told = lines.slice(0, MAX_JSON_LINES).flatMap((line) => wrapped(`    ${safe(cut(line))}`, width, '      '));
  return [
    ...wrapped(`  ${title}`, width, '    '),
    ...told,
    ...(lines.length > MAX_JSON_LINES ? [`    … ${lines.length - MAX_JSON_LINES} more lines; --json has them`] : []),
  ];
}

/** Said aloud: that there is nothing to see is a fact as well. */
function missingLines({ body, shown }: RecordFacts, width: number): readonly string[] {
  const missing = Object.keys(body ?? {}).flatMap((name) =>
    name.endsWith('_commit') && !shown.has(name.slice(0, -'_commit'.length)) ? [name.slice(0, -'_commit'.length)] : [],
  );
  return missing.length === 0
    ? []
    : wrapped(`  not here: ${safe(cut(missing.join(', ')))} (committed to, withheld or erased)`, width, '    ');
}

function cut(text: string): string {
  return text.length <= MAX_VALUE_CHARS
    ? text
    : `${text.slice(0, MAX_VALUE_CHARS).toWellFormed()}… (${text.length} characters; --json has all)`;
}

/** Lines no wider than the terminal; a word that is wider is broken. */
function wrapped(text: string, width: number, indent: string): readonly string[] {
  const lines: string[] = [];
  let rest = text;
  while (fit(rest, width) !== rest) {
    const head = fit(rest, width).slice(0, -1);
    const space = head.trimEnd().lastIndexOf(' ');
    const end = space > indent.length && head.slice(0, space).trim() !== '' ? space : Math.max(head.length, indent.length + 1);
    lines.push(rest.slice(0, end).trimEnd());
    rest = indent + rest.slice(end).trimStart();
  }
  return [...lines, rest];
}
