import { tmpdir } from 'node:os';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { launchThroughShim } from '../../src/kernel/launch-shim.ts';

test('without a filter the shim becomes the program, with its arguments, its environment, and signals as usual', async () => {
  const agent = await launchThroughShim({
    program: '/bin/sh',
    args: ['-c', 'echo "$0 $1 $MARK"; grep SigIgn /proc/self/status', 'first', 'second'],
    cwd: tmpdir(),
    env: { MARK: 'here', PATH: '/usr/bin:/bin' },
    stdio: 'pipe',
  });
  const output = agent.child.stdout === null ? '' : text(agent.child.stdout);
  agent.go();
  expect(await agent.ended).toEqual({ code: 0 });
  expect(await output).toBe('first second here\nSigIgn:\t0000000000000000\n');
});
