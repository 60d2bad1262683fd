/** Turns the probe on in this process: the table of what is patched, and how to take it off again. */
import { syncBuiltinESMExports } from 'node:module';
import { type CallScope, CountersignError, currentCall } from '@countersign/core/light';
import type { Activity, Actor } from '../activity.ts';
import { MONITOR_MODES, type MonitorMode, type Verdict } from '../verdict.ts';
import { CALL_VARIABLE, ChildEnvironment, type Inherited } from './child-environment.ts';
import { patchFiles } from './files.ts';
import { Gate } from './gate.ts';
import { within } from './intrinsics.ts';
import { patchLoading } from './loading.ts';
import { patchNames } from './names.ts';
import { patchNetwork } from './network.ts';
import { isOwnThread, ownWork } from './own-work.ts';
import { Patches } from './patches.ts';
import { patchProcesses } from './processes.ts';
import { thisProcess } from './this-process.ts';
import { patchWorkers } from './workers.ts';

export interface ProbeOptions {
  /**
   * Asked before anything happens, on the stack of who does it, so it must be quick, synchronous and pure. A HALT or KILL is
   * refused; what throws is a HALT.
   */
  judge(activity: Activity): Verdict;
  /** Told of every activity with its verdict, before it happens. Returns at once; what it throws is counted, not thrown on. */
  emit(activity: Activity, verdict: Verdict, scope: CallScope | undefined): void;
  /** Default `enforce_kill`. With `audit_only` nothing is refused. */
  readonly mode?: MonitorMode;
  /** What processes and threads started from here inherit; absent: they are marked with their call, and not watched from inside. */
  readonly children?: Inherited;
  /** This process or thread was preloaded itself, and so are the threads that Node starts on its own. */
  readonly preloaded?: boolean;
  /** What names led to is told too, as a second `dns` with addresses. */
  readonly tellsNames?: boolean;
  /** Countersign's own files: exempt for its own code, judged for everybody else. */
  readonly own?: readonly string[];
}

export interface Probe {
  /** Puts everything back as it was. Once; where somebody wrapped a function again, what is left of ours does nothing. */
  uninstall(): void;
  /** How many functions were replaced. */
  readonly patched: number;
  /** Those that could not be. */
  readonly missed: readonly string[];
  stats(): { readonly seen: number; readonly lost: number };
}

/**
 * Patches the built-ins of Node in this process, CommonJS and ES modules alike. What it refuses has not happened: no file was
 * opened, no process started, nothing was sent.
 *
 * It is a tripwire in the process it watches, not a boundary; docs/guides/monitor.md has what gets past it.
 *
 * @throws {CountersignError} `OPTIONS_INVALID`
 */
export function installProbe(options: ProbeOptions): Probe {
  return within(() => install(options));
}

function install(options: ProbeOptions): Probe {
  const { mode = 'enforce_kill' } = options;
  if (!MONITOR_MODES.includes(mode)) throw new CountersignError('OPTIONS_INVALID', `mode must be one of ${MONITOR_MODES.join(', ')}`);
  const actor: Actor = thisProcess();
  const markedCall = process.env[CALL_VARIABLE];
  const gate = new Gate({
    judge: (activity) => options.judge(activity),
    emit: (activity, verdict, scope) => options.emit(activity, verdict, scope),
    mode,
    currentCall,
    actor,
    tellsNames: options.tellsNames === true,
    isOwn: ownWork(options.own ?? []),
    ...(markedCall !== undefined && { markedCall }),
  });
  const environment = new ChildEnvironment(options.children, () => currentCall()?.callId ?? markedCall);
  const patches = new Patches();
  // First what reaches below the others, because it is closed with the rest.
  patchProcesses(patches, gate, environment);
  patchWorkers(patches, gate, environment, isOwnThread);
  patchFiles(patches, gate);
  patchNetwork(patches, gate);
  patchNames(patches, gate);
  patchLoading(patches, gate, options.preloaded === true);
  syncBuiltinESMExports();
  return {
    uninstall() {
      patches.undo();
      syncBuiltinESMExports();
    },
    patched: patches.count,
    missed: patches.missed,
    stats: () => gate.stats,
  };
}
