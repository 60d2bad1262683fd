import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CountersignError } from '../../src/errors.ts';
import { holds } from './functions.ts';

/** A Thursday. In Berlin it is 13:30, in New York 07:30, in Kathmandu 18:15. */
const THURSDAY = Date.UTC(2026, 10, 26, 12, 30, 15, 250);

function outcome(source: string, atMs = THURSDAY): boolean | string {
  try {
    const session = { id: 's1', labels: [], halted: false, startedAtMs: THURSDAY - 90 * 60_000, version: 0 };
    return holds(source, { zone: 'Europe/Berlin', bad: 'Nope/Nowhere', n: 5, d: '5 minutes', t: '2026-11-26' }, { atMs, session });
  } catch (error) {
    if (CountersignError.is(error)) return error.code;
    throw error;
  }
}

describe('times', () => {
  it.each([
    "time.getHours('Europe/Berlin') == 13",
    'time.getHours(args.zone) == 13',
    "time.getHours('America/New_York') == 7",
    "time.getMinutes('Asia/Kathmandu') == 15 && time.getHours('Asia/Kathmandu') == 18",
    "time.getHours('+05:30') == 18",
    "time.getHours('UTC') == 12 && time.getHours() == 12",
    "time.getSeconds('Europe/Berlin') == 15 && time.getMilliseconds('Europe/Berlin') == 250",
    'time.getDayOfWeek() == 4',
    "time.getDayOfWeek('Europe/Berlin') in [1, 2, 3, 4, 5]",
    "time.getFullYear('Europe/Berlin') == 2026 && time.getMonth('Europe/Berlin') == 10",
    "time.getDate('Europe/Berlin') == 26 && time.getDayOfMonth('Europe/Berlin') == 25",
    "time.getDayOfYear() == 329 && time.getDayOfYear('Europe/Berlin') == 329",
    "timestamp('2026-12-31T23:30:00Z').getDayOfYear('Europe/Berlin') == 0",
    "timestamp('2026-12-31T23:30:00Z').getFullYear('Europe/Berlin') == 2027",
    "timestamp('2026-11-26T23:30:00Z').getDayOfWeek('Europe/Berlin') == 5",
    "time.getHours('Europe/Berlin') >= 9 && time.getHours('Europe/Berlin') < 17",
    // hours that are counted twice, or not at all
    "timestamp('2026-03-29T00:59:59Z').getHours('Europe/Berlin') == 1",
    "timestamp('2026-03-29T01:00:00Z').getHours('Europe/Berlin') == 3",
    "timestamp('2026-10-25T00:30:00Z').getHours('Europe/Berlin') == 2",
    "timestamp('2026-10-25T01:30:00Z').getHours('Europe/Berlin') == 2",
    "timestamp('2026-03-29T02:30:00Z').getHours('Asia/Tokyo') == 11",
    // office hours
    "time.isBetween('09:00', '17:30', 'Europe/Berlin')",
    "time.isBetween('12:30', '12:31')",
    "!time.isBetween('12:31', '13:00')",
    "!time.isBetween('09:00', '12:30')",
    "!time.isBetween('09:00', '13:30', 'Europe/Berlin')",
    "time.isBetween('13:30', '24:00', 'Europe/Berlin')",
    "!time.isBetween('22:00', '06:00', 'Europe/Berlin')",
    "time.isBetween('06:00', '02:00', 'Europe/Berlin')",
    "timestamp('2026-11-26T23:30:00Z').isBetween('22:00', '06:00', 'Europe/Berlin')",
    "timestamp('2026-11-26T02:30:00Z').isBetween('22:00', '06:00', 'Europe/Berlin')",
    // durations
    "time - session.started == duration('90m')",
    "time - session.started == duration('1h30m')",
    "time - session.started > duration('1h') && time - session.started < duration('2h')",
    "time - duration('90m') == session.started",
    "session.started + duration('1.5h') == time",
    "duration('24h') > duration('90m')",
    "time + duration('-1h30m') == session.started",
    "duration('1500ms') == duration('1.5s')",
    "duration('90m').getMinutes() == 90 && duration('90m').getHours() == 1",
    "timestamp('2026-11-26T13:30:15.250+01:00') == time",
    "time < timestamp('2027-01-01T00:00:00Z')",
    "timestamp('2028-02-29T00:00:00Z').getMonth() == 1",
    'time > timestamp(0)',
  ])('%s', (source) => expect(outcome(source)).toBe(true));

  it.each([
    // in the rule: found when it is loaded
    ["time.getHours('Europe/Berlinn') > 9", 'CONDITION_INVALID'],
    ["time.getHours('') > 9", 'CONDITION_INVALID'],
    ["time.getHours('../../etc/localtime') > 9", 'CONDITION_INVALID'],
    ["time.getHours('Europe/Berlin\\u0000') > 9", 'CONDITION_INVALID'],
    ["time.getDayOfWeek('+25:00') > 1", 'CONDITION_INVALID'],
    [`time.getHours('${'A'.repeat(500)}') > 9`, 'CONDITION_INVALID'],
    ["time.isBetween('9:00', '17:00')", 'CONDITION_INVALID'],
    ["time.isBetween('09:00', '17:60')", 'CONDITION_INVALID'],
    ["time.isBetween('09:00', '25:00')", 'CONDITION_INVALID'],
    ["time.isBetween('09:00', '17:00', 'Mars')", 'CONDITION_INVALID'],
    ["time - session.started > duration('5')", 'CONDITION_INVALID'],
    ["time - session.started > duration('m')", 'CONDITION_INVALID'],
    ["time - session.started > duration('')", 'CONDITION_INVALID'],
    ["time - session.started > duration('5 m')", 'CONDITION_INVALID'],
    ["time - session.started > duration('7d')", 'CONDITION_INVALID'],
    ["time - session.started > duration('.s')", 'CONDITION_INVALID'],
    ["time - session.started > duration('-1.5s')", 'CONDITION_INVALID'],
    ["time - session.started > duration('-1500ms')", 'CONDITION_INVALID'],
    ["time - session.started > duration('1m ')", 'CONDITION_INVALID'],
    [`time - session.started > duration('${'9'.repeat(400)}s')`, 'CONDITION_INVALID'],
    ["time > timestamp('2026-02-30T00:00:00Z')", 'CONDITION_INVALID'],
    ["time > timestamp('2026-11-26T00:00:00.000')", 'CONDITION_INVALID'],
    ["time > timestamp('Thu, 26 Nov 2026 00:00:00 GMT')", 'CONDITION_INVALID'],
    ["time > timestamp('2026-11-26T24:00:00Z')", 'CONDITION_INVALID'],
    ["time > timestamp('2026-13-01T00:00:00Z')", 'CONDITION_INVALID'],
    // in arguments: a fault of the call
    ['time.getHours(args.bad) > 9', 'time zone is not known'],
    ["time.isBetween('09:00', '17:00', args.bad)", 'time zone is not known'],
    ["time.isBetween(args.t, '17:00')", 'times of the day'],
    ['time - session.started > duration(args.d)', 'duration() takes'],
    ['time > timestamp(args.t)', 'timestamp() takes'],
    ['time.getHours(args.n) > 9', 'needs a time'],
    ['args.d.getHours(args.zone) > 9', 'needs a time'],
    ['time == args.t', 'different types'],
    ['time > args.t', 'type error'],
    ['time - session.started > args.n', 'type error'],
  ])('%s: %s', (source, expected) => expect(String(outcome(source))).toContain(expected));

  it('have the fields that Intl has, in every zone and at every time', () => {
    const zones = fc.constantFrom(
      'Europe/Berlin',
      'America/St_Johns',
      'Asia/Kathmandu',
      'Pacific/Apia',
      'Australia/Lord_Howe',
      'Africa/Casablanca',
    );
    fc.assert(
      fc.property(zones, fc.integer({ min: Date.UTC(1990, 0), max: Date.UTC(2090, 0) }), (zone, atMs) => {
        const text = new Date(atMs).toLocaleString('sv-SE', { timeZone: zone });
        const [, year, month, day, hour, minute] = /^(\d+)-(\d+)-(\d+) (\d+):(\d+)/.exec(text)?.map(Number) ?? [];
        expect(outcome(`time.getFullYear('${zone}') == ${year} && time.getMonth('${zone}') == ${(month ?? 0) - 1}`, atMs)).toBe(true);
        expect(outcome(`time.getDate('${zone}') == ${day} && time.getHours('${zone}') == ${hour}`, atMs)).toBe(true);
        expect(outcome(`time.getMinutes('${zone}') == ${minute}`, atMs)).toBe(true);
        const weekday = new Date(Date.UTC(year ?? 0, (month ?? 0) - 1, day)).getUTCDay();
        expect(outcome(`time.getDayOfWeek('${zone}') == ${weekday}`, atMs)).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  it('are the same on every machine', () => {
    const code = `
      import { compileCondition } from './packages/core/src/policy/conditions.ts';
      const at = (t) => ({ tool: { name: 't' }, args: {}, findings: [], agent: 'a', mode: 'enforce', atMs: Date.parse(t), raw() {},
        session: { id: 's', labels: [], halted: false, startedAtMs: 0, version: 0 } });
      const holds = (s, t) => compileCondition(s, 'w')(at(t));
      // 02:30 does not exist in Berlin on that day, where the clock of this process stands.
      console.log(holds("time.getHours('UTC') == 2 && time.getHours('Etc/GMT') == 2", '2026-03-29T02:30:00Z'),
        holds("time.getHours('Africa/Accra') == 2 && time.getDayOfYear() == 87", '2026-03-29T02:30:00Z'));`;
    for (const TZ of ['Europe/Berlin', 'Pacific/Apia', 'UTC']) {
      const { stdout, stderr } = spawnSync(process.execPath, ['--conditions=@countersign/source', '--input-type=module', '-e', code], {
        cwd: new URL('../../../../', import.meta.url),
        env: { ...process.env, TZ },
        encoding: 'utf8',
      });
      expect(`${TZ} ${stdout.trim()} ${stderr}`).toBe(`${TZ} true true `);
    }
  });
});
