import { expect, it } from 'vitest';
import { Calls } from '../../src/verify/calls.ts';
import type { EntryOf } from '../../src/verify/placed.ts';
import { Findings } from '../../src/verify/report.ts';

const MAX_COMPARED = 3;

/** Allows calls in that order, comparing only a few. */
function allowed(...ids: readonly string[]): Findings {
  const findings = new Findings();
  const calls = new Calls(findings, () => undefined, MAX_COMPARED);
  for (const [index, call] of ids.entries()) {
    const entry = { effect: 'allow', call, session: 's', agent: 'a', writer: 'w' } as unknown as EntryOf<'decision'>;
    calls.decision({ index, number: index + 1, leaf: '' }, entry);
  }
  calls.finish();
  return findings;
}

it('reports each repeat of a call, and nothing else', () => {
  expect(allowed('a', 'b', 'c')).toMatchObject({ count: 0 });
  expect(allowed('a', 'b', 'a', 'a').problems()).toMatchObject([
    { entry: 3, code: 'CALL_ALLOWED_TWICE' },
    { entry: 4, code: 'CALL_ALLOWED_TWICE' },
  ]);
  expect(allowed('a', 'b', 'a').warnings()).toEqual([]);
});

it('beyond its bound compares with the last ones, and says so', () => {
  expect(allowed('a', 'b', 'c', 'd', 'a')).toMatchObject({ count: 1 });
  const near = allowed('a', 'b', 'c', 'd', 'e', 'f', 'g', 'd');
  expect(near.problems()).toMatchObject([{ entry: 8, code: 'CALL_ALLOWED_TWICE' }]);
  expect(near.warnings()).toMatchObject([{ entry: 0, code: 'REPEATS_UNCHECKED' }]);
  const far = allowed('a', 'b', 'c', 'd', 'e', 'f', 'g', 'a');
  expect(far.problems()).toEqual([]);
  expect(far.warnings()).toMatchObject([{ entry: 0, code: 'REPEATS_UNCHECKED' }]);
});
