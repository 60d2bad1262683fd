import { once } from 'node:events';
import { expect, it } from 'vitest';
import { startThread } from '../src/thread.ts';

it('starts a file of ours from source', async () => {
  const thread = startThread(import.meta.url, './fixtures/echo-thread', { workerData: 'hello' });
  const [said] = await once(thread, 'message');
  expect(said).toBe('hello');
  await thread.terminate();
});

it('tells of a file that is not there', async () => {
  const thread = startThread(import.meta.url, './fixtures/no-such-thread');
  const [error] = await once(thread, 'error');
  expect(String(error)).toContain('no-such-thread');
});
