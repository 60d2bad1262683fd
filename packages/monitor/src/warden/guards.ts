/**
 * Guards inside of the watched tree: an agent that guards its own tools, a proxy or a hook that it started. They open the ledger, and
 * must; anything else of the tree that does is ended for it. Who is a guard the ledger says: a writer has a lease there. A process that
 * can write the ledger's file could give itself one, and is then found out by `verify`, not here.
 */
import { resolve } from 'node:path';
import type { Actor, Observation } from '../activity.ts';
import type { Sensor } from '../sensor.ts';

export interface Guards {
  /** The ledger and what lies beside it. Absolute. */
  readonly files: readonly string[];
  /** What a guard only reads: its configuration, the key it signs with. Absolute. */
  readonly reads?: readonly string[];
  /** It writes to the ledger now. Must not throw. */
  isWriter(process: Actor): boolean;
}

/** A guard opens the file before it has its lease; of a long ledger it reads some first. */
const GRACE_MS = 2_000;
const LOOK_MS = 100;
/** Observations that wait for a lease at one time. Those beyond wait for none. */
export const MAX_WAITING = 64;

/** Leaves out that a guard uses the ledger. What others do with it comes up to `GRACE_MS` late. */
export function withoutGuards(sensor: Sensor, guards: Guards): Sensor {
  const used = resolved(guards.files);
  const read = resolved(guards.reads ?? []);
  const waiting = new Map<NodeJS.Timeout, () => void>();
  let lost = 0;
  return {
    name: sensor.name,
    level: sensor.level,
    gives: sensor.gives,
    start: (host) =>
      sensor.start({
        tree: host.tree,
        died: (error) => host.died(error),
        emit: (observation, judged) => {
          const { actor } = observation;
          // What waits for an answer, or was refused, was judged already.
          const isAnswered = judged !== undefined && judged.wentOn !== true;
          if (actor === undefined || isAnswered || !isUseOf(observation, used, read)) return host.emit(observation, judged);
          if (guards.isWriter(actor)) return;
          if (waiting.size >= MAX_WAITING) return host.emit(observation);
          let looks = GRACE_MS / LOOK_MS;
          const look = setInterval(() => {
            looks--;
            const isGuard = guards.isWriter(actor);
            if (!isGuard && looks > 0 && host.tree.has(actor)) return;
            clearInterval(look);
            waiting.delete(look);
            if (!isGuard) host.emit(observation);
          }, LOOK_MS).unref();
          waiting.set(look, () => {
            if (host.tree.has(actor)) lost++;
            else if (!guards.isWriter(actor)) host.emit(observation);
          });
        },
      }),
    stop: async () => {
      // Who ended within the grace is judged all the same, while somebody listens; who may still get a lease is counted.
      for (const [look, settle] of waiting) {
        clearInterval(look);
        settle();
      }
      waiting.clear();
      await sensor.stop();
    },
    stats: () => {
      const { seen, lost: before } = sensor.stats();
      return { seen, lost: before + lost };
    },
  };
}

function resolved(files: readonly string[]): ReadonlySet<string> {
  return new Set(files.map((file) => resolve(file)));
}

/** Nobody may delete it or put another in its place, a guard neither. */
function isUseOf({ action }: Observation, used: ReadonlySet<string>, read: ReadonlySet<string>): boolean {
  if (action.kind !== 'read' && action.kind !== 'write') return false;
  return used.has(action.path) || (action.kind === 'read' && read.has(action.path));
}
