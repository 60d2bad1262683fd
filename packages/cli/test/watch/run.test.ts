import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fanotifyMissing } from '../../../monitor/src/sensors/fanotify.ts';
import { folder, json, run } from '../harness.ts';
import { GUARDED, script, start, startCli, watchedProject } from './agent-process.ts';

const JANE = ['--key', 'jane.key', '--as', 'jane'] as const;
const isLinux = process.platform === 'linux';

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

async function entriesOf(cwd: string, kind: string): Promise<readonly Record<string, unknown>[]> {
  const { stdout } = await run(['filter', '--kind', kind], { cwd });
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as { readonly entry: Record<string, unknown> }).entry);
}

async function isValid(cwd: string): Promise<void> {
  const report = json(await run(['verify', '--public-key', '.countersign/ledger.key.pub', '--json'], { cwd }));
  expect(report).toMatchObject({ status: 'valid', problems: [], open_decisions: 0 });
}

const READS_BAIT = `console.log('pid', process.pid); hold('bait.txt'); later(60_000, () => {});`;
const READS_BAIT_THEN_ENDS = `console.log('pid', process.pid); hold('bait.txt'); process.on('SIGCONT', () => {}); let left = 20; const beat = () => --left === 0 ? (console.log('done'), process.exit(7)) : later(100, beat); beat();`;

// Whole processes, on whatever machine: each starts Node several times.
const SLOW = { timeout: 300_000 } as const;

it.each(['qwen 3', '../x', 'a\u001b[2J', 'x'.repeat(300)])('--model %j is refused before a ledger is opened', async (model) => {
  const cwd = await watchedProject();
  const ledger = join(cwd, '.countersign/ledger.db');
  rmSync(ledger, { force: true });
  const { code, stderr } = await run(['run', '--model', model, '--', 'true'], { cwd });
  expect({ code, isThere: existsSync(ledger) }).toEqual({ code: 2, isThere: false });
  expect(stderr).toContain('model must be a name such as qwen3:4b');
  expect(stderr).not.toContain('\u001b');
});

