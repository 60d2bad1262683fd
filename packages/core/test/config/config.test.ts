import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseDuration } from '../../src/config/duration.ts';
import { configJsonSchema } from '../../src/config/json-schema.ts';
import { loadConfig, parseConfig } from '../../src/config/load.ts';
import { nearest } from '../../src/config/nearest.ts';
import { CountersignError } from '../../src/errors.ts';
import { policyInput } from '../policy/input.ts';

const MINIMAL = `version: 1
agent: bot
policy:
  id: p
  rules:
    - { id: r1, tools: [a], effect: allow }
`;

function faultOf(run: () => unknown): CountersignError {
  try {
    run();
  } catch (error) {
    if (CountersignError.is(error)) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

function problemsOf(text: string): string {
  const error = faultOf(() => parseConfig(text, { path: 'c.yaml' }));
  expect(error.code).toBe('CONFIG_INVALID');
  return error.message;
}

describe('the example of docs/config.md', () => {
  const markdown = readFileSync(new URL('../../../../docs/config.md', import.meta.url), 'utf8');
  const example = /```yaml\n([\s\S]*?)```/.exec(markdown)?.[1] ?? '';

  it('loads whole', () => {
    const config = parseConfig(example, { path: '/etc/c/countersign.yaml' });
    expect(config.agent).toBe('billing-bot');
    expect(config.policy.version).toBe('3');
    expect(config.policyDefinition.rules).toHaveLength(6);
    expect(config.budgets.map(({ id, limit, windowMs, kind }) => ({ id, limit, windowMs, kind }))).toEqual([
      { id: 'calls', limit: 100_000_000, windowMs: 3_600_000, kind: 'count' },
      { id: 'refund-total', limit: 10_000_000_000, windowMs: 86_400_000, kind: 'cost' },
    ]);
    expect(config.approvals).toEqual({
      channels: [
        'elicitation',
        'page',
        'terminal',
        { webhook: { url: 'https://pager.example/countersign', secrets: [{ env: 'PAGER_SECRET' }], settled: true } },
        {
          slack: {
            channel: 'C0123ABCD',
            team: 'T0123ABCD',
            token: { file: '/etc/c/.countersign/slack-token' },
            signingSecrets: [{ file: '/etc/c/.countersign/slack-signing-secret' }],
            users: new Map([['U0123ABCD', 'alice']]),
          },
        },
      ],
      senders: [{ name: 'pager', secrets: [{ env: 'PAGER_ANSWERS_SECRET' }], approvers: ['bob'] }],
      page: { port: 4680 },
      ttlMs: 300_000,
      maxTtlMs: 3_600_000,
      maxGrantTtlMs: 86_400_000,
    });
    expect(config.approvers.get('finance')).toMatch(/^finance\+1a2b3c4d\+/);
    expect(config.ledger).toEqual({
      path: '/etc/c/.countersign/ledger.db',
      key: '/etc/c/.countersign/ledger.key',
      origin: 'example.com/billing',
      sign: 'commit',
      writer: 'auto',
      anchors: [
        { file: '/etc/witness/head.note' },
        { witness: { url: 'https://witness.example', vkey: expect.stringMatching(/^witness\.example\+/) as string } },
      ],
      auditLog: { path: '/etc/c/.countersign/audit.jsonl', keep: 5 },
      mirror: '/etc/c/.countersign/ledger.jsonl',
    });
    expect(config.scope?.network?.allowed_ports).toEqual([443]);
  });

  it('names every key of the schema in its tables', () => {
    const names = new Set<string>();
    const walk = (schema: unknown): void => {
      if (typeof schema !== 'object' || schema === null) return;
      if ('properties' in schema) for (const key of Object.keys(schema.properties ?? {})) names.add(key);
      Object.values(schema).forEach(walk);
    };
    walk(configJsonSchema());
    expect(names.size).toBeGreaterThan(40);
    const documented = new Set([...markdown.matchAll(/`([\w.<>]+)`/g)].flatMap((match) => match[1]?.split('.') ?? []));
    expect([...names].filter((name) => !documented.has(name))).toEqual([]);
  });

  it('decides as its rules say', () => {
    const { policy } = parseConfig(example);
    const refund = (amount: number) => policy.evaluate(policyInput({ tool: { name: 'refund' }, args: { amount, currency: 'EUR' } }));
    expect(refund(500)).toMatchObject({ effect: 'allow', rule: 'small-refund' });
    expect(refund(500.01)).toMatchObject({ effect: 'require_approval', rule: 'big-refund', reasonCode: 'REFUND_OVER_LIMIT' });
    expect(policy.evaluate(policyInput({ tool: { server: 'x', name: 'refund' }, args: { amount: 5, currency: 'EUR' } }))).toEqual({
      effect: 'abstain',
    });
  });
});

describe('defaults', () => {
  it('fills in what is absent', () => {
    const config = parseConfig(MINIMAL);
    expect(config.path).toBeUndefined();
    expect(config.mode).toBe('enforce');
    expect(config.policy.default).toBe('deny');
    expect(config.approvals).toEqual({
      channels: [],
      senders: [],
      page: { port: 4680 },
      ttlMs: 300_000,
      maxTtlMs: 3_600_000,
      maxGrantTtlMs: 86_400_000,
    });
    expect(config.ledger).toEqual({
      path: resolve('.countersign/ledger.db'),
      key: resolve('.countersign/ledger.key'),
      origin: 'countersign.local/bot',
      sign: 'commit',
      writer: 'inline',
      anchors: [],
    });
    expect(config.redaction).toEqual({ keys: [], values: [], detectors: [], results: false });
  });

  it('has no key with sign: none, and refuses one', () => {
    expect(parseConfig(`${MINIMAL}ledger: { sign: none }\n`).ledger).not.toHaveProperty('key');
    expect(problemsOf(`${MINIMAL}ledger: { sign: none, key: k }\n`)).toContain('7:28 ledger.key: with sign: none');
  });

  it('reads ~/ in ledger paths as home', () => {
    expect(parseConfig(`${MINIMAL}ledger: { path: ~/l.db }\n`).ledger.path).toBe(join(homedir(), 'l.db'));
  });

  it('gives ask rules the ttl of the file', () => {
    const text = `${MINIMAL}    - { id: ask, tools: [b], effect: require_approval }\napprovals: { ttl: 2m }\n`;
    expect(parseConfig(text).policy.evaluate(policyInput({ tool: { name: 'b' } }))).toMatchObject({ terms: { ttlMs: 120_000 } });
  });

  it('raises the longest ttl only when told', () => {
    const ask = '    - { id: ask, tools: [b], effect: require_approval, approval: { ttl: 2h } }\n';
    expect(problemsOf(MINIMAL + ask)).toContain('7:73 policy.rules[1].approval.ttl: longer than 1h');
    expect(parseConfig(`${MINIMAL}approvals: { max_grant_ttl: 7d }\n`).approvals.maxGrantTtlMs).toBe(604_800_000);
    expect(() => parseConfig(`${MINIMAL}approvals: { max_grant_ttl: soon }\n`)).toThrow(/max_grant_ttl/);
    expect(parseConfig(`${MINIMAL + ask}approvals: { max_ttl: 2h }\n`).approvals.maxTtlMs).toBe(7_200_000);
    expect(problemsOf(`${MINIMAL}approvals: { ttl: 61m }\n`)).toContain('7:19 approvals.ttl: longer than 1h');
  });
});

describe('how long the proxy holds a call', () => {
  it.each([
    ['', 45_000],
    ['mcp: { hold: 0 }', 0],
    ['mcp: { hold: 5s }', 5000],
    ['mcp: { hold: 1h }', 3_600_000],
  ])('%s', (text, holdMs) => {
    expect(parseConfig(`${MINIMAL}${text}\n`).mcp.holdMs).toBe(holdMs);
  });

  it.each(['0s', '61m', 'soon', '-1s', '45'])('not %s', (hold) => {
    expect(problemsOf(`${MINIMAL}mcp: { hold: "${hold}" }\n`)).toContain('mcp.hold: write 0, or a duration of at most 1h');
  });

  it.each(['45', '-1', 'true', '[]'])('not the bare %s', (hold) => {
    expect(problemsOf(`${MINIMAL}mcp: { hold: ${hold} }\n`)).toContain('mcp.hold:');
  });
});

const WITNESS_KEY = 'witness.example+d7809e6b+BFbNofoSZ4Oq8aTrygNTP0o4tfO0xblijDIRuYF7Cc6d';
const LOG_KEY = 'example.com/billing+6d00182e+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c';
const witness = (key: string, more = ''): string =>
  `${MINIMAL}ledger: { ${more}anchors: [{ witness: { url: "https://w.example", ${key} } }] }\n`;

describe('problems, each with its place', () => {
  const pins: readonly (readonly [string, string, string])[] = [
    ['unknown key', `${MINIMAL}polcy: 1\n`, '7:1 polcy: unknown key "polcy", did you mean "policy"?'],
    [
      'unknown rule key',
      MINIMAL.replace('effect: allow', 'effect: allow, wen: "true"'),
      '6:44 policy.rules[0].wen: unknown key "wen", did you mean "when"?',
    ],
    ['unknown key nobody is near', `${MINIMAL}zzzzzzzz: 1\n`, '7:1 zzzzzzzz: unknown key "zzzzzzzz"\n'],
    ['unknown key in a record', `${MINIMAL}approvers: { a: { kee: x } }\n`, 'approvers.a.kee: unknown key "kee", did you mean "key"?'],
    ['prototype names are keys like others', `${MINIMAL}constructor: 1\n`, '7:1 constructor: unknown key "constructor"'],
    ['__proto__', `${MINIMAL}__proto__: { mode: audit }\n`, '7:1 the key "__proto__" is not allowed'],
    ['missing agent', MINIMAL.replace('agent: bot\n', ''), '1:1 agent: required, but missing'],
    ['missing policy', 'version: 1\nagent: a\n', 'policy: required, but missing'],
    ['wrong version', MINIMAL.replace('version: 1', 'version: 2'), '1:10 version: must be 1'],
    ['wrong type', MINIMAL.replace('agent: bot', 'agent: [bot]'), '2:8 agent: expected string, got list'],
    [
      'number for text',
      MINIMAL.replace('id: p', 'id: p\n  version: 3'),
      '5:12 policy.version: expected string, got number: put it in quotes',
    ],
    [
      'bad effect',
      MINIMAL.replace('effect: allow', 'effect: alow'),
      '6:37 policy.rules[0].effect: must be one of allow, deny, require_approval, label, mask, truncate, withhold, did you mean "allow"?',
    ],
    ['bad mode', `${MINIMAL}mode: Enforce\n`, '7:7 mode: must be one of audit, confirm, enforce, did you mean "enforce"?'],
    [
      'duplicate rule id',
      `${MINIMAL}    - { id: r1, tools: [a], effect: deny }\n`,
      '7:13 policy.rules[1].id: another rule has the id "r1"',
    ],
    [
      'bad condition',
      MINIMAL.replace('effect: allow', 'effect: allow, when: "arg.x > 1"'),
      '6:50 policy.rules[0].when: condition: unknown variable "arg", did you mean "args"? (line 1, column 1 of the expression)',
    ],
    ['condition syntax', MINIMAL.replace('effect: allow', 'effect: allow, when: "args.x >"'), '(line 1, column 9 of the expression)'],
    [
      'condition type',
      MINIMAL.replace('effect: allow', 'effect: allow, unless: "size(tool)"'),
      'policy.rules[0].unless: condition: the result must be true or false, not int',
    ],
    [
      'bad pattern',
      MINIMAL.replace('tools: [a]', 'tools: [a, "fs/**"]'),
      '6:28 policy.rules[0].tools[1]: tool pattern "fs/**": "**" is not known',
    ],
    ['no pattern', MINIMAL.replace('tools: [a]', 'tools: []'), '6:24 policy.rules[0].tools: may not be empty'],
    ['bad duration', `${MINIMAL}approvals: { ttl: 5 minutes }\n`, '7:19 approvals.ttl: write one whole number and a unit'],
    [
      'bad budget window',
      `${MINIMAL}budgets: [{ id: b, per: agent, limit: 1, window: 1w }]\n`,
      '7:50 budgets[0].window: window: write one whole number',
    ],
    [
      'bad budget limit',
      `${MINIMAL}budgets: [{ id: b, per: agent, limit: -1 }]\n`,
      '7:39 budgets[0].limit: limit: an amount may not be negative',
    ],
    ['infinite budget', `${MINIMAL}budgets: [{ id: b, per: agent, limit: .inf }]\n`, '7:39 budgets[0].limit: expected number'],
    [
      'bad cost',
      `${MINIMAL}budgets: [{ id: b, per: agent, limit: 1, cost: tool }]\n`,
      '7:48 budgets[0].cost: cost: the result must be a number, not string',
    ],
    [
      'duplicate budget',
      `${MINIMAL}budgets: [{ id: b, per: agent, limit: 1 }, { id: b, per: tool, limit: 1 }]\n`,
      '7:50 budgets[1].id: another budget has the id "b"',
    ],
    [
      'per',
      `${MINIMAL}budgets: [{ id: b, per: agnt, limit: 1 }]\n`,
      'budgets[0].per: must be one of agent, tool, session, principal, did you mean "agent"?',
    ],
    ['verifier line', `${MINIMAL}approvers: { a: { key: hello } }\n`, '7:24 approvers.a.key: a verifier line is name+keyid+base64'],
    [
      'approver name',
      `${MINIMAL}approvers: { "a b": { key: "n+00000000+AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAh" } }\n`,
      '7:21 approvers["a b"]: approver: use letters',
    ],
    ['port', `${MINIMAL}scope: { network: { allowed_ports: [70000] } }\n`, '7:37 scope.network.allowed_ports[0]: too large: at most 65535'],
    [
      'label on deny',
      MINIMAL.replace('effect: allow', 'effect: deny, label: [x]'),
      '6:50 policy.rules[0].label: label has no effect on a deny rule',
    ],
    [
      'approval on allow',
      MINIMAL.replace('effect: allow', 'effect: allow, approval: {}'),
      'policy.rules[0].approval: approval belongs to rules',
    ],
    ['undeclared raw', MINIMAL.replace('effect: allow', `effect: allow, when: "raw['/x'] == 1"`), 'raw pointer "/x" is not declared'],
    ['origin', `${MINIMAL}ledger: { origin: a b }\n`, '7:19 ledger.origin: an origin has no spaces'],
    ['agent with a space', MINIMAL.replace('agent: bot', 'agent: my bot'), '2:8 agent: use letters, digits'],
    ['syntax', 'version: 1\nagent: [a\n', 'flow sequence'],
    ['duplicate key', `${MINIMAL}mode: audit\nmode: enforce\n`, '8:1 map keys must be unique'],
    [
      'a witness with the key of a log',
      witness(`vkey: ${LOG_KEY}`),
      'ledger.anchors[0].witness.vkey: must be the key of a witness, of type 4',
    ],
    ['a witness with a key id of another key', witness(`vkey: ${WITNESS_KEY.replace('d7', 'd8')}`), 'vkey: verifier key has a key id that'],
    ['a witness without key', witness(''), 'ledger.anchors[0]'],
    ['a witness with more', witness(`vkey: ${WITNESS_KEY}, token: hunter2`), 'ledger.anchors[0]'],
    [
      'a witness for an unsigned ledger',
      witness(`vkey: ${WITNESS_KEY}`, 'sign: none, '),
      'ledger.anchors[0]: a witness checks signed ledgers only',
    ],
    [
      'a timestamp authority without certificates',
      `${MINIMAL}ledger: { anchors: [{ rfc3161: { url: "https://tsa.example" } }] }\n`,
      'ledger.anchors[0]',
    ],
    [
      'a timestamp policy in words',
      `${MINIMAL}ledger: { anchors: [{ rfc3161: { url: "https://tsa.example", certificates: tsa.pem, policy: best } }] }\n`,
      'ledger.anchors[0]',
    ],
    [
      'a timestamp authority for an unsigned ledger',
      `${MINIMAL}ledger: { sign: none, anchors: [{ rfc3161: { url: "https://tsa.example", certificates: tsa.pem } }] }\n`,
      'ledger.anchors[0]: a timestamp stands beside the signature',
    ],
    ['several documents', `${MINIMAL}---\n${MINIMAL}`, '7:1 source contains multiple documents'],
    ['custom tag', MINIMAL.replace('agent: bot', 'agent: !!js/function bot'), '2:8 unresolved tag'],
    ['binary tag', MINIMAL.replace('agent: bot', 'agent: !!binary aGk='), '2:17 tags are not allowed'],
    ['local tag', MINIMAL.replace('agent: bot', 'agent: !env HOME'), '2:8 unresolved tag'],
    ['number key', `${MINIMAL}1: x\n`, '7:1 a key must be plain text'],
    ['map as key', `${MINIMAL}{ a: b }: x\n`, '7:1 a key must be plain text'],
    ['merge key', `${MINIMAL}scope: { <<: { network: {} } }\n`, 'scope["<<"]: unknown key "<<"'],
    ['empty', '', 'expected object, got nothing'],
    ['a list', '- 1\n', 'expected object, got list'],
    ['nul', 'version: 1\0', '1:'],
  ];
  it.each(pins)('%s', (_name, text, expected) => {
    expect(`${problemsOf(text)}\n`).toContain(expected);
  });

  it('reports all of them, in order of the file', () => {
    const text = MINIMAL.replace('agent: bot', 'agent: 5').replace('effect: allow', 'effect: maybe, x: 1, when: "nope"');
    const lines = problemsOf(`${text}mode: none\nbudgets: [{ id: b, per: agent, limit: 1, cost: "q" }]\n`).split('\n');
    expect(lines[0]).toBe('c.yaml: 5 problems');
    expect(lines.slice(1).map((line) => line.trim().split(' ').slice(0, 2).join(' '))).toEqual([
      '2:8 agent:',
      '6:37 policy.rules[0].effect:',
      '6:44 policy.rules[0].x:',
      '7:7 mode:',
      '8:48 budgets[0].cost:',
    ]);
  });

  it('lists at most 50', () => {
    const keys = Array.from({ length: 80 }, (_, index) => `k${index}: 1`).join('\n');
    expect(problemsOf(`${MINIMAL}${keys}\n`)).toMatch(/^c\.yaml: 80 problems[\s\S]*\.\.\. and 30 more$/);
  });

  it('refuses alias bombs and keeps a few aliases', () => {
    const bomb = [
      'a: &a [x, x, x, x, x, x, x, x, x]',
      ...'bcdefgh'.split('').map((key, index) => `${key}: &${key} [${Array(9).fill(`*${'abcdefgh'[index]}`).join(', ')}]`),
    ];
    expect(problemsOf(`${MINIMAL}${bomb.join('\n')}\n`)).toContain('too many aliases');
    const shared = `${MINIMAL}    - { id: r2, tools: &t [b], effect: allow }\n    - { id: r3, tools: *t, effect: deny, when: "nope" }\n`;
    expect(problemsOf(shared)).toContain('8:48 policy.rules[2].when:');
  });

  it('refuses more than 1 MiB before parsing', () => {
    expect(problemsOf(`# ${'x'.repeat(1_048_576)}`)).toContain('larger than 1048576');
  });

  it('never repeats a value', () => {
    const secret = 'sk-very-secret';
    expect(problemsOf(MINIMAL.replace('agent: bot', `agent: ["${secret}"]`))).not.toContain(secret);
    expect(problemsOf(`${MINIMAL}approvers: { a: { key: "${secret}" } }\n`)).not.toContain(secret);
  });
});

describe('files and environment', () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'countersign-config-'));
    writeFileSync(join(folder, 'c.yaml'), MINIMAL);
    writeFileSync(join(folder, 'latin1.yaml'), Buffer.from([0x61, 0x3a, 0x20, 0xe9]));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('resolves ledger paths against the folder of the file', () => {
    const config = loadConfig(join(folder, 'c.yaml'), { env: {} });
    expect(config.path).toBe(join(folder, 'c.yaml'));
    expect(config.ledger.path).toBe(join(folder, '.countersign', 'ledger.db'));
  });

  it('says what to do when there is no file', () => {
    const error = faultOf(() => loadConfig(join(folder, 'nope.yaml'), { env: {} }));
    expect(error.code).toBe('CONFIG_NOT_FOUND');
    expect(error.message).toContain('countersign init');
  });

  it('refuses a folder and text that is not UTF-8', () => {
    expect(faultOf(() => loadConfig(folder, { env: {} })).code).toBe('CONFIG_INVALID');
    expect(faultOf(() => loadConfig(join(folder, 'latin1.yaml'), { env: {} })).message).toContain('not UTF-8');
  });

  it('takes COUNTERSIGN_CONFIG only when no path is given', () => {
    const env = { COUNTERSIGN_CONFIG: join(folder, 'c.yaml') };
    expect(loadConfig(undefined, { env }).agent).toBe('bot');
    expect(faultOf(() => loadConfig(join(folder, 'nope.yaml'), { env })).code).toBe('CONFIG_NOT_FOUND');
  });

  it('lets the environment override', () => {
    const config = parseConfig(MINIMAL, { env: { COUNTERSIGN_MODE: 'audit', COUNTERSIGN_AGENT: 'other', COUNTERSIGN_LEDGER: 'l.db' } });
    expect(config).toMatchObject({ mode: 'audit', agent: 'other', ledger: { path: resolve('l.db'), origin: 'countersign.local/other' } });
  });

  it.each([
    [{ COUNTERSIGN_MODE: 'off' }, 'COUNTERSIGN_MODE'],
    [{ COUNTERSIGN_MODE: 'Audit' }, 'COUNTERSIGN_MODE'],
    [{ COUNTERSIGN_MODE: 'constructor' }, 'COUNTERSIGN_MODE'],
    [{ COUNTERSIGN_AGENT: 'a b' }, 'COUNTERSIGN_AGENT'],
    [{ COUNTERSIGN_AGENT: 'a\n' }, 'COUNTERSIGN_AGENT'],
    [{ COUNTERSIGN_LEDGER: 'a\0b' }, 'COUNTERSIGN_LEDGER'],
  ])('refuses %j', (env, name) => {
    const error = faultOf(() => parseConfig(MINIMAL, { env }));
    expect(error.code).toBe('CONFIG_INVALID');
    expect(error.message).toContain(name);
  });

  it('counts an empty variable as unset', () => {
    expect(parseConfig(MINIMAL, { env: { COUNTERSIGN_MODE: '', COUNTERSIGN_AGENT: '', COUNTERSIGN_LEDGER: '' } })).toMatchObject({
      mode: 'enforce',
      agent: 'bot',
    });
  });
});

