/** Puts a warden together for one agent: launched, or running already. */
import { CountersignError, createRedactor, type Redactor } from '@countersign/core';
import type { Actor, ProcessId } from '../activity.ts';
import { freezerFor } from '../contain/freezer-for.ts';
import { Membership } from '../contain/membership.ts';
import { processTable } from '../contain/process-table.ts';
import { type Evidence, openEvidence } from '../evidence/evidence.ts';
import type { SessionFacts } from '../evidence/session-file.ts';
import { intentCheck } from '../intent/intent-check.ts';
import { usuallyHot } from '../kernel/hot.ts';
import { processOfThread } from '../kernel/processes.ts';
import { seccompSensor } from '../kernel/seccomp-sensor.ts';
import { STALLED_MS } from '../kernel/supervisor.ts';
import { quarantine } from '../quarantine/quarantine.ts';
import { type SessionQuarantine, sessionQuarantine } from '../quarantine/session-quarantine.ts';
import { type RuleEngineOptions, ruleEngine } from '../rules/engine.ts';
import { programName } from '../rules/programs.ts';
import type { Sensor } from '../sensor.ts';
import { RUN_MARKER } from '../tree/markers.ts';
import { type ProcReader, procReader } from '../tree/proc-fs.ts';
import { TrackedTree } from '../tree/tracked-tree.ts';
import { type Found, findAgent } from './find-agent.ts';
import { withoutGuards } from './guards.ts';
import { GuardsSeen } from './guards-seen.ts';
import { hostsLines } from './hosts-file.ts';
import type { WardenSummary } from './ports.ts';
import { PROBE } from './probe-sensor.ts';
import { openRunProbe, type RunProbe } from './run-probe.ts';
import { adopterOf, sensorsOf } from './sensors-of.ts';
import { sessionCoverage } from './session-coverage.ts';
import { goOnInBackground } from './shared-terminal.ts';
import { toldOnce } from './told-before.ts';
import { runWarden } from './warden.ts';
import { alertPort, alsoTelling } from './watch-alerts.ts';
import { type Watched, type WatchOptions, withCanaries } from './watch-options.ts';
import { withoutOwn } from './without-own.ts';

/** Between two looks for what an agent left behind. */
const LOOK_MS = 250;

/**
 * Launches or finds the agent and watches it.
 *
 * @throws {CountersignError} `PROCESS_NOT_FOUND`, `PROCESS_REFUSED`, `MONITOR_UNAVAILABLE`, `OPTIONS_INVALID`, `LEDGER_*`. Nothing runs then that was not running before.
 */
export async function watchProcesses(options: WatchOptions): Promise<Watched> {
  const reader = procReader();
  // Before there is anybody who could stop us by it.
  goOnInBackground();
  const probe = await openRunProbe(options);
  try {
    const { found, fitting } = await findAgent(probe === undefined ? options : probe.into(options), reader, probe?.files);
    try {
      return await watch(found, fitting, reader, probe);
    } catch (error) {
      found.abandon();
      await found.shut?.close();
      throw error;
    }
  } catch (error) {
    await probe?.close();
    throw error;
  }
}

