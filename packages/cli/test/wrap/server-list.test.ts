import { parse as parseToml } from '@decimalturn/toml-patch';
import fc from 'fast-check';
import { parse as parseJsonc } from 'jsonc-parser';
import { describe, expect, it } from 'vitest';
import { FileRefusedError } from '../../src/failure.ts';
import { JSON_SYNTAX } from '../../src/wrap/json-syntax.ts';
import { type ServerList, unwrapServers, type WrapRequest, wrapServers } from '../../src/wrap/server-list.ts';
import { TOML_SYNTAX } from '../../src/wrap/toml-syntax.ts';

const PROGRAM = { node: '/opt/node', args: ['/opt/cs/main.js'] };
const REQUEST: WrapRequest = { program: PROGRAM, config: undefined, keepsConfig: true, only: [] };

function json(text: string): ServerList {
  return { path: '/f.json', text, syntax: JSON_SYNTAX, headers: 'headers', sections: [['mcpServers'], ['projects', '*', 'mcpServers']] };
}

function toml(text: string): ServerList {
  return { path: '/f.toml', text, syntax: TOML_SYNTAX, headers: 'http_headers', sections: [['mcp_servers']] };
}

const FILES: readonly (readonly [string, ServerList, number])[] = [
  ['one line', json('{"mcpServers":{"a":{"command":"npx","args":["-y","x"]}}}'), 1],
  ['no args', json('{\n  "mcpServers": {\n    "a": {\n      "command": "npx"\n    }\n  }\n}\n'), 1],
  ['no args on one line', json('{ "mcpServers": { "a": { "type" : "stdio", "command" : "npx" } } }'), 1],
  ['empty args', json('{"mcpServers":{"a":{"args":[ ],"command":"npx"}}}'), 1],
  [
    'comments, tabs, trailing commas, escapes',
    json(
      '// top\n{\n\t"mcpServers": { // list\n\t\t"a": {\n\t\t\t"command": "np\\u0078", // how\n\t\t\t/* before */ "args": [ // mine\n\t\t\t\t"-y", // yes\n\t\t\t\t"${workspaceFolder}/x",\n\t\t\t],\n\t\t\t"env": { "K": "${input:k}", },\n\t\t\t"disabled": true,\n\t\t},\n\t},\n\t"other": [1, 2,],\n}\n',
    ),
    1,
  ],
  [
    'CRLF',
    json(
      '{\r\n  "mcpServers": {\r\n    "a": {\r\n      "command": "x"\r\n    },\r\n    "b": {\r\n      "args": [\r\n        "1"\r\n      ],\r\n      "command": "y"\r\n    }\r\n  }\r\n}\r\n',
    ),
    2,
  ],
  [
    'lists of several projects',
    json('{"mcpServers":{"a":{"command":"x"}},"projects":{"/p":{"mcpServers":{"a":{"command":"y","args":[]}}},"/q":{"allowedTools":[]}}}'),
    2,
  ],
  ['names of prototypes', json('{"mcpServers":{"__proto__":{"command":"x"},"constructor":{"command":"y","args":["__proto__"]}}}'), 2],
  [
    'TOML: tables',
    toml(
      '# top\nmodel = \'x\' # keep\n\n[mcp_servers.files]  # c1\ncommand = \'npx\'      # how\nargs = [\n  "-y",   # yes\n  \'/data\',\n]\nenv = { "K" = "v",  B=\'y\' }\n\n[mcp_servers."we ird"]\ncommand="uvx" # c\nstartup_timeout_sec = 20.0\nenabled = false\n[mcp_servers."we ird".env]\nZ = "1"\n\n[[list.of.tables]]\nwhen = 1979-05-27T07:32:00Z\n',
    ),
    2,
  ],
  [
    'remote',
    json(
      '{"mcpServers":{"a":{"type":"http","url":"https://x/mcp","headers":{"Authorization":"Bearer ${input:t}","X-A":"1"},"disabled":true}}}',
    ),
    1,
  ],
  [
    'remote on this host',
    json('{\n  "mcpServers": {\n    "a": {\n      "httpUrl": "http://127.0.0.1:3/mcp", // here\n      "timeout": 5\n    }\n  }\n}\n'),
    1,
  ],
  [
    'remote, CRLF',
    json(
      '{\r\n\t"mcpServers": {\r\n\t\t"a": {\r\n\t\t\t"headers": {\r\n\t\t\t\t"K": "v", // k\r\n\t\t\t},\r\n\t\t\t"serverUrl": "https:\\/\\/x/mcp"\r\n\t\t},\r\n\t},\r\n}\r\n',
    ),
    1,
  ],
  [
    'TOML: remote',
    toml(
      '[mcp_servers.a]\nurl = "https://x/mcp" # there\nhttp_headers = { "X-Region" = "eu", Authorization = \'Bearer t\' }\ntool_timeout_sec = 5\n\n[mcp_servers.b]\nurl = \'https://y/mcp\'\n[mcp_servers.b.http_headers]\nX-Y = "1"\n',
    ),
    2,
  ],
  ['TOML: inline', toml('mcp_servers = { a = { command = "x" }, b = { args = ["1"], command = "y" } }'), 2],
  ['TOML: dotted', toml('[mcp_servers]\na.command = "x"\n  b.command = """y"""\n  b.args = [\'z\']\n'), 2],
  ['TOML: CRLF, last line open', toml('[mcp_servers.a]\r\n  command = "x" # c'), 1],
];

