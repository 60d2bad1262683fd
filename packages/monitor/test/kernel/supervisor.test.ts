import { mkdirSync, writeFileSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { type Supervised, type SupervisedOptions, supervised, whyNot } from './supervised.ts';

const missing = whyNot();
const open: Supervised[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()));
});

async function run(options: SupervisedOptions): Promise<Supervised> {
  const started = await supervised(options);
  open.push(started);
  return started;
}

test.skipIf(missing)('what is in scope goes on, and is told as it was', async () => {
  const { output, ended, until } = await run({ program: '/bin/sh', args: ['-c', 'cat /etc/hostname >/dev/null; echo fine'] });
  expect(await output).toBe('fine\n');
  expect(await ended).toEqual({ code: 0 });
  const { observation } = await until(({ observation: { action } }) => action.kind === 'exec' && action.exe === '/usr/bin/cat');
  expect(observation.action).toEqual({ kind: 'exec', exe: '/usr/bin/cat', argv: ['cat', '/etc/hostname'], cwd: expect.any(String) });
});
