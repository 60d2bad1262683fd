import { describe, expect, it } from 'vitest';
import type { Json } from '../../src/call.ts';
import { ConditionFault, MAX_CONDITION_ITEMS } from '../../src/policy/condition-value.ts';
import { ConditionError, compileCondition } from '../../src/policy/conditions.ts';
import { currentEvaluation, MAX_CONDITION_STEPS, remember, runEvaluation, spend } from '../../src/policy/evaluation.ts';
import { createLookups, MAX_LOOKUP_CHARS, MAX_LOOKUPS, replayedLookups } from '../../src/policy/lookups.ts';
import type { PolicyInput } from '../../src/policy/policy.ts';
import { rulePolicy } from '../../src/policy/rules.ts';
import { policyInput } from './input.ts';

const EXHAUSTED = /needs more than 100000 steps/;

function evaluation(): { readonly input: ReturnType<typeof policyInput>; readonly lookups: ReturnType<typeof createLookups> } {
  return { input: policyInput(), lookups: createLookups() };
}

describe('the running evaluation', () => {
  it('is there while a condition runs and at no other time', () => {
    expect(() => currentEvaluation()).toThrow(ConditionFault);
    const outer = evaluation();
    const inner = evaluation();
    runEvaluation(outer, () => {
      expect(currentEvaluation()).toBe(outer);
      runEvaluation(inner, () => expect(currentEvaluation()).toBe(inner));
      expect(currentEvaluation()).toBe(outer);
      expect(() =>
        runEvaluation(inner, () => {
          throw new Error('inside');
        }),
      ).toThrow('inside');
      expect(currentEvaluation()).toBe(outer);
    });
    expect(() => currentEvaluation()).toThrow(ConditionFault);
  });

  it('gives every condition its own steps, also one inside another', () => {
    const inner = (): void => runEvaluation(evaluation(), () => spend(MAX_CONDITION_STEPS));
    const outer = (more: number) => (): void =>
      runEvaluation(evaluation(), () => {
        spend(MAX_CONDITION_STEPS);
        inner();
        spend(more);
      });
    expect(outer(0)).not.toThrow();
    expect(outer(1)).toThrow(EXHAUSTED);
  });
});

describe('steps', () => {
  it.each([[MAX_CONDITION_STEPS + 1], [Number.NaN], [-1], [Number.POSITIVE_INFINITY]])('%s at once are too many', (steps) => {
    expect(() => runEvaluation(evaluation(), () => spend(steps))).toThrow(EXHAUSTED);
  });

  it('cannot be used up in silence: whoever swallows the error swallows it in vain', () => {
    expect(() =>
      runEvaluation(evaluation(), () => {
        try {
          spend(MAX_CONDITION_STEPS + 1);
        } catch {
          // as `error || true` does
        }
        return true;
      }),
    ).toThrow(EXHAUSTED);
  });

  it('once used up every later step throws', () => {
    let thrown = 0;
    expect(() =>
      runEvaluation(evaluation(), () => {
        for (const steps of [MAX_CONDITION_STEPS + 1, 0, 1]) {
          try {
            spend(steps);
          } catch {
            thrown++;
          }
        }
      }),
    ).toThrow(EXHAUSTED);
    expect(thrown).toBe(3);
  });
});

const numbers = (count: number): Json => Array.from({ length: count }, (_, index) => index);
const texts = (count: number, size: number): Json => Array.from({ length: count }, () => 'a'.repeat(size));
const members = (count: number): Json => Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, index]));

