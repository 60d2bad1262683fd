/**
 * Ordinary builds under the default scope: no HALT, no KILL, and few flags. Recorded with `ordinary/record.ts`.
 */
import { describe, expect, it } from 'vitest';
import { ruleEngine } from '../../src/rules/engine.ts';
import { defaultScope } from '../../src/scope/load.ts';
import { HOME, told, WORK } from './activities.ts';
import { activitiesOf, readFixture } from './ordinary/fixture.ts';

describe.each(['build.json'])('%s', (name) => {
  it('is neither halted nor killed', () => {
    const engine = ruleEngine(defaultScope(), { workspace: WORK, home: HOME, tmp: [], platform: 'linux', real: (path) => path });
    const counts = new Map<string, number>();
    const stopped: string[] = [];
    for (const activity of activitiesOf(readFixture(name))) {
      const verdict = engine.judge(activity);
      counts.set(told(verdict), (counts.get(told(verdict)) ?? 0) + 1);
      if (verdict.level === 'HALT' || verdict.level === 'KILL')
        stopped.push(`${told(verdict)}: ${verdict.reason} (${activity.actor?.argv?.slice(0, 3).join(' ')})`);
    }
    console.info(`${name}: ${[...counts].map(([what, count]) => `${count} ${what}`).join(', ')}`);
    expect(stopped.slice(0, 20)).toEqual([]);
  });
});
