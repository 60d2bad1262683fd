import { describe, expect, it } from 'vitest';
import type { Actor, Attribution, FileAction, Observation } from '../../src/activity.ts';
import { packed, unpacked } from '../../src/kernel/packed.ts';
import type { Told } from '../../src/kernel/supervisor-protocol.ts';

const READER: Actor = { pid: 7, start: 70, parent: 1, exe: '/bin/cat', argv: ['cat', 'a'], cwd: '/work' };
const OTHER: Actor = { pid: 8, start: 80 };
const MARKERS = {};
// Every member there is: one that is added later is a type error here until it is tried too.
const ACTION: Required<Omit<FileAction, 'kind' | 'path'>> = { resolved: '/elsewhere', existed: false, by: 'truncate', recursive: true };
const OBSERVATION: Required<Omit<Observation, 'at' | 'action'>> = {
  sensor: 'probe',
  phase: 'after',
  actor: OTHER,
  attribution: { method: 'marker', call: 'c1' },
};
const TOLD: Required<Omit<Told, 'observation' | 'markers'>> = {
  judged: { level: 'HALT', rule: 'r', reason: 'why', evaluator: 'rules', confidence: 1, evidence: [] },
  held: 0,
  isRefused: true,
  thread: 9,
};
const ATTRIBUTION: Required<Attribution> = { method: 'window', call: 'c2', candidates: ['c2', 'c3'] };

describe('what is packed comes out as it went in, through a message to another thread', () => {
  it.each([
    ['a safe read', read()],
    ['one that was not looked up', read({ action: { resolved: undefined } })],
    ['one that led elsewhere', read({ action: { resolved: '/elsewhere' } })],
    ['one of a path that is empty', read({ action: { path: '', resolved: '' } })],
    ['one of a path with half a character', read({ action: { path: '/\ud800', resolved: '/\udc00' } })],
    ['one without markers', read({ told: { markers: undefined } })],
    ['one without an actor', read({ observation: { actor: undefined } })],
    ['one from before the first of its batch', read({ observation: { at: -5 } })],
    ...Object.entries(ACTION).map(([key, value]) => [`${key} of its action`, read({ action: { [key]: value } })] as const),
    ...Object.entries(OBSERVATION).map(([key, value]) => [`${key} of what was seen`, read({ observation: { [key]: value } })] as const),
    ...Object.entries(TOLD).map(([key, value]) => [`${key} of what is told`, read({ told: { [key]: value } })] as const),
    ...Object.entries(ATTRIBUTION).map(
      ([key, value]) => [`${key} of its call`, read({ observation: { attribution: { method: 'window', [key]: value } } })] as const,
    ),
    ['a write', read({ action: { kind: 'write' } })],
    ['a deletion', read({ action: { kind: 'delete', recursive: true } })],
    [
      'a program',
      { observation: { at: 1, sensor: 'seccomp', phase: 'before', action: { kind: 'exec', exe: '/bin/x', argv: ['x'] } } } satisfies Told,
    ],
  ] as const)('%s', (_, told) => {
    expect(through([told])).toStrictEqual([told]);
    // Between others, of which one leads elsewhere: none takes what is another's.
    const around = [read({ action: { path: '/a', resolved: '/b' } }), told, read({ action: { path: '/c' } })];
    expect(through(around)).toStrictEqual(around);
  });

  it('in their order, whoever they are of', () => {
    const told = Array.from({ length: 300 }, (_, at) =>
      read({
        observation: {
          at: 1_000 + at,
          actor: at % 3 === 0 ? OTHER : READER,
          ...(at % 7 === 0 && { attribution: { method: 'marker', call: `c${at % 2}` } }),
        },
        action: { path: `/f${at}`, resolved: at % 5 === 0 ? `/g${at}` : `/f${at}` },
        told: at % 11 === 0 ? { held: at } : at % 13 === 0 ? { markers: { call: `c${at}` } } : {},
      }),
    );
    expect(through(told)).toStrictEqual(told);
  });

  it('one after the other of one program, each under its own call', () => {
    const calls: readonly Attribution[] = [
      { method: 'marker', call: 'c1' },
      { method: 'marker', call: 'c2' },
      { method: 'tree', call: 'c2' },
      { method: 'window', call: 'c2', candidates: ['c2', 'c3'] },
      { method: 'window', call: 'c2', candidates: ['c2', 'c4'] },
      { method: 'window', call: 'c2' },
      { method: 'none' },
    ];
    const told = calls.map((attribution) => read({ observation: { attribution } }));
    expect(through(told)).toStrictEqual(told);
    expect(through(told.toReversed())).toStrictEqual(told.toReversed());
  });

  it('nothing at all', () => {
    expect(through([])).toEqual([]);
  });
});

it('of many reads of one program it says once who read', () => {
  const { readers, whole } = packed(
    Array.from({ length: 50 }, (_, at) =>
      read({ action: { path: `/${at}` }, observation: { attribution: { method: 'marker', call: 'c' } } }),
    ),
  );
  expect([readers.length, whole.length]).toEqual([1, 0]);
});

function through(told: readonly Told[]): readonly Told[] {
  return unpacked(structuredClone(packed(told)));
}

interface Parts {
  readonly action?: object;
  readonly observation?: object;
  readonly told?: object;
}

/** A safe read, and what differs; a member that is undefined is left out. */
function read({ action = {}, observation = {}, told = {} }: Parts = {}): Told {
  const act = given({ kind: 'read', path: '/etc/hosts', resolved: '/etc/hosts', ...action });
  const seen = given({ at: 5_000, sensor: 'seccomp', phase: 'before', actor: READER, action: act, ...observation });
  return given({ observation: seen, markers: MARKERS, ...told }) as unknown as Told;
}

function given(value: object): object {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined));
}
