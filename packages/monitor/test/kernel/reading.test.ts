/** What is read of a call, against what the kernel makes of the same call when nobody watches. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import type { Action } from '../../src/activity.ts';
import { cProgram } from '../c-program.ts';
import { type Supervised, type SupervisedOptions, supervised, whyNot } from './supervised.ts';

const calls = cProgram('kernel/calls') ?? '';
const missing = whyNot() ?? (calls === '' ? 'no C compiler for the calls' : undefined);
if (missing !== undefined) console.warn(`not tried, reading of trapped calls: ${missing}`);
const open: Supervised[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()));
});

function folder(): string {
  const made = realpathSync(mkdtempSync(join(tmpdir(), 'countersign-reading-')));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

async function run(args: readonly string[], options: Partial<SupervisedOptions> = {}): Promise<Supervised> {
  const started = await supervised({ program: calls, args, workspace: folder(), ...options });
  open.push(started);
  return started;
}

/** All that was told of it, once it ended. */
async function done(
  args: readonly string[],
  options: Partial<SupervisedOptions> = {},
): Promise<{ lines: string; actions: readonly Action[]; of: Supervised }> {
  const of = await run(args, options);
  const lines = await of.output;
  await of.ended;
  await of.supervisor.stop();
  return { lines, actions: of.told.map(({ observation }) => observation.action), of };
}