describe.skipIf(!isLinux)('an agent that touches what it must not', SLOW, () => {
  it('enforce: is stopped, ended whole, and the story is on record', async () => {
    const cwd = await watchedProject();
    const agent = startCli(['run', '--', 'node', script(cwd, READS_BAIT)], { cwd });
    const { code, stderr, stdout } = await agent.ended;
    expect(code).toBe(120);
    expect(stderr).toMatch(/^KILL .*read .*bait\.txt/m);
    expect(stderr).toMatch(/FROZEN: 1 process/);
    expect(stderr).toMatch(/KILLED: 1 process .*nothing is left/);
    expect(isAlive(Number(/pid (\d+)/.exec(stdout)?.[1]))).toBe(false);
    const [verdict] = await entriesOf(cwd, 'verdict');
    expect(verdict).toMatchObject({ level: 'KILL', enforced: 'KILL', mode: 'enforce_kill', rule: 'forbidden-path' });
    const containment = await entriesOf(cwd, 'containment');
    expect(containment.map(({ event }) => event)).toEqual(['frozen', 'killed']);
    expect(containment.every((entry) => 'duration_ms' in entry && 'verdict' in entry)).toBe(true);
    expect(readdirSync(join(cwd, '.countersign/activity/incidents'))).toHaveLength(1);
    await isValid(cwd);
  });

  it('a signal to whoever watches ends what sent it', async () => {
    const cwd = await watchedProject();
    const signals = `spawn('/bin/sh', ['-c', 'kill -CONT ' + process.ppid + '; sleep 60; :'], { stdio: 'ignore' }); later(60_000, () => {});`;
    const agent = startCli(['run', '--', 'node', script(cwd, signals)], { cwd });
    const { code, stderr } = await agent.ended;
    expect(code).toBe(120);
    expect(stderr).toMatch(/of the watching process \d+ \[own-process\]/);
    expect((await entriesOf(cwd, 'verdict'))[0]).toMatchObject({ level: 'KILL', rule: 'own-process' });
  });

  it('audit: is only told of', async () => {
    const cwd = await watchedProject();
    const agent = startCli(['run', '--mode', 'audit', '--', 'node', script(cwd, READS_BAIT_THEN_ENDS)], { cwd });
    const { code, stderr, stdout } = await agent.ended;
    expect({ code, isDone: stdout.includes('done') }).toEqual({ code: 7, isDone: true });
    expect(stderr).toMatch(/only flagged in this mode \[forbidden-path\]/);
    expect(await entriesOf(cwd, 'containment')).toEqual([]);
    expect((await entriesOf(cwd, 'verdict'))[0]).toMatchObject({ level: 'KILL', enforced: 'FLAG', mode: 'audit_only' });
  });

  it('confirm: is frozen until a person in another process lets it go on', async () => {
    const cwd = await watchedProject();
    const agent = startCli(['run', '--mode', 'confirm', '--', 'node', script(cwd, READS_BAIT_THEN_ENDS)], { cwd });
    const [, id = ''] = await agent.until(/countersign resume ([0-9a-f]{8}) {2}/);
    expect(agent.output.stdout).not.toContain('done');
    expect((await run(['resume'], { cwd })).stdout).toContain(id);
    const answered = await run(['resume', id, ...JANE], { cwd });
    expect(answered).toMatchObject({ code: 0, stdout: 'resumed: what waits happens, and its processes go on\n' });
    const { code, stdout, stderr } = await agent.ended;
    expect({ code, isDone: stdout.includes('done') }).toEqual({ code: 7, isDone: true });
    expect(stderr).toMatch(/resumed, jane/);
    expect((await entriesOf(cwd, 'containment')).map(({ event }) => event)).toEqual(['frozen', 'resumed']);
    // Once: what was answered takes no other answer.
    expect(await run(['resume', id, ...JANE], { cwd })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('HALT_NOT_FOUND'),
    });
    await isValid(cwd);
  });

  it('confirm: ended whole when a person says so', async () => {
    const cwd = await watchedProject();
    const agent = startCli(['run', '--mode', 'confirm', '--', 'node', script(cwd, READS_BAIT)], { cwd });
    const [, id = ''] = await agent.until(/countersign resume ([0-9a-f]{8}) {2}/);
    expect(await run(['resume', id, '--kill', ...JANE], { cwd })).toMatchObject({ code: 0 });
    const { code, stdout } = await agent.ended;
    expect(code).toBe(121);
    expect(isAlive(Number(/pid (\d+)/.exec(stdout)?.[1]))).toBe(false);
    await isValid(cwd);
  });

  it('confirm: only what did it is ended when a person says so', async () => {
    const cwd = await watchedProject();
    script(cwd, READS_BAIT, 'child.cjs');
    const parent = `const child = spawn(process.execPath, ['child.cjs'], { stdio: 'inherit' }); child.on('exit', (code, signal) => { console.log('child ended by', signal); process.exit(5); });`;
    // What was held fails where it is denied, and nobody is ended: `kernel.test.ts`. This is of what has happened already.
    const agent = startCli(['run', '--kernel', 'off', '--mode', 'confirm', '--', 'node', script(cwd, parent)], { cwd });
    const [, id = ''] = await agent.until(/countersign resume ([0-9a-f]{8}) {2}/);
    expect(await run(['resume', id, '--deny', ...JANE], { cwd })).toMatchObject({ code: 0 });
    const { code, stdout } = await agent.ended;
    expect(stdout).toContain('child ended by SIGKILL');
    expect(code).toBe(5);
    expect((await entriesOf(cwd, 'containment')).map(({ event }) => event)).toEqual(['frozen', 'denied']);
    await isValid(cwd);
  });

  it('an override lets the next halt of that rule go on once, and the one after waits again', async () => {
    const cwd = await watchedProject();
    // Each by a process of its own: a poll takes a file that is closed and opened again between two looks for one that stayed open.
    script(cwd, `hold('bait.txt'); later(1500, () => process.exit(0));`, 'child.cjs');
    const thrice = `const again = (left) => spawn(process.execPath, ['child.cjs']).on('exit', () => (left > 1 ? again(left - 1) : process.exit(0))); again(3);`;
    const agent = startCli(['run', '--mode', 'confirm', '--', 'node', script(cwd, thrice)], { cwd });
    const [, first = ''] = await agent.until(/countersign resume ([0-9a-f]{8}) {2}/);
    expect(await run(['resume', first, '--override', '10m', '--reason', 'the baits are mine', ...JANE], { cwd })).toMatchObject({
      code: 0,
    });
    await agent.until(/resumed by an override/);
    const [, third = ''] = await agent.until(/resumed by an override[\s\S]*countersign resume ([0-9a-f]{8}) {2}[\s\S]*--kill/);
    expect(third).not.toBe(first);
    expect(await run(['resume', third, ...JANE], { cwd })).toMatchObject({ code: 0 });
    expect((await agent.ended).code).toBe(0);
    expect((await entriesOf(cwd, 'containment')).map(({ event }) => event)).toEqual([
      'frozen',
      'resumed',
      'frozen',
      'overridden',
      'frozen',
      'resumed',
    ]);
  });

  it('nobody answers in time: ended, where that is configured', async () => {
    const cwd = await watchedProject(', halt_timeout: 1s, on_halt_timeout: kill');
    const agent = startCli(['run', '--mode', 'confirm', '--', 'node', script(cwd, READS_BAIT)], { cwd });
    const { code, stderr } = await agent.ended;
    expect(code).toBe(120);
    expect(stderr).toMatch(/nobody answered in time/);
  });

  it('nobody answers in time: it stays frozen and is asked about anew, unless configured otherwise', async () => {
    const cwd = await watchedProject(', halt_timeout: 1s');
    const agent = startCli(['run', '--mode', 'confirm', '--', 'node', script(cwd, READS_BAIT_THEN_ENDS)], { cwd });
    await agent.until(/THE AGENT IS STOPPED[\s\S]*THE AGENT IS STOPPED/);
    expect(agent.output.stdout).not.toContain('done');
    const [, id = ''] = /countersign resume ([0-9a-f]{8}) {2}/.exec(agent.output.stderr) ?? [];
    // The questions follow each other: whichever is open takes the answer.
    for (let code = 1, tries = 0; code !== 0 && tries < 20; tries++) code = (await run(['resume', id, '--kill', ...JANE], { cwd })).code;
    expect((await agent.ended).code).toBe(121);
  });

  it('what daemonised itself out of the tree is watched, and ended too', async () => {
    const cwd = await watchedProject();
    script(cwd, `${READS_BAIT}`, 'daemon.cjs');
    const parent = `spawn('setsid', [process.execPath, 'daemon.cjs'], { detached: true, stdio: ['ignore', 1, 'ignore'] }).unref(); process.exit(0);`;
    const agent = startCli(['run', '--', 'node', script(cwd, parent)], { cwd });
    const { code, stdout, stderr } = await agent.ended;
    expect(code).toBe(120);
    expect(stderr).toMatch(/^KILL /m);
    expect(isAlive(Number(/pid (\d+)/.exec(stdout)?.[1]))).toBe(false);
  });
});