async function watch(found: Found, options: WatchOptions, reader: ProcReader, probe: RunProbe | undefined): Promise<Watched> {
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
  const hosts = hostsLines();
  const marker = isLaunched ? { marker: `${RUN_MARKER}=${ledger.session}` } : {};
  const workspace = options.workspace ?? found.cwd;
  const own = [...options.own.files, ...options.own.configs];
  const { listener, prepared } = found;
  /** Of what is asked about before it happens. */
  const judging = {
    mode: options.mode,
    scope: withCanaries(options.scope, options.canaries),
    // Who may use the ledger is found out while it waits, or after it was opened: see `withoutGuards`.
    rules: {
      workspace,
      home: options.home,
      hosts,
      own: { ...ownBefore(options.own), pids: [process.pid] },
    },
  };
  const supervised =
    listener === undefined || options.kernel === undefined
      ? undefined
      : seccompSensor({
          tree,
          listener,
          ...(prepared !== undefined && { prepared }),
          ...judging,
          trapReads: options.kernel.trapReads,
          hot: [...usuallyHot(judging.rules.workspace), ...(options.kernel.hot ?? [])],
          since: Date.now(),
          redact: (text) => redactor.text(text),
          stat: (pid) => reader.stat(pid),
          shutsGate: true,
          onStall: (thread) => onStalled(options, thread, tree),
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
  // Nothing that another saw is left out for what a watched process says.
  const told = probe === undefined ? others : [probe.sensor(tree, reader), ...others.map((sensor) => probe.without(sensor))];
  const all = toldOnce(supervised === undefined ? told : [probe?.without(supervised) ?? supervised, ...told]);
  // Those that watch folders name nobody.
  const guardsSeen = new GuardsSeen((process) => options.onEvent({ kind: 'guard', at: Date.now(), process }));
  const { guards: given } = options.own;
  const guards = given && {
    ...given,
    // A lease is of a pid: of another process by now it lets nobody off.
    isWriter: (process: Actor) => given.isWriter(process) && reader.stat(process.pid)?.start === process.start,
    isAlive: (process: ProcessId) => isRunning(process, reader),
    seen: (process: Actor) => guardsSeen.see(process),
  };
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
    ...(probe !== undefined && { probe: probe.says }),
    ...(found.shut?.by !== undefined && { contain: found.shut.by }),
    ...(found.shut?.passedOver !== undefined && { passedOver: found.shut.passedOver }),
    ...(found.shut !== undefined && { more: found.shut.notes }),
  });
  let evidence: Evidence | undefined;
  try {
    const rules = ruleEngine(withCanaries(options.scope, options.canaries), {
      workspace,
      home: options.home,
      hosts,
      own: { ...options.own, pids: [process.pid] },
      ...(probe !== undefined && { uncounted: [PROBE] }),
      isMember: (pid) => tree.get(pid) !== undefined,
      redact: (text) => redactor.text(text),
    });
    const onEvent =
      options.alerts === undefined
        ? options.onEvent
        : alsoTelling(options.alerts, { session: ledger.session, mode: options.mode, redactor }, options.onEvent);
    evidence = openEvidence({
      ...options.log,
      agent: options.agent,
      session: ledger.session,
      note: options.note,
      redactor,
      onTrouble: (error) => onEvent({ kind: 'trouble', at: Date.now(), during: 'activity log', error }),
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
          await files.describe({ ...facts, grade, ...factsOf(summary), ...coverage.facts(), ...guardsSeen.facts(), endedAtMs: Date.now() });
          await files.close();
          await found.shut?.close();
          await probe?.close();
        },
      },
      questions: {
        words: (about) => options.questions.words({ ...about, ...coverage.facts() }),
        ask: (...asked) => options.questions.ask(...asked),
      },
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
}: WatchOptions['own']): Pick<NonNullable<RuleEngineOptions['own']>, 'files' | 'shared' | 'databases' | 'configs'> {
  const databases = guards?.files ?? [];
  const those = new Set([...databases, ...(guards?.afterLease ?? [])]);
  return { files: files.filter((file) => !those.has(file)), shared: files.filter((file) => those.has(file)), databases, configs };
}

function onIncomplete({ onEvent }: WatchOptions, unwatched: number): void {
  const error = new CountersignError(
    'MONITOR_UNAVAILABLE',
    `${unwatched} folders of the workspace are not watched for deletions: raise fs.inotify.max_user_watches, or run it in a smaller folder`,
  );
  onEvent({ kind: 'trouble', at: Date.now(), during: 'sensor inotify', error });
}

function onStalled({ onEvent }: WatchOptions, thread: number, tree: TrackedTree): void {
  const pid = processOfThread(thread) ?? thread;
  const name = programName(tree.get(pid)?.exe ?? '');
  const error = new CountersignError(
    'MONITOR_UNAVAILABLE',
    `process ${pid}${name === '' ? '' : ` (${name})`} names a file that the system has not found for ${STALLED_MS / 1_000} s: a file system that does not answer. Whatever else of the agent would open, start or connect waits for that; ending all of it works`,
  );
  onEvent({ kind: 'trouble', at: Date.now(), during: 'kernel control', error });
}

function sensorFacts(sensor: Sensor): SessionFacts['sensors'][number] {
  return { name: sensor.name, level: sensor.level, gives: sensor.gives, isAlive: true, ...sensor.stats() };
}

function factsOf({ level, lost, sensors }: WardenSummary): Pick<SessionFacts, 'level' | 'lost' | 'sensors'> {
  return { level, lost, sensors };
}

function quarantineOf(folder: string, startedAt: number, { own }: WatchOptions, redactor: Redactor): SessionQuarantine {
  return sessionQuarantine(quarantine({ folder, startedAt, own: [...own.files, ...own.configs], redactor }));
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
