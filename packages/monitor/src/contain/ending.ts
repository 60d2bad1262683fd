/** Ends processes and looks until they are gone: what was told to end is not what ended. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ProcessId } from '../activity.ts';
import type { StuckProcess } from './freezer.ts';
import type { ProcessStatus, ProcessTable } from './process-table.ts';
import type { Signaller, SignalOutcome } from './signals.ts';
import { keyOf, resistanceOf } from './stops.ts';

/** What is there after this long is reported as left. */
const MAX_ENDING_MS = 3_000;
/** Looks without a pause; most processes are gone within them. */
const EAGER_LOOKS = 10;
const PAUSE_MS = 5;

export interface Ended {
  readonly killed: number;
  readonly left: readonly StuckProcess[];
}

/** @param scan - whoever is to be ended and still there. Called until it finds nobody, or nobody who can be ended. */
export async function endAll(scan: () => readonly ProcessStatus[], signals: Signaller): Promise<Ended> {
  const told = new Map<string, SignalOutcome>();
  const until = performance.now() + MAX_ENDING_MS;
  for (let look = 0; ; look++) {
    const there = scan();
    for (const process of there) {
      const key = keyOf(process);
      if (told.get(key) !== 'sent') told.set(key, signals.send(process, 'SIGKILL'));
    }
    const canEnd = there.some((process) => told.get(keyOf(process)) === 'sent');
    if (!canEnd || performance.now() >= until) return summary(there, told);
    await (look < EAGER_LOOKS ? new Promise((resolve) => setImmediate(resolve)) : sleep(PAUSE_MS));
  }
}

/** Of these processes, those that are still there and no zombies. */
export function stillThere(processes: readonly ProcessId[], table: ProcessTable): readonly ProcessStatus[] {
  return processes.flatMap(({ pid, start }) => {
    const now = table.read(pid);
    return now?.start === start && now.state !== 'gone' ? [now] : [];
  });
}

function summary(there: readonly ProcessStatus[], told: ReadonlyMap<string, SignalOutcome>): Ended {
  const left = there
    .map(({ pid, start, state }) => ({ pid, start, why: resistanceOf(state, told.get(`${pid}:${start}`)) }))
    // A process that ended between the scan and the signal was not left.
    .filter(({ pid, start }) => told.get(`${pid}:${start}`) !== 'gone');
  const leftKeys = new Set(left.map(keyOf));
  const killed = [...told].filter(([key, outcome]) => outcome === 'sent' && !leftKeys.has(key)).length;
  return { killed, left };
}
