import { describe, expect, it } from 'vitest';
import { type CheckPolicyOptions, checkPolicySource } from '../../../src/policy/check/check.ts';
import { POLICY_CODES } from '../../../src/policy/check/codes.ts';
import { readToolsList } from '../../../src/policy/check/known-tools.ts';

const seen = new Set<string>();

/** `code line rule` of every finding. */
function found(source: string, options: CheckPolicyOptions = {}): readonly string[] {
  return checkPolicySource(source, options).findings.map(({ code, line, rule }) => {
    seen.add(code);
    return `${code} ${line}${rule === undefined ? '' : ` ${rule}`}`;
  });
}

/** A policy alone: its rules begin on line 3. */
function rules(...lines: readonly string[]): string {
  return ['id: p', 'rules:', ...lines.map((line) => `  - ${line}`)].join('\n');
}

const DENY_ALL_FILES = '{ id: no, tools: ["files/*"], effect: deny }';

describe('a file that does not load', () => {
  it('tells every problem with its place, in a policy alone and in a configuration', () => {
    expect(found(rules('{ id: a, tools: [x], efect: deny }', '{ id: a b, tools: ["x/"], effect: deny, when: "argz.x" }'))).toEqual([
      'POLICY_INVALID 3',
      'POLICY_INVALID 3',
    ]);
    const whole = `version: 1\nagent: bot\npolicy:\n  id: p\n  rules:\n    - { id: a, tools: ["x/"], effect: deny, when: "argz.x" }\n`;
    expect(found(whole)).toEqual(['POLICY_INVALID 6', 'POLICY_INVALID 6']);
  });

  it.each(['', '[]', 'null', 'x', '{', 'a: 1', 'id: p\nrules: [\n', 'rules: []'])('never throws for %j', (source) => {
    const { findings, policy } = checkPolicySource(source);
    expect(policy).toBeUndefined();
    expect(findings.length).toBeGreaterThan(0);
    expect(findings.every(({ code, severity }) => code === 'POLICY_INVALID' && severity === 'error')).toBe(true);
  });

  it('gives the place of the value, in a policy alone and in a configuration', () => {
    const rule = '{ id: a, tools: [x, "x/"], effect: deny, when: "argz.x" }';
    const places = (source: string): unknown => checkPolicySource(source).findings.map(({ line, column }) => [line, column]);
    const [pattern, condition] = [rule.indexOf('"x/"') + 1, rule.indexOf('"argz') + 1];
    expect(places(rules(rule))).toEqual([
      [3, 4 + pattern],
      [3, 4 + condition],
    ]);
    expect(places(`version: 1\nagent: bot\npolicy:\n  id: p\n  rules:\n    - ${rule}\n`)).toEqual([
      [6, 6 + pattern],
      [6, 6 + condition],
    ]);
  });

  it('names keys as they stand in the file', () => {
    const [finding] = checkPolicySource('id: p\nruls: []\nrules: []').findings;
    expect(finding?.message).toBe('ruls: unknown key "ruls", did you mean "rules"?');
  });
});

