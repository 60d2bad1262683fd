/** Puts a warden together for one agent: launched, or running already. */
import { CountersignError, createRedactor, type Redactor } from '@countersign/core';
import type { ProcessId } from '../activity.ts';
import { alertOf } from '../alerts/alert.ts';
import type { Alerts } from '../alerts/alerts.ts';
import { freezerFor } from '../contain/freezer-for.ts';
import { Membership } from '../contain/membership.ts';
import { processTable } from '../contain/process-table.ts';
import { type Evidence, openEvidence } from '../evidence/evidence.ts';
import type { RecordNote } from '../evidence/note-queue.ts';
import type { SessionFacts } from '../evidence/session-file.ts';
import { intentCheck } from '../intent/intent-check.ts';
import type { OllamaJudge } from '../judge/ollama-judge.ts';
import { kernelControlMissing } from '../kernel/available.ts';
import { filterProgram } from '../kernel/filter.ts';
import { usuallyHot } from '../kernel/hot.ts';
import type { LandlockRules } from '../kernel/landlock.ts';
import { launchThroughShim, type ShimmedAgent } from '../kernel/launch-shim.ts';
import { wardenProcess } from '../kernel/processes.ts';
import { seccompSensor } from '../kernel/seccomp-sensor.ts';
import { type TrapReads, trapsOf } from '../kernel/traps.ts';
import { quarantine } from '../quarantine/quarantine.ts';
import { type SessionQuarantine, sessionQuarantine } from '../quarantine/session-quarantine.ts';
import { type RuleEngineOptions, ruleEngine } from '../rules/engine.ts';
import type { Containing } from '../sandbox/sandbox.ts';
import type { Scope } from '../scope/scope.ts';
import type { Sensor } from '../sensor.ts';
import { RUN_MARKER } from '../tree/markers.ts';
import { type ProcReader, procReader } from '../tree/proc-fs.ts';
import { TrackedTree } from '../tree/tracked-tree.ts';
import { enforced, type MonitorMode } from '../verdict.ts';
import { processByName, processByPid } from './choose-process.ts';
import { type Guards, withoutGuards } from './guards.ts';
import { type AgentEnd, type LaunchOptions, launchAgent } from './launch.ts';
import type { Alerts as AlertPort, HaltQuestions, Warden, WardenEvent, WardenLedger, WardenSummary } from './ports.ts';
import { adopterOf, sensorsOf } from './sensors-of.ts';
import { sessionCoverage } from './session-coverage.ts';
import { NOT_BOTH, type ShutIn, type ShutInOptions, shutIn } from './shut-in.ts';
import { toldOnce } from './told-before.ts';
import { runWarden } from './warden.ts';
import { withoutOwn } from './without-own.ts';

export type WatchTarget = { readonly launch: LaunchOptions } | { readonly pid: number } | { readonly name: string };

export interface WatchOptions {
  readonly target: WatchTarget;
  readonly mode: MonitorMode;
  readonly scope: Scope;
  /** The folder the agent works in. Default: its working directory. */
  readonly workspace?: string;
  readonly home: string;
  /** Countersign's own: whatever of the tree touches them is ended. Folders count with all in them. */
  readonly own: {
    readonly files: readonly string[];
    readonly configs: readonly string[];
    /** Of the tree: may use the ledger. Absent: nothing of the tree may. */
    readonly guards?: Guards;
  };
  /** Files nobody has any business with. Absolute. */
  readonly canaries: readonly string[];
  readonly agent: string;
  /** Its session is also the marker in the environment of what is launched. */
  readonly ledger: WardenLedger;
  readonly note: RecordNote;
  readonly pollMs: number;
  readonly log: { readonly dir: string; readonly maxBytes: number; readonly keep: number; readonly maxAgeMs: number };
  /** What the agent was asked to do. */
  readonly task?: string;
  readonly judge?: OllamaJudge;
  readonly questions: HaltQuestions;
  readonly alerts?: Alerts;
  /** Absolute. Where files go that were written outside of the scope; absent: they stay. */
  readonly quarantine?: string;
  readonly onHaltTimeout: 'stay' | 'kill';
  /** Of what is launched: calls wait for the warden before they happen. Absent: they do not. */
  readonly kernel?: KernelControl;
  /** What shuts in what is launched, besides. */
  readonly contain?: Containing;
  readonly redactor?: Redactor;
  readonly onEvent: (event: WardenEvent) => void;
}

export interface KernelControl {
  readonly trapReads: TrapReads;
  /** Absolute folders of programs and packages, of which reads are not told one by one. */
  readonly hot?: readonly string[];
  /** On a host that cannot: nothing is started (default), or the agent is, and that is told. */
  readonly whenMissing?: 'refuse' | 'without';
}

