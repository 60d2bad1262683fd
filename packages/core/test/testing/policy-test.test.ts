import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type PolicyTestReport, policyTestJsonSchema, runPolicyTests } from '../../src/testing/index.ts';

function folder(files: Readonly<Record<string, string>>): string {
  const path = mkdtempSync(join(tmpdir(), 'countersign-policy-test-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text);
  return path;
}

const POLICY = `
id: p
rules:
  - { id: small, tools: ["bank/refund"], when: "args.amount <= 500", effect: allow }
  - { id: big, tools: [refund], when: "args.amount > 500", effect: require_approval, approval: { quorum: 2, approvers: [ana, bob] } }
  - { id: web, tools: ["browser/*"], effect: allow, label: [untrusted] }
  - { id: mail, tools: ["email/*"], effect: allow }
  - { id: flow, tools: ["email/*"], when: "'untrusted' in session.labels", effect: require_approval }
  - { id: seen, tools: ["files/*"], effect: label, label: [read] }
  - { id: late, tools: [late], when: "time >= timestamp('2026-06-01T00:00:00Z')", effect: deny }
  - { id: hint, tools: [hinted], when: "annotations.destructiveHint == true", effect: deny }
  - { id: old, tools: [old], when: "time - session.started > duration('1h')", effect: deny }
  - { id: who, tools: ["a/who"], when: "principal == 'ada' && agent == 'billing'", effect: allow }
`;

async function tested(cases: string, top = ''): Promise<PolicyTestReport> {
  const path = folder({ 'p.yaml': POLICY, 'test.yaml': `policy: p.yaml\n${top}cases:\n${cases}` });
  return runPolicyTests(join(path, 'test.yaml'));
}

async function passes(one: string, top = ''): Promise<void> {
  const { cases } = await tested(`  - name: x\n    ${one}`, top);
  expect(cases[0]?.steps.flatMap(({ differences }) => differences)).toEqual([]);
  expect(cases[0]?.isOk).toBe(true);
}

async function refused(text: string): Promise<string> {
  const path = folder({ 'p.yaml': POLICY, 'test.yaml': text });
  const error: unknown = await runPolicyTests(join(path, 'test.yaml')).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: 'CONFIG_INVALID' });
  return error instanceof Error ? error.message : '';
}