describe.skipIf(!isLinux)('the ledger', SLOW, () => {
  it('is used by a guard inside of the watched tree', async () => {
    const cwd = await watchedProject();
    const agent = startCli(['run', '--', 'node', '--conditions=@countersign/source', '--no-warnings', script(cwd, GUARDED)], { cwd });
    const { code, stdout, stderr } = await agent.ended;
    expect({ isDone: /^done$/m.test(stdout), stderr }).toMatchObject({ isDone: true });
    expect(code).toBe(0);
    expect(stderr).not.toContain('own-files');
    await isValid(cwd);
  });

  it('is opened by nothing else there', async () => {
    const cwd = await watchedProject();
    const agent = startCli(['run', '--', 'node', script(cwd, `hold('.countersign/ledger.db'); later(60_000, () => {});`)], { cwd });
    const { code, stderr } = await agent.ended;
    expect(code).toBe(120);
    expect(stderr).toMatch(/^KILL .*ledger\.db.*own-files/m);
  });
});

describe.skipIf(!isLinux)('nobody answers for themselves', SLOW, () => {
  it('the watched tree may not resume: neither by its marker nor below its warden', async () => {
    const cwd = await watchedProject();
    const stopped = startCli(['run', '--mode', 'confirm', '--', 'node', script(cwd, READS_BAIT)], { cwd });
    const [, id = ''] = await stopped.until(/countersign resume ([0-9a-f]{8}) {2}/);
    const cli = ['--conditions=@countersign/source', '--no-warnings'];
    const accomplice = (env: readonly string[]) =>
      startCli(
        [
          'run',
          '--mode',
          'audit',
          '--',
          'env',
          ...env,
          process.execPath,
          ...cli,
          join(import.meta.dirname, '../../src/main.ts'),
          'resume',
          id,
          ...JANE,
        ],
        { cwd },
      ).ended;
    expect(await accomplice([])).toMatchObject({ code: 1, stderr: expect.stringContaining('APPROVER_REFUSED') });
    expect(await accomplice(['-u', 'COUNTERSIGN_GUARDED', '-u', 'COUNTERSIGN_RUN'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('APPROVER_REFUSED'),
    });
    expect(await run(['resume', id, '--kill', ...JANE], { cwd })).toMatchObject({ code: 0 });
    expect((await stopped.ended).code).toBe(121);
  });

  it('an answer needs a key, or a person at a terminal', async () => {
    const cwd = await watchedProject();
    const agent = startCli(['run', '--mode', 'confirm', '--', 'node', script(cwd, READS_BAIT)], { cwd });
    const [, id = ''] = await agent.until(/countersign resume ([0-9a-f]{8}) {2}/);
    expect(await run(['resume', id], { cwd })).toMatchObject({ code: 2, stderr: expect.stringContaining('there is none') });
    expect(await run(['resume', id, '--as', 'jane'], { cwd })).toMatchObject({ code: 2 });
    expect(await run(['resume', id, '--deny', '--kill', ...JANE], { cwd })).toMatchObject({ code: 2 });
    expect(await run(['resume', 'zz', ...JANE], { cwd })).toMatchObject({ code: 1, stderr: expect.stringContaining('HALT_NOT_FOUND') });
    expect(await run(['resume', '--all', ...JANE], { cwd })).toMatchObject({ code: 1, stderr: expect.stringContaining('HALT_NOT_FOUND') });
    expect(await run(['resume', 'abcdef', ...JANE], { cwd })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('HALT_NOT_FOUND'),
    });
    expect(await run(['resume', id, '--override', '10m', ...JANE], { cwd })).toMatchObject({ code: 2 });
    expect(await run(['resume', id, '--reason', 'r', ...JANE], { cwd })).toMatchObject({ code: 2 });
    expect(agent.child.exitCode).toBeNull();
    expect(await run(['resume', id, '--kill', ...JANE], { cwd })).toMatchObject({ code: 0 });
    await agent.ended;
  });
});