export interface Watched {
  readonly process: ProcessId;
  readonly warden: Warden;
  /** Of what was launched: how it ended. Resolves also for what was attached to, without a code. */
  readonly ended: Promise<AgentEnd>;
  /** Of its tree, now: those that still run. */
  left(): readonly ProcessId[];
  /** Resolves when nothing of the tree runs any more, or when `signal` is aborted. */
  emptied(signal: AbortSignal): Promise<void>;
  /** The agent itself was stopped, by a terminal for one. */
  isStopped(): boolean;
  /** Sends a signal to what was launched, and to nothing else. @returns false when there is nothing to send it to. */
  signal(name: NodeJS.Signals): boolean;
}

/** Between two alerts of one rule that stops nothing. */
const FLAG_ALERT_MS = 60_000;
/** Between two looks for what an agent left behind. */
const LOOK_MS = 250;

/**
 * Launches or finds the agent and watches it.
 *
 * @throws {CountersignError} `PROCESS_NOT_FOUND`, `MONITOR_UNAVAILABLE`, `OPTIONS_INVALID`, `LEDGER_*`. Nothing runs then that was not running before.
 */
export async function watchProcesses(options: WatchOptions): Promise<Watched> {
  const reader = procReader();
  if (!('launch' in options.target)) return watched(attached(options.target, reader), options, reader);
  const { launch } = options.target;
  const held = withoutHolding(options);
  const { contain } = held.options;
  const shut = contain === undefined ? undefined : await shutIn(launch, shutInOptions(launch, held.options, contain));
  if (shut?.error !== undefined) options.onEvent({ kind: 'trouble', at: Date.now(), during: 'contain', error: shut.error });
  try {
    const fitting = shut?.by === undefined ? held.options : withoutBroker(held.options);
    const found = await launched(launch, fitting, reader, shut);
    return await watched({ ...found, ...(held.without !== undefined && { without: held.without }) }, fitting, reader);
  } catch (error) {
    await shut?.close();
    throw error;
  }
}

async function watched(found: Found, options: WatchOptions, reader: ProcReader): Promise<Watched> {
  try {
    return await watch(found, options, reader);
  } catch (error) {
    found.abandon();
    throw error;
  }
}

/** One of both was asked for by name and the other may be left out: it is, and that is told. */
function withoutHolding(options: WatchOptions): { readonly options: WatchOptions; readonly without?: string } {
  const { kernel, contain, ...others } = options;
  if (contain?.by !== 'srt' || !isHeld(options)) return { options };
  if (kernel?.whenMissing === 'without') return { options: { ...others, contain }, without: NOT_BOTH };
  throw new CountersignError('MONITOR_UNAVAILABLE', `${NOT_BOTH}: leave kernel control out, or contain it by landlock`);
}

function isHeld({ kernel }: WatchOptions): boolean {
  return kernel !== undefined && kernelControlMissing() === undefined;
}

function shutInOptions({ cwd }: LaunchOptions, options: WatchOptions, contain: Containing): ShutInOptions {
  const { workspace = cwd, home, own } = options;
  const ledger = new Set(own.guards?.files);
  return {
    contain,
    workspace,
    home,
    isHeld: isHeld(options),
    scope: withCanaries(options.scope, options.canaries),
    own: [...own.files.filter((file) => !ledger.has(file)), ...own.configs],
  };
}

/** What is opened for a process is opened from outside of the sandbox, which then refuses nothing of it. */
function withoutBroker(options: WatchOptions): WatchOptions {
  const { kernel } = options;
  return kernel?.trapReads === 'broker' ? { ...options, kernel: { ...kernel, trapReads: 'deny-list' } } : options;
}

interface Found {
  readonly process: ProcessId;
  readonly cwd: string;
  readonly ended: Promise<AgentEnd> | undefined;
  readonly go: () => void;
  readonly signal: (name: NodeJS.Signals) => boolean;
  /** Of its filter; whoever supervises it gives it up. */
  readonly listener?: number;
  /** Why it has none although one was asked for. */
  readonly without?: string;
  readonly shut?: ShutIn;
  /** It waits for a word that does not come. */
  abandon(): void;
}

