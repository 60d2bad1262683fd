import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { secretSources } from '../../src/config/channels.ts';
import { createGuard } from '../../src/guard.ts';
import { allowAll, type Config, CountersignError, parseConfig } from '../../src/index.ts';
import { guardFromConfig } from '../../src/sqlite/index.ts';
import { memoryStore } from '../../src/testing/index.ts';

const RULES = `version: 1
agent: bot
policy: { id: p, rules: [{ id: r1, tools: ["*"], effect: allow }] }
`;
const KEY = `approvers: { Alice: { key: "Alice+1a2b3c4d+AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAh" } }\n`;
const SLACK = 'channel: C01, team: T01, token: { env: T }, signing_secret: { env: S }';

function approvals(block: string): Config['approvals'] {
  return parseConfig(`${RULES}approvals: ${block}\n`, { path: '/etc/c/countersign.yaml' }).approvals;
}

function problems(text: string): string {
  try {
    parseConfig(`${RULES}${text}\n`);
  } catch (error) {
    if (CountersignError.is(error) && error.code === 'CONFIG_INVALID') return error.message;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('channels and senders', () => {
  it('take one secret or several, by variable or by a file beside the configuration', () => {
    const { channels, senders } = approvals(
      '{ channels: [page, { webhook: { url: "https://a.example/x/", secret: [{ env: NEW }, { file: old }] } }], senders: { pager: { secret: { file: ~/p } } } }',
    );
    expect(channels).toEqual([
      'page',
      { webhook: { url: 'https://a.example/x/', secrets: [{ env: 'NEW' }, { file: '/etc/c/old' }], settled: false } },
    ]);
    expect(senders).toEqual([{ name: 'pager', secrets: [{ file: expect.stringMatching(/\/p$/) }] }]);
  });

  it('read users of Slack as a list, or with names', () => {
    const users = (text: string): unknown => {
      const [channel] = approvals(`{ channels: [{ slack: { ${SLACK}, users: ${text} } }] }`).channels;
      return typeof channel === 'object' && 'slack' in channel ? [...channel.slack.users] : undefined;
    };
    expect(users('[U01, W02]')).toEqual([
      ['U01', undefined],
      ['W02', undefined],
    ]);
    expect(users('{ U01: alice }')).toEqual([['U01', 'alice']]);
  });

  it('know every place a secret lies', () => {
    const block = `{ channels: [{ webhook: { url: "https://a.example", secret: { env: A } } }, { slack: { ${SLACK}, users: [U01] } }], senders: { p: { secret: { file: f } } } }`;
    expect(secretSources(approvals(block))).toEqual([{ env: 'A' }, { env: 'T' }, { env: 'S' }, { file: '/etc/c/f' }]);
  });

  it.each([
    [
      'a secret written into the file',
      'channels: [{ webhook: { url: "https://a", secret: whsec_inline0secret } }]',
      'a secret is named, never written here',
    ],
    [
      'a token written into the file',
      `channels: [{ slack: { channel: C01, team: T01, token: xoxb-inline0secret, signing_secret: { env: S }, users: [U01] } }]`,
      'a secret is named, never written here',
    ],
    [
      'neither variable nor file',
      'channels: [{ webhook: { url: "https://a", secret: { envv: A } } }]',
      'unknown key "envv", did you mean "env"?',
    ],
    ['both variable and file', 'channels: [{ webhook: { url: "https://a", secret: { env: A, file: b } } }]', 'unknown key'],
    ['no secret at all', 'channels: [{ webhook: { url: "https://a" } }]', 'webhook.secret: required, but missing'],
    ['a list without secrets', 'channels: [{ webhook: { url: "https://a", secret: [] } }]', 'may not be empty'],
    [
      'a variable that is none',
      'channels: [{ webhook: { url: "https://a", secret: { env: "A=B" } } }]',
      'the name of an environment variable',
    ],
    ['an unknown word', 'channels: [pgae]', 'must be one of elicitation, page, terminal, did you mean "page"?'],
    ['an unknown kind', 'channels: [{ slak: {} }]', 'unknown key "slak", did you mean "slack"?'],
    [
      'two kinds in one',
      `channels: [{ webhook: { url: "https://a", secret: { env: A } }, slack: { ${SLACK}, users: [U01] } }]`,
      'unknown key',
    ],
    [
      'a misspelt key inside',
      'channels: [{ webhook: { urll: "https://a", secret: { env: A } } }]',
      'unknown key "urll", did you mean "url"?',
    ],
    [
      'the name of a Slack channel',
      `channels: [{ slack: { channel: "#ops", team: T01, token: { env: T }, signing_secret: { env: S }, users: [U01] } }]`,
      'the id of a channel looks like C0123ABCD',
    ],
    ['the name of a Slack user', `channels: [{ slack: { ${SLACK}, users: { alice: alice } } }]`, 'users'],
    ['nobody who may answer', `channels: [{ slack: { ${SLACK}, users: [] } }]`, 'may not be empty'],
    [
      'two Slacks',
      `channels: [{ slack: { ${SLACK}, users: [U01] } }, { slack: { ${SLACK}, users: [U01] } }]`,
      'only one channel may be slack',
    ],
    ['a sender that takes the name of Slack', 'senders: { SLACK: { secret: { env: A } } }', 'taken by another way to answer'],
    ['a sender that takes the name of the page', 'senders: { page: { secret: { env: A } } }', 'taken by another way to answer'],
    ['a sender with a colon', 'senders: { "a:b": { secret: { env: A } } }', 'has no colon'],
    ['a sender that leaves its folder', 'senders: { "../x": { secret: { env: A } } }', 'use letters, digits'],
    ['a sender named like a prototype', 'senders: { __proto__: { secret: { env: A } } }', '__proto__'],
    ['a port that is none', 'page: { port: 0 }', 'too small'],
  ])('refuse %s', (_, block, message) => {
    const told = problems(`approvals: { ${block} }`);
    expect(told).toContain(message);
    expect(told).not.toContain('inline0secret');
  });

  it.each([
    ['a Slack user', `channels: [{ slack: { ${SLACK}, users: { U01: alice } } }]`],
    ['a sender', 'senders: { alice: { secret: { env: A } } }'],
  ])('do not give the name of an approver with a key to %s', (_, block) => {
    expect(problems(`${KEY}approvals: { ${block} }`)).toContain('Alice has a key under `approvers`, and answers with that key only');
  });

  it('do not let a sender name a person whose recorded name has a key', () => {
    const key = KEY.replaceAll('Alice', 'pager:alice').replace('{ pager:alice:', '{ "pager:alice":');
    const block = 'senders: { pager: { secret: { env: A }, approvers: [Alice, bob] } }';
    expect(problems(`${key}approvals: { ${block} }`)).toContain('pager.approvers[0]: pager:alice has a key');
  });
});

describe('a guard from a configuration', () => {
  const webhook = `${RULES}approvals: { channels: [{ webhook: { url: "https://a.example", secret: { file: secret } } }] }\nledger: { sign: none }\n`;

  it('is refused when nobody can ask what is configured', () => {
    const config = parseConfig(webhook);
    expect(() => guardFromConfig(config, memoryStore())).toThrow(/configuredChannels/);
    expect(() => guardFromConfig(config, memoryStore(), { channels: [] })).not.toThrow();
  });

  it('denies tools the files that secrets lie in', async () => {
    const config = parseConfig(webhook);
    const guard = guardFromConfig({ ...config, policy: allowAll() }, memoryStore(), { channels: [] });
    const read = await guard.authorize({ tool: { name: 'read' }, args: { path: resolve('secret') } });
    expect(read.kind === 'refusal' && read.decision.reasonCode).toBe('POLICY_DENY_OWN_FILES');
    // The rule did it, not the policy.
    const other = await createGuard({ agent: 'a', policy: allowAll(), store: memoryStore() }).authorize({
      tool: { name: 'read' },
      args: { path: resolve('secret') },
    });
    expect(other.kind).toBe('permit');
  });
});
