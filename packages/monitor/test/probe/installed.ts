/** A probe in the process of the test, taken off again when the test ends. */
import type { CallScope } from '@countersign/core/light';
import { onTestFinished } from 'vitest';
import type { Activity } from '../../src/activity.ts';
import { installProbe, type Probe, type ProbeOptions } from '../../src/probe/install.ts';
import type { Level, Verdict } from '../../src/verdict.ts';

export interface Seen {
  readonly activity: Activity;
  readonly verdict: Verdict;
  readonly scope: CallScope | undefined;
}

export interface Installed {
  readonly probe: Probe;
  /** What was told and concerns this test: the test runner reads files as well. */
  readonly seen: Seen[];
}

export function verdictOf(level: Level, rule = 'canary'): Verdict {
  return { level, rule, reason: 'a test said so', evaluator: 'rules', confidence: 1, evidence: [] };
}

/** Judges by the text of the whole action: what names the word is `level`, the rest is SAFE. */
export function wordJudge(word: string, level: Level = 'HALT'): (activity: Activity) => Verdict {
  const safe = verdictOf('SAFE', 'none');
  const found = verdictOf(level);
  return ({ action }) => (JSON.stringify(action).includes(word) ? found : safe);
}

export function install(word: string, options: Partial<ProbeOptions> & { readonly level?: Level } = {}): Installed {
  const { level = 'HALT', ...rest } = options;
  const seen: Seen[] = [];
  const probe = installProbe({
    judge: wordJudge(word, level),
    emit: (activity, verdict, scope) => {
      if (JSON.stringify(activity.action).includes(word)) seen.push({ activity, verdict, scope });
    },
    ...rest,
  });
  onTestFinished(() => probe.uninstall());
  return { probe, seen };
}

export function thrown(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  throw new Error('it was not refused');
}
