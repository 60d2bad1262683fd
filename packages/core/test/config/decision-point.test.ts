import { describe, expect, it } from 'vitest';
import { type Config, configuredSecrets, parseConfig } from '../../src/index.ts';
import { guardFromConfig } from '../../src/sqlite/index.ts';
import { memoryStore } from '../../src/testing/index.ts';

const PLAIN = 'version: 1\nagent: bot\npolicy: { id: p, rules: [] }\n';

function authzen(block: string): Config {
  return parseConfig(`version: 1\nagent: bot\npolicy: { id: p, rules: [], authzen: ${block} }`, { path: '/etc/c/countersign.yaml' });
}

function serve(block: string): Config {
  return parseConfig(`${PLAIN}serve: ${block}`, { path: '/etc/c/countersign.yaml' });
}

describe('policy.authzen', () => {
  it('is worked out beside the rules, and no part of their document', () => {
    const config = authzen('{ url: "https://d.example", token: { file: t }, timeout: 500ms, id: d, version: "2", allow_insecure: true }');
    expect(config.authzen).toEqual({
      url: 'https://d.example',
      id: 'd',
      version: '2',
      token: { file: '/etc/c/t' },
      timeoutMs: 500,
      allowInsecure: true,
    });
    expect(config.policyDefinition).not.toHaveProperty('authzen');
    expect(config.policy.hash).toBe(parseConfig(PLAIN).policy.hash);
  });

  it('has two seconds and no token unless it says so', () => {
    expect(authzen('{ url: "https://d.example" }').authzen).toEqual({ url: 'https://d.example', timeoutMs: 2000 });
    expect(parseConfig(PLAIN).authzen).toBeUndefined();
  });

  it.each([
    ['no url', '{ timeout: 1s }', 'url'],
    ['a token written into the file', '{ url: "https://d", token: abc }', 'a secret is named, never written here'],
    ['an unknown key', '{ url: "https://d", tokens: { env: A } }', 'unknown key "tokens", did you mean "token"?'],
    ['no duration', '{ url: "https://d", timeout: 2 }', 'timeout'],
    ['a long timeout', '{ url: "https://d", timeout: 61s }', 'from 1ms to 60s'],
    ['a timeout of nothing', '{ url: "https://d", timeout: 0s }', 'policy.authzen.timeout'],
    ['an id with a line break', '{ url: "https://d", id: "a\\nb" }', '1 to 128 printable ASCII'],
  ])('is refused with %s', (_name, block, message) => {
    expect(() => authzen(block)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
    expect(() => authzen(block)).toThrow(message);
  });

  it('is not left out by a guard that cannot ask it', () => {
    const config = authzen('{ url: "https://d.example" }');
    expect(() => guardFromConfig(config, memoryStore())).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
    expect(() => guardFromConfig(config, memoryStore())).toThrow(/configuredPolicy/);
    expect(() => guardFromConfig(config, memoryStore(), { policy: config.policy })).not.toThrow();
  });
});

describe('serve', () => {
  it('has a socket unless a port is given', () => {
    expect(parseConfig(PLAIN, { path: '/etc/c/x.yaml' }).serve).toEqual({ socket: '/etc/c/.countersign/serve/decide.sock', clients: [] });
    const clients = '[{ agent: a, token: { env: A } }]';
    expect(serve(`{ port: 4690, clients: ${clients} }`).serve).toEqual({ port: 4690, clients: [{ agent: 'a', tokens: [{ env: 'A' }] }] });
    expect(serve(`{ port: 4690, socket: s/x.sock, clients: ${clients} }`).serve).toMatchObject({ port: 4690, socket: '/etc/c/s/x.sock' });
  });

  it('takes several tokens and sessions of a client', () => {
    expect(serve('{ clients: [{ agent: a, token: [{ env: A }, { file: t }], sessions: [s1] }] }').serve.clients).toEqual([
      { agent: 'a', tokens: [{ env: 'A' }, { file: '/etc/c/t' }], sessions: ['s1'] },
    ]);
  });

  it.each([
    ['a port nobody could use', '{ port: 4690 }', 'needs serve.clients'],
    ['a port nobody could use, spelled out', '{ port: 4690, clients: [] }', 'needs serve.clients'],
    [
      'two clients of one agent',
      '{ clients: [{ agent: a, token: { env: A } }, { agent: a, token: { env: B } }] }',
      'another client is the agent a',
    ],
    ['a name that is none', '{ clients: [{ agent: "a/b", token: { env: A } }] }', 'use letters, digits and'],
    ['a token written into the file', '{ clients: [{ agent: a, token: abc }] }', 'a secret is named, never written here'],
    ['no token', '{ clients: [{ agent: a }] }', 'token'],
    ['no session at all', '{ clients: [{ agent: a, token: { env: A }, sessions: [] }] }', 'sessions'],
    ['an address', '{ host: 0.0.0.0 }', 'unknown key "host"'],
    ['port 0', '{ port: 0 }', 'port'],
  ])('is refused with %s', (_name, block, message) => {
    expect(() => serve(block)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
    expect(() => serve(block)).toThrow(message);
  });
});

describe('secrets', () => {
  it('are known wherever they lie', () => {
    const text = `version: 1
agent: bot
policy: { id: p, rules: [], authzen: { url: "https://d.example", token: { env: D } } }
approvals: { senders: { pager: { secret: { env: S } } } }
serve: { clients: [{ agent: a, token: [{ env: A }, { file: /t }] }] }
`;
    expect(configuredSecrets(parseConfig(text))).toEqual([{ env: 'S' }, { env: 'D' }, { env: 'A' }, { file: '/t' }]);
  });

  it('in files, and the socket, cannot be named by a tool', async () => {
    const config = parseConfig(
      `${PLAIN.replace('rules: []', 'default: allow, rules: []')}serve: { socket: /run/c/s.sock, clients: [{ agent: a, token: { file: /etc/c/a.token } }] }`,
    );
    const guard = guardFromConfig(config, memoryStore());
    for (const path of ['/etc/c/a.token', '/run/c/s.sock', '/etc/c/../c/a.token']) {
      const { decision } = await guard.preview({ tool: { name: 'read' }, args: { path } });
      expect(decision).toMatchObject({ effect: 'deny', reasonCode: 'POLICY_DENY_OWN_FILES' });
    }
    expect((await guard.preview({ tool: { name: 'read' }, args: { path: '/etc/c/other' } })).decision.effect).toBe('allow');
  });
});
