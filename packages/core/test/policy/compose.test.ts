import { describe, expect, it } from 'vitest';
import { MAX_REASON_CHARS } from '../../src/call.ts';
import { CountersignError } from '../../src/errors.ts';
import { allowAll, definePolicy, denyAll } from '../../src/policy/built-in.ts';
import { composePolicies, evaluatePolicy, MAX_COMPOSED_POLICIES } from '../../src/policy/compose.ts';
import { policyHash } from '../../src/policy/hash.ts';
import type { Policy, PolicyVerdict } from '../../src/policy/policy.ts';
import { policyInput } from './input.ts';

const INPUT = policyInput();
const FAILED = { effect: 'deny', always: true, reasonCode: 'POLICY_EVALUATION_FAILED' };

function giving(verdict: unknown, id = 'p', fallback: Policy['default'] = 'deny'): Policy {
  return definePolicy({ id, default: fallback, evaluate: () => verdict as PolicyVerdict });
}

function throwing(id: string): Policy {
  return definePolicy({
    id,
    evaluate: () => {
      throw new Error('sk-secret');
    },
  });
}

describe('built-in policies', () => {
  it('allow and deny everything', () => {
    expect(allowAll().evaluate(INPUT)).toMatchObject({ effect: 'allow' });
    expect(denyAll().evaluate(INPUT)).toMatchObject({ effect: 'deny' });
    expect(allowAll().hash).not.toBe(denyAll().hash);
    expect(allowAll().hash).toBe(policyHash(allowAll().document));
  });

  it('a function policy says what its hash covers', () => {
    const policy = definePolicy({ id: 'f', version: '1', evaluate: () => ({ effect: 'abstain' }) });
    expect(JSON.parse(policy.document)).toEqual({
      kind: 'function',
      id: 'f',
      version: '1',
      default: 'deny',
      source: "() => ({ effect: 'abstain' })".replaceAll("'", policy.document.includes('\\"abstain') ? '"' : "'"),
      note: 'closures are not covered',
    });
    expect(policy.default).toBe('deny');
  });

  it('hashes source and version', () => {
    const hash = (version: string, evaluate: Policy['evaluate']) => definePolicy({ id: 'f', version, evaluate }).hash;
    const first: Policy['evaluate'] = () => ({ effect: 'abstain' });
    const second: Policy['evaluate'] = () => ({ effect: 'allow' });
    expect(hash('1', first)).toBe(hash('1', first));
    expect(hash('1', first)).not.toBe(hash('2', first));
    expect(hash('1', first)).not.toBe(hash('1', second));
  });

  it('reads the real source of a function that describes itself as another', () => {
    const evaluate = Object.assign(() => ({ effect: 'allow' }) as const, { toString: () => 'harmless' });
    expect(definePolicy({ id: 'f', evaluate }).document).not.toContain('harmless');
    // What stands there later was not hashed.
    const definition = { id: 'f', evaluate: (): PolicyVerdict => ({ effect: 'deny' }) };
    const policy = definePolicy(definition);
    definition.evaluate = () => ({ effect: 'allow' });
    expect(policy.evaluate(policyInput())).toEqual({ effect: 'deny' });
  });

  it.each([
    [{ id: '' }],
    [{ id: 'a b' }],
    [{ id: 5 }],
    [{ version: 3 }],
    [{ default: 'no' }],
    [{ evaluate: 'x' }],
    [{ evaluate: undefined }],
  ])('refuses %j', (change) => {
    expect(() => definePolicy({ id: 'f', evaluate: () => ({ effect: 'abstain' }), ...(change as object) })).toThrow(CountersignError);
  });
});

