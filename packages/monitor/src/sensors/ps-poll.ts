/**
 * The baseline where there is no /proc: `ps` every second, `lsof` every three. Never run on macOS by us; its formats are tested.
 *
 * It sees less than the poll of /proc: no markers (so orphans only as long as they were seen before), arguments only as one text,
 * which is split at spaces, start times in seconds.
 */
import { execFile } from 'node:child_process';
import { CountersignError } from '@countersign/core';
import type { Action, ActionKind, Actor, Attribution } from '../activity.ts';
import type { CoverageLevel, Sensor, SensorHost, SensorStats } from '../sensor.ts';
import { findProgram } from '../system-program.ts';
import type { SeenProcess, TrackedTree, TreeChange } from '../tree/tracked-tree.ts';
import { type LsofFiles, lsofArguments, parseLsof } from './lsof-table.ts';
import { OpenFiles } from './open-files.ts';
import { PS_PROCESSES, type PsProcess, parseProcesses, parseTexts, psTextOf } from './ps-table.ts';
import { type PollTiming, REAL_TIMING } from './timing.ts';
import { activitiesOf, actorOf } from './tree-changes.ts';

export interface PsPollOptions {
  readonly tree: TrackedTree;
  /** Runs a program to its end and gives its output. Rejects when it cannot be run or prints nothing; a failing exit alone is none. */
  readonly run?: (program: 'ps' | 'lsof', args: readonly string[]) => Promise<string>;
  readonly timing?: PollTiming;
}

export const PS_INTERVAL_MS = 1_000;
/** Looks at processes for each look at their files. */
const LOOKS_PER_FILES = 3;
/** Looks in a row that fail, and the sensor is dead. */
const MAX_FAILURES = 5;
/** Asked of one `ps` or `lsof`: a longer list makes no command line. Of those beyond, arguments and files are not read; they count as lost. */
export const MAX_ASKED = 2_000;

export function psPoll(options: PsPollOptions): Sensor {
  return new PsPoll(options);
}

/** When a process started, as this poll tells it; undefined when there is none. Rejects without `ps`. */
export async function psStart(pid: number): Promise<number | undefined> {
  return parseProcesses(await runProgram('ps', [...PS_PROCESSES.slice(1), '-p', String(pid)])).get(pid)?.start;
}

class PsPoll implements Sensor {
  readonly name = 'ps-poll';
  readonly level: CoverageLevel = 'L0';
  readonly gives: readonly ActionKind[] = ['spawn', 'exec', 'exit', 'read', 'write', 'connect'];
  readonly #tree: TrackedTree;
  readonly #run: (program: 'ps' | 'lsof', args: readonly string[]) => Promise<string>;
  readonly #timing: PollTiming;
  readonly #files: OpenFiles;
  readonly #connected = new Map<number, Set<string>>();
  #lsof: ReadonlyMap<number, LsofFiles> = new Map();
  #host: SensorHost | undefined;
  #stopTimer: (() => void) | undefined;
  #stopListening: (() => void) | undefined;
  #isStopped = false;
  #isOurStep = false;
  #looks = 0;
  #failures = 0;
  #seen = 0;
  #lost = 0;

