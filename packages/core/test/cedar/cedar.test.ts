import { createRequire } from 'node:module';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Cedar, cedarEngine } from '../../src/cedar/engine.ts';
import { cedarPolicy } from '../../src/cedar/index.ts';
import { cedarPolicyOn } from '../../src/cedar/policy.ts';
import { cedarRequest, MAX_CONTEXT_CHARS, MAX_CONTEXT_DEPTH, MAX_CONTEXT_VALUES } from '../../src/cedar/request.ts';
import { createGuard, type Json, type Policy, type PolicyInput, type PolicyVerdict } from '../../src/index.ts';
import { evaluatePolicy } from '../../src/policy/compose.ts';
import { memoryStore } from '../../src/testing/index.ts';
import { refunds } from './guide.ts';

const input = (over: Partial<PolicyInput> = {}): PolicyInput => ({
  tool: { server: 'files', name: 'read_file' },
  args: {},
  findings: [],
  agent: 'billing-bot',
  session: { id: 's1', labels: [], halted: false, startedAtMs: 1_767_225_600_000, version: 1 },
  mode: 'enforce',
  atMs: 1_767_225_660_000,
  raw: () => undefined,
  ...over,
});
const policy = (policies: string, more: object = {}): Policy => cedarPolicy({ id: 'c', policies, ...more });
const verdict = (of: Policy, over: Partial<PolicyInput> = {}): PolicyVerdict => evaluatePolicy(of, input(over)) as PolicyVerdict;
const effect = (text: string, over: Partial<PolicyInput> = {}): string => verdict(policy(text), over).effect;
const FAILED = { effect: 'deny', always: true, reasonCode: 'POLICY_EVALUATION_FAILED' };

