import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { calls, folder, json, project, run } from '../harness.ts';

const SHADOWED = `id: p
rules:
  - { id: reads, tools: ["files/read_*"], effect: allow }
  - { id: no, tools: ["files/*"], effect: deny }
`;

function file(name: string, text: string, cwd = folder()): string {
  writeFileSync(join(cwd, name), text);
  return cwd;
}

describe('policy check', () => {
  it('reads the configuration when no file is named, and the starter has nothing against it', async () => {
    const cwd = await project();
    const ran = await run(['policy', 'check'], { cwd });
    expect(ran.code).toBe(0);
    expect(ran.stdout.replaceAll('\n', ' ')).toMatch(/^policy starter 1: 3 rules, hash [0-9a-f]{16}; nothing to say against it $/);
    expect((await run(['policy', 'check', '--strict'], { cwd })).code).toBe(0);
  });

  it('says where, what and how bad: one line per finding when piped', async () => {
    const cwd = file('p.yaml', SHADOWED);
    const ran = await run(['policy', 'check', 'p.yaml'], { cwd });
    expect(ran.code).toBe(0);
    expect(ran.stdout.split('\n')[0]).toMatch(
      /^p\.yaml:3:25: warning RULE_SHADOWED: rule "reads": never decides: every tool it matches is always denied by rule "no"; /,
    );
    expect((await run(['policy', 'check', 'p.yaml', '--strict'], { cwd })).code).toBe(1);
  });

  it('wraps on a terminal', async () => {
    const ran = await run(['policy', 'check', 'p.yaml'], { cwd: file('p.yaml', SHADOWED), tty: true, columns: 60, env: { NO_COLOR: '1' } });
    expect(ran.stdout).toContain('3:25 warning RULE_SHADOWED\n    rule "reads": never decides:');
    expect(ran.stdout.split('\n').every((line) => line.length <= 60)).toBe(true);
  });

  it('gives the same as JSON', async () => {
    const ran = await run(['policy', 'check', 'p.yaml', '--json'], { cwd: file('p.yaml', SHADOWED) });
    expect(json(ran)).toEqual({
      file: 'p.yaml',
      policy: { id: 'p', hash: expect.stringMatching(/^[0-9a-f]{64}$/), rules: 2 },
      findings: [{ code: 'RULE_SHADOWED', severity: 'warning', rule: 'reads', line: 3, column: 25, message: expect.any(String) }],
      complete: true,
    });
  });

  it('exits 1 for a policy that does not load, with every problem', async () => {
    const cwd = file('p.yaml', 'id: p\nrules:\n  - { id: a, tools: ["x/"], effect: deny, when: "argz.x" }\n');
    const ran = await run(['policy', 'check', 'p.yaml'], { cwd });
    expect(ran.code).toBe(1);
    expect(ran.stdout).toMatch(/p\.yaml:3:22: error POLICY_INVALID: .*\np\.yaml:3:\d+: error POLICY_INVALID: .*did you mean "args"\?/);
    expect(ran.stdout).toMatch(/2 errors\n$/);
    expect(json(await run(['policy', 'check', 'p.yaml', '--json'], { cwd }))).not.toHaveProperty('policy');
  });

  it('compares with tools that are known, from files and from a ledger', async () => {
    const cwd = await project();
    file('tools.json', JSON.stringify({ tools: [{ name: 'read_file' }, { name: 'search' }] }), cwd);
    file('p.yaml', 'id: p\nrules:\n  - { id: a, tools: ["files/read_fil"], effect: allow }\n', cwd);
    const ran = await run(['policy', 'check', 'p.yaml', '--tools', 'files=tools.json'], { cwd });
    expect(ran.stdout).toContain('RULE_MATCHES_NOTHING: rule "a": matches none of the 2 known tools, did you mean "files/read_file"?');
    expect(ran.stdout).toContain('2 of 2 known tools are left to the default: files/read_file, files/search');
    await calls(cwd, [{ tool: 'read_file' }, { tool: 'read_file' }, { tool: 'write_file' }]);
    const both = json(
      await run(['policy', 'check', 'p.yaml', '--tools', 'files=tools.json', '--ledger', '.countersign/ledger.db', '--json'], { cwd }),
    );
    expect(both['tools']).toEqual({
      known: 3,
      unmatched: [
        { server: 'files', name: 'read_file' },
        { server: 'files', name: 'search' },
        { server: 'files', name: 'write_file' },
      ],
    });
  });

  it.each([
    [['nope.yaml'], 4, 'CONFIG_NOT_FOUND'],
    [['p.yaml', '--tools', 'nope.json'], 4, 'ENOENT'],
    [['p.yaml', '--tools', 'p.yaml'], 2, 'USAGE'],
    [['p.yaml', '--ledger', 'nope.db'], 4, 'LEDGER_NOT_FOUND'],
    [['p.yaml', 'q.yaml'], 2, 'USAGE'],
    [['--strct'], 2, 'USAGE'],
  ])('%j exits %i with %s', async (argv, code, error) => {
    const ran = await run(['policy', 'check', ...argv], { cwd: file('p.yaml', SHADOWED) });
    expect(ran.code).toBe(code);
    expect(ran.stderr).toContain(`[${error}]`);
    expect(ran.stdout).toBe('');
  });

  it('shows nothing of a file raw', async () => {
    const text = 'id: p\nrules:\n  - { id: a, tools: ["x"], effect: allow, when: "args.\\u202ex == 1" }\n';
    const ran = await run(['policy', 'check', 'p.yaml'], { cwd: file('p.yaml', text) });
    expect(ran.code).toBe(1);
    expect(ran.stdout).not.toContain('\u202e');
  });
});
