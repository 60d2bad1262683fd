/** What a tree whose calls are held can do when nobody tends it: nothing more that the warden would be asked about. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { script, startCli, watchedProject } from './agent-process.ts';
import { answer, canHold, halted, isAlive, KERNEL, SLOW, until, waitsForAnswer } from './kernel-run.ts';

/**
 * On each line it is sent it tries what the warden would be asked about, and says what came of it; with a number in it, once that process is
 * gone. All it needs is loaded before. It outlives its standard input, which is closed when the warden has ended.
 */
const TRIES = `
const net = require('node:net'), child = require('node:child_process');
const open = () => fs.closeSync(fs.openSync('open.txt'));
const attempt = (run) => { try { run(); return 'done'; } catch (error) { return error.code ?? String(error); } };
const connects = () => new Promise((resolve) => net.connect(9, '127.0.0.1').on('error', (error) => resolve(error.code)).on('connect', () => resolve('done')));
process.on('SIGTERM', () => {}); process.on('SIGHUP', () => {});
attempt(open); child.spawnSync('/bin/true'); connects().then(() => {
  setInterval(() => {}, 60_000);
  process.stdin.on('data', async (line) => {
    const warden = /\\d+/.exec(String(line))?.[0];
    while (warden !== undefined && fs.existsSync('/proc/' + warden)) await new Promise((resolve) => setTimeout(resolve, 10));
    const spawned = child.spawnSync('/bin/touch', ['started.txt']);
    console.log(JSON.stringify({ open: attempt(open), exec: spawned.error?.code ?? spawned.status, unlink: attempt(() => fs.unlinkSync('open.txt')), connect: await connects() }));
  });
  console.log('pid', process.pid);
});`;
/** Out of the session of its parent, which ends. */
const DAEMON = `spawn('setsid', [process.execPath, 'tries.cjs'], { detached: true, stdio: [0, 1, 'ignore'] }).unref();`;

async function daemon(): Promise<{ cwd: string; agent: ReturnType<typeof startCli>; pid: number }> {
  const cwd = await watchedProject();
  writeFileSync(join(cwd, 'open.txt'), 'x');
  script(cwd, TRIES, 'tries.cjs');
  const agent = startCli([...KERNEL, '--', 'node', script(cwd, DAEMON)], { cwd });
  const pid = Number((await agent.until(/pid (\d+)/, 'stdout'))[1]);
  onTestFinished(() => {
    if (isAlive(pid)) process.kill(pid, 'SIGKILL');
  });
  return { cwd, agent, pid };
}

describe.skipIf(!canHold)('a warden', SLOW, () => {
  it('that is killed: what survives opens, starts, deletes and connects nothing more', async () => {
    const { cwd, agent, pid } = await daemon();
    // Before: what was started with a pipe loses it with its end.
    agent.child.stdin.write(`after ${agent.child.pid}\n`);
    agent.child.kill('SIGKILL');
    await until(() => !isAlive(agent.child.pid ?? 0));
    expect(isAlive(pid)).toBe(true);
    const [told = ''] = await agent.until(/^\{.*\}$/m, 'stdout');
    expect(JSON.parse(told)).toEqual({ open: 'ENOSYS', exec: 'ENOSYS', unlink: 'ENOSYS', connect: 'ENOSYS' });
    expect([existsSync(join(cwd, 'open.txt')), existsSync(join(cwd, 'started.txt'))]).toEqual([true, false]);
  });

  it('that is stopped: calls wait, and are judged and go on when it does', async () => {
    const { cwd, agent, pid } = await daemon();
    agent.child.kill('SIGSTOP');
    agent.child.stdin.write('now\n');
    // It waits in the kernel for an answer.
    await until(() => waitsForAnswer(pid));
    expect(agent.output.stdout).not.toContain('{');
    agent.child.kill('SIGCONT');
    const [told = ''] = await agent.until(/^\{.*\}$/m, 'stdout');
    expect(JSON.parse(told)).toEqual({ open: 'done', exec: 0, unlink: 'done', connect: 'ECONNREFUSED' });
    expect(existsSync(join(cwd, 'started.txt'))).toBe(true);
    agent.child.kill('SIGTERM');
    await agent.ended;
    expect(isAlive(pid)).toBe(false);
  });

  it('that is killed while a call is held: it fails, and has not happened', async () => {
    const cwd = await watchedProject();
    const reads = `console.log('pid', process.pid); try { fs.readFileSync('bait.txt'); console.log('read'); } catch (error) { console.log(error.code); } later(60_000, () => {});`;
    const agent = startCli([...KERNEL, '--mode', 'confirm', '--', 'node', script(cwd, reads)], { cwd });
    await halted(agent);
    const pid = Number(/pid (\d+)/.exec(agent.output.stdout)?.[1]);
    onTestFinished(() => {
      if (isAlive(pid)) process.kill(pid, 'SIGKILL');
    });
    agent.child.kill('SIGKILL');
    await until(() => !isAlive(agent.child.pid ?? 0));
    // It was stopped, and stays so until somebody wakes it.
    process.kill(pid, 'SIGCONT');
    expect((await agent.until(/^(?:read|E\w+)$/m, 'stdout'))[0]).toBe('ENOSYS');
  });

  it('asks once about a file that is opened to read and to write, and a no ends nobody', async () => {
    const cwd = await watchedProject();
    const opens = `try { fs.openSync('bait.txt', 'r+'); console.log('open'); } catch (error) { console.log(error.code); }`;
    const agent = startCli([...KERNEL, '--mode', 'confirm', '--', 'node', script(cwd, opens)], { cwd });
    await answer(cwd, await halted(agent), '--deny');
    expect(await agent.ended).toMatchObject({ code: 0, stdout: 'EPERM\n' });
    expect(agent.output.stderr.match(/THE AGENT IS STOPPED/g)).toHaveLength(1);
  });
});