describe('what Cedar decides', () => {
  it('forbid is deny, permit is allow, an annotated permit asks, and no match abstains', () => {
    const of = policy(`
      @id("reads") @reason("harmless") permit (principal, action, resource == Tool::"files/read_file");
      @id("big") @effect("require_approval") @approvers("finance, ana") @ttl("5m") @quorum("2") @assurance("high") @label("seen,big")
      permit (principal, action, resource == Tool::"refund") when { context.args.amount > 500 };
      @id("never") @reason_code("NO_DELETES") forbid (principal, action, resource in Server::"db");
    `);
    expect(verdict(of)).toEqual({ effect: 'allow', rule: 'reads', reasonCode: 'POLICY_ALLOW_LOW_RISK', reason: 'harmless' });
    expect(verdict(of, { tool: { name: 'refund' }, args: { amount: 501 } })).toEqual({
      effect: 'require_approval',
      rule: 'big',
      reasonCode: 'POLICY_REQUIRE_APPROVAL_HIGH_VALUE',
      labels: ['big', 'seen'],
      terms: { ttlMs: 300_000, quorum: 2, approvers: ['finance', 'ana'], assurance: 'high' },
    });
    expect(verdict(of, { tool: { name: 'refund' }, args: { amount: 500 } })).toEqual({ effect: 'abstain' });
    expect(verdict(of, { tool: { server: 'db', name: 'x' } })).toEqual({ effect: 'deny', rule: 'never', reasonCode: 'NO_DELETES' });
  });

  it('the most restrictive of all that match wins, and terms are merged', () => {
    const allow = '@id("a") permit (principal, action, resource);';
    const ask = (id: string, terms: string): string =>
      `@id("${id}") @effect("require_approval") ${terms} permit (principal, action, resource);`;
    const deny = '@id("d") forbid (principal, action, resource);';
    expect(effect(`${allow} ${ask('b', '')}`)).toBe('require_approval');
    expect(effect(`${allow} ${ask('b', '')} ${deny}`)).toBe('deny');
    expect(verdict(policy(`${ask('b', '@quorum("2") @ttl("1h")')} ${ask('c', '@ttl("5m") @approvers("x,y,z")')}`))).toMatchObject({
      rule: 'b',
      asks: 2,
      terms: { quorum: 2, ttlMs: 300_000, approvers: ['x', 'y', 'z'] },
    });
    expect(verdict(policy(`${ask('b', '@approvers("x")')} ${ask('c', '@approvers("y")')}`))).toMatchObject({ effect: 'deny', rule: 'b' });
  });

  it('the order of policies never matters, and adding a forbid never allows more', () => {
    const parts = [
      '@id("a") permit (principal, action, resource) when { context.args.n < 5 };',
      '@id("b") @effect("require_approval") permit (principal, action, resource) when { context.args.n < 8 };',
      '@id("c") forbid (principal, action, resource) when { context.args.n == 3 };',
      '@id("d") permit (principal, action, resource) when { context.args.missing };',
    ];
    const strictness = { abstain: 0, allow: 0, require_approval: 1, deny: 2 };
    fc.assert(
      fc.property(fc.shuffledSubarray(parts, { minLength: 1 }), fc.integer({ min: 0, max: 10 }), (some, n) => {
        const before = verdict(policy(some.join('\n')), { args: { n } });
        expect(verdict(policy(some.toSorted().join('\n')), { args: { n } })).toEqual(before);
        const after = verdict(policy([...some, '@id("z") forbid (principal, action, resource) when { context.args.n > 2 };'].join('\n')), {
          args: { n },
        });
        expect(strictness[after.effect]).toBeGreaterThanOrEqual(strictness[before.effect]);
      }),
      { numRuns: 40 },
    );
  });

  it.each([
    ['principal', 'principal == Agent::"billing-bot"'],
    ['action', 'action == Action::"call"'],
    ['the person', 'context.principal == "ada"'],
    ['session', 'context.session.id == "s1" && context.session.labels.contains("untrusted")'],
    ['when it started', 'context.session.started < context.time'],
    ['mode', 'context.mode == "enforce"'],
    ['time', 'context.time == datetime("2026-01-01T00:01:00Z")'],
    ['hints', 'context.annotations.readOnlyHint'],
    ['findings', 'context.findings.contains("aws-key")'],
    ['cost', 'context.cost == 5'],
    ['a number', 'context.args.n == 7 && context.args.n + 1 == 8'],
    ['a decimal', 'context.args.d.greaterThan(decimal("1.24"))'],
    ['null', 'context.args.nothing == Null::"null"'],
    ['a list', 'context.args.list.containsAll([1, 2])'],
    ['a key with a name of its own', 'context.args["__proto__"] == "p" && context.args.constructor == "c"'],
  ])('sees %s', (_name, condition) => {
    const args: Json = JSON.parse('{"n":7,"d":1.25,"nothing":null,"list":[1,2,2],"__proto__":"p","constructor":"c"}');
    const over = {
      args,
      principal: 'ada',
      cost: 5,
      findings: [{ kind: 'aws-key', pointer: '/a' }],
      session: { ...input().session, labels: ['untrusted'] },
      tool: { name: 'x', annotations: { readOnlyHint: true } },
    };
    expect(verdict(policy(`@id("a") permit (principal, action, resource) when { ${condition} };`), over).effect).toBe('allow');
    expect(verdict(policy(`@id("a") permit (principal, action, resource) unless { ${condition} };`), over).effect).toBe('abstain');
  });

  it('knows groups of agents and tools from entities', () => {
    const of = policy('@id("a") permit (principal in Team::"money", action, resource in Kind::"reads");', {
      entities: [
        { uid: { type: 'Agent', id: 'billing-bot' }, attrs: {}, parents: [{ type: 'Team', id: 'money' }] },
        { uid: { type: 'Tool', id: 'files/read_file' }, attrs: {}, parents: [{ type: 'Kind', id: 'reads' }] },
      ],
    });
    expect(verdict(of).effect).toBe('allow');
    expect(verdict(of, { agent: 'other' }).effect).toBe('abstain');
    expect(verdict(of, { tool: { server: 'files', name: 'write_file' } }).effect).toBe('abstain');
  });
});

