/**
 * Several sensors may see one deed: the probe before it happens, the poll afterwards. Rules that count must count it once. Each
 * sighting pairs with one of another sensor, so that the count is that of the sensor that saw most.
 */
import type { Activity } from '../activity.ts';

/** Sightings further apart are two deeds. */
const PAIR_WINDOW_MS = 3000;
/** Most sightings that wait for their pair. A flood pushes some out: they count twice, which is stricter. */
const MAX_WAITING = 8192;

interface Sighting {
  readonly sensor: string;
  readonly at: number;
  count: number;
}

export class Doubles {
  readonly #waiting = new Map<string, Sighting>();

  isDouble(activity: Activity): boolean {
    const key = keyOf(activity);
    if (key === undefined) return false;
    const { sensor, at } = activity;
    const before = this.#waiting.get(key);
    const isNear = before !== undefined && Math.abs(at - before.at) <= PAIR_WINDOW_MS;
    if (before !== undefined && isNear && before.sensor !== sensor) {
      if (--before.count === 0) this.#waiting.delete(key);
      return true;
    }
    this.#waiting.delete(key);
    this.#waiting.set(key, { sensor, at, count: isNear ? before.count + 1 : 1 });
    if (this.#waiting.size > MAX_WAITING)
      for (const oldest of this.#waiting.keys()) {
        this.#waiting.delete(oldest);
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
      return `${action.kind} ${action.path.length > MAX_KEY_CHARS ? action.path.slice(0, MAX_KEY_CHARS) : action.path}`;
    case 'connect':
      return `connect ${actor?.pid} ${action.protocol} ${action.port}`;
    case 'exec':
      return `exec ${actor?.pid}`;
    case 'spawn':
      return `spawn ${action.child.pid}`;
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