describe('conditions that an agent makes long', () => {
  it.each<[string, string, Json]>([
    ['nested all', 'args.l.all(x, args.l.all(y, args.l.all(z, x + y + z >= 0)))', { l: numbers(1000) }],
    ['nested exists', 'args.l.exists(x, args.l.exists(y, args.l.exists(z, x + y + z < 0)))', { l: numbers(1000) }],
    ['nested exists_one', 'args.l.exists_one(x, args.l.exists_one(y, args.l.exists_one(z, x + y + z < 0)))', { l: numbers(1000) }],
    ['nested map', 'size(args.l.map(x, args.l.map(y, args.l.map(z, x)))) > 0', { l: numbers(1000) }],
    ['map with a filter', 'size(args.l.map(x, args.l.all(y, y >= 0), x)) > 0', { l: numbers(1000) }],
    ['nested filter', 'size(args.l.filter(x, size(args.l.filter(y, y > x)) > 0)) > 0', { l: numbers(1000) }],
    ['over the keys of a map', 'args.m.all(x, args.m.all(y, x != "" || y != ""))', { m: members(1000) }],
    ['over a map and no further than its first key', 'args.l.all(x, args.m.exists(y, true))', { l: numbers(1000), m: members(2000) }],
    ['a long list searched', 'args.l.all(x, x in args.l)', { l: numbers(2000) }],
    ['long lists compared', 'args.l.all(x, args.l == args.k)', { l: numbers(2000), k: numbers(2000) }],
    [
      'deep values compared',
      'args.l.all(x, args.a == args.b)',
      { l: numbers(500), a: { b: { c: numbers(2000) } }, b: { b: { c: numbers(2000) } } },
    ],
    ['long texts compared', 'args.l.all(x, x == args.t)', { l: texts(200, 100_000), t: 'a'.repeat(100_000) }],
    ['long texts searched', 'args.l.all(x, !args.t.contains("b"))', { l: numbers(2000), t: 'a'.repeat(100_000) }],
    ['long texts matched', 'args.l.all(x, !args.t.matches("b$"))', { l: numbers(2000), t: 'a'.repeat(100_000) }],
    ['texts joined', 'args.l.all(x, args.t + args.t != "")', { l: numbers(2000), t: 'a'.repeat(100_000) }],
    ['behind an or', 'args.l.all(x, args.l.all(y, args.l.all(z, true))) || true', { l: numbers(1000) }],
    ['behind an or, first', 'true && (args.l.all(x, args.l.all(y, args.l.all(z, true))) || true)', { l: numbers(1000) }],
    [
      'in a turn whose error another turn absorbs',
      '["a", "b"].exists(k, k == "b" || args.l.all(x, args.l.all(y, args.l.all(z, true))))',
      { l: numbers(1000) },
    ],
    ['turns that fail', 'args.l.all(x, x.a > 0)', { l: numbers(20_000) }],
    ['turns that fail and one that does not', 'args.l.exists(x, x < 0 || x.a > 0 || x == 19999)', { l: numbers(20_000) }],
    ['parts of turns that fail', 'args.l.all(x, x.a || x.b || x.c || x.d || x >= 0)', { l: numbers(5000) }],
    ['parts of turns that fail, with and', 'args.l.exists(x, x.a && x.b && x.c && x.d && x < 0)', { l: numbers(5000) }],
    ['in a branch', 'args.l.all(x, x < 0 ? false : args.l.all(y, args.l.all(z, y == z || true)))', { l: numbers(1000) }],
  ])('%s', (_, source, args) => {
    expect(() => compileCondition(source, 'w')(policyInput({ args }))).toThrow(EXHAUSTED);
    expect(() => compileCondition(source, 'w')(policyInput({ args }))).toThrow(ConditionError);
  });

  it('ends where the steps are used up: the loops around do not go on with turns that throw', () => {
    let source = 'true';
    for (let level = 0; level < 16; level++) source = `args.l.${level % 2 === 0 ? 'all' : 'exists'}(x${level}, ${source})`;
    const input = policyInput({ args: { l: numbers(MAX_CONDITION_ITEMS - 1) } });
    const condition = compileCondition(source, 'w');
    const before = performance.now();
    expect(() => condition(input)).toThrow(EXHAUSTED);
    // Takes milliseconds. Loops that go on take a second each.
    expect(performance.now() - before).toBeLessThan(3000);
  });

  it('a used-up allowance never lets a call through', () => {
    const when = 'args.l.all(x, args.l.all(y, args.l.all(z, true))) || true';
    const input = policyInput({ args: { l: numbers(1000) } });
    const policy = (effect: 'allow' | 'deny' | 'require_approval') =>
      rulePolicy({ id: 'p', rules: [{ id: 'r', tools: ['refund'], when, effect }] }).evaluate(input);
    expect(policy('allow')).toMatchObject({ effect: 'abstain' });
    expect(policy('deny')).toMatchObject({ effect: 'deny', always: true, reasonCode: 'POLICY_EVALUATION_FAILED' });
    expect(policy('require_approval')).toMatchObject({ effect: 'deny', always: true, reasonCode: 'POLICY_EVALUATION_FAILED' });
  });

  it.each<[string, Json]>([
    ['args.l.all(x, x >= 0)', { l: numbers(50_000) }],
    ['args.l.all(x, args.l.all(y, x + y >= 0))', { l: numbers(200) }],
    ['args.l.all(x, x in args.k)', { l: numbers(300), k: numbers(300) }],
    ['args.l.exists(x, x == args.t)', { l: texts(50, 1000), t: 'a'.repeat(1000) }],
    ['args.l.map(x, x * 2).filter(x, x > 10).size() > 0', { l: numbers(10_000) }],
    ['args.t.contains("a") && args.t.startsWith("a") && args.t.endsWith("a") && !args.t.matches("b")', { t: 'a'.repeat(2_000_000) }],
    ['args.m.all(k, k.startsWith("k"))', { m: members(5000) }],
    ['args.l.exists(x, x.a == 1)', { l: [...Array.from({ length: 5000 }, () => ({})), { a: 1 }] }],
    ['args.l.all(x, x.a == 1 || x.b == 1)', { l: Array.from({ length: 5000 }, () => ({ b: 1 })) }],
  ])('ordinary work is done: %s', (source, args) => {
    expect(compileCondition(source, 'w')(policyInput({ args }))).toBe(true);
  });
});