describe('what fails closed', () => {
  it('a forbid or an ask that cannot be evaluated denies; Cedar itself would pass over it', () => {
    const allow = '@id("z") permit (principal, action, resource);';
    const when = 'when { context.args.path == "/etc" };';
    expect(verdict(policy(`${allow} @id("no") forbid (principal, action, resource) ${when}`))).toMatchObject({ ...FAILED, rule: 'no' });
    expect(verdict(policy(`${allow} @id("ask") @effect("require_approval") permit (principal, action, resource) ${when}`))).toMatchObject({
      ...FAILED,
      rule: 'ask',
    });
    expect(verdict(policy(`@id("may") permit (principal, action, resource) ${when}`))).toEqual({
      effect: 'abstain',
      reason: 'a permit did not apply: cedar policy "may" could not be evaluated',
    });
    expect(effect(`${allow} @id("may") permit (principal, action, resource) ${when}`)).toBe('allow');
  });

  it('never quotes an argument', () => {
    const of = policy('@id("no") forbid (principal, action, resource) when { decimal(context.args.x).lessThan(decimal("1.0")) };');
    const said = JSON.stringify(verdict(of, { args: { x: 'hunter2hunter2' } }));
    expect(said).toContain('POLICY_EVALUATION_FAILED');
    expect(said).not.toContain('hunter2');
  });

  const nested = (depth: number): Json => (depth === 0 ? 1 : [nested(depth - 1)]);
  it.each<readonly [string, Json]>([
    ['an entity', { who: { __entity: { type: 'Agent', id: 'admin' } } }],
    ['an extension', { n: { __extn: { fn: 'decimal', arg: '1.0' } } }],
    ['an expression', { n: { __expr: '1' } }],
    ['an entity in a list', { list: [[{ __entity: { type: 'A', id: 'b' } }]] }],
    ['a key __entity beside others', { a: { __entity: 'x', b: 1 } }],
    ['a number past 2^53', { n: 2 ** 53 }],
    ['a huge number', { n: 1e300 }],
    ['a tiny number', { n: 1e-7 }],
    ['a number with five decimals', { n: 0.12345 }],
    ['a number past the range of decimals', { n: 922_337_203_685_477.5 }],
    ['half a character', { s: '\ud800' }],
    ['half a character in a key', { 's\udc00': 1 }],
    ['deep lists', { a: nested(MAX_CONTEXT_DEPTH) }],
    ['very deep lists', { a: nested(5000) }],
    ['a long text', { s: 'x'.repeat(MAX_CONTEXT_CHARS + 1) }],
    ['many values', { a: Array.from({ length: MAX_CONTEXT_VALUES }, () => true) }],
  ])('denies a call with %s, whatever the policies say', (_name, args) => {
    const of = policy('@id("all") permit (principal, action, resource);');
    expect(verdict(of, { args })).toMatchObject(FAILED);
    expect(verdict(of).effect).toBe('allow');
  });

  it('takes what is just within the bounds', () => {
    const of = policy('@id("all") permit (principal, action, resource);');
    for (const args of [
      { a: nested(MAX_CONTEXT_DEPTH - 1) },
      { n: Number.MAX_SAFE_INTEGER, m: -0, d: -99_999_999.9999 },
      { s: 'x'.repeat(MAX_CONTEXT_CHARS - 10) },
      { s: '"\\\n\0\u2028 permit(principal, action, resource);' },
    ])
      expect(verdict(of, { args }).effect).toBe('allow');
  });

  it.each([
    ['a tool without server that is named like one of a server', { name: 'files/read_file' }],
    ['a server with a slash', { server: 'files/read_file', name: '' }],
    ['a name that is escaped already', { server: 'files%2Fread_file', name: 'x' }],
    ['quotes in the name', { name: 'x" || true || resource == Tool::"files/read_file' }],
    ['another case', { server: 'Files', name: 'read_file' }],
  ])('no name reaches another tool: %s', (_name, tool) => {
    expect(effect('@id("a") permit (principal, action, resource == Tool::"files/read_file");', { tool })).toBe('abstain');
  });

  it('names of tools and resources are one to one', () => {
    fc.assert(
      fc.property(
        fc.record({
          server: fc.option(fc.string({ unit: fc.constantFrom('a', '/', '%', '2', 'F') }), { nil: undefined }),
          name: fc.string({ unit: fc.constantFrom('a', '/', '%', '2', 'F') }),
        }),
        fc.record({
          server: fc.option(fc.string({ unit: fc.constantFrom('a', '/', '%', '2', 'F') }), { nil: undefined }),
          name: fc.string({ unit: fc.constantFrom('a', '/', '%', '2', 'F') }),
        }),
        (one, other) => {
          const idOf = (tool: { server: string | undefined; name: string }): string => {
            const { server, name } = tool;
            return cedarRequest(input({ tool: { name, ...(server !== undefined && { server }) } })).resource.id;
          };
          expect(idOf(one) === idOf(other)).toBe(one.server === other.server && one.name === other.name);
        },
      ),
    );
  });
});

