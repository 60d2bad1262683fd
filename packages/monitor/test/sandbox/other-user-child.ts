/** Run as a user without rights: a program under landlock that looks at a process of the same user outside. Prints one JSON line. */
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { launchThroughShim } from '../../src/kernel/launch-shim.ts';
import { landlockSandbox } from '../../src/sandbox/landlock-sandbox.ts';
import { defaultScope } from '../../src/scope/load.ts';

const [home = '', secret = ''] = process.argv.slice(2);
const outside = spawn('sleep', ['300'], { stdio: 'ignore', env: { KEY: 'SECRET' } });
const sandbox = await landlockSandbox().open(defaultScope());
if ('missing' in sandbox) throw new Error(sandbox.missing);
const script = `cat "$1"; cat /proc/$2/environ; kill -0 $2; echo x > made && cat made`;
const command = {
  program: '/bin/sh',
  args: ['-c', script, 'sh', secret, String(outside.pid)],
  cwd: `${home}/work`,
  env: { PATH: '/usr/bin:/bin' },
};
const { landlock, ...prepared } = await sandbox.prepare(command, { workspace: command.cwd, home, own: [] });
const agent = await launchThroughShim({ ...prepared, stdio: 'pipe', ...(landlock !== undefined && { landlock }) });
if (agent.child.stdout === null || agent.child.stderr === null) throw new Error('no pipes');
const both = Promise.all([text(agent.child.stdout), text(agent.child.stderr)]);
agent.go();
const [out, error] = await both;
outside.kill('SIGKILL');
console.log(
  JSON.stringify({ uid: process.getuid?.(), out, refused: error.split('\n').filter((line) => /denied|not permitted/i.test(line)).length }),
);
