/**
 * A sensor that cannot tell who did it sees our own writing too: log, incidents and ledger lie in the workspace more often than not. What
 * it sees of them says nothing about the tree, and is left out; sensors that can tell who did it still see the tree there.
 */
import { dirname, resolve } from 'node:path';
import type { Observation } from '../activity.ts';
import { type Sensor, sensorThrough } from '../sensor.ts';

/** @param own - files, and folders with all in them. Absolute. */
export function withoutOwn(sensor: Sensor, own: readonly string[]): Sensor {
  // The database makes files beside the ledger, and is renamed over nothing: their folder is not ours as a whole.
  const paths = own.map((path) => resolve(path));
  const isOwn = (path: string): boolean => paths.some((each) => path === each || path.startsWith(`${each}/`) || isBeside(path, each));
  return sensorThrough(sensor, (emit) => (observation, judged) => {
    if (observation.actor !== undefined || !pathsOf(observation).some(isOwn)) emit(observation, judged);
  });
}

/** Written whole beside it, then renamed: `ledger.db-wal`, `head.json.4711`. */
function isBeside(path: string, own: string): boolean {
  return dirname(path) === dirname(own) && path.startsWith(own) && /^[-.][A-Za-z0-9.-]{1,64}$/.test(path.slice(own.length));
}

function pathsOf({ action }: Observation): readonly string[] {
  if (action.kind === 'rename') return [action.resolved ?? action.path, action.resolved_to ?? action.to];
  return 'path' in action ? [action.path] : [];
}
