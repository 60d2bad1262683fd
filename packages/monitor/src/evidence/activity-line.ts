/**
 * One line of the activity log. Format and promises: `docs/formats/activity-log.md`.
 *
 *     {"v":1,"activity":{"seq":7,"at":1767225600000,"sensor":"proc-poll","phase":"after",...},"verdict":{"level":"SAFE",...}}
 *     {"v":1,"lost":12}
 *
 * Whoever is watched has a hand in what stands in it, and whoever has the file may have changed it: what is read is checked.
 */
import { escapeJson } from '@countersign/core';
import type { Activity } from '../activity.ts';
import { LEVELS, type Verdict } from '../verdict.ts';
import { isAction, isActor, isAttribution, isCount, isText, shape } from './activity-shapes.ts';
import type { Shown } from './shown.ts';

export const ACTIVITY_LINE_VERSION = 1;
/** With its line feed. */
export const MAX_ACTIVITY_LINE_BYTES = 65_536;

export interface LoggedActivity {
  readonly activity: Activity;
  readonly verdict: Verdict;
}

/** So many lines before this one could not be written. */
export interface LostLines {
  readonly lost: number;
}

/** @returns undefined when it cannot be made to fit, which no activity of ours does. */
export function activityLine({ activity, verdict }: LoggedActivity, shown: Shown): Buffer | undefined {
  const { seq, at, sensor, phase, actor, action, attribution } = activity;
  const { level, rule, reason, evaluator, confidence, evidence, ambiguous } = verdict;
  const line = {
    v: ACTIVITY_LINE_VERSION,
    activity: { seq, at, sensor, phase, actor, action, attribution },
    verdict: { level, rule, reason, evaluator, confidence, evidence, ambiguous },
  };
  let bytes: Buffer | undefined;
  shown.json(line, (json) => {
    const made = lineOf(json);
    if (made.length <= MAX_ACTIVITY_LINE_BYTES) bytes = made;
    return bytes !== undefined;
  });
  return bytes;
}

export function lostLine(lost: number): Buffer {
  return lineOf({ v: ACTIVITY_LINE_VERSION, lost });
}

/** What a terminal or a bidirectional editor would act on is spelled; a lone surrogate is by JSON itself. */
function lineOf(value: unknown): Buffer {
  return Buffer.from(`${escapeJson(JSON.stringify(value))}\n`);
}

/** @returns undefined for what no version of ours wrote. */
export function parseActivityLine(text: string): LoggedActivity | LostLines | undefined {
  let line: unknown;
  try {
    line = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (isLost(line)) return { lost: (line as LostLines).lost };
  if (!isVersioned(line) || !isLoggedActivity(line)) return undefined;
  // Checked above, member by member.
  const { activity, verdict } = line as LoggedActivity;
  return { activity, verdict };
}

const isVersion = (value: unknown): boolean => value === ACTIVITY_LINE_VERSION;

const isLost = shape({ v: isVersion, lost: isCount });

const isVersioned = shape({ v: isVersion });

/** An activity and its verdict, wherever they stand together. */
export const isLoggedActivity: (value: unknown) => boolean = shape({
  activity: shape(
    {
      seq: isCount,
      at: isCount,
      sensor: isText,
      phase: (value) => value === 'before' || value === 'after',
      action: isAction,
      attribution: isAttribution,
    },
    { actor: isActor },
  ),
  verdict: shape(
    {
      level: (value) => LEVELS.some((level) => level === value),
      rule: isText,
      reason: isText,
      evaluator: (value) => value === 'rules' || value === 'intent' || value === 'judge',
      confidence: (value) => typeof value === 'number' && value >= 0 && value <= 1,
      evidence: (value) => Array.isArray(value) && value.every(isCount),
    },
    { ambiguous: (value) => value === true },
  ),
});