describe('evaluatePolicy', () => {
  const garbage: readonly unknown[] = [
    undefined,
    null,
    true,
    'allow',
    [],
    {},
    { effect: 'ALLOW' },
    { effect: 'constructor' },
    { effect: ['allow'] },
    { effect: 'allow', rule: 5 },
    { effect: 'allow', rule: '' },
    { effect: 'allow', rule: 'x'.repeat(200) },
    { effect: 'allow', reason: {} },
    { effect: 'allow', reasonCode: 5 },
    { effect: 'allow', labels: 'x' },
    { effect: 'allow', labels: [5] },
    { effect: 'allow', labels: Array(65).fill('x') },
    { effect: 'deny', always: 'yes' },
    { effect: 'abstain', reason: 5 },
    { effect: 'require_approval', terms: 5 },
    { effect: 'require_approval', terms: null },
    { effect: 'require_approval', terms: { ttlMs: -1 } },
    { effect: 'require_approval', terms: { ttlMs: Infinity } },
    { effect: 'require_approval', terms: { quorum: 0 } },
    { effect: 'require_approval', terms: { quorum: '1' } },
    { effect: 'require_approval', terms: { approvers: [] } },
    { effect: 'require_approval', terms: { approvers: 'a' } },
    Object.defineProperty({}, 'effect', {
      enumerable: true,
      get: () => {
        throw new Error('no');
      },
    }),
    new Proxy(
      {},
      {
        ownKeys: () => {
          throw new Error('no');
        },
      },
    ),
  ];
  it.each(garbage.map((verdict, index) => [index, verdict] as const))('denies garbage %s', async (_index, verdict) => {
    expect(evaluatePolicy(giving(verdict), INPUT)).toMatchObject(FAILED);
    expect(await evaluatePolicy(giving(Promise.resolve(verdict)), INPUT)).toMatchObject(FAILED);
  });

  it('denies what throws or rejects, and never repeats the error', async () => {
    const expected = { ...FAILED, reason: 'policy "p" threw an error' };
    expect(evaluatePolicy(throwing('p'), INPUT)).toEqual(expected);
    expect(await evaluatePolicy(giving(Promise.reject(new Error('sk-secret'))), INPUT)).toEqual(expected);
    // oxlint-disable-next-line unicorn/no-thenable
    expect(await evaluatePolicy(giving({ then: () => JSON.parse('{') }), INPUT)).toEqual(expected);
  });

  it('stays synchronous for a synchronous policy', () => {
    expect(evaluatePolicy(allowAll(), INPUT)).not.toBeInstanceOf(Promise);
  });

  it('copies the verdict and drops what it does not know', () => {
    const verdict = { effect: 'allow', rule: 'r', labels: ['a'], extra: 1 };
    expect(evaluatePolicy(giving(verdict), INPUT)).toEqual({ effect: 'allow', rule: 'r', labels: ['a'] });
    expect(evaluatePolicy(giving({ effect: 'abstain', rule: 'r' }), INPUT)).toEqual({ effect: 'abstain' });
    expect(evaluatePolicy(giving({ effect: 'allow', always: true }), INPUT)).toEqual({ effect: 'allow' });
  });

  it('reads an inherited effect as no effect', () => {
    expect(evaluatePolicy(giving(Object.create({ effect: 'allow' })), INPUT)).toMatchObject(FAILED);
  });

  it('bounds reasons without splitting a character', () => {
    const verdict = evaluatePolicy(giving({ effect: 'deny', reason: '\u{1f4a9}'.repeat(MAX_REASON_CHARS) }), INPUT);
    if (verdict instanceof Promise || verdict.effect !== 'deny') throw new Error('expected a deny');
    expect(verdict.reason?.length).toBeLessThanOrEqual(MAX_REASON_CHARS);
    expect(verdict.reason?.isWellFormed()).toBe(true);
    expect(evaluatePolicy(giving({ effect: 'deny', reason: 'a\ud800b' }), INPUT)).toEqual({ effect: 'deny', reason: 'a\ufffdb' });
  });
});

