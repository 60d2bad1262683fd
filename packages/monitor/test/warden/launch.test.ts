import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findProgram, type LaunchedAgent, launchAgent } from '../../src/warden/launch.ts';

let folder: string;
let agent: LaunchedAgent | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-launch-'));
});
afterEach(async () => {
  if (agent?.child.exitCode === null) agent.child.kill('SIGKILL');
  await agent?.ended;
  agent = undefined;
  rmSync(folder, { recursive: true });
});

async function launch(args: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<LaunchedAgent> {
  agent = await launchAgent({ program: process.execPath, args, cwd: folder, env, stdio: 'pipe' });
  return agent;
}

async function output(launched: LaunchedAgent): Promise<string> {
  let text = '';
  launched.child.stdout?.on('data', (chunk: Buffer) => (text += chunk.toString()));
  await once(launched.child, 'close');
  return text;
}

describe('an agent that is launched', () => {
  it('runs nothing before it is told to, and then is the very process that was entered', async () => {
    const launched = await launch(['-p', 'process.pid']);
    const text = output(launched);
    expect(launched.child.exitCode).toBeNull();
    launched.go();
    expect(Number(await text)).toBe(launched.pid);
    expect(await launched.ended).toEqual({ code: 0 });
  });

  it('gets its arguments as they are', async () => {
    const words = ['', '-x', 'a b', "'", '"$HOME"', '$(id)', '`id`', 'a\nb', '*', '--', '\\'];
    const launched = await launch(['-e', 'console.log(JSON.stringify(process.argv.slice(1)))', '--', ...words]);
    const text = output(launched);
    launched.go();
    expect(JSON.parse(await text)).toEqual(words);
  });

  it.skipIf(process.platform !== 'linux')('keeps no descriptor of ours', async () => {
    agent = await launchAgent({
      program: '/bin/sh',
      args: ['-c', '[ -e /proc/self/fd/3 ] && echo open || echo closed'],
      cwd: folder,
      env: process.env,
      stdio: 'pipe',
    });
    const text = output(agent);
    agent.go();
    expect((await text).trim()).toBe('closed');
  });

  it.each([3, 0, 255])('ends with its own code: %i', async (code) => {
    const launched = await launch(['-e', `process.exit(${code})`]);
    launched.go();
    expect(await launched.ended).toEqual({ code });
  });

  it('ends with the signal that ended it', async () => {
    const launched = await launch(['-e', 'process.kill(process.pid, "SIGTERM"); setInterval(() => {}, 1000)']);
    launched.go();
    expect(await launched.ended).toEqual({ signal: 'SIGTERM' });
  });

  it('is never started when nobody is left to tell it to go', async () => {
    const launched = await launch(['-e', `require('fs').writeFileSync('ran', '')`]);
    launched.child.stdio[3]?.destroy();
    expect(await launched.ended).toEqual({ code: 125 });
  });

  it('has the environment it was given', async () => {
    const launched = await launch(['-p', 'process.env.COUNTERSIGN_RUN'], { ...process.env, COUNTERSIGN_RUN: 'r1' });
    const text = output(launched);
    launched.go();
    expect((await text).trim()).toBe('r1');
  });

  it('in a folder that is not there does not start, and says so', async () => {
    await expect(
      launchAgent({ program: process.execPath, args: [], cwd: join(folder, 'absent'), env: process.env, stdio: 'pipe' }),
    ).rejects.toMatchObject({ code: 'MONITOR_UNAVAILABLE' });
  });
});

describe('the program', () => {
  beforeEach(() => {
    mkdirSync(join(folder, 'bin'));
    mkdirSync(join(folder, 'bin', 'a-folder'));
    writeFileSync(join(folder, 'bin', 'tool'), '#!/bin/sh\n');
    writeFileSync(join(folder, 'bin', 'text'), 'text');
    chmodSync(join(folder, 'bin', 'tool'), 0o755);
    chmodSync(join(folder, 'bin', 'text'), 0o644);
  });

  it('is found as a shell finds it', () => {
    const tool = { program: join(folder, 'bin', 'tool') };
    expect(findProgram('tool', '/', `/nonsense:${folder}/bin:/usr/bin`)).toEqual(tool);
    expect(findProgram('./tool', join(folder, 'bin'), '')).toEqual(tool);
    expect(findProgram('tool', join(folder, 'bin'), '')).toEqual(tool);
    expect(findProgram(join(folder, 'bin', 'tool'), '/', undefined)).toEqual(tool);
  });

  it.each([
    ['absent', 'not found'],
    ['', 'not found'],
    ['a\0b', 'not found'],
    ['./tool', 'not found'],
    ['a-folder', 'not executable'],
    ['text', 'not executable'],
  ])('%j is %s', (word, missing) => {
    expect(findProgram(word, '/', join(folder, 'bin'))).toEqual({ missing });
  });
});
