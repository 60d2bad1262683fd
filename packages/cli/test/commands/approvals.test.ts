import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { type Authorization, loadConfig } from '@countersign/core';
import { guardFromConfig, storeFromConfig } from '@countersign/core/sqlite';
import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { calls, json, project, type Ran, run } from '../harness.ts';

const LEDGER = '.countersign/ledger.db';
const EVIL = '\u001b[2J\u202epay\u200b';

/** A project with an approver `finance`, whose key is finance.key. */
async function withApprover(): Promise<string> {
  const cwd = await project();
  const { stdout } = await run(['keygen', '--out', 'finance.key'], { cwd });
  appendFileSync(join(cwd, 'countersign.yaml'), `approvers:\n  finance: { key: ${JSON.stringify(stdout.trim())} }\n`);
  return cwd;
}

async function one(cwd: string): Promise<string> {
  const [id] = await calls(cwd, [{}]);
  if (id === undefined) throw new Error('nothing waits');
  return id;
}

function answer(cwd: string, verb: string, id: string, more: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Promise<Ran> {
  return run(['approvals', verb, id, '--key', 'finance.key', '--as', 'finance', ...more], { cwd, env });
}

/** Changes the file as somebody who can write it would. */
function tamper(cwd: string, sql: string, ...values: readonly string[]): void {
  const database = new Database(join(cwd, LEDGER));
  database.prepare(sql).run(...values);
  database.close();
}

describe('approvals list', () => {
  it('says what to do when nothing waits', async () => {
    const cwd = await withApprover();
    await calls(cwd, [{ tool: 'read_file' }]);
    const ran = await run(['approvals', 'list'], { cwd });
    expect(ran.code).toBe(0);
    expect(ran.stdout).toContain('no pending approvals in this ledger');
    expect(ran.stdout).toContain('`effect: require_approval`');
    expect(json(await run(['approvals', 'list', '--json'], { cwd }))).toEqual({
      approvals: [],
      counts: { pending: 0, approved: 0, denied: 0, expired: 0, failed: 0, consumed: 0 },
      next: null,
    });
  });

  it('fits a terminal of 80 columns, and narrower ones', async () => {
    const cwd = await withApprover();
    await calls(cwd, [
      { server: 'a-server-with-a-long-name', tool: `write_${'x'.repeat(120)}` },
      { server: '文件服务器', tool: `write_${'写'.repeat(60)}` },
    ]);
    for (const columns of [80, 70, 60]) {
      const ran = await run(['approvals', 'list'], { cwd, tty: true, columns, env: { NO_COLOR: '1' } });
      const table = ran.stdout.split('\n').slice(0, 3);
      expect(table[0]).toMatch(/^ID +STATE +AGE +EXPIRES +AGENT +TOOL +RULE$/);
      for (const line of table)
        expect(Array.from(line).reduce((sum, each) => sum + (/\p{Script=Han}/u.test(each) ? 2 : 1), 0)).toBeLessThanOrEqual(columns);
    }
  });

  it('cuts nothing when piped, and colours nothing', async () => {
    const cwd = await withApprover();
    const tool = `write_${'x'.repeat(120)}`;
    await calls(cwd, [{ tool }]);
    const ran = await run(['approvals', 'list'], { cwd });
    expect(ran.stdout).toContain(`files/${tool}`);
    expect(ran.stdout).not.toContain('\u001b');
  });

  it('has this JSON shape', async () => {
    const cwd = await withApprover();
    const id = await one(cwd);
    const { approvals } = json(await run(['approvals', 'list', '--json'], { cwd }));
    expect(approvals).toEqual([
      {
        id,
        state: 'pending',
        agent: 'bot',
        session: 's1',
        principal: null,
        call: expect.stringMatching(/^[0-9a-f]{32}$/),
        tool: { server: 'files', name: 'write_file' },
        rule: 'ask',
        reason_code: 'POLICY_REQUIRE_APPROVAL_HIGH_VALUE',
        reason: 'changes something',
        args: { path: '/srv/a.txt' },
        binds: expect.stringMatching(/^[0-9a-f]{64}$/),
        policy_hash: expect.any(String),
        entry: { of: expect.any(Number), leaf: expect.stringMatching(/^[0-9a-f]{64}$/) },
        created_at: expect.any(Number),
        expires_at: expect.any(Number),
        quorum: 1,
        approvers: null,
        assurance: null,
        answers: [],
        edit: null,
        edited: null,
        message: null,
        mismatches: [],
      },
    ]);
  });

  it('filters by state', async () => {
    const cwd = await withApprover();
    const id = await one(cwd);
    await answer(cwd, 'deny', id);
    const ids = async (state: string): Promise<unknown> =>
      json(await run(['approvals', 'list', '--state', state, '--json'], { cwd }))['approvals'];
    expect(await ids('pending')).toEqual([]);
    expect(await ids('denied')).toHaveLength(1);
    expect(await ids('all')).toHaveLength(1);
    expect((await run(['approvals', 'list', '--state', 'penidng'], { cwd })).stderr).toContain('did you mean "pending"?');
  });
});

describe('approvals list, page by page', () => {
  const many = async (): Promise<string> => {
    const cwd = await withApprover();
    await calls(cwd, [
      {},
      { args: { path: '/srv/b.txt' }, session: 's2' },
      { tool: 'write_log', args: {} },
      { server: 'mail', tool: 'write_log', args: {} },
    ]);
    return cwd;
  };

  it('says how many more there are, and how to see them', async () => {
    const cwd = await many();
    const first = await run(['approvals', 'list', '--limit', '3'], { cwd });
    const [, id = ''] = /^1 more of 4: countersign approvals list --after ([0-9a-f]{32})$/m.exec(first.stdout) ?? [];
    const rest = await run(['approvals', 'list', '--after', id], { cwd });
    expect(rest.stdout).toContain('mail/write_log');
    expect(rest.stdout).not.toContain('more');
    const [last] = json(await run(['approvals', 'list', '--after', id, '--json'], { cwd }))['approvals'] as { id: string }[];
    expect((await run(['approvals', 'list', '--after', last?.id ?? ''], { cwd })).stdout).toContain('no pending approvals after this one');
  });

  it('has counts and the next page in JSON', async () => {
    const cwd = await many();
    const ran = json(await run(['approvals', 'list', '--limit', '2', '--json'], { cwd }));
    const approvals = ran['approvals'] as { id: string }[];
    expect(ran).toMatchObject({ counts: { pending: 4, denied: 0 }, next: approvals[1]?.id });
    const second = json(await run(['approvals', 'list', '--limit', '2', '--after', approvals[1]?.id ?? '', '--json'], { cwd }));
    expect(second).toMatchObject({ next: null });
    expect(second['approvals']).toHaveLength(2);
  });

  it.each([
    [['--session', 's2'], 1],
    [['--tool', 'files/write_log'], 1],
    [['--tool', 'write_log'], 2],
    [['--agent', 'bot', '--tool', 'mail/write_log'], 1],
    [['--agent', 'other'], 0],
    [['--tool', 'mail/*'], 0],
  ])('%j shows %d', async (more, count) => {
    const cwd = await many();
    const ran = json(await run(['approvals', 'list', '--json', ...more], { cwd }));
    expect(ran['approvals']).toHaveLength(count);
    expect(ran).toMatchObject({ counts: { pending: count } });
    if (count === 0) expect((await run(['approvals', 'list', ...more], { cwd })).stdout).toContain('no pending approvals like this');
  });

  it.each([
    [['--limit', '0'], 2, 'USAGE'],
    [['--limit', '-1'], 2, 'USAGE'],
    [['--limit', '10001'], 2, 'USAGE'],
    [['--limit', '1e3'], 2, 'USAGE'],
    [['--after', 'nonsense'], 2, 'USAGE'],
    [['--after', 'f'.repeat(32)], 1, 'APPROVAL_NOT_FOUND'],
  ])('%j exits with %d', async (more, code, name) => {
    const ran = await run(['approvals', 'list', '--json', ...more], { cwd: await many() });
    expect(ran.code).toBe(code);
    expect(json(ran)).toMatchObject({ error: { code: name } });
  });

  it('leaves columns out where the terminal is narrow', async () => {
    const cwd = await many();
    const head = async (columns: number): Promise<string> => {
      const { stdout } = await run(['approvals', 'list'], { cwd, tty: true, columns, env: { NO_COLOR: '1' } });
      const table = stdout.split('\n').slice(0, 5);
      for (const line of table) expect(line.length).toBeLessThanOrEqual(columns);
      return (table[0] ?? '').replaceAll(/ +/g, ' ');
    };
    expect(await head(59)).toBe('ID STATE EXPIRES TOOL');
    expect(await head(39)).toBe('ID EXPIRES TOOL');
  });

  it('an id that somebody put into the row is in no command to copy', async () => {
    const cwd = await many();
    tamper(cwd, `UPDATE approvals SET id = '; rm -rf ~ #' WHERE id = (SELECT id FROM approvals ORDER BY created_at, id LIMIT 1)`);
    const ran = await run(['approvals', 'list', '--limit', '1'], { cwd });
    expect(ran.stdout).toContain('3 more of 4: countersign approvals list --after ID');
  });
});

describe('approvals show', () => {
  it('shows what would run, why it was asked and what an answer binds', async () => {
    const cwd = await withApprover();
    const id = await one(cwd);
    const ran = await run(['approvals', 'show', id.slice(0, 6)], { cwd });
    expect(ran.code).toBe(0);
    for (const text of [
      `approval ${id}`,
      'tool     files/write_file',
      'rule     ask',
      'reason   changes something',
      'binds    ',
      '"path": "/srv/a.txt"',
    ]) {
      expect(ran.stdout).toContain(text);
    }
    expect(ran.stdout).toContain('answer: countersign approvals approve|deny');
    expect(json(await run(['approvals', 'show', id, '--json'], { cwd }))).toMatchObject({ approval: { id, state: 'pending' } });
  });

  it("escapes whatever the agent sent, in people's output and in JSON", async () => {
    const cwd = await withApprover();
    const [id = ''] = await calls(cwd, [{ tool: `write_\u202e${'x'}`, args: { [EVIL]: [EVIL, '\nanswer: approved'] } }]);
    for (const argv of [
      ['approvals', 'list'],
      ['approvals', 'show', id],
      ['approvals', 'show', id, '--json'],
    ]) {
      const ran = await run(argv, { cwd, tty: true, env: { NO_COLOR: '1' } });
      expect(ran.code).toBe(0);
      expect(ran.stdout.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
      expect(ran.stdout).not.toMatch(/^answer: approved/m);
    }
  });

  it.each([
    ['ffffff', 1, 'APPROVAL_NOT_FOUND'],
    ['abc', 2, 'USAGE'],
    ['zzzzzz', 2, 'USAGE'],
    ["'; DROP TABLE approvals", 2, 'USAGE'],
    ['__proto__', 2, 'USAGE'],
  ])('%j exits with %d', async (id, code, name) => {
    const cwd = await withApprover();
    await one(cwd);
    const ran = await run(['approvals', 'show', id, '--json'], { cwd });
    expect(ran.code).toBe(code);
    expect(json(ran)).toMatchObject({ error: { code: name } });
  });

  it('refuses a prefix that two ids share', async () => {
    const cwd = await withApprover();
    const [first = '', second = ''] = await calls(cwd, [{}, { args: { path: '/srv/b.txt' } }]);
    tamper(cwd, 'UPDATE approvals SET id = ? WHERE id = ?', `${first.slice(0, 8)}${second.slice(8)}`, second);
    const ran = await run(['approvals', 'show', first.slice(0, 8)], { cwd });
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain('more than one');
  });
});

describe('approvals approve and deny', () => {
  it('lets exactly this call run once', async () => {
    const cwd = await withApprover();
    const id = await one(cwd);
    const ran = await answer(cwd, 'approve', id.slice(0, 8), ['--json', '--message', 'fine by me']);
    expect(ran.code).toBe(0);
    expect(json(ran)).toMatchObject({
      approval: { id, state: 'approved', answers: [{ approver: 'finance', answer: 'approve' }] },
      answer: 'approve',
      approver: 'finance',
    });

    const config = loadConfig(join(cwd, 'countersign.yaml'), { env: {} });
    const store = storeFromConfig(config);
    const guard = guardFromConfig(config, store);
    const call = { tool: { server: 'files', name: 'write_file' }, args: { path: '/srv/a.txt' }, session: 's1' };
    const options = { approval: 'suspend', adopt: true } as const;
    expect((await guard.authorize({ ...call, args: { path: '/srv/other.txt' } }, options)).kind).toBe('pending');
    const permit = await guard.authorize(call, options);
    expect(permit.kind).toBe('permit');
    if (permit.kind === 'permit') await permit.settle({ status: 'success' }, { durable: true });
    expect((await guard.authorize(call, options)).kind).toBe('pending');
    await store.close();
    const verified = await run(['verify', '--public-key', '.countersign/ledger.key.pub'], { cwd });
    expect(verified.code).toBe(0);
  });

  describe('with other arguments', () => {
    const TOKEN = 'ghp_16C7e42F292c6912E7710c838347Ae178B4a';
    const ARGS = { path: '/srv/a.txt', mode: 420, api_key: TOKEN };

    async function waiting(): Promise<{ cwd: string; id: string }> {
      const cwd = await withApprover();
      const [id = ''] = await calls(cwd, [{ args: ARGS }]);
      return { cwd, id };
    }
    async function comeBack(cwd: string): Promise<Authorization> {
      const store = storeFromConfig(loadConfig(join(cwd, 'countersign.yaml'), { env: {} }));
      const guard = guardFromConfig(loadConfig(join(cwd, 'countersign.yaml'), { env: {} }), store);
      const call = { tool: { server: 'files', name: 'write_file' }, args: ARGS, session: 's1' };
      const authorization = await guard.authorize(call, { approval: 'suspend', adopt: true });
      if (authorization.kind === 'permit') await authorization.settle({ status: 'success' }, { durable: true });
      await store.close();
      return authorization;
    }

    it('proposes them, shows what changed, and asks about the edited call', async () => {
      const { cwd, id } = await waiting();
      writeFileSync(join(cwd, 'args.json'), JSON.stringify({ path: '/srv/b.txt', api_key: '[redacted:key-name]', note: 'x\u202e' }));
      const ran = await answer(cwd, 'approve', id, ['--args', 'args.json', '--message', 'not there']);
      expect(ran).toMatchObject({ code: 0, stderr: '' });
      expect(ran.stdout).toBe(
        [
          'edited: files/write_file for bot',
          '  - /mode: 420',
          '  ~ /path: "/srv/a.txt" -> "/srv/b.txt"',
          '  + /note: "x\\u{202e}"',
          'the call is refused as it was; when the agent comes back the edited one is decided anew',
          '',
        ].join('\n'),
      );
      const shown = await run(['approvals', 'show', id], { cwd });
      expect(shown).toMatchObject({ code: 0 });
      expect(shown.stdout).toMatch(/edited {3}by finance, entry/);
      expect(shown.stdout).toContain('~ /path: "/srv/a.txt" -> "/srv/b.txt"');
      expect(json(await run(['approvals', 'show', id, '--json'], { cwd }))).toMatchObject({
        approval: {
          state: 'denied',
          answers: [{ answer: 'deny', edited: true }],
          edit: { path: '/srv/b.txt', api_key: '[redacted:key-name]' },
          mismatches: [],
        },
      });

      const again = await comeBack(cwd);
      expect(again).toMatchObject({ kind: 'pending', shown: { path: '/srv/b.txt' } });
      const second = again.kind === 'pending' ? again.approvalId : '';
      const anew = await run(['approvals', 'show', second], { cwd });
      expect(anew.stdout).toContain('edited from call');
      expect(anew.stdout).toContain('- /mode: 420');
      expect((await answer(cwd, 'approve', second)).code).toBe(0);
      expect(await comeBack(cwd)).toMatchObject({ kind: 'permit', args: { path: '/srv/b.txt', api_key: TOKEN, note: 'x\u202e' } });
      const verified = await run(['verify', '--public-key', '.countersign/ledger.key.pub', '--json'], { cwd });
      expect(json(verified)).toMatchObject({ status: 'valid', problems: [] });
    });

    it('takes them from standard input', async () => {
      const { cwd, id } = await waiting();
      const stdin = Readable.from([Buffer.from('{"path":"/srv/'), Buffer.from('c.txt"}')]);
      const ran = await run(['approvals', 'approve', id, '--key', 'finance.key', '--as', 'finance', '--args', '-', '--json'], {
        cwd,
        stdin,
      });
      expect(json(ran)).toMatchObject({ answer: 'edit', approver: 'finance', approval: { edit: { path: '/srv/c.txt' } } });
    });

    it.each<[string, string | Buffer, readonly string[], number, string]>([
      ['no JSON', '{path', [], 2, 'USAGE'],
      ['no UTF-8', Buffer.from([0x22, 0xff, 0x22]), [], 2, 'USAGE'],
      ['too much', ' '.repeat(4_194_305), [], 2, 'USAGE'],
      ['a secret', JSON.stringify({ path: TOKEN }), [], 1, 'APPROVAL_EDIT_INVALID'],
      ['a placeholder that was moved', '{"path":"[redacted:key-name]"}', [], 1, 'APPROVAL_EDIT_INVALID'],
      ['a prototype', '{"__proto__":{"a":1}}', [], 1, 'APPROVAL_EDIT_INVALID'],
      ['a name twice', '{"amount":1,"amount":70}', [], 1, 'APPROVAL_EDIT_INVALID'],
      ['a number that is another one once it is read', '{"amount":12345678901234567890}', [], 1, 'APPROVAL_EDIT_INVALID'],
      ['a grant beside them', '{"path":"/b"}', ['--grant', '1h', '--uses', '2', '--reason', 'r'], 2, 'USAGE'],
    ])('refuses %s, and the call still waits', async (_what, content, more, code, name) => {
      const { cwd, id } = await waiting();
      writeFileSync(join(cwd, 'args.json'), content);
      const ran = await answer(cwd, 'approve', id, ['--args', 'args.json', '--json', ...more]);
      expect(ran.code).toBe(code);
      expect(json(ran)).toMatchObject({ error: { code: name } });
      expect(ran.stdout + ran.stderr).not.toContain(TOKEN);
      expect(json(await run(['approvals', 'show', id, '--json'], { cwd }))).toMatchObject({ approval: { state: 'pending' } });
    });

    it('is no option of a deny', async () => {
      const { cwd, id } = await waiting();
      expect((await answer(cwd, 'deny', id, ['--args', 'args.json'])).code).toBe(2);
    });
  });

  it('denies with a word for the agent', async () => {
    const cwd = await withApprover();
    const id = await one(cwd);
    const ran = await answer(cwd, 'deny', id, ['--message', 'not today']);
    expect(ran).toMatchObject({ code: 0, stdout: 'denied: files/write_file for bot\n' });
    expect((await run(['approvals', 'show', id], { cwd })).stdout).toContain('message  not today');
  });

  it('takes one answer only', async () => {
    const cwd = await withApprover();
    const id = await one(cwd);
    await answer(cwd, 'deny', id);
    const again = await answer(cwd, 'approve', id);
    expect(again.code).toBe(1);
    expect(again.stderr).toContain('[APPROVAL_NOT_PENDING]');
  });

  it('takes a key with a passphrase', async () => {
    const cwd = await project();
    writeFileSync(join(cwd, 'pass'), 'horse\n');
    const { stdout } = await run(['keygen', '--out', 'finance.key', '--passphrase-file', 'pass'], { cwd });
    appendFileSync(join(cwd, 'countersign.yaml'), `approvers:\n  finance: { key: ${JSON.stringify(stdout.trim())} }\n`);
    const id = await one(cwd);
    expect((await answer(cwd, 'approve', id)).stderr).toContain('[KEY_INVALID]');
    writeFileSync(join(cwd, 'wrong'), 'cow\n');
    expect((await answer(cwd, 'approve', id, ['--passphrase-file', 'wrong'])).code).toBe(1);
    expect((await answer(cwd, 'approve', id, ['--passphrase-file', 'pass'])).code).toBe(0);
  });

  it('counts answers where a rule wants several', async () => {
    const cwd = await project('', (text) =>
      text.replace('reason: changes something', 'reason: changes something\n      approval: { quorum: 2, approvers: [finance, legal] }'),
    );
    const keys = await Promise.all(
      ['finance', 'legal', 'other'].map(async (name) => (await run(['keygen', '--out', `${name}.key`], { cwd })).stdout.trim()),
    );
    const lines = ['finance', 'legal', 'other'].map((name, index) => `  ${name}: { key: ${JSON.stringify(keys[index])} }\n`);
    appendFileSync(join(cwd, 'countersign.yaml'), `approvers:\n${lines.join('')}`);
    const id = await one(cwd);
    const as = (name: string): Promise<Ran> => run(['approvals', 'approve', id, '--key', `${name}.key`, '--as', name], { cwd });
    expect((await as('other')).stderr).toContain('[APPROVER_REFUSED]');
    expect((await as('finance')).stdout).toContain('1 of 2 approvals given; the call still waits');
    expect((await as('finance')).code).toBe(1);
    expect((await as('legal')).stdout).toContain('the agent may run this call once');
  });

  it.each([
    [['--as', 'finance'], 2, 'USAGE'],
    [['--key', 'finance.key'], 2, 'USAGE'],
    [['--key', 'finance.key', '--as', 'nobody'], 1, 'APPROVER_REFUSED'],
    [['--key', 'finance.key', '--as', '__proto__'], 1, 'APPROVER_REFUSED'],
    [['--key', '.countersign/ledger.key', '--as', 'finance'], 1, 'APPROVER_REFUSED'],
    [['--key', 'nowhere.key', '--as', 'finance'], 4, 'KEY_NOT_FOUND'],
    [['--key', 'countersign.yaml', '--as', 'finance'], 1, 'KEY_INVALID'],
  ])('%j is refused with exit %d and leaves the approval open', async (more, code, name) => {
    const cwd = await withApprover();
    const id = await one(cwd);
    const ran = await run(['approvals', 'approve', id, ...more, '--json'], { cwd });
    expect(ran.code).toBe(code);
    expect(json(ran)).toMatchObject({ error: { code: name } });
    expect(json(await run(['approvals', 'show', id, '--json'], { cwd }))).toMatchObject({ approval: { state: 'pending' } });
  });

  it.each([
    ['tool', `UPDATE approvals SET tool = 'read_file'`],
    ['agent', `UPDATE approvals SET agent = 'other'`],
    ['quorum', 'UPDATE approvals SET quorum = 0'],
    ['expiry', 'UPDATE approvals SET expires_at = expires_at + 1'],
    ['binds', `UPDATE approvals SET binds = 'x'`],
    ['approvers', `UPDATE approvals SET approvers = '["finance"]'`],
    ['entry', `UPDATE approvals SET ask_leaf = 'x'`],
    ['args', `UPDATE openings SET sections = replace(sections, '/srv/a.txt', '/srv/b.txt')`],
  ])('refuses to approve what was edited: %s', async (what, sql) => {
    const cwd = await withApprover();
    const id = await one(cwd);
    tamper(cwd, sql);
    const shown = await run(['approvals', 'show', id], { cwd });
    expect(shown.code).toBe(1);
    expect(shown.stdout).toMatch(new RegExp(`TAMPERED: .*: ${what}\n`));
    const ran = await answer(cwd, 'approve', id);
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain('[LEDGER_CORRUPT]');
    expect((await run(['approvals', 'list'], { cwd })).stdout).toContain('pending!');
  });

  it('refuses to approve what nobody can read any more', async () => {
    const cwd = await withApprover();
    const id = await one(cwd);
    tamper(cwd, 'DELETE FROM openings');
    const ran = await answer(cwd, 'approve', id);
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain('nobody can know what would run');
  });

  it.each(['COUNTERSIGN_CALL', 'COUNTERSIGN_GUARDED'])('is refused when %s is set', async (name) => {
    const cwd = await withApprover();
    const id = await one(cwd);
    for (const verb of ['approve', 'deny']) {
      const ran = await answer(cwd, verb, id, [], { [name]: '1' });
      expect(ran.code).toBe(1);
      expect(ran.stderr).toContain('[APPROVER_REFUSED]');
    }
  });

  it('never prints a passphrase or a key', async () => {
    const cwd = await withApprover();
    const id = await one(cwd);
    const secret = readFileSync(join(cwd, 'finance.key'), 'utf8').split('\n')[1] ?? '';
    const ran = await answer(cwd, 'approve', id, ['--json']);
    expect(ran.stdout + ran.stderr).not.toContain(secret);
  });
});