async function launched(options: LaunchOptions, watching: WatchOptions, reader: ProcReader, shut: ShutIn | undefined): Promise<Found> {
  const launch = shut?.launch ?? options;
  const env = { ...launch.env, [RUN_MARKER]: watching.ledger.session };
  const agent = await launchedAgent({ ...launch, env }, watching);
  const start = reader.stat(agent.pid)?.start;
  const signal = (name: NodeJS.Signals): boolean => agent.child.kill(name);
  const abandon = (): void => void signal('SIGKILL');
  if (start === undefined) {
    abandon();
    throw new CountersignError('MONITOR_UNAVAILABLE', 'processes cannot be read on this system: there is no /proc');
  }
  const { pid, ended, listener, without } = agent;
  return {
    process: { pid, start },
    cwd: options.cwd,
    ended,
    go: () => agent.go(),
    signal,
    abandon,
    ...(listener !== undefined && { listener }),
    ...(without !== undefined && { without }),
    ...(shut !== undefined && { shut: withUngranted(shut, agent.landlock?.ungranted ?? []) }),
  };
}

function withUngranted(shut: ShutIn, ungranted: readonly string[]): ShutIn {
  if (ungranted.length === 0) return shut;
  const [first = ''] = ungranted;
  const more = ungranted.length === 1 ? '' : ` and ${ungranted.length - 1} more`;
  return { ...shut, notes: [...shut.notes, `while it started these went away, and were not granted: ${JSON.stringify(first)}${more}`] };
}

/** With kernel control, where it was asked for and this host can. */
async function launchedAgent(
  marked: LaunchOptions & { readonly landlock?: LandlockRules },
  { kernel }: WatchOptions,
): Promise<ShimmedAgent & { readonly without?: string }> {
  const plainly = (): Promise<ShimmedAgent> => (marked.landlock === undefined ? launchAgent(marked) : launchThroughShim(marked));
  if (kernel === undefined) return plainly();
  const missing = missingHere();
  if (missing !== undefined && kernel.whenMissing === 'without') return { ...(await plainly()), without: missing };
  if (missing !== undefined) throw new CountersignError('MONITOR_UNAVAILABLE', `${NO_KERNEL_CONTROL}: ${missing}`);
  try {
    return await launchThroughShim({ ...marked, filter: filterProgram(process.arch, trapsOf({ ...kernel, ...wardenProcess() })) });
  } catch (error) {
    // It shows only now that somebody else listens to our calls, or that something keeps processes apart.
    const reason = CountersignError.is(error) && error.code === 'MONITOR_UNAVAILABLE' ? error.details['reason'] : undefined;
    if (typeof reason !== 'string') throw error;
    if (kernel.whenMissing === 'without') return { ...(await plainly()), without: reason };
    throw new CountersignError('MONITOR_UNAVAILABLE', `${NO_KERNEL_CONTROL}: ${reason}`, { cause: error });
  }
}

/** Below another warden nearly everything it needs is refused: what that is says little. */
function missingHere(): string | undefined {
  const missing = kernelControlMissing();
  return missing === undefined || process.env[RUN_MARKER] === undefined
    ? missing
    : `${missing}; this is inside of a watched tree, which holds it already`;
}

const NO_KERNEL_CONTROL = 'what the agent does cannot be held before it happens here';

function attached(target: Exclude<WatchTarget, { readonly launch: LaunchOptions }>, reader: ProcReader): Found {
  if (reader.pids().length === 0)
    throw new CountersignError('MONITOR_UNAVAILABLE', 'processes cannot be read on this system: there is no /proc');
  const options = { reader, self: process.pid, user: process.geteuid?.() ?? 0 };
  const id = 'pid' in target ? processByPid(target.pid, options) : processByName(target.name, options);
  return { process: id, cwd: reader.cwd(id.pid) ?? '/', ended: undefined, go: () => {}, signal: () => false, abandon: () => {} };
}

