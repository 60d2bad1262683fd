import type { CountersignError } from '@countersign/core';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { activityLog } from '../../src/evidence/activity-log.ts';
import { CLOSE_WAIT_MS } from '../../src/evidence/in-time.ts';
import { NoteQueue } from '../../src/evidence/note-queue.ts';
import { activity, tempFolder, verdict } from './samples.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it('the end of a session does not wait for ever for a ledger that does not answer', async () => {
  const troubles: CountersignError[] = [];
  const notes = new NoteQueue(
    () => new Promise(() => {}),
    (error) => void troubles.push(error),
  );
  notes.add('activity-segment', { session: 's' });
  const closed = notes.close();
  await vi.advanceTimersByTimeAsync(CLOSE_WAIT_MS);
  await closed;
  expect(troubles).toMatchObject([{ code: 'ACTIVITY_LOG_FAILED', message: expect.stringContaining('did not answer') }]);
  expect(notes.waiting('activity-segment')).toBe(1);
});

it('nor for a disk that does not', async () => {
  const troubles: CountersignError[] = [];
  let isWriting = (): void => {};
  const writing = new Promise<void>((resolve) => (isWriting = resolve));
  const log = activityLog({
    dir: tempFolder(),
    session: 's1',
    onTrouble: (error) => void troubles.push(error),
    writeBytes: () => (isWriting(), new Promise(() => {})),
  });
  log.write(activity(1), verdict('KILL'));
  const closed = log.close();
  await writing;
  await vi.advanceTimersByTimeAsync(CLOSE_WAIT_MS);
  await closed;
  expect(troubles.at(-1)?.message).toContain('the disk did not answer');
});
