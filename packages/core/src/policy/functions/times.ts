/**
 * Times in a time zone, durations and points in time written in a rule.
 *
 *     time.getHours('Europe/Berlin') >= 9 && time.getDayOfWeek('Europe/Berlin') in [1, 2, 3, 4, 5]
 *     time.isBetween('09:00', '17:30', 'Europe/Berlin')
 *     time - session.started < duration('30m')
 *
 * The library works out the fields of a time zone through a text that it reads back in the zone of the machine: wrong in the hour
 * that a change of clocks drops there, and slow. It takes `duration('s')` for none and a point in time without a zone for one
 * in the zone of the machine. A decision may not depend on where it is made, so these are done here.
 */
import type { ASTNode, Environment } from '@marcbachmann/cel-js';
import { ConditionFault } from '../condition-value.ts';
import { spend } from '../evaluation.ts';
import { type LiteralCheck, literalText, writtenCall } from './literals.ts';

export const TIME_WORDS: readonly string[] = ['duration', 'timestamp'];

const TIMESTAMP = 'google.protobuf.Timestamp';

export function registerTimes(environment: Environment): void {
  environment.registerFunction(`${TIMESTAMP}.isBetween(string, string): bool`, (time: Date, from: string, to: string) =>
    isBetween(time, from, to, 'UTC'),
  );
  environment.registerFunction(
    `${TIMESTAMP}.isBetween(string, string, string): bool`,
    (time: Date, from: string, to: string, zone: string) => isBetween(time, from, to, zone),
  );
}

/** Zones, durations, points in time and hours in quotes are checked when the rule is loaded. */
export const checkTimeLiterals: LiteralCheck = (call) => {
  const [first, second, third] = call.args.map(literalText);
  if (call.receiver === undefined) {
    if (call.name === 'duration' && first !== undefined && !DURATION.test(first)) return DURATION_HINT;
    if (call.name === 'timestamp' && first !== undefined && !isTimestamp(first)) return TIMESTAMP_HINT;
    return undefined;
  }
  if (call.name === 'isBetween') {
    if ([first, second].some((hour) => hour !== undefined && !HOUR.test(hour))) return HOUR_HINT;
    return third === undefined || isZone(third) ? undefined : ZONE_HINT;
  }
  return FIELDS.has(call.name) && first !== undefined && !isZone(first) ? ZONE_HINT : undefined;
};

/** What a node has at run time beside its declared type. */
interface LiveNode {
  handle(operands: readonly unknown[], self: LiveNode, evaluator: NodeEvaluator): unknown;
  setMeta(key: 'evaluate', value: (evaluator: NodeEvaluator, self: LiveNode, context: unknown) => unknown): unknown;
}
interface NodeEvaluator {
  run(node: unknown, context: unknown): unknown;
}

/** Puts what is done here in the place of what the library does. Call it before the tree is checked or run. */
export function tightenTimes(node: ASTNode): void {
  const call = writtenCall(node);
  if (call === undefined || call.args.length > 1) return;
  const { name, receiver, args } = call;
  const [argument] = args;
  // The declared type leaves these members out. A version without them fails here, at load, not open.
  const live = node as unknown as LiveNode;
  if (receiver === undefined) {
    if (name !== 'duration' && name !== 'timestamp') return;
    live.setMeta('evaluate', (evaluator, self, context) => {
      const value = evaluator.run(argument, context);
      requireTimeText(name, value);
      return self.handle([value], self, evaluator);
    });
    return;
  }
  const field = FIELDS.get(name);
  if (field === undefined || (argument === undefined && name !== 'getDayOfYear')) return;
  live.setMeta('evaluate', (evaluator, _self, context) => {
    const time = evaluator.run(receiver, context);
    const zone = argument === undefined ? 'UTC' : evaluator.run(argument, context);
    if (!(time instanceof Date) || typeof zone !== 'string') throw new ConditionFault(`${name}() needs a time, and a time zone in a text`);
    spend(1);
    return BigInt(field(clockOf(time, zone)));
  });
}

/** @throws {ConditionFault} for a text that the library would read in its own way. */
function requireTimeText(name: string, argument: unknown): void {
  if (typeof argument !== 'string') return;
  if (name === 'duration' && !DURATION.test(argument)) throw new ConditionFault(DURATION_HINT);
  if (name === 'timestamp' && !isTimestamp(argument)) throw new ConditionFault(TIMESTAMP_HINT);
}

