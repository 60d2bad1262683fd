/** What is asked after a halt, in words: what is held, since when, and what each answer does about it. Channels show it as it is here. */
import { clip, type Redactor } from '@countersign/core';
import { actionText } from '../action-text.ts';
import type { Activity } from '../activity.ts';
import { cappedAt, type Enforcement, holdsText, LEVEL_MEANS } from '../enforcement.ts';
import { baseOf } from '../rules/path-text.ts';
import type { CoverageLevel } from '../sensor.ts';
import { isOperators } from './operator-halts.ts';

/** What stands behind a question at the moment it is put. */
export interface HaltAbout {
  /** What halted it, and those of what it holds that are told of. */
  readonly activity: Activity;
  readonly waiting: readonly Activity[];
  /** Calls that wait for the answer. */
  readonly held: number;
  /** Some of what it is about was done already. */
  readonly hasHappened: boolean;
  /** Whoever did it says that it was refused inside of it. */
  readonly saysRefused?: boolean;
  /** An operator halted it, besides whatever else it is about. */
  readonly isOperators?: boolean;
  readonly sinceMs: number;
  readonly nowMs: number;
  /** What is watched at that moment, as it goes on record for the session. */
  readonly level: CoverageLevel | 'none';
  /** As decided when the session started, where it is known. */
  readonly enforcement?: Enforcement;
  readonly onTimeout: 'stay' | 'kill';
}

/** Stands in the arguments of the question as it is. Not escaped. */
export interface HaltWords {
  readonly held: readonly string[];
  /** An operator halted it: no override answers that. */
  readonly operator?: true;
  /** The tool call it belongs to. */
  readonly call: string;
  readonly since: string;
  /** How much of what the agent does is seen and held, at the moment of asking: `holds` by kind of doing. */
  readonly coverage: { readonly level: CoverageLevel | 'none'; readonly means: string; readonly holds?: string };
  readonly answers: { readonly resume: string; readonly deny: string; readonly kill: string; readonly unanswered: string };
}

const MAX_THING_CHARS = 300;

export function haltWords(about: HaltAbout, timeoutMs: number, redactor: Redactor): HaltWords {
  const { activity, waiting, held, saysRefused = false, isOperators: byWord = false, sinceMs, level, enforcement } = about;
  const { call, candidates = [] } = activity.attribution;
  const told = waiting.length > 0 ? waiting : isOperators(activity) ? [] : [activity];
  const more = held - told.length;
  return {
    held: [
      ...told.map(
        (each) =>
          `${thing(each, redactor)}${held > 0 ? '' : saysRefused ? ' (refused by the probe inside of it, it says)' : ' (has happened already)'}`,
      ),
      ...(more > 0 ? [`and ${more} more`] : []),
      ...(byWord ? ['the whole process tree, by the word of an operator: countersign halt'] : []),
    ],
    ...(byWord && { operator: true }),
    call: call ?? (candidates.length > 0 ? `perhaps ${candidates.slice(0, 3).join(', ')}` : 'no tool call is known to have caused it'),
    since: new Date(sinceMs).toISOString(),
    coverage: {
      level,
      means: LEVEL_MEANS[level],
      // A sensor that died since took something with it.
      ...(enforcement !== undefined && { holds: holdsText(cappedAt(enforcement, level)) }),
    },
    answers: { ...answersTo(about), unanswered: unanswered(about, timeoutMs) },
  };
}

function thing({ action, actor }: Activity, redactor: Redactor): string {
  const file = action.kind === 'exec' && action.argv.length > 0 && action.exe !== action.argv[0] ? ` (${action.exe})` : '';
  const text = clip(redactor.text(`${actionText(action, redactor)}${file}`).toWellFormed(), MAX_THING_CHARS);
  if (actor === undefined) return `${text}, by an unknown process`;
  return `${text}, by ${actor.exe === undefined ? 'process' : redactor.text(baseOf(actor.exe))} (pid ${actor.pid})`;
}

function answersTo({ isOperators: byWord, ...about }: HaltAbout): Omit<HaltWords['answers'], 'unanswered'> {
  const answers = answersAbout(about);
  if (byWord !== true) return answers;
  return {
    ...answers,
    resume: `${about.held === 0 ? 'its processes go on' : answers.resume}; its calls stay refused until the halt is ended: countersign resume --all, or the name of its session`,
    // It is about none of them alone.
    deny: answers.kill,
  };
}

function answersAbout({ held, hasHappened, saysRefused = false }: HaltAbout): Omit<HaltWords['answers'], 'unanswered'> {
  const isOne = held === 1;
  const those = isOne ? 'the call that waits' : `the ${held} calls that wait`;
  const kill = 'the whole process tree is ended';
  if (held === 0 && saysRefused)
    return {
      resume: 'the agent goes on; what was refused inside of it stays refused',
      deny: 'the processes that tried it are ended, and the rest goes on',
      kill,
    };
  if (held === 0)
    return {
      resume: 'the agent goes on; what it did stays done',
      deny: 'the processes that did it are ended, and the rest goes on; all are ended where it is not known which did it',
      kill,
    };
  return {
    resume: `${those} ${isOne ? 'happens' : 'happen'} now, as asked for, and the agent goes on${hasHappened ? '; what it did already stays done' : ''}`,
    deny: hasHappened
      ? `${those} ${isOne ? 'fails' : 'fail'} with EPERM; the processes that did something already are ended, and the rest goes on`
      : `${those} ${isOne ? 'fails' : 'fail'} with EPERM ("Operation not permitted"), and the agent goes on`,
    kill: `${kill}, and ${those} never ${isOne ? 'happens' : 'happen'}`,
  };
}

function unanswered({ nowMs, onTimeout }: HaltAbout, timeoutMs: number): string {
  const when = `without an answer within ${timeText(timeoutMs)} (until ${new Date(nowMs + timeoutMs).toISOString()})`;
  return onTimeout === 'kill'
    ? `${when} the whole process tree is ended`
    : `${when} it is asked again; until then everything stays stopped`;
}

function timeText(ms: number): string {
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`;
  return ms < 2 * 3_600_000 ? `${Math.round(ms / 60_000)} min` : `${Math.round(ms / 3_600_000)} h`;
}
