/** What `run` and `attach` tell while they watch, one line for each event; and as JSON. Everything a process chose is escaped. */
import { CountersignError, clip, type Redactor } from '@countersign/core';
import { actionText, type Enforcement, type IncidentStep, kindsText, type WardenEvent } from '@countersign/monitor';
import type { Style } from '../output.ts';
import { safe } from '../output.ts';
import { callsText } from '../record-text.ts';
import { fit, wrap } from '../table.ts';

export interface LineOptions {
  readonly redactor: Redactor;
  /** Safe activity too. */
  readonly isVerbose: boolean;
  /** Width of the terminal; undefined: nothing is cut. */
  readonly columns: number | undefined;
  readonly style: (style: Style, text: string) => string;
  /** Whether a halt is asked about on the same terminal now: it may be another job's. Absent: no. */
  readonly asksHere?: () => boolean;
}

const STYLES = { SAFE: 'dim', FLAG: 'warn', HALT: 'bad', KILL: 'bad' } as const;
const MAX_PROGRAM_CHARS = 40;
/** As wide as a level, so that no line of a reason begins like one of ours. */
const MARGIN = ' '.repeat(5);
const MIN_ROOM = 20;
const MAX_WRAPPED_WHAT = 200;
const MAX_WRAPPED_REASON = 400;
export const SHORT_ID_CHARS = 8;

/** @returns none for what is not told. */
export function eventLines(event: WardenEvent, options: LineOptions): readonly string[] {
  switch (event.kind) {
    case 'started':
      return [
        `countersign: watching, ${startedText(event)}, ${modeText(event.mode)}, freeze by ${event.grade}`,
        ...enforcementLines(event),
      ];
    case 'judged':
      return event.verdict.level === 'SAFE' && !options.isVerbose ? [] : judgedLines(event, options);
    case 'contained':
      return [`countersign: ${stepText(event.step)} [incident ${event.incident.id.slice(0, SHORT_ID_CHARS)}]`];
    case 'asked':
      return askedLines(event, options.asksHere);
    case 'coverage':
      return [options.style('bad', `countersign: ${fellText(event.sensor)}: ${safe(event.why)}; ${levelText(event.level)} from here on`)];
    case 'guard':
      return [guardLine(event, options)];
    case 'trouble':
      return [options.style('warn', `countersign: ${safe(troubleText(event))}${codeText(event.error)}`)];
  }
}

/** What is held before it happens, and what of that is racy; or why nothing is. Nothing where nobody asked for it. */
function enforcementLines({ enforcement, mode }: Extract<WardenEvent, { readonly kind: 'started' }>): readonly string[] {
  if (enforcement === undefined) return [];
  return [...heldLines(enforcement, mode), ...(enforcement.probe === undefined ? [] : [`  the probe is on: ${safe(enforcement.probe)}`])];
}

function heldLines(enforcement: Enforcement, mode: string): readonly string[] {
  const [exact, racy] = [kindsText(enforcement, 'exact'), kindsText(enforcement, 'racy')];
  const passedOver = enforcement.passedOver === undefined ? '' : `; not by ${safe(enforcement.passedOver)}`;
  const contained =
    enforcement.contain === undefined ? [] : [`  shut in by ${enforcement.contain}: what the scope does not grant fails${passedOver}`];
  const [seen, off] = [kindsText(enforcement, 'seen'), kindsText(enforcement, 'off')];
  const rest = [...(seen === '' ? [] : [`  seen, not prevented: ${seen}`]), ...(off === '' ? [] : [`  not seen: ${off}`])];
  if (enforcement.without !== undefined)
    return [`  nothing is held before it happens: ${safe(enforcement.without)}`, ...rest, ...contained];
  if (racy === '' && mode !== 'audit_only') return contained;
  return [
    ...(mode === 'audit_only' && exact !== ''
      ? [`  told of before it happens, and let go on in this mode: ${kindsText(enforcement, 'seen')}`]
      : []),
    ...(racy === '' ? [] : [`  held before it happens: ${racy} (racy against hostile threads)${exact === '' ? '' : `; ${exact} (exact)`}`]),
    ...(mode === 'audit_only' ? [] : rest),
    ...contained,
  ];
}

