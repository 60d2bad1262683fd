/** Where alerts go: a terminal, a webhook, a command such as `notify-send`. */
import { spawn } from 'node:child_process';
import { CountersignError, clip, escapeForTerminal } from '@countersign/core';
import type { Alert } from './alert.ts';
import { type AlertChannel, alertFailed } from './alerts.ts';

/** @param write - takes whole lines; default this process's stderr, because stdout belongs to protocols. */
export function terminalAlert(write: (text: string) => void = (text) => void process.stderr.write(text)): AlertChannel {
  return {
    name: 'terminal',
    tell: async (alert) => write(`${linesOf(alert).join('\n')}\n`),
  };
}

/** @param post - sends one signed message and rejects when nobody took it: a webhook of `@countersign/connect`. `id` is the same for every try. */
export function webhookAlert(name: string, post: (message: AlertMessage, signal: AbortSignal) => Promise<void>): AlertChannel {
  return { name: clip(escapeForTerminal(name), MAX_NAME_CHARS), tell: (alert, signal) => post(messageOf(alert), signal) };
}

export interface AlertMessage {
  readonly type: 'monitor.alert';
  /** Without full stops; the same incident in the same state has the same. */
  readonly id: string;
  readonly data: Alert;
}

const MAX_NAME_CHARS = 100;
const MAX_COMMAND_WORDS = 64;
const MAX_COMMAND_CHARS = 4_096;
const MAX_BODY_CHARS = 400;
const MAX_WHY_CHARS = 300;
/** All that a command sees of our environment: keys and tokens may stand in the rest. */
const PASSED_ON = [
  'PATH',
  'HOME',
  'USER',
  'LANG',
  'DISPLAY',
  'WAYLAND_DISPLAY',
  'XAUTHORITY',
  'XDG_RUNTIME_DIR',
  'DBUS_SESSION_BUS_ADDRESS',
];

/**
 * Runs a command with two more arguments: a title and a text. No shell is involved, its output is not read, and it is ended with
 * whatever it started when it takes too long.
 *
 * @param command - program and arguments, from the configuration alone, such as `['notify-send', '--urgency=critical']`.
 * @throws {CountersignError} `OPTIONS_INVALID`
 */
export function commandAlert(command: readonly string[]): AlertChannel {
  const [program, ...args] = command;
  const isSound = command.every((each) => typeof each === 'string' && each.length <= MAX_COMMAND_CHARS && !each.includes('\0'));
  if (program === undefined || program === '' || command.length > MAX_COMMAND_WORDS || !isSound)
    throw new CountersignError(
      'OPTIONS_INVALID',
      `the command of an alert is a program and its arguments: 1 to ${MAX_COMMAND_WORDS} texts of at most ${MAX_COMMAND_CHARS} characters`,
    );
  const name = `command ${clip(escapeForTerminal(program), MAX_NAME_CHARS)}`;
  return { name, tell: (alert, signal) => run(name, program, [...args, titleOf(alert), bodyOf(alert)], signal) };
}

function linesOf(alert: Alert): readonly string[] {
  const { rule, reason, action, by, incident, state, question } = alert;
  return [
    `countersign: ${headOf(alert)} ${rule}: ${reason}`,
    `  ${action}, by ${by}`,
    ...(incident === undefined ? [] : [`  incident ${incident}${state === undefined ? '' : `, ${state}`}${hintOf(alert)}`]),
    ...(question === undefined
      ? []
      : [...ANSWERS.map((each) => `  ${each.padEnd(7)} ${question.answers[each]}`), `  ${question.answers.unanswered}`]),
    ...(question === undefined || incident === undefined ? [] : [`  answer: ${commandOf(incident)}`]),
  ];
}

function headOf({ level, enforced, isTrouble }: Alert): string {
  if (isTrouble === true) return 'TROUBLE';
  return level === enforced ? level : `${level} (${enforced} in this mode)`;
}

const ANSWERS = ['resume', 'deny', 'kill'] as const;

/** Where nobody is asked, a command still lets it go on. */
function hintOf({ incident, state, question }: Alert): string {
  return state === 'frozen' && question === undefined ? `; to go on: countersign resume ${incident}` : '';
}

function commandOf(incident: string): string {
  return `countersign resume ${incident} [--deny | --kill]`;
}

function messageOf(alert: Alert): AlertMessage {
  const about = alert.incident ?? `${alert.session}_${alert.at}_${alert.rule}`;
  return {
    type: 'monitor.alert',
    id: `alert_${about}_${alert.state ?? alert.enforced}`.replaceAll(/[^A-Za-z0-9_-]/g, '-').slice(0, 200),
    data: alert,
  };
}

function titleOf(alert: Alert): string {
  return markless(`Countersign ${headOf(alert)}: ${alert.rule}`);
}

/** Begins with words of ours: no program takes it for an option. */
function bodyOf({ reason, action, by, incident, state, question }: Alert): string {
  const about = incident === undefined ? '' : ` Incident ${incident}${state === undefined ? '' : `: ${state}`}.`;
  const why = clip(`Reason: ${reason}.${about} ${action}, by ${by}.`, MAX_BODY_CHARS);
  if (question === undefined || incident === undefined) return markless(why);
  const answers = ANSWERS.map((each) => `${each}: ${question.answers[each]}.`).join(' ');
  // Whoever is woken by it has to know what to type, whatever a process is called.
  return markless(`${clip(why, MAX_WHY_CHARS)} ${answers} Otherwise: ${question.answers.unanswered}. ${commandOf(incident)}`);
}

/** Notifications may show markup, with links in it. */
function markless(text: string): string {
  return text.replaceAll(/[<>&]/g, (mark) => `\\u{${mark.charCodeAt(0).toString(16)}}`);
}

function run(name: string, program: string, args: readonly string[], signal: AbortSignal): Promise<void> {
  return new Promise((done, fail) => {
    const env = Object.fromEntries(PASSED_ON.flatMap((each) => (process.env[each] === undefined ? [] : [[each, process.env[each]]])));
    // A group of its own, so that what it starts ends with it.
    const child = spawn(program, [...args], { env, shell: false, stdio: 'ignore', detached: true, windowsHide: true });
    const stop = (): void => endGroup(child.pid);
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    child.once('error', (error) => {
      signal.removeEventListener('abort', stop);
      fail(alertFailed(name, `cannot be started (${'code' in error ? String(error.code) : 'unknown error'})`));
    });
    child.once('exit', (code, by) => {
      signal.removeEventListener('abort', stop);
      if (code === 0) return done();
      fail(alertFailed(name, code === null ? `was stopped by ${by ?? 'a signal'}` : `ended with exit code ${code}`));
    });
  });
}

function endGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}
