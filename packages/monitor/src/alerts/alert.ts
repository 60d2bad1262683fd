/** What people are told when a tree was stopped or ended: every text in it is redacted, on one line and bounded. */

import { clip, escapeForTerminal, type Redactor } from '@countersign/core';
import { actionText } from '../action-text.ts';
import type { Activity } from '../activity.ts';
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