describe('composePolicies', () => {
  const allow = giving({ effect: 'allow', rule: 'a', labels: ['x'] }, 'a');
  const ask = giving({ effect: 'require_approval', rule: 'k', labels: ['y'], terms: { ttlMs: 5, quorum: 1, approvers: ['p', 'q'] } }, 'k');
  const deny = giving({ effect: 'deny', rule: 'd' }, 'd');
  const abstain = giving({ effect: 'abstain' }, 'n');

  it.each([
    [[allow, ask, deny], { effect: 'deny', rule: 'd' }],
    [[deny, allow], { effect: 'deny', rule: 'd' }],
    [[allow, ask], { effect: 'require_approval', rule: 'k', labels: ['x', 'y'] }],
    [[abstain, allow], { effect: 'allow', rule: 'a' }],
    [[abstain, abstain], { effect: 'abstain' }],
    [[allow, throwing('t')], { ...FAILED, reason: 'policy "t" threw an error' }],
    [[deny, throwing('t')], { ...FAILED, reason: 'policy "t" threw an error' }],
    [[allow, giving({ effect: 'yes' }, 'g')], { ...FAILED, reason: 'policy "g" gave something that is not a verdict' }],
  ])('%#', (policies, expected) => {
    expect(composePolicies(policies).evaluate(INPUT)).toMatchObject(expected);
    expect(composePolicies([...policies].reverse()).evaluate(INPUT)).toMatchObject(expected);
  });

  it('is a promise only when a member is', async () => {
    const later = giving(Promise.resolve({ effect: 'deny', rule: 'later' }), 'l');
    expect(composePolicies([allow, ask]).evaluate(INPUT)).not.toBeInstanceOf(Promise);
    const verdict = composePolicies([allow, later]).evaluate(INPUT);
    expect(verdict).toBeInstanceOf(Promise);
    expect(await verdict).toMatchObject({ effect: 'deny', rule: 'later' });
    expect(await composePolicies([allow, giving(Promise.reject(new Error('x')), 'r')]).evaluate(INPUT)).toMatchObject(FAILED);
  });

  it('merges terms and denies what nobody could approve', () => {
    const other = (approvers: readonly string[]) => giving({ effect: 'require_approval', terms: { ttlMs: 9, quorum: 1, approvers } }, 'o');
    expect(composePolicies([ask, other(['q', 'r'])]).evaluate(INPUT)).toMatchObject({ terms: { ttlMs: 5, quorum: 1, approvers: ['q'] } });
    expect(composePolicies([ask, other(['r'])]).evaluate(INPUT)).toMatchObject({ effect: 'deny', reasonCode: 'POLICY_DENY_HIGH_RISK' });
  });

  it('keeps why members abstained', () => {
    expect(composePolicies([abstain, giving({ effect: 'abstain', reason: 'because' }, 'w')]).evaluate(INPUT)).toEqual({
      effect: 'abstain',
      reason: 'because',
    });
  });

  it('has the strictest default', () => {
    const withDefault = (fallback: Policy['default']) => giving({ effect: 'abstain' }, 'x', fallback);
    expect(composePolicies([withDefault('allow'), withDefault('allow')]).default).toBe('allow');
    expect(composePolicies([withDefault('allow'), withDefault('require_approval')]).default).toBe('require_approval');
    expect(composePolicies([withDefault('allow'), { ...allow, default: undefined } as unknown as Policy]).default).toBe('deny');
  });

  it('hashes its members', () => {
    const composed = composePolicies([allow, deny]);
    expect(composed.id).toBe('a+d');
    expect(composed.hash).toBe(policyHash(composed.document));
    expect(composed.document).toContain(allow.hash);
    expect(composed.hash).not.toBe(composePolicies([deny, allow]).hash);
  });

  it('returns one policy as it is, and refuses none or too many', () => {
    expect(composePolicies([allow])).toBe(allow);
    expect(() => composePolicies([])).toThrow('allowAll()');
    expect(() => composePolicies(Array(MAX_COMPOSED_POLICIES + 1).fill(allow))).toThrow(CountersignError);
  });

  it('is not changed by changing the list it was given', () => {
    const list = [allow, deny];
    const composed = composePolicies(list);
    list.pop();
    expect(composed.evaluate(INPUT)).toMatchObject({ effect: 'deny' });
  });
});