describe('what does not load', () => {
  const permit = 'permit (principal, action, resource)';
  it.each([
    ['nothing', '', 'there is no policy'],
    ['a comment', '// permit', 'there is no policy'],
    ['no text of Cedar', 'rules: []', 'c:1:'],
    ['a policy without @id', `${permit};`, '@id'],
    ['an id out of shape', `@id("a b") ${permit};`, '@id'],
    ['two of one id', `@id("a") ${permit}; @id("a") ${permit};`, 'another policy'],
    ['a template', '@id("a") permit (principal == ?principal, action, resource);', 'templates'],
    ['an unknown annotation', `@id("a") @efect("require_approval") ${permit};`, 'did you mean "effect"'],
    ['another effect', `@id("a") @effect("ask") ${permit};`, '@effect'],
    ['an effect in capitals', `@id("a") @effect("REQUIRE_APPROVAL") ${permit};`, '@effect'],
    ['an effect without value', `@id("a") @effect ${permit};`, '@effect'],
    ['a forbid that allows', '@id("a") @effect("allow") forbid (principal, action, resource);', '@effect'],
    ['terms of an allow', `@id("a") @approvers("x") ${permit};`, '@approvers'],
    ['a label of a forbid', '@id("a") @label("x") forbid (principal, action, resource);', '@label'],
    ['a label out of shape', `@id("a") @label("a b") ${permit};`, '@label'],
    ['a ttl out of shape', `@id("a") @effect("require_approval") @ttl("soon") ${permit};`, '@ttl'],
    ['a quorum of none', `@id("a") @effect("require_approval") @quorum("0") ${permit};`, '@quorum'],
    ['a quorum that is no number', `@id("a") @effect("require_approval") @quorum("0x2") ${permit};`, '@quorum'],
    ['a quorum nobody can reach', `@id("a") @effect("require_approval") @quorum("2") @approvers("x, x") ${permit};`, '@quorum'],
    ['no approver', `@id("a") @effect("require_approval") @approvers("x,") ${permit};`, '@approvers'],
    ['an assurance there is not', `@id("a") @effect("require_approval") @assurance("total") ${permit};`, '@assurance'],
    ['a reason code out of shape', `@id("a") @reason_code("no") ${permit};`, '@reason_code'],
    ['a policy past the limit', `@id("a") ${permit}; //${'x'.repeat(600_000)}`, 'longer'],
    ['a function there is not', `@id("a") ${permit} when { exec("rm") };`, 'c:1:'],
  ])('%s', (_name, text, message) => {
    expect(() => policy(text)).toThrowError(
      expect.objectContaining({ code: 'OPTIONS_INVALID', message: expect.stringContaining(message) }),
    );
  });

  it('says line and column, counted in characters', () => {
    const text = `@id("a") ${permit} when { context.args.x == "äöü" };\n\n  permit (principal, action resource);`;
    expect(() => policy(text)).toThrowError(
      expect.objectContaining({ message: expect.stringContaining('c:3:29:'), details: { line: 3, column: 29 } }),
    );
  });

  it('what does not fit the schema', () => {
    const schema = `
      entity Agent; entity Tool in [Server]; entity Server;
      action call appliesTo { principal: Agent, resource: Tool, context: { args: { amount?: Long } } };`;
    const when = (condition: string): string => `@id("a") ${permit} when { ${condition} };`;
    expect(policy(when('context.args has amount && context.args.amount > 5'), { schema }).hash).toMatch(/^[0-9a-f]{64}$/);
    for (const wrong of [
      'context.args.amount > 5',
      'context.args has amount && context.args.amount == "5"',
      'context.args has amuont && context.args.amuont > 1',
    ])
      expect(() => policy(when(wrong), { schema })).toThrowError(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
    expect(() => policy(when('true'), { schema: 'entity' })).toThrowError(/schema/);
    expect(() => policy(when('true'), { entities: [{ uid: 'x' }] })).toThrowError(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
  });

  it('a policy that makes Cedar trap, and others go on', () => {
    const good = policy(`@id("a") ${permit};`);
    const deep = `@id("a") ${permit} when { ${'('.repeat(20_000)}true${')'.repeat(20_000)} };`;
    expect(() => policy(deep)).toThrowError(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
    expect(verdict(good).effect).toBe('allow');
    expect(verdict(policy(`@id("b") ${permit};`)).effect).toBe('allow');
  });
});

describe('answers that say more than they were asked', () => {
  const real = createRequire(import.meta.url)('@cedar-policy/cedar-wasm/nodejs') as Cedar;
  const TEXT =
    '@id("a") permit (principal, action, resource); @id("ask") @effect("require_approval") permit (principal, action, resource); @id("d") forbid (principal, action, resource) when { false };';
  const answering = (answer: () => unknown): Policy =>
    cedarPolicyOn(
      cedarEngine(() => ({ ...real, statefulIsAuthorized: answer as Cedar['statefulIsAuthorized'] })),
      { id: 'c', policies: TEXT },
    );
  const said = (decision: unknown, reason: unknown, errors: unknown = []): unknown => ({
    type: 'success',
    response: { decision, diagnostics: { reason, errors } },
    warnings: [],
  });

  it.each<readonly [string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['a failure', { type: 'failure', errors: [], warnings: [] }],
    ['no diagnostics', { type: 'success', response: { decision: 'allow' } }],
    ['an allow for no reason', said('allow', [])],
    ['an allow by a policy there is not', said('allow', ['other'])],
    ['an allow by a known policy and another', said('allow', ['a', '__proto__'])],
    ['an allow by a forbid', said('allow', ['d'])],
    ['an allow by a permit and a forbid', said('allow', ['a', 'd'])],
    ['a deny by a permit', said('deny', ['a'])],
    ['another decision', said('maybe', [])],
    ['an error of a policy there is not', said('allow', ['a'], [{ policyId: 'other' }])],
  ])('%s is a denial', (_name, answer) => {
    expect(verdict(answering(() => answer))).toMatchObject(FAILED);
  });

  it('an error of a forbid denies beside an allow', () => {
    expect(verdict(answering(() => said('allow', ['a'], [{ policyId: 'd' }])))).toMatchObject({ ...FAILED, rule: 'd' });
  });

  it('a trap is a denial, and the next call has another instance', () => {
    let traps = 1;
    let instances = 0;
    const engine = cedarEngine(() => {
      instances++;
      return {
        ...real,
        statefulIsAuthorized: (call) => {
          if (traps-- > 0) throw new RangeError('Maximum call stack size exceeded');
          return real.statefulIsAuthorized(call);
        },
      };
    });
    const of = cedarPolicyOn(engine, { id: 'c', policies: '@id("a") permit (principal, action, resource);' });
    expect(verdict(of)).toMatchObject(FAILED);
    expect(verdict(of).effect).toBe('allow');
    expect(instances).toBe(2);
    traps = 1000;
    for (let call = 0; call < 100; call++) expect(verdict(of)).toMatchObject(FAILED);
    expect(instances).toBeLessThanOrEqual(16);
  });
});

it('is known by its text, not by the order of its policies', () => {
  const [one, two] = ['@id("a") permit (principal, action, resource);', '@id("b") forbid (principal, action, resource);'];
  expect(policy(`${one}\n${two}`).hash).toBe(policy(`// said otherwise\n${two} ${one}`).hash);
  expect(policy(one).hash).not.toBe(policy(one, { version: '2' }).hash);
  expect(policy(one).hash).not.toBe(policy(one, { default: 'allow' }).hash);
  expect(policy(one).hash).not.toBe(policy(one, { entities: [{ uid: { type: 'A', id: 'b' }, attrs: {}, parents: [] }] }).hash);
});

it('decides the calls of a guard', async () => {
  const store = memoryStore();
  const guard = createGuard({ agent: 'billing-bot', policy: refunds, store });
  const kind = async (args: unknown): Promise<string> =>
    (await guard.authorize({ tool: { name: 'refund' }, args }, { approval: 'suspend' })).kind;
  expect(await kind({ amount: 5 })).toBe('permit');
  expect(await kind({ amount: 501 })).toBe('pending');
  expect(await kind({ amount: '5' })).toBe('refusal');
  expect(await kind({ amount: 5, note: 'AKIAIOSFODNN7EXAMPLA' })).toBe('refusal');
});
