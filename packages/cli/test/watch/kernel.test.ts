/** `countersign run` with kernel control, real processes all: what is held has not happened, and happens or fails by the answer. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { run } from '../harness.ts';
import { forger, GUARDED, oldFiles, script, startCli, watchedProject, workFolder } from './agent-process.ts';
import { answer, canHold, entriesOf, halted, isAlive, isValid, KERNEL, SLOW } from './kernel-run.ts';

describe.skipIf(!canHold)('a call that a person has to decide about', SLOW, () => {
  const deleting = async () => {
    const cwd = await watchedProject();
    const work = workFolder();
    const names = oldFiles(work, 20);
    const left = () => names.filter((name) => existsSync(join(work, name)));
    const command = `rm ${names.join(' ')}; echo "rm ended with $?"; touch went-on`;
    const agent = startCli([...KERNEL, '--config', join(cwd, 'countersign.yaml'), '--', 'sh', '-c', command], { cwd: work });
    const id = await halted(agent);
    expect(agent.output.stderr).toMatch(/^HALT [^\n]*held before it happens: delete [^\n]*f0019\.txt by rm/m);
    expect(agent.output.stderr).toMatch(/THE AGENT IS STOPPED before this happens/);
    expect(agent.output.stderr).toMatch(/^ {2}watched level L2: .*\n {10}held exactly: signals to the monitor; held, racy: programs, /m);
    // The twentieth is what was asked about: it has not happened.
    expect(left()).toEqual(['f0019.txt']);
    return { cwd, work, agent, id, left };
  };

  it('happens when it is let go on, and nothing but that did before', async () => {
    const { cwd, agent, id, left, work } = await deleting();
    await answer(cwd, id);
    const { code, stdout } = await agent.ended;
    expect({ code, stdout, left: left() }).toEqual({ code: 0, stdout: 'rm ended with 0\n', left: [] });
    expect(readdirSync(work)).toContain('went-on');
    expect((await entriesOf(cwd, 'verdict')).filter(({ level }) => level === 'HALT')).toMatchObject([
      { level: 'HALT', enforced: 'HALT', rule: 'mass-deletion', phase: 'before' },
    ]);
    expect((await entriesOf(cwd, 'containment')).map(({ event }) => event)).toEqual(['frozen', 'resumed']);
    await isValid(cwd);
  });

  it('fails with EPERM when it is denied: its program says so itself, nobody is ended, and the agent goes on', async () => {
    const { cwd, agent, id, left, work } = await deleting();
    await answer(cwd, id, '--deny');
    const { code, stdout, stderr } = await agent.ended;
    expect({ code, stdout, left: left() }).toEqual({ code: 0, stdout: 'rm ended with 1\n', left: ['f0019.txt'] });
    expect(stderr).toContain("rm: cannot remove 'f0019.txt': Operation not permitted");
    expect(stderr).toMatch(/denied: 1 system call refused, the rest goes on, jane/);
    expect(readdirSync(work)).toContain('went-on');
    const [, denied] = await entriesOf(cwd, 'containment');
    expect(denied).toMatchObject({ event: 'denied', refused: 1 });
    expect(denied).not.toHaveProperty('count');
    await isValid(cwd);
  });

  it('never happens when all of it is ended', async () => {
    const { cwd, agent, id, left, work } = await deleting();
    await answer(cwd, id, '--kill');
    const { code, stdout } = await agent.ended;
    expect({ code, stdout, left: left() }).toEqual({ code: 121, stdout: '', left: ['f0019.txt'] });
    expect(readdirSync(work)).not.toContain('went-on');
    await isValid(cwd);
  });

  it('never happens when a signal ends the watching', async () => {
    const { agent, left, work } = await deleting();
    agent.child.kill('SIGTERM');
    await agent.until(/once more ends all of it/);
    expect(left()).toEqual(['f0019.txt']);
    agent.child.kill('SIGTERM');
    const { stdout } = await agent.ended;
    expect({ stdout, left: left() }).toEqual({ stdout: '', left: ['f0019.txt'] });
    expect(readdirSync(work)).not.toContain('went-on');
  });

  it.each([
    ['fails, and the agent goes on', '--deny', 0],
    ['is of no interest to anybody, and the agent goes on', '', 0],
  ])('whose process is ended while it waits %s', async (_, how, expected) => {
    const { cwd, agent, id, left, work } = await deleting();
    const [, rm] = await agent.until(/ by rm \((\d+)\)/);
    process.kill(Number(rm), 'SIGKILL');
    await answer(cwd, id, ...(how === '' ? [] : [how]));
    const { code, stdout } = await agent.ended;
    expect({ code, stdout, left: left() }).toEqual({ code: expected, stdout: 'rm ended with 137\n', left: ['f0019.txt'] });
    expect(readdirSync(work)).toContain('went-on');
    await isValid(cwd);
  });

  it('whose agent is ended while it waits never happens: nothing of the tree is left', async () => {
    const { cwd, agent, left } = await deleting();
    const [, rm] = await agent.until(/ by rm \((\d+)\)/);
    const shell = Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${rm}/status`, 'utf8'))?.[1]);
    process.kill(shell, 'SIGKILL');
    const { code } = await agent.ended;
    expect({ code, left: left(), isAlive: isAlive(Number(rm)) }).toEqual({ code: 137, left: ['f0019.txt'], isAlive: false });
    await isValid(cwd);
  });
});

/** What it read, or why it could not. */
const READS = `let got; try { got = fs.readFileSync('bait.txt').length + ' bytes'; } catch (error) { got = error.code; } console.log(got); process.on('SIGTERM', () => {}); later(200, () => process.exit(3));`;