function listOf(name: string): ServerList {
  return FILES.find(([each]) => each === name)?.[1] ?? json('');
}

describe('wrapping and back', () => {
  it.each(FILES)('%s', (_, list, count) => {
    const wrapped = wrapServers(list, REQUEST);
    expect(wrapped.servers.map(({ status }) => status)).toEqual(Array.from({ length: count }, () => 'wrapped'));
    expect(wrapped.text).not.toBe(list.text);
    // Twice is once.
    const again = wrapServers({ ...list, text: wrapped.text }, REQUEST);
    expect(again.text).toBe(wrapped.text);
    expect(again.servers.every(({ status }) => status === 'unchanged')).toBe(true);
    const back = unwrapServers({ ...list, text: wrapped.text }, []);
    expect(back.text).toBe(list.text);
    expect(back.servers).toHaveLength(count);
  });

  it('follows a program or configuration that moved, and comes back all the same', () => {
    for (const [, list] of FILES) {
      const { text } = wrapServers(list, { ...REQUEST, config: '/old/countersign.yaml' });
      const moved = wrapServers(
        { ...list, text },
        { ...REQUEST, program: { node: '/new/node', args: ['--flag', '/new/main.js'] }, config: '/new.yaml' },
      );
      expect(moved.servers.every(({ status, config }) => status === 'updated' && config === '/new.yaml')).toBe(true);
      expect(moved.text).not.toMatch(/\/opt|\/old/);
      expect(unwrapServers({ ...list, text: moved.text }, []).text).toBe(list.text);
    }
  });

  it('writes what a client reads: our program first, the old command behind, all else as it was', () => {
    const list = listOf('comments, tabs, trailing commas, escapes');
    const [before, after] = [list.text, wrapServers(list, { ...REQUEST, config: '/c.yaml' }).text];
    const entry = { env: { K: '${input:k}' }, disabled: true };
    expect(parseJsonc(before).mcpServers.a).toEqual({ command: 'npx', args: ['-y', '${workspaceFolder}/x'], ...entry });
    expect(parseJsonc(after).mcpServers.a).toEqual({
      command: '/opt/node',
      args: [
        '/opt/cs/main.js',
        'proxy',
        '--wrapped',
        'stdio',
        '--server',
        'a',
        '--config',
        '/c.yaml',
        '--',
        'npx',
        '-y',
        '${workspaceFolder}/x',
      ],
      ...entry,
    });
    const tables = parseToml(wrapServers(listOf('TOML: tables'), REQUEST).text);
    expect(tables.mcp_servers.files).toEqual({
      command: '/opt/node',
      args: ['/opt/cs/main.js', 'proxy', '--wrapped', 'stdio', '--server', 'files', '--', 'npx', '-y', '/data'],
      env: { K: 'v', B: 'y' },
    });
    expect(tables.mcp_servers['we ird']).toEqual({
      command: '/opt/node',
      args: ['/opt/cs/main.js', 'proxy', '--wrapped', 'stdio-bare', '--server', 'we-ird', '--', 'uvx'],
      startup_timeout_sec: 20,
      enabled: false,
      env: { Z: '1' },
    });
  });

  it('keeps the values of headers in env, and out of the arguments', () => {
    const { a } = JSON.parse(wrapServers(listOf('remote'), { ...REQUEST, config: '/c.yaml' }).text).mcpServers;
    expect(a).toEqual({
      type: 'stdio',
      command: '/opt/node',
      args: [
        ...['/opt/cs/main.js', 'proxy', '--wrapped', 'url:http', '--server', 'a', '--config', '/c.yaml', '--url', 'https://x/mcp'],
        ...['--header-env', 'Authorization=COUNTERSIGN_HEADER_1', '--header-env', 'X-A=COUNTERSIGN_HEADER_2'],
      ],
      env: { COUNTERSIGN_HEADER_1: 'Bearer ${input:t}', COUNTERSIGN_HEADER_2: '1' },
      disabled: true,
    });
    const sse = json('{"mcpServers":{"a":{"type":"sse","url":"http://localhost/sse"}}}');
    expect(JSON.parse(wrapServers(sse, REQUEST).text).mcpServers.a.args.slice(-3)).toEqual(['http://localhost/sse', '--transport', 'sse']);
    expect(parseToml(wrapServers(listOf('TOML: remote'), REQUEST).text).mcp_servers.b).toEqual({
      command: '/opt/node',
      args: [
        '/opt/cs/main.js',
        'proxy',
        '--wrapped',
        'url',
        '--server',
        'b',
        '--url',
        'https://y/mcp',
        '--header-env',
        'X-Y=COUNTERSIGN_HEADER_1',
      ],
      env: { COUNTERSIGN_HEADER_1: '1' },
    });
  });

  it('wraps a remote server without headers when it is named', () => {
    const list = json('{"mcpServers":{"a":{"url":"https://x/mcp"}}}');
    const { text, servers } = wrapServers(list, { ...REQUEST, only: ['a'] });
    expect(servers[0]?.status).toBe('wrapped');
    // From then on it is one of ours.
    expect(wrapServers({ ...list, text }, REQUEST)).toMatchObject({ text, servers: [{ status: 'unchanged' }] });
    expect(unwrapServers({ ...list, text }, []).text).toBe(list.text);
  });

  it('holds for any strings, in JSON of any indentation', () => {
    const entry = fc.record(
      {
        type: fc.constant('stdio'),
        command: fc.string({ minLength: 1, unit: 'grapheme' }).filter((word) => word.trim() !== ''),
        args: fc.array(fc.string({ unit: 'binary' })),
        env: fc.dictionary(fc.string(), fc.string()),
      },
      { requiredKeys: ['command'] },
    );
    const servers = fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), entry, { minKeys: 1 });
    fc.assert(
      fc.property(servers, fc.constantFrom(0, 2, 4, '\t'), fc.boolean(), (mcpServers, indent, crlf) => {
        const plain = JSON.stringify({ mcpServers, z: 1 }, undefined, indent);
        const text = crlf ? plain.replaceAll('\n', '\r\n') : plain;
        const wrapped = wrapServers(json(text), REQUEST);
        for (const [name, { command, args = [], ...rest }] of Object.entries(mcpServers)) {
          const { args: now, ...kept } = JSON.parse(wrapped.text).mcpServers[name];
          expect(now.slice(now.indexOf('--') + 1)).toEqual([command, ...args]);
          expect(kept).toEqual({ ...rest, command: '/opt/node' });
        }
        expect(unwrapServers(json(wrapped.text), []).text).toBe(text);
      }),
    );
  });
});

