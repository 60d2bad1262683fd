/** Flags that add up. */
import type { Scope } from '../scope/scope.ts';
import type { Finding, RuleInfo } from './rule.ts';
import { EventWindow, NameWindow } from './window.ts';

export const FLAG_RULE: RuleInfo = {
  id: 'flag-accumulation',
  title: 'Many flags',
  explanation:
    '`flag_threshold` flags within `flag_window` halt, or kill with `flag_kill`; `halt_threshold` halts before that. Under our own scope the same rule about the same thing counts once. Under a predecessor scope `flag_threshold` is only counted, unless `WARDEN_KILL_ON_FLAGS=1` makes it kill, as there.',
  levels: ['HALT', 'KILL'],
};

interface Counter {
  add(name: string, at: number, seq: number): boolean;
  evidence(): readonly number[];
  clear(): void;
}

export class FlagCount {
  readonly #halts: Counter | undefined;
  readonly #ends: Counter | undefined;
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.#scope = scope;
    const { flagThreshold, flagWindowMs, haltThreshold, flagEnds } = scope.limits;
    const counter = (limit: number): Counter =>
      scope.form === 'countersign' ? new NameWindow(limit, flagWindowMs) : everyOne(limit, flagWindowMs);
    this.#halts = haltThreshold === undefined ? undefined : counter(haltThreshold);
    this.#ends = flagEnds === 'none' ? undefined : counter(flagThreshold);
  }

  /** @param name - what is flagged, and for what. */
  add(name: string, at: number, seq: number): Finding | undefined {
    const { limits } = this.#scope;
    const halts = this.#halts?.add(name, at, seq) === true;
    const ends = this.#ends?.add(name, at, seq) === true;
    const seconds = Math.round(limits.flagWindowMs / 1000);
    if (ends)
      return {
        rule: FLAG_RULE.id,
        level: limits.flagEnds === 'KILL' ? 'KILL' : 'HALT',
        reason: `${limits.flagThreshold} flags within ${seconds} seconds`,
        evidence: this.#ends?.evidence() ?? [],
      };
    if (!halts) return undefined;
    return {
      rule: FLAG_RULE.id,
      level: 'HALT',
      reason: `${limits.haltThreshold} flags within ${seconds} seconds`,
      evidence: this.#halts?.evidence() ?? [],
    };
  }

  clear(): void {
    this.#halts?.clear();
    this.#ends?.clear();
  }
}

function everyOne(limit: number, widthMs: number): Counter {
  const window = new EventWindow(limit, widthMs);
  return { add: (_name, at, seq) => window.add(at, seq), evidence: () => window.evidence(), clear: () => window.clear() };
}
