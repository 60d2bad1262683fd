/** A guard in the tree may use the ledger; nothing else may, and nothing may delete it. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Action, Observation } from '../../src/activity.ts';
import { MAX_WAITING, withoutGuards } from '../../src/warden/guards.ts';
import { GuardsSeen } from '../../src/warden/guards-seen.ts';
import { AGENT, FakeSensor, FakeTree } from './fakes.ts';

const LEDGER = '/w/ledger.db';
beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

async function watching(isWriter: () => boolean, reads: readonly string[] = []) {
  const seen: Observation[] = [];
  const sensor = new FakeSensor({ gives: ['read', 'write'] });
  const tree = new FakeTree();
  const watched = withoutGuards(sensor, { files: [LEDGER], reads, isWriter });
  await watched.start({ tree, emit: (observation) => seen.push(observation), died: () => {} });
  const does = (action: Action): void => sensor.host?.emit({ at: 1, sensor: 'fake', phase: 'after', actor: AGENT, action });
  return { seen, does, tree, watched, sensor };
}

it('a writer of the ledger uses it, also one that gets its lease a little later', async () => {
  let isWriter = true;
  const { seen, does } = await watching(() => isWriter);
  does({ kind: 'write', path: LEDGER });
  isWriter = false;
  does({ kind: 'read', path: LEDGER });
  vi.advanceTimersByTime(500);
  isWriter = true;
  vi.advanceTimersByTime(10_000);
  expect(seen).toEqual([]);
});

it('who is let off is told of each time, and who is not let off never', async () => {
  const letOff: number[] = [];
  const sensor = new FakeSensor({ gives: ['read', 'write'] });
  let isWriter = true;
  const watched = withoutGuards(sensor, { files: [LEDGER], isWriter: () => isWriter, seen: ({ pid }) => void letOff.push(pid) });
  await watched.start({ tree: new FakeTree(), emit: () => {}, died: () => {} });
  const does = (action: Action): void => sensor.host?.emit({ at: 1, sensor: 'fake', phase: 'after', actor: AGENT, action });
  does({ kind: 'write', path: LEDGER });
  expect(letOff).toEqual([AGENT.pid]);
  isWriter = false;
  does({ kind: 'write', path: LEDGER });
  vi.advanceTimersByTime(500);
  expect(letOff).toHaveLength(1);
  isWriter = true;
  vi.advanceTimersByTime(500);
  expect(letOff).toHaveLength(2);
  isWriter = false;
  does({ kind: 'write', path: LEDGER });
  does({ kind: 'delete', path: LEDGER });
  vi.advanceTimersByTime(10_000);
  expect(letOff).toHaveLength(2);
});

it('of guards the first of each program is told, all are counted, and so many are kept', () => {
  const told: (string | undefined)[] = [];
  const seen = new GuardsSeen(({ exe }) => void told.push(exe));
  expect(seen.facts()).toEqual({});
  for (let pid = 1; pid <= 150; pid++) {
    seen.see({ pid, start: 1, exe: '/usr/bin/node' });
    seen.see({ pid, start: 1, exe: '/usr/bin/node' });
  }
  seen.see({ pid: 1, start: 2, exe: '/usr/bin/node' });
  seen.see({ pid: 151, start: 1 });
  expect(told).toEqual(['/usr/bin/node', undefined]);
  expect(seen.facts().guards?.count).toBe(152);
  expect(seen.facts().guards?.first).toHaveLength(100);
  expect(seen.facts().guards?.first[0]).toEqual({ pid: 1, start: 1, exe: '/usr/bin/node' });
});

it('who has no lease is told of, after two seconds at most, or as soon as it ended', async () => {
  const { seen, does, tree } = await watching(() => false);
  does({ kind: 'write', path: LEDGER });
  vi.advanceTimersByTime(1_000);
  expect(seen).toHaveLength(0);
  vi.advanceTimersByTime(1_000);
  expect(seen).toHaveLength(1);
  does({ kind: 'read', path: LEDGER });
  tree.all = [];
  vi.advanceTimersByTime(100);
  expect(seen).toHaveLength(2);
});

it.each<Action>([
  { kind: 'delete', path: LEDGER },
  { kind: 'rename', path: '/w/mine', to: LEDGER },
  { kind: 'rename', path: LEDGER, to: '/w/mine' },
  { kind: 'write', path: LEDGER, by: 'truncate' },
  { kind: 'write', path: LEDGER, by: 'overwrite' },
  { kind: 'read', path: LEDGER, by: 'name' },
  { kind: 'write', path: '/w/ledger.db.key' },
  { kind: 'read', path: '/w/ledger.key' },
])('a guard may not $kind $path', async (action) => {
  const { seen, does } = await watching(() => true);
  does(action);
  expect(seen).toHaveLength(1);
});

it('a guard reads the key it signs with, and nobody else does; it does nothing else to it', async () => {
  const key = '/w/ledger.key';
  const guard = await watching(() => true, [key]);
  guard.does({ kind: 'read', path: key });
  expect(guard.seen).toEqual([]);
  guard.does({ kind: 'write', path: key });
  guard.does({ kind: 'delete', path: key });
  expect(guard.seen).toHaveLength(2);
  const other = await watching(() => false, [key]);
  other.does({ kind: 'read', path: key });
  vi.advanceTimersByTime(2_000);
  expect(other.seen).toHaveLength(1);
});

it('who ended while its lease was waited for is told of when the watching stops, once', async () => {
  const { seen, does, tree, watched } = await watching(() => false);
  does({ kind: 'write', path: LEDGER });
  tree.all = [];
  const stopped = watched.stop();
  // Before anything is waited for: the warden listens no longer then.
  expect(seen).toHaveLength(1);
  await stopped;
  vi.advanceTimersByTime(10_000);
  expect(seen).toHaveLength(1);
  expect(watched.stats().lost).toBe(0);
});

it('what is told of who ended while the sensor stops is heard before it has stopped, and never after', async () => {
  const { seen, does, tree, watched, sensor } = await watching(() => false);
  tree.all = [];
  vi.spyOn(sensor, 'stop').mockImplementation(async () => does({ kind: 'write', path: LEDGER }));
  await watched.stop();
  expect(seen).toHaveLength(1);
  vi.advanceTimersByTime(10_000);
  expect(seen).toHaveLength(1);
});

it('a flood waits for nothing beyond its limit, and stopping counts who may still get a lease', async () => {
  const { seen, does, watched } = await watching(() => false);
  for (let count = 0; count < MAX_WAITING + 3; count++) does({ kind: 'read', path: LEDGER });
  expect(seen).toHaveLength(3);
  await watched.stop();
  vi.advanceTimersByTime(10_000);
  expect(seen).toHaveLength(3);
  expect(watched.stats().lost).toBe(MAX_WAITING);
});

describe('where it waits for an answer', () => {
  const KEY = '/w/ledger.key';
  const STATE = '/home/u/.local/state/countersign';
  async function asked(isWriter: () => boolean) {
    const seen: { readonly action: Action; readonly isJudged: boolean }[] = [];
    const answers: string[] = [];
    const sensor = new FakeSensor({ gives: ['read', 'write'] });
    const watched = withoutGuards(sensor, { files: [LEDGER], afterLease: [KEY, STATE], isWriter });
    const tree = new FakeTree();
    await watched.start({ tree, emit: ({ action }, judged) => seen.push({ action, isJudged: judged !== undefined }), died: () => {} });
    const verdict = { level: 'HALT', rule: 'own-files', reason: 'r', evaluator: 'rules', confidence: 1, evidence: [1] } as const;
    const does = (action: Action, isHeld = true): void =>
      sensor.host?.emit(
        { at: 1, sensor: 'fake', phase: 'before', actor: AGENT, action },
        { verdict, isHeld, answer: (answer) => void answers.push(answer) },
      );
    return { seen, answers, does };
  }

  it.each<[string, Action]>([
    ['the ledger', { kind: 'write', path: LEDGER }],
    ['its key', { kind: 'read', path: KEY }],
    ['the last known heads', { kind: 'write', path: `${STATE}/a.json.7` }],
    ['the last known heads, put in their place', { kind: 'rename', path: `${STATE}/a.json.7`, to: `${STATE}/a.json` }],
  ])('a guard goes on at once, and is not told of: %s', async (_, action) => {
    const { seen, answers, does } = await asked(() => true);
    does(action);
    vi.advanceTimersByTime(10_000);
    expect({ seen, answers }).toEqual({ seen: [], answers: ['continue'] });
  });

  it.each<[string, Action]>([
    ['its key', { kind: 'read', path: KEY }],
    ['its key, written', { kind: 'write', path: KEY }],
    ['the last known heads', { kind: 'write', path: `${STATE}/a.json` }],
  ])('anybody else waits, and is judged at once: %s', async (_, action) => {
    const { seen, answers, does } = await asked(() => false);
    does(action);
    expect({ seen, answers }).toEqual({ seen: [{ action, isJudged: true }], answers: [] });
  });

  it('who opens the ledger goes on, since no lease is had without, and is judged when it has none two seconds later', async () => {
    const { seen, answers, does } = await asked(() => false);
    const action = { kind: 'write', path: LEDGER } as const;
    does(action);
    expect({ seen, answers }).toEqual({ seen: [], answers: ['continue'] });
    vi.advanceTimersByTime(2_000);
    expect({ seen, answers }).toEqual({ seen: [{ action, isJudged: false }], answers: ['continue'] });
  });

  it.each<[string, Action, boolean]>([
    ['what was refused already', { kind: 'read', path: KEY }, false],
    ['a deletion', { kind: 'delete', path: KEY }, true],
    ['another file', { kind: 'read', path: '/w/id_rsa' }, true],
    ['a name that begins like ours', { kind: 'write', path: `${STATE}-of-others/x` }, true],
    ['the ledger, cut', { kind: 'write', path: LEDGER, by: 'truncate' }, true],
    ['another name for the ledger', { kind: 'read', path: LEDGER, by: 'name' }, true],
    ['ours by name, and another where that leads', { kind: 'read', path: KEY, resolved: '/w/id_rsa' }, true],
    ['ours where it leads, and another by name', { kind: 'write', path: '/w/link', resolved: LEDGER }, true],
    ['moved out of the heads', { kind: 'rename', path: `${STATE}/a.json`, to: '/w/a.json' }, true],
    ['moved over the ledger', { kind: 'rename', path: `${STATE}/a.json`, to: LEDGER }, true],
  ])('a guard is judged like anybody for %s', async (_, action, isHeld) => {
    const { seen, answers, does } = await asked(() => true);
    does(action, isHeld);
    expect({ seen, answers }).toEqual({ seen: [{ action, isJudged: true }], answers: [] });
  });

  it('a flood of those who open the ledger: beyond the limit they wait and are judged', async () => {
    const { seen, answers, does } = await asked(() => false);
    for (let count = 0; count < MAX_WAITING + 2; count++) does({ kind: 'read', path: LEDGER });
    expect({ seen: seen.length, answers: answers.length }).toEqual({ seen: 2, answers: MAX_WAITING });
  });
});