describe('what is not wrapped, and why', () => {
  it.each([
    ['{"url":"https://x/mcp"}', /may have to log in/],
    ['{"serverUrl":"https://x/mcp"}', /may have to log in/],
    ['{"httpUrl":"https://x/mcp","headers":{}}', /may have to log in/],
    ['{"url":"https://x/mcp","oauth":{},"headers":{"A":"b"}}', /logs in with oauth/],
    ['{"url":"https://x/mcp?key=1","headers":{"A":"b"}}', /may hold a secret/],
    ['{"url":"https://u:p@x/mcp","headers":{"A":"b"}}', /may hold a secret/],
    ['{"url":"https://${HOST}/mcp","headers":{"A":"b"}}', /holds a variable/],
    ['{"url":"ftp://x/mcp","headers":{"A":"b"}}', /not http or https/],
    ['{"url":"x","headers":{"A":"b"}}', /is none/],
    ['{"url":"http://x/mcp","headers":{"A":"b"}}', /plain http to another machine/],
    ['{"url":"https://x/mcp","headers":{"Mcp-Session-Id":"b"}}', /the proxy sends itself/],
    ['{"url":"https://x","httpUrl":"https://y","headers":{"A":"b"}}', /url and httpUrl/],
    ['{"url":1}', /not a text/],
    ['{"url":"https://x","headers":{"A":"b","a":"c"}}', /one of them twice/],
    ['{"url":"https://x","headers":{"A B":"b"}}', /no name with a text/],
    ['{"url":"https://x","headers":{"A=B":"b"}}', /no name with a text/],
    ['{"url":"https://x","headers":{"A":1}}', /no name with a text/],
    ['{"url":"https://x","headers":{"\\u0041":"b"}}', /written in a way/],
    ['{"url":"https://x","headers":["A: b"]}', /no table/],
    ['{"url":"https://x","headers":{"A":"b"},"env":{}}', /an env besides/],
    ['{"url":"https://x","headers":{"A":"b"},"type":"a b"}', /type is no word/],
    ['{"command":"npx","url":"https://x"}', /both command and url/],
    ['{"args":["x"]}', /neither a command nor a url/],
    ['{"command":["npx","x"]}', /command is not a text/],
    ['{"command":" "}', /command is not a text/],
    ['{"command":"npx","args":"x"}', /args are not a list of texts/],
    ['{"command":"npx","args":["x",1]}', /args are not a list of texts/],
    ['"npx"', /no table/],
    ['null', /no table/],
    ['{"command":"countersign","args":["proxy","--server","a","--","npx"]}', /written by hand/],
    ['{"command":"npx","args":["-y","@countersign/cli","proxy","--","npx"]}', /written by hand/],
    ['{"command":"/usr/bin/node","args":["/x/@countersign/cli/dist/main.js","proxy","--","npx"]}', /written by hand/],
  ])('%s', (entry, why) => {
    const text = `{"mcpServers":{"a":${entry}}}`;
    const { servers, text: after } = wrapServers(json(text), REQUEST);
    expect(after).toBe(text);
    expect(servers).toEqual([{ name: 'a', project: undefined, status: 'not-wrapped', why: expect.stringMatching(why) }]);
  });

  it('names that rules could not tell apart, or that leave nothing', () => {
    const text = '{"mcpServers":{"a b":{"command":"x"},"a-b":{"command":"y"},"é":{"command":"z"},"ok":{"command":"w"}}}';
    const { servers } = wrapServers(json(text), REQUEST);
    expect(servers.map(({ status }) => status)).toEqual(['not-wrapped', 'not-wrapped', 'not-wrapped', 'wrapped']);
    expect(servers[0]?.why).toContain('rename one');
  });
});

