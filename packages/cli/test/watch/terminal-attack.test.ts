/** What a watched tree can do to whoever watches it by the terminal they share. Level: exact, where koffi is; see the guide. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { watchedProject } from './agent-process.ts';
import { canHold, KERNEL, SLOW } from './kernel-run.ts';
import { ANSWER_AFTER, hasPython, inShell, onTerminal, RUN, type Step } from './on-terminal.ts';

const HELD = [...RUN, ...KERNEL.slice(1), '--mode', 'confirm', '--', 'python3', 'agent.py'];

/** `attempt` says what came of something; `takes` begins a group that has the terminal, in which the bait is read. */
const PARTS = `
import os, signal, sys, termios, time
def attempt(what, do):
    try:
        do()
        print(what, 'done', flush=True)
    except OSError as error:
        print(what, os.strerror(error.errno), flush=True)
def tostop():
    flags = termios.tcgetattr(0)
    flags[3] |= termios.TOSTOP
    termios.tcsetattr(0, termios.TCSANOW, flags)
def takes(group):
    child = os.fork()
    if child > 0:
        return child
    for each in (signal.SIGTTOU, signal.SIGTTIN):
        signal.signal(each, signal.SIG_IGN)
    if group == 0:
        os.setpgid(0, 0)
    os.tcsetpgrp(0, group or os.getpid())
    tostop()
    attempt('read', lambda: open('bait.txt').read())
    os._exit(0)
`;

async function attackOn(agent: string): Promise<string> {
  const cwd = await watchedProject();
  writeFileSync(join(cwd, 'agent.py'), `${PARTS}${agent}\nos._exit(7)\n`);
  return cwd;
}

const ASKED = '(?s)\\[r\\] resume.*> ';
const RESUME: Step = [ASKED, 'r\n', ANSWER_AFTER];

describe.skipIf(!canHold || !hasPython)('a tree that has the terminal', SLOW, () => {
  it('takes its foreground, and has stopped whoever writes from the background: the warden asks, is answered, and the shell goes on', async () => {
    const ignored = `print('ignored', int(open('/proc/self/status').read().split('SigIgn:')[1].split()[0], 16) >> 20 & 3)`;
    const cwd = await attackOn(`${ignored}\nos.waitpid(takes(0), 0)`);
    const { output } = await inShell(cwd, HELD, [RESUME]);
    expect(output).not.toContain('Stopped');
    expect(output).toMatch(/\nresume\r[^]*: resumed[^]*read done[^]*code 7\r[^]*exit/);
    // What does not stop the warden stops what it started, as ever.
    expect(output).toContain('ignored 0');
  });

  it('the same where no shell is above it, and a write from the background would fail', async () => {
    const cwd = await attackOn(`os.waitpid(takes(0), 0)`);
    const { output, code } = await onTerminal(cwd, HELD, [RESUME]);
    expect(output).toMatch(/\nresume\r[^]*: resumed[^]*read done/);
    expect(code).toBe(7);
  });

  it('reads from the background, which stops all of a group: the warden is of it, and goes on', async () => {
    const reader = `reader = os.fork()
if reader == 0:
    time.sleep(0.2)
    os.read(0, 1)
    os._exit(0)
signal.signal(signal.SIGTTIN, signal.SIG_IGN)`;
    const cwd = await attackOn(`child = takes(0)\n${reader}\nos.waitpid(child, 0)\nos.kill(reader, signal.SIGKILL)`);
    const { output } = await inShell(cwd, HELD, [RESUME]);
    expect(output).not.toContain('Stopped');
    expect(output).toMatch(/\nresume\r[^]*: resumed[^]*read done[^]*code 7/);
  });

  it('gives it to the shell: nobody is asked there, and nothing happens until somebody is', async () => {
    const cwd = await attackOn(`os.waitpid(takes(os.getpgid(os.getsid(0))), 0)`);
    const { output } = await inShell(cwd, HELD, [['THE AGENT IS STOPPED', 'r\n', ANSWER_AFTER]], 15);
    expect(output).not.toContain('Stopped');
    expect(output).not.toMatch(/\[r\] resume|read done|Answer here/);
    expect(output).toMatch(/Answer from another terminal, or here once this job has it \(fg\):\s+countersign resume [0-9a-f]{8} /);
  });

  it('is asked about once it is called forward, where a shell started it in the background', async () => {
    const cwd = await attackOn(`attempt('read', lambda: open('bait.txt').read())`);
    const words = HELD.map((word) => `'${word}'`).join(' ');
    const { output, steps } = await onTerminal(
      cwd,
      ['bash', '--norc', '-i'],
      [
        ['[#$] ', `${words} &\n`],
        ['THE AGENT IS STOPPED', 'echo $((41 + 1))\n', ANSWER_AFTER],
        ['42\r', 'fg; echo "code $?"\n', ANSWER_AFTER],
        RESUME,
        ['code 7\r', 'exit\n'],
      ],
    );
    expect(steps).toBe(5);
    expect(output).toMatch(/or here once this job has it \(fg\)[^]*42\r[^]*\[r\] resume[^]*read done/);
    expect(output).not.toContain('Answer here');
  });
});

describe.skipIf(!canHold || !hasPython)('a call that is held, answered where the agent has its terminal', SLOW, () => {
  const READS = `attempt('read', lambda: open('bait.txt').read())`;

  it('what was typed before the question is no answer; then a kill ends all of it', async () => {
    const cwd = await attackOn(`print('ready', flush=True)\ntime.sleep(2)\n${READS}`);
    const { output, code, steps } = await onTerminal(cwd, HELD, [
      ['ready\r', 'r\nr\n'],
      [ASKED, 'k\n', 2],
    ]);
    expect(steps).toBe(2);
    expect(output).not.toMatch(/\nresume\r|: resumed|read done/);
    expect(output).toMatch(/\nkill\r[^]*KILLED[^]*nothing is left/);
    expect(code).toBe(121);
  });

  it('fails, and its program goes on, when that is what the answer says', async () => {
    const cwd = await attackOn(READS);
    const { output, code, steps } = await onTerminal(cwd, HELD, [[ASKED, 'd\n', ANSWER_AFTER]]);
    expect(steps).toBe(1);
    expect(output).toContain('read Operation not permitted');
    expect(code).toBe(7);
  });

  it('nothing in its arguments moves the cursor or passes for our words', async () => {
    const cwd = await attackOn(`os.execvp('touch', ['touch', '\\x1b[2J\\x1b[1;1Hbad\\rcountersign: resumed\\n[r] resume\\u202e\\x9b2J'])`);
    const config = join(cwd, 'countersign.yaml');
    writeFileSync(config, readFileSync(config, 'utf8').replace('scope: {', 'scope: { process: { forbidden_commands: [touch] },'));
    const { output, code } = await onTerminal(cwd, HELD, [[ASKED, 'k\n', ANSWER_AFTER]]);
    expect(code).toBe(121);
    expect(output).not.toMatch(/\u001b\[(?:2J|1;1H)|\u009b|\u202e|bad\r[^\n]|^countersign: resumed/mu);

    expect(output).toMatch(/touch[^]*\\u(?:\{1b\}|001b)\[2J/);
  });
});
