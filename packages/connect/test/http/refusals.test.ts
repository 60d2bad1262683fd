import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { Refusals } from '../../src/http/refusals.ts';

const CROWD = 10_000;

function told(): { readonly refusals: Refusals<'a' | 'b'>; readonly lines: string[] } {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const lines: string[] = [];
  const refusals = new Refusals<'a' | 'b'>((kind, count) => lines.push(`${kind} ${count}`));
  onTestFinished(() => refusals.close());
  return { refusals, lines };
}

describe('refusals', () => {
  it('are told at once, the first of each kind, and then together', () => {
    const { refusals, lines } = told();
    for (let i = 0; i < CROWD; i++) refusals.add('a');
    refusals.add('b');
    expect(lines).toEqual(['a 1', 'b 1']);
    vi.advanceTimersByTime(60_000);
    expect(lines).toEqual(['a 1', 'b 1', `a ${CROWD - 1}`]);
    refusals.add('a');
    expect(lines).toHaveLength(3);
    // Nothing came of `b` for a minute: the next one is told at once again.
    refusals.add('b');
    expect(lines).toEqual(['a 1', 'b 1', `a ${CROWD - 1}`, 'b 1']);
  });

  it('that were not told yet are told at the end, and nothing after it', () => {
    const { refusals, lines } = told();
    refusals.add('a');
    refusals.add('a');
    refusals.close();
    expect(lines).toEqual(['a 1', 'a 1']);
    vi.advanceTimersByTime(600_000);
    expect(lines).toHaveLength(2);
  });
});