describe('the mark', () => {
  const wrapped = wrapServers(json('{"mcpServers":{"a":{"command":"npx","args":["x"]}}}'), REQUEST).text;

  it.each([
    ['another command', (text: string) => text.replace('"/opt/node"', '"docker"')],
    ['an option added', (text: string) => text.replace('"--server", "a"', '"--server", "a", "--agent", "b"')],
    ['an option taken away', (text: string) => text.replace('"--server", "a", ', '')],
    ['the command of the server gone', (text: string) => text.replace('"--", "npx", "x"', '"--"')],
    ['an unknown kind', (text: string) => text.replace('"stdio"', '"later-version"')],
    ['words before the script', (text: string) => text.replace('"/opt/cs', '"evil.js", "/opt/cs')],
  ])('left alone, both ways: %s', (_, change) => {
    const text = change(wrapped);
    expect(text).not.toBe(wrapped);
    for (const { text: after, servers } of [wrapServers(json(text), REQUEST), unwrapServers(json(text), [])]) {
      expect(after).toBe(text);
      expect(servers.map(({ status }) => status)).toEqual(['left-alone']);
    }
  });

  it.each([
    ['a variable added', (text: string) => text.replace('"env":{', '"env":{"MORE":"1",')],
    ['a variable gone', (text: string) => text.replace('"COUNTERSIGN_HEADER_1":"b"', '')],
    ['a header that names another variable', (text: string) => text.replace('A=COUNTERSIGN_HEADER_1', 'A=PATH')],
    ['another transport', (text: string) => text.replace('"--header-env"', '"--transport", "x", "--header-env"')],
    ['no address', (text: string) => text.replace('"--url", "https://x"', '"--url"')],
    ['the type gone', (text: string) => text.replace('"type":"stdio",', '')],
  ])('left alone, both ways, of a remote server: %s', (_, change) => {
    const remote = wrapServers(json('{"mcpServers":{"a":{"type":"http","url":"https://x","headers":{"A":"b"}}}}'), REQUEST).text;
    const text = change(remote);
    expect(text).not.toBe(remote);
    for (const { text: after, servers } of [wrapServers(json(text), REQUEST), unwrapServers(json(text), [])]) {
      expect(after).toBe(text);
      expect(servers.map(({ status }) => status)).toEqual(['left-alone']);
    }
  });

  it('what the user changed elsewhere in the entry stays, and so do new args', () => {
    const text = wrapped.replace('"x"]', '"x", "y"], "env": {"K": "v"}');
    expect(unwrapServers(json(text), []).text).toBe('{"mcpServers":{"a":{"command":"npx","args":["x", "y"], "env": {"K": "v"}}}}');
  });

  it('args that were added to an entry without any stay', () => {
    const bare = wrapServers(json('{"mcpServers":{"a":{"command":"npx"}}}'), REQUEST).text;
    expect(unwrapServers(json(bare.replace('"npx"]', '"npx", "y"]')), []).text).toBe(
      '{"mcpServers":{"a":{"command":"npx", "args":["y"]}}}',
    );
  });

  it('in the args of a server is only an argument', () => {
    const text = '{"mcpServers":{"a":{"command":"npx","args":["--","/x/main.js","proxy","--wrapped","stdio","--server","a","--","y"]}}}';
    const once = wrapServers(json(text), REQUEST);
    expect(once.servers[0]?.status).toBe('wrapped');
    expect(unwrapServers(json(once.text), []).text).toBe(text);
  });

  it('planted in a file of a repository brings neither its program nor its configuration along', () => {
    const planted = wrapServers(json('{"mcpServers":{"a":{"command":"npx","args":["x"]}}}'), {
      ...REQUEST,
      program: { node: '/evil/node', args: ['/evil/main.js'] },
      config: '/evil/countersign.yaml',
    }).text;
    const { text, servers } = wrapServers(json(planted), { ...REQUEST, keepsConfig: false });
    expect(text).not.toContain('evil');
    expect(servers[0]?.status).toBe('updated');
    expect(wrapServers(json(planted), REQUEST).servers[0]?.config).toBe('/evil/countersign.yaml');
  });
});