  constructor({ tree, run = runProgram, timing = REAL_TIMING }: PsPollOptions) {
    this.#tree = tree;
    this.#run = run;
    this.#timing = timing;
    this.#files = new OpenFiles({
      descriptors: (pid) => this.#lsof.get(pid)?.descriptors ?? 'gone',
      descriptorState: (pid, fd) => this.#lsof.get(pid)?.states.get(fd),
    });
  }

  /** Resolves after the first look. @throws {CountersignError} `MONITOR_UNAVAILABLE` where `ps` tells nothing */
  async start(host: SensorHost): Promise<void> {
    this.#host = host;
    this.#stopListening = this.#tree.onChange((change) => this.#changed(change));
    try {
      await this.#look();
    } catch (cause) {
      this.#stopListening();
      this.#host = undefined;
      throw new CountersignError('MONITOR_UNAVAILABLE', 'ps tells of no processes: this host cannot be watched by a poll', { cause });
    }
    this.#wait();
  }

  /** A `ps` that hangs is not waited for: what it brings is thrown away. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#stopTimer?.();
    this.#stopListening?.();
    this.#host = undefined;
  }

  stats(): SensorStats {
    return { seen: this.#seen, lost: this.#lost };
  }

  #wait(): void {
    if (!this.#isStopped) this.#stopTimer = this.#timing.after(PS_INTERVAL_MS, () => void this.#next());
  }

  async #next(): Promise<void> {
    try {
      await this.#look();
      this.#failures = 0;
    } catch (error) {
      this.#lost++;
      this.#failures++;
      if (this.#failures >= MAX_FAILURES) {
        const host = this.#host;
        await this.stop();
        host?.died(error instanceof Error ? error : new Error(String(error)));
      }
    }
    this.#wait();
  }

  async #look(): Promise<void> {
    const table = parseProcesses(await this.#run('ps', PS_PROCESSES));
    if (table.size === 0) throw new Error('ps printed no processes');
    const family = this.#family(table);
    const pids = family.slice(0, MAX_ASKED).map(({ pid }) => pid);
    this.#lost += family.length - pids.length;
    const asked = new Set(pids);
    const [programs, commands] =
      pids.length === 0
        ? [new Map<number, string>(), new Map<number, string>()]
        : [
            parseTexts(await this.#run('ps', psTextOf('comm', pids)), asked),
            parseTexts(await this.#run('ps', psTextOf('command', pids)), asked),
          ];
    if (this.#isStopped) return;
    this.#isOurStep = true;
    for (const member of this.#tree.members()) {
      const now = table.get(member.pid);
      if (now === undefined || now.state === 'Z') this.#tree.exited({ pid: member.pid });
    }
    for (const each of family) this.#tree.seen(seenOf(each, programs.get(each.pid), commands.get(each.pid)));
    this.#isOurStep = false;
    if (this.#looks++ % LOOKS_PER_FILES === 0) await this.#lookAtFiles();
  }

  /** Members, those whose pid has changed hands, and whoever descends from them. Parents first. */
  #family(table: ReadonlyMap<number, PsProcess>): readonly PsProcess[] {
    const children = Map.groupBy(table.values(), ({ parent }) => parent);
    const found = new Map<number, PsProcess>();
    const add = (each: PsProcess | undefined): void => {
      if (each !== undefined && each.state !== 'Z') found.set(each.pid, each);
    };
    for (const { pid } of this.#tree.members()) add(table.get(pid));
    // Grows while it is walked through.
    for (const { pid } of found.values())
      if (this.#tree.get(pid) === undefined || this.#isSame(table.get(pid))) for (const child of children.get(pid) ?? []) add(child);
    return [...found.values()];
  }

  #isSame(process: PsProcess | undefined): boolean {
    return process !== undefined && this.#tree.has(process);
  }

  async #lookAtFiles(): Promise<void> {
    const members = this.#tree.members().slice(0, MAX_ASKED);
    if (members.length === 0) return;
    try {
      this.#lsof = parseLsof(await this.#run('lsof', lsofArguments(members.map(({ pid }) => pid))));
    } catch {
      // There is none, or it failed: processes are still seen.
      this.#lost++;
      return;
    }
    const listening = new Set(
      [...this.#lsof.values()].flatMap(({ sockets }) =>
        sockets.flatMap(({ remote, localPort }) => (remote === undefined ? [localPort] : [])),
      ),
    );
    for (const { pid, start } of members) {
      const process = this.#tree.get(pid);
      if (process?.start !== start) continue;
      const look = this.#files.look(process, process.parent === undefined ? undefined : this.#tree.get(process.parent));
      this.#lost += look.lost;
      for (const action of look.opened) this.#emit(action, process, process.attribution);
      this.#connections(pid, listening, (action) => this.#emit(action, process, process.attribution));
    }
    this.#lsof = new Map();
  }

  #connections(pid: number, listening: ReadonlySet<number>, emit: (action: Action) => void): void {
    const before = this.#connected.get(pid) ?? new Set();
    const now = new Set<string>();
    for (const { fd, localPort, remote } of this.#lsof.get(pid)?.sockets ?? []) {
      if (remote === undefined || (remote.protocol === 'tcp' && listening.has(localPort))) continue;
      const key = `${fd} ${localPort} ${remote.address ?? ''} ${remote.port ?? ''}`;
      now.add(key);
      if (!before.has(key)) emit(remote);
    }
    this.#connected.set(pid, now);
  }

  #changed(change: TreeChange): void {
    if (change.kind === 'left') {
      this.#files.forget(change.process.pid);
      this.#connected.delete(change.process.pid);
    }
    // What another sensor found out, it reports itself.
    if (!this.#isOurStep) return;
    if (change.kind === 'full') this.#lost++;
    for (const { action, actor, attribution } of activitiesOf(change, this.#tree)) this.#emit(action, actor, attribution);
  }

  #emit(action: Action, actor: Actor | undefined, attribution: Attribution): void {
    if (this.#host === undefined) return;
    this.#seen++;
    this.#host.emit({
      at: this.#timing.now(),
      sensor: this.name,
      phase: 'after',
      ...(actor !== undefined && { actor: actorOf(actor) }),
      action,
      attribution,
    });
  }
}

/** Where one argument ends and the next begins, `ps` does not tell. */
function seenOf({ pid, start, parent }: PsProcess, program: string | undefined, command: string | undefined): SeenProcess {
  const argv = command?.split(/\s+/).filter((word) => word !== '');
  return {
    pid,
    start,
    parent,
    ...(program !== undefined && program !== '' && { exe: program }),
    ...(argv !== undefined && argv.length > 0 && { argv }),
  };
}

const LIMITS = { timeout: 5_000, killSignal: 'SIGKILL', maxBuffer: 16 * 1024 * 1024, encoding: 'utf8' } as const;

/** Both say 1 when one of several processes is gone, and have printed the rest. */
function runProgram(program: 'ps' | 'lsof', args: readonly string[]): Promise<string> {
  const path = findProgram(program);
  if (path === undefined) return Promise.reject(new Error(`${program} is not installed`));
  return new Promise((resolve, reject) => {
    execFile(path, args, { ...LIMITS, env: { LC_ALL: 'C', TZ: 'UTC' } }, (error, stdout) => {
      if (error !== null && stdout === '') reject(error);
      else resolve(stdout);
    });
  });
}