/** The library adds fractions of negative ones up wrongly, so these are whole seconds. */
const DURATION = /^(?:(?:\d{1,12}(?:\.\d{1,9})?(?:ns|us|µs|ms|s|m|h)){1,8}|-(?:\d{1,12}[smh]){1,3})$/;
const DURATION_HINT = "duration() takes numbers with units of h, m, s or ms, such as '1h30m'; a day is '24h'";
const TIMESTAMP_TEXT = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d{1,9})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;
const TIMESTAMP_HINT = "timestamp() takes a date that exists and a zone, such as '2026-01-31T09:00:00Z' or '...+01:00'";
const HOUR = /^(?:[01]\d|2[0-3]):[0-5]\d$|^24:00$/;
const HOUR_HINT = "isBetween() takes times of the day such as '09:00' and '17:30'";
const ZONE_HINT = "the time zone is not known; write one such as 'Europe/Berlin' or 'UTC'";

function isTimestamp(text: string): boolean {
  const [, year, month, day, hour, minute, second] = (TIMESTAMP_TEXT.exec(text) ?? []).map(Number);
  if (year === undefined || month === undefined || day === undefined) return false;
  if ((hour ?? 24) > 23 || (minute ?? 60) > 59 || (second ?? 60) > 59) return false;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
}

/** What a clock and a calendar on the wall show: fields of a `Date` in UTC. */
type WallClock = Date;

/** As CEL has them: months, days of the month and of the year count from 0, Sunday is 0; `getDate` counts from 1. */
const FIELDS: ReadonlyMap<string, (clock: WallClock) => number> = new Map([
  ['getFullYear', (clock: WallClock) => clock.getUTCFullYear()],
  ['getMonth', (clock: WallClock) => clock.getUTCMonth()],
  ['getDate', (clock: WallClock) => clock.getUTCDate()],
  ['getDayOfMonth', (clock: WallClock) => clock.getUTCDate() - 1],
  ['getDayOfWeek', (clock: WallClock) => clock.getUTCDay()],
  ['getDayOfYear', (clock: WallClock) => Math.floor((clock.getTime() - Date.UTC(clock.getUTCFullYear(), 0, 1)) / MS_PER_DAY)],
  ['getHours', (clock: WallClock) => clock.getUTCHours()],
  ['getMinutes', (clock: WallClock) => clock.getUTCMinutes()],
  ['getSeconds', (clock: WallClock) => clock.getUTCSeconds()],
  ['getMilliseconds', (clock: WallClock) => clock.getUTCMilliseconds()],
]);
const MS_PER_DAY = 86_400_000;

function isBetween(time: Date, from: string, to: string, zone: string): boolean {
  const clock = clockOf(time, zone);
  const [start, end] = [minuteOf(from), minuteOf(to)];
  const now = clock.getUTCHours() * 60 + clock.getUTCMinutes();
  // From 22:00 to 06:00 is the night.
  return start <= end ? start <= now && now < end : now >= start || now < end;
}

function minuteOf(text: string): number {
  if (!HOUR.test(text)) throw new ConditionFault(HOUR_HINT);
  return Number(text.slice(0, 2)) * 60 + Number(text.slice(3));
}

function clockOf(time: Date, zone: string): WallClock {
  if (zone === 'UTC') return time;
  const parts = new Map(
    zoneFormat(zone)
      .formatToParts(time)
      .map(({ type, value }) => [type, Number(value)]),
  );
  const part = (type: Intl.DateTimeFormatPartTypes): number => parts.get(type) ?? Number.NaN;
  const clock = new Date(0);
  clock.setUTCFullYear(part('year'), part('month') - 1, part('day'));
  clock.setUTCHours(part('hour'), part('minute'), part('second'), time.getUTCMilliseconds());
  return clock;
}

const formats = new Map<string, Intl.DateTimeFormat>();
const MAX_ZONES = 600;

function zoneFormat(zone: string): Intl.DateTimeFormat {
  const known = formats.get(zone);
  if (known !== undefined) return known;
  const made = makeFormat(zone);
  if (made === undefined) throw new ConditionFault(ZONE_HINT);
  if (formats.size >= MAX_ZONES) formats.clear();
  formats.set(zone, made);
  return made;
}

function isZone(text: string): boolean {
  return text === 'UTC' || makeFormat(text) !== undefined;
}

function makeFormat(zone: string): Intl.DateTimeFormat | undefined {
  if (!/^[A-Za-z0-9_+\-/:]{1,64}$/.test(zone)) return undefined;
  try {
    return new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      calendar: 'gregory',
      numberingSystem: 'latn',
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  } catch {
    return undefined;
  }
}
