/** The hook as a process: however it ends, it ends with exit code 0 after an answer, or with 2. Exit code 1 would let the call run. */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Sqlite from 'better-sqlite3';
import { expect, it } from 'vitest';
import { folder } from '../harness.ts';
import { eventText, hooked } from './events.ts';

const CLI = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const SOURCE = fileURLToPath(new URL('../../src', import.meta.url));
const NODE = ['--conditions=@countersign/source', '--no-warnings'];
const LIMIT = { timeout: 60_000 };

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Started {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
}

function start(
  cwd: string,
  options: { readonly node?: readonly string[]; readonly cli?: string; readonly args?: readonly string[] } = {},
): Started {
  const { node = NODE, cli = CLI, args = ['--config', join(cwd, 'countersign.yaml')] } = options;
  const child = spawn(process.execPath, [...node, cli, 'hook', 'claude-code', ...args], { cwd, stdio: 'pipe' });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (bytes: Buffer) => (stdout += bytes.toString()));
  child.stderr.on('data', (bytes: Buffer) => (stderr += bytes.toString()));
  child.stdin.on('error', () => {});
  const ended = new Promise<Ended>((done) => child.once('close', (code, signal) => done({ code, signal, stdout, stderr })));
  return { child, ended };
}

async function ends(cwd: string, input: string, options: Parameters<typeof start>[1] = {}): Promise<Ended> {
  const { child, ended } = start(cwd, options);
  child.stdin?.end(input);
  return ended;
}

const TEXT = eventText({});

it('allows and denies', LIMIT, async () => {
  const cwd = await hooked();
  expect(await ends(cwd, TEXT)).toEqual({ code: 0, signal: null, stdout: '', stderr: '' });
  expect(await ends(cwd, TEXT.replace('"ls"', '"id"'))).toMatchObject({ code: 2, stdout: '' });
});

it.each<readonly [string, (cwd: string) => void]>([
  ['a configuration that is not there', (cwd) => rmSync(join(cwd, 'countersign.yaml'))],
  ['a configuration that is not valid', (cwd) => writeFileSync(join(cwd, 'countersign.yaml'), 'version: 7')],
  ['a key that is not there', (cwd) => rmSync(join(cwd, '.countersign/ledger.key'))],
  ['a key that others can read', (cwd) => chmodSync(join(cwd, '.countersign/ledger.key'), 0o644)],
  ['a ledger that is none', (cwd) => writeFileSync(join(cwd, '.countersign/ledger.db'), 'x'.repeat(8192))],
  ['a ledger that cannot be written', (cwd) => mkdirSync(join(cwd, '.countersign/ledger.db'))],
])('%s: denied', LIMIT, async (_what, breaks) => {
  const cwd = await hooked();
  breaks(cwd);
  const ended = await ends(cwd, TEXT);
  expect(ended).toMatchObject({ code: 2, stdout: '' });
  expect(ended.stderr).toContain('did not run');
});

it.each<readonly [string, string, readonly string[] | undefined]>([
  ['no input', '', undefined],
  ['an unknown option', TEXT, ['--config', 'countersign.yaml', '--nope']],
  ['an odd value', TEXT, ['--config', 'countersign.yaml', '--wait', 'soon']],
  ['no configuration named', TEXT, []],
  ['another client', TEXT, ['claude-desktop']],
])('%s: denied', LIMIT, async (_what, input, args) => {
  const cwd = await hooked();
  expect(await ends(cwd, input, args === undefined ? {} : { args })).toMatchObject({ code: 2, stdout: '' });
});

/** A copy of the program that can be broken. */
function program(): string {
  const root = folder();
  cpSync(SOURCE, join(root, 'src'), { recursive: true });
  writeFileSync(join(root, 'package.json'), '{"type":"module"}');
  symlinkSync(fileURLToPath(new URL('../../../../node_modules', import.meta.url)), join(root, 'node_modules'));
  return root;
}

it('a copy of the program that is whole allows: what follows is denied for what was broken', LIMIT, async () => {
  expect(await ends(await hooked(), TEXT, { cli: join(program(), 'src/main.ts') })).toMatchObject({ code: 0, stderr: '' });
});

