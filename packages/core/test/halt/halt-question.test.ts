import { expect, it } from 'vitest';
import { haltQuestion } from '../../src/halt/halt-question.ts';
import { AFTER_HALT_TOOL, HALT } from '../fixtures/halt.ts';

it('says how many more things are held than it lists', () => {
  const held = Array.from({ length: 12 }, (_, index) => `read /x${index}`);
  const told = (count: number): readonly string[] =>
    haltQuestion({ tool: AFTER_HALT_TOOL, args: { ...HALT, held: held.slice(0, count) } })?.lines.map(([, text]) => text) ?? [];
  expect(told(12).slice(9, 12)).toEqual(['read /x9', '… and 2 more: the arguments have all', 'HALT by ssh-keys: a private key']);
  expect(told(10).slice(9, 11)).toEqual(['read /x9', 'HALT by ssh-keys: a private key']);
});
