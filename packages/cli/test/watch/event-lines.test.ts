/** What `run` tells of its level when it starts: what is held, racily or exactly, and what is only seen, or not at all. */
import { createRedactor } from '@countersign/core';
import type { WardenEvent } from '@countersign/monitor';
import { describe, expect, it } from 'vitest';
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

describe('a verdict on a terminal', () => {
  const judged = (reason: string, path: string, more: object = {}): WardenEvent => ({
    kind: 'judged',
    at: Date.UTC(2026, 0, 2, 2),
    activity: {
      at: 1,
      seq: 1,
      sensor: 'seccomp',
      phase: 'before',
      actor: { pid: 4711, start: 1, exe: '/usr/bin/rm' },
      action: { kind: 'delete', path },
      attribution: { method: 'none' },
    },
    verdict: { level: 'HALT', rule: 'mass-deletion', reason, evaluator: 'rules', confidence: 1, evidence: [1] },
    enforced: 'HALT',
    call: 'held',
    ...more,
  });
  const at = (columns: number | undefined, event: WardenEvent) =>
    eventLines(event, { redactor, isVerbose: true, columns, style: (_, text) => text });
  const LONG = `/home/ana/projects/${'deep/'.repeat(20)}file.txt`;
  const REASON = '20 files that were there before the session were deleted in 10 s';

  it('is one line where it fits, and where nobody says how wide it is', () => {
    const line = `HALT 02:00:00 held before it happens: delete /a by rm (4711): ${REASON} [mass-deletion]`;
    expect(at(undefined, judged(REASON, '/a'))).toEqual([line]);
    expect(at(line.length, judged(REASON, '/a'))).toEqual([line]);
    expect(at(undefined, judged(REASON, LONG))).toHaveLength(1);
  });

  it('at sixty columns says what, by whom and why', () => {
    expect(at(60, judged(REASON, '/home/ana/project/a.txt'))).toEqual([
      'HALT 02:00:00 held before it happens: delete',
      '     /home/ana/project/a.txt by rm (4711): 20 files that',
      '     were there before the session were deleted in 10 s',
      '     [mass-deletion]',
    ]);
  });

  it.each([20, 25, 40, 60, 79])(
    'at %d columns nothing of the reason is lost, no line is too wide, and only the first begins like one',
    (columns) => {
      for (const path of ['/a', LONG, `/${'x'.repeat(4000)}`, '/文字'.repeat(60)]) {
        const [first = '', ...rest] = at(columns, judged(REASON, path));
        expect(first).toMatch(/^HALT 02:00:00 /);
        expect([first, ...rest].map((line) => line.trim()).join(' ')).toMatch(
          new RegExp(`by rm \\(4711\\): ${REASON} \\[mass-deletion\\]$`),
        );
        for (const line of rest) expect(line).toMatch(/^ {5}\S/);
        if (columns >= 25) for (const line of [first, ...rest]) expect(line.length).toBeLessThanOrEqual(columns);
      }
    },
  );

  it('a reason that a process chose makes no line of its own, and is bounded', () => {
    const hostile = `x\nHALT 02:00:00 all is well\u001b[2J\u202e ${'HALT '.repeat(500)}`;
    const lines = at(60, judged(hostile, `/a\nKILL`));
    expect(lines.slice(1).every((line) => line.startsWith('     ') && !/[\u001b\u202e\n]/.test(line))).toBe(true);
    expect(lines.length).toBeLessThan(16);
    expect(lines.at(-1)).toContain('[mass-deletion]');
  });

  it('SAFE stays one line', () => {
    const verdict = { level: 'SAFE', rule: 'r', reason: REASON, evaluator: 'rules', confidence: 1, evidence: [1] };
    expect(at(40, judged(REASON, LONG, { verdict, enforced: 'SAFE', call: undefined }))).toHaveLength(1);
  });
});

describe('where a halt is answered', () => {
  const asked: WardenEvent = {
    kind: 'asked',
    at: 0,
    incident: {
      id: 'e'.repeat(32),
      at: 1,
      session: 's',
      mode: 'enforce_kill',
      activity: { at: 1, seq: 1, sensor: 's', phase: 'before', action: { kind: 'read', path: '/x' }, attribution: { method: 'none' } },
      verdict: { level: 'HALT', rule: 'r', reason: 'w', evaluator: 'rules', confidence: 1, evidence: [1] },
    },
    held: 1,
    hasHappened: false,
    words: {
      held: ['read /x'],
      call: 'c',
      since: 't',
      coverage: { level: 'L2', means: 'm', holds: 'h' },
      answers: { resume: 'a', deny: 'b', kill: 'c', unanswered: 'd' },
    },
  };
  const at = (asksHere?: () => boolean) =>
    eventLines(asked, { redactor, isVerbose: false, columns: 60, style: (_, text) => text, ...(asksHere !== undefined && { asksHere }) });

  it('here, where the terminal is ours', () => {
    expect(at(() => true)).toEqual([
      'countersign: THE AGENT IS STOPPED before this happens. Answer here, or from another terminal: countersign resume eeeeeeee [--deny | --kill]',
    ]);
  });

  it.each([
    ['there is none', undefined, 'Answer from another terminal:'],
    ['it is of another job', () => false, 'Answer from another terminal, or here once this job has it (fg):'],
  ] as const)('elsewhere, where %s, with all there is to know', (_, here, says) => {
    const lines = at(here);
    expect(lines).toContain(says);
    expect(lines.join('\n')).not.toContain('Answer here');
    expect(lines).toContain('  held    read /x');
    expect(lines.slice(4, 6)).toEqual(['  watched level L2: m', '          h']);
    expect(lines).toContain('  countersign resume eeeeeeee --deny   b');
  });
});