describe('rules against rules', () => {
  it('finds an allow rule that is always denied or asked about', () => {
    expect(found(rules('{ id: a, tools: ["files/read_*"], effect: allow }', DENY_ALL_FILES))).toEqual(['RULE_SHADOWED 3 a']);
    expect(found(rules('{ id: a, tools: ["files/x"], effect: allow }', '{ id: q, tools: [x], effect: require_approval }'))).toEqual([
      'RULE_SHADOWED 3 a',
    ]);
    expect(found(rules('{ id: q, tools: ["files/x"], effect: require_approval }', '{ id: no, tools: ["*"], effect: deny }'))).toEqual([
      'RULE_SHADOWED 3 q',
    ]);
  });

  it('finds one that only several together shadow', () => {
    const source = rules(
      '{ id: a, tools: ["f/x", "g/y"], effect: allow }',
      '{ id: n, tools: ["f/*"], effect: deny }',
      '{ id: m, tools: ["g/*"], effect: deny }',
    );
    expect(checkPolicySource(source).findings[0]?.message).toContain('rules "n", "m"');
    expect(found(source)).toEqual(['RULE_SHADOWED 3 a']);
  });

  it.each([
    [
      'the stricter rule has a condition',
      rules('{ id: a, tools: ["files/x"], effect: allow }', '{ id: no, tools: ["files/*"], effect: deny, unless: "tool == \'x\'" }'),
    ],
    [
      'the stricter rule matches less',
      rules('{ id: a, tools: ["files/*"], effect: allow }', '{ id: no, tools: ["files/x"], effect: deny }'),
    ],
    [
      'a labelling allow rule counts beside an ask',
      rules('{ id: a, tools: ["f/x"], effect: allow, label: [l] }', '{ id: q, tools: [x], effect: require_approval }'),
    ],
    ['a label rule counts in audit mode beside a deny', rules('{ id: a, tools: ["files/x"], effect: label, label: [l] }', DENY_ALL_FILES)],
    ['one of its patterns is free', rules('{ id: a, tools: ["files/x", "web/x"], effect: allow }', DENY_ALL_FILES)],
  ])('says nothing when %s', (_why, source) => {
    expect(found(source)).toEqual([]);
  });

  it('tells one of two rules that say the same', () => {
    expect(found(rules('{ id: a, tools: [x, y], effect: deny, reason: one }', '{ id: b, tools: [y, x], effect: deny }'))).toEqual([
      'RULE_DUPLICATE 4 b',
    ]);
    expect(
      found(
        rules('{ id: a, tools: [x], effect: deny, when: "tool == \'x\'" }', '{ id: b, tools: [x], effect: deny, when: "tool == \'y\'" }'),
      ),
    ).toEqual([]);
  });

  it('tells a rule that adds nothing', () => {
    expect(found(rules('{ id: a, tools: ["f/*"], effect: allow }', '{ id: b, tools: ["f/x"], effect: allow }'))).toEqual([
      'RULE_REDUNDANT 4 b',
    ]);
    expect(
      found(rules('{ id: b, tools: ["f/x"], effect: allow, when: "args.n == 1" }', '{ id: a, tools: ["f/*"], effect: allow }')),
    ).toEqual(['RULE_REDUNDANT 3 b']);
    for (const adds of ['label: [l]', 'reason_code: OURS_X'])
      expect(found(rules('{ id: a, tools: ["f/*"], effect: allow }', `{ id: b, tools: ["f/x"], effect: allow, ${adds} }`))).toEqual([]);
  });

  it('says so when there are too many rules to compare', () => {
    const many = Array.from({ length: 2200 }, (_, i) => `{ id: r${i}, tools: ["s${i}/*"], effect: deny }`);
    const check = checkPolicySource(rules(...many));
    expect(check.isComplete).toBe(false);
    expect(checkPolicySource(rules(...many.slice(0, 500))).isComplete).toBe(true);
  });
});

describe('conditions', () => {
  it.each([
    ['when: "1 == 1"', 'CONDITION_CONSTANT 3 a'],
    ['when: "size(\'ab\') == 3"', 'RULE_NEVER_APPLIES 3 a'],
    ['unless: "true"', 'RULE_NEVER_APPLIES 3 a'],
    ['unless: "false"', 'CONDITION_CONSTANT 3 a'],
    ['when: "[1][3] == 1"', 'CONDITION_CONSTANT 3 a'],
    ['unless: "[1][3] == 1"', 'CONDITION_CONSTANT 3 a'],
    ['when: "mode == \'enforced\'"', 'RULE_NEVER_APPLIES 3 a'],
    ["when: \"mode in ['audit'] && mode == 'enforce'\"", 'RULE_NEVER_APPLIES 3 a'],
    ['when: "size(tool) > 5 && size(tool) < 5"', 'RULE_NEVER_APPLIES 3 a'],
    ['when: "size(tool) >= 5 && 5 > size(tool)"', 'RULE_NEVER_APPLIES 3 a'],
    ["when: \"agent == 'x' && (tool == 'y' && agent == 'z')\"", 'RULE_NEVER_APPLIES 3 a'],
    ['when: "size(tool) == 7 && size(tool) < 5"', 'RULE_NEVER_APPLIES 3 a'],
  ])('%s', (condition, finding) => {
    expect(found(rules(`{ id: a, tools: ["f/*"], effect: deny, ${condition} }`))).toEqual([finding]);
  });

  it.each([
    'when: "size(tool) >= 5 && size(tool) <= 5"',
    'when: "size(tool) > -5 && size(tool) < 5"',
    "when: \"mode == 'audit' || mode == 'x'\"",
    "when: \"agent == 'x' || agent == 'z'\"",
    "when: \"mode in ['audit', 'confirm'] && mode == 'audit'\"",
    'when: "time > session.started"',
  ])('says nothing against %s', (condition) => {
    expect(found(rules(`{ id: a, tools: ["f/*"], effect: deny, ${condition} }`))).toEqual([]);
  });

  it('warns of trust in annotations, where it loosens', () => {
    expect(found(rules('{ id: a, tools: ["f/*"], effect: allow, when: "annotations.readOnlyHint" }'))).toEqual(['ANNOTATION_TRUSTED 3 a']);
    expect(found(rules('{ id: a, tools: ["f/*"], effect: deny, unless: "annotations.readOnlyHint" }'))).toEqual(['ANNOTATION_TRUSTED 3 a']);
    expect(found(rules('{ id: a, tools: ["f/*"], effect: allow, unless: "annotations.destructiveHint" }'))).toEqual([]);
    expect(found(rules('{ id: a, tools: ["f/*"], effect: deny, when: "annotations.destructiveHint" }'))).toEqual([]);
  });

  it('warns of values the redactor replaces, also by names of the configuration', () => {
    expect(found(rules('{ id: a, tools: ["f/*"], effect: allow, when: "args.user.password == \'x\'" }'))).toEqual([
      'ARGUMENT_REDACTED 3 a',
    ]);
    expect(found(rules('{ id: a, tools: ["f/*"], effect: allow, when: "has(args.password)" }'))).toEqual([]);
    const iban = (keys: string): string =>
      `version: 1\nagent: bot\nredaction: { keys: [${keys}] }\npolicy:\n  id: p\n  rules:\n    - { id: a, tools: ["f/*"], effect: allow, when: "args.iban == 'x'" }\n`;
    expect(found(iban('iban'))).toEqual(['ARGUMENT_REDACTED 7 a']);
    expect(found(iban(''))).toEqual([]);
  });

  it('hints that raw arguments cannot be replayed', () => {
    expect(found(rules(`{ id: a, tools: ["f/*"], effect: allow, raw: [/x], when: "raw['/x'] == 'y'" }`))).toEqual(['RAW_READ 3 a']);
  });
});

