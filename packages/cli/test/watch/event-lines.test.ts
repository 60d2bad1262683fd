/** What `run` tells of its level when it starts: what is held, racily or exactly, and what is only seen, or not at all. */
import { createRedactor } from '@countersign/core';
import type { WardenEvent } from '@countersign/monitor';
import { expect, it } from 'vitest';
import { eventJson, eventLines } from '../../src/watch/event-lines.ts';
import { summaryLines } from '../../src/watch/summary-lines.ts';

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

it('says that the probe is on, and what it is not; and when it falls silent', () => {
  const [line = ''] = lines(started({ probe: 'from inside, and no\u001b[31m boundary' })).slice(-1);
  expect(line).toMatch(/^ {2}the probe is on: from inside, and no.+ boundary$/);
  expect(line).not.toContain('\u001b');
  const silent: WardenEvent = { kind: 'coverage', at: 0, level: 'L0', sensor: 'probe', why: 'process 7 closed its channel, and runs on' };
  expect(lines(silent)).toEqual([expect.stringMatching(/^countersign: THE PROBE FELL SILENT in part: process 7 closed .*level L0/)]);
  expect(lines({ ...silent, sensor: 'inotify' })).toEqual([expect.stringContaining('sensor inotify died')]);
});

it.each([
  [0, true, 'no Node program told anything'],
  [1, true, '1 Node program told of 3 acts'],
  [2, false, '2 Node programs told of 3 acts; IT FELL SILENT: not all Node programs told what they did'],
])('at the end: %d programs, alive %s', (programs, isAlive, text) => {
  const sensor = { name: 'probe', level: 'L1', gives: [], isAlive, seen: 3, lost: 0, programs } as const;
  const summary = {
    session: 's',
    mode: 'enforce_kill',
    level: 'L1',
    durationMs: 1,
    activities: 3,
    verdicts: { SAFE: 3, FLAG: 0, HALT: 0, KILL: 0 },
    rules: new Map(),
    incidents: [],
    lost: { log: 0, ledger: 0, judge: 0 },
    sensors: [sensor],
  } as const;
  expect(summaryLines(summary)).toContain(`  probe: ${text}`);
  const { programs: _, ...other } = sensor;
  expect(summaryLines({ ...summary, sensors: [other] }).join('\n')).not.toContain('probe');
});