describe('the end of an agent', SLOW, () => {
  it.skipIf(!isLinux).each([
    ['its own code', `process.exit(3)`, 3],
    ['no code', ``, 0],
    ['a signal', `process.kill(process.pid, 'SIGTERM'); later(60_000, () => {});`, 143],
  ])('is ours: %s', async (_, lines, expected) => {
    const cwd = await watchedProject();
    expect((await startCli(['run', '--', 'node', script(cwd, lines)], { cwd }).ended).code).toBe(expected);
  });

  it('has the streams for itself: what we tell is on standard error', async () => {
    const cwd = await watchedProject();
    const agent = startCli(
      [
        'run',
        '--json',
        '--',
        'node',
        script(cwd, `process.stdin.on('data', (line) => { console.log('got', String(line).trim()); process.exit(0); });`),
      ],
      { cwd },
    );
    agent.child.stdin.write('a line\n');
    const { stdout, stderr } = await agent.ended;
    expect(stdout).toBe('got a line\n');
    const events = stderr
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { readonly event: string }).event);
    expect([events[0], events.at(-1)]).toEqual(['started', 'ended']);
  });

  it.each([
    [['no-such-agent'], 127, 'NOT_FOUND'],
    [['./countersign.yaml'], 126, 'NOT_EXECUTABLE'],
    [[], 2, 'USAGE'],
  ])('%j cannot be run: nothing is started, and nothing recorded', async (words, code, said) => {
    const cwd = await watchedProject();
    const ran = await run(['run', '--', ...words], { cwd, env: { PATH: '/usr/bin:/bin' } });
    expect(ran).toMatchObject({ code, stdout: '', stderr: expect.stringContaining(said) });
    expect(readdirSync(join(cwd, '.countersign'))).not.toContain('activity');
  });

  it.each([
    ['--mode', 'fast'],
    ['--poll', '1ms'],
    ['--poll', 'soon'],
    ['--scope', 'absent.yaml'],
  ])('%s %s is refused before anything runs', async (option, value) => {
    const cwd = await watchedProject();
    const ran = await run(['run', option, value, '--', 'node', '-e', `require('fs').writeFileSync('ran', '')`], {
      cwd,
      env: { PATH: process.env['PATH'] },
    });
    expect(ran.code).not.toBe(0);
    expect(readdirSync(cwd)).not.toContain('ran');
  });

  it.skipIf(!isLinux)('a signal to us is handed on once, and then meant for all of it', async () => {
    const cwd = await watchedProject();
    const stubborn = `process.on('SIGTERM', () => console.log('no')); console.log('ready'); later(60_000, () => {});`;
    const agent = startCli(['run', '--', 'node', script(cwd, stubborn)], { cwd });
    await agent.until(/ready/, 'stdout');
    agent.child.kill('SIGTERM');
    await agent.until(/no/, 'stdout');
    agent.child.kill('SIGTERM');
    expect((await agent.ended).code).toBe(137);
  });

  it.skipIf(!isLinux)('is not the end while something it started runs', async () => {
    const cwd = await watchedProject();
    script(cwd, `console.log('pid', process.pid); later(60_000, () => {});`, 'left.cjs');
    const parent = `spawn(process.execPath, ['left.cjs'], { detached: true, stdio: ['ignore', 1, 'ignore'] }).unref(); later(1000, () => process.exit(4));`;
    const agent = startCli(['run', '--', 'node', script(cwd, parent)], { cwd });
    await agent.until(/the agent has ended \(4\), and 1 process it started runs on/);
    const [, pid] = await agent.until(/pid (\d+)/, 'stdout');
    expect(isAlive(Number(pid))).toBe(true);
    agent.child.kill('SIGTERM');
    expect((await agent.ended).code).toBe(4);
    expect(isAlive(Number(pid))).toBe(false);
  });

  it.skipIf(!isLinux)('two at a time keep one ledger', async () => {
    const cwd = await watchedProject();
    const both = ['one', 'two'].map(
      (name) => startCli(['run', '--', 'node', script(cwd, `later(500, () => process.exit(0))`, `${name}.cjs`)], { cwd }).ended,
    );
    expect((await Promise.all(both)).map(({ code }) => code)).toEqual([0, 0]);
    const sessions = await entriesOf(cwd, 'session');
    expect(sessions.filter(({ event }) => event === 'start')).toHaveLength(2);
    expect(sessions.filter(({ event }) => event === 'end')).toHaveLength(2);
    await isValid(cwd);
  });
});

