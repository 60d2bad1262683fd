/** Forms in which a secret's name and the secret stand apart, each seen in files and results of tools. */
import { describe, expect, it } from 'vitest';
import { createRedactor } from '../../src/redact/redact.ts';

const redactor = createRedactor();
const S = 'Tr0ub4dor9xyz';
const H = '[redacted:key-name]';

describe('a secret is found', () => {
  it.each([
    ['an element', `<server><password>${S}</password></server>`],
    ['attributes', `<property name="password" value="${S}"/>`],
    ['attributes of .NET', `<add key="ApiKey" value="${S}" />`],
    ['a list of YAML', `env:\n  - name: DB_PASSWORD\n    value: ${S}\n`],
    ['a list of JSON', `[{"name":"DB_PASSWORD","value":"${S}"}]`],
    ['JSON in JSON', JSON.stringify({ a: JSON.stringify([{ name: 'DB_PASSWORD', value: S }]) })],
    ['a block of YAML', `password: |\n  ${S}\n  ${S}\nother: 1`],
    ['a folded block of YAML', `a:\r\n  password: >-\r\n    ${S}\r\n  b: 1`],
    ['a statement', `CREATE USER u IDENTIFIED BY '${S}';`],
    ['another statement', `ALTER ROLE u WITH PASSWORD '${S}' VALID UNTIL 'x'`],
    ['an address with escaped slashes', `{"u":"https:\\/\\/u:${S}@h\\/x"}`],
    ['an escaped ampersand', `{"u":"https://h/x?a=1\\u0026token=${S}"}`],
  ])('in %s', (_what, text) => {
    const once = redactor.text(text);
    expect(once).not.toContain(S);
    expect(redactor.text(once)).toBe(once);
  });

  it.each([
    [
      'pairs',
      [
        ['Accept', 'a'],
        ['X-Api-Key', S],
      ],
      [
        ['Accept', 'a'],
        ['X-Api-Key', H],
      ],
    ],
    ['tags', { Tags: [{ Key: 'password', Value: S }] }, { Tags: [{ Key: 'password', Value: H }] }],
    ['parameters', [{ ParameterKey: 'DBPassword', ParameterValue: S }], [{ ParameterKey: 'DBPassword', ParameterValue: H }]],
    ['names with signs nobody sees', { 'pass\u200bword': S, 'api\u00adKey': S }, { 'pass\u200bword': H, 'api\u00adKey': H }],
  ])('in %s', (_what, value, shown) => {
    const once = redactor.redact(value);
    expect(once.shown).toEqual(shown);
    expect(redactor.redact(once.shown)).toEqual({ shown, findings: [] });
  });

  it('and what stands around a block of YAML stays', () => {
    expect(redactor.text(`a: 1\npassword: |\n  ${S}\nb: 2`)).toBe(`a: 1\npassword: |\n  ${H}\nb: 2`);
  });
});

it.each([
  'mysql <password> and <token> are placeholders, <password></password> is empty',
  '<password>${env.PASSWORD}</password>',
  'password: |\nother: 1',
  'token: >\n\nx',
  "{ name: 'token', value: token }, { key: 'password', value: 'Password' }",
  'env:\n  - name: DB_PASSWORD\n    valueFrom:\n      secretKeyRef: { name: db, key: password }',
  "const query = 'PASSWORD ' + name; PASSWORD '%s'",
  '[["password","email"]]',
  'name: my-token\nvalue: 3',
])('ordinary text stays: %s', (text) => {
  expect(redactor.text(text)).toBe(text);
});
