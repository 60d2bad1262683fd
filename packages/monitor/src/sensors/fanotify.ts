/**
 * Asked before guarded files are opened (fanotify permission events), for root that attaches to a tree it did not start: what rules
 * forbid is refused before a byte is read, and what a person has to decide about waits. Of the tree only; everybody else goes on.
 *
 * Opening alone: what is open already, deleting, renaming and truncating are not asked about. When the warden is gone the kernel lets
 * every open through: unlike kernel control of a launched tree, this fails open.
 */
import type { Worker } from 'node:worker_threads';
import { CountersignError } from '@countersign/core';
import type { ActionKind } from '../activity.ts';
import { answerTo } from '../native/fanotify-event.ts';
import { errorName, native, nativeMissing } from '../native/native.ts';
import type { CoverageLevel, Sensor, SensorHost, SensorStats } from '../sensor.ts';
import { startThread } from '../thread.ts';
import type { TrackedTree, TreeChange } from '../tree/tracked-tree.ts';
import type { FanotifyStart, FromFanotify, HeldOpen, ToFanotify, ToldOpen } from './fanotify-protocol.ts';

export interface FanotifyOptions extends Omit<FanotifyStart, 'group' | 'members'> {
  readonly tree: TrackedTree;
  /** Tests end it. */
  readonly startThread?: (start: FanotifyStart) => Worker;
}

export function fanotifySensor(options: FanotifyOptions): FanotifySensor {
  return new FanotifySensor(options);
}

/** Why this user or host has no permission events, for people; undefined where there are. Tries it. */
export function fanotifyMissing(): string | undefined {
  const calls = native();
  if (calls === undefined) return nativeMissing() ?? 'koffi is missing';
  const group = calls.fanotify.init();
  if (group < 0) return reasonOf(group);
  // A kernel without permission events has groups all the same. Folders themselves are not asked about, so nobody waits for this.
  const marked = calls.fanotify.markFile(group, '/');
  calls.close(group);
  return marked < 0 ? reasonOf(marked) : undefined;
}

const STOP_MS = 2_000;

export class FanotifySensor implements Sensor {
  readonly name = 'fanotify';
  /** Prevents for a few files only: it raises no session above what sees all the rest. */
  readonly level: CoverageLevel = 'L1';
  readonly isAsked = true;
  readonly gives: readonly ActionKind[] = ['read', 'write'];
  readonly #options: FanotifyOptions;
  readonly #held = new Map<number, HeldOpen & { readonly start: number }>();
  #group = -1;
  #thread: Worker | undefined;
  #ended: Promise<void> = Promise.resolve();
  #stopListening: (() => void) | undefined;
  #isStopping = false;
  #seen = 0;
  #lost = 0;
  #unmarked = 0;

  constructor(options: FanotifyOptions) {
    this.#options = options;
  }

  async start(host: SensorHost): Promise<void> {
    const calls = native();
    if (calls === undefined) throw unavailable(nativeMissing() ?? 'koffi is missing');
    const group = calls.fanotify.init();
    if (group < 0) throw unavailable(reasonOf(group));
    this.#group = group;
    const { tree, startThread: begin = startAnswering, ...start } = this.#options;
    this.#stopListening = tree.onChange((change) => this.#treeChanged(change));
    const members = tree.members().map(({ pid, start: since }) => ({ pid, start: since }));
    const thread = begin({ ...start, group, members });
    this.#thread = thread;
    await this.#listening(thread, host);
    // Watching keeps no process alive.
    thread.unref();
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    if (this.#thread === undefined) return;
    this.#say({ kind: 'stop' });
    const late = setTimeout(() => void this.#thread?.terminate(), STOP_MS);
    await this.#ended;
    clearTimeout(late);
  }

  /** For a freezer: this thread waits for our answer, and nothing but its end takes it out of that. @param start - of its process */
  holds(thread: number, start: number): boolean {
    return [...this.#held.values()].some((held) => held.thread === thread && held.start === start);
  }

  /** `lost`: opens that nobody was asked about, and guarded files that are not marked. */
  stats(): SensorStats {
    return { seen: this.#seen, lost: this.#lost + this.#unmarked };
  }

  /** Resolves when it is asked. From then on the thread's end is the end of the sensor. */
  #listening(thread: Worker, host: SensorHost): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<void>();
    this.#ended = ended.promise;
    let failure: string | undefined;
    let isListening = false;
    thread.on('message', (message: FromFanotify) => {
      switch (message.kind) {
        case 'listening':
          isListening = true;
          return resolve();
        case 'failed':
          failure ??= message.reason;
          return;
        case 'told':
          this.#lost += message.lost;
          for (const each of message.told) this.#take(each, host);
          return;
        case 'unmarked':
          this.#unmarked = message.count;
      }
    });
    thread.on('error', (error: Error) => {
      failure ??= `its thread failed: ${error.message}`;
    });
    thread.on('exit', () => {
      this.#close();
      const error = unavailable(failure ?? 'its thread ended');
      reject(error);
      ended.resolve();
      if (isListening && !this.#isStopping) host.died(error);
    });
    return promise;
  }

  #take({ observation, judged, held }: ToldOpen, host: SensorHost): void {
    this.#seen++;
    const { actor } = observation;
    // Its parent belongs, which no other sensor may have found out yet.
    if (actor !== undefined) this.#options.tree.seen(actor);
    const attribution = actor === undefined ? undefined : this.#options.tree.get(actor.pid)?.attribution;
    const told = attribution === undefined ? observation : { ...observation, attribution };
    if (judged === undefined) return host.emit(told);
    if (held !== undefined) this.#held.set(held.number, { ...held, start: actor?.start ?? 0 });
    host.emit(told, {
      verdict: judged,
      isHeld: held !== undefined,
      answer: (answer) => {
        if (held !== undefined) this.#answer(held, answer);
      },
    });
  }

  /** Once. Whoever waited may have been ended meanwhile: then nobody wants it. */
  #answer(held: HeldOpen, answer: 'continue' | 'refuse'): void {
    if (!this.#held.delete(held.number)) return;
    const calls = native();
    calls?.kernel.write(this.#group, answerTo(held.fd, answer));
    calls?.close(held.fd);
    this.#say({ kind: 'answered', number: held.number, with: answer });
  }

  #treeChanged(change: TreeChange): void {
    if (change.kind === 'joined') this.#say({ kind: 'watch', pid: change.process.pid, start: change.process.start });
    if (change.kind === 'left') this.#say({ kind: 'forget', pid: change.process.pid });
  }

  #say(message: ToFanotify): void {
    this.#thread?.postMessage(message);
  }

  /** Closing lets everybody go on: what is known to wait for a person is refused first. */
  #close(): void {
    this.#stopListening?.();
    this.#thread = undefined;
    for (const held of [...this.#held.values()]) this.#answer(held, 'refuse');
    native()?.close(this.#group);
  }
}

function startAnswering(start: FanotifyStart): Worker {
  return startThread(import.meta.url, './fanotify-thread', { workerData: start });
}

function reasonOf(result: number): string {
  const name = errorName(result);
  if (name === 'EPERM') return 'only root may answer for the opening of files';
  if (name === 'ENOSYS' || name === 'EINVAL') return `the kernel has no permission events of files (${name})`;
  return `the kernel gives no permission events (${name})`;
}

function unavailable(reason: string): CountersignError {
  return new CountersignError('MONITOR_UNAVAILABLE', `the opening of guarded files cannot be asked about: ${reason}`);
}
