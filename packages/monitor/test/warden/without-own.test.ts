import { expect, it } from 'vitest';
import type { Action, Actor, Observation } from '../../src/activity.ts';
import { withoutOwn } from '../../src/warden/without-own.ts';
import { FakeSensor, FakeTree } from './fakes.ts';

async function passed(action: Action, actor?: Actor): Promise<boolean> {
  const seen: Observation[] = [];
  const sensor = new FakeSensor();
  await withoutOwn(sensor, ['/w/.countersign/ledger.db', '/w/.countersign/activity']).start({
    tree: new FakeTree(),
    emit: (observation) => seen.push(observation),
    died: () => {},
  });
  sensor.host?.emit({ at: 1, sensor: 'inotify', phase: 'after', action, ...(actor !== undefined && { actor }) });
  return seen.length === 1;
}

it.each([
  '/w/.countersign/ledger.db',
  '/w/.countersign/ledger.db-wal',
  '/w/.countersign/activity/s/activity-000001.jsonl',
  '/w/.countersign/activity',
])('what nobody is named for is not told of our own %s', async (path) => {
  expect(await passed({ kind: 'write', path })).toBe(false);
  expect(await passed({ kind: 'rename', path: '/elsewhere', to: path })).toBe(false);
});

it.each(['/w/.countersign/activities', '/w/.countersign/ledger.dbx', '/w/ledger.db', '/w/.countersign'])(
  'what only looks like it is told: %s',
  async (path) => {
    expect(await passed({ kind: 'delete', path })).toBe(true);
  },
);

it('what a process of the tree does there is told', async () => {
  expect(await passed({ kind: 'write', path: '/w/.countersign/ledger.db' }, { pid: 5, start: 1 })).toBe(true);
  expect(await passed({ kind: 'dns', name: 'x' })).toBe(true);
});
