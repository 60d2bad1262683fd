/** Calls that wait for a person: how many, and which of them are still there. With real ones: `attack/overload.test.ts`. */
import { describe, expect, it } from 'vitest';
import { type HeldCall, HeldCalls, MAX_HELD } from '../../src/kernel/held-calls.ts';

const VERDICT: HeldCall['verdict'] = { level: 'HALT', rule: 'r', reason: 'x', evaluator: 'rules', confidence: 1, evidence: [1] };
const ALWAYS = (): boolean => true;

function call(id: number, dropped?: number[]): HeldCall {
  return {
    id: BigInt(id),
    verdict: VERDICT,
    ...(dropped !== undefined && { opened: { place: { path: '/x' }, give: () => {}, drop: () => void dropped.push(id) } }),
  };
}

describe('held calls', () => {
  it('there is no room beyond the limit, and no number is used twice', () => {
    const held = new HeldCalls();
    for (let id = 1; id <= MAX_HELD; id++) expect(held.add(call(id))).toBe(id);
    expect(held.add(call(0))).toBeUndefined();
    expect(held.size).toBe(MAX_HELD);
    expect(held.take(1)?.id).toBe(1n);
    expect(held.add(call(0))).toBe(MAX_HELD + 1);
    expect(held.add(call(0))).toBeUndefined();
  });

  it('each is taken once, and only under its own number', () => {
    const held = new HeldCalls();
    const number = held.add(call(7)) ?? 0;
    for (const other of [0, -1, number + 1, Number.NaN]) expect(held.take(other)).toBeUndefined();
    expect(held.take(number)?.id).toBe(7n);
    expect(held.take(number)).toBeUndefined();
  });

  it('those that were ended are taken out, and what was opened for them is let go; nobody answers for them any more', () => {
    const held = new HeldCalls();
    const dropped: number[] = [];
    const numbers = [1, 2, 3].map((id) => held.add(call(id, dropped)) ?? 0);
    expect(held.sweep((id) => id === 2n, ALWAYS)).toBe(2);
    expect(dropped).toEqual([1, 3]);
    expect(numbers.map((number) => held.take(number)?.id)).toEqual([undefined, 2n, undefined]);
  });

  it('a look that has no more time leaves the rest as it is, and the next one begins there', () => {
    const held = new HeldCalls();
    const asked: bigint[] = [];
    const look = (count: number): number => {
      let left = count;
      return held.sweep(
        (id) => asked.push(id) > 0,
        () => left-- > 0,
      );
    };
    for (let id = 1; id <= 5; id++) held.add(call(id));
    expect([look(0), look(3), look(3)]).toEqual([0, 0, 0]);
    expect(asked).toEqual([1n, 2n, 3n, 4n, 5n, 1n]);
    expect([1, 2, 3, 4, 5].map((number) => held.take(number)?.id)).toEqual([1n, 2n, 3n, 4n, 5n]);
  });

  it('all are given when the supervisor stops, and none is left', () => {
    const held = new HeldCalls();
    for (const id of [1, 2]) held.add(call(id));
    expect(held.clear().map(({ id }) => id)).toEqual([1n, 2n]);
    expect([held.size, held.take(1), held.clear()]).toEqual([0, undefined, []]);
  });
});
