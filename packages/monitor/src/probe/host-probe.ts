/** The probe of a host process: on when its guard opens, judged by rules, off when the monitor closes. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { homedir } from 'node:os';
import { CountersignError } from '@countersign/core/light';
import type { Activity } from '../activity.ts';
import { ruleEngine } from '../rules/engine.ts';
import { defaultScope, loadScope } from '../scope/load.ts';
import type { Scope } from '../scope/scope.ts';
import { enforced, MONITOR_MODES, type MonitorMode, type Verdict } from '../verdict.ts';
import { RUN_VARIABLE } from './child-environment.ts';
import { childrenOf } from './children.ts';
import { type WrittenHandover, writeHandover } from './handover.ts';
import { installProbe, type Probe } from './install.ts';
import { ReportReader } from './read-reports.ts';

export interface HostProbeOptions {
  /** A scope that was loaded, or the path of a file with one. Default: `defaultScope()`. */
  readonly scope?: Scope | string;
  /** Default: the working folder. */
  readonly workspace?: string;
  /** Default: that of this user. */
  readonly home?: string;
  /** Told of every activity with its verdict, those of child processes a little later. Returns at once; what it throws is counted. */
  readonly onActivity?: (activity: Activity, verdict: Verdict) => void;
  /** Decides in the place of the rules, in this process alone: child processes are then marked, and not watched from inside. */
  readonly judge?: (activity: Activity) => Verdict;
}

export interface ProbeStats {
  readonly seen: number;
  /** Of children too: at least. */
  readonly lost: number;
  readonly refused: number;
}

/** Acts on a verdict. @param session - of the call it was done in, where the probe saw that itself. */
type Judged = (activity: Activity, verdict: Verdict, session: string | undefined) => void;

/** Records are nobody's call. */
const outsideAnyCall = AsyncLocalStorage.snapshot();

export class HostProbe {
  readonly mode: MonitorMode;
  readonly #options: HostProbeOptions;
  readonly #scope: Scope;
  readonly #judged: Judged;
  #probe: Probe | undefined;
  #handover: WrittenHandover | undefined;
  #reports: ReportReader | undefined;
  #childrenSeen = 0;
  #listenerLost = 0;
  #refused = 0;

  /** @throws {CountersignError} `OPTIONS_INVALID`, `SCOPE_INVALID`, `CONFIG_NOT_FOUND` */
  constructor(options: HostProbeOptions, mode: MonitorMode | undefined, judged: Judged) {
    const { scope } = options;
    this.#options = options;
    this.#judged = judged;
    this.#scope = typeof scope === 'string' ? loadScope({ path: scope }) : (scope ?? defaultScope());
    this.mode = mode ?? this.#scope.mode ?? 'enforce_kill';
    if (!MONITOR_MODES.includes(this.mode))
      throw new CountersignError('OPTIONS_INVALID', `mode must be one of ${MONITOR_MODES.join(', ')}`);
  }

  get stats(): ProbeStats {
    const { seen = 0, lost = 0 } = this.#probe?.stats() ?? {};
    return {
      seen: seen + this.#childrenSeen,
      lost: lost + (this.#reports?.lost ?? 0) + this.#listenerLost,
      refused: this.#refused,
    };
  }

  /** Idempotent. @param files - the guard's own. */
  on(files: readonly string[] = []): void {
    if (this.#probe !== undefined) return;
    const { judge, workspace = process.cwd(), home = homedir() } = this.#options;
    const run = process.env[RUN_VARIABLE];
    let rules = { workspace, home, own: { files } };
    if (judge === undefined) {
      this.#handover = writeHandover((folder, reports) => {
        rules = { ...rules, own: { files: [...files, folder] } };
        return { v: 1, scope: this.#scope, rules, mode: this.mode, tells: { folder: reports }, ...(run !== undefined && { run }) };
      });
      this.#reports = new ReportReader(this.#handover.reports, (activity, verdict) => {
        this.#childrenSeen++;
        this.#take(activity, verdict, undefined);
      });
    }
    const engine = ruleEngine(this.#scope, rules);
    this.#probe = installProbe({
      judge: judge ?? ((activity) => engine.judge(activity)),
      emit: (activity, verdict, scope) => this.#take(activity, verdict, scope?.session),
      mode: this.mode,
      own: files,
      ...(this.#handover !== undefined && { children: childrenOf(this.#handover.reference, run) }),
    });
  }

  /** Takes what children told since the last time. */
  poll(): void {
    this.#reports?.poll();
  }

  off(): void {
    this.poll();
    this.#probe?.uninstall();
    this.#handover?.remove();
  }

  #take(activity: Activity, verdict: Verdict, session: string | undefined): void {
    const level = enforced(verdict.level, this.mode);
    if (level === 'HALT' || level === 'KILL') this.#refused++;
    if (level !== 'SAFE') outsideAnyCall(() => this.#judged(activity, verdict, session));
    try {
      this.#options.onActivity?.(activity, verdict);
    } catch {
      this.#listenerLost++;
    }
  }
}