describe('a case', () => {
  it.each([
    '{ call: { tool: bank/refund, args: { amount: 5 } }, expect: allow }',
    '{ call: { server: bank, tool: refund, args: { amount: 5 } }, expect: { effect: allow, would: allow, rule: small, reason_code: POLICY_ALLOW_LOW_RISK, labels: [] } }',
    '{ call: { tool: refund, args: { amount: 5 } }, expect: { effect: deny, rule: null } }',
    '{ call: { tool: refund, args: { amount: 501 } }, expect: { effect: require_approval, rule: big } }',
    '{ call: { tool: browser/open }, expect: { effect: allow, labels: [untrusted] } }',
    '{ session: { labels: [untrusted] }, call: { tool: email/send }, expect: { effect: require_approval, rule: flow } }',
    "{ time: '2026-06-01T02:00:00+02:00', call: { tool: late }, expect: { effect: deny, rule: late } }",
    "{ time: '2026-05-31T23:59:59Z', call: { tool: late }, expect: { effect: deny, rule: null } }",
    '{ call: { tool: hinted, annotations: { destructiveHint: true } }, expect: { effect: deny, rule: hint } }',
    "{ session: { started: '2026-01-01T00:00:00Z' }, time: '2026-01-01T02:00:00Z', call: { tool: old }, expect: { effect: deny, rule: old } }",
    "{ session: { started: '2026-01-01T00:00:00Z' }, time: '2026-01-01T00:30:00Z', call: { tool: old }, expect: { effect: deny, rule: null } }",
    '{ mode: audit, call: { tool: files/x }, expect: { effect: allow, would: deny, rule: null, labels: [read] } }',
    '{ mode: confirm, call: { tool: files/x }, expect: { effect: require_approval, would: deny, reason_code: POLICY_DEFAULT_REQUIRE_APPROVAL } }',
  ])('%s', async (one) => passes(flow(one)));

  it('takes agent and mode of the whole file', async () => {
    await passes(flow('{ principal: ada, call: { tool: a/who }, expect: { effect: allow, rule: who } }'), 'agent: billing\n');
    await passes(flow('{ call: { tool: a/who }, expect: { effect: allow, would: deny } }'), 'mode: audit\n');
  });

  it.each([
    ['effect', '{ call: { tool: browser/open }, expect: deny }', 'deny', 'allow'],
    ['would', '{ call: { tool: browser/open }, expect: { effect: allow, would: deny } }', 'deny', 'allow'],
    ['rule', '{ call: { tool: browser/open }, expect: { effect: allow, rule: mail } }', 'mail', 'web'],
    ['rule', '{ call: { tool: browser/open }, expect: { effect: allow, rule: null } }', null, 'web'],
    ['reason_code', '{ call: { tool: browser/open }, expect: { effect: allow, reason_code: X } }', 'X', 'POLICY_ALLOW_LOW_RISK'],
    ['labels', '{ call: { tool: browser/open }, expect: { effect: allow, labels: [] } }', [], ['untrusted']],
  ])('fails for another %s, and says why', async (field, one, expected, got) => {
    const { cases } = await tested(`  - name: x\n    ${flow(one)}`);
    expect(cases[0]?.isOk).toBe(false);
    expect(cases[0]?.line).toBe(3);
    const [step] = cases[0]?.steps ?? [];
    expect(step?.differences).toEqual([{ field, expected, got }]);
    expect(step?.explanation?.rules).toMatchObject([{ policy: 'p', rule: 'web', outcome: 'applies', decides: true }]);
  });

  it('never quotes a secret', async () => {
    const secret = 'ghp_0123456789abcdefghijABCDEFGHIJ012345';
    const { cases } = await tested(`  - name: x\n    call: { tool: browser/open, args: { token: ${secret} } }\n    expect: deny`);
    expect(JSON.stringify(cases)).not.toContain(secret);
  });
});

describe('a sequence', () => {
  it('carries labels from one call to the next, through a real guard', async () => {
    const { cases } = await tested(`
  - name: flow
    steps:
      - { call: { tool: email/send }, expect: { effect: allow, rule: mail } }
      - { call: { tool: browser/open }, expect: allow }
      - { call: { tool: email/send }, expect: { effect: require_approval, rule: flow } }
  - name: another session
    call: { tool: email/send }
    expect: allow`);
    expect(cases.map(({ isOk }) => isOk)).toEqual([true, true]);
  });

  it('lets a call run that a person approves, and only then labels', async () => {
    const policy = `policy:
  id: p
  rules:
    - { id: ask, tools: [web], effect: require_approval, label: [seen] }
    - { id: out, tools: [out], when: "'seen' in session.labels", effect: deny }
    - { id: out-ok, tools: [out], effect: allow }
`;
    const steps = (approve: string, effect: string): string =>
      `${policy}cases:\n  - name: x\n    steps:\n      - { call: { tool: web }, expect: require_approval${approve} }\n      - { call: { tool: out }, expect: ${effect} }\n`;
    for (const [approve, effect] of [
      [', approve: true', 'deny'],
      ['', 'allow'],
    ] as const) {
      const path = folder({ 'test.yaml': steps(approve, effect) });
      expect((await runPolicyTests(join(path, 'test.yaml'))).cases[0]?.isOk).toBe(true);
    }
  });

  it('moves the clock', async () => {
    const { cases } = await tested(`
  - name: x
    steps:
      - { call: { tool: browser/open }, expect: allow }
      - { after: 59m, call: { tool: old }, expect: { effect: deny, rule: null } }
      - { after: 2m, call: { tool: old }, expect: { effect: deny, rule: old } }`);
    expect(cases[0]?.isOk).toBe(true);
  });
});

