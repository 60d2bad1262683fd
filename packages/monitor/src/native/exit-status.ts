/** The status of wait(2), as an exit code or the name of the signal that ended it. */
import { constants } from 'node:os';
import type { ExitAction } from '../activity.ts';

const SIGNAL_BITS = 0x7f;
const NAMES: ReadonlyMap<number, string> = new Map(
  // Some numbers have two names; the first one listed is the usual one.
  Object.entries(constants.signals)
    .reverse()
    .map(([name, number]) => [number, name]),
);

export function exitOf(status: number): ExitAction {
  const signal = status & SIGNAL_BITS;
  if (signal === 0) return { kind: 'exit', code: (status >> 8) & 0xff };
  return { kind: 'exit', signal: NAMES.get(signal) ?? `SIG${signal}` };
}
