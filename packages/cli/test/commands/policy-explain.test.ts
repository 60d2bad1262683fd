import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { calls, folder, json, project, type Ran, type RunOptions, run } from '../harness.ts';

const SECRET = 'ghp_0123456789abcdefghijABCDEFGHIJ012345';
const POLICY = `id: p
rules:
  - { id: small, tools: ["bank/refund"], when: "args.amount <= 500 && args.currency == 'EUR'", effect: allow }
  - { id: big, tools: [refund], when: "args.amount > 500", effect: require_approval, reason: over 500, approval: { ttl: 5m, quorum: 2, approvers: [ana, bob] } }
  - { id: flow, tools: ["*"], when: "'untrusted' in session.labels", unless: "principal == 'ada'", effect: deny }
  - { id: other, tools: ["x/y"], effect: allow }
`;

async function explained(argv: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const cwd = options.cwd ?? folder();
  writeFileSync(join(cwd, 'p.yaml'), POLICY);
  return run(['policy', 'explain', '--policy', 'p.yaml', ...argv], { ...options, cwd });
}

describe('policy explain', () => {
  it('tells the decision, and rule by rule which part of which condition made it', async () => {
    const ran = await explained(['--tool', 'bank/refund', '--args', '{"amount":20,"currency":"USD"}']);
    expect(ran.code).toBe(0);
    expect(ran.stdout).toBe(`bank/refund  mode enforce
  {
    "amount": 20,
    "currency": "USD"
  }

DENY  POLICY_DEFAULT_DENY
  because: no rule matches this call
No rule allows it: the default of the policy is deny.

  p / small: allow, does not apply
    tool matches "bank/refund"
    false  when: args.amount <= 500 && args.currency == 'EUR'
        true   args.amount <= 500
        false  args.currency == 'EUR'
  p / big: require_approval, does not apply
    tool matches "refund"
    false  when: args.amount > 500
  p / flow: deny, does not apply
    tool matches "*"
    false  when: 'untrusted' in session.labels
and 1 rule about other tools
`);
  });

  it('leaves out rules of packs that do not apply, and only those', async () => {
    const cwd = folder();
    writeFileSync(
      join(cwd, 'q.yaml'),
      'packs: [baseline]\nid: p\nrules:\n  - { id: own, tools: ["sh/exec"], when: "args.x == 1", effect: allow }\n',
    );
    const argv = ['policy', 'explain', '--policy', 'q.yaml', '--tool', 'sh/exec', '--args', '{"command":"rm -rf /"}'];
    const { stdout } = await run(argv, { cwd });
    expect(stdout).toContain('> baseline / baseline.destructive-command: require_approval, applies, decides\n');
    expect(stdout).toContain('p / own: allow, cannot be evaluated');
    expect(stdout).not.toContain('baseline.funds-moved');
    const folded = Number(/and (\d+) rules of packs that do not apply: --all\n/.exec(stdout)?.[1]);
    const { stdout: all } = await run([...argv, '--all'], { cwd });
    expect(all).toContain('baseline / baseline.funds-moved: require_approval, does not apply');
    expect(all).not.toContain('rules of packs');
    const told = (text: string): number => [...text.matchAll(/^[> ] baseline \/ /gm)].length;
    expect(told(all)).toBe(told(stdout) + folded);
    expect((json(await run([...argv, '--json'], { cwd }))['rules'] as readonly unknown[]).length).toBe(told(all) + 1);
  });

  it('tells the terms of an approval, and which rule wins', async () => {
    const { stdout } = await explained(['--tool', 'bank/refund', '--args', '{"amount":700,"currency":"EUR"}']);
    expect(stdout).toContain(
      'ASK  POLICY_REQUIRE_APPROVAL_HIGH_VALUE  rule "big"\n  because: over 500\n  approval: 2 must approve, of ana, bob, within 300 s\n',
    );
    expect(stdout).toContain('> p / big: require_approval, applies, decides\n');
    const flow = await explained(['--tool', 'x/y', '--label', 'untrusted']);
    expect(flow.stdout).toContain('session labels untrusted');
    expect(flow.stdout).toContain('The most restrictive rule wins: "other" would have it otherwise.');
    const unless = await explained(['--tool', 'x/y', '--label', 'untrusted', '--principal', 'ada']);
    expect(unless.stdout).toMatch(/^ALLOW {2}/m);
    expect(unless.stdout).toContain("true   unless: principal == 'ada'");
  });

  it('tells what could not be evaluated, and what the mode makes of it', async () => {
    const { stdout } = await explained(['--tool', 'bank/refund', '--mode', 'audit']);
    expect(stdout).toContain('DENY  POLICY_EVALUATION_FAILED  rule "big"');
    expect(stdout).toContain('error  when: args.amount > 500\n           missing key at "args.amount"');
    expect(stdout).toContain('denies the call, in every');
    const audit = await explained(['--tool', 'x/z', '--mode', 'audit']);
    expect(audit.stdout).toContain('ALLOW  POLICY_DEFAULT_DENY\n  because: no rule matches this call\n  the policy says: deny\n');
  });

  it('takes a call from a file and from standard input', async () => {
    const cwd = folder();
    const call = JSON.stringify({
      tool: { server: 'x', name: 'y' },
      args: {},
      labels: ['untrusted'],
      principal: 'ada',
      annotations: { readOnlyHint: true },
    });
    writeFileSync(join(cwd, 'call.json'), call);
    const stdin = new PassThrough();
    stdin.end(call);
    const [file, piped] = [await explained(['call.json'], { cwd }), await explained(['-'], { stdin })];
    expect(file.stdout).toMatch(/^ALLOW {2}/m);
    expect(piped.stdout).toBe(file.stdout);
  });

  it('shows no secret', async () => {
    const argv = ['--tool', 'x/y', '--args', JSON.stringify({ token: SECRET, text: `key ${SECRET}` })];
    for (const more of [[], ['--json']]) {
      const ran = await explained([...argv, ...more]);
      expect(ran.stdout).not.toContain(SECRET);
      expect(ran.stdout).toContain('[redacted:');
    }
  });

  it('shows nothing raw', async () => {
    const ran = await explained(['--tool', 'x/y', '--args', JSON.stringify({ a: '\u001b[2J\u202e' })]);
    expect(ran.stdout).not.toMatch(/[\u001b\u202e]/);
  });

  it('fits 60 columns', async () => {
    const ran = await explained(['--tool', 'bank/refund', '--args', '{"amount":700,"currency":"EUR"}'], { columns: 60 });
    expect(ran.stdout.split('\n').filter((line) => line.length > 60)).toEqual([]);
  });

  it('explains a call of a ledger as of then', async () => {
    const cwd = await project('', (text) =>
      text.replace(
        'rules:',
        'rules:\n    - { id: seen, tools: [read_file], effect: label, label: [seen] }\n    - { id: later, tools: [late], when: "\'seen\' in session.labels", effect: deny }',
      ),
    );
    await calls(cwd, [{ tool: 'late' }, { tool: 'read_file' }, { tool: 'late' }]);
    const lines = (await run(['filter', '--tool', 'late'], { cwd })).stdout.trim().split('\n');
    const ids = lines.map((line): string => JSON.parse(line).entry.call);
    const explainedCalls = await Promise.all(ids.map(async (id) => json(await run(['policy', 'explain', '--id', id, '--json'], { cwd }))));
    expect(explainedCalls.map(({ call, decision }) => [call, decision])).toEqual([
      [
        expect.objectContaining({ labels: [], decided: expect.objectContaining({ reason_code: 'POLICY_DEFAULT_DENY' }) }),
        expect.objectContaining({ effect: 'deny', reason_code: 'POLICY_DEFAULT_DENY' }),
      ],
      [
        expect.objectContaining({ labels: ['seen'], decided: expect.objectContaining({ rule: 'later' }) }),
        expect.objectContaining({ effect: 'deny', rule: 'later' }),
      ],
    ]);
  });

  it.each([
    [[], 2, 'USAGE'],
    [['--args', '{}'], 2, 'USAGE'],
    [['--tool', 'x', 'call.json'], 2, 'USAGE'],
    [['--tool', 'x', '--args', '{'], 2, 'USAGE'],
    [['--tool', 'x', '--args', '{"a":1,"a":2}'], 2, 'USAGE'],
    [['--tool', 'x', '--mode', 'off'], 2, 'USAGE'],
    [['nope.json'], 4, 'ENOENT'],
    [['p.yaml'], 2, 'USAGE'],
    [['dir'], 2, 'USAGE'],
    [['--tool', 'x\u0000'], 1, 'OPTIONS_INVALID'],
    [['--id', 'x', '--ledger', 'nope.db'], 4, 'LEDGER_NOT_FOUND'],
  ])('%j exits %i with %s', async (argv, code, error) => {
    const cwd = folder();
    mkdirSync(join(cwd, 'dir'));
    writeFileSync(join(cwd, 'call.json'), '{"tool":"x"}');
    const ran = await explained(argv, { cwd });
    expect([ran.code, ran.stderr]).toEqual([code, expect.stringContaining(`[${error}]`)]);
  });

  it('says so when no call has that id', async () => {
    const cwd = await project();
    await calls(cwd, [{ tool: 'read_file' }]);
    const ran = await run(['policy', 'explain', '--id', 'x'], { cwd });
    expect([ran.code, ran.stderr]).toEqual([2, expect.stringContaining('no decision belongs to the call "x"')]);
  });
});
