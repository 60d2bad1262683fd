/**
 * What probes inside of watched Node programs saw and refused. Each program judges itself, by the scope of the session; what it tells is
 * judged here once more, as is what every other sensor sees, and can only become worse by what it says of it. It is the word of the
 * very process that is watched: nothing that another sensor saw is left out for it.
 */
import type { Action, ActionKind, Actor, ProcessId } from '../activity.ts';
import type { CoverageLevel, Sensor, SensorHost, SensorStats } from '../sensor.ts';
import { activitiesOf, actorOf } from '../sensors/tree-changes.ts';
import { EndedProcesses } from '../tree/ended-processes.ts';
import type { ProcReader } from '../tree/proc-fs.ts';
import type { TreeProcess } from '../tree/process-tree.ts';
import { isRunning } from '../tree/stat.ts';
import type { TrackedTree } from '../tree/tracked-tree.ts';
import { enforced, type MonitorMode, type Verdict } from '../verdict.ts';
import type { ProbeListener, Told } from './probe-listener.ts';

const LOOK_MS = 1_000;
/** A process that ended closes its channel a moment before it is gone. */
const GONE_MS = 500;
/** Seconds in which a Node program ran and told nothing: one that has the probe tells before anything of it runs. */
const SILENT_LOOKS = 10;
/** Above it, somebody else's process that happens to be an ancestor. */
const MAX_ANCESTORS = 64;
/** What a probe sees. Of other kinds it knows nothing. */
const GIVES: readonly ActionKind[] = ['read', 'write', 'delete', 'rename', 'exec', 'connect', 'dns', 'load'];
/** Sums stay whole numbers. */
const MAX_LOST = 1_000_000_000_000;
const RULE = /^[a-z][a-z-]{0,39}$/;

/** Who told something. */
export interface Program {
  readonly pid: number;
  /** Absent: it ended before anybody could look, and is known by its pid alone. */
  readonly process?: TreeProcess;
}

export interface ProbeSensorOptions {
  readonly tree: TrackedTree;
  readonly listener: ProbeListener<Program>;
  readonly reader: ProcReader;
  readonly mode: MonitorMode;
  /** What was launched is Node itself: what it does is told from inside. */
  readonly isAgentNode: boolean;
  /** Tests are in a hurry. */
  readonly lookMs?: number;
}

/** What programs tell. */
export const PROBE = 'probe';
/** Who was found to be in the tree by connecting: the kernel's word. */
const CHANNEL = 'probe-channel';

export class ProbeSensor implements Sensor {
  readonly name: string = PROBE;
  readonly level: CoverageLevel;
  readonly gives: readonly ActionKind[] = GIVES;
  readonly #options: ProbeSensorOptions;
  /** Processes that told, by pid: their start times and which file they ran then. Its name is theirs to change. */
  readonly #programs = new Map<number, { readonly start: number; readonly file?: string | undefined }>();
  readonly #quiet = new Map<number, { readonly start: number; mark: string | undefined; ran: number }>();
  #host: SensorHost | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopListening: (() => void) | undefined;
  #ended: EndedProcesses | undefined;
  #isOurStep = false;
  #isSilent = false;
  #count = 0;
  #seen = 0;
  #counted = 0;
  #lost = 0;

  constructor(options: ProbeSensorOptions) {
    this.#options = options;
    // Other programs of the tree are seen by others.
    this.level = options.isAgentNode ? 'L1' : 'L0';
  }

