import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Action, Actor, Observation } from '../../src/activity.ts';
import type { Judged } from '../../src/sensor.ts';
import { COVERED_MS, GRACE_MS, MAX_DEEDS, MAX_WAITING, ToldBefore, toldOnce } from '../../src/warden/told-before.ts';
import { AGENT, CHILD, FakeSensor, FakeTree } from './fakes.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const SECRET = '/home/u/secret';
const read = (path = SECRET, more: object = {}): Action => ({ kind: 'read', path, ...more });
const connect = (address: string, port = 443): Action => ({ kind: 'connect', protocol: 'tcp', address, port });
const exec = (exe: string): Action => ({ kind: 'exec', exe, argv: [exe] });

async function pair() {
  let now = 0;
  const told = new ToldBefore(() => now);
  const [kernel, other] = [new FakeSensor({ name: 'seccomp', level: 'L2' }), new FakeSensor({ name: 'other' })];
  const came: string[] = [];
  const emit = ({ sensor, action }: Observation, judged?: Judged): void => {
    came.push(`${sensor} ${action.kind}`);
    judges.push(judged);
  };
  const judges: (Judged | undefined)[] = [];
  const host = { tree: new FakeTree(), emit, died: () => {} };
  const wrapped = { kernel: told.asked(kernel), other: told.others(other) };
  await wrapped.kernel.start(host);
  await wrapped.other.start(host);
  const by = (sensor: FakeSensor) => (action: Action, actor: Actor | undefined, judged?: Judged) =>
    sensor.host?.emit({ at: 1, sensor: sensor.name, phase: 'after', action, ...(actor !== undefined && { actor }) }, judged);
  return {
    came,
    judges,
    wrapped,
    asks: by(kernel),
    sees: by(other),
    after: (ms: number) => {
      now += ms;
      vi.advanceTimersByTime(ms);
    },
  };
}

describe('a deed that was asked about', () => {
  it.each<[string, Action, Action, Actor | undefined]>([
    ['a file that is open afterwards', read(), read(), CHILD],
    ['under the name links led to', read('/w/link', { resolved: SECRET }), read(), CHILD],
    ['with both names', read('/w/link', { resolved: SECRET }), read(SECRET, { resolved: '/w/link' }), CHILD],
    ['seen by who names nobody', read(), read(), undefined],
    ['opened to write, and seen as opened', { kind: 'write', path: SECRET }, read(), undefined],
    ['a deletion nobody is named for', { kind: 'delete', path: '/w/a' }, { kind: 'delete', path: '/w/a' }, undefined],
    ['moved away, seen as gone', { kind: 'rename', path: '/w/a', to: '/b' }, { kind: 'delete', path: '/w/a' }, undefined],
    ['moved here, seen as written', { kind: 'rename', path: '/w/a', to: '/b' }, { kind: 'write', path: '/b' }, undefined],
    ['renamed', { kind: 'rename', path: '/w/a', to: '/b' }, { kind: 'rename', path: '/w/a', to: '/b' }, undefined],
    ['a script, seen as what interprets it', exec('/w/run.sh'), exec('/bin/sh'), CHILD],
    ['a connection', connect('10.0.0.1'), connect('10.0.0.1'), CHILD],
    ['a connection in another spelling', connect('::ffff:10.0.0.1'), connect('10.0.0.1'), CHILD],
  ])('is told once: %s', async (_, asked, seen, actor) => {
    for (const isFirst of [true, false]) {
      const { came, asks, sees, after } = await pair();
      if (isFirst) asks(asked, CHILD);
      sees(seen, actor);
      if (!isFirst) asks(asked, CHILD);
      after(GRACE_MS);
      expect(came).toEqual([`seccomp ${asked.kind}`]);
    }
  });

  it('is told once, also where the sensor says what it made of it and let it go on', async () => {
    const { came, asks, sees, after } = await pair();
    const verdict = { level: 'FLAG', rule: 'r', reason: 'r', evaluator: 'rules', confidence: 1, evidence: [1] } as const;
    asks(read(), CHILD, { verdict, isHeld: false, wentOn: true, answer: () => {} });
    sees(read(), CHILD);
    after(GRACE_MS);
    expect(came).toEqual(['seccomp read']);
  });

  it('covers what others see for a while after it was let go on, however long the answer took', async () => {
    const { came, judges, asks, sees, after } = await pair();
    const answers: string[] = [];
    const verdict = { level: 'HALT', rule: 'r', reason: 'r', evaluator: 'rules', confidence: 1, evidence: [1] } as const;
    asks(read(), CHILD, { verdict, isHeld: true, answer: (answer) => void answers.push(answer) });
    after(COVERED_MS * 10);
    judges[0]?.answer('continue');
    after(COVERED_MS - 1);
    sees(read(), CHILD);
    after(GRACE_MS);
    expect({ came, answers }).toEqual({ came: ['seccomp read'], answers: ['continue'] });
  });
});

