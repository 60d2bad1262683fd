/**
 * Judging an activity by all rules / making its line of the activity log, which every one gets: redacted, bounded, as JSON. On a recorded
 * build (clone, npm install, tsc, vitest, git gc): half of it reads, a quarter writes; and on its reads alone, which are what a probe waits
 * for. A program that is started is parsed as a shell would; that one in fifty is part of the figure. 100 patterns of the scope's own may
 * not change it, since they are looked up by the folders of a path.
 *
 * Measured here, with five times as many runnable threads as cores: 0.17 to 0.54, 0.04 to 0.16 and 0.10 to 0.19, over ten runs or six. The
 * bound of the first says that judging what an agent does costs no more than writing it down.
 */
import { createRedactor } from '@countersign/core';
import { defaultScope, loadScope, ruleEngine, type Scope } from '@countersign/monitor';
import type { Activity } from '../packages/monitor/src/activity.ts';
import { activityLine } from '../packages/monitor/src/evidence/activity-line.ts';
import { Shown } from '../packages/monitor/src/evidence/shown.ts';
import type { Verdict } from '../packages/monitor/src/verdict.ts';
import { activitiesOf, readFixture } from '../packages/monitor/test/rules/ordinary/fixture.ts';
import { atMost, type Claim } from './figure.ts';
import { timeRatio, type Work } from './measure.ts';

const ACTIVITIES = activitiesOf(readFixture('build.json'));
const READS = ACTIVITIES.filter(({ action }) => action.kind === 'read');
const HUNDRED = loadScope({ document: { filesystem: { forbidden_paths: Array.from({ length: 100 }, (_, n) => `~/vault/${n}/**`) } } });
/** Activities, ten slices of each in turn: more than all of them. */
const ROUNDS = { count: 450, slices: 10, warmUpRounds: 4 };

const whole = 'judging what a recorded build does / making its lines of the activity log';
const reads = 'judging a file that is read / making its line of the activity log';
const patterns = 'judging a file that is read by 100 forbidden paths / making its line of the activity log';

export const monitorRulesClaims: readonly Claim[] = [
  {
    name: whole,
    measure: async () => atMost(whole, await timeRatio(judging(defaultScope(), ACTIVITIES), writing(ACTIVITIES), ROUNDS), 0.5),
  },
  { name: reads, measure: async () => atMost(reads, await timeRatio(judging(defaultScope(), READS), writing(READS), ROUNDS), 0.25) },
  { name: patterns, measure: async () => atMost(patterns, await timeRatio(judging(HUNDRED, READS), writing(READS), ROUNDS), 0.25) },
];

function judging(scope: Scope, activities: readonly Activity[]): Work {
  const engine = ruleEngine(scope, { workspace: '/home/u/project', home: '/home/u', tmp: [], platform: 'linux', real: (path) => path });
  return each(activities, (activity) => void engine.judge(activity));
}

function writing(activities: readonly Activity[]): Work {
  const redactor = createRedactor();
  const verdict: Verdict = { level: 'SAFE', rule: 'none', reason: 'no rule applies', evaluator: 'rules', confidence: 1, evidence: [1] };
  let shown = new Shown(redactor);
  return each(activities, (activity, isFirst) => {
    // It remembers texts; those of the session before are not known to the next.
    if (isFirst) shown = new Shown(redactor);
    void activityLine({ activity, verdict }, shown);
  });
}

/** Goes on where it stopped, round and round. */
function each(activities: readonly Activity[], work: (activity: Activity, isFirst: boolean) => void): Work {
  let next = 0;
  return (count) => {
    for (let i = 0; i < count; i++) {
      work(activities[next] as Activity, next === 0);
      next = (next + 1) % activities.length;
    }
  };
}
