import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseConfig } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { calls, folder, json, project, run } from '../harness.ts';

const SECRET = 'ghp_0123456789abcdefghijABCDEFGHIJ012345';

async function audited(given: Parameters<typeof calls>[1]): Promise<string> {
  const cwd = await project('', (text) => text.replace('mode: enforce', 'mode: audit'));
  await calls(cwd, given);
  return cwd;
}

const ORDINARY = [
  ...['/data/a/1.txt', '/data/a/2.txt', '/data/b/3.txt'].map((path) => ({ tool: 'read_file', args: { path } })),
  ...[12, 300, 412].map((amount) => ({ server: 'bank', tool: 'refund', args: { amount, currency: 'EUR' } })),
  { server: 'bank', tool: 'refund', args: { amount: 5, currency: 'EUR', password: 'hunter22hunter22' } },
  ...['https://api.example.org/x', 'https://api.example.org/y', 'https://cdn.example.org/z'].map((url) => ({
    server: 'web',
    tool: 'open',
    args: { url },
  })),
];

/** The draft, as loaded. */
function draft(text: string): ReturnType<typeof parseConfig>['policyDefinition'] {
  const block = text
    .split('\n')
    .map((line) => `  ${line}`)
    .join('\n');
  return parseConfig(`version: 1\nagent: bot\npolicy:\n${block}`).policyDefinition;
}

