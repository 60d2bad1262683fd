import cp, { ChildProcess } from 'node:child_process';
import { channel } from 'node:diagnostics_channel';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { install, thrown } from './installed.ts';

const WORD = 'canary-word';
const REFUSED = { code: 'ACTIVITY_REFUSED', details: { rule: 'canary', action: 'exec' } };

let folder: string;
/** Made by the command that is refused, if it runs after all. */
let proof: string;

beforeEach(() => {
  folder = fs.mkdtempSync(join(fs.realpathSync(tmpdir()), 'probe-'));
  proof = join(folder, WORD);
  const made = folder;
  return () => fs.rmSync(made, { recursive: true, force: true });
});

const SYNC: readonly (readonly [string, () => unknown])[] = [
  ['spawnSync', () => cp.spawnSync('touch', [proof])],
  ['spawnSync with a shell', () => cp.spawnSync('touch', [proof], { shell: true })],
  ['execSync', () => cp.execSync(`touch ${proof}`)],
  ['execFileSync', () => cp.execFileSync('touch', [proof])],
  ['execve', () => process.execve?.('/usr/bin/touch', ['touch', proof], {})],
  ['the handle of a process', () => Reflect.get(new ChildProcess(), '_handle').spawn('touch', ['touch', proof], undefined, [], [], 0)],
];

const ASYNC: readonly (readonly [string, () => cp.ChildProcess])[] = [
  ['spawn', () => cp.spawn('touch', [proof])],
  ['spawn with a shell', () => cp.spawn(`touch ${proof}`, { shell: true })],
  ['spawn with inherited output', () => cp.spawn('touch', [proof], { stdio: 'inherit' })],
  ['spawn without output', () => cp.spawn('touch', [proof], { stdio: 'ignore', detached: true })],
  ['exec', () => cp.exec(`touch ${proof}`)],
  ['execFile', () => cp.execFile('touch', [proof])],
  ['fork', () => cp.fork(proof)],
  [
    'ChildProcess.prototype.spawn',
    () => {
      const child = new ChildProcess();
      Reflect.apply(Reflect.get(child, 'spawn'), child, [{ file: 'touch', args: ['touch', proof] }]);
      return child;
    },
  ],
];

describe('refuses to start', () => {
  it.each(SYNC)('throws: %s', (_name, act) => {
    const { seen } = install(WORD);
    expect(thrown(act)).toMatchObject(REFUSED);
    expect(seen).toHaveLength(1);
    expect(fs.existsSync(proof)).toBe(false);
  });

  it.each(ASYNC)('emits error, then close: %s', async (_name, act) => {
    const { seen } = install(WORD);
    const child = act();
    const events: string[] = [];
    let error: unknown;
    for (const name of ['exit', 'spawn', 'message']) child.on(name, () => events.push(name));
    child.on('error', (given) => {
      events.push('error');
      error = given;
    });
    // A fork that could not start tells no `close`, as Node's does not; its channel is.
    await new Promise((resolve) => child.on('close', resolve).on('disconnect', resolve));
    expect(error).toMatchObject(REFUSED);
    expect(events).toStrictEqual(['error']);
    expect(child.pid).toBeUndefined();
    expect(child.kill()).toBe(false);
    expect(seen).toHaveLength(1);
    expect(fs.existsSync(proof)).toBe(false);
  });

  it('gives the callback of exec and execFile, and rejects what is promisified', async () => {
    install(WORD);
    expect(await new Promise((resolve) => cp.exec(`touch ${proof}`, resolve))).toMatchObject(REFUSED);
    expect(await new Promise((resolve) => cp.execFile('touch', [proof], resolve))).toMatchObject(REFUSED);
    await expect(promisify(cp.execFile)('touch', [proof])).rejects.toMatchObject(REFUSED);
    await expect(promisify(cp.exec)(`touch ${proof}`)).rejects.toMatchObject(REFUSED);
  });

  it('output of what was refused ends', async () => {
    install(WORD);
    const child = cp.spawn('touch', [proof]);
    child.on('error', () => {});
    let text = '';
    for await (const chunk of child.stdout) text += String(chunk);
    expect(text).toBe('');
  });

  it('without a listener it is an uncaught error, as for a command that is not there', async () => {
    install(WORD);
    const child = cp.spawn('touch', [proof]);
    expect(thrown(() => child.emit('error', new Error('x')))).toMatchObject(REFUSED);
    child.on('error', () => {});
  });

  it('a process that nobody refuses runs', async () => {
    const { seen } = install(WORD, { level: 'FLAG' });
    cp.execFileSync('touch', [proof]);
    expect(fs.existsSync(proof)).toBe(true);
    const child = cp.spawn('cat', [proof]);
    const code = await new Promise((resolve) => child.on('close', resolve));
    expect(code).toBe(0);
    expect(seen.map(({ activity }) => activity.action)).toStrictEqual([
      { kind: 'exec', exe: 'touch', argv: ['touch', proof], cwd: process.cwd() },
      { kind: 'exec', exe: 'cat', argv: ['cat', proof], cwd: process.cwd() },
    ]);
  });
});

