/**
 * Several sensors may see one deed: the probe before it happens, the poll afterwards. Rules that count must count it once. Each
 * sighting pairs with one of another sensor, so that the count is that of the sensor that saw most.
 */
import type { ActionKind, Activity } from '../activity.ts';

/** Sightings further apart are two deeds. */
const PAIR_WINDOW_MS = 3000;
/** Most sightings of one kind that wait for their pair. A flood pushes some out: they count twice, which is stricter. */
const MAX_WAITING = 8192;

interface Sighting {
  readonly sensor: string;
  readonly at: number;
  count: number;
}

export class Doubles {
  /** By kind, so that a path is a key as it is: one that is put together costs more than all the rest. */
  readonly #waiting = new Map<ActionKind, Map<string, Sighting>>();
  readonly #uncounted: ReadonlySet<string>;

  /** @param uncounted - sensors that repeat the word of whoever is watched: it counts for nothing, nor takes the place of a sighting. */
  constructor(uncounted: readonly string[] = []) {
    this.#uncounted = new Set(uncounted);
  }

  isDouble(activity: Activity): boolean {
    if (this.#uncounted.has(activity.sensor)) return true;
    const key = keyOf(activity);
    if (key === undefined) return false;
    const { sensor, at, action } = activity;
    let waiting = this.#waiting.get(action.kind);
    if (waiting === undefined) this.#waiting.set(action.kind, (waiting = new Map()));
    const before = waiting.get(key);
    const isNear = before !== undefined && Math.abs(at - before.at) <= PAIR_WINDOW_MS;
    if (before !== undefined && isNear && before.sensor !== sensor) {
      if (--before.count === 0) waiting.delete(key);
      return true;
    }
    if (before !== undefined) waiting.delete(key);
    waiting.set(key, { sensor, at, count: isNear ? before.count + 1 : 1 });
    if (waiting.size > MAX_WAITING)
      for (const oldest of waiting.keys()) {
        waiting.delete(oldest);
        break;
      }
    return false;
  }
}

/** Sensors name the same thing differently: one has the host, another the address; one has no process. */
function keyOf({ action, actor }: Activity): string | undefined {
  switch (action.kind) {
    case 'write':
    case 'delete':
    case 'rename':
      return action.path.length > MAX_KEY_CHARS ? action.path.slice(0, MAX_KEY_CHARS) : action.path;
    case 'connect':
      return `${actor?.pid} ${action.protocol} ${action.port}`;
    case 'exec':
      return `${actor?.pid}`;
    case 'spawn':
      return `${action.child.pid}`;
    case 'read':
    case 'dns':
    case 'exit':
    case 'load':
    case 'memory':
    case 'unreadable':
    case 'resource':
      return undefined;
    default:
      action satisfies never;
      return undefined;
  }
}
const MAX_KEY_CHARS = 512;
