/**
 * The kernel's own events of processes (netlink proc connector): every fork, exec and end of the tree, within a millisecond and however
 * short. Reading what a process runs takes a moment: one that ended before has an exec without a program, counted as lost. Prevents
 * nothing. Works for any user since about Linux 6.6, with CAP_NET_ADMIN before, and not inside containers.
 */
import type { Worker } from 'node:worker_threads';
import { CountersignError } from '@countersign/core';
import type { Action, ActionKind, Actor, Attribution } from '../activity.ts';
import { exitOf } from '../native/exit-status.ts';
import { nativeMissing } from '../native/native.ts';
import type { CoverageLevel, Sensor, SensorHost, SensorStats } from '../sensor.ts';
import { startThread } from '../thread.ts';
import type { TreeProcess } from '../tree/process-tree.ts';
import type { TrackedTree, TreeChange } from '../tree/tracked-tree.ts';
import type { ConnectorEvent, ConnectorStart, FromThread, ToThread } from './connector-protocol.ts';

export interface ConnectorOptions {
  /** Told of every fork first, so that a child has its parent's call before it does anything. */
  readonly tree: Pick<TrackedTree, 'members' | 'get' | 'onChange' | 'forked' | 'seen' | 'exited'>;
  /** Tests give a thread of their own. */
  readonly startThread?: (start: ConnectorStart) => ConnectorThread;
}

/** What is used of a worker. */
export type ConnectorThread = Pick<Worker, 'postMessage' | 'on' | 'terminate' | 'unref'>;

export function connectorSensor(options: ConnectorOptions): Sensor {
  return new ConnectorSensor(options);
}

const STOP_MS = 1_000;

class ConnectorSensor implements Sensor {
  readonly name = 'connector';
  readonly level: CoverageLevel = 'L1';
  readonly gives: readonly ActionKind[] = ['spawn', 'exec', 'exit'];
  readonly #tree: ConnectorOptions['tree'];
  readonly #start: (start: ConnectorStart) => ConnectorThread;
  #host: SensorHost | undefined;
  #thread: ConnectorThread | undefined;
  #ended: Promise<void> = Promise.resolve();
  #stopListening: (() => void) | undefined;
  /** What the tree made of the event that is being taken. Undefined while another sensor changes it. */
  #changes: TreeChange[] | undefined;
  #seen = 0;
  #lost = 0;

  constructor({ tree, startThread: start = startConnector }: ConnectorOptions) {
    this.#tree = tree;
    this.#start = start;
  }

  async start(host: SensorHost): Promise<void> {
    const missing = this.#start === startConnector ? nativeMissing() : undefined;
    if (missing !== undefined) throw unavailable(missing);
    this.#stopListening = this.#tree.onChange((change) => this.#treeChanged(change));
    const thread = this.#start({ members: this.#tree.members().map(({ pid, start }) => ({ pid, start })) });
    this.#thread = thread;
    try {
      await this.#listening(thread);
    } catch (error) {
      await this.stop();
      throw error;
    }
    this.#host = host;
    // Watching keeps no process alive.
    thread.unref();
  }

  async stop(): Promise<void> {
    const thread = this.#thread;
    this.#thread = undefined;
    this.#stopListening?.();
    if (thread !== undefined) {
      thread.postMessage({ kind: 'stop' } satisfies ToThread);
      const late = setTimeout(() => void thread.terminate(), STOP_MS);
      await this.#ended;
      clearTimeout(late);
    }
    this.#host = undefined;
  }

