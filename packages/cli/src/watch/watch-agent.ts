/** What `run` and `attach` share: everything around one watched agent, from the configuration to the exit code. */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { type ConfiguredChannels, configuredChannels } from '@countersign/connect';
import {
  type Config,
  CountersignError,
  clip,
  createRedactor,
  escapeJson,
  monitorHost,
  parseDuration,
  type Redactor,
} from '@countersign/core';
import { type SqliteStore } from '@countersign/core/sqlite';
import {
  haltQuestions,
  loadScope,
  type OllamaJudge,
  QUARANTINE_FOLDER,
  type Scope,
  sharedTerminal,
  type WardenEvent,
  type WardenSummary,
  type Watched,
  type WatchTarget,
  watchProcesses,
} from '@countersign/monitor';
import type { Invocation, Option } from '../command.ts';
import { configuredOrWatching } from '../configured.ts';
import { UsageError } from '../failure.ts';
import { openConfigured } from '../open-configured.ts';
import { safe } from '../output.ts';
import { pageChannelOf } from '../page-link.ts';
import { agentSignals } from './agent-signals.ts';
import { scopeOf } from './configured-scope.ts';
import { eventJson, eventLines } from './event-lines.ts';
import { codeOf, RUN_EXIT } from './exit-codes.ts';
import { alertsOf, judgeOf, tellOfJudge } from './judge-and-alerts.ts';
import { containOf, kernelOf, probeOf } from './kernel-choice.ts';
import { ownFiles } from './own-files.ts';
import { summaryJson, summaryLines } from './summary-lines.ts';
import { leaveScreen, terminalState } from './terminal-state.ts';
import { haltTerminal } from './tty-channel.ts';

type Mode = Config['monitor']['mode'];

export const WATCH_OPTIONS: readonly Option[] = [
  { name: 'task', kind: 'text', value: 'TEXT', about: 'what the agent was asked to do; what does not fit is flagged or stopped' },
  { name: 'scope', kind: 'text', value: 'FILE', about: 'what its processes may do, instead of `scope:` in the configuration' },
  { name: 'mode', kind: 'text', value: 'MODE', about: 'audit (stops nothing), confirm (a kill waits for a person) or enforce' },
  { name: 'model', kind: 'text', value: 'NAME', about: 'ask this model of a local Ollama about what rules leave open' },
  { name: 'poll', kind: 'text', value: 'TIME', about: 'between two looks at the processes: 20ms to 1m' },
  { name: 'log-dir', kind: 'text', value: 'FOLDER', about: 'where activity log and incidents are kept' },
  { name: 'agent', kind: 'text', value: 'NAME', about: 'instead of the agent in the configuration' },
  { name: 'verbose', kind: 'switch', about: 'tell of safe activity too' },
];

export const WATCH_NOTES: readonly string[] = [
  'What happens is told on standard error, one line for each event (more where the terminal is narrow); with --json as one JSON object a line. FLAG and above are in the ledger, everything is in the activity log.',
  'Exit: 120 when a verdict ended the processes, or nobody answered a halt in time; 121 when a person who was asked ended them; 122 when something could not be ended.',
];

const MODES: ReadonlyMap<string, Mode> = new Map([
  ['audit', 'audit_only'],
  ['confirm', 'flag_and_hold'],
  ['enforce', 'enforce_kill'],
]);
const MAX_SHOWN_CHARS = 100;
const MIN_POLL_MS = 20;
const MAX_POLL_MS = 60_000;

