/**
 * An operator halts from another process, `countersign halt`, which calls obey by themselves: here it is followed by whoever holds the
 * processes. Only what an operator said counts; what monitors halted by their verdicts they deal with themselves.
 */
import type { Halt } from '@countersign/core';
import type { Activity } from '../activity.ts';
import type { MonitorMode } from '../verdict.ts';

/** Sensor of the activity that is made of a halt; none that watches is called so. */
export const OPERATOR = 'operator';
/** Rule of the verdict on it. */
export const OPERATOR_HALT_RULE = 'operator-halt';
/** Between two looks at the ledger. */
export const HALT_LOOK_MS = 1_000;

export interface OperatorHaltsOptions {
  readonly session: string;
  /** Those that stand. */
  readonly halts: () => Promise<readonly Halt[]>;
  readonly pause: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Once for each halt. Halting what is halted is another. @returns false when it cannot be acted on now: it is told again. */
  readonly onHalt: (halt: Halt) => boolean;
  /** The ledger cannot be read: told once, and again when it failed anew. */
  readonly onFailing: (error: unknown) => void;
}

export class OperatorHalts {
  readonly #options: OperatorHaltsOptions;
  readonly #over = new AbortController();
  #told: ReadonlySet<string> = new Set();
  #isFailing = false;

  constructor(options: OperatorHaltsOptions) {
    this.#options = options;
  }

  /** Looks once, and from then on every while. Resolves after the first look. */
  async start(): Promise<void> {
    await this.#look();
    void this.#follow();
  }

  /** Nothing is told any more. */
  stop(): void {
    this.#over.abort();
  }

  async #follow(): Promise<void> {
    const { signal } = this.#over;
    while (!signal.aborted) {
      await this.#options.pause(HALT_LOOK_MS, signal);
      if (!signal.aborted) await this.#look();
    }
  }

  async #look(): Promise<void> {
    const { halts, session, onHalt, onFailing } = this.#options;
    try {
      const standing = (await halts()).filter((halt) => halt.operator !== undefined && (halt.session ?? session) === session);
      this.#isFailing = false;
      if (this.#over.signal.aborted) return;
      // Those that ended are forgotten: what stands again is another entry.
      this.#told = new Set(standing.filter((halt) => this.#told.has(nameOf(halt)) || onHalt(halt)).map(nameOf));
    } catch (error) {
      if (!this.#isFailing && !this.#over.signal.aborted) onFailing(error);
      this.#isFailing = true;
    }
  }
}

/** By an operator's word, and by nothing that was seen. */
export function isOperators({ sensor }: Activity): boolean {
  return sensor === OPERATOR;
}

/** The mode that a verdict is under: audit mode stops nothing by rules, and an operator's word is none. */
export function modeFor(activity: Activity, mode: MonitorMode): MonitorMode {
  return mode === 'audit_only' && isOperators(activity) ? 'flag_and_hold' : mode;
}

export function reasonOf({ session, entry, operator }: Halt): string {
  return `an operator halted ${session === undefined ? 'every session of this ledger' : 'this session'} (countersign halt, entry ${(operator ?? entry).of + 1})`;
}

function nameOf({ entry, operator = entry }: Halt): string {
  return `${operator.of} ${operator.leaf}`;
}