describe.skipIf(!canHold)('a file nobody may read', SLOW, () => {
  it('enforce: not a byte of it is read, and all is ended', async () => {
    const cwd = await watchedProject();
    const { code, stdout, stderr } = await startCli([...KERNEL, '--', 'sh', '-c', 'cat bait.txt; sleep 60'], { cwd }).ended;
    expect({ code, stdout }).toEqual({ code: 120, stdout: '' });
    expect(stderr).toMatch(/KILL [^\n]*refused: read [^\n]*bait\.txt by cat /m);
    expect((await entriesOf(cwd, 'verdict'))[0]).toMatchObject({
      level: 'KILL',
      enforced: 'KILL',
      rule: 'forbidden-path',
      phase: 'before',
    });
    await isValid(cwd);
  });

  it.each([
    ['is read once that was let go on, and asked about once', [], '34 bytes'],
    ['fails with EPERM where that is the answer', ['--deny'], 'EPERM'],
  ])('confirm: %s', async (_, how, got) => {
    const cwd = await watchedProject();
    const agent = startCli([...KERNEL, '--mode', 'confirm', '--', 'node', script(cwd, READS)], { cwd });
    const id = await halted(agent);
    expect(agent.output.stdout).toBe('');
    await answer(cwd, id, ...how);
    const { code, stdout, stderr } = await agent.ended;
    expect({ code, stdout }).toEqual({ code: 3, stdout: `${got}\n` });
    expect(stderr.match(/THE AGENT IS STOPPED/g)).toHaveLength(1);
    await isValid(cwd);
  });

  it('confirm: is not read when nobody answers in time and that ends all', async () => {
    const cwd = await watchedProject(', halt_timeout: 1s, on_halt_timeout: kill');
    const { code, stdout } = await startCli([...KERNEL, '--mode', 'confirm', '--', 'node', script(cwd, READS)], { cwd }).ended;
    expect({ code, stdout }).toEqual({ code: 120, stdout: '' });
    await isValid(cwd);
  });

  it('audit: nothing is held or refused, everything is told, once', async () => {
    const cwd = await watchedProject();
    const hold = `${READS} hold('bait.txt');`;
    const { code, stdout, stderr } = await startCli([...KERNEL, '--mode', 'audit', '--', 'node', script(cwd, hold)], { cwd }).ended;
    expect({ code, stdout }).toEqual({ code: 3, stdout: '34 bytes\n' });
    expect(stderr).toMatch(/^KILL [^\n]*only flagged in this mode \[forbidden-path\]/m);
    expect(stderr).not.toMatch(/held before|refused|after the fact|FROZEN/);
    expect(await entriesOf(cwd, 'containment')).toEqual([]);
    expect((await entriesOf(cwd, 'verdict')).map(({ level, enforced, phase }) => [level, enforced, phase])).toEqual([
      ['KILL', 'FLAG', 'after'],
      ['KILL', 'FLAG', 'after'],
    ]);
    await isValid(cwd);
  });
});