/** @param targetOf - what to watch, once it is known under which configuration. @returns the exit code */
export async function watchAgent(invocation: Invocation, targetOf: (config: Config) => WatchTarget): Promise<number> {
  const { io, flags, output } = invocation;
  // Before anything is opened, or said about what is missing.
  const [mode, pollMs, givenScope] = [modeOf(invocation), pollOf(invocation), scopeGiven(invocation)];
  const agent = flags.text('agent');
  const config = configuredOrWatching(invocation, agent === undefined ? io.env : { ...io.env, COUNTERSIGN_AGENT: agent }, {
    audit: 'NOTHING IS STOPPED',
    otherwise: 'rules are the built-in ones',
  });
  const redactor = createRedactor(config.redaction);
  const judge = judgeGiven(invocation, config, redactor);
  const told = teller(invocation, redactor);
  const store = openConfigured(config);
  const opened = new Opened();
  opened.later(() => store.close());
  if (judge !== undefined) opened.later(async () => judge.close());
  try {
    if (judge !== undefined) await tellOfJudge(judge, (text) => output.note(text));
    const parts = await partsOf(invocation, config, { store, redactor, opened, told });
    const isLaunch = 'launch' in parts.target;
    // Before the agent can change it.
    const terminal = terminalState(isLaunch && io.isTTY.stdin);
    const saved = terminal.save();
    const early = earlySignals();
    let watched: Watched;
    try {
      watched = await watchProcesses(parts);
    } catch (error) {
      early.release();
      throw error;
    }
    const summary = await follow(watched, isLaunch && io.isTTY.stdin, isLaunch, early, (text) => output.note(text));
    // What has ended may have had it for itself.
    if (saved !== undefined) sharedTerminal({ fd: 0 }).take();
    terminal.restore(saved);
    if (isLaunch && watched.warden.ended !== undefined && io.isTTY.stdout) leaveScreen((text) => void io.stderr.write(text));
    tellSummary(summary.summary, invocation);
    return summary.code;
  } finally {
    await opened.close();
  }

  async function partsOf(
    invoked: Invocation,
    settings: Config,
    use: { readonly store: SqliteStore; readonly redactor: Redactor; readonly opened: Opened; readonly told: (event: WardenEvent) => void },
  ): Promise<Parameters<typeof watchProcesses>[0]> {
    const { monitor } = settings;
    const scope = givenScope ?? scopeOf(settings, io.env);
    for (const warning of scope.warnings) output.note(`countersign: ${safe(warning)}`);
    const host = monitorHost({ store: use.store, agent: settings.agent, redactor });
    const telling = alertsOf(settings, io.env, (text) => output.note(text));
    if (telling !== undefined) use.opened.later(() => telling.close());
    const given = invoked.flags.text('log-dir');
    const logDir = given === undefined ? monitor.log.dir : resolve(io.cwd, given);
    const task = invoked.flags.text('task');
    const target = targetOf(settings);
    // What runs already cannot be given a filter.
    const [kernel, contain, probe] =
      'launch' in target ? [kernelOf(invoked.flags, monitor), containOf(invoked.flags, monitor), probeOf(invoked.flags, monitor)] : [];
    return {
      target,
      ...(contain !== undefined && { contain }),
      ...(kernel !== undefined && { kernel }),
      ...(probe !== undefined && { probe }),
      mode: mode ?? scope.mode ?? monitor.mode,
      scope,
      home: homedir(),
      own: ownFiles(settings, logDir, io.env),
      canaries: monitor.canaries,
      agent: settings.agent,
      ledger: {
        ...host,
        sessionOf: async (call) => (await use.store.callById(call))?.session,
        halts: () => use.store.halts(),
      },
      note: (topic, data) => host.note(topic, data),
      pollMs: pollMs ?? monitor.pollMs,
      log: { ...monitor.log, dir: logDir },
      ...(task !== undefined && { task }),
      ...(judge !== undefined && { judge }),
      ...(telling !== undefined && { alerts: telling.alerts }),
      ...(monitor.quarantine && { quarantine: join(logDir, QUARANTINE_FOLDER) }),
      questions: questionsOf(invoked, settings, use, host.session),
      onHaltTimeout: monitor.onHaltTimeout,
      redactor,
      onEvent: use.told,
    };
  }
}

/** Until nothing of it runs any more. */
async function follow(
  watched: Watched,
  isOnTerminal: boolean,
  isLaunch: boolean,
  early: EarlySignals,
  tell: (text: string) => void,
): Promise<{ readonly summary: WardenSummary; readonly code: number }> {
  const { warden } = watched;
  const signals = isLaunch ? agentSignals({ watched, isOnTerminal, tell }) : undefined;
  try {
    const detached = isLaunch ? undefined : detachment(watched, tell);
    early.release();
    const end = await Promise.race([watched.ended, ...(detached === undefined ? [] : [detached.asked])]);
    detached?.release();
    await warden.settled();
    if (signals !== undefined && warden.ended === undefined && !warden.isHolding) {
      const left = watched.left();
      signals.isOurs = true;
      if (left.length > 0) {
        const those = left.length === 1 ? '1 process it started runs' : `${left.length} processes it started run`;
        tell(
          `countersign: the agent has ended (${codeOf(end)}), and ${those} on, watched; Ctrl-C or SIGTERM ends ${left.length === 1 ? 'it' : 'them'}`,
        );
      }
      await watched.emptied(signals.enough);
      await warden.settled();
    }
    const summary = await warden.close();
    // Its last deeds may only be told of while it closes.
    return { summary, code: exitCode(warden.ended, codeOf(end)) };
  } finally {
    signals?.release();
  }
}

function exitCode(ended: Watched['warden']['ended'], own: number): number {
  if (ended === undefined) return own;
  if (ended.left > 0) return RUN_EXIT.LEFT;
  switch (ended.by) {
    case 'verdict':
    case 'timeout':
      return RUN_EXIT.KILLED;
    case 'operator':
      return RUN_EXIT.DENIED;
    case 'signal':
      return own;
  }
}

interface EarlySignals {
  /** From here on others take them, and are told of those that came. */
  release(): void;
}

/** A signal that comes before anybody can deal with it waits: by itself it would end us, and leave what we started. */
function earlySignals(): EarlySignals {
  const came: NodeJS.Signals[] = [];
  const take = (name: NodeJS.Signals): void => void came.push(name);
  const names = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;
  for (const name of names) process.on(name, take);
  return {
    release: () => {
      for (const name of names) process.off(name, take);
      for (const name of came.splice(0)) if (!process.emit(name, name)) process.kill(process.pid, name);
    },
  };
}

