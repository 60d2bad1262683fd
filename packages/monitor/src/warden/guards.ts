/**
 * Guards inside of the watched tree: an agent that guards its own tools, a proxy or a hook that it started. They open the ledger, and
 * must; anything else of the tree that does is ended for it. Who is a guard the ledger says: a writer has a lease there. A process that
 * can write the ledger's file could give itself one, as it could by opening the ledger as a guard does: so who is let off is told.
 */
import { realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type { Action, Actor, Observation } from '../activity.ts';
import { type Judged, type Sensor, type SensorHost, sensorThrough } from '../sensor.ts';

export interface Guards {
  /** The ledger and what lies beside it. Absolute. */
  readonly files: readonly string[];
  /** What a guard reads before it has its lease, as anybody may: its configuration. Absolute. */
  readonly reads?: readonly string[];
  /**
   * What a guard uses that has its lease: key, mirror, audit log; where it keeps the last known heads. Folders with all in them.
   * Absolute. Default: nothing.
   */
  readonly afterLease?: readonly string[];
  /** It writes to the ledger now. Must not throw. */
  isWriter(process: Actor): boolean;
  /** Told each time that one is let off. Must not throw. */
  seen?(process: Actor): void;
  /** It runs, and may get a lease yet. Default: as the tree has it, which learns of an end a little later. */
  isAlive?(process: Actor): boolean;
}

/** A guard opens the file before it has its lease; of a long ledger it reads some first. */
const GRACE_MS = 2_000;
const LOOK_MS = 100;
/** Observations that wait for a lease at one time. Those beyond wait for none. */
export const MAX_WAITING = 64;

/**
 * Leaves out that a guard uses the ledger. What others do with it comes up to `GRACE_MS` late. Where using it waits for an answer it goes
 * on, since a lease is only had by opening it; what is for later waits until it is known that there is a lease, which is at once.
 */
export function withoutGuards(sensor: Sensor, guards: Guards): Sensor {
  const used = new Set(guards.files.flatMap(spellings));
  const read = new Set((guards.reads ?? []).flatMap(spellings));
  const later = (guards.afterLease ?? []).flatMap(spellings);
  const waiting = new Map<NodeJS.Timeout, () => void>();
  let lost = 0;
  const isAlive = (actor: Actor, tree: SensorHost['tree']): boolean => guards.isAlive?.(actor) ?? tree.has(actor);
  const through = (emit: SensorHost['emit'], { tree }: SensorHost): SensorHost['emit'] => {
    return (observation, judged) => {
      const { actor, action } = observation;
      const isUse = isUseOf(observation, used, read);
      if (actor === undefined || !(isUse || isWithin(action, later)) || wasRefused(judged)) return emit(observation, judged);
      if (guards.isWriter(actor)) {
        guards.seen?.(actor);
        return judged?.answer('continue');
      }
      if (!isUse || waiting.size >= MAX_WAITING) return emit(observation, judged);
      judged?.answer('continue');
      let looks = GRACE_MS / LOOK_MS;
      const look = setInterval(() => {
        looks--;
        const isGuard = guards.isWriter(actor);
        if (!isGuard && looks > 0 && isAlive(actor, tree)) return;
        clearInterval(look);
        waiting.delete(look);
        if (isGuard) guards.seen?.(actor);
        else emit(observation);
      }, LOOK_MS).unref();
      waiting.set(look, () => {
        if (isAlive(actor, tree)) lost++;
        else if (guards.isWriter(actor)) guards.seen?.(actor);
        else emit(observation);
      });
    };
  };
  // Who ended within the grace is judged all the same; who may still get a lease is counted.
  const settle = (): void => {
    for (const [look, end] of waiting) {
      clearInterval(look);
      end();
    }
    waiting.clear();
  };
  return sensorThrough(sensor, through, { settle, lost: () => lost });
}

/** As it was given, and where links of its folder lead: a sensor that follows links tells both. */
function spellings(path: string): readonly string[] {
  const given = resolve(path);
  try {
    return [given, join(realpathSync(dirname(given)), basename(given))];
  } catch {
    return [given];
  }
}

function wasRefused(judged: Judged | undefined): boolean {
  return judged?.isHeld === false && judged.wentOn !== true;
}

/** Nobody may delete it, cut it, give it one more name or put another in its place, a guard neither. */
function isUseOf({ action }: Observation, used: ReadonlySet<string>, read: ReadonlySet<string>): boolean {
  if ((action.kind !== 'read' && action.kind !== 'write') || action.by !== undefined) return false;
  return namesOf(action).every((path) => used.has(path) || (action.kind === 'read' && read.has(path)));
}

/** What is written anew there is put in the place of the old: every name counts. */
function isWithin(action: Action, folders: readonly string[]): boolean {
  const names = namesOf(action);
  return names.length > 0 && names.every((path) => folders.some((folder) => path === folder || path.startsWith(`${folder}/`)));
}

function namesOf(action: Action): readonly string[] {
  if (action.kind === 'read' || action.kind === 'write')
    return action.resolved === undefined ? [action.path] : [action.path, action.resolved];
  if (action.kind !== 'rename') return [];
  return [action.path, action.to, action.resolved ?? action.path, action.resolved_to ?? action.to];
}
