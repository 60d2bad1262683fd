/** Which sensors watch a session: all that this host has and that fit how the agent came to be watched. */

import type { ProcessId } from '../activity.ts';
import type { FreezerOptions } from '../contain/freezer.ts';
import { native } from '../native/native.ts';
import type { Sensor } from '../sensor.ts';
import { connectorSensor } from '../sensors/connector.ts';
import { type FanotifyOptions, type FanotifySensor, fanotifyMissing, fanotifySensor } from '../sensors/fanotify.ts';
import { folderPoll } from '../sensors/folder-poll.ts';
import { guardedPaths } from '../sensors/guarded-paths.ts';
import { inotifySensor, MAX_LISTED } from '../sensors/inotify.ts';
import { orphanSensor } from '../sensors/orphans.ts';
import { procPoll } from '../sensors/proc-poll.ts';
import { resourceSensor } from '../sensors/resources.ts';
import type { TrackedTree } from '../tree/tracked-tree.ts';

export interface WatchedBy {
  readonly tree: TrackedTree;
  readonly pollMs: number;
  /** Files nobody has any business with. Absolute. */
  readonly canaries: readonly string[];
  /** Countersign's own, under whatever name. Absolute. */
  readonly own: readonly string[];
  /** The ledger among them, with what lies beside it: a database that we have open. */
  readonly ledger: readonly string[];
  readonly workspace: string;
  /** We started it, and have no other children: its orphans may come to us. */
  readonly isLaunched: boolean;
  /** By what the opening of guarded files is judged before it happens, where we may ask for that: as root, of what was there before us. */
  readonly judging: Pick<FanotifyOptions, 'mode' | 'scope' | 'rules'>;
  /** Some of the workspace is not watched for what is deleted in it. Must not throw. */
  readonly onIncomplete: (unwatched: number) => void;
}

export interface Sensors {
  readonly sensors: readonly Sensor[];
  /** Orphans of the tree that came to us and run now. */
  readonly adopted: () => readonly ProcessId[];
  /** Of a sensor that keeps waiting what it is asked about: see `FreezerOptions`. */
  readonly holds?: NonNullable<FreezerOptions['holds']>;
}

/**
 * Events before looks: a child has its parent's call before a look finds it. Without koffi there are no events, and the level says so;
 * `doctor` says why.
 */
export function sensorsOf({ tree, pollMs, canaries, own, ledger, workspace, isLaunched, judging, onIncomplete }: WatchedBy): Sensors {
  const looks = [procPoll({ tree, intervalMs: pollMs, guarded: [...own, ...canaries] }), resourceSensor()];
  if (native() === undefined) return { sensors: [...looks, folderPoll({ workspace })], adopted: () => [] };
  const events = [connectorSensor({ tree }), inotifySensor({ paths: canaries.slice(0, MAX_LISTED), workspace, onIncomplete })];
  if (!isLaunched) {
    const asked = fanotifyMissing() === undefined ? askedBefore() : undefined;
    if (asked === undefined) return { sensors: [...events, ...looks], adopted: () => [] };
    return { sensors: [asked, ...events, ...looks], adopted: () => [], holds: (thread, start) => asked.holds(thread, start) };
  }
  const orphans = orphanSensor({ tree });
  return { sensors: [orphans, ...events, ...looks], adopted: () => orphans.adopted() };

  function askedBefore(): FanotifySensor {
    const guarded = guardedPaths({ scope: judging.scope, home: judging.rules.home, listed: [...own, ...canaries] });
    return fanotifySensor({ tree, places: { guarded, spared: ledger }, ...judging });
  }
}

/** Whose children the tree's orphans become; nobody's where they stay away from us, and our children are our own helpers. */
export function adopterOf(isLaunched: boolean): { readonly adopter?: number } {
  return isLaunched && native() !== undefined ? { adopter: process.pid } : {};
}