describe.skipIf(!isLinux)('attach', SLOW, () => {
  it('watches what runs already, and ends it when it goes too far', async () => {
    const cwd = await watchedProject();
    const other = start(
      process.execPath,
      [
        script(
          cwd,
          `console.log('ready'); process.stdin.once('data', () => { try { hold('bait.txt'); } catch {} }); later(60_000, () => {});`,
        ),
      ],
      { cwd },
    );
    await other.until(/ready/, 'stdout');
    const watching = startCli(['attach', '--pid', String(other.child.pid)], { cwd });
    await watching.until(/watching, level/);
    other.child.stdin.write('now\n');
    expect((await watching.ended).code).toBe(120);
    expect((await other.ended).signal).toBe('SIGKILL');
  });

  it.skipIf(fanotifyMissing() !== undefined)(
    'as root: is asked before, lets it be read when a person says so, and not when that person ends it',
    async () => {
      const cwd = await watchedProject();
      const reads = `console.log('ready'); process.stdin.on('data', () => { try { console.log('got', fs.readFileSync('bait.txt', 'utf8')); } catch (error) { console.log('refused', error.code); } });`;
      const other = start(process.execPath, [script(cwd, reads)], { cwd });
      await other.until(/ready/, 'stdout');
      const watching = startCli(['attach', '--pid', String(other.child.pid), '--mode', 'confirm'], { cwd });
      await watching.until(/watching, level L1/);
      other.child.stdin.write('now\n');
      const [, id = ''] = await watching.until(/countersign resume ([0-9a-f]{8}) {2}/);
      expect(watching.output.stderr).toMatch(/FROZEN: 1 process/);
      expect(other.output.stdout).toBe('ready\n');
      expect(await run(['resume', id, ...JANE], { cwd })).toMatchObject({ code: 0 });
      await other.until(/got nobody has any business/, 'stdout');
      other.child.stdin.write('again\n');
      const [, next = ''] = await watching.until(new RegExp(`countersign resume (?!${id})([0-9a-f]{8}) {2}`));
      expect(await run(['resume', next, '--kill', ...JANE], { cwd })).toMatchObject({ code: 0 });
      expect((await watching.ended).code).toBe(121);
      expect((await other.ended).stdout.match(/got/g)).toHaveLength(1);
      expect((await entriesOf(cwd, 'containment')).map(({ event }) => event)).toEqual(['frozen', 'resumed', 'frozen', 'killed']);
    },
  );

  it('ends with what it watched, and may be told to stop watching', async () => {
    const cwd = await watchedProject();
    const other = start('sleep', ['60'], { cwd });
    const watching = startCli(['attach', '--pid', String(other.child.pid)], { cwd });
    await watching.until(/watching, level/);
    watching.child.kill('SIGINT');
    expect((await watching.ended).code).toBe(0);
    expect(other.child.exitCode).toBeNull();
    const again = startCli(['attach', '--pid', String(other.child.pid)], { cwd });
    await again.until(/watching, level/);
    other.child.kill();
    expect((await again.ended).code).toBe(0);
  });

  it.each([
    [['--pid', '1'], 'PROCESS_REFUSED'],
    [['--pid', String(process.pid)], 'PROCESS_REFUSED'],
    [['--pid', '4194303'], 'PROCESS_NOT_FOUND'],
    [['--name', 'surely-nobody-is-called-that'], 'PROCESS_NOT_FOUND'],
    [['--pid', 'x'], 'USAGE'],
    [['--pid', '-1'], 'USAGE'],
    [[], 'USAGE'],
    [['--pid', '5', '--name', 'x'], 'USAGE'],
  ])('%j is refused', async (words, said) => {
    const cwd = await watchedProject();
    const ran = await run(['attach', ...words], { cwd });
    expect(ran.code).not.toBe(0);
    expect(ran.stderr).toContain(said);
  });

  it('is refused from inside a guarded tree', async () => {
    const cwd = await watchedProject();
    const ran = await run(['attach', '--pid', '5'], { cwd, env: { COUNTERSIGN_GUARDED: '1' } });
    expect(ran).toMatchObject({ code: 1, stderr: expect.stringContaining('APPROVER_REFUSED') });
  });
});

