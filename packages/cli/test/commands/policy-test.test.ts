import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { folder, json, run } from '../harness.ts';

const POLICY =
  'policy:\n  id: p\n  rules:\n    - { id: a, tools: ["f/a"], effect: allow }\n    - { id: b, tools: ["f/b"], when: "args.n > 1 && args.m == 2", effect: allow }\n';
const GOOD = `${POLICY}cases:\n  - { name: one, call: { tool: f/a }, expect: allow }\n`;
const BAD = `${POLICY}cases:\n  - { name: one, call: { tool: f/a }, expect: allow }\n  - { name: two, call: { tool: f/b, args: { n: 2, m: 3 } }, expect: allow }\n`;

function files(given: Readonly<Record<string, string>>): string {
  const cwd = folder();
  for (const [name, text] of Object.entries(given)) writeFileSync(join(cwd, name), text);
  return cwd;
}

describe('policy test', () => {
  it('finds its files, and tells what passed and what no case touched', async () => {
    const cwd = files({ 'x.policy-test.yaml': GOOD, 'y.policy-test.yaml': GOOD, 'other.yaml': BAD });
    const ran = await run(['policy', 'test'], { cwd });
    expect(ran.code).toBe(0);
    expect(ran.stdout).toContain('1 of 1 cases pass; 1 of 2 rules decided one\n  never decided: b\n');
    expect(ran.stdout).toMatch(/\n2 passed, 0 failed\n$/);
    expect((await run(['policy', 'test', 'x.*'], { cwd })).stdout).toMatch(/\n1 passed, 0 failed\n$/);
  });

  it('exits 1 when a case fails, with what was expected, what came, and why', async () => {
    const ran = await run(['policy', 'test', 'b.yaml'], { cwd: files({ 'b.yaml': BAD }), columns: 60 });
    expect(ran.code).toBe(1);
    expect(ran.stdout).toContain(
      '  FAIL  two (line 8)\n      f/b\n      effect: expected "allow", got "deny"\n      DENY  POLICY_DEFAULT_DENY\n',
    );
    expect(ran.stdout).toContain(
      '          false  when: args.n > 1 && args.m == 2\n              true   args.n > 1\n              false  args.m == 2\n',
    );
    expect(ran.stdout).not.toContain('one (line');
    expect(ran.stdout.split('\n').every((line) => line.length <= 60 || line.startsWith('/'))).toBe(true);
    expect((await run(['policy', 'test', 'b.yaml', '--all'], { cwd: files({ 'b.yaml': BAD }) })).stdout).toContain('  ok    one (line 7)');
  });

  it('exits 1 for a rule without a case when coverage is required', async () => {
    const cwd = files({ 'g.yaml': GOOD });
    expect((await run(['policy', 'test', 'g.yaml', '--require-coverage'], { cwd })).code).toBe(1);
    const all = `${GOOD}  - { name: two, call: { tool: f/b, args: { n: 2, m: 2 } }, expect: allow }\n`;
    expect((await run(['policy', 'test', 'g.yaml', '--require-coverage'], { cwd: files({ 'g.yaml': all }) })).code).toBe(0);
  });

  it('gives the same as JSON', async () => {
    const got = json(await run(['policy', 'test', 'b.yaml', '--json'], { cwd: files({ 'b.yaml': BAD }) }));
    expect(got).toMatchObject({
      passed: 1,
      failed: 1,
      files: [
        {
          policy: { id: 'p' },
          cases: [
            { name: 'one', line: 7, ok: true },
            {
              name: 'two',
              line: 8,
              ok: false,
              steps: [
                {
                  tool: 'f/b',
                  got: { effect: 'deny', would: 'deny', rule: null, reason_code: 'POLICY_DEFAULT_DENY', labels: [] },
                  differences: [{ field: 'effect', expected: 'allow', got: 'deny' }],
                  explanation: { decision: { effect: 'deny' }, rules: [{ rule: 'b', outcome: 'does not apply' }], other_rules: 1 },
                },
              ],
            },
          ],
          coverage: { rules: 2, never_decided: ['b'] },
        },
      ],
    });
  });

  it.each([
    [[], 2, 'USAGE', 'no file matches **/*.policy-test.yaml'],
    [['x/*.yaml'], 2, 'USAGE', 'no file matches x/*.yaml'],
    [['nope.yaml'], 4, 'CONFIG_NOT_FOUND', 'nope.yaml: not found'],
    [['bad.yaml'], 1, 'CONFIG_INVALID', 'unknown key "case", did you mean "cases"?'],
    [['g.yaml', 'h.yaml'], 2, 'USAGE', 'unexpected argument'],
  ])('%j exits %i with %s', async (argv, code, error, message) => {
    const ran = await run(['policy', 'test', ...argv], { cwd: files({ 'g.yaml': GOOD, 'bad.yaml': 'policy: x\ncase: []' }) });
    expect(ran.code).toBe(code);
    expect(ran.stderr).toContain(`[${error}]`);
    expect(ran.stderr).toContain(message);
  });

  it('shows nothing of a file raw', async () => {
    const text = `${POLICY}cases:\n  - { name: "a\\u202eb\\e[2J", call: { tool: f/a, args: { x: "\\e[2J" } }, expect: deny }\n`;
    const ran = await run(['policy', 'test', 'b.yaml'], { cwd: files({ 'b.yaml': text }) });
    expect(ran.code).toBe(1);
    expect(ran.stdout).not.toMatch(/[\u202e\u001b]/);
  });
});
