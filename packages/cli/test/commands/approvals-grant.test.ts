import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { verifyLedger } from '@countersign/core/sqlite';
import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { calls, json, project, type Ran, run } from '../harness.ts';

const LEDGER = '.countersign/ledger.db';
const GRANT = ['--grant', '1h', '--uses', '2', '--reason', 'the outage of tonight'];

interface Project {
  readonly cwd: string;
  /** Verifier line of `finance`, whose key is finance.key. */
  readonly vkey: string;
}

async function withApprover(): Promise<Project> {
  const cwd = await project();
  const { stdout } = await run(['keygen', '--out', 'finance.key'], { cwd });
  appendFileSync(join(cwd, 'countersign.yaml'), `approvers:\n  finance: { key: ${JSON.stringify(stdout.trim())} }\n`);
  return { cwd, vkey: stdout.trim() };
}

function answer({ cwd }: Project, verb: string, id: string, more: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Promise<Ran> {
  return run(['approvals', verb, id, '--key', 'finance.key', '--as', 'finance', ...more], { cwd, env });
}

async function waiting({ cwd }: Project, args: unknown = { path: '/srv/a.txt' }): Promise<string> {
  const [id] = await calls(cwd, [{ args }]);
  if (id === undefined) throw new Error('nothing waits');
  return id;
}

/** Approves a call with a grant. @returns its id. */
async function granted(each: Project, more: readonly string[] = []): Promise<string> {
  const ran = await answer(each, 'approve', await waiting(each), [...GRANT, ...more, '--json']);
  expect([ran.code, ran.stderr]).toEqual([0, '']);
  return (json(ran)['grant'] as { id: string }).id;
}

describe('approvals approve --grant', () => {
  it('lets so many calls run, says so, and the ledger is valid with the key of whoever gave it', async () => {
    const each = await withApprover();
    const ran = await answer(each, 'approve', await waiting(each), GRANT);
    expect(ran.code).toBe(0);
    expect(ran.stdout).toMatch(
      /^granted: 2 more calls of this session, until .*; take it back: countersign approvals revoke [0-9a-f]{8}$/m,
    );
    expect(await calls(each.cwd, [{}, {}])).toEqual([]);
    expect(await calls(each.cwd, [{}])).toHaveLength(1);
    const report = await verifyLedger(join(each.cwd, LEDGER), { approvers: new Map([['finance', each.vkey]]) });
    expect([report.status, report.problems]).toEqual(['valid', []]);
    expect(report.warnings.filter(({ code }) => code === 'APPROVER_UNCHECKED')).toEqual([]);
  });

  it('with a condition and for every session', async () => {
    const each = await withApprover();
    await granted(each, ['--when', "args.path.startsWith('/srv/')", '--scope', 'agent']);
    expect(await calls(each.cwd, [{ args: { path: '/etc/passwd' } }])).toHaveLength(1);
    expect(await calls(each.cwd, [{ session: 'another' }])).toEqual([]);
  });

  it.each<[readonly string[], number, string]>([
    [['--uses', '5'], 2, '--uses is about a grant'],
    [['--grant', 'soon', '--uses', '5', '--reason', 'r'], 2, '--grant "soon" is no time'],
    [['--grant', '1h', '--reason', 'r'], 2, '--grant needs --uses N'],
    [['--grant', '1h', '--uses', '-1', '--reason', 'r'], 2, '--uses'],
    [['--grant', '1h', '--uses', '5'], 2, '--grant needs --reason R'],
    [['--grant', '1h', '--uses', '5', '--reason', 'r', '--scope', 'all'], 2, 'use session or agent'],
    [['--grant', '25h', '--uses', '5', '--reason', 'r'], 1, 'GRANT_REFUSED'],
    [['--grant', '1h', '--uses', '1001', '--reason', 'r'], 1, 'GRANT_REFUSED'],
    [['--grant', '1h', '--uses', '5', '--reason', 'r', '--when', 'args.x =='], 1, 'CONDITION_INVALID'],
    [['--grant', '1h', '--uses', '5', '--reason', 'the key is sk-live-0123456789abcdef0123456789abcdef'], 0, ''],
  ])('%j: exit %i, and nothing is answered unless it is all right', async (more, code, text) => {
    const each = await withApprover();
    const id = await waiting(each);
    const ran = await answer(each, 'approve', id, more);
    expect(ran.code === 0).toBe(code === 0);
    if (code === 2) expect(ran.code).toBe(2);
    expect(ran.stderr).toContain(text);
    const { approval } = json(await run(['approvals', 'show', id, '--json'], { cwd: each.cwd }));
    expect(approval).toMatchObject({ state: code === 0 ? 'approved' : 'pending' });
  });

  it('is no option of deny', async () => {
    const each = await withApprover();
    expect((await answer(each, 'deny', await waiting(each), GRANT)).code).toBe(2);
  });
});

describe('approvals list --grants and show', () => {
  it('tell what is used and left, by whom and why', async () => {
    const each = await withApprover();
    await calls(each.cwd, [{ tool: 'read_file' }]);
    expect((await run(['approvals', 'list', '--grants'], { cwd: each.cwd })).stdout).toContain('nothing was granted in this ledger');
    const id = await granted(each, ['--when', "args.path != ''"]);
    await calls(each.cwd, [{}]);
    const listed = await run(['approvals', 'list', '--grants'], { cwd: each.cwd });
    expect(listed.stdout).toMatch(new RegExp(`^${id.slice(0, 8)} +open +1 +1 +in \\w+ +finance +bot +files/write_file`, 'm'));
    const { grants } = json(await run(['approvals', 'list', '--grants', '--json'], { cwd: each.cwd }));
    expect(grants).toEqual([
      {
        id,
        state: 'open',
        agent: 'bot',
        session: 's1',
        principal: null,
        tool: { server: 'files', name: 'write_file', schema: null },
        rule: 'ask',
        policy_hash: expect.stringMatching(/^[0-9a-f]{64}$/),
        uses: 2,
        uses_left: 1,
        given_at: expect.any(Number),
        expires_at: expect.any(Number),
        approver: { id: 'finance', method: 'key', assurance: 'high' },
        approval: expect.stringMatching(/^[0-9a-f]{32}$/),
        answer: { of: expect.any(Number), leaf: expect.stringMatching(/^[0-9a-f]{64}$/) },
        entry: { of: expect.any(Number), leaf: expect.stringMatching(/^[0-9a-f]{64}$/) },
        reason: 'the outage of tonight',
        when: "args.path != ''",
      },
    ]);
    const shown = await run(['approvals', 'show', id.slice(0, 8)], { cwd: each.cwd });
    for (const text of [
      `grant ${id}`,
      'used     1 of 2, 1 left',
      'by       finance (key, high assurance)',
      'reason   the outage of tonight',
      "when     args.path != ''",
    ])
      expect(shown.stdout).toContain(text);
    expect(json(await run(['approvals', 'show', id, '--json'], { cwd: each.cwd }))).toMatchObject({ grant: { id, uses_left: 1 } });
  });

  it('count what the entries tell, not what a row says', async () => {
    const each = await withApprover();
    const id = await granted(each);
    await calls(each.cwd, [{}, {}]);
    const database = new Database(join(each.cwd, LEDGER));
    database.exec('UPDATE grants SET uses_left = 1000');
    database.close();
    expect(json(await run(['approvals', 'show', id, '--json'], { cwd: each.cwd }))).toMatchObject({
      grant: { state: 'used', uses_left: 0 },
    });
  });

  it('calls that a grant let run are found by their code, and shown with the grant', async () => {
    const each = await withApprover();
    await granted(each);
    await calls(each.cwd, [{}, {}]);
    const { entries } = json(await run(['filter', '--reason-code', 'GRANT_USED', '--kind', 'decision', '--json'], { cwd: each.cwd })) as {
      entries: readonly unknown[];
    };
    expect(entries).toHaveLength(2);
    const filtered = await run(['filter', '--kind', 'grant'], { cwd: each.cwd, tty: true, columns: 120, env: { NO_COLOR: '1' } });
    expect(filtered.stdout).toContain('granted files/write_file  by finance');
  });
});

describe('approvals revoke', () => {
  it('takes a grant back, once and for all, and says what was used of it', async () => {
    const each = await withApprover();
    const id = await granted(each);
    await calls(each.cwd, [{}]);
    const ran = await answer(each, 'revoke', id.slice(0, 8), ['--message', 'enough']);
    expect([ran.code, ran.stdout.trim()]).toEqual([0, 'taken back: the grant of files/write_file for bot, used 1 of 2 times']);
    expect(await calls(each.cwd, [{}])).toHaveLength(1);
    expect(json(await answer(each, 'revoke', id, ['--json']))).toMatchObject({ grant: { state: 'revoked' }, approver: 'finance' });
    const report = await verifyLedger(join(each.cwd, LEDGER), { approvers: new Map([['finance', each.vkey]]) });
    expect([report.status, report.problems]).toEqual(['valid', []]);
  });

  it('takes an approval back that waits or was not used', async () => {
    const each = await withApprover();
    const id = await waiting(each);
    await answer(each, 'approve', id);
    const ran = await answer(each, 'revoke', id);
    expect([ran.code, ran.stdout.trim()]).toEqual([0, 'taken back: the approval of files/write_file for bot']);
    expect(json(await run(['approvals', 'show', id, '--json'], { cwd: each.cwd }))).toMatchObject({ approval: { state: 'denied' } });
    const other = await waiting(each, { path: '/srv/b.txt' });
    expect(json(await answer(each, 'revoke', other, ['--json']))).toMatchObject({ approval: { state: 'denied' } });
  });

  it('not with another key, without one, under an unknown name, or from inside a guarded process tree', async () => {
    const each = await withApprover();
    const id = await granted(each);
    await run(['keygen', '--out', 'other.key'], { cwd: each.cwd });
    writeFileSync(join(each.cwd, 'empty.key'), '');
    const revoke = (more: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ran> =>
      run(['approvals', 'revoke', id, ...more], { cwd: each.cwd, env });
    expect((await revoke(['--key', 'other.key', '--as', 'finance'])).stderr).toContain('APPROVER_REFUSED');
    expect((await revoke(['--key', 'empty.key', '--as', 'finance'])).code).not.toBe(0);
    expect((await revoke(['--key', 'finance.key', '--as', 'nobody'])).stderr).toContain('APPROVER_REFUSED');
    expect((await revoke(['--as', 'finance'])).code).toBe(2);
    expect((await revoke(['--key', 'finance.key'])).code).toBe(2);
    expect((await revoke(['--key', 'finance.key', '--as', 'finance'], { COUNTERSIGN_GUARDED: '1' })).code).not.toBe(0);
    expect(await calls(each.cwd, [{}])).toEqual([]);
    expect((await answer(each, 'revoke', 'ffffffff')).stderr).toContain('APPROVAL_NOT_FOUND');
  });
});

it.each(['csv', 'ocsf', 'ndjson', 'acta', 'dsse'])('export --format %s takes grants as they come', async (format) => {
  const each = await withApprover();
  const id = await granted(each);
  await calls(each.cwd, [{}]);
  await answer(each, 'revoke', id);
  const sign = format === 'acta' || format === 'dsse' ? ['--sign-key', '.countersign/ledger.key'] : [];
  const ran = await run(['export', '--format', format, '--output', 'out.txt', ...sign], { cwd: each.cwd });
  expect(ran).toMatchObject({ code: 0, stderr: expect.not.stringContaining('UNSIGNED') });
  const text = readFileSync(join(each.cwd, 'out.txt'), 'utf8');
  expect(text).toContain(format === 'dsse' ? 'payload' : 'GRANT_USED');
});

it('receipts of a grant, and of a call it let run, are valid', async () => {
  const each = await withApprover();
  await granted(each);
  await calls(each.cwd, [{}]);
  const { entries } = json(await run(['filter', '--json'], { cwd: each.cwd })) as {
    entries: readonly { index: number; entry: { kind: string } }[];
  };
  const found = entries.filter(({ entry }) => entry.kind === 'grant' || ('grant' in entry && entry.kind === 'decision'));
  expect(found).toHaveLength(2);
  for (const { index } of found) {
    expect((await run(['receipt', 'make', '--entry', String(index + 1), '--output', `${index}.json`], { cwd: each.cwd })).code).toBe(0);
    const vkey = readFileSync(join(each.cwd, '.countersign/ledger.key.pub'), 'utf8').trim();
    const checked = await run(['receipt', 'check', `${index}.json`, '--public-key', vkey, '--json'], { cwd: each.cwd });
    expect(json(checked)).toMatchObject({ status: 'valid', warnings: [] });
  }
});
