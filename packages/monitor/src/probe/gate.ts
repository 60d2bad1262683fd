/**
 * The one place where the probe decides: what is about to happen becomes an activity, is judged, told, and refused or let go.
 * Nothing in here calls code that came from outside while it decides, but for the judge and the listener it was given.
 */

import { type CallScope, CountersignError } from '@countersign/core/light';
import type { Action, Activity, Actor, Attribution } from '../activity.ts';
import { enforced, type MonitorMode, type Verdict } from '../verdict.ts';
import { recheck } from './intrinsics.ts';
import { originals } from './originals.ts';
import { RealPaths } from './real-paths.ts';

export interface GateOptions {
  /** Synchronous. What throws is a HALT (`probe-judge-failed`). */
  judge(activity: Activity): Verdict;
  /** Told before it happens. Must return at once; what it throws is swallowed and counted. */
  emit(activity: Activity, verdict: Verdict, scope: CallScope | undefined): void;
  readonly mode: MonitorMode;
  currentCall(): CallScope | undefined;
  /** The call that this process or thread was started for. */
  readonly markedCall?: string;
  /** Own work of the monitor and of core: neither judged nor told. */
  isOwn?(action: Action): boolean;
  readonly actor: Actor;
  /** Of `learnt`: there is somebody who knows what to make of it. */
  readonly tellsNames?: boolean;
}

const NOBODY: Attribution = Object.freeze({ method: 'none' });

export class Gate {
  readonly paths: RealPaths = new RealPaths();
  readonly #options: GateOptions;
  readonly #marked: Attribution;
  #seq = 0;
  #lost = 0;
  #deciding = false;
  #under: { readonly kind: string; readonly path: string } | undefined;

  constructor(options: GateOptions) {
    this.#options = options;
    this.#marked = options.markedCall === undefined ? NOBODY : Object.freeze({ method: 'marker', call: options.markedCall });
  }

  /** Observations, and those that could not be told. */
  get stats(): { readonly seen: number; readonly lost: number } {
    return { seen: this.#seq, lost: this.#lost };
  }

  /** @throws {CountersignError} `ACTIVITY_REFUSED` */
  file(kind: 'read' | 'write' | 'delete', path: string, more: { readonly recursive?: true } = {}): void {
    recheck();
    if (this.#deciding || (this.#under?.path === path && this.#under.kind === kind)) return;
    const { path: absolute, resolved } = this.paths.locate(path);
    this.check(more.recursive === true ? { kind, path: absolute, resolved, recursive: true } : { kind, path: absolute, resolved });
  }

  /** @throws {CountersignError} `ACTIVITY_REFUSED` */
  rename(from: string, to: string): void {
    recheck();
    if (this.#deciding) return;
    this.check({ kind: 'rename', path: this.paths.follow(from), to: this.paths.follow(to) });
  }

  /**
   * Runs a synchronous built-in that was judged. Some are made of others (`readFileSync` opens): what is asked again meanwhile
   * for the very same file is the same act, and is not told twice. Anything else is judged: code can run in here (getters of options).
   */
  under<T>(kind: string, path: string, run: () => T): T {
    const before = this.#under;
    this.#under = { kind, path };
    try {
      return run();
    } finally {
      this.#under = before;
    }
  }

  /** @throws {CountersignError} `ACTIVITY_REFUSED` */
  check(action: Action): void {
    const refusal = this.refusal(action);
    if (refusal !== undefined) throw refusal;
  }

  /**
   * What a name led to: told, and judged by whoever is told. Here it is no news: the program could have asked a name server of its own
   * making.
   */
  learnt(name: string, addresses: readonly string[]): void {
    if (this.#options.tellsNames !== true || this.#deciding || addresses.length === 0) return;
    this.#deciding = true;
    try {
      const scope = this.#options.currentCall();
      const seq = ++this.#seq;
      const activity: Activity = {
        seq,
        at: originals.now(),
        sensor: 'probe',
        phase: 'before',
        actor: this.#options.actor,
        action: { kind: 'dns', name, addresses },
        attribution: scope === undefined ? this.#marked : { method: 'scope', call: scope.callId },
      };
      this.#tell(
        activity,
        { level: 'SAFE', rule: 'in-scope', reason: 'looked up', evaluator: 'rules', confidence: 1, evidence: [seq] },
        scope,
      );
    } finally {
      this.#deciding = false;
    }
  }

  /** Judges and tells. @returns why it may not be, to be given in the form of the API. */
  refusal(action: Action, given?: Verdict): CountersignError | undefined {
    recheck();
    // Whatever the judge or the listener does in here is not the agent's.
    if (this.#deciding) return undefined;
    this.#deciding = true;
    try {
      if (this.#options.isOwn?.(action) === true) return undefined;
      const scope = this.#options.currentCall();
      const activity: Activity = {
        seq: ++this.#seq,
        at: originals.now(),
        sensor: 'probe',
        phase: 'before',
        actor: this.#options.actor,
        action,
        attribution: scope === undefined ? this.#marked : { method: 'scope', call: scope.callId },
      };
      const verdict = given === undefined ? this.#judge(activity) : { ...given, evidence: [activity.seq] };
      this.#tell(activity, verdict, scope);
      const level = enforced(verdict.level, this.#options.mode);
      return level === 'HALT' || level === 'KILL' ? refused(action, verdict) : undefined;
    } finally {
      this.#deciding = false;
    }
  }

  #judge(activity: Activity): Verdict {
    try {
      return this.#options.judge(activity);
    } catch {
      return {
        level: 'HALT',
        rule: 'probe-judge-failed',
        reason: 'what judges the activity of this process failed',
        evaluator: 'rules',
        confidence: 1,
        evidence: [activity.seq],
      };
    }
  }

  #tell(activity: Activity, verdict: Verdict, scope: CallScope | undefined): void {
    try {
      this.#options.emit(activity, verdict, scope);
    } catch {
      this.#lost++;
    }
  }
}

/** The code that is refused wrote the path itself; the message has none of it all the same, because errors travel. */
function refused(action: Action, verdict: Verdict): CountersignError {
  return new CountersignError('ACTIVITY_REFUSED', `refused before it happened (${action.kind}), rule ${verdict.rule}: ${verdict.reason}`, {
    details: { rule: verdict.rule, level: verdict.level, action: action.kind },
  });
}