const unwatched = (...args: string[]): string =>
  execFileSync(calls, args, { cwd: folder(), encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
const WHAT = { null: 'the path', kernel: 'the path' } as const;

describe.skipIf(missing)('names', () => {
  test('each call ends as it does unwatched, and all that could not be read is told', async () => {
    const { lines, actions, of } = await done(['unread', '/etc/hostname']);
    expect(lines).toBe(unwatched('unread', '/etc/hostname'));
    const unread = actions.filter(({ kind }) => kind === 'unreadable');
    // Null, low, kernel, not canonical, all ones, no access, no end, 4096, 8000, cut short.
    expect(unread).toEqual(Array.from({ length: 10 }, () => ({ kind: 'unreadable', call: 'openat', what: WHAT.null })));
    const told = of.told.find(({ observation }) => observation.action.kind === 'unreadable');
    expect(told).toMatchObject({
      isRefused: true,
      judged: { level: 'FLAG', rule: 'unreadable-call' },
      observation: { actor: { pid: of.pid } },
    });
    // Across the end of a page, to its very edge, 4095 bytes, from a mapped file.
    expect(actions.filter((action) => action.kind === 'read' && action.resolved === '/etc/hostname')).toHaveLength(4);
  });

  test('in audit mode they go on, are told all the same, and end in the same way', async () => {
    const { lines, of } = await done(['unread', '/etc/hostname'], { mode: 'audit_only' });
    expect(lines).toBe(unwatched('unread', '/etc/hostname'));
    const unread = of.told.filter(({ observation }) => observation.action.kind === 'unreadable');
    expect(unread).toHaveLength(10);
    expect(unread.every(({ isRefused }) => isRefused === undefined)).toBe(true);
  });
});

describe.skipIf(missing)('programs', () => {
  test('arguments of every kind are read in whole, and programs end as they do unwatched', async () => {
    const { lines, actions, of } = await done(['execs'], {
      scope: { document: { process: { forbidden_commands: ['uname'] } } },
    });
    expect(lines).toBe(unwatched('execs').replace('Linux\n', ''));
    const run = (name: string): Action | undefined => actions.find((action) => action.kind === 'exec' && action.argv[0] === name);
    expect(run('many')).toMatchObject({ argv: expect.objectContaining({ length: 4_096 }), cut: true });
    expect(run('large')).toMatchObject({ cut: true });
    expect(of.told.find(({ judged }) => judged?.rule === 'forbidden-command')).toMatchObject({
      isRefused: true,
      judged: { level: 'KILL' },
    });
    const marked = of.told.find(({ observation: { action } }) => action.kind === 'exec' && action.argv[0] === 'marked');
    expect(marked?.observation.attribution).toEqual({ method: 'marker', call: 'call-behind' });
    const unread = actions.flatMap((action) => (action.kind === 'unreadable' ? [action.what] : []));
    expect(unread.toSorted()).toEqual(['the arguments', 'the arguments', 'the arguments', 'the environment']);
    // What is not there was not run.
    expect(actions.some((action) => action.kind === 'exec' && action.exe.includes('no-such-program'))).toBe(false);
  });

  test('a program that is only in memory', async () => {
    const { of, actions } = await done(['memfd'], { mode: 'audit_only' });
    expect(actions).toContainEqual(
      expect.objectContaining({ kind: 'exec', exe: '/memfd:hidden (deleted)', argv: ['innocent', 'nothing'] }),
    );
    expect(of.told.some(({ judged }) => judged?.rule === 'fileless-exec')).toBe(true);
  });

  test('of a script what runs it is judged too, and of that', async () => {
    const at = folder();
    const write = (name: string, text: string): string => {
      execFileSync('/bin/sh', ['-c', 'cat > "$1"; chmod 755 "$1"', 'sh', join(at, name)], { input: text });
      return join(at, name);
    };
    const inner = write('inner', '#!/usr/bin/env -S true\n');
    const outer = write('outer', `#! ${inner} with this\n`);
    const { actions } = await done(['nothing'], { program: outer, args: ['one', 'two'], workspace: at, mode: 'audit_only' });
    const execs = actions.flatMap((action) => (action.kind === 'exec' ? [[action.exe, ...action.argv]] : []));
    expect(execs.slice(0, 3)).toEqual([
      [inner, inner, 'with this', outer, 'one', 'two'],
      ['/usr/bin/env', '/usr/bin/env', '-S true', inner, 'with this', outer, 'one', 'two'],
      [outer, outer, 'one', 'two'],
    ]);
  });
});

describe.skipIf(missing)('files', () => {
  test('both sides of what is moved and linked, and what was there before', async () => {
    const { lines, actions, of } = await done(['files']);
    expect(lines).toBe(unwatched('files'));
    const at = (name: string): string => join(of.workspace, name);
    const path = (name: string) => ({ path: expect.stringMatching(new RegExp(`/${name}$`)), resolved: at(name) });
    const mine = actions.filter((action) => ('path' in action ? !/^\/(etc|usr|lib|proc|sys)\//.test(action.path) : false));
    expect(mine).toContainEqual({ kind: 'rename', path: at('one'), to: at('two'), existed: false });
    expect(mine).toContainEqual({ kind: 'rename', path: at('two'), to: at('one'), existed: false });
    expect(mine).toContainEqual({ kind: 'read', ...path('one'), by: 'name' });
    for (const name of ['three', 'four', 'five', 'to-one'])
      expect(mine).toContainEqual({ kind: 'write', ...path(name), existed: false, by: 'name' });
    expect(mine).toContainEqual({ kind: 'write', ...path('one'), existed: false, by: 'overwrite' });
    expect(mine).toContainEqual({ kind: 'write', ...path('six'), existed: false, by: 'truncate' });
    expect(mine).toContainEqual({ kind: 'delete', ...path('folder'), existed: false });
    expect(mine).toContainEqual({ kind: 'delete', ...path('three'), existed: false });
    expect(mine).toContainEqual({ kind: 'write', ...path('two'), existed: false, by: 'truncate' });
    // Not a name that UTF-8 has: rules see it as such, and nobody can ask by it whether it was there.
    expect(mine).toContainEqual({ kind: 'write', path: at('\uFFFD\uFFFD'), resolved: at('\uFFFD\uFFFD'), by: 'overwrite' });
  });

  test('what is older than the session existed', async () => {
    const { actions, of } = await done(['files'], { start: { since: Date.now() + 600_000 } });
    expect(actions).toContainEqual(expect.objectContaining({ kind: 'delete', resolved: join(of.workspace, 'folder'), existed: true }));
  });
});

describe.skipIf(missing)('sockets', () => {
  test('where they lead, by which protocol, and none that leads nowhere', async () => {
    const { lines, actions, of } = await done(['sockets'], { mode: 'audit_only' });
    expect(lines).toBe(unwatched('sockets'));
    const to = (protocol: string, address: string, port?: number) => ({
      kind: 'connect',
      protocol,
      address,
      ...(port !== undefined && { port }),
    });
    expect(actions.filter(({ kind }) => kind === 'connect')).toEqual([
      to('tcp', '127.0.0.1', 9),
      to('udp', '127.0.0.1', 10),
      to('udp', '127.0.0.1', 11),
      to('unix', join(of.workspace, 'some.sock')),
      to('unix', '@abstract'),
      to('udp', '127.0.0.1', 12),
      to('udp', '127.0.0.1', 13),
      to('udp', '127.0.0.1', 13),
      to('udp', '127.0.0.1', 14),
    ]);
    expect(actions.flatMap((action) => (action.kind === 'unreadable' ? [`${action.call}: ${action.what}`] : []))).toEqual([
      'connect: the address',
      'sendmsg: the address',
      'sendmsg: the message',
    ]);
  });
});
