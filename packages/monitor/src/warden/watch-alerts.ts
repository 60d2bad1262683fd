/** What is told of a session to whoever listens for alerts. */
import { CountersignError, clip, escapeForTerminal, type Redactor } from '@countersign/core';
import { type Alert, alertOf, MAX_ALERT_TEXT_CHARS } from '../alerts/alert.ts';
import type { Alerts } from '../alerts/alerts.ts';
import { enforced, type MonitorMode } from '../verdict.ts';
import type { Alerts as AlertPort, WardenEvent } from './ports.ts';

/** Between two alerts of one rule that stops nothing. */
export const FLAG_ALERT_MS = 60_000;

export function alertPort(alerts: Alerts, redactor: Redactor): AlertPort {
  return {
    alert: async (incident, steps, question) => {
      const state = steps.at(-1)?.event;
      const { mode, verdict } = incident;
      const about = { ...incident, enforced: enforced(verdict.level, mode), ...(state !== undefined && { state }) };
      alerts.tell(alertOf({ ...about, ...(question !== undefined && { question }) }, redactor));
    },
  };
}

/** Verdicts that stop nothing, by level or by mode, are alerts too where those levels are told: once a minute for each rule. */
export function alsoTelling(
  alerts: Alerts,
  { redactor, ...about }: { readonly session: string; readonly mode: MonitorMode; readonly redactor: Redactor },
  onEvent: (event: WardenEvent) => void,
): (event: WardenEvent) => void {
  const told = new Map<string, number>();
  return (event) => {
    onEvent(event);
    const trouble = event.kind === 'trouble' ? troubleAlert(event, about.session, redactor) : undefined;
    if (trouble !== undefined && event.at - (told.get(trouble.rule) ?? 0) >= FLAG_ALERT_MS) {
      told.set(trouble.rule, event.at);
      alerts.tell(trouble);
    }
    if (event.kind !== 'judged' || event.enforced !== 'FLAG') return;
    const { at, activity, verdict, incident } = event;
    if (at - (told.get(verdict.rule) ?? 0) < FLAG_ALERT_MS) return;
    told.set(verdict.rule, at);
    alerts.tell(alertOf({ ...about, at, activity, verdict, enforced: 'FLAG', ...(incident !== undefined && { id: incident }) }, redactor));
  };
}

/** Of evidence that cannot be written: whoever sleeps elsewhere has to hear that an agent stands still, or goes on unlogged. */
function troubleAlert(
  { at, error }: Extract<WardenEvent, { readonly kind: 'trouble' }>,
  session: string,
  redactor: Redactor,
): Alert | undefined {
  if (!CountersignError.is(error)) return undefined;
  const isLedger = error.code === 'LEDGER_WRITE_FAILED';
  if (!isLedger && error.code !== 'ACTIVITY_LOG_FAILED') return undefined;
  const told = (text: string): string => clip(escapeForTerminal(redactor.text(text)), MAX_ALERT_TEXT_CHARS);
  return {
    at,
    session: told(session),
    level: 'FLAG',
    enforced: 'FLAG',
    rule: isLedger ? 'not-recorded' : 'not-logged',
    reason: told(error.message),
    action: isLedger ? 'write the ledger' : 'write the activity log',
    by: `countersign (pid ${process.pid})`,
    isTrouble: true,
  };
}
