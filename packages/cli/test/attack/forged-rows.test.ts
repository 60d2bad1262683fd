/** Approval rows that somebody who can write the file has edited: answers nobody gave, and floods. */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { calls, json, project, run } from '../harness.ts';

interface Answer {
  readonly of: number | string;
  readonly leaf: string;
  readonly approver: string;
  readonly answer: string;
}

function edit(cwd: string, sql: string, ...values: readonly string[]): void {
  const database = new Sqlite(join(cwd, '.countersign', 'ledger.db'));
  database.prepare(sql).run(...values);
  database.close();
}

/** Two approvals that `finance` approved, and their answers as stored. */
async function answered(): Promise<{ readonly cwd: string; readonly id: string; readonly own: Answer; readonly other: Answer }> {
  const cwd = await project();
  const { stdout } = await run(['keygen', '--out', 'finance.key'], { cwd });
  appendFileSync(join(cwd, 'countersign.yaml'), `approvers:\n  finance: { key: ${JSON.stringify(stdout.trim())} }\n`);
  const ids = await calls(cwd, [{}, { args: { path: '/srv/b.txt' } }]);
  const given: Answer[] = [];
  for (const id of ids) {
    const more = ['--key', 'finance.key', '--as', 'finance', '--message', `fine: ${id}`];
    const ran = json(await run(['approvals', 'approve', id, ...more, '--json'], { cwd }));
    given.push(...(ran['approval'] as { readonly answers: readonly Answer[] }).answers);
  }
  const [id = ''] = ids;
  const [own, other] = given;
  if (own === undefined || other === undefined) throw new Error('not answered');
  return { cwd, id, own, other };
}

async function mismatches(cwd: string, id: string): Promise<unknown> {
  return (json(await run(['approvals', 'show', id, '--json'], { cwd }))['approval'] as { readonly mismatches: unknown }).mismatches;
}

describe('answers in a row', () => {
  it('that the ledger holds are no mismatch', async () => {
    const { cwd, id } = await answered();
    expect(await mismatches(cwd, id)).toEqual([]);
  });

  it('that it does not hold are told, by show and by list', async () => {
    const { cwd, id, own, other } = await answered();
    const forgeries: readonly (readonly unknown[])[] = [
      [{ ...own, approver: 'the cfo' }],
      [{ ...own, answer: 'deny' }],
      [{ ...own, leaf: '0'.repeat(64) }],
      [{ ...own, of: 1_000_000 }],
      [{ ...own, of: -1 }],
      [{ ...own, of: 0.5 }],
      [own, own],
      [other],
      [own, other],
      Array.from({ length: 300 }, () => own),
    ];
    for (const forged of forgeries) {
      edit(cwd, 'UPDATE approvals SET answers = ? WHERE id = ?', JSON.stringify(forged), id);
      expect(await mismatches(cwd, id), JSON.stringify(forged).slice(0, 200)).toContain('answers');
      expect((await run(['approvals', 'show', id], { cwd })).code).toBe(1);
    }
    expect((await run(['approvals', 'list', '--state', 'all'], { cwd })).stdout).toContain('approved!');
  });

  it('reach no terminal unescaped', async () => {
    const { cwd, id, own } = await answered();
    const forged = { ...own, of: '\u001b[2J', approver: '\u001b[2J' };
    edit(cwd, 'UPDATE approvals SET answers = ? WHERE id = ?', JSON.stringify([forged, own]), id);
    const ran = await run(['approvals', 'show', id], { cwd, tty: true, env: { NO_COLOR: '1' } });
    expect(ran.stdout).toContain('TAMPERED');
    expect(ran.stdout).not.toContain('\u001b');
  });

  it('bring the message they were given with', async () => {
    const { cwd, id, own } = await answered();
    edit(cwd, `UPDATE openings SET sections = replace(sections, 'fine:', 'paid:') WHERE seq = CAST(? AS INTEGER)`, String(own.of));
    expect(await mismatches(cwd, id)).toEqual(['message']);
  });
});

describe('the reason code of a row', () => {
  it('is compared with the ask', async () => {
    const { cwd, id } = await answered();
    edit(cwd, 'UPDATE approvals SET reason_code = ? WHERE id = ?', 'POLICY_ALLOW_LOW_RISK', id);
    expect(await mismatches(cwd, id)).toEqual(['reason_code']);
  });
});

describe('a flood of approvals', () => {
  it('cannot hide a second meaning of the first digits: the whole id is asked for', async () => {
    const cwd = await project();
    const [id = ''] = await calls(cwd, [{}]);
    const columns =
      'call, agent, session, principal, server, tool, rule, reason_code, state, binds, policy_hash, ask_of, ask_leaf, answers';
    edit(
      cwd,
      `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
       INSERT INTO approvals (id, ${columns}, created_at, expires_at, quorum)
       SELECT printf('%032x', i), ${columns}, created_at + i, expires_at, quorum FROM approvals, n WHERE id = ?`,
      id,
    );
    const ran = await run(['approvals', 'show', id.slice(0, 8)], { cwd });
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain('this ledger holds 10000 approvals or more');
    expect((await run(['approvals', 'show', id], { cwd })).code).toBe(0);
  });
});