/** Whoever only watches may stop watching. What is held stays so, and that is said first. */
function detachment({ warden }: Watched, tell: (text: string) => void): { readonly asked: Promise<object>; release(): void } {
  const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  let stop: (end: object) => void = () => {};
  const asked = new Promise<object>((resolve) => {
    stop = resolve;
  });
  let isWarned = false;
  const handler = (): void => {
    if (warden.isHolding && !isWarned) {
      isWarned = true;
      return tell('countersign: its processes are stopped, and wait for an answer; once more leaves them so, unwatched');
    }
    stop({});
  };
  for (const name of names) process.on(name, handler);
  return { asked, release: () => names.forEach((name) => process.off(name, handler)) };
}

/** Things to be closed, the last one first. */
class Opened {
  readonly #all: (() => Promise<void>)[] = [];

  later(close: () => Promise<void>): void {
    this.#all.push(close);
  }

  async close(): Promise<void> {
    for (const close of this.#all.toReversed()) await close();
  }
}

function questionsOf(
  { io, output }: Invocation,
  config: Config,
  { store, redactor, opened }: { readonly store: SqliteStore; readonly redactor: Redactor; readonly opened: Opened },
  session: string,
): ReturnType<typeof haltQuestions> {
  const onError = (error: unknown): void => output.note(`countersign: ${errorText(error)}`);
  const asked: ConfiguredChannels = configuredChannels(config, {
    env: io.env,
    terminal: false,
    approval: (id) => store.approval(id),
    onError,
  });
  opened.later(() => asked.close());
  const page = pageChannelOf(config, output);
  const terminal = haltTerminal(io);
  return haltQuestions({
    agent: config.agent,
    store,
    session,
    timeoutMs: config.monitor.haltTimeoutMs,
    channels: [...asked.channels, ...(page === undefined ? [] : [page]), ...(terminal === undefined ? [] : [terminal])],
    redactor,
    approvals: { maxTtlMs: config.approvals.maxTtlMs, maxGrantTtlMs: config.approvals.maxGrantTtlMs, approvers: config.approvers },
    onError,
  });
}

function scopeGiven({ io, flags }: Invocation): Scope | undefined {
  const file = flags.text('scope');
  return file === undefined ? undefined : loadScope({ path: resolve(io.cwd, file) }, { env: io.env });
}

function judgeGiven({ flags }: Invocation, config: Config, redactor: Redactor): OllamaJudge | undefined {
  const given = flags.text('model');
  try {
    return judgeOf(config, given, redactor);
  } catch (error) {
    if (given === undefined || !CountersignError.is(error)) throw error;
    throw new UsageError(`--model ${JSON.stringify(clip(given, MAX_SHOWN_CHARS))}: ${error.message}`, 'for example: --model qwen3:4b');
  }
}

function modeOf({ flags }: Invocation): Mode | undefined {
  const given = flags.text('mode');
  if (given === undefined) return undefined;
  const mode = MODES.get(given) ?? [...MODES.values()].find((each) => each === given);
  if (mode === undefined) throw new UsageError(`--mode ${JSON.stringify(given)} is none`, 'use audit, confirm or enforce');
  return mode;
}

function pollOf({ flags }: Invocation): number | undefined {
  const given = flags.text('poll');
  if (given === undefined) return undefined;
  const pollMs = parseDuration(given);
  if (pollMs === undefined || pollMs < MIN_POLL_MS || pollMs > MAX_POLL_MS)
    throw new UsageError(`--poll ${JSON.stringify(given)} is no time from 20ms to 1m`, 'for example: --poll 100ms');
  return pollMs;
}

function teller({ io, output, flags }: Invocation, redactor: Redactor): (event: WardenEvent) => void {
  const isVerbose = flags.on('verbose');
  const terminal = io.isTTY.stdin && io.isTTY.stderr ? sharedTerminal({ fd: 0 }) : undefined;
  const here = terminal === undefined ? {} : { asksHere: () => terminal.canTake() };
  const columns = io.isTTY.stderr ? io.columns : undefined;
  const style = io.isTTY.stderr ? output.style.bind(output) : (_: unknown, text: string): string => text;
  return (event) => {
    if (output.json) {
      const value = eventJson(event, { redactor, isVerbose });
      if (value !== undefined) output.note(escapeJson(JSON.stringify(value)));
      return;
    }
    for (const line of eventLines(event, { redactor, isVerbose, columns, style, ...here })) output.note(line);
  };
}

function tellSummary(summary: WardenSummary, { output }: Invocation): void {
  if (output.json) return output.note(escapeJson(JSON.stringify(summaryJson(summary))));
  for (const line of summaryLines(summary)) output.note(line);
}

function errorText(error: unknown): string {
  const code = CountersignError.is(error) ? ` [${error.code}]` : '';
  return `${safe(error instanceof Error ? error.message : 'unknown error')}${code}`;
}