it('asks rules on results, and their labels carry over', async () => {
  const policy = `policy:
  id: p
  rules:
    - { id: open, tools: [web, out], effect: allow }
    - { id: hide, on: result, tools: [web], when: "text.contains('SECRET')", effect: withhold, label: [seen] }
    - { id: stop, tools: [out], when: "'seen' in session.labels", effect: deny }
`.replace('text.contains', 'result.text.contains');
  const steps = (first: string, expect: string, then: string): string =>
    `${policy}cases:\n  - name: x\n    steps:\n      - { call: { tool: web }, result: ${first}, expect: { effect: allow, result: ${expect} } }\n      - { call: { tool: out }, expect: ${then} }\n`;
  for (const [first, expected, then] of [
    ['a SECRET', 'withhold', 'deny'],
    ['nothing', 'release', 'allow'],
  ] as const) {
    const path = folder({ 'test.yaml': steps(first, expected, then) });
    const { cases, decisive } = await runPolicyTests(join(path, 'test.yaml'));
    expect(decisive.has('hide')).toBe(expected === 'withhold');
    expect(cases[0]?.steps.map(({ differences }) => differences)).toEqual([[], []]);
  }
  const wrong = folder({ 'test.yaml': steps('a SECRET', 'release', 'deny') });
  expect((await runPolicyTests(join(wrong, 'test.yaml'))).cases[0]?.steps[0]?.differences).toEqual([
    { field: 'result', expected: 'release', got: 'withhold' },
  ]);
});

describe('a file', () => {
  it('tells which rules decided', async () => {
    const { rules, decisive } = await tested(
      '  - { name: a, call: { tool: browser/open }, expect: allow }\n  - { name: b, mode: audit, call: { tool: files/x }, expect: allow }',
    );
    expect([...decisive].toSorted()).toEqual(['seen', 'web']);
    expect(rules).toHaveLength(10);
  });

  it.each([
    ['no cases', 'policy: p.yaml\ncases: []', 'cases: may not be empty'],
    [
      'an unknown key',
      'policy: p.yaml\ncases:\n  - { name: x, call: { tool: a }, expct: allow, expect: allow }',
      'unknown key "expct", did you mean "expect"?',
    ],
    [
      'an unknown key in a step',
      'policy: p.yaml\ncases:\n  - { name: x, steps: [{ call: { tool: a, arg: 1 }, expect: allow }] }',
      'unknown key "arg", did you mean "args"?',
    ],
    ['an unknown effect', 'policy: p.yaml\ncases:\n  - { name: x, call: { tool: a }, expect: alow }', '3:'],
    ['no expectation', 'policy: p.yaml\ncases:\n  - { name: x, call: { tool: a } }', '3:'],
    [
      'a time that is none',
      'policy: p.yaml\ncases:\n  - { name: x, time: yesterday, call: { tool: a }, expect: allow }',
      'a time is written 2026-01-31T10:00:00Z',
    ],
    ['no policy', 'cases:\n  - { name: x, call: { tool: a }, expect: allow }', 'policy: required, but missing'],
    [
      'a policy that is not there',
      'policy: q.yaml\ncases:\n  - { name: x, call: { tool: a }, expect: allow }',
      '1:9 policy: there is no file q.yaml beside this one',
    ],
    [
      'an inline policy that does not load',
      'policy: { id: p, rules: [{ id: a, tools: [x], when: "argz.x", effect: deny }] }\ncases:\n  - { name: x, call: { tool: a }, expect: allow }',
      'did you mean "args"?',
    ],
    ['no YAML', '{', '1:'],
  ])('is refused with %s', async (_what, text, message) => {
    expect(await refused(text)).toContain(message);
  });

  it('publishes its schema', () => {
    const published: unknown = JSON.parse(readFileSync(new URL('../../../../docs/policy-test.schema.json', import.meta.url), 'utf8'));
    expect(published).toEqual(policyTestJsonSchema());
  });
});

/** `{ a, b }` as the block of a list item: `a` and `b` on lines of their own would need a parser, so it stays a flow map. */
function flow(one: string): string {
  return one.slice(2, -2).replaceAll(/, (?=(call|expect|time|mode|session|principal):)/g, '\n    ');
}
