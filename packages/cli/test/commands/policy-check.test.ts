import { readFileSync, writeFileSync } from 'node:fs';
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
      policy: { id: 'p', hash: expect.stringMatching(/^[0-9a-f]{64}$/), rules: 2, packs: [], bundle: false, cedar: false, default: 'deny' },
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
      only_packs: [],
    });
  });

  it('has nothing to say against what init writes', async () => {
    const cwd = folder();
    expect((await run(['init', '--agent', 'bot'], { cwd })).code).toBe(0);
    const ran = await run(['policy', 'check', '--strict'], { cwd });
    expect(ran.code, ran.stdout).toBe(0);
    expect(ran.stdout.replaceAll('\n', ' ')).toMatch(
      /: pack baseline with \d+ rules, 0 rules of its own, hash [0-9a-f]{16}; nothing to say against it What no rule decides: allow\. /,
    );
  });

  it('tells tools that packs alone watch from tools nobody is about', async () => {
    const cwd = file('tools.json', JSON.stringify({ tools: [{ name: 'read_file' }, { name: 'search' }] }));
    file('p.yaml', 'id: p\npacks: [baseline]\nrules:\n  - { id: a, tools: ["files/search"], effect: allow }\n', cwd);
    const argv = ['policy', 'check', 'p.yaml', '--tools', 'files=tools.json'];
    const ran = await run(argv, { cwd });
    expect(ran.stdout.replaceAll('\n', ' ')).toContain(
      '1 of 2 known tools is watched by packs alone; the calls they do not stop: deny. files/read_file',
    );
    expect(ran.stdout).not.toContain('left to the default');
    expect(json(await run([...argv, '--json'], { cwd }))).toMatchObject({
      policy: { rules: 1, packs: [{ id: 'baseline' }] },
      tools: { known: 2, unmatched: [], only_packs: [{ server: 'files', name: 'read_file' }] },
    });
  });

  it('says that Cedar and a decision point decide too', async () => {
    const cwd = file('a.cedar', '@id("a") permit (principal, action, resource);');
    file('tools.json', JSON.stringify({ tools: [{ name: 'search' }] }), cwd);
    file('p.yaml', 'id: p\ncedar: [a.cedar]\nauthzen: { url: "https://pdp.example" }\n', cwd);
    const ran = await run(['policy', 'check', 'p.yaml', '--tools', 'files=tools.json', '--strict'], { cwd });
    const text = ran.stdout.replaceAll('\n', ' ');
    expect(ran.code, text).toBe(0);
    expect(text).toContain('Cedar policies decide too');
    expect(text).toContain('The decision point of the configuration was not asked.');
    expect(text).toContain('1 of 1 known tools is left to Cedar and the default: files/search');
    expect((await run(['policy', 'check', 'p.yaml', '--json'], { cwd })).stdout).toContain('Cedar policies decide too');
    file('a.cedar', 'permit (principal', cwd);
    expect((await run(['policy', 'check', 'p.yaml'], { cwd })).stdout).toContain('error POLICY_INVALID');
  });

  it('checks the rules inside a signed bundle, and tells its packs from them', async () => {
    const cwd = file('own.yaml', `${SHADOWED}packs: [baseline]\n`);
    await run(['keygen', '--out', 'ana.key', '--name', 'ana'], { cwd });
    expect((await run(['policy', 'sign', 'own.yaml', '--key', 'ana.key', '--out', 'p.bundle'], { cwd })).code).toBe(0);
    file(
      'c.yaml',
      `version: 1\nagent: bot\npolicy:\n  bundle: p.bundle\n  keys: ["${readFileSync(join(cwd, 'ana.key.pub'), 'utf8').trim()}"]\n`,
      cwd,
    );
    const ran = await run(['policy', 'check', 'c.yaml'], { cwd });
    expect(ran.stdout).toMatch(/^c\.yaml:4:\d+: warning RULE_SHADOWED: rule "reads": /);
    expect(ran.stdout.replaceAll('\n', ' ')).toContain('a signed bundle, pack baseline with');
    const told = json(await run(['policy', 'explain', '--policy', 'c.yaml', '--tool', 'files/read_x', '--json'], { cwd }));
    expect(told['rules']).toContainEqual(expect.objectContaining({ policy: 'p', rule: 'no', effect: 'deny', decides: true }));
    file('t.yaml', 'policy: c.yaml\ncases:\n  - { name: one, call: { tool: files/read_x }, expect: deny }\n', cwd);
    expect((await run(['policy', 'test', 't.yaml'], { cwd })).stdout).toContain(
      '1 of 1 cases pass; 1 of 2 rules decided one\n  never decided: reads',
    );
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