async function watch(found: Found, options: WatchOptions, reader: ProcReader): Promise<Watched> {
  const { ledger, redactor = createRedactor() } = options;
  const isLaunched = found.ended !== undefined;
  const command =
    'launch' in options.target ? [options.target.launch.program, ...options.target.launch.args] : (reader.argv(found.process.pid) ?? []);
  const root = found.process;
  // Between choosing it and now the pid may have become another's.
  if (reader.stat(root.pid)?.start !== root.start)
    throw new CountersignError('PROCESS_NOT_FOUND', `process ${root.pid} ended before it could be watched`);
  const tree = new TrackedTree({ roots: [], ...(isLaunched && { marker: ledger.session }), ...adopterOf(isLaunched) });
  for (const pid of found.shut?.helpers ?? []) tree.disown(pid);
  tree.addRoot(root);
  const marker = isLaunched ? { marker: `${RUN_MARKER}=${ledger.session}` } : {};
  const workspace = options.workspace ?? found.cwd;
  const own = [...options.own.files, ...options.own.configs];
  const { listener } = found;
  /** Of what is asked about before it happens. */
  const judging = {
    mode: options.mode,
    scope: withCanaries(options.scope, options.canaries),
    // Who may use the ledger is found out while it waits, or after it was opened: see `withoutGuards`.
    rules: {
      workspace,
      home: options.home,
      own: { ...ownBefore(options.own), pids: [process.pid] },
    },
  };
  const supervised =
    listener === undefined || options.kernel === undefined
      ? undefined
      : seccompSensor({
          tree,
          listener,
          ...judging,
          trapReads: options.kernel.trapReads,
          hot: [...usuallyHot(judging.rules.workspace), ...(options.kernel.hot ?? [])],
          since: Date.now(),
          redact: (text) => redactor.text(text),
          shutsGate: true,
        });
  const {
    sensors: others,
    adopted,
    holds,
  } = sensorsOf({
    tree,
    isLaunched,
    workspace,
    pollMs: options.pollMs,
    canaries: options.canaries,
    own,
    ledger: options.own.guards?.files ?? options.own.files,
    judging,
    onIncomplete: (unwatched) => onIncomplete(options, unwatched),
  });
  const all = toldOnce(supervised === undefined ? others : [supervised, ...others]);
  // Those that watch folders name nobody.
  const guards = options.own.guards && { ...options.own.guards, isAlive: (process: ProcessId) => isRunning(process, reader) };
  const sensors = all
    .map((sensor) => (sensor.gives.includes('delete') ? withoutOwn(sensor, own) : sensor))
    .map((sensor) => (guards !== undefined && sensor.gives.includes('write') ? withoutGuards(sensor, guards) : sensor));
  const membershipBy = { ...marker, adopted };
  const freezer = freezerFor(tree, {
    ...membershipBy,
    ...(supervised !== undefined && { gate: () => supervised.supervisor }),
    ...(holds !== undefined && { holds }),
  });
  const coverage = sessionCoverage({
    mode: options.mode,
    supervisor: 'seccomp',
    ...(found.without !== undefined && { without: found.without }),
    ...(options.kernel !== undefined && { kernel: options.kernel }),
    ...(found.shut?.by !== undefined && { contain: found.shut.by }),
    ...(found.shut?.passedOver !== undefined && { passedOver: found.shut.passedOver }),
    ...(found.shut !== undefined && { more: found.shut.notes }),
  });
  let evidence: Evidence | undefined;
  try {
    const rules = ruleEngine(withCanaries(options.scope, options.canaries), {
      workspace,
      home: options.home,
      own: { ...options.own, pids: [process.pid] },
      isMember: (pid) => tree.get(pid) !== undefined,
      redact: (text) => redactor.text(text),
    });
    evidence = openEvidence({
      ...options.log,
      agent: options.agent,
      session: ledger.session,
      note: options.note,
      redactor,
      onTrouble: (error) => options.onEvent({ kind: 'trouble', at: Date.now(), during: 'activity log', error }),
    });
    const { log, incidents } = evidence;
    let { grade } = freezer;
    const facts = {
      startedAtMs: Date.now(),
      mode: options.mode,
      how: isLaunched ? 'run' : 'attach',
      pids: [root.pid],
      command,
    };
    const files = evidence;
    const { judge, alerts } = options;
    const aside = options.quarantine === undefined ? undefined : quarantineOf(options.quarantine, facts.startedAtMs, options, redactor);
    const onEvent =
      alerts === undefined
        ? options.onEvent
        : alsoTelling(alerts, { session: ledger.session, mode: options.mode, redactor }, options.onEvent);
    const needs = supervised === undefined ? undefined : sensors.find(({ name }) => name === supervised.name);
    const warden = await runWarden({
      mode: options.mode,
      tree,
      sensors,
      // Nobody else answers for what its filter stops.
      ...(needs !== undefined && { needs }),
      ...(found.shut?.by !== undefined && { floor: 'L3' }),
      rules,
      ...(options.task !== undefined && {
        intent: intentCheck(options.task, { home: options.home, root }),
      }),
      ...(judge !== undefined && {
        judge: {
          judge: (input) => judge.judge({ ...input, scope: rules.summary(), ...(options.task !== undefined && { task: options.task }) }),
        },
      }),
      freezer,
      ledger,
      log: {
        write: (activity, verdict) => {
          aside?.see(activity, verdict);
          return log.write(activity, verdict);
        },
        lost: () => log.stats().lost,
        close: async (summary) => {
          await files.describe({ ...facts, grade, ...factsOf(summary), ...coverage.facts(), endedAtMs: Date.now() });
          await files.close();
          await found.shut?.close();
        },
      },
      questions: options.questions,
      incidents,
      ...(alerts !== undefined && { alerts: alertPort(alerts, redactor) }),
      ...(aside !== undefined && { quarantine: aside }),
      onHaltTimeout: options.onHaltTimeout,
      heldAtEnd: isLaunched ? 'kill' : 'stay',
      onEvent: (event) => onEvent(coverage.see(event)),
    });
    // The gate is one of the sensors'.
    grade = freezer.grade;
    void files.describe({ ...facts, grade, level: warden.level, sensors: sensors.map(sensorFacts), ...coverage.facts() });
    const membership = new Membership(tree, processTable(), membershipBy);
    const left = (): readonly ProcessId[] => membership.scanAll();
    const gone = (): boolean => reader.stat(root.pid)?.start !== root.start;
    found.go();
    return {
      process: root,
      warden,
      ended: found.ended ?? until(gone, new AbortController().signal).then(() => ({})),
      left,
      emptied: (signal) => until(() => left().length === 0, signal),
      isStopped: () => reader.stat(root.pid)?.state === 'T',
      signal: found.signal,
    };
  } catch (error) {
    await evidence?.close();
    await freezer.close();
    throw error;
  }
}