describe('policy suggest', () => {
  it('drafts what held for every call, passes the check, and replay allows the ledger it came from', async () => {
    const cwd = await audited(ORDINARY);
    const ran = await run(['policy', 'suggest', '--output', 'draft.yaml'], { cwd });
    expect(ran.stderr).toBe('');
    expect(ran.code).toBe(0);
    const text = readFileSync(join(cwd, 'draft.yaml'), 'utf8');
    expect(draft(text)).toMatchObject({
      id: 'suggested',
      default: 'deny',
      rules: [
        {
          id: 'bank-refund',
          tools: ['bank/refund'],
          when: "has(args.amount) && args.amount <= 520 && args.amount >= 0 && has(args.currency) && args.currency == 'EUR'",
          effect: 'allow',
        },
        { id: 'files-read_file', tools: ['files/read_file'], when: "has(args.path) && path.within(args.path, '/data')", effect: 'allow' },
        {
          id: 'web-open',
          tools: ['web/open'],
          when: "has(args.url) && url(args.url).host in ['api.example.org', 'cdn.example.org']",
          effect: 'allow',
        },
      ],
    });
    expect(text).toContain('# 4 calls, such as entry ');
    expect(text).toContain('# nothing is said of ["password"]: secrets stood there');
    const checked = await run(['policy', 'check', 'draft.yaml', '--strict'], { cwd });
    expect([checked.code, checked.stdout.match(/(warning|hint)/g)]).toEqual([0, null]);
    const replayed = json(await run(['policy', 'replay', '--policy', 'draft.yaml', '--assume-no-links', '--json'], { cwd }));
    expect(replayed).toMatchObject({ calls: 10, compared: 10, assumed: 3, not_replayable: {} });
    for (const change of replayed['changes'] as { to: string }[]) expect(change.to).toBe('allow');
  });

  it('never repeats a secret, in values, names of rules or comments', async () => {
    const cwd = await audited([
      ...ORDINARY,
      ...[1, 2, 3].map(() => ({ server: 's', tool: 'login', args: { token: SECRET, password: 'hunter22hunter22' } })),
    ]);
    const ran = await run(['policy', 'suggest'], { cwd });
    expect(ran.code).toBe(0);
    expect(ran.stdout).not.toContain(SECRET);
    expect(ran.stdout).not.toContain('hunter22');
    expect(ran.stdout).not.toContain('[redacted');
  });

  it('asks for a tool with a call that the baseline would have stopped, and learns nothing from that call', async () => {
    const cwd = await audited([
      ...[1, 2, 3].map(() => ({ server: 'mail', tool: 'send_mail', args: { to: 'ana@example.org' } })),
      { server: 'mail', tool: 'send_mail', args: { to: 'mallory@example.net', body: `the key is ${SECRET}` } },
    ]);
    const ran = await run(['policy', 'suggest'], { cwd });
    expect(draft(ran.stdout).rules).toEqual([expect.objectContaining({ tools: ['mail/send_mail'], effect: 'require_approval' })]);
    expect(ran.stdout).toContain('# the baseline would have stopped 1: "baseline.secret-leaves"');
    expect(ran.stdout).not.toContain('mallory');
  });

  it('learns nothing from calls that were refused', async () => {
    const cwd = await project();
    await calls(cwd, [
      { tool: 'read_file', args: { path: '/data/a' } },
      { tool: 'delete_all', args: { path: '/' } },
    ]);
    const { rules } = draft((await run(['policy', 'suggest'], { cwd })).stdout);
    expect(rules.map(({ tools }) => tools)).toEqual([['files/read_file']]);
  });

  it('writes names and values of others so that they are text, whatever they hold', async () => {
    const odd = ["it's", 'a: b # c', '${x}', 'x\\y', '"q"'];
    const cwd = await audited([
      ...odd.flatMap((value) => [1, 2, 3].map(() => ({ server: 'a: b', tool: 'c # d', args: { mode: value } }))),
      ...[1, 2, 3].map(() => ({ server: 's', tool: 'star*', args: {} })),
      ...[1, 2, 3].map(() => ({ server: 's', tool: 'k', args: { 'not a name': 1, __proto_: 2, constructor: 3, in: 4 } })),
    ]);
    const ran = await run(['policy', 'suggest'], { cwd });
    expect(ran.code).toBe(0);
    const { rules } = draft(ran.stdout);
    expect(rules.map(({ tools }) => tools)).toEqual([['a: b/c # d'], ['s/k']]);
    expect(ran.stdout).toContain('# 3 calls of tools that no pattern can name');
    writeFileSync(join(cwd, 'draft.yaml'), ran.stdout);
    const replayed = json(await run(['policy', 'replay', '--policy', 'draft.yaml', '--tool', 'a: b/*', '--json'], { cwd }));
    expect(replayed).toMatchObject({ calls: 15, compared: 15 });
    for (const change of replayed['changes'] as { to: string }[]) expect(change.to).toBe('allow');
  });

  it('says so when there is nothing to learn from', async () => {
    const cwd = await project();
    await calls(cwd, []);
    const ran = await run(['policy', 'suggest'], { cwd });
    expect(ran.code).toBe(3);
    expect(ran.stderr).toContain('Run in audit mode for a while first');
    expect(draft(ran.stdout).rules).toEqual([]);
  });

  it('replaces no file unless told, and gives counts as JSON', async () => {
    const cwd = await audited(ORDINARY);
    writeFileSync(join(cwd, 'draft.yaml'), 'mine');
    expect((await run(['policy', 'suggest', '--output', 'draft.yaml'], { cwd })).code).toBe(1);
    expect(readFileSync(join(cwd, 'draft.yaml'), 'utf8')).toBe('mine');
    expect((await run(['policy', 'suggest', '--output', 'draft.yaml', '--force', '--id', 'mine'], { cwd })).code).toBe(0);
    expect(json(await run(['policy', 'suggest', '--json', '--tool', 'bank/*'], { cwd }))).toMatchObject({
      calls: 4,
      tools: 1,
      alarming: 0,
      left_out: 0,
    });
  });

  it.each([
    [['nope.db'], 4, 'LEDGER_NOT_FOUND'],
    [['--id', 'a b'], 2, 'USAGE'],
    [['--until', 'never'], 2, 'USAGE'],
  ])('%j exits %i with %s', async (argv, code, error) => {
    const ran = await run(['policy', 'suggest', ...argv], { cwd: folder() });
    expect([ran.code, ran.stderr.includes(`[${error}]`)]).toEqual([code, true]);
  });
});
