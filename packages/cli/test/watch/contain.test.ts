import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { noSrt } from '../sandboxes.ts';
import { startCli, watchedProject } from './agent-process.ts';

const isLinux = process.platform === 'linux';

/** Not below a folder for temporary files: those are granted. */
function madeUpHome(): string {
  const home = mkdtempSync('/var/tmp/countersign-home-');
  onTestFinished(() => rmSync(home, { recursive: true, force: true }));
  mkdirSync(join(home, 'private'));
  writeFileSync(join(home, 'private/notes'), 'SECRET');
  return home;
}

async function contained(flags: readonly string[], script: string, settings = '') {
  const cwd = await watchedProject(settings);
  const home = madeUpHome();
  const agent = startCli(['run', ...flags, '--', '/bin/sh', '-c', script, 'sh', home], { cwd, env: { HOME: home } });
  const ended = await agent.ended;
  return { ...ended, cwd, session: () => sessionOf(cwd) };
}

function sessionOf(cwd: string): {
  readonly enforcement: { readonly contain?: string; readonly notes: readonly string[]; readonly actions: Record<string, string> };
} {
  const logs = join(cwd, '.countersign/activity');
  const [name = ''] = readdirSync(logs).filter((each) => /^[0-9a-f]{32}$/.test(each));
  return JSON.parse(readFileSync(join(logs, name, 'session.json'), 'utf8')) as ReturnType<typeof sessionOf>; // written by the command above
}

const TRIES = 'cat "$1/private/notes"; echo x > made; cat made; echo x > /etc/countersign-was-here; exit 3';

describe.skipIf(!isLinux)('an agent that is shut in', { timeout: 300_000 }, () => {
  it.each([
    ['landlock', 'off', /Permission denied/],
    ['landlock', 'required', /Permission denied/],
    ['srt', 'off', /No such file/],
  ])('by %s, with kernel control %s, gets at nothing outside, and ends with its own code', async (by, kernel, refused) => {
    if (by === 'srt' && noSrt !== undefined) return;
    const { code, stdout, stderr, session } = await contained(['--contain', by, '--kernel', kernel, '--mode', 'audit'], TRIES);
    expect({ code, stdout }).toEqual({ code: 3, stdout: 'x\n' });
    expect(stderr).toMatch(refused);
    expect(stderr).not.toContain('SECRET');
    expect(stderr).toContain(`shut in by ${by}`);
    expect(session().enforcement.contain).toBe(by);
    expect(session().enforcement.notes.join('\n')).toMatch(/does not hold it to/);
  });

  it('by landlock: nothing is opened for it from outside, where reads would be', async () => {
    const flags = ['--contain', 'landlock', '--kernel', 'required', '--trap-reads', 'broker', '--mode', 'confirm'];
    const { code, stderr, session } = await contained(flags, 'cat "$1/private/notes"; exit 4');
    expect(code).toBe(4);
    expect(stderr).toMatch(/Permission denied/);
    expect(session().enforcement.actions['read']).toBe('racy');
  });

  it('by sandbox-runtime and under kernel control: refused, or without the latter, and told', async () => {
    const refused = await contained(['--contain', 'srt', '--kernel', 'required'], 'echo ran');
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toMatch(/sandbox-runtime cannot be set up by a process whose calls wait/);
    const without = await contained(['--contain', 'srt', '--kernel', 'auto', '--mode', 'enforce'], 'echo ran');
    if (noSrt === undefined) {
      expect(without).toMatchObject({ code: 0, stdout: 'ran\n' });
      expect(without.stderr).toMatch(
        /level L3 \(what is not granted fails, against hostile threads too; nothing else waits for the rules\)/,
      );
      expect(without.stderr).toMatch(/nothing is held before it happens: sandbox-runtime cannot be set up by a process whose calls wait/);
    }
    const both = await contained(['--contain', 'auto', '--kernel', 'required'], 'echo ran');
    expect(both).toMatchObject({ code: 0, stdout: 'ran\n' });
    expect(both.stderr).toMatch(/shut in by landlock.*; not by sandbox-runtime: /);
  });
});
