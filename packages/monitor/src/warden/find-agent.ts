/** Starts the agent, or finds it where it runs: as far as it waits for our word, and with what shuts it in or holds its calls. */
import { CountersignError } from '@countersign/core';
import type { ProcessId } from '../activity.ts';
import { kernelControlMissing } from '../kernel/available.ts';
import { filterProgram } from '../kernel/filter.ts';
import type { LandlockRules } from '../kernel/landlock.ts';
import { launchThroughShim, type ShimmedAgent } from '../kernel/launch-shim.ts';
import { wardenProcess } from '../kernel/processes.ts';
import { PreparedThread } from '../kernel/supervisor.ts';
import { trapsOf } from '../kernel/traps.ts';
import type { Containing } from '../sandbox/sandbox.ts';
import { RUN_MARKER } from '../tree/markers.ts';
import type { ProcReader } from '../tree/proc-fs.ts';
import { processByName, processByPid } from './choose-process.ts';
import { type AgentEnd, type LaunchOptions, launchAgent } from './launch.ts';
import { NOT_BOTH, type ShutIn, type ShutInOptions, shutIn } from './shut-in.ts';
import { type WatchOptions, type WatchTarget, withCanaries } from './watch-options.ts';

export interface Found {
  readonly process: ProcessId;
  readonly cwd: string;
  readonly ended: Promise<AgentEnd> | undefined;
  readonly go: () => void;
  readonly signal: (name: NodeJS.Signals) => boolean;
  /** Of its filter; whoever supervises it gives it up. */
  readonly listener?: number;
  /** With a listener: who will supervise it. */
  readonly prepared?: PreparedThread;
  /** Why it has none although one was asked for. */
  readonly without?: string;
  readonly shut?: ShutIn;
  /** It waits for a word that does not come. */
  abandon(): void;
}

/**
 * @returns what there is, and the options that fit it: what cannot be had together is left out, which is told.
 * @param probeFiles - what its Node programs load the probe from, where they are to.
 * @throws {CountersignError} `PROCESS_NOT_FOUND`, `PROCESS_REFUSED`, `MONITOR_UNAVAILABLE`. Nothing runs then that was not running before.
 */
export async function findAgent(
  options: WatchOptions,
  reader: ProcReader,
  probeFiles: readonly string[] = [],
): Promise<{ readonly found: Found; readonly fitting: WatchOptions }> {
  if (!('launch' in options.target)) return { found: attached(options.target, reader), fitting: options };
  const { launch } = options.target;
  const held = withoutHolding(options);
  const { contain } = held.options;
  const shut =
    contain === undefined ? undefined : await shutIn(launch, { ...shutInOptions(launch, held.options, contain), probe: probeFiles });
  if (shut?.error !== undefined) options.onEvent({ kind: 'trouble', at: Date.now(), during: 'contain', error: shut.error });
  try {
    const fitting = shut?.by === undefined ? held.options : withoutBroker(held.options);
    const found = await launched(launch, fitting, reader, shut);
    return { found: { ...found, ...(held.without !== undefined && { without: held.without }) }, fitting };
  } catch (error) {
    await shut?.close();
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

async function launched(options: LaunchOptions, watching: WatchOptions, reader: ProcReader, shut: ShutIn | undefined): Promise<Found> {
  const launch = shut?.launch ?? options;
  const env = { ...launch.env, [RUN_MARKER]: watching.ledger.session };
  const agent = await launchedAgent({ ...launch, env }, watching);
  const start = reader.stat(agent.pid)?.start;
  const signal = (name: NodeJS.Signals): boolean => agent.child.kill(name);
  const abandon = (): void => {
    signal('SIGKILL');
    agent.prepared?.discard();
  };
  if (start === undefined) {
    abandon();
    throw new CountersignError('MONITOR_UNAVAILABLE', 'processes cannot be read on this system: there is no /proc');
  }
  const { pid, ended, listener, prepared, without } = agent;
  return {
    process: { pid, start },
    cwd: options.cwd,
    ended,
    go: () => agent.go(),
    signal,
    abandon,
    ...(listener !== undefined && { listener }),
    ...(prepared !== undefined && { prepared }),
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
): Promise<ShimmedAgent & Pick<Found, 'prepared' | 'without'>> {
  const plainly = (): Promise<ShimmedAgent> => (marked.landlock === undefined ? launchAgent(marked) : launchThroughShim(marked));
  if (kernel === undefined) return plainly();
  const missing = missingHere();
  if (missing !== undefined && kernel.whenMissing === 'without') return { ...(await plainly()), without: missing };
  if (missing !== undefined) throw new CountersignError('MONITOR_UNAVAILABLE', `${NO_KERNEL_CONTROL}: ${missing}`);
  // While the shim starts, which takes as long.
  const prepared = new PreparedThread();
  try {
    const filter = filterProgram(process.arch, trapsOf({ ...kernel, ...wardenProcess() }));
    return { ...(await launchThroughShim({ ...marked, filter })), prepared };
  } catch (error) {
    prepared.discard();
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
