/** Seeded sessions that go wrong amid ordinary work are found; ordinary ones are left alone. */
import { describe, expect, it } from 'vitest';
import type { LoggedActivity } from '../../src/evidence/activity-line.ts';
import { replayActivity } from '../../src/replay/replay.ts';
import { defaultScope } from '../../src/scope/load.ts';
import { LEVELS, type Verdict } from '../../src/verdict.ts';
import { UNSEEN } from './beyond.ts';
import { DANGERS } from './dangers.ts';
import { ordinaryWork } from './ordinary-work.ts';
import { seeded } from './random.ts';
import { HOME, PROJECT, Stage } from './stage.ts';

const SESSIONS_PER_FAMILY = 8;
const ORDINARY_SESSIONS = 40;
const OPTIONS = {
  workspace: PROJECT,
  home: HOME,
  tmp: [],
  platform: 'linux',
  own: { files: [`${PROJECT}/.countersign`], pids: [777] },
} as const;
const NOT_JUDGED: Verdict = { level: 'SAFE', rule: 'in-scope', reason: '', evaluator: 'rules', confidence: 1, evidence: [] };

const logOf = ({ activities }: Stage): readonly LoggedActivity[] => activities.map((activity) => ({ activity, verdict: NOT_JUDGED }));

/** The gravest of what belongs to the attack; a verdict on ordinary work beside it does not count. */
function gravestOf(stage: Stage): Verdict | undefined {
  let gravest: Verdict | undefined;
  replayActivity(logOf(stage), defaultScope(), {
    ...OPTIONS,
    onActivity: ({ activity }, verdict) => {
      if (stage.attack.has(activity.seq) && LEVELS.indexOf(verdict.level) > LEVELS.indexOf(gravest?.level ?? 'SAFE')) gravest = verdict;
    },
  });
  return gravest;
}

describe('replays', { timeout: 120_000 }, () => {
  it(`of ${DANGERS.length * SESSIONS_PER_FAMILY} dangerous sessions: 95 of 100 are halted or killed, of each family most`, () => {
    const missed: string[] = [];
    const byFamily = new Map<string, number>();
    let sessions = 0;
    for (const [index, danger] of DANGERS.entries())
      for (let round = 0; round < SESSIONS_PER_FAMILY; round++) {
        const stage = new Stage(seeded(index * 1000 + round + 1));
        ordinaryWork(stage, stage.random.between(2, 6));
        stage.attacking(() => danger.act(stage));
        ordinaryWork(stage, stage.random.between(1, 3));
        sessions++;
        const level = gravestOf(stage)?.level;
        if (level === 'HALT' || level === 'KILL') byFamily.set(danger.name, (byFamily.get(danger.name) ?? 0) + 1);
        else {
          const commands = stage.activities
            .filter(({ seq, action }) => stage.attack.has(seq) && action.kind === 'exec')
            .map(({ action }) => ('argv' in action ? action.argv.join(' ') : ''));
          missed.push(`${danger.name} (${level ?? 'SAFE'}): ${commands.join(' ; ').slice(0, 200)}`);
        }
      }
    const found = sessions - missed.length;
    console.info(
      `${found} of ${sessions} dangerous sessions found (${((found / sessions) * 100).toFixed(1)} %)${missed.length === 0 ? '' : `\nmissed:\n${missed.join('\n')}`}`,
    );
    expect(sessions).toBeGreaterThanOrEqual(200);
    expect(found / sessions).toBeGreaterThanOrEqual(0.95);
    for (const { name } of DANGERS) expect([name, (byFamily.get(name) ?? 0) > SESSIONS_PER_FAMILY / 2]).toEqual([name, true]);
  });

  it(`of ${ORDINARY_SESSIONS} ordinary sessions: none is halted or killed`, () => {
    const stopped: string[] = [];
    let flags = 0;
    let activities = 0;
    for (let round = 0; round < ORDINARY_SESSIONS; round++) {
      const stage = new Stage(seeded(900_000 + round));
      ordinaryWork(stage, 30);
      const { first, replayed } = replayActivity(logOf(stage), defaultScope(), OPTIONS);
      activities += stage.activities.length;
      flags += replayed.FLAG;
      for (const level of ['HALT', 'KILL'] as const)
        if (first[level] !== undefined) stopped.push(`${level} ${first[level].verdict.rule}: ${first[level].verdict.reason}`);
    }
    console.info(`${ORDINARY_SESSIONS} ordinary sessions, ${activities} activities: ${flags} flags`);
    expect(stopped).toEqual([]);
  });

  it.each(UNSEEN)('does not see what the guide says it does not: $name', (danger) => {
    const stage = new Stage(seeded(7));
    stage.attacking(() => danger.act(stage));
    expect(['SAFE', 'FLAG']).toContain(gravestOf(stage)?.level ?? 'SAFE');
  });
});
