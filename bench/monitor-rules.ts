/**
 * Judging an activity by all rules / writing it as JSON, which the activity log does with every one. On a recorded build (clone, npm
 * install, tsc, vitest, git gc): half of it reads, a quarter writes; and on its reads alone, which are what a probe waits for. A program
 * that is started is parsed as a shell would; that one in fifty is part of the figure.
 *
 * Measured here, beside other work: 4.2 (2.96 to 5.87, ten runs), 1.2 (0.71 to 1.25, six) and 1.4 (1.21 to 1.90, six). A rule engine that
 * costs no more than a few times what logging costs is not what a host feels. 100 patterns of the scope's own may not change that, since
 * they are looked up by the folders of a path.
 */
import { defaultScope, loadScope, ruleEngine, type Scope } from '@countersign/monitor';
import { activitiesOf, readFixture } from '../packages/monitor/test/rules/ordinary/fixture.ts';
import { atMost, type Claim } from './figure.ts';
import { timeRatio, type Work } from './measure.ts';

const ACTIVITIES = activitiesOf(readFixture('build.json'));
const READS = ACTIVITIES.filter(({ action }) => action.kind === 'read');
const HUNDRED = loadScope({ document: { filesystem: { forbidden_paths: Array.from({ length: 100 }, (_, n) => `~/vault/${n}/**`) } } });

const whole = 'judging what a recorded build does / writing it as JSON';
const reads = 'judging a file that is read / writing that as JSON';
const patterns = 'judging a file that is read, 100 forbidden paths / none';

export const monitorRulesClaims: readonly Claim[] = [
  {
    name: whole,
    measure: async () =>
      atMost(whole, await timeRatio(judging(defaultScope(), ACTIVITIES), writing(ACTIVITIES), { count: 1, slices: 4 }), 6),
  },
  { name: reads, measure: async () => atMost(reads, await timeRatio(judging(defaultScope(), READS), writing(READS), { count: 2 }), 2) },
  {
    name: patterns,
    measure: async () => atMost(patterns, await timeRatio(judging(HUNDRED, READS), judging(defaultScope(), READS), { count: 2 }), 2),
  },
];

function judging(scope: Scope, activities: typeof ACTIVITIES): Work {
  const engine = ruleEngine(scope, { workspace: '/home/u/project', home: '/home/u', tmp: [], platform: 'linux', real: (path) => path });
  return (count) => {
    for (let i = 0; i < count; i++) for (const activity of activities) void engine.judge(activity);
  };
}

function writing(activities: typeof ACTIVITIES): Work {
  return (count) => {
    for (let i = 0; i < count; i++) for (const activity of activities) void JSON.stringify(activity);
  };
}