function isRunning({ pid, start }: ProcessId, reader: ProcReader): boolean {
  const found = reader.stat(pid);
  return found?.start === start && found.state !== 'Z' && found.state !== 'X';
}

/** A guard is known by its lease. What it uses too waits until that is known, or, of the ledger itself, is judged a moment later. */
function ownBefore({
  files,
  configs,
  guards,
}: WatchOptions['own']): Pick<NonNullable<RuleEngineOptions['own']>, 'files' | 'shared' | 'configs'> {
  const those = new Set([...(guards?.files ?? []), ...(guards?.afterLease ?? [])]);
  return { files: files.filter((file) => !those.has(file)), shared: files.filter((file) => those.has(file)), configs };
}

function onIncomplete({ onEvent }: WatchOptions, unwatched: number): void {
  const error = new CountersignError(
    'MONITOR_UNAVAILABLE',
    `${unwatched} folders of the workspace are not watched for deletions: raise fs.inotify.max_user_watches, or run it in a smaller folder`,
  );
  onEvent({ kind: 'trouble', at: Date.now(), during: 'sensor inotify', error });
}

function withCanaries(scope: Scope, canaries: readonly string[]): Scope {
  const { filesystem } = scope;
  return { ...scope, filesystem: { ...filesystem, forbiddenPaths: [...filesystem.forbiddenPaths, ...canaries] } };
}

function sensorFacts(sensor: Sensor): SessionFacts['sensors'][number] {
  return { name: sensor.name, level: sensor.level, gives: sensor.gives, isAlive: true, ...sensor.stats() };
}

function factsOf({ level, lost, sensors }: WardenSummary): Pick<SessionFacts, 'level' | 'lost' | 'sensors'> {
  return { level, lost, sensors };
}

function alertPort(alerts: Alerts, redactor: Redactor): AlertPort {
  return {
    alert: async (incident, steps) => {
      const state = steps.at(-1)?.event;
      const { mode, verdict } = incident;
      alerts.tell(alertOf({ ...incident, enforced: enforced(verdict.level, mode), ...(state !== undefined && { state }) }, redactor));
    },
  };
}

function quarantineOf(folder: string, startedAt: number, { own }: WatchOptions, redactor: Redactor): SessionQuarantine {
  return sessionQuarantine(quarantine({ folder, startedAt, own: [...own.files, ...own.configs], redactor }));
}

/** Verdicts that stop nothing, by level or by mode, are alerts too where those levels are told: once a minute for each rule. */
function alsoTelling(
  alerts: Alerts,
  { redactor, ...about }: { readonly session: string; readonly mode: MonitorMode; readonly redactor: Redactor },
  onEvent: (event: WardenEvent) => void,
): (event: WardenEvent) => void {
  const told = new Map<string, number>();
  return (event) => {
    onEvent(event);
    if (event.kind !== 'judged' || event.enforced !== 'FLAG') return;
    const { at, activity, verdict, incident } = event;
    if (at - (told.get(verdict.rule) ?? 0) < FLAG_ALERT_MS) return;
    told.set(verdict.rule, at);
    alerts.tell(alertOf({ ...about, at, activity, verdict, enforced: 'FLAG', ...(incident !== undefined && { id: incident }) }, redactor));
  };
}

/** Looks now, and again every while. */
async function until(isSo: () => boolean, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && !isSo()) {
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, LOOK_MS);
      signal.addEventListener('abort', done, { once: true });
    });
  }
}
