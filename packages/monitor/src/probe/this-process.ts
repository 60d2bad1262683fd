import type { Actor } from '../activity.ts';
import { originals, readBytes } from './originals.ts';

/** This process, as an actor. Its arguments stay out: they may hold secrets, and it is known who it is. */
export function thisProcess(): Actor {
  return Object.freeze({ pid: process.pid, start: startOf(), parent: process.ppid, exe: process.execPath });
}

const MAX_STAT_BYTES = 65_536;

/** Ticks since boot where /proc tells, else seconds since 1970. */
function startOf(): number {
  try {
    const stat = readBytes('/proc/self/stat', MAX_STAT_BYTES).toString('latin1');
    // Fields count from the last parenthesis: the name before it is free text. The start time is the 22nd.
    const ticks = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]);
    if (Number.isSafeInteger(ticks)) return ticks;
  } catch {
    // No /proc.
  }
  return Math.floor(originals.now() / 1000 - process.uptime());
}
