import { describe, expect, it } from 'vitest';
import { type Config, configuredSecrets, parseConfig } from '../../src/index.ts';

const PLAIN = 'version: 1\nagent: bot\npolicy: { id: p, rules: [] }\n';

function servers(block: string): Config {
  return parseConfig(`${PLAIN}servers: ${block}`, { path: '/etc/c/countersign.yaml' });
}

function refusal(block: string): string {
  try {
    servers(block);
  } catch (error) {
    expect(error).toMatchObject({ code: 'CONFIG_INVALID' });
    return (error as Error).message;
  }
  throw new Error('the configuration was taken');
}

describe('servers', () => {
  it('are programs and URLs, in the order of the file, with the parts of their secrets named', () => {
    const config = servers(
      '{ web: { url: "https://w.example/mcp", headers: { Authorization: "Bearer ${WEB_TOKEN}", X-Team: blue, X-Other: { file: t } } },' +
        ' files: { command: npx, args: [-y, server], env: { KEY: { env: FILES_KEY }, PATH: "${PATH}:/x" }, cwd: data },' +
        ' old: { url: "http://127.0.0.1:9/sse", transport: sse } }',
    );
    expect([...config.servers]).toEqual([
      [
        'web',
        {
          url: 'https://w.example/mcp',
          headers: new Map<string, unknown>([
            ['Authorization', ['Bearer ', { env: 'WEB_TOKEN' }]],
            ['X-Team', ['blue']],
            ['X-Other', [{ file: '/etc/c/t' }]],
          ]),
          transport: 'auto',
          allowInsecure: false,
        },
      ],
      [
        'files',
        {
          command: 'npx',
          args: ['-y', 'server'],
          env: new Map([
            ['KEY', [{ env: 'FILES_KEY' }]],
            ['PATH', [{ env: 'PATH' }, ':/x']],
          ]),
          contain: 'off',
          cwd: '/etc/c/data',
        },
      ],
      ['old', { url: 'http://127.0.0.1:9/sse', headers: new Map(), transport: 'sse', allowInsecure: false }],
    ]);
    expect(parseConfig(PLAIN).servers.size).toBe(0);
  });

  it('count among the places of secrets: no other server inherits them, no tool may name their files', () => {
    const config = servers(
      '{ a: { command: x, env: { K: "${K_SECRET}", P: "${PATH}" } }, b: { url: "https://b", headers: { Cookie: { file: c } } } }',
    );
    expect(configuredSecrets(config)).toEqual([{ env: 'K_SECRET' }, { file: '/etc/c/c' }]);
  });

  it.each(['files', 'a', 'A.b-c_d', 'constructor', 'x'.repeat(40), '9'])('may be called %s', (name) => {
    expect(servers(`{ "${name}": { command: x } }`).servers.has(name)).toBe(true);
  });

  it.each(['', 'a__b', 'a_', '_a', '-a', 'a/b', 'a b', 'x'.repeat(41), 'ä', 'a\\u0000', 'a:b'])('may not be called %j', (name) => {
    expect(refusal(`{ "${name}": { command: x } }`)).toContain('name of a server');
  });

  it('may not be called __proto__', () => {
    expect(refusal('{ __proto__: { command: x } }')).toContain('__proto__');
  });

  it.each([
    ['the name of our own calls', '{ Countersign: { command: x } }', 'countersign is the server of the calls that Countersign makes'],
    ['two names that differ in case', '{ Files: { command: x }, files: { command: y } }', 'another server is called Files'],
    ['neither a command nor a URL', '{ a: { args: [x] } }', 'servers.a'],
    ['both', '{ a: { command: x, url: "https://x" } }', 'unknown key "'],
    ['a mistyped key of a program', '{ a: { command: x, arg: [y] } }', 'unknown key "arg", did you mean "args"?'],
    ['a mistyped key of a URL', '{ a: { url: "https://x", header: {} } }', 'unknown key "header", did you mean "headers"?'],
    ['an unknown transport', '{ a: { url: "https://x", transport: htp } }', 'must be one of http, sse, did you mean "http"?'],
    ['no URL', '{ a: { url: "nowhere" } }', 'not a URL'],
    ['a URL of a file', '{ a: { url: "file:///etc/passwd" } }', 'not an http URL'],
    ['plain http to another host', '{ a: { url: "http://x.example/" } }', 'plain http'],
    ['credentials in the URL', '{ a: { url: "https://u:hunter2@x.example/" } }', 'no credentials in a URL'],
    ['a literal token', '{ a: { url: "https://x", headers: { authorization: "Bearer hunter2" } } }', 'a secret, which is named'],
    ['a literal cookie', '{ a: { url: "https://x", headers: { Cookie: hunter2 } } }', 'a secret, which is named'],
    ['half a reference', '{ a: { url: "https://x", headers: { X: "${hunter2 " } } }', 'comes the name of a variable'],
    ['a reference with a default', '{ a: { command: x, env: { K: "${K:-hunter2}" } } }', 'comes the name of a variable'],
    ['a header of two lines', '{ a: { url: "https://x", headers: { X: "hunter2\\r\\nHost: y" } } }', 'one line of text'],
    ['a header that is none', '{ a: { url: "https://x", headers: { "X Y": hunter2 } } }', 'no name of a header'],
    ['a header twice', '{ a: { url: "https://x", headers: { X-A: hunter2, x-a: b } } }', 'given twice'],
    ['a header of the transport', '{ a: { url: "https://x", headers: { Mcp-Session-Id: hunter2 } } }', 'sets this header itself'],
    ['Host', '{ a: { url: "https://x", headers: { host: hunter2 } } }', 'sets this header itself'],
    ['a variable that is none', '{ a: { command: x, env: { "A=B": hunter2 } } }', 'name of an environment variable'],
    ['a NUL in an argument', '{ a: { command: x, args: ["a\\u0000hunter2"] } }', 'no NUL'],
    ['a secret of an unknown kind', '{ a: { command: x, env: { K: { vault: hunter2 } } } }', 'servers.a.env.K'],
    ['a number', '{ a: { command: x, env: { K: 5 } } }', 'servers.a.env.K'],
    ['an empty command', '{ a: { command: "" } }', 'may not be empty'],
  ])('are refused with %s, and nothing that could be a secret is repeated', (_name, block, message) => {
    const told = refusal(block);
    expect(told).toContain(message);
    expect(told).not.toContain('hunter2');
  });

  it('may be plain http to another host when that is said', () => {
    expect(servers('{ a: { url: "http://x.example/", allow_insecure: true } }').servers.get('a')).toMatchObject({ allowInsecure: true });
  });

  it('are 64 at most', () => {
    const many = Array.from({ length: 65 }, (_, at) => `s${at}: { command: x }`).join(', ');
    expect(refusal(`{ ${many} }`)).toContain('at most 64 servers');
  });
});