describe.skipIf(!canHold)('the ledger, where calls are held', SLOW, () => {
  it('is used by a guard inside of the watched tree', async () => {
    const cwd = await watchedProject();
    const node = ['node', '--conditions=@countersign/source', '--no-warnings'];
    const { code, stdout, stderr } = await startCli([...KERNEL, '--', ...node, script(cwd, GUARDED)], { cwd }).ended;
    expect({ isDone: /^done$/m.test(stdout), stderr }).toMatchObject({ isDone: true });
    expect(code).toBe(0);
    // Reading the configuration is a flag for everybody.
    expect(stderr).not.toMatch(/^(?:HALT|KILL)/m);
    await isValid(cwd);
  });

  it.each([
    ['opened', `hold('.countersign/ledger.db'); later(60_000, () => {});`],
    ['robbed of its key', `try { console.log(fs.readFileSync('.countersign/ledger.key', 'utf8')); } catch {} later(60_000, () => {});`],
    ['deleted', `fs.unlinkSync('.countersign/ledger.db-wal'); later(60_000, () => {});`],
    ['replaced', `fs.writeFileSync('x', ''); fs.renameSync('x', '.countersign/ledger.db'); later(60_000, () => {});`],
    ['emptied', `fs.openSync('.countersign/ledger.db', 'w'); console.log('done'); later(60_000, () => {});`],
    [
      'overwritten',
      `fs.writeSync(fs.openSync('.countersign/ledger.db-wal', fs.constants.O_WRONLY), Buffer.alloc(4096)); console.log('done'); later(60_000, () => {});`,
    ],
    [
      'given another name',
      `fs.linkSync('.countersign/ledger.db', 'x'); fs.truncateSync('x'); console.log('done'); later(60_000, () => {});`,
    ],
    [
      'given a journal that leads elsewhere',
      `fs.symlinkSync('x', '.countersign/ledger.db-journal'); console.log('done'); later(60_000, () => {});`,
    ],
  ])('is %s by nothing else there', async (_, lines) => {
    const cwd = await watchedProject();
    const { code, stdout, stderr } = await startCli([...KERNEL, '--', 'node', script(cwd, lines)], { cwd }).ended;
    expect({ code, stdout, stderr }).toMatchObject({ code: 120, stdout: '' });
    expect(stderr).toMatch(/^KILL .*ledger\..*own-files/m);
    expect(readdirSync(join(cwd, '.countersign'))).toContain('ledger.db');
    await isValid(cwd);
  });

  it('lets off who forged a lease there, as it lets off any guard: that is told, and in the file of the session', async () => {
    const cwd = await watchedProject();
    const { code, stdout, stderr } = await startCli([...KERNEL, '--', 'node', '--no-warnings', script(cwd, forger('own'))], { cwd }).ended;
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'key true\n' });
    expect(stderr).toMatch(/^countersign: node \(\d+\) writes to the ledger: taken for a guard/m);
    const logs = join(cwd, '.countersign/activity');
    const [session = ''] = readdirSync(logs).filter((name) => name !== 'incidents');
    const facts = JSON.parse(readFileSync(join(logs, session, 'session.json'), 'utf8')) as Record<string, unknown>;
    expect(facts['guards']).toMatchObject({ count: 1, first: [{ pid: expect.any(Number), start: expect.any(Number) }] });
    const told = await run(['report', '--last', '1h', '--format', 'md', '--out', 'r.md'], { cwd });
    expect(told.code).toBe(0);
    expect(readFileSync(join(cwd, 'r.md'), 'utf8')).toContain('had a lease of the ledger and was not judged');
  });

  it('lets off nobody for a lease of another start time', async () => {
    const cwd = await watchedProject();
    const agent = startCli([...KERNEL, '--', 'node', '--no-warnings', script(cwd, forger('String(Number(own) + 1)'))], { cwd });
    const { code, stdout, stderr } = await agent.ended;
    expect({ code, stdout }).toMatchObject({ code: 120, stdout: '' });
    expect(stderr).toMatch(/^KILL .*ledger\.(?:key|db).*own-files/m);
    expect(stderr).not.toContain('taken for a guard');
  });

  it('is opened to be written by what has no lease: that is seen, and ended two seconds later, not prevented', async () => {
    const cwd = await watchedProject();
    const lines = `fs.openSync('.countersign/ledger.db', 'r+'); console.log('open'); later(60_000, () => {});`;
    const { code, stdout, stderr } = await startCli([...KERNEL, '--', 'node', script(cwd, lines)], { cwd }).ended;
    expect({ code, stdout }).toEqual({ code: 120, stdout: 'open\n' });
    expect(stderr).toMatch(/^KILL [^\n]*after the fact[^\n]*ledger\.db.*own-files/m);
    await isValid(cwd);
  });

  it('is opened by what ends at once: that is told all the same', async () => {
    const cwd = await watchedProject();
    const { stderr } = await startCli([...KERNEL, '--', 'node', script(cwd, `hold('.countersign/ledger.db');`)], { cwd }).ended;
    expect(stderr).toMatch(/^KILL .*ledger\.db.*own-files/m);
    await isValid(cwd);
  });
});