it.each<readonly [string, (root: string) => void]>([
  ['a module that does not parse', (root) => writeFileSync(join(root, 'src/hook/before.ts'), 'export const = 1;')],
  ['a module that throws when it is loaded', (root) => writeFileSync(join(root, 'src/hook/event.ts'), 'throw new Error("no");')],
  ['a module that is missing', (root) => rmSync(join(root, 'src/hook/guard.ts'))],
  ['its outermost module missing', (root) => rmSync(join(root, 'src/hook/last-word.ts'))],
  ['its second module missing', (root) => rmSync(join(root, 'src/hook/process.ts'))],
  ['every module of its own missing', (root) => rmSync(join(root, 'src/hook'), { recursive: true })],
  ['no packages, native module included', (root) => rmSync(join(root, 'node_modules'))],
  ['an error thrown from a timer', (root) => writeFileSync(join(root, 'src/hook/guard.ts'), THROWS_LATER)],
  ['a promise nobody catches', (root) => writeFileSync(join(root, 'src/hook/guard.ts'), REJECTS)],
  [
    'a promise that is never kept',
    (root) => writeFileSync(join(root, 'src/hook/guard.ts'), 'export const openHookGuard = () => new Promise(() => {});'),
  ],
  ['a module that ends the process', (root) => writeFileSync(join(root, 'src/hook/guard.ts'), 'process.exit();')],
])('%s: denied', LIMIT, async (_what, breaks) => {
  const cwd = await hooked();
  const root = program();
  breaks(root);
  expect(await ends(cwd, TEXT, { cli: join(root, 'src/main.ts') })).toMatchObject({ code: 2, stdout: '' });
});
const THROWS_LATER =
  'export const openHookGuard = () => { setTimeout(() => { throw new Error("later"); }, 1); return new Promise((done) => setTimeout(done, 30_000)); };';
const REJECTS =
  'export const openHookGuard = () => { void Promise.reject(new Error("lost")); return new Promise((done) => setTimeout(done, 30_000)); };';

it.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('%s while it waits for a person: denied', LIMIT, async (signal) => {
  const cwd = await hooked();
  const { child, ended } = start(cwd);
  child.stdin?.end(TEXT.replace('"ls"', '"curl https://example.org"'));
  // The question is durable: from here on it waits.
  const asked = (): boolean => {
    if (!readdirSync(join(cwd, '.countersign')).includes('ledger.db')) return false;
    const database = new Sqlite(join(cwd, '.countersign/ledger.db'), { readonly: true });
    try {
      return (
        database.prepare('SELECT 1 FROM sqlite_schema WHERE name = ?').get('approvals') !== undefined &&
        database.prepare('SELECT 1 FROM approvals').get() !== undefined
      );
    } finally {
      database.close();
    }
  };
  while (!asked()) await new Promise((done) => setImmediate(done));
  child.kill(signal);
  expect(await ended).toMatchObject({ code: 2, signal: null, stdout: '' });
});

it('standard input that never ends: denied in time', LIMIT, async () => {
  const { child, ended } = start(await hooked());
  child.stdin?.write(TEXT.slice(0, 10));
  expect(await ended).toMatchObject({ code: 2, stdout: '' });
});

it('a ledger that is locked by somebody else: denied in time', LIMIT, async () => {
  const cwd = await hooked();
  expect((await ends(cwd, TEXT)).code).toBe(0);
  const database = new Sqlite(join(cwd, '.countersign/ledger.db'));
  database.exec('BEGIN IMMEDIATE');
  try {
    expect(await ends(cwd, TEXT.replace('toolu_1', 'toolu_2'))).toMatchObject({ code: 2, stdout: '' });
  } finally {
    database.close();
  }
});

it('an answer that nobody reads is none: denied', LIMIT, async () => {
  const { child, ended } = start(await hooked(), { args: ['--config', 'countersign.yaml', '--answer', 'allow'] });
  child.stdout?.destroy();
  child.stdin?.end(TEXT);
  expect((await ended).code).toBe(2);
});

it('no memory ends the process itself, which is what `|| exit 2` of the installed command is for', LIMIT, async () => {
  const cwd = await hooked();
  const node = ['--max-old-space-size=8', ...NODE];
  expect(await ends(cwd, TEXT, { node })).toMatchObject({ code: null, signal: 'SIGABRT', stdout: '' });
  const command = [process.execPath, ...node, CLI, 'hook', 'claude-code', '--config', 'countersign.yaml']
    .map((word) => `'${word}'`)
    .join(' ');
  const child = spawn('/bin/sh', ['-c', `${command} || exit 2`], { cwd, stdio: ['pipe', 'ignore', 'ignore'] });
  const code = new Promise((done) => child.once('close', done));
  child.stdin.on('error', () => {});
  child.stdin.end(TEXT);
  expect(await code).toBe(2);
});
