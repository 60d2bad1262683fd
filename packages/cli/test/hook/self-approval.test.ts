/** An agent under hooks answers what it waits for from its own shell. The hook that decided is gone by then; the client is not. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readLedger } from '@countersign/core/sqlite';
import Sqlite from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { clientAmong } from '../../src/hook/client-process.ts';
import { json, run } from '../harness.ts';
import { eventText, hooked } from './events.ts';

const CLI = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const CLIENT = fileURLToPath(new URL('../fixtures/client-with-hooks.ts', import.meta.url));
const NODE = ['--conditions=@countersign/source', '--no-warnings'];
const PROGRAM = [process.execPath, ...NODE, CLI].join(' ');
const LIMIT = { timeout: 60_000 };

interface Seen {
  readonly hook: number;
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A client whose hook decides `event`, and whose shell then runs `command` of ours. */
async function client(cwd: string, event: string, command: string): Promise<Seen> {
  const hook = `${PROGRAM} hook claude-code --config countersign.yaml --wait 0 || exit 2`;
  const env = { ...process.env, COUNTERSIGN_GUARDED: '', COUNTERSIGN_CALL: '', HOOK: hook };
  const argv = [...NODE, CLIENT, event, `${PROGRAM} ${command}`];
  const child = spawn(process.execPath, argv, { cwd, env, stdio: ['ignore', 'pipe', 'inherit'] });
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  await once(child, 'close');
  return JSON.parse(stdout);
}

const ASKS = eventText({ tool_input: { command: 'curl https://example.org' } });

/** A folder in which one call waits, asked for by a client that is gone. */
async function waiting(): Promise<{ readonly cwd: string; readonly id: string }> {
  const cwd = await hooked();
  const { stdout: vkey } = await run(['keygen', '--out', 'finance.key'], { cwd });
  appendFileSync(join(cwd, 'countersign.yaml'), `approvers:\n  finance: { key: ${JSON.stringify(vkey.trim())} }\n`);
  expect(await client(cwd, ASKS, 'head')).toMatchObject({ hook: 2 });
  const { approvals } = json(await run(['approvals', 'list', '--json'], { cwd }));
  const [{ id }] = approvals as [{ readonly id: string }];
  return { cwd, id };
}

const approve = (id: string): string => `approvals approve ${id} --key finance.key --as finance --json`;

const allowed = (id: string): string => eventText({ tool_use_id: id });