describe('arguments that may be absent', () => {
  const deny = (condition: string): readonly string[] => found(rules(`{ id: a, tools: ["f/*"], effect: deny, ${condition} }`));

  it.each([
    'when: "args.n > 1"',
    'when: "has(args.m) && args.n > 1"',
    'when: "has(args.n) || args.n > 1"',
    'when: "!has(args.n) && args.n > 1"',
    'when: "args.n > 1 && has(args.n)"',
    'when: "has(args.n) ? args.m > 1 : true"',
    'when: "has(args.n) ? true : args.n > 1"',
    'when: "(has(args.n) || has(args.m)) && args.n > 1"',
    'when: "has(args.n.m)"',
    'when: "args[\'n\'] > 1"',
    'when: "args.list.exists(x, x > 1)"',
    'when: "has(args.m)", unless: "args.n > 1"',
    'unless: "args.n > 1"',
  ])('%s', (condition) => {
    expect(deny(condition)).toEqual([expect.stringMatching(/^ARGUMENT_UNGUARDED 3 a$/)]);
  });

  it.each([
    'when: "has(args.n) && args.n > 1"',
    'when: "has(args.n) && has(args.n.m) && args.n.m > 1"',
    'when: "\'n\' in args && args.n > 1"',
    'when: "!has(args.n) || args.n > 1"',
    'when: "has(args.n) ? args.n > 1 : false"',
    'when: "!(has(args.n) && args.n > 1)"',
    'when: "!(!has(args.n) || args.n > 1)"',
    'when: "(has(args.n) || (has(args.n) && has(args.m))) && args.n > 1"',
    'when: "has(args.n)", unless: "args.n > 1"',
    'when: "size(args) > 1"',
  ])('says nothing against %s', (condition) => {
    expect(deny(condition)).toEqual([]);
  });

  it('says nothing of an allow rule, which then only fails to allow', () => {
    expect(found(rules('{ id: a, tools: ["f/*"], effect: allow, when: "args.n > 1" }'))).toEqual([]);
  });
});