describe('what was asked for is looked at first', () => {
  it.each([
    [['run', '--kernel', 'maybe', '--', 'true'], 2, '--kernel "maybe" is none'],
    [['run', '--trap-reads', 'yes', '--', 'true'], 2, '--trap-reads "yes" is none'],
    [['run', '--contain', '\u001b[2J', '--', 'true'], 2, 'is none'],
    [['run', '--mode', 'strict', '--', 'true'], 2, '--mode "strict" is none'],
    [['run', '--poll', '1h', '--', 'true'], 2, '--poll "1h" is no time'],
    [['run', '--scope', 'no-such-file.yaml', '--', 'true'], undefined, 'no-such-file.yaml'],
    [['attach', '--pid', '1', '--mode', 'strict'], 2, '--mode "strict" is none'],
  ] as const)('%j: nothing is said of what is missing besides, and no ledger is made', async (argv, code, says) => {
    const home = folder();
    const { code: ended, stderr } = await run(argv, {
      cwd: home,
      env: { ...process.env, HOME: home, XDG_STATE_HOME: join(home, 'state') },
    });
    expect(ended).toBe(code ?? ended);
    expect(ended).not.toBe(0);
    expect(stderr).toContain(says);
    expect(stderr).not.toMatch(/NO CONFIGURATION|\u001b/);
    expect(readdirSync(home)).toEqual([]);
  });
});
