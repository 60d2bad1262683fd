import { expect, it } from 'vitest';
import { limitsOf } from '../../src/report/limits.ts';

it('one session is named whole, the same of several is said once, and of many the rest is counted', () => {
  expect(limitsOf([{ session: 'a'.repeat(32), sentences: ['x', 'y'] }])).toEqual([
    `session ${'a'.repeat(32)}: x`,
    `session ${'a'.repeat(32)}: y`,
  ]);
  const many = Array.from({ length: 7 }, (_, at) => ({ session: `${at}`.repeat(32), sentences: at === 6 ? ['x', 'only here'] : ['x'] }));
  expect(limitsOf(many)).toEqual([
    '7 sessions (00000000, 11111111, 22222222, 33333333, 44444444 and 2 more): x',
    `session ${'6'.repeat(32)}: only here`,
  ]);
  expect(limitsOf([])).toEqual([]);
});
