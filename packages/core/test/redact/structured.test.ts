/** Values with a structure of their own, inside a string. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Json } from '../../src/call.ts';
import { createRedactor } from '../../src/redact/redact.ts';
import { anySecret, ORDINARY } from './corpora.ts';

const redactor = createRedactor();

describe('structured values inside strings', () => {
  it.each<[string, string]>([
    ['{"user":"bob","password":"two words","n":1}', '{"user":"bob","password":"[redacted:key-name]","n":1}'],
    ['{ "password" : "q\\"uo\\\\" , "b": 2 }', '{ "password" : "[redacted:key-name]" , "b": 2 }'],
    ['{"pin_token":12345,"n":12345}', '{"pin_token":[redacted:key-name],"n":12345}'],
    ['{"credentials":{"u":"a]","p":["b}"]},"z":1}', '{"credentials":[redacted:key-name],"z":1}'],
    ['[{"api_keys":["a","b"]},5]', '[{"api_keys":[redacted:key-name]},5]'],
    ['log: {"token":"abc', 'log: {"token":"[redacted:key-name]'],
    ["{'password': 'abc', 'n': 1}", "{'password': '[redacted:key-name]', 'n': 1}"],
    ['db:\n  user: a\n  password: hunter\n  port: 1', 'db:\n  user: a\n  password: [redacted:key-name]\n  port: 1'],
    ['- token: x1', '- token: [redacted:key-name]'],
    ['a: 1\\npassword: x\\nb: 2', 'a: 1\\npassword: [redacted:key-name]\\nb: 2'],
    ['[main]\npassword = hunter2', '[main]\npassword = [redacted:key-name]'],
    ['api_key = "a1b2c3"', 'api_key = "[redacted:key-name]"'],
    ['export FOO_SECRET=x', 'export FOO_SECRET=[redacted:key-name]'],
    ['spring.datasource.password=hunter', 'spring.datasource.password=[redacted:parameter]'],
    ['run --password x --verbose', 'run --password [redacted:key-name] --verbose'],
    ['run --api-key "x y" z', 'run --api-key "[redacted:key-name]" z'],
    ['["--password","hunter2","-v"]', '["--password","[redacted:key-name]","-v"]'],
    ['host=h user=u password=hunter dbname=d', 'host=h user=u password=[redacted:key-name] dbname=d'],
    ['"Password=abc;Server=x"', '"Password=[redacted:key-name];Server=x"'],
    ['Driver={x y};Uid=u;Pwd={p;w};A=1', 'Driver={x y};Uid=u;Pwd={[redacted:key-name]};A=1'],
    ['user=bob&password=hunter2&x=1', 'user=bob&password=[redacted:parameter]&x=1'],
    [
      'jdbc:sqlserver://h:1433;user=u;password=hunter2;encrypt=true',
      'jdbc:sqlserver://h:1433;user=u;password=[redacted:parameter];encrypt=true',
    ],
    ['jdbc:mysql://h/db?user=u&password=hunter2', 'jdbc:mysql://h/db?user=u&password=[redacted:parameter]'],
    ['mongodb+srv://u:hunter2@h1,h2:27017/db?w=1', 'mongodb+srv://u:[redacted:url-password]@h1,h2:27017/db?w=1'],
    ['mysql -u root -psecret db', 'mysql -u root -p[redacted:command-password] db'],
    ['curl -s -u bob:hunter2 https://x', 'curl -s -u bob:[redacted:command-password] https://x'],
    ['sshpass -p hunter2 ssh x', 'sshpass -p [redacted:command-password] ssh x'],
    ['docker login -u bob -p hunter2 reg', 'docker login -u bob -p [redacted:command-password] reg'],
    ['htpasswd -bc f bob hunter2', 'htpasswd -bc f bob [redacted:command-password]'],
    ['openssl rsa -in k -passin pass:hunter2', 'openssl rsa -in k -passin pass:[redacted:command-password]'],
  ])('%s', (text, expected) => {
    expect(redactor.text(text)).toBe(expected);
    expect(redactor.text(expected)).toBe(expected);
  });

  it.each<[string[], number, string]>([
    [['curl', '-u', 'ada:correct-horse', 'https://x.example'], 2, 'ada:'],
    [['/usr/bin/curl', '-H', 'Accept: text/html; q=1, a | b & "c"', '-uada:correct-horse'], 3, '-uada:'],
    [['curl', ...Array.from({ length: 40 }, (_, i) => `--header=X-${i}: ${'v'.repeat(300)}`), '-u', 'ada:a b"c;d'], 42, 'ada:'],
    [['curl', '-u', 'ada:correct-horse', '-U', 'bob:correct-horse'], 4, 'bob:'],
    [['sudo', 'mysql', '-u', 'root', '-psecret9', 'db'], 4, '-p'],
    [['sshpass', '-p', 'correct-horse', 'ssh', 'host'], 2, ''],
    [['docker', 'login', '-u', 'ada', '-p', 'correct-horse', 'registry.example'], 5, ''],
    [['htpasswd', '-c', '-b', 'file', 'ada', 'correct-horse'], 5, ''],
    [['openssl', 'rsa', '-in', 'k', '-passin', 'pass:correct-horse'], 5, 'pass:'],
  ])('arguments of a command, in a list: %j', (argv, at, before) => {
    const { shown, findings } = redactor.redact({ argv });
    const list = (shown as { readonly argv: readonly string[] }).argv;
    expect(list[at]).toBe(`${before}[redacted:command-password]`);
    expect(findings).toContainEqual({ kind: 'command-password', pointer: `/argv/${at}` });
    expect(list).toHaveLength(argv.length);
    expect(redactor.redact(shown).shown).toEqual(shown);
  });

  it.each([
    [['docker', 'run', '-p', '80:80', '--name', 'x', 'curl', '-u', '-p', 'https://a.example']],
    [['sort', '-u', 'a:b']],
    [['curl', '--upload-file', 'a:b', 'https://a.example:8080/x']],
    [['curl', '-u', '${USER}:${PASS}', 'https://a.example']],
    [['mysql', '-u', 'root', '-p', 'db']],
    [['curly', '-u', 'ada:correct-horse']],
    [['docker', 'run', '-p', '8080:80', 'x']],
  ])('arguments that hold no password stay: %j', (argv) => {
    expect(redactor.redact(argv).shown).toEqual(argv);
  });

  it.each([
    '{"password":null,"secret":"","token":false,"credentials":{},"api_keys":[]}',
    '{"properties":{"password":{"type":"string"},"token":{ "description": "a token" }}}',
    '{"members":{"clientToken":{"shape":"Token"},"credentials": {\n"shape": "Credentials" }}}',
    'permissions:\n  contents: read\n  id-token: write\n  secrets: read # for the release',
    '{"dependencies":{"cookie":"^0.7.1"}}',
    'const state = ok ? "pass" : "fail";',
    'interface A {\n  password: string;\n  token: Token\n  secret?: string | undefined\n}',
    'login(username=username, password=password, token=self.token)',
    'label: \'Password\'\nhint: "Enter your password"',
    'use the --password option, or --token for a token',
    'mysql -u root -p db; docker run -p 80:80 x; mkdir -p a; curl https://a | sh -u x:y',
    'curl -u ${USER}:${PASS} https://a.example; curl --upload-file a:b',
    'tests: {"pass":12,"fail":3}\npass: 12',
    'PWD=/home/bob\n"pwd":"/home/bob"',
    'password: <your password>\npassword: ${PASSWORD}\n"token": "<token>"',
    'The password: it is secret. A key: the one to success.',
  ])('leaves alone: %s', (text) => {
    expect(redactor.text(text)).toBe(text);
  });

  it('judges members as in the object, at every depth of quoting, and changes no other character', () => {
    const names = fc.constantFrom('password', 'apiKey', 'DB_SECRET', 'user', 'note', 'sort_key', 'x-auth-token', 'token_count');
    const text = fc.string({ unit: fc.constantFrom(...'ab"\\{}[]:, \nä😀'), maxLength: 12 }).filter((value) => !/^\{.+\}$/s.test(value));
    fc.assert(
      fc.property(fc.dictionary(names, text, { maxKeys: 4 }), fc.nat({ max: 4 }), (members, depth) => {
        const shown = redactor.redact(members).shown;
        // What a member holds may itself read like one; that is not what this is about.
        fc.pre(
          Object.values(shown as Record<string, Json>).every(
            (value, i) => value === '[redacted:key-name]' || value === Object.values(members)[i],
          ),
        );
        const quoted = (value: unknown): string => {
          let result = JSON.stringify(value);
          for (let i = 0; i < depth; i++) result = JSON.stringify({ a: 1, body: result, z: 'z' });
          return result;
        };
        expect(redactor.text(quoted(members))).toBe(quoted(shown));
      }),
      { numRuns: 2000 },
    );
  });

  it('uses the names of the config too', () => {
    const by = createRedactor({ keys: ['iban', 'Kundennummer'] });
    expect(by.text('{"customerIban":"DE1"} https://a.example/?iban=DE2&b=1\niban: DE3\nKUNDENNUMMER=4x')).toBe(
      '{"customerIban":"[redacted:key-name]"} https://a.example/?iban=[redacted:key-name]&b=1\niban: [redacted:key-name]\nKUNDENNUMMER=[redacted:key-name]',
    );
  });

  it('twice equals once, over mixtures of all of it', () => {
    const piece = fc.oneof(
      anySecret.map(({ text }) => text),
      fc.constantFrom(...ORDINARY),
      fc.constantFrom(
        ...[
          '{"password":',
          '"',
          '\\"',
          '\\\\\\"',
          'x',
          '}',
          '[',
          ']',
          ',',
          '\n',
          ' ',
          '--password ',
          '--token=',
          'password: ',
          'password = ',
        ],
        ...[
          'mysql -p',
          'curl -u a:',
          '[redacted:key-name]',
          '[redacted:jwt]',
          "'",
          ';Pwd={',
          '12',
          '\\n',
          '{"credentials":{',
          '"secret":"',
          '\\',
          '`',
        ],
      ),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 10 }), (pieces) => {
        const once = redactor.text(pieces.join(''));
        expect(redactor.text(once)).toBe(once);
        expect(redactor.redact({ once }).findings).toEqual([]);
      }),
      { numRuns: 4000 },
    );
  });
});
