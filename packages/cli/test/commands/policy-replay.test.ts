import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { calls, json, project, run } from '../harness.ts';

const LEDGER = '.countersign/ledger.db';
const NEW =
  'id: new\nversion: "2"\nrules:\n  - { id: reads, tools: ["files/read_*"], effect: allow }\n  - { id: deletes, tools: ["delete_*"], effect: require_approval }\n  - { id: raw, tools: [secret], raw: [/x], when: "raw[\'/x\'] == 1", effect: deny }\n';

async function recorded(): Promise<string> {
  const cwd = await project();
  await calls(cwd, [
    { tool: 'read_file' },
    { tool: 'read_file', session: 's2' },
    { tool: 'delete_file' },
    { tool: 'delete_all' },
    { tool: 'write_file' },
    { tool: 'secret', args: { x: 1 } },
  ]);
  writeFileSync(join(cwd, 'new.yaml'), NEW);
  return cwd;
}

describe('policy replay', () => {
  it('says that the policy in force changes nothing', async () => {
    const cwd = await recorded();
    const ran = await run(['policy', 'replay', '--exit-code'], { cwd });
    expect(ran.code).toBe(0);
    expect(ran.stdout).toContain('Nothing would change.');
    expect(ran.stdout).toMatch(/the same +6\n/);
  });

  it('counts and lists what another policy would change, and what it cannot say', async () => {
    const cwd = await recorded();
    const ran = await run(['policy', 'replay', '--policy', 'new.yaml'], { cwd, columns: 60 });
    expect(ran.code).toBe(0);
    expect(ran.stdout).toMatch(/^Under policy new 2 \([0-9a-f]{16}\):\n/);
    expect(ran.stdout).toMatch(/DENY -> ASK +2\n/);
    expect(ran.stdout).toMatch(/ASK -> DENY +1\n/);
    expect(ran.stdout).toMatch(/cannot be replayed +1\n/);
    expect(ran.stdout).toMatch(/calls +6\n/);
    expect(ran.stdout).toMatch(/entry \d+, [-0-9T:.]+Z: files\/delete_file now\n {4}by rule "deletes", then by "no-deletes"/);
    expect(ran.stdout).toContain('Cannot be replayed:\n  1  raw not recorded\n');
    expect(ran.stdout.split('\n').every((line) => line.length <= 60)).toBe(true);
    expect((await run(['policy', 'replay', '--policy', 'new.yaml', '--exit-code'], { cwd })).code).toBe(1);
  });

  it('gives the same as JSON, with as many calls as asked for', async () => {
    const cwd = await recorded();
    const got = json(await run(['policy', 'replay', LEDGER, '--policy', 'new.yaml', '--json', '--all'], { cwd }));
    expect(got).toMatchObject({
      verified: false,
      policy: { id: 'new', version: '2' },
      unreadable: 0,
      calls: 6,
      compared: 5,
      same: 2,
      other_rule: 2,
      not_by_policy: {},
      not_replayable: { 'raw not recorded': 1 },
      decided_under: [{ id: 'starter', version: '1', calls: 6 }],
    });
    expect(got['changes']).toEqual([
      {
        from: 'deny',
        to: 'require_approval',
        count: 2,
        calls: [
          expect.objectContaining({
            tool: { server: 'files', name: 'delete_file' },
            session: 's1',
            was: { rule: 'no-deletes', reason_code: 'POLICY_DENY_HIGH_RISK' },
            would_be: { rule: 'deletes', reason_code: 'POLICY_REQUIRE_APPROVAL_HIGH_VALUE' },
          }),
          expect.objectContaining({ tool: { server: 'files', name: 'delete_all' } }),
        ],
      },
      {
        from: 'require_approval',
        to: 'deny',
        count: 1,
        calls: [expect.objectContaining({ tool: { server: 'files', name: 'write_file' } })],
      },
    ]);
  });

  it('counts only what is chosen', async () => {
    const cwd = await recorded();
    const count = async (...options: readonly string[]): Promise<unknown> =>
      json(await run(['policy', 'replay', '--policy', 'new.yaml', '--json', ...options], { cwd }))['calls'];
    expect(await count('--tool', 'files/delete_*')).toBe(2);
    expect(await count('--session', 's2')).toBe(1);
    expect(await count('--effect', 'require_approval')).toBe(1);
    expect(await count('--since', '1h')).toBe(6);
    expect(await count('--until', '1h')).toBe(0);
  });

  it('works on an export with openings, and tells of one without', async () => {
    const cwd = await recorded();
    await run(['export', '--output', 'all.jsonl'], { cwd });
    await run(['export', '--output', 'bare.jsonl', '--no-openings'], { cwd });
    const all = json(await run(['policy', 'replay', 'all.jsonl', '--policy', 'new.yaml', '--json'], { cwd }));
    expect(all).toMatchObject({ calls: 6, compared: 5 });
    const bare = json(await run(['policy', 'replay', 'bare.jsonl', '--policy', 'new.yaml', '--json'], { cwd }));
    expect(bare).toMatchObject({ calls: 6, compared: 0, not_replayable: { forgotten: 6 } });
  });

  it('exits 3 when there is nothing to replay', async () => {
    const cwd = await project();
    await calls(cwd, []);
    const ran = await run(['policy', 'replay'], { cwd });
    expect(ran.code).toBe(3);
    expect(ran.stdout).toContain('No decision is meant: the ledger has none yet');
  });

  it.each([
    [['nope.db'], 4, 'LEDGER_NOT_FOUND'],
    [['countersign.yaml'], 4, 'LEDGER_UNREADABLE'],
    [['--policy', 'nope.yaml'], 4, 'CONFIG_NOT_FOUND'],
    [['--policy', LEDGER], 1, 'CONFIG_INVALID'],
    [['--labels', 'old'], 2, 'USAGE'],
    [['--since', 'soon'], 2, 'USAGE'],
    [['--tool', '/'], 2, 'USAGE'],
  ])('%j exits %i with %s', async (argv, code, error) => {
    const cwd = await recorded();
    const ran = await run(['policy', 'replay', ...argv], { cwd });
    expect(ran.stderr).toContain(`[${error}]`);
    expect(ran.code).toBe(code);
  });
});
