import { expect, it } from 'vitest';
import { HeldParts } from '../../src/kernel/held-parts.ts';

function calls() {
  const answered: string[] = [];
  return { answered, parts: new HeldParts((held, answer) => void answered.push(`${held} ${answer}`)) };
}

it('one part: its answer is that of the call, once', () => {
  const { answered, parts } = calls();
  const answer = parts.add(1, true);
  answer('continue');
  answer('refuse');
  expect(answered).toEqual(['1 continue']);
});

it('goes on only once every part may', () => {
  const { answered, parts } = calls();
  const first = parts.add(1, false);
  // At once, before the others have come.
  first('continue');
  const second = parts.add(1, false);
  const last = parts.add(1, true);
  last('continue');
  expect(answered).toEqual([]);
  second('continue');
  expect(answered).toEqual(['1 continue']);
});

it('one part that may not is enough, and nothing that comes later changes that', () => {
  const { answered, parts } = calls();
  const first = parts.add(1, false);
  const last = parts.add(1, true);
  first('refuse');
  last('continue');
  expect(answered).toEqual(['1 refuse']);
});

it('a part that is answered twice counts once', () => {
  const { answered, parts } = calls();
  const first = parts.add(1, false);
  parts.add(1, true);
  first('continue');
  first('continue');
  expect(answered).toEqual([]);
});

it('calls do not answer for each other', () => {
  const { answered, parts } = calls();
  const one = parts.add(1, true);
  const two = parts.add(2, true);
  two('continue');
  one('refuse');
  expect(answered).toEqual(['2 continue', '1 refuse']);
});
