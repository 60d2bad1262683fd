/** The stated task against what was observed. */
import type { Activity, ProcessId } from '../activity.ts';
import { LEVELS, type Level, MAX_EVIDENCE, type Verdict } from '../verdict.ts';
import { observedDeeds, type Places } from './observed.ts';
import { readTask, type Stance, type Task } from './task.ts';
import type { Deed } from './words.ts';

export interface IntentOptions extends Places {
  /** What was launched or attached to: that it runs at all is no deed of the agent's. */
  readonly root?: ProcessId;
}

/**
 * @param recent - activities before it, oldest first: what deviated alike becomes evidence.
 * @returns undefined when the task has no say: combine with `worse(rules, intent)`, which can only raise.
 */
export type IntentCheck = (activity: Activity, recent: readonly Activity[]) => Verdict | undefined;

export const INTENT_RULE = 'intent-mismatch';
/** Activities before the judged one that are looked at for evidence. */
export const MAX_RECENT = 200;
/** Words are no proof: what the task says nothing of is less sure than what it rules out. */
const CONFIDENCE = { asked: 0.5, silent: 0.6, unclear: 0.3, 'ruled-out': 0.9 } as const;

/**
 * Compares activities with a task.
 *
 * | | asked for | not spoken of | unclear | ruled out |
 * |---|---|---|---|---|
 * | read | SAFE | SAFE | SAFE | FLAG |
 * | write, network | SAFE | FLAG | FLAG, ambiguous | HALT |
 * | delete, spawn, config | SAFE | HALT | FLAG, ambiguous | HALT |
 *
 * Against a task without a word that is known here (tasks are read in English only) nothing can be held: what would be a HALT is a
 * FLAG, and ambiguous. The first program of `root` is not judged.
 *
 * @throws {CountersignError} `OPTIONS_INVALID` for a task of more than `MAX_TASK_CHARS` characters
 */
export function intentCheck(task: string, options: IntentOptions = {}): IntentCheck {
  const read = readTask(task);
  let isRunning = false;
  return (activity, recent) => {
    if (!isRunning && activity.action.kind === 'exec' && isRoot(activity, options.root)) {
      isRunning = true;
      return undefined;
    }
    const deeds = observedDeeds(activity, options);
    if (deeds.length === 0) return undefined;
    const judged = deeds.map((deed) => ({ deed, stance: read.stance(deed), level: levelOf(deed, read) }));
    const worst = judged.reduce((a, b) => (LEVELS.indexOf(b.level) > LEVELS.indexOf(a.level) ? b : a));
    return verdictOf(worst, read, worst.level === 'SAFE' ? [activity.seq] : evidenceOf(activity, recent, worst.deed, options));
  };
}

function isRoot({ actor }: Activity, root: ProcessId | undefined): boolean {
  return root !== undefined && actor?.pid === root.pid && actor.start === root.start;
}

interface Judged {
  readonly deed: Deed;
  readonly stance: Stance;
  readonly level: Level;
}

function levelOf(deed: Deed, task: Task): Level {
  const stance = task.stance(deed);
  if (stance === 'asked') return 'SAFE';
  if (deed === 'read') return stance === 'ruled-out' ? 'FLAG' : 'SAFE';
  if (stance === 'ruled-out') return 'HALT';
  if (stance === 'unclear' || !task.understood) return 'FLAG';
  return deed === 'write' || deed === 'network' ? 'FLAG' : 'HALT';
}

function verdictOf({ deed, stance, level }: Judged, { understood }: Task, evidence: readonly number[]): Verdict {
  const isAmbiguous = level === 'FLAG' && (stance === 'unclear' || !understood);
  return {
    level,
    rule: INTENT_RULE,
    reason: reasonOf(deed, stance, understood),
    evaluator: 'intent',
    confidence: understood ? CONFIDENCE[stance] : CONFIDENCE.unclear,
    evidence,
    ...(isAmbiguous && { ambiguous: true }),
  };
}

const WORDS: Readonly<Record<Deed, string>> = {
  delete: 'deleting',
  spawn: 'running programs',
  network: 'using the network',
  config: 'changing settings',
  write: 'writing files',
  read: 'reading files',
};

function reasonOf(deed: Deed, stance: Stance, understood: boolean): string {
  const what = WORDS[deed];
  if (!understood) return `the task is not understood (English only), so ${what} cannot be held against it`;
  switch (stance) {
    case 'asked':
      return `the task asks for ${what}`;
    case 'ruled-out':
      return `the task rules out ${what}`;
    case 'unclear':
      return `the task does not say clearly whether it wants ${what}`;
    case 'silent':
      return `the task says nothing of ${what}`;
  }
}

function evidenceOf(activity: Activity, recent: readonly Activity[], deed: Deed, places: Places): readonly number[] {
  const alike = recent
    .slice(-MAX_RECENT)
    .filter((each) => each.seq < activity.seq && observedDeeds(each, places).includes(deed))
    .map(({ seq }) => seq);
  return [...alike.slice(-(MAX_EVIDENCE - 1)), activity.seq];
}