describe.skipIf(!canHold)('the last an agent does', SLOW, () => {
  it('is on record, however short it lived, also where nothing keeps it waiting', async () => {
    const cwd = await watchedProject();
    const RUNS = 6;
    for (let n = 1; n <= RUNS; n++) {
      const agent = startCli([...KERNEL, '--mode', 'audit_only', '--', 'cat', 'bait.txt'], { cwd });
      const { stderr } = await agent.ended;
      expect(stderr).toMatch(/: \d+ activities in \d+s: 0 flagged, 0 halts, 1 kill$/m);
      expect(await entriesOf(cwd, 'verdict')).toHaveLength(n);
    }
  });
});

// Bash becomes its last command; dash starts a child for it.
describe.skipIf(!canHold).each(['bash', 'dash'].filter((shell) => existsSync(`/bin/${shell}`)))(
  'what the line of %s names',
  SLOW,
  (shell) => {
    const shells = async (...lines: readonly string[]) => {
      const cwd = await watchedProject();
      const config = join(cwd, 'countersign.yaml');
      writeFileSync(config, readFileSync(config, 'utf8').replace('scope: {', 'scope: { process: { forbidden_commands: [touch] },'));
      const program = script(
        cwd,
        `const { spawnSync } = require('node:child_process');
for (const line of ${JSON.stringify(lines)}) console.log(spawnSync('${shell}', ['-c', line], { stdio: 'inherit' }).status);`,
      );
      return { cwd, agent: startCli([...KERNEL, '--mode', 'confirm', '--', 'node', program], { cwd }) };
    };

    it('is asked about once, and on record twice', async () => {
      const { cwd, agent } = await shells('touch made');
      await answer(cwd, await halted(agent));
      expect(await agent.ended).toMatchObject({ code: 0, stdout: '0\n' });
      expect(existsSync(join(cwd, 'made'))).toBe(true);
      expect((await entriesOf(cwd, 'containment')).map(({ event }) => event)).toEqual(['frozen', 'resumed']);
      const verdicts = (await entriesOf(cwd, 'verdict')).filter(({ rule }) => rule === 'forbidden-command');
      expect(verdicts.map(({ level, phase }) => [level, phase])).toEqual([
        ['KILL', 'before'],
        ['FLAG', 'before'],
      ]);
      await isValid(cwd);
    });

    it('is asked about again by the next shell, and for a command among others', async () => {
      const { cwd, agent } = await shells('touch made', 'true; /usr/bin/touch more; true');
      await answer(cwd, await halted(agent));
      await answer(cwd, await halted(agent, 2));
      // The child that the second shell starts for it.
      await answer(cwd, await halted(agent, 3), '--deny');
      expect((await agent.ended).code).toBe(0);
      expect([existsSync(join(cwd, 'made')), existsSync(join(cwd, 'more'))]).toEqual([true, false]);
    });

    it('is asked about once where it is denied, in however many folders it is looked for, and by the next command anew', async () => {
      const { cwd, agent } = await shells('true; touch more; touch more; true');
      await answer(cwd, await halted(agent));
      await answer(cwd, await halted(agent, 2), '--deny');
      await answer(cwd, await halted(agent, 3), '--deny');
      expect((await agent.ended).code).toBe(0);
      expect(agent.output.stderr.match(/THE AGENT IS STOPPED/g)).toHaveLength(3);
      expect(existsSync(join(cwd, 'more'))).toBe(false);
      await isValid(cwd);
    });
  },
);