describe('with tools that are known', () => {
  const tools = readToolsList(
    {
      tools: [
        {
          name: 'refund',
          inputSchema: { type: 'object', properties: { amount: {}, note: {}, to: { properties: { city: {} } } }, required: ['amount'] },
        },
        { name: 'list', inputSchema: { type: 'object', properties: {} } },
        { name: 'open', inputSchema: { type: 'object', properties: { a: {} }, additionalProperties: true } },
        { name: 'odd', inputSchema: 7 },
      ],
    },
    'bank',
  );
  const known = (rule: string): readonly string[] => found(rules(rule), { tools });

  it('names patterns that match nothing, and what may be meant', () => {
    const check = checkPolicySource(
      rules(
        '{ id: a, tools: ["bank/refnd", "bank/list"], effect: allow }',
        '{ id: b, tools: [refund], effect: allow }',
        '{ id: c, tools: [refunds], effect: deny }',
      ),
      {
        tools,
      },
    );
    expect(check.findings.map(({ code, message }) => `${code} ${message}`)).toEqual([
      'PATTERN_MATCHES_NOTHING the pattern "bank/refnd" matches none of the 4 known tools, did you mean "bank/refund"?',
      'RULE_MATCHES_NOTHING matches none of the 4 known tools: in an allow rule a bare name means tools without a server; did you mean "bank/refund"?',
      'RULE_MATCHES_NOTHING matches none of the 4 known tools, did you mean "refund"?',
    ]);
    for (const { code } of check.findings) seen.add(code);
    expect(check.unmatched.map(({ name }) => name)).toEqual(['refund', 'open', 'odd']);
  });

  it.each([
    ['args.amount > 1', []],
    ['args.note == "x"', ['ARGUMENT_UNGUARDED 3 a']],
    ['has(args.note) && args.note == "x"', []],
    ['has(args.to) && args.to.city == "x"', ['ARGUMENT_UNGUARDED 3 a']],
    ['args.amuont > 1', ['ARGUMENT_UNKNOWN 3 a']],
    ['has(args.to) && args.to.street == "x"', ['ARGUMENT_UNKNOWN 3 a']],
  ])('%s', (condition, expected) => {
    expect(known(`{ id: a, tools: ["bank/refund"], effect: allow, when: '${condition}' }`)).toEqual(expected);
  });

  it('claims nothing where a schema says nothing', () => {
    expect(known(`{ id: a, tools: ["bank/open"], effect: allow, when: 'args.b == 1' }`)).toEqual([]);
    expect(known(`{ id: a, tools: ["bank/odd"], effect: allow, when: 'args.b == 1' }`)).toEqual([]);
  });

  it.each([[7], [{}], [{ tools: 1 }], [{ tools: [{}] }], [[{ name: 'a\u0000' }]], [[null]], [{ result: {} }]])(
    'refuses %j as a list of tools',
    (value) => {
      expect(() => readToolsList(value)).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
    },
  );

  it('takes the list alone and a JSON-RPC answer', () => {
    expect(readToolsList([{ name: 'x' }])).toEqual([{ name: 'x' }]);
    expect(readToolsList({ jsonrpc: '2.0', id: 1, result: { tools: [{ name: 'x' }] } }, 's')).toEqual([{ server: 's', name: 'x' }]);
  });
});

describe('the policy as a whole', () => {
  it('warns of an open default', () => {
    expect(found('id: p\ndefault: allow\nrules: []')).toEqual(['DEFAULT_ALLOWS 2']);
    expect(found('id: p\nrules: []')).toEqual(['NO_RULES 2']);
    expect(found('id: p\ndefault: require_approval\nrules: [{ id: a, tools: [x], effect: deny }]')).toEqual([]);
  });

  it('knows that packs alone allow the rest on purpose while they watch, and nothing otherwise', () => {
    const whole = (mode: string, rest = ''): string => `version: 1\nagent: bot\nmode: ${mode}\npolicy:\n  packs: [baseline]\n${rest}`;
    expect(found(whole('audit'))).toEqual([]);
    expect(found(whole('audit', '  id: p\n  rules: [{ id: a, tools: [x], effect: deny }]\n  default: allow\n'))).toEqual([
      'DEFAULT_ALLOWS 8',
    ]);
    expect(found(whole('enforce', '  default: allow\n'))).toEqual(['DEFAULT_ALLOWS 6']);
    expect(found(whole('enforce'))).toEqual(['NO_RULES 5']);
    expect(found('packs: [baseline]')).toEqual(['NO_RULES 1']);
  });

  it('warns of approvers nobody configured, in a configuration', () => {
    const rule = '{ id: a, tools: [x], effect: require_approval, approval: { approvers: [finace] } }';
    const whole = (approvers: string): string => `version: 1\nagent: bot\n${approvers}policy:\n  id: p\n  rules:\n    - ${rule}\n`;
    expect(found(rules(rule))).toEqual([]);
    expect(found(whole(''))).toEqual(['APPROVER_UNKNOWN 6 a']);
    const key = 'finance+1a2b3c4d+AYE5dw6ofRdfVqNUZsNMfszLjYqRtO43ol32D1uPybOU';
    const [finding] = checkPolicySource(whole(`approvers: { finance: { key: "${key}" } }\n`)).findings;
    expect(finding?.message).toContain('did you mean "finance"?');
  });
});

// The last test: a code that nothing above provokes is a code nobody can trust.
it('provoked every code', () => {
  expect([...seen].toSorted()).toEqual(Object.keys(POLICY_CODES).toSorted());
});
