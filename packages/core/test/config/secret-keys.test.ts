/** A secret that was written where its name belongs is a key of the file: no message shows it. */
import { expect, it } from 'vitest';
import { CountersignError, checkPolicySource, parseConfig, parseScopeText } from '../../src/index.ts';

const TOKEN = `ghp_${'a1B2c3D4e5F6'.repeat(3)}`;
const HEAD = 'version: 1\nagent: bot\npolicy: { id: p, rules: [] }\nledger: { path: l.db, sign: none, origin: ex/l }\n';

it.each([
  ['a top level key', `${TOKEN}: 1\n`],
  ['in place of a name of a variable', `approvals: { senders: { pager: { secret: { ${TOKEN} } } } }\n`],
  ['twice', `${TOKEN}: 1\n${TOKEN}: 2\n`],
  ['a header', `servers: { t: { url: "https://h/", headers: { "${TOKEN} x": y } } }\n`],
  ['a server', `servers: { "${TOKEN} x": { url: 1 } }\n`],
  ['a key of another language', `redaction: { values: { ${TOKEN}: 1 } }\n`],
])('%s', (_what, more) => {
  let told = '';
  try {
    parseConfig(HEAD + more);
  } catch (error) {
    if (!CountersignError.is(error)) throw error;
    told = `${error.message} ${JSON.stringify(error.details)}`;
  }
  expect(told).toContain('problem');
  expect(told).not.toContain(TOKEN);
  const { findings } = checkPolicySource(HEAD + more);
  expect(findings.length).toBeGreaterThan(0);
  expect(JSON.stringify(findings)).not.toContain(TOKEN);
});

it.each([`${TOKEN}: 1\n`, `scope: { filesystem: { ${TOKEN}: 1 } }\n${TOKEN}: 2\n`, `allowed_paths: [/srv]\n${TOKEN}: 1\n`])(
  'a scope file: %s',
  (scope) => {
    let told = '';
    try {
      told = JSON.stringify(parseScopeText(scope, 'scope.yaml'));
    } catch (error) {
      if (!CountersignError.is(error)) throw error;
      told = error.message;
    }
    expect(told).toContain('[redacted:github-token]');
    expect(told).not.toContain(TOKEN);
  },
);
