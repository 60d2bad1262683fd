/** What is told of a trapped call: of a size that can be kept, whatever a process puts into its arguments. */
import type { Observation } from '../activity.ts';
import type { Markers } from '../tree/markers.ts';
import type { Verdict } from '../verdict.ts';
import type { Told } from './supervisor-protocol.ts';

/** Of the arguments of a program. All of them were judged, and a verdict that is not SAFE goes with what is told. */
export const MAX_TOLD_ARGS = 4_096;
export const MAX_TOLD_ARG_CHARS = 65_536;

/** @param verdict - absent: it is safe */
export function told(observation: Observation, markers: Markers | undefined, verdict?: Verdict): Told {
  const { action } = observation;
  return {
    observation: action.kind === 'exec' ? { ...observation, action: { ...action, ...cut(action.argv) } } : observation,
    ...(markers !== undefined && { markers }),
    ...(verdict !== undefined && verdict.level !== 'SAFE' && { judged: verdict }),
  };
}

function cut(argv: readonly string[]): { readonly argv: readonly string[]; readonly cut?: true } {
  let left = MAX_TOLD_ARG_CHARS;
  const kept: string[] = [];
  for (const argument of argv) {
    if (kept.length >= MAX_TOLD_ARGS || left <= 0) return { argv: kept, cut: true };
    if (argument.length > left) return { argv: [...kept, argument.slice(0, left)], cut: true };
    kept.push(argument);
    left -= argument.length;
  }
  return { argv };
}
