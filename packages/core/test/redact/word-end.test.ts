/** A secret ends where its word does: what a shell, YAML or SQL joins to it goes with it, and what stands behind it stays. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRedactor } from '../../src/index.ts';

const redactor = createRedactor();
const text = (value: string): string => redactor.text(value);
const [HALF, REST] = ['Tr0ub4dor', 'Zx9kkPq'];
const hidden = (kind: string): string => `[redacted:${kind}]`;

it.each([
  [`mysql --password='${HALF}'\\''${REST}' db`, `mysql --password='${hidden('parameter')}' db`],
  [`mysql --password '${HALF}'\\''${REST}' db`, `mysql --password '${hidden('command-password')}' db`],
  [`mysql -p'${HALF}'\\''${REST}' db`, `mysql -p'${hidden('command-password')}' db`],
  [`curl -u 'ada:${HALF}'\\''${REST}' http://h/`, `curl -u 'ada:${hidden('command-password')}' http://h/`],
  [`export DB_PASSWORD='${HALF}'"${REST}"; run`, `export DB_PASSWORD=${hidden('parameter')}; run`],
  [`export DB_PASSWORD="${HALF}"'"'"${REST}"; run`, `export DB_PASSWORD="${hidden('parameter')}"; run`],
  [`export DB_PASSWORD="${HALF}"${REST}; run`, `export DB_PASSWORD=${hidden('parameter')}; run`],
  [`export DB_PASSWORD=${HALF}"${REST}"; run`, `export DB_PASSWORD=${hidden('parameter')}; run`],
  [`export DB_PASSWORD=${HALF}\\ ${REST}; run`, `export DB_PASSWORD=${hidden('parameter')}; run`],
  [`DB_PASSWORD="${HALF} ${REST}" run`, `DB_PASSWORD="${hidden('parameter')}" run`],
  [`DB_PASSWORD='${HALF}"${REST}' run`, `DB_PASSWORD='${hidden('parameter')}' run`],
  [`curl -H "X-Api-Key: ${HALF}""${REST}" http://h/`, `curl -H "X-Api-Key: ${hidden('header')}" http://h/`],
  [`curl -H 'Authorization: Bearer ${HALF}'\\''${REST}' http://h/`, `curl -H 'Authorization: Bearer ${hidden('authorization')}' http://h/`],
  [`password: '${HALF}''${REST}'\nuser: ada`, `password: '${hidden('key-name')}'\nuser: ada`],
  [`PASSWORD '${HALF}''${REST}'; SELECT 'a'`, `PASSWORD '${hidden('command-password')}'; SELECT 'a'`],
])('%s', (command, shown) => {
  expect(text(command)).toBe(shown);
});

it.each([
  [
    ['mysql', `--password=${HALF}'${REST}`, 'db'],
    ['mysql', `--password=${hidden('parameter')}`, 'db'],
  ],
  [
    ['mysql', `--password=${HALF}"${REST}`, 'db'],
    ['mysql', `--password=${hidden('parameter')}`, 'db'],
  ],
  [
    ['curl', '-H', `X-Api-Key: ${HALF}"${REST}`, 'http://h/'],
    ['curl', '-H', `X-Api-Key: ${hidden('header')}`, 'http://h/'],
  ],
  [
    ['sh', '-c', `mysql --password='${HALF}'\\''${REST}' db`],
    ['sh', '-c', `mysql --password='${hidden('parameter')}' db`],
  ],
])('an item of a list of arguments is one word: %j', (argv, shown) => {
  expect(redactor.redact({ argv }).shown).toEqual({ argv: shown });
});

describe('what stands behind a secret in quotes stays', () => {
  const WHOLE = 'xK9-Tr0ub4dor-77Zq';
  it.each([
    `{"password":"${WHOLE}","user":"ada's"}`,
    `{"a":"\\"","password":"${WHOLE}","user":"ada"}`,
    JSON.stringify(JSON.stringify({ password: WHOLE, user: 'ada', note: 'it\'s "here"' })),
    `curl -H "X-Api-Key: ${WHOLE}" -H "Accept: text/plain" http://h/`,
    `password="${WHOLE}"\\nuser="ada"`,
    `run with --password="${WHOLE}". Ask "ada" for another.`,
    `run(--password='${WHOLE}', user='ada')`,
    `const url = "https://h/?token=${WHOLE}&user=ada";`,
  ])('%s', (whole) => {
    const [before, behind] = whole.split(WHOLE) as [string, string];
    const shown = text(whole);
    expect(shown).not.toBe(whole);
    expect(shown.startsWith(before)).toBe(true);
    expect(shown.endsWith(behind)).toBe(true);
  });
});

it('redacting twice equals once, whatever quotes stand around a secret', () => {
  const part = fc.constantFrom('"', "'", '\\', ' ', '\n', ';', ',', '=', ':', 'password=', '--password=', 'X-Api-Key: ', HALF, REST, 'a');
  fc.assert(
    fc.property(fc.array(part, { maxLength: 24 }), (parts) => {
      const once = text(parts.join(''));
      expect(text(once)).toBe(once);
    }),
    { numRuns: 2000 },
  );
});
