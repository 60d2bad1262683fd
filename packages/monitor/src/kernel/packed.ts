/**
 * How what the thread saw goes to the rest of the warden: cloning an object costs more than judging what it tells of. Most of it is safe
 * reads, of which only the path and the time are their own; whatever has more to it goes as it is.
 */
import type { Actor, Attribution, FileAction, Observation } from '../activity.ts';
import type { Packed, PackedReader, Told } from './supervisor-protocol.ts';

const SENSOR = 'seccomp';
const COLUMNS = 3;
const WHOLE = -1;
const [NOT_LOOKED_UP, LED_THERE, LED_ELSEWHERE] = [0, 1, 2];

export function packed(told: readonly Told[]): Packed {
  const since = told[0]?.observation.at ?? 0;
  const readers = new Readers();
  const [rows, paths, whole]: [number[], string[], Told[]] = [[], [], []];
  for (const each of told) {
    const read = plainRead(each);
    const reader = read === undefined ? WHOLE : readers.placeOf(each);
    if (read === undefined || reader === WHOLE) {
      whole.push(each);
      rows.push(WHOLE, 0, 0);
      continue;
    }
    const { path, resolved } = read;
    const led = resolved === undefined ? NOT_LOOKED_UP : resolved === path ? LED_THERE : LED_ELSEWHERE;
    paths.push(path);
    if (resolved !== undefined && led === LED_ELSEWHERE) paths.push(resolved);
    rows.push(reader, each.observation.at - since, led);
  }
  return { since, rows, readers: readers.all, paths, whole };
}

/** @returns what was packed, in its order. */
export function unpacked({ since, rows, readers, paths, whole }: Packed): readonly Told[] {
  const told: Told[] = [];
  const nextPath = nextOf(paths);
  const nextWhole = nextOf(whole);
  for (let row = 0; row < rows.length; row += COLUMNS) {
    const reader = readers[rows[row] ?? WHOLE];
    if (reader === undefined) {
      told.push(nextWhole());
      continue;
    }
    const { actor, markers, attribution } = reader;
    const path = nextPath();
    const led = rows[row + 2];
    const action: FileAction =
      led === NOT_LOOKED_UP ? { kind: 'read', path } : { kind: 'read', path, resolved: led === LED_THERE ? path : nextPath() };
    const seen: Observation = { at: since + (rows[row + 1] ?? 0), sensor: SENSOR, phase: 'before', actor, action };
    const observation = attribution === undefined ? seen : { ...seen, attribution };
    told.push(markers === undefined ? { observation } : { observation, markers });
  }
  return told;
}

/** Of one that has nothing to it but what is packed. */
function plainRead({ observation, judged, held, isRefused, thread }: Told): FileAction | undefined {
  const { action, sensor, phase } = observation;
  if (action.kind !== 'read' || action.by !== undefined || action.existed !== undefined || action.recursive !== undefined) return undefined;
  if (judged !== undefined || held !== undefined || isRefused !== undefined || thread !== undefined) return undefined;
  return sensor === SENSOR && phase === 'before' ? action : undefined;
}

/** Who read, and for which call: the same for many. */
class Readers {
  readonly all: PackedReader[] = [];
  readonly #places = new Map<Actor, number>();

  placeOf({ observation: { actor, attribution }, markers }: Told): number {
    if (actor === undefined || attribution?.candidates !== undefined) return WHOLE;
    const place = this.#places.get(actor);
    const known = place === undefined ? undefined : this.all[place];
    if (place !== undefined && known !== undefined && known.markers === markers && isSame(known.attribution, attribution)) return place;
    this.#places.set(actor, this.all.length);
    return this.all.push({ actor, markers, attribution }) - 1;
  }
}

/** INVARIANT: there is one more for each time it is called; they were counted when they were packed. */
function nextOf<Item>(items: readonly Item[]): () => Item {
  let at = 0;
  return () => items[at++] as Item;
}

function isSame(one: Attribution | undefined, other: Attribution | undefined): boolean {
  return one === other || (one !== undefined && one.method === other?.method && one.call === other.call);
}
