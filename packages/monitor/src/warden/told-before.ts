/**
 * One deed is told once. Where a sensor is asked before things happen, the others see the same things afterwards: a descriptor that is
 * open, a program that runs, a file that is gone. Their sightings wait a moment for the word of the one that was asked, and are left out
 * when it has told of that very deed. What was refused has not happened: whoever sees it done saw something else, and is heard.
 */
import type { Action, Actor, Observation } from '../activity.ts';
import { canonicalAddress } from '../rules/address.ts';
import { type Sensor, sensorThrough } from '../sensor.ts';

/** What was asked about is told in batches, and the others may be quicker. */
export const GRACE_MS = 250;
/** After it went on. Polls come round once a second. */
export const COVERED_MS = 10_000;
/** Names of deeds that are remembered. A flood pushes some out: they are then told twice, and judged twice. */
export const MAX_DEEDS = 16_384;
/** Sightings that wait at one time. Those beyond wait for nothing. */
export const MAX_WAITING = 1_024;
/** Of a path in a name that is remembered; a longer one is told twice. */
const MAX_NAME_CHARS = 8_192;

/** Where no sensor is asked, nothing waits. */
export function toldOnce(sensors: readonly Sensor[]): readonly Sensor[] {
  if (!sensors.some(({ isAsked }) => isAsked)) return sensors;
  const told = new ToldBefore();
  return sensors.map((sensor) => (sensor.isAsked === true ? told.asked(sensor) : told.others(sensor)));
}

export class ToldBefore {
  readonly #now: () => number;
  /** By name: until when it covers other sightings. In order of that time. */
  readonly #until = new Map<string, number>();

  /** @param now - milliseconds that only go forward. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** The sensor that is asked. */
  asked(sensor: Sensor): Sensor {
    return sensorThrough(sensor, (emit) => (observation, judged) => {
      if (judged === undefined || judged.wentOn === true) this.#note(observation);
      emit(
        observation,
        judged && {
          ...judged,
          answer: (answer) => {
            if (answer === 'continue') this.#note(observation);
            judged.answer(answer);
          },
        },
      );
    });
  }

  /** Any other. */
  others(sensor: Sensor): Sensor {
    const waiting = new Set<() => void>();
    return sensorThrough(
      sensor,
      (emit) => (observation, judged) => {
        const names = namesOf(observation);
        if (judged !== undefined || names.length === 0 || waiting.size >= MAX_WAITING) return emit(observation, judged);
        if (this.#isCovered(names)) return;
        const settle = (): void => {
          clearTimeout(timer);
          waiting.delete(settle);
          if (!this.#isCovered(names)) emit(observation);
        };
        const timer = setTimeout(settle, GRACE_MS).unref();
        waiting.add(settle);
      },
      {
        settle: () => {
          for (const each of waiting) each();
        },
      },
    );
  }

  #note({ action, actor }: Observation): void {
    const until = this.#now() + COVERED_MS;
    for (const name of coveredBy(action, actor)) {
      if (name.length > MAX_NAME_CHARS) continue;
      this.#until.delete(name);
      this.#until.set(name, until);
    }
    if (this.#until.size <= MAX_DEEDS) return;
    for (const name of this.#until.keys()) {
      this.#until.delete(name);
      if (this.#until.size <= MAX_DEEDS) return;
    }
  }

  #isCovered(names: readonly string[]): boolean {
    const now = this.#now();
    return names.every((name) => (this.#until.get(name) ?? 0) > now);
  }
}

/** Of a sighting: each must have been told of. None: it is told in any case. */
function namesOf({ action, actor }: Observation): readonly string[] {
  switch (action.kind) {
    case 'read':
    case 'write':
    case 'delete':
      // Also under its other name: one that the sensor asked did not know is news.
      return namesOfPath(action).map((path) => nameOf(actor, action.kind, path));
    case 'rename':
      return [nameOf(actor, 'rename', action.path, action.to)];
    case 'exec':
      return actor === undefined ? [] : [nameOf(actor, 'exec')];
    case 'connect':
      return actor === undefined ? [] : [nameOf(actor, 'connect', placeOf(action))];
    case 'spawn':
    case 'exit':
    case 'dns':
    case 'load':
    case 'memory':
    case 'unreadable':
    case 'resource':
      return [];
    default:
      action satisfies never;
      return [];
  }
}

/** As whoever it was did it, and as somebody sees it who does not know who. */
function coveredBy(action: Action, actor: Actor | undefined): readonly string[] {
  const by = actor === undefined ? [undefined] : [actor, undefined];
  switch (action.kind) {
    case 'read':
    case 'write':
    case 'delete':
      // Who watches a file sees it opened, for whatever.
      return namesOfPath(action).flatMap((path) => [
        ...by.map((each) => nameOf(each, action.kind, path)),
        ...(action.kind === 'write' ? [nameOf(undefined, 'read', path)] : []),
      ]);
    case 'rename':
      // Whoever sees it afterwards knows where it really was and went.
      return [[action.path, action.to] as const, [action.resolved ?? action.path, action.resolved_to ?? action.to] as const].flatMap(
        ([path, to]) => [
          ...by.map((each) => nameOf(each, 'rename', path, to)),
          nameOf(undefined, 'delete', path),
          nameOf(undefined, 'write', to),
        ],
      );
    case 'exec':
      return actor === undefined ? [] : [nameOf(actor, 'exec')];
    case 'connect':
      return actor === undefined ? [] : [nameOf(actor, 'connect', placeOf(action))];
    case 'spawn':
    case 'exit':
    case 'dns':
    case 'load':
    case 'memory':
    case 'unreadable':
    case 'resource':
      return [];
    default:
      action satisfies never;
      return [];
  }
}

function namesOfPath({ path, resolved }: { readonly path: string; readonly resolved?: string }): readonly string[] {
  return resolved === undefined || resolved === path ? [path] : [path, resolved];
}

/** No two deeds have one: nothing in a path is a NUL. */
function nameOf(actor: Actor | undefined, kind: string, ...what: readonly string[]): string {
  return [actor === undefined ? '' : `${actor.pid}:${actor.start}`, kind, ...what].join('\0');
}

function placeOf({ protocol, address = '', port = 0 }: Extract<Action, { readonly kind: 'connect' }>): string {
  return `${protocol} ${port} ${canonicalAddress(address) ?? address}`;
}
