import { describe, expect, it } from 'vitest';
import { newId, newOrderedId } from '../../src/ledger/body.ts';

describe('ids', () => {
  it.each([0, 1, 1_767_225_600_000, 2 ** 48 - 1])('are 32 hex digits that begin with their time, at %d', (atMs) => {
    expect(newOrderedId(atMs)).toMatch(/^[0-9a-f]{32}$/);
    expect(Number.parseInt(newOrderedId(atMs).slice(0, 12), 16)).toBe(atMs);
  });

  it.each([-1, -(2 ** 40), 0.5, 2 ** 48, Number.MAX_SAFE_INTEGER])('keep their length for a clock that says %d', (atMs) => {
    expect(newOrderedId(atMs)).toMatch(/^[0-9a-f]{32}$/);
  });

  it('sort by time', () => {
    const ids = [1, 15, 16, 255, 256, 1_767_225_600_000, 1_767_225_600_001].map((atMs) => newOrderedId(atMs));
    expect(ids.toSorted()).toEqual(ids);
  });

  it('differ within one millisecond, and are no id that was handed out before', () => {
    const ids = Array.from({ length: 1000 }, (_, i) => (i % 2 === 0 ? newOrderedId(5) : newId()));
    expect(new Set(ids.map((id) => id.slice(12))).size).toBe(1000);
  });
});
