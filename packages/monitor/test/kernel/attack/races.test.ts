/** What is decided about is changed while it is decided. Level: exact under the broker; the racy modes are in `broker-races.test.ts`. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { attacked, missing } from './attacked.ts';

describe.skipIf(missing !== undefined)('under the broker', () => {
  it.each(['race-link', 'race-rename'])('%s: the secret gets no other name under which it could be read', async (deed) => {
    const { said, isUntouched } = await attacked({
      trapReads: 'broker',
      args: ({ good, secret }) => [deed, good, join(secret, 'key'), '1500'],
    });
    expect(said).toEqual([expect.stringMatching(/^made \d+ refused [1-9]\d* leaks 0$/)]);
    expect(isUntouched()).toBe(true);
  });

  it('a name that is now nothing, now a link to the secret: never the secret', async () => {
    const { said } = await attacked({ trapReads: 'broker', args: () => ['now-nothing', '2000'] });
    expect(said).toEqual(['nothing some refused some leaks 0']);
  });
});

describe.skipIf(missing !== undefined).each(['deny-list', 'broker'] as const)('reads: %s', (trapReads) => {
  it('a thousand threads that open it at once are all refused, and none of them waits for ever', async () => {
    const { said, stopped } = await attacked({ trapReads, args: ({ secret }) => ['flood', '1000', join(secret, 'key')] });
    expect(said).toEqual(['flood opened 0 refused 1000 else 0 missing 0']);
    expect(stopped).toHaveLength(1000);
  });

  it('nothing of a process outside of the tree is traced, read or written, though it is a child of the warden', async () => {
    const other = spawn('sleep', ['60'], { stdio: 'ignore' });
    onTestFinished(() => void other.kill('SIGKILL'));
    const { said } = await attacked({
      trapReads,
      args: () => ['strangers', String(other.pid)],
    });
    expect(said.filter((line) => line.endsWith(' ok'))).toEqual([]);
    expect(said).toHaveLength(6);
  });
});
