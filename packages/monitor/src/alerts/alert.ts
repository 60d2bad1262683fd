/** What people are told when a tree was stopped or ended: every text in it is redacted, on one line and bounded. */
import { clip, escapeForTerminal, type Redactor } from '@countersign/core';
import type { Action, Activity } from '../activity.ts';
import type { Level, MonitorMode, Verdict } from '../verdict.ts';
import type { HaltWords } from '../warden/halt-words.ts';

export interface Alert {
  /** 32 hex digits; absent for a FLAG. */
  readonly incident?: string;
  /** UTC milliseconds. */
  readonly at: number;
  readonly session: string;
  /** The call it belongs to, where that is sure. */
  readonly call?: string;
  /** What the verdict says, and what is done of it under the mode. */
  readonly level: Level;
  readonly enforced: Level;
  readonly rule: string;
  readonly reason: string;
  /** `delete /home/ana/project/a.txt` */
  readonly action: string;
  /** `node (pid 4711)` */
  readonly by: string;
  /** What was done about it last: `frozen`, `killed`, `failed` ... */
  readonly state?: string;
  /** Evidence cannot be written: told whatever the levels. */
  readonly isTrouble?: true;
  /** A person is asked: what is held, and what each answer does. */
  readonly question?: HaltWords;
}

/** What an alert is made of: an incident of a watched session, or a verdict without one. */
export interface AlertCause {
  readonly id?: string;
  readonly at: number;
  readonly session: string;
  readonly activity: Activity;
  readonly verdict: Verdict;
  readonly enforced: Level;
  readonly state?: string;
  readonly mode: MonitorMode;
  readonly question?: HaltWords;
}

export const MAX_ALERT_TEXT_CHARS = 300;
/** Redacting is linear; nobody reads more of a name than this. Far more than is shown, so that no half of a secret is. */
const MAX_RAW_CHARS = 16_384;
const MAX_ARGS = 32;

export function alertOf(cause: AlertCause, redactor: Redactor): Alert {
  const { id, at, session, activity, verdict, enforced, state, question } = cause;
  const told = (text: string): string => clip(escapeForTerminal(redactor.text(text.slice(0, MAX_RAW_CHARS))), MAX_ALERT_TEXT_CHARS);
  const { actor, action, attribution } = activity;
  return {
    ...(id !== undefined && { incident: told(id) }),
    at,
    session: told(session),
    ...(attribution.call !== undefined && { call: told(attribution.call) }),
    level: verdict.level,
    enforced,
    rule: told(verdict.rule),
    reason: told(verdict.reason),
    action: told(actionText(action, redactor)),
    by: actor === undefined ? 'an unknown process' : `${told(programName(actor.exe))} (pid ${actor.pid})`,
    ...(state !== undefined && { state: told(state) }),
    ...(question !== undefined && { question: { ...question, held: question.held.map(told), call: told(question.call) } }),
  };
}

function programName(exe: string | undefined): string {
  return exe === undefined ? 'a process' : exe.slice(exe.lastIndexOf('/') + 1) || 'a process';
}

/** One action as people write it. Not escaped. */
export function actionText(action: Action, redactor: Redactor): string {
  switch (action.kind) {
    case 'read':
    case 'write':
    case 'delete':
    case 'load':
      return `${action.kind} ${action.path}`;
    case 'rename':
      return `rename ${action.path} to ${action.to}`;
    case 'exec':
      return `run ${commandText(action.argv.length === 0 ? [action.exe] : action.argv, redactor)}`;
    case 'connect':
      return `connect to ${action.host ?? action.address ?? 'an unknown address'}${action.port === undefined ? '' : `:${action.port}`}`;
    case 'dns':
      return `look up ${action.name}`;
    case 'spawn':
      return `start process ${action.child.pid}`;
    case 'memory':
      return `reach into process ${action.target}`;
    case 'unreadable':
      return `${action.call}, of which ${action.what} cannot be read`;
    case 'exit':
      return 'exit';
    case 'resource':
      return `use the resources of ${action.processes} process${action.processes === 1 ? '' : 'es'}`;
  }
}

/** Redacted as a list first: a flag and what it stands for are a secret only together. */
function commandText(argv: readonly string[], redactor: Redactor): string {
  const { shown } = redactor.redact(argv.slice(0, MAX_ARGS).map((each) => each.slice(0, MAX_RAW_CHARS)));
  const words = Array.isArray(shown) ? shown.map(String) : [];
  return [...words, ...(argv.length > MAX_ARGS ? ['...'] : [])].join(' ');
}
