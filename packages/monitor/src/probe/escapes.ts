/** Ways past the probe, and what is said of who takes one. */
import type { Verdict } from '../verdict.ts';

/** Native or unseen code would do files and processes from here on, out of the probe's sight: refused. */
export function escape(what: string): Verdict {
  return { ...BASE, level: 'HALT', reason: `${what} gets past the probe` };
}

/** Ordinary tools do it too: told, and let go. */
export function doubtful(what: string): Verdict {
  return { ...BASE, level: 'FLAG', reason: `${what} may get past the probe` };
}

const BASE = { rule: 'probe-escape', evaluator: 'rules', confidence: 1, evidence: [] } as const;