describe.runIf(process.platform === 'linux')('below a client whose hook has decided', () => {
  it('an approval is not given, even with the right key, and is from elsewhere', LIMIT, async () => {
    const { cwd, id } = await waiting();
    const inside = await client(cwd, allowed('toolu_2'), approve(id));
    expect(inside).toMatchObject({ hook: 0, code: 1 });
    expect(JSON.parse(inside.stdout)).toMatchObject({
      error: { code: 'APPROVER_REFUSED', message: expect.stringContaining('is a guard of this ledger') },
    });
    expect(json(await run(['approvals', 'show', id, '--json'], { cwd }))).toMatchObject({ approval: { state: 'pending' } });
    // Both clients have ended: the same words are taken now, so it was the tree that was refused.
    expect(await run(approve(id).split(' '), { cwd })).toMatchObject({ code: 0 });
  });

  it('so is whatever else answers for people', LIMIT, async () => {
    const { cwd } = await waiting();
    expect(JSON.parse((await client(cwd, allowed('toolu_3'), 'rotate-key --new-key finance.key --json')).stdout)).toMatchObject({
      error: { message: expect.stringContaining('is a guard of this ledger') },
    });
  });

  it('the hook is not taken off, nor put there with other rules', LIMIT, async () => {
    const { cwd } = await waiting();
    const settings = join(cwd, 'settings.json');
    expect(await run(['wrap', 'claude-code', '--hooks', '--file', settings], { cwd })).toMatchObject({ code: 0 });
    const before = readFileSync(settings, 'utf8');
    // From another folder, and with a configuration of its own: the installed hook says whose ledger it is.
    const other = await hooked();
    for (const command of [
      `unwrap claude-code --hooks --file ${settings} --json`,
      `wrap claude-code --hooks --file ${settings} --config ${join(other, 'countersign.yaml')} --json`,
      'unwrap cursor --json',
    ]) {
      const inside = await client(cwd, allowed(`toolu_${command.length}`), command);
      expect(JSON.parse(inside.stdout), command).toMatchObject({
        error: { code: 'APPROVER_REFUSED', message: expect.stringContaining('wrapped and unwrapped from outside') },
      });
    }
    expect(readFileSync(settings, 'utf8')).toBe(before);
    expect(await run(['unwrap', 'claude-code', '--hooks', '--file', settings], { cwd })).toMatchObject({ code: 0 });
  });

  it('also when the hook refused what it was asked about', LIMIT, async () => {
    const { cwd, id } = await waiting();
    const denied = eventText({ tool_use_id: 'toolu_4', tool_input: { command: 'id' } });
    const inside = await client(cwd, denied, approve(id));
    expect(inside).toMatchObject({ hook: 2, code: 1 });
    expect(JSON.parse(inside.stdout)).toMatchObject({ error: { code: 'APPROVER_REFUSED' } });
  });

  it('a client that had no hook decide is nobody', LIMIT, async () => {
    const { cwd, id } = await waiting();
    // The hook is not asked: the event is none.
    expect(await client(cwd, '{}', approve(id))).toMatchObject({ hook: 2, code: 0 });
  });

  it('its row outlives the hook, and another process of the same pid is not it', LIMIT, async () => {
    const { cwd, id } = await waiting();
    const path = join(cwd, '.countersign/ledger.db');
    const database = new Sqlite(path);
    const rows = database.prepare<[], { readonly writer: string }>("SELECT writer FROM leases WHERE writer LIKE 'client %'").all();
    expect(rows).toHaveLength(1);
    // As if its pid had been given to the process that started us.
    database.prepare("UPDATE leases SET pid = ? WHERE writer LIKE 'client %'").run(process.ppid);
    database.close();
    const reader = readLedger(path);
    expect(reader.liveWriterPids()).toEqual([]);
    reader.close();
    expect(await run(approve(id).split(' '), { cwd })).toMatchObject({ code: 0 });
  });
});

describe('clientAmong', () => {
  const HOOK = ['node', '/opt/countersign', 'hook', 'claude-code', '--config', 'c.yaml'];
  const among = (...words: readonly (readonly string[] | undefined)[]): number | undefined =>
    clientAmong(
      words.map((_, i) => i + 10),
      (pid) => words[pid - 10],
    );

  it.each<readonly [string, number | undefined, readonly (readonly string[] | undefined)[]]>([
    ['the parent', 10, [['claude'], ['bash']]],
    [
      'behind the shell of the installed command',
      11,
      [
        ['/bin/sh', '-c', 'countersign hook claude-code || exit 2'],
        ['node', 'claude'],
      ],
    ],
    [
      'behind npx',
      13,
      [['sh', '-c', 'countersign hook claude-code'], ['npm exec countersign hook claude-code'], ['sh', '-c', 'npx x'], ['claude']],
    ],
    ['behind a script that hides the name', 11, [['/bin/bash', '/home/ana/guard.sh'], ['claude']]],
    ['behind a login shell that runs a line', 11, [['-zsh', '-lc', './guard'], ['claude']]],
    ['behind another program that names the hook', 11, [HOOK, ['claude']]],
    ['a shell that a person types into', 10, [['-bash'], ['gnome-terminal-server']]],
    ['a shell in an editor', 10, [['/bin/bash', '--init-file', '/opt/shell.sh'], ['code']]],
    ['one whose command line cannot be read', 10, [undefined, ['systemd']]],
    ['one whose prompt speaks of it', 10, [['node', 'claude', '-p', 'what is countersign hook claude-code?'], ['-bash']]],
    ['nobody above', undefined, []],
    ['nothing but wrappers', undefined, [['sh', '-c', 'x']]],
  ])('%s', (_what, expected, words) => {
    expect(among(...words)).toBe(expected);
  });

  it('never process 1, of which everybody is a child', () => {
    expect(clientAmong([1], () => ['init'])).toBe(undefined);
  });
});