describe('remember', () => {
  it('works out an answer once for all rules of a call', () => {
    const { input } = evaluation();
    let worked = 0;
    const ask = (subject: string): number => remember('test', subject, () => ++worked);
    const rule = (): number => runEvaluation({ input, lookups: createLookups() }, () => ask('a') + ask('a'));
    expect([rule(), rule()]).toEqual([2, 2]);
    expect(runEvaluation({ input, lookups: createLookups() }, () => ask('b'))).toBe(2);
    expect(runEvaluation(evaluation(), () => ask('a'))).toBe(3);
  });

  it('takes the same steps off every condition, whoever came first', () => {
    const { input } = evaluation();
    const left = (): number => {
      let steps = 0;
      try {
        runEvaluation({ input, lookups: createLookups() }, () => {
          remember('test', 'a', () => spend(60_000));
          remember('test', 'a', () => spend(60_000));
          for (;;) {
            spend(1000);
            steps += 1000;
          }
        });
      } catch {
        // used up
      }
      return steps;
    };
    expect([left(), left(), left()]).toEqual([40_000, 40_000, 40_000]);
  });

  it('takes the same steps for what asks others, whoever asked before, and pays nobody twice', () => {
    const inner = (): number => remember('inner', 'a', () => (spend(30_000), 1));
    const outer = (kind: string): number => remember(kind, 'a', () => (spend(10_000), inner()));
    const steps = (...asks: readonly (() => unknown)[]): ((input: PolicyInput) => boolean) => {
      return (given) => {
        try {
          runEvaluation({ input: given, lookups: createLookups() }, () => {
            for (const ask of asks) ask();
            spend(MAX_CONDITION_STEPS - 50_000);
          });
          return true;
        } catch {
          return false;
        }
      };
    };
    const [one, both] = [(): number => outer('one'), (): number => outer('two')];
    // 30,000 and 10,000 twice are what is left; a step more is too much.
    for (const order of [
      [one, both],
      [both, inner, one],
      [inner, both, one, one],
    ]) {
      for (const warm of [[], [inner], [one], [both], [one, both, inner]]) {
        const given = policyInput();
        for (const ask of warm) runEvaluation({ input: given, lookups: createLookups() }, ask);
        expect(steps(...order)(given)).toBe(true);
        expect(steps(...order, () => spend(1))(given)).toBe(false);
      }
    }
  });

  it('knows an object by its identity, and forgets none of its kinds', () => {
    let worked = 0;
    const [left, right] = [new Map(), new Map()];
    runEvaluation({ input: policyInput(), lookups: createLookups() }, () => {
      const ask = (kind: string, subject: object): number => remember(kind, subject, () => ++worked);
      expect([ask('a', left), ask('a', right), ask('b', left), ask('a', left), ask('b', left)]).toEqual([1, 2, 3, 1, 3]);
    });
  });

  it('remembers no error', () => {
    const { input } = evaluation();
    const fail = (): unknown =>
      runEvaluation({ input, lookups: createLookups() }, () =>
        remember('test', 'a', () => {
          throw new ConditionFault('cannot');
        }),
      );
    expect(fail).toThrow('cannot');
    expect(fail).toThrow('cannot');
    expect(runEvaluation({ input, lookups: createLookups() }, () => remember('test', 'a', () => 1))).toBe(1);
  });
});

describe('lookups', () => {
  it('are read once and recorded under kind and subject', () => {
    const lookups = createLookups();
    expect(lookups.recorded()).toBeUndefined();
    let reads = 0;
    const look = (subject: string): Json => lookups.lookUp('path', subject, () => ++reads);
    expect([look('/b'), look('/a'), look('/b')]).toEqual([1, 2, 1]);
    expect(JSON.stringify(lookups.recorded())).toBe('{"path:/a":2,"path:/b":1}');
  });

  it('keep null, and names of objects, as answers', () => {
    const lookups = createLookups();
    let reads = 0;
    const look = (subject: string): Json =>
      lookups.lookUp('path', subject, () => {
        reads++;
        return null;
      });
    for (const subject of ['__proto__', 'constructor', '__proto__', 'constructor']) expect(look(subject)).toBeNull();
    expect(reads).toBe(2);
    const replayed = replayedLookups(lookups.recorded() ?? {});
    expect(replayed.lookUp('path', '__proto__', () => 1)).toBeNull();
  });

  it('are bounded in number and length', () => {
    const lookups = createLookups();
    for (let index = 0; index < MAX_LOOKUPS; index++) lookups.lookUp('path', `/${index}`, () => index);
    expect(() => lookups.lookUp('path', '/more', () => 1)).toThrow(ConditionFault);
    expect(lookups.lookUp('path', '/0', () => 'not read again')).toBe(0);
    expect(() => createLookups().lookUp('path', 'a'.repeat(MAX_LOOKUP_CHARS + 1), () => 1)).toThrow(ConditionFault);
  });

  it('of a replay read nothing and do not guess', () => {
    const replayed = replayedLookups({ 'path:/a': 1 });
    const never = (): Json => {
      throw new Error('read');
    };
    expect(replayed.lookUp('path', '/a', never)).toBe(1);
    for (const subject of ['/b', 'constructor', '__proto__', ''])
      expect(() => replayed.lookUp('path', subject, never)).toThrow(ConditionFault);
  });
});
