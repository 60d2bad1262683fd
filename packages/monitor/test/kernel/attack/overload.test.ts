/** More than there is room for. Level: exact. What does not fit is refused, and said so; nothing goes through meanwhile, all goes on afterwards. */

import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { memoryUsage } from 'node:process';
import { describe, expect, it } from 'vitest';
import { MAX_PINNED } from '../../../src/kernel/broker.ts';
import { MAX_HELD } from '../../../src/kernel/held-calls.ts';
import type { Told } from '../../../src/kernel/supervisor-protocol.ts';
import { ATTACK, attacking, linesOf, missing } from './attacked.ts';

const MORE = 500;
/** Of ours and of the test's, for each that waits: 11 kB were measured. */
const MAX_BYTES_EACH = 40_000;
const SLOW = { timeout: 180_000 } as const;
/** Waits for a person, whatever the rules make of it. */
const HOLDS = { mode: 'flag_and_hold' } as const;

const isHeld = ({ held }: Told): boolean => held !== undefined;
const isRefused = ({ isRefused: refused }: Told): boolean => refused === true;

/** Looks now and then: at each of ten thousand messages it would take minutes. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 50));
}

describe.skipIf(missing !== undefined)('calls that wait for a person', SLOW, () => {
  it('more than there is room for are refused; what is answered or ended makes room, and all else goes on', async () => {
    const before = memoryUsage().rss;
    const run = await attacking({
      trapReads: 'deny-list',
      program: '/bin/sh',
      // Those that were ended are looked for once a second.
      args: ({ secret, good }) => [
        '-c',
        `${ATTACK} flood ${MAX_HELD + MORE} ${secret}/key & wait; sleep 3; ${ATTACK} flood ${MORE} ${secret}/other; cat ${good}`,
      ],
      start: HOLDS,
      onTold: ({ held, observation: { action } }, supervisor) => {
        if (held !== undefined && 'path' in action && action.path.endsWith('other')) supervisor.answer(held, 'refuse');
      },
    });
    const flood = (): readonly Told[] => run.told.filter(({ observation: { action } }) => 'path' in action && action.path.endsWith('key'));
    await until(() => flood().length === MAX_HELD + MORE);
    expect([flood().filter(isHeld).length, flood().filter(isRefused).length]).toEqual([MAX_HELD, MORE]);
    expect((memoryUsage().rss - before) / MAX_HELD).toBeLessThan(MAX_BYTES_EACH);
    for (const { held } of flood().slice(0, MORE)) if (held !== undefined) run.supervisor.answer(held, 'refuse');
    process.kill(flood()[0]?.observation.actor?.pid ?? 0, 'SIGKILL');
    expect(linesOf(await run.output)).toEqual([`flood opened 0 refused ${MORE} else 0 missing 0`, 'fine enough']);
    expect(run.told.filter(isHeld)).toHaveLength(MAX_HELD + MORE);
    expect(run.told.filter(isRefused)).toHaveLength(MORE);
  });

  it('files that are opened for them are too many before that: no secret by another name, and no other file until there is room', async () => {
    const run = await attacking({
      trapReads: 'broker',
      // By a link: what it leads to is not looked up any more once there is no room.
      args: ({ secret, good, work }) => {
        symlinkSync(join(secret, 'key'), join(work, 'link'));
        return ['behind-flood', String(MAX_PINNED), join(secret, 'key'), 'link', good];
      },
      start: HOLDS,
    });
    await until(() => run.told.filter(isHeld).length === MAX_PINNED);
    run.say('.');
    await until(() => run.told.some(({ observation: { action } }) => 'path' in action && action.path === run.project.good));
    for (const { held } of run.told) if (held !== undefined) run.supervisor.answer(held, 'refuse');
    expect(linesOf(await run.output)).toEqual(['link ENFILE', 'good ENFILE', `flood opened 0 refused ${MAX_PINNED} else 0`, 'good ok']);
  });
});
