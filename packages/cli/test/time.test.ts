import { describe, expect, it } from 'vitest';
import { parseTime } from '../src/time.ts';

const NOW = Date.UTC(2026, 10, 25, 20, 0, 0);

describe('a time', () => {
  it.each([
    ['2026-11-25', Date.UTC(2026, 10, 25)],
    ['2026-11-25T20:30', Date.UTC(2026, 10, 25, 20, 30)],
    ['2026-11-25T20:30:05', Date.UTC(2026, 10, 25, 20, 30, 5)],
    ['2026-11-25T20:30:05.123Z', Date.UTC(2026, 10, 25, 20, 30, 5, 123)],
    ['2026-11-25T20:30+01:00', Date.UTC(2026, 10, 25, 19, 30)],
    ['90s', NOW - 90_000],
    ['15m', NOW - 900_000],
    ['2h', NOW - 7_200_000],
    ['3d', NOW - 259_200_000],
    ['1w', NOW - 604_800_000],
    ['0s', NOW],
  ])('%s is read', (text, at) => {
    expect(parseTime(text, NOW)).toBe(at);
  });

  it.each([
    '',
    'yesterday',
    '2h ago',
    '-2h',
    '2 h',
    '1.5h',
    '2H',
    '9999999999d',
    '2026-02-30',
    '2026-13-01',
    '2026-11-25T25:00',
    '2026-11-25 20:30',
    '2026-11-25T20:30Zx',
    '2026-11-25T',
    '25.11.2026',
    '1764100000000',
    '２h',
    '2026-11-25\n',
  ])('%j is none', (text) => {
    expect(parseTime(text, NOW)).toBeUndefined();
  });
});