/** One line; on a terminal that is too narrow as many as it takes: what is cut would be the reason. */
function judgedLines(
  event: Extract<WardenEvent, { readonly kind: 'judged' }>,
  { redactor, columns, style }: LineOptions,
): readonly string[] {
  const { activity, verdict, enforced } = event;
  const { actor, action } = activity;
  const what = safe(redactor.text(actionText(action, redactor)));
  const by = actor === undefined ? '' : ` by ${clip(safe(redactor.text(programName(actor.exe))), MAX_PROGRAM_CHARS)} (${actor.pid})`;
  const instead = enforced === verdict.level ? '' : `, ${enforced === 'FLAG' ? 'only flagged' : 'held'} in this mode`;
  const reason = verdict.level === 'SAFE' ? '' : safe(redactor.text(verdict.reason));
  const line = (maxWhat: number, maxReason: number): string => {
    const deed = `${timeOf(event.at)} ${whenText(event)}${clip(what, maxWhat)}${by}`;
    return reason === '' ? deed : `${deed}: ${clip(reason, maxReason)}${instead} [${safe(verdict.rule)}]`;
  };
  const whole = line(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
  const level = style(STYLES[verdict.level], verdict.level.padEnd(4));
  if (columns === undefined) return [`${level} ${whole}`];
  const room = Math.max(columns - MARGIN.length, MIN_ROOM);
  if (verdict.level === 'SAFE') return [`${level} ${fit(whole, room)}`];
  const [first = '', ...more] = fit(whole, room) === whole ? [whole] : wrap(line(MAX_WRAPPED_WHAT, MAX_WRAPPED_REASON), room);
  return [`${level} ${first}`, ...more.map((each) => MARGIN + each)];
}

/** Whoever can write the file of the ledger can make himself look like one. */
function guardLine({ process }: Extract<WardenEvent, { readonly kind: 'guard' }>, { redactor }: LineOptions): string {
  const name = clip(safe(redactor.text(programName(process.exe))), MAX_PROGRAM_CHARS);
  return `countersign: ${name} (${process.pid}) writes to the ledger: taken for a guard, and not judged for what it does with our files`;
}

/** Whether what is stopped can still be kept from happening. */
function whenText({ call, enforced }: Extract<WardenEvent, { readonly kind: 'judged' }>): string {
  if (call === 'held') return 'held before it happens: ';
  if (call === 'refused') return 'refused: ';
  return enforced === 'HALT' || enforced === 'KILL' ? 'after the fact: ' : '';
}

/** The question, word for word as every channel has it, and what to type. */
function askedLines(
  { incident, held, hasHappened, words }: Extract<WardenEvent, { readonly kind: 'asked' }>,
  asksHere: LineOptions['asksHere'],
): readonly string[] {
  const stopped = `THE AGENT IS STOPPED${held === 0 || hasHappened ? '' : ` before ${held === 1 ? 'this happens' : `${callsText(held)} happen`}`}`;
  const command = `countersign resume ${incident.id.slice(0, SHORT_ID_CHARS)}`;
  // The question itself follows.
  if (asksHere?.() === true) return [`countersign: ${stopped}. Answer here, or from another terminal: ${command} [--deny | --kill]`];
  const { held: things, call, since, coverage, answers } = words;
  return [
    `countersign: ${stopped} and waits for an answer`,
    ...things.map((each, index) => `  ${(index === 0 ? 'held' : '').padEnd(7)} ${safe(each)}`),
    `  call    ${safe(call)}`,
    `  since   ${since}`,
    `  watched level ${coverage.level}: ${coverage.means}`,
    ...(coverage.holds === undefined ? [] : [`          ${coverage.holds}`]),
    // Of a job in the background it is not asked here: whoever sits there would type to somebody else.
    asksHere === undefined ? 'Answer from another terminal:' : 'Answer from another terminal, or here once this job has it (fg):',
    `  ${command}          ${answers.resume}`,
    `  ${command} --deny   ${answers.deny}`,
    `  ${command} --kill   ${answers.kill}`,
    `  ${answers.unanswered}`,
  ];
}

function stepText(step: IncidentStep): string {
  const { event, count = 0, refused = 0, left, duration_ms: took, by, grade } = step;
  const who = by === undefined ? '' : `, ${safe(by)}`;
  const time = took === undefined ? '' : ` in ${took < 10 ? took.toFixed(1) : Math.round(took)} ms`;
  const those = `${count} ${count === 1 ? 'process' : 'processes'}`;
  switch (event) {
    case 'frozen':
      return `FROZEN: ${those}${time} (${grade ?? 'signal'})`;
    case 'resumed':
      return `resumed${who}`;
    case 'overridden':
      return `resumed by an override that was given before`;
    case 'denied':
      return `denied: ${[...(refused > 0 ? [`${callsText(refused)} refused`] : []), ...(count > 0 ? [`${those} ended${time}`] : [])].join(', ')}, the rest goes on${who}`;
    case 'killed':
      return `KILLED: ${those}${time}, nothing is left${who}`;
    case 'quarantined':
      return `put aside: ${count} ${count === 1 ? 'file' : 'files'} it had written`;
    case 'restored':
      return `put back: ${count} ${count === 1 ? 'file' : 'files'}`;
    case 'failed':
      return `NOT DONE${who}: ${left?.length ?? 0} left running${pidsText(left)}`;
  }
}

function pidsText(left: IncidentStep['left']): string {
  return left === undefined || left.length === 0
    ? ''
    : ` (${left
        .slice(0, 10)
        .map(({ pid }) => pid)
        .join(', ')})`;
}

/** The probe is in many programs: the others are still heard. */
function fellText(sensor: string): string {
  return sensor === 'probe' ? 'THE PROBE FELL SILENT in part' : `sensor ${safe(sensor)} died`;
}

/** A sandbox alone holds what it does not grant, and asks nobody. */
function startedText({ level, enforcement }: Extract<WardenEvent, { readonly kind: 'started' }>): string {
  const isAsked = enforcement === undefined || kindsText(enforcement, 'exact', 'racy') !== '';
  if (level !== 'L3' || isAsked || enforcement.contain === undefined) return levelText(level);
  return 'level L3 (what is not granted fails, against hostile threads too; nothing else waits for the rules)';
}

function levelText(level: string): string {
  switch (level) {
    case 'L0':
      return 'level L0 (looks at intervals: what is shorter is missed, and nothing is prevented)';
    case 'L1':
      return 'level L1 (sees each program that starts; nothing is prevented before it happens)';
    case 'L2':
      return 'level L2 (what it does waits for the rules; no sandbox)';
    case 'L3':
      return 'level L3 (what it does waits for the rules, files hold against hostile threads too)';
    case 'none':
      return 'NOTHING IS SEEN';
    default:
      return `level ${level}`;
  }
}

function modeText(mode: string): string {
  return mode === 'audit_only' ? 'mode audit_only (NOTHING IS STOPPED)' : `mode ${mode}`;
}

function programName(exe: string | undefined): string {
  return exe === undefined ? 'a process' : exe.slice(exe.lastIndexOf('/') + 1);
}

function timeOf(at: number): string {
  return new Date(at).toISOString().slice(11, 19);
}

/** Some say by themselves what they are about. */
function troubleText({ during, error }: Extract<WardenEvent, { readonly kind: 'trouble' }>): string {
  const message = messageOf(error);
  return message.startsWith(`${during}: `) ? message : `${during}: ${message}`;
}

function codeText(error: unknown): string {
  const code = codeOf(error);
  return code === null ? '' : ` [${code}]`;
}

function codeOf(error: unknown): string | null {
  return CountersignError.is(error) ? error.code : null;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : 'unknown error';
}

/** One JSON value for each event that is told. Pinned: programs read it. */
export function eventJson(event: WardenEvent, { redactor, isVerbose }: Pick<LineOptions, 'redactor' | 'isVerbose'>): unknown {
  const { kind, at } = event;
  switch (event.kind) {
    case 'started':
      return { event: kind, at, level: event.level, mode: event.mode, freeze: event.grade, enforcement: event.enforcement ?? null };
    case 'judged': {
      const { activity, verdict, enforced, incident, call: held } = event;
      if (verdict.level === 'SAFE' && !isVerbose) return undefined;
      const { seq, sensor, phase, actor, attribution } = activity;
      return {
        event: kind,
        at,
        seq,
        level: verdict.level,
        enforced,
        rule: verdict.rule,
        reason: redactor.text(verdict.reason),
        evaluator: verdict.evaluator,
        action: { kind: activity.action.kind, text: redactor.text(actionText(activity.action, redactor)) },
        process:
          actor === undefined
            ? null
            : { pid: actor.pid, start: actor.start, exe: actor.exe === undefined ? null : redactor.text(actor.exe) },
        call: attribution.call ?? null,
        sensor,
        phase,
        ...(held !== undefined && { call_state: held }),
        incident: incident ?? null,
      };
    }
    case 'contained': {
      const { event: done, grade, count, refused, left, duration_ms, by } = event.step;
      return { event: kind, at, incident: event.incident.id, done, grade, count, refused, left, duration_ms, by };
    }
    case 'asked':
      return { event: kind, at, incident: event.incident.id, held: event.held, has_happened: event.hasHappened, question: event.words };
    case 'coverage':
      return { event: kind, at, level: event.level, sensor: event.sensor, why: event.why };
    case 'guard': {
      const { pid, start, exe } = event.process;
      return { event: kind, at, process: { pid, start, exe: exe === undefined ? null : redactor.text(exe) } };
    }
    case 'trouble':
      return { event: kind, at, during: event.during, code: codeOf(event.error), message: messageOf(event.error) };
  }
}
