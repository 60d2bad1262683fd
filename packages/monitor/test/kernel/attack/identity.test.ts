/** A process whose call was held, and another one that has its number by now. Level: exact. Answers are for calls, not for numbers. */
import { accessSync, constants, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Told } from '../../../src/kernel/supervisor-protocol.ts';
import { attacking, linesOf, missing } from './attacked.ts';
import type { Running } from './running.ts';

const LAST_PID = '/proc/sys/kernel/ns_last_pid';
/** Others on this machine start processes too, and may get the number first. */
const MAX_TRIES = 200;
const TICK_MS = 10;
const needs = missing ?? whyNoNumbers();
if (needs !== undefined) console.warn(`SKIPPED: a number that is used again: ${needs}`);

function whyNoNumbers(): string | undefined {
  try {
    accessSync(LAST_PID, constants.W_OK);
    readFileSync(LAST_PID);
    return undefined;
  } catch {
    return 'the next number can be chosen by root only, where the kernel offers it';
  }
}

/** Reads the secret in a process of its own, for each line it is given. */
const AGAIN = (key: string): string => `while read go && test $go = go; do cat ${key}; done; echo over`;

async function nextHeld(run: Running, after: number): Promise<Told & { readonly held: number }> {
  run.say('go\n');
  const told = await run.until(({ held }) => held !== undefined && held > after);
  return { ...told, held: told.held ?? 0 };
}

describe.skipIf(needs !== undefined).each(['deny-list', 'broker'] as const)('reads: %s', (trapReads) => {
  it('an answer for one that was ended does nothing for another with its number, which is told as itself, and asked about anew', async (context) => {
    const run = await attacking({
      trapReads,
      program: '/bin/sh',
      args: ({ secret }) => ['-c', AGAIN(`${secret}/key`)],
      start: { mode: 'flag_and_hold' },
      quiet: true,
    });
    const first = await nextHeld(run, 0);
    const { pid = 0, start = 0 } = first.observation.actor ?? {};
    expect(run.supervisor.holds(first.thread ?? 0, start)).toBe(true);
    process.kill(pid, 'SIGKILL');
    // The kernel counts beginnings by hundredths of a second: nobody but root gets a number again within one.
    await new Promise((resolve) => setTimeout(resolve, 2 * TICK_MS));
    let again = first;
    for (let tries = 0; again === first || again.observation.actor?.pid !== pid; tries++) {
      if (tries > MAX_TRIES) return context.skip('others took the number each time');
      if (again !== first) run.supervisor.answer(again.held, 'refuse');
      writeFileSync(LAST_PID, String(pid - 1));
      again = await nextHeld(run, again.held);
    }
    const { actor } = again.observation;
    expect(actor?.start).toBeGreaterThan(start);
    expect([run.supervisor.holds(pid, start), run.supervisor.holds(again.thread ?? 0, actor?.start ?? 0)]).toEqual([false, true]);
    // It never comes to that process: it waits still, and what it is given is its own answer.
    run.supervisor.answer(first.held, 'continue');
    expect(await run.supervisor.shutGate()).toBe(true);
    run.supervisor.openGate();
    expect(readFileSync(`/proc/${again.thread}/wchan`, 'latin1')).toMatch(/^seccomp_do_user_notification/);
    run.supervisor.answer(again.held, 'refuse');
    run.say('over\n');
    expect(linesOf(await run.output)).toEqual(['over']);
  });
});