  stats(): SensorStats {
    return { seen: this.#seen, lost: this.#lost };
  }

  /** Resolves when the kernel answered. From then on the thread's end is the end of the sensor. */
  #listening(thread: ConnectorThread): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<void>();
    this.#ended = ended.promise;
    let failure: string | undefined;
    const over = (reason: string): void => {
      failure ??= reason;
      reject(unavailable(failure));
    };
    thread.on('message', (message: FromThread) => {
      switch (message.kind) {
        case 'listening':
          return resolve();
        case 'failed':
          return over(message.reason);
        case 'events':
          this.#lost += message.lost;
          for (const event of message.events) this.#take(event);
      }
    });
    thread.on('error', (error: Error) => over(`its thread failed: ${error.message}`));
    thread.on('exit', () => {
      over('its thread ended');
      // Not when it was told to stop.
      if (this.#thread === thread) this.#host?.died(unavailable(failure ?? 'its thread ended'));
      ended.resolve();
    });
    return promise;
  }

  #treeChanged(change: TreeChange): void {
    if (this.#changes !== undefined) return void this.#changes.push(change);
    // Another sensor knows more: the thread is to follow those processes too, or no longer.
    if (change.kind === 'joined') this.#tell({ kind: 'watch', pid: change.process.pid, start: change.process.start });
    if (change.kind === 'left') this.#tell({ kind: 'forget', pid: change.process.pid });
  }

  #tell(message: ToThread): void {
    this.#thread?.postMessage(message);
  }

  #take(event: ConnectorEvent): void {
    switch (event.kind) {
      case 'fork':
        return this.#forked(event);
      case 'exec':
        return this.#executed(event);
      case 'exit':
        return this.#exited(event);
    }
  }

  #forked({ parent, pid, start }: Extract<ConnectorEvent, { kind: 'fork' }>): void {
    for (const change of this.#step(() => this.#tree.forked(parent, { pid, start }))) {
      if (change.kind === 'joined') {
        this.#emit({ kind: 'spawn', child: { pid, start } }, this.#tree.get(parent), change.process.attribution);
      }
    }
  }

  #executed(event: Extract<ConnectorEvent, { kind: 'exec' }>): void {
    const { kind: _, ...seen } = event;
    const before = this.#tree.get(seen.pid);
    const changes = this.#step(() => this.#tree.seen(seen));
    const process = this.#tree.get(seen.pid);
    if (process?.start !== seen.start) return;
    const isUnread = seen.argv === undefined || seen.exe === undefined;
    if (isUnread) this.#lost++;
    // Another sensor may have seen the same program already, and reported it.
    const isKnown = !isUnread && before?.argv !== undefined && before.exe !== undefined && !changes.some(({ kind }) => kind === 'exec');
    if (isKnown) return;
    const { exe = '', argv = [], cwd } = seen;
    this.#emit({ kind: 'exec', exe, argv, ...(cwd !== undefined && { cwd }) }, process, process.attribution);
  }

  #exited({ pid, status }: Extract<ConnectorEvent, { kind: 'exit' }>): void {
    const { kind: _, ...end } = exitOf(status);
    for (const change of this.#step(() => this.#tree.exited({ pid }, end))) {
      if (change.kind === 'left') this.#emit({ kind: 'exit', ...end }, change.process, change.process.attribution);
    }
  }

  /** @returns what the tree made of it. What was found out about others on the way is told as their end. */
  #step(change: () => void): readonly TreeChange[] {
    const changes: TreeChange[] = [];
    this.#changes = changes;
    try {
      change();
    } finally {
      this.#changes = undefined;
    }
    for (const each of changes) {
      if (each.kind === 'full') this.#lost++;
      if (each.kind === 'left' && each.how === 'replaced') this.#emit({ kind: 'exit' }, each.process, each.process.attribution);
    }
    return changes;
  }

  #emit(action: Action, actor: TreeProcess | undefined, attribution: Attribution): void {
    if (this.#host === undefined) return;
    this.#seen++;
    const observation = { at: Date.now(), sensor: this.name, phase: 'after', action, attribution } as const;
    this.#host.emit(actor === undefined ? observation : { ...observation, actor: actorOf(actor) });
  }
}

function actorOf(process: TreeProcess): Actor {
  const { attribution: _, ...actor } = process;
  return actor;
}

function startConnector(start: ConnectorStart): ConnectorThread {
  return startThread(import.meta.url, './connector-thread', { workerData: start });
}

function unavailable(reason: string): CountersignError {
  return new CountersignError('MONITOR_UNAVAILABLE', `the process connector does not work: ${reason}`);
}
