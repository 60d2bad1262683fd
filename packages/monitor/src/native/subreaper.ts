/**
 * Makes this process the parent of its tree's orphans, so that nothing leaves the tree by a double fork, and asks the kernel how
 * they ended. Only for a process of ours that watches (`run`): it changes whose children a host's daemons are.
 *
 * Children that Node started are Node's to ask for: whoever asks first takes the exit status, and Node would wait forever. So each orphan is asked
 * for by its own pid, and never one that Node knows, or that was there before.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { CountersignError } from '@countersign/core';
import type { ExitAction, ProcessId } from '../activity.ts';
import { type ProcessTable, processTable } from '../contain/process-table.ts';
import { exitOf } from './exit-status.ts';
import { errorName, type Native, native, nativeMissing } from './native.ts';

export interface SubreaperOptions {
  /** An orphan ended. Must not throw. */
  readonly onExit?: (process: ProcessId, exit: ExitAction) => void;
  /** We started something ourselves. Must not throw. @returns called when it ended */
  readonly onStart?: (pid: number) => () => void;
  readonly table?: ProcessTable;
  readonly calls?: Native | undefined;
}

/** Orphans that nobody signalled are looked for this often. */
const LOOK_MS = 500;

/** What is used of the `ChildProcess` that the channel tells of. */
interface Started {
  readonly pid?: number;
  once(event: 'spawn' | 'exit' | 'error', listener: () => void): unknown;
}

/**
 * On the main thread, before anything is started that it is for. Children that worker threads of this process start would be taken for
 * orphans: they must not start any.
 *
 * @throws {CountersignError} `MONITOR_UNAVAILABLE` where the kernel or koffi does not offer it
 */
export function subreaper(options: SubreaperOptions = {}): Subreaper {
  const calls = options.calls ?? native();
  if (calls === undefined) throw unavailable(nativeMissing() ?? 'koffi is missing');
  const result = calls.becomeSubreaper();
  if (result < 0) throw unavailable(errorName(result));
  return new Subreaper(options.table ?? processTable(), calls, options);
}

export class Subreaper {
  readonly #table: ProcessTable;
  readonly #calls: Native;
  readonly #options: SubreaperOptions;
  /** Children of ours that were there before, by whomever they were started. Start times by pid. */
  readonly #before = new Map<number, number>();
  readonly #started = new Set<Started>();
  readonly #timer: NodeJS.Timeout;

  constructor(table: ProcessTable, calls: Native, options: SubreaperOptions) {
    this.#table = table;
    this.#calls = calls;
    this.#options = options;
    for (const pid of table.children(process.pid)) this.#before.set(pid, table.read(pid)?.start ?? -1);
    subscribe('child_process', this.#onStart);
    process.on('SIGCHLD', this.#look);
    this.#timer = setInterval(this.#look, LOOK_MS).unref();
  }

  /** Children of ours that we did not start, and that run. */
  orphans(): readonly ProcessId[] {
    return this.#foreign()
      .filter(({ state }) => state !== 'gone')
      .map(({ pid, start }) => ({ pid, start }));
  }

  /** Orphans come to us still; nobody asks for them any more. */
  close(): void {
    clearInterval(this.#timer);
    process.off('SIGCHLD', this.#look);
    unsubscribe('child_process', this.#onStart);
  }

  readonly #onStart = (message: unknown): void => {
    const { process: started } = message as { readonly process: Started }; // as Node's channel documents it
    this.#started.add(started);
    let ended: (() => void) | undefined;
    const forget = (): void => {
      this.#started.delete(started);
      ended?.();
    };
    started.once('spawn', () => {
      if (started.pid !== undefined) ended = this.#options.onStart?.(started.pid);
    });
    started.once('exit', forget);
    // It never started, so it has no pid.
    started.once('error', () => {
      if (started.pid === undefined) forget();
    });
  };

  readonly #look = (): void => {
    for (const { pid, start, state } of this.#foreign()) {
      if (state !== 'gone') continue;
      const ended = this.#calls.waitpid(pid);
      if (ended.pid === pid) this.#options.onExit?.({ pid, start }, exitOf(ended.status));
    }
  };

  #foreign(): readonly (ProcessId & { readonly state: string })[] {
    const ours = new Set([...this.#started].map(({ pid }) => pid));
    return this.#table.children(process.pid).flatMap((pid) => {
      const child = ours.has(pid) ? undefined : this.#table.read(pid);
      return child === undefined || this.#before.get(pid) === child.start ? [] : [child];
    });
  }
}

function unavailable(reason: string): CountersignError {
  return new CountersignError('MONITOR_UNAVAILABLE', `orphans of the tree cannot be taken in: ${reason}`);
}