describe('what is judged is what runs', () => {
  it('arguments that are worked out each time they are asked for', () => {
    const { seen } = install(WORD);
    let asked = 0;
    const argument = { toString: () => (asked++ === 0 ? join(folder, 'plain') : proof) };
    cp.spawnSync('touch', [argument as unknown as string]);
    expect(fs.readdirSync(folder)).toStrictEqual(['plain']);
    expect(seen).toHaveLength(0);
  });

  it('a subscriber that changes what is about to be started', async () => {
    install(WORD);
    const started = channel('tracing:child_process.spawn:start');
    const change = (message: unknown): void => {
      const { options } = message as { options: { args: string[] } };
      options.args = ['touch', proof];
    };
    started.subscribe(change);
    onTestFinished(() => {
      started.unsubscribe(change);
    });
    const error = await new Promise((resolve) => cp.spawn('true').on('error', resolve).on('exit', resolve));
    expect(fs.existsSync(proof)).toBe(false);
    expect(error).toMatchObject(REFUSED);
  });

  it('reaches below shells: what they are told is judged, what they work out is not', () => {
    const { seen } = install(WORD);
    expect(thrown(() => cp.execSync(`cat ${proof}`))).toMatchObject(REFUSED);
    // Documented escape: a shell can name a file without spelling it.
    fs.writeFileSync(join(folder, 'canary'), 'x');
    expect(cp.execSync(`cat ${folder}/can*`).toString()).toBe('x');
    expect(seen).toHaveLength(1);
  });
});

describe('the environment of what is started', () => {
  const children = { register: '/opt/with space/register.cjs', conditions: [], handover: '/run/scope#00', run: 'run-1' };
  const environmentOf = (options: cp.SpawnSyncOptions): Record<string, string> =>
    Object.fromEntries(
      cp
        .spawnSync('/usr/bin/env', [], options)
        .stdout.toString()
        .trim()
        .split('\n')
        .map((line) => line.split(/=(.*)/s).slice(0, 2)),
    ) as Record<string, string>;

  it.each([
    ['an empty one', { env: {} }],
    ['none given', {}],
    ['one that names others', { env: { COUNTERSIGN_RUN: 'other', COUNTERSIGN_PROBE: '/tmp/mine#00', COUNTERSIGN_CALL: 'lie' } }],
  ])('has what it needs: %s', (_name, options) => {
    install(WORD, { children });
    const environment = environmentOf(options);
    expect(environment).toMatchObject({ COUNTERSIGN_RUN: 'run-1', COUNTERSIGN_PROBE: '/run/scope#00' });
    expect(environment['NODE_OPTIONS']).toMatch(/^--require="\/opt\/with space\/register.cjs"/);
    expect(environment).not.toHaveProperty('COUNTERSIGN_CALL');
  });

  it('keeps the options that were there, once and after ours', () => {
    install(WORD, { children });
    const once = environmentOf({ env: { NODE_OPTIONS: '--no-warnings' } })['NODE_OPTIONS'];
    expect(once).toBe('--require="/opt/with space/register.cjs" --no-warnings');
    expect(environmentOf({ env: { NODE_OPTIONS: once } })['NODE_OPTIONS']).toBe(once);
  });

  it('without children it only says for which call, and takes back what lies', () => {
    install(WORD);
    expect(environmentOf({ env: { COUNTERSIGN_CALL: 'lie', KEPT: '1' } })).toStrictEqual({ KEPT: '1' });
  });
});