  async start(host: SensorHost): Promise<void> {
    const { tree, listener, lookMs = LOOK_MS } = this.#options;
    this.#host = host;
    this.#ended = new EndedProcesses(tree);
    this.#stopListening = tree.onChange((change) => {
      if (change.kind === 'left') this.#forget(change.process);
      if (!this.#isOurStep) return;
      if (change.kind === 'full') this.#lose(1);
      for (const { actor, ...found } of activitiesOf(change, tree)) {
        this.#seen++;
        host.emit({ at: Date.now(), sensor: CHANNEL, phase: 'after', ...found, ...(actor !== undefined && { actor }) });
      }
    });
    listener.start({
      enter: (pid) => this.#enter(pid),
      opened: (program) => this.#opened(program),
      told: (program, told) => this.#take(program, told, host),
      lost: (count) => this.#lose(count),
      closed: ({ process }) => void (process && setTimeout(() => this.#closed(process), GONE_MS).unref()),
    });
    this.#timer = setInterval(() => this.#look(), lookMs).unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#options.listener.stop();
    this.#stopListening?.();
    this.#ended?.close();
    this.#host = undefined;
  }

  stats(): SensorStats {
    return { seen: this.#seen, lost: this.#lost, counted: this.#counted, programs: this.#count };
  }

  /** Whoever connected, where it belongs to the tree. Others may not have seen it yet, and it may have ended since. */
  #enter(pid: number): Program | undefined {
    const { tree, reader } = this.#options;
    const stat = reader.stat(pid);
    const isThere = stat !== undefined && isRunning(stat);
    const known = tree.get(pid) ?? (isThere ? undefined : this.#ended?.get(pid));
    if (known !== undefined && (stat === undefined || stat.start === known.start)) return { pid, process: known };
    if (!isThere) return { pid };
    this.#isOurStep = true;
    try {
      this.#admit(pid, MAX_ANCESTORS);
    } finally {
      this.#isOurStep = false;
    }
    const process = tree.get(pid);
    return process === undefined ? undefined : { pid, process };
  }

  /** Its parents first: it belongs because they do. */
  #admit(pid: number, left: number): void {
    const { tree, reader } = this.#options;
    const stat = reader.stat(pid);
    if (stat === undefined || !isRunning(stat)) return;
    const { start, parent } = stat;
    if (tree.has({ pid, start })) return;
    if (parent > 1 && parent !== process.pid && left > 0) this.#admit(parent, left - 1);
    const [exe, argv, cwd, markers] = [reader.exe(pid), reader.argv(pid), reader.cwd(pid), reader.markers(pid)];
    tree.seen({
      pid,
      start,
      parent,
      ...(exe !== undefined && { exe }),
      ...(argv !== undefined && argv.length > 0 && { argv }),
      ...(cwd !== undefined && { cwd }),
      ...(markers !== undefined && { markers }),
    });
  }

  #opened({ pid, process }: Program): void {
    if (process === undefined) {
      this.#count++;
      return;
    }
    const { start } = process;
    if (this.#programs.get(pid)?.start !== start) this.#count++;
    this.#programs.set(pid, { start, file: this.#options.reader.exeFile(pid) });
    this.#quiet.delete(pid);
  }

  #take({ pid, process }: Program, { activity, verdict }: Told, host: SensorHost): void {
    const { action, attribution, actor: claimed } = activity;
    const told = plainly(action);
    const actor: Actor | undefined =
      process !== undefined
        ? actorOf(this.#options.tree.has(process) ? (this.#options.tree.get(pid) ?? process) : process)
        : claimed?.pid === pid
          ? { pid, start: claimed.start }
          : undefined;
    if (told === undefined || actor === undefined) {
      this.#lose(1);
      return;
    }
    this.#seen++;
    // Whoever sees processes tells of it, as the process that it becomes.
    if (told.kind === 'exec' && verdict.level === 'SAFE') {
      this.#counted++;
      return;
    }
    const observation = {
      at: Date.now(),
      sensor: this.name,
      phase: 'before',
      actor,
      action: told,
      ...(attribution.call !== undefined && { attribution: { method: attribution.method, call: attribution.call } }),
    } as const;
    if (verdict.level === 'SAFE') return host.emit(observation);
    const level = enforced(verdict.level, this.#options.mode);
    const isRefused = level === 'HALT' || level === 'KILL';
    host.emit(observation, {
      verdict: inOurWords(verdict),
      isHeld: false,
      ...(isRefused ? { isItsWord: true as const } : { wentOn: true as const }),
      answer: () => {},
    });
  }

  /** It is a Node program still, and tells nothing any more. */
  #closed({ pid, start }: TreeProcess): void {
    const { reader, listener } = this.#options;
    if (this.#host === undefined || listener.has((other) => other.pid === pid && other.process?.start === start)) return;
    const stat = reader.stat(pid);
    if (stat?.start !== start || !isRunning(stat)) return this.#forget({ pid, start });
    const before = this.#programs.get(pid)?.file;
    const now = reader.exeFile(pid);
    this.#forget({ pid, start });
    // It became another program, which is seen by others.
    if (before !== undefined && now !== undefined && now !== before) return;
    this.#silent(`process ${pid} closed its channel, and runs on`);
  }

  #forget({ pid, start }: ProcessId): void {
    if (this.#programs.get(pid)?.start === start) this.#programs.delete(pid);
    this.#quiet.delete(pid);
  }

  #look(): void {
    const { tree, reader, listener } = this.#options;
    if (!this.#isSilent && !listener.isThere)
      this.#silent('its channel was removed or replaced: Node programs that start from now on refuse everything, or tell nobody');
    for (const { pid, start, exe } of tree.members()) {
      if (exe === undefined || !isNode(exe) || this.#programs.get(pid)?.start === start) continue;
      const threads = reader.stat(pid)?.threads;
      if (threads === undefined) continue;
      const mark = reader.ranMark(pid, threads);
      const before = this.#quiet.get(pid);
      const ran = before?.start === start ? before.ran + (mark !== undefined && mark === before.mark ? 0 : 1) : 0;
      this.#quiet.set(pid, { start, mark, ran });
      if (ran >= SILENT_LOOKS) {
        this.#programs.set(pid, { start });
        this.#silent(`process ${pid} runs Node without the probe`);
      }
    }
  }

  /** How many is the word of whoever lost them: a sum of it is a number all the same. */
  #lose(count: number): void {
    this.#lost = Math.min(MAX_LOST, this.#lost + count);
  }

  /** From here on what Node programs do is not known from inside of all of them. Others are still heard. */
  #silent(why: string): void {
    if (this.#isSilent) return this.#lose(1);
    this.#isSilent = true;
    this.#host?.died(new Error(why));
  }
}

/** By its file. */
export function isNode(exe: string): boolean {
  return /^(?:node|nodejs)$/.test(exe.slice(exe.lastIndexOf('/') + 1));
}

/** Nothing but what a probe says of such an act: not, for example, that a file was not there before. */
function plainly(action: Action): Action | undefined {
  switch (action.kind) {
    case 'read':
    case 'write':
    case 'delete': {
      const { kind, path, resolved } = action;
      const isRecursive = action.recursive === true;
      return { kind, path, ...(resolved !== undefined && { resolved }), ...(isRecursive && { recursive: true as const }) };
    }
    case 'rename':
      return { kind: 'rename', path: action.path, to: action.to };
    case 'exec':
      return { kind: 'exec', exe: action.exe, argv: action.argv, ...(action.cwd !== undefined && { cwd: action.cwd }) };
    case 'connect': {
      const { kind, protocol, host, address, port } = action;
      return {
        kind,
        protocol,
        ...(host !== undefined && { host }),
        ...(address !== undefined && { address }),
        ...(port !== undefined && { port }),
      };
    }
    case 'dns':
      // Held against it alone: see the rules.
      return { kind: 'dns', name: action.name, ...(action.addresses !== undefined && { addresses: action.addresses }) };
    case 'load':
      return { kind: 'load', path: action.path };
    case 'spawn':
    case 'exit':
    case 'memory':
    case 'unreadable':
    case 'resource':
      return undefined;
    default:
      action satisfies never;
      return undefined;
  }
}

/** Its own it may choose: no text of the process stands where people read why something was stopped. */
function inOurWords({ level, rule }: Verdict): Verdict {
  return {
    level,
    rule: RULE.test(rule) ? rule : 'probe-told',
    reason: level === 'FLAG' ? 'the probe inside of the program says so' : 'the probe inside of the program stopped it',
    evaluator: 'rules',
    confidence: 1,
    evidence: [],
  };
}