describe('a file that is refused', () => {
  it.each([
    [json('{"mcpServers":{"a":{"command":"x","command":"y"}}}'), /the key "command" twice in one object, again at line 1, column 35/],
    [json('{"mcpServers":{},\n"mcpServers":{}}'), /twice in one object, again at line 2, column 1/],
    [json('{"mcpServers":{"a":{"command":"x"},}'), /line 1, column 37/],
    [json('[]'), /no JSON object/],
    [json('{"mcpServers":[]}'), /mcpServers is not a table/],
    [json(`{"x":${'['.repeat(200_000)}${']'.repeat(200_000)}}`), /nested too deeply/],
    [toml('[mcp_servers.a]\ncommand = "x"\ncommand = "y"\n'), /not TOML at line \d+, column \d+/],
    [toml('[mcp_servers.a]\ncommand = "secret'), /not TOML at line 2/],
    [toml('mcp_servers = []'), /mcp_servers is not a table/],
    [toml('[[mcp_servers]]\ncommand = "x"\n'), /mcp_servers is not a table/],
    [toml(`x = ${'['.repeat(100_000)}`), /nested too deeply|not TOML/],
  ] as const)('%#', (list, why) => {
    for (const act of [() => wrapServers(list, REQUEST), () => unwrapServers(list, [])]) {
      expect(act).toThrow(why);
      expect(act).toThrow(FileRefusedError);
      expect(act).not.toThrow(/secret/);
    }
  });
});
