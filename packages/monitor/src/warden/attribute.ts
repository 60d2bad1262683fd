/** Which call an activity belongs to, strongest evidence first. Never a guess: where it is not sure, it says so. */
import type { Attribution, Observation } from '../activity.ts';
import type { ProcessTree } from '../tree/process-tree.ts';

/** Ids of calls, as guards make them. Markers come from the environment of watched processes, which may hold anything. */
const CALL_ID = /^[0-9a-f]{32}$/;
export const MAX_CANDIDATES = 100;
const NONE: Attribution = { method: 'none' };

/** @param inFlight - calls that run now. */
export function attribute(observation: Observation, tree: Pick<ProcessTree, 'get'>, inFlight: readonly string[]): Attribution {
  const seen = exact(observation.attribution);
  if (seen !== undefined) return seen;
  const { actor } = observation;
  const process = actor === undefined ? undefined : tree.get(actor.pid);
  // Another process may have the pid by now: its call is another's.
  const inherited = process !== undefined && process.start === actor?.start ? exact(process.attribution) : undefined;
  if (inherited !== undefined) return inherited;
  const [only, ...others] = inFlight;
  if (only === undefined) return NONE;
  return others.length === 0 ? { method: 'window', call: only } : { method: 'window', candidates: inFlight.slice(0, MAX_CANDIDATES) };
}

function exact(attribution: Attribution | undefined): Attribution | undefined {
  return attribution?.call !== undefined && CALL_ID.test(attribution.call) ? attribution : undefined;
}
