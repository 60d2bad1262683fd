import { describe, expect, it } from 'vitest';
import { isRunning, parseStat } from '../../src/tree/stat.ts';
import { statLine } from '../fake-proc.ts';

/** From a real kernel: a process whose first thread has left. */
const LEADER_LEFT =
  '3575 (python3) Z 3554 3554 30519 0 -1 4227084 9273 0 2 0 7 13 0 0 20 0 2 0 6238402 0 0 18446744073709551615 0 0 0 0 0 0 0 16781318 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n';

describe('a line of stat', () => {
  it('gives the fields by their numbers in proc(5)', () => {
    expect(parseStat(statLine({ pid: 42, start: 777, parent: 7, state: 'R', threads: 3, cpuTicks: 5, exitStatus: 256 }))).toStrictEqual({
      pid: 42,
      name: 'node',
      state: 'R',
      parent: 7,
      session: 7,
      cpuTicks: 5,
      threads: 3,
      start: 777,
      rssPages: 250,
      exitStatus: 256,
    });
  });

  it.each([') R 1 1 1 (', 'a) Z 666 ', 'x\ny', '', ') ', '((((', '))))', 'tmux: server', '\u001b[2J', '\ufffd\ufffd'])(
    'is not misled by the name %j',
    (name) => {
      expect(parseStat(statLine({ pid: 42, start: 777, parent: 7, name }))).toMatchObject({
        pid: 42,
        name,
        state: 'S',
        parent: 7,
        start: 777,
      });
    },
  );

  it.each([
    ['nothing', ''],
    ['no name', '42 S 1 1 1'],
    ['cut off in the name', '42 (no'],
    ['cut off after the name', '42 (node) '],
    ['cut off before the start time', statLine({ pid: 42, start: 7 }).slice(0, 40)],
    ['a negative parent', statLine({ pid: 42, start: 7, parent: -1 })],
    ['a pid that is no number', statLine({ pid: Number.NaN, start: 7 })],
    ['a start time past what a double holds', statLine({ pid: 42, start: 7 }).replace(' 7 12345678', ' 99999999999999999999 12345678')],
    ['a state that is none', statLine({ pid: 42, start: 7, state: '0' })],
    ['only a name', '(42)'],
  ])('is refused for %s', (_, line) => {
    expect(parseStat(line)).toBeUndefined();
  });
});

describe('a process runs', () => {
  it.each([
    ['R', 1, true],
    ['D', 1, true],
    ['T', 1, true],
    ['Z', 1, false],
    ['Z', 0, false],
    ['X', 2, false],
  ])('in state %s with %d threads: %s', (state, threads, runs) => {
    const stat = parseStat(statLine({ pid: 1, start: 1, state, threads }));
    expect(stat !== undefined && isRunning(stat)).toBe(runs);
  });

  it('when only its first thread left, which looks like a zombie', () => {
    const stat = parseStat(LEADER_LEFT);
    expect(stat).toMatchObject({ state: 'Z', threads: 2, start: 6_238_402 });
    expect(stat !== undefined && isRunning(stat)).toBe(true);
  });
});
