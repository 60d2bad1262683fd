/** What `run` tells of its level when it starts: what is held, racily or exactly, and what is only seen, or not at all. */
import { createRedactor } from '@countersign/core';
import type { WardenEvent } from '@countersign/monitor';
import { expect, it } from 'vitest';
import { eventJson, eventLines } from '../../src/watch/event-lines.ts';

type Enforcement = NonNullable<Extract<WardenEvent, { readonly kind: 'started' }>['enforcement']>;
const ACTIONS: Enforcement['actions'] = {
  exec: 'racy',
  read: 'seen',
  write: 'racy',
  delete: 'racy',
  rename: 'racy',
  connect: 'seen',
  memory: 'off',
  signal: 'exact',
};
const started = (more: Partial<Enforcement> = {}): WardenEvent => ({
  kind: 'started',
  at: 0,
  level: 'L2',
  mode: 'enforce_kill',
  grade: 'gate',
  sensors: [],
  enforcement: { level: 'L2', freeze: 'gate', actions: ACTIONS, notes: [], ...more },
});
const redactor = createRedactor();
const lines = (event: WardenEvent) => eventLines(event, { redactor, isVerbose: false, columns: undefined, style: (_, text) => text });

it('names every kind once, under the word it has', () => {
  expect(lines(started()).slice(1)).toEqual([
    '  held before it happens: programs, writing, deleting, renaming (racy against hostile threads); signals to the monitor (exact)',
    '  seen, not prevented: reading, connections',
    '  not seen: memory of other processes',
  ]);
});

it('also where nothing is held', () => {
  const actions = { ...ACTIONS, exec: 'seen', write: 'off', delete: 'off', rename: 'off', signal: 'off' } as const;
  expect(lines(started({ actions, without: 'koffi is missing' })).slice(1)).toEqual([
    '  nothing is held before it happens: koffi is missing',
    '  seen, not prevented: programs, reading, connections',
    '  not seen: writing, deleting, renaming, memory of other processes, signals to the monitor',
  ]);
});

it('as JSON has the table itself', () => {
  expect(eventJson(started(), { redactor, isVerbose: false })).toMatchObject({ enforcement: { actions: ACTIONS } });
});