describe('what is heard all the same', () => {
  it.each<[string, Action, Action, Actor | undefined]>([
    ['another file', read(), read('/home/u/other'), CHILD],
    ['by another process', read(), read(), AGENT],
    ['by another process of that number', read(), read(), { ...CHILD, start: 99 }],
    ['for something else', read(), { kind: 'write', path: SECRET }, CHILD],
    ['deleted, and only read before', read(), { kind: 'delete', path: SECRET }, undefined],
    ['under a name nobody knew when it was asked', read('/w/plain'), read('/w/plain', { resolved: SECRET }), CHILD],
    ['moved elsewhere', { kind: 'rename', path: '/w/a', to: '/b' }, { kind: 'rename', path: '/w/a', to: '/c' }, undefined],
    ['moved the other way', { kind: 'rename', path: '/w/a', to: '/b' }, { kind: 'rename', path: '/b', to: '/w/a' }, undefined],
    ['a program of nobody known', exec('/bin/a'), exec('/bin/a'), undefined],
    ['a connection elsewhere', connect('10.0.0.1'), connect('10.0.0.2'), CHILD],
    ['a connection to another port', connect('10.0.0.1'), connect('10.0.0.1', 22), CHILD],
    ['a connection of nobody known', connect('10.0.0.1'), connect('10.0.0.1'), undefined],
    ['a process more', exec('/bin/a'), { kind: 'spawn', child: { pid: 7, start: 7 } }, CHILD],
    ['an end', exec('/bin/a'), { kind: 'exit' }, CHILD],
    ['figures', read(), { kind: 'resource', processes: 3 }, undefined],
    ['names with what looks like ours in them', read('/a\u0000read'), read('/a'), CHILD],
  ])('%s', async (_, asked, seen, actor) => {
    const { came, asks, sees, after } = await pair();
    asks(asked, CHILD);
    sees(seen, actor);
    after(GRACE_MS);
    expect(came).toEqual([`seccomp ${asked.kind}`, `other ${seen.kind}`]);
  });

  it('what was refused, or waits still, and is seen as done', async () => {
    for (const isHeld of [true, false]) {
      const { came, judges, asks, sees, after } = await pair();
      const verdict = { level: 'HALT', rule: 'r', reason: 'r', evaluator: 'rules', confidence: 1, evidence: [1] } as const;
      asks(read(), CHILD, { verdict, isHeld, answer: () => {} });
      sees(read(), CHILD);
      after(GRACE_MS);
      judges[0]?.answer('refuse');
      sees(read(), CHILD);
      after(GRACE_MS);
      expect(came).toEqual(['seccomp read', 'other read', 'other read']);
    }
  });

  it('what is seen long after', async () => {
    const { came, asks, sees, after } = await pair();
    asks(read(), CHILD);
    after(COVERED_MS);
    sees(read(), CHILD);
    after(GRACE_MS);
    expect(came).toEqual(['seccomp read', 'other read']);
  });

  it('what nobody was asked about: a moment later, and no more than that', async () => {
    const { came, sees, after } = await pair();
    sees(read(), CHILD);
    after(GRACE_MS - 1);
    expect(came).toEqual([]);
    after(1);
    expect(came).toEqual(['other read']);
  });

  it('what a flood pushed out', async () => {
    const { came, asks, sees, after } = await pair();
    asks(read(), CHILD);
    for (let i = 0; i <= MAX_DEEDS; i++) asks(read(`/w/${i}`), CHILD);
    came.length = 0;
    sees(read(), CHILD);
    after(GRACE_MS);
    expect(came).toEqual(['other read']);
  });

  it('more than may wait: those beyond at once', async () => {
    const { came, sees } = await pair();
    for (let i = 0; i <= MAX_WAITING; i++) sees(read(`/w/${i}`), CHILD);
    expect(came).toEqual(['other read']);
  });

  it('what waits when its sensor stops, and is told while somebody listens', async () => {
    const { came, sees, wrapped } = await pair();
    sees(read(), CHILD);
    const stopped = wrapped.other.stop();
    expect(came).toEqual(['other read']);
    await stopped;
    vi.advanceTimersByTime(GRACE_MS);
    expect(came).toEqual(['other read']);
  });

  it('a name longer than any there is', async () => {
    const { came, asks, sees, after } = await pair();
    const long = `/${'x'.repeat(10_000)}`;
    asks(read(long), CHILD);
    sees(read(long), CHILD);
    after(GRACE_MS);
    expect(came).toEqual(['seccomp read', 'other read']);
  });

  it('what another sensor that is asked has judged', async () => {
    const { came, sees } = await pair();
    const verdict = { level: 'HALT', rule: 'r', reason: 'r', evaluator: 'rules', confidence: 1, evidence: [1] } as const;
    sees(read(), CHILD, { verdict, isHeld: true, answer: () => {} });
    expect(came).toEqual(['other read']);
  });
});

it('where no sensor is asked, nothing waits', () => {
  const sensors = [new FakeSensor(), new FakeSensor()];
  expect(toldOnce(sensors)).toBe(sensors);
});