describe('durations', () => {
  it.each([
    ['500ms', 500],
    ['30s', 30_000],
    ['5m', 300_000],
    ['1h', 3_600_000],
    ['7d', 604_800_000],
  ])('%s', (text, milliseconds) => expect(parseDuration(text)).toBe(milliseconds));
  it.each(['', '0s', '5', 'm', '-5m', '5 m', '5M', '1.5h', '1h30m', '5m\n', '٥m', '9999999999999999d', '1e3s', '99999d', 'constructor'])(
    'refuses %j',
    (text) => expect(parseDuration(text)).toBeUndefined(),
  );
});

describe('nearest', () => {
  const known = ['when', 'unless', 'effect', 'tools', 'approvals'];
  it.each([
    ['wen', 'when'],
    ['whne', 'when'],
    ['EFFECT', 'effect'],
    ['approval', 'approvals'],
    ['x', undefined],
    ['something', undefined],
    ['w'.repeat(100_000), undefined],
    ['__proto__', undefined],
  ])('%s', (name, expected) => expect(nearest(name, known)).toBe(expected));
});

describe('JSON Schema', () => {
  it('is strict and knows the blocks', () => {
    const schema = configJsonSchema();
    expect(schema).toMatchObject({ type: 'object', additionalProperties: false, required: ['version', 'agent', 'policy'] });
    expect(JSON.stringify(schema)).toContain('forbidden_commands');
  });
});
