/** What a person is told who decides at night: which of the answers does what, to what, and by when. */
import { createRedactor, haltQuestion } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import type { Activity } from '../../src/activity.ts';
import { enforcementOf } from '../../src/enforcement.ts';
import { type HaltAbout, haltWords } from '../../src/warden/halt-words.ts';

const activity: Activity = {
  at: 1,
  seq: 1,
  sensor: 'seccomp',
  phase: 'before',
  actor: { pid: 4711, start: 1, exe: '/usr/bin/cat' },
  action: { kind: 'read', path: '/home/ana/.ssh/id_rsa' },
  attribution: { method: 'marker', call: 'call-1' },
};
const about: HaltAbout = {
  activity,
  waiting: [activity],
  held: 1,
  hasHappened: false,
  sinceMs: Date.UTC(2026, 0, 2, 2),
  nowMs: Date.UTC(2026, 0, 2, 2),
  level: 'L2',
  onTimeout: 'stay',
};
const words = (more: Partial<HaltAbout> = {}) => haltWords({ ...about, ...more }, 600_000, createRedactor());

describe('the words of a halt', () => {
  it('one call waits, and nothing has happened', () => {
    expect(words()).toEqual({
      held: ['read /home/ana/.ssh/id_rsa, by cat (pid 4711)'],
      call: 'call-1',
      since: '2026-01-02T02:00:00.000Z',
      coverage: { level: 'L2', means: 'what an agent does waits for the rules, racy against hostile threads' },
      answers: {
        resume: 'the call that waits happens now, as asked for, and the agent goes on',
        deny: 'the call that waits fails with EPERM ("Operation not permitted"), and the agent goes on',
        kill: 'the whole process tree is ended, and the call that waits never happens',
        unanswered:
          'without an answer within 10 min (until 2026-01-02T02:10:00.000Z) it is asked again; until then everything stays stopped',
      },
    });
  });

  it('says that silence ends everything where it does', () => {
    expect(words({ onTimeout: 'kill' }).answers.unanswered).toMatch(/02:10:00\.000Z\) the whole process tree is ended$/);
    expect(words().answers.unanswered).not.toContain('ended');
  });

  it('an operator halted it too: said beside what is held, and of each answer', () => {
    const { held, answers, operator } = words({ isOperators: true });
    expect(operator).toBe(true);
    expect(held).toEqual([
      'read /home/ana/.ssh/id_rsa, by cat (pid 4711)',
      'the whole process tree, by the word of an operator: countersign halt',
    ]);
    expect(answers.resume).toMatch(/^the call that waits happens now.*; its calls stay refused until/);
    expect(answers.deny).toBe(answers.kill);
    expect(JSON.stringify(words())).not.toContain('operator');
  });

  it('never promises that deny keeps from happening what has happened', () => {
    const done = words({ waiting: [], held: 0, hasHappened: true });
    expect(done.held).toEqual(['read /home/ana/.ssh/id_rsa, by cat (pid 4711) (has happened already)']);
    expect(done.answers.deny).not.toContain('EPERM');
    expect(done.answers.deny).toContain('the processes that did it are ended');
    const both = words({ hasHappened: true }).answers;
    expect(both.deny).toMatch(/fails with EPERM; the processes that did something already are ended/);
    expect(both.resume).toContain('what it did already stays done');
  });

  it('what a process says it refused is told as its word', () => {
    const said = words({ waiting: [], held: 0, hasHappened: true, saysRefused: true });
    expect(said.held).toEqual(['read /home/ana/.ssh/id_rsa, by cat (pid 4711) (refused by the probe inside of it, it says)']);
    expect(said.answers).toMatchObject({
      resume: 'the agent goes on; what was refused inside of it stays refused',
      deny: 'the processes that tried it are ended, and the rest goes on',
    });
  });

  it('counts what it does not tell one by one', () => {
    expect(words({ held: 7, waiting: Array.from({ length: 5 }, () => activity) }).held).toHaveLength(6);
    expect(words({ held: 7 }).held.at(-1)).toBe('and 6 more');
    expect(words({ held: 7 }).answers.deny).toContain('the 7 calls that wait fail with EPERM');
  });

  it('names the program where it is called by another name, and the address', () => {
    const exec = { kind: 'exec', exe: '/tmp/evil', argv: ['curl', 'https://a.example'] } as const;
    expect(words({ waiting: [{ ...activity, action: exec }] }).held[0]).toContain('run curl https://a.example (/tmp/evil)');
    const connect = { kind: 'connect', protocol: 'tcp', address: '192.0.2.7', port: 443 } as const;
    expect(words({ waiting: [{ ...activity, action: connect }] }).held[0]).toContain('connect to 192.0.2.7:443');
  });

  it('shows no secret, and bounds what a process may write', () => {
    const token = `ghp_${'a1B2c3D4e5'.repeat(4)}`;
    const exec = {
      kind: 'exec',
      exe: '/usr/bin/curl',
      argv: ['/usr/bin/curl', `https://x.example/?t=${token}`, 'z'.repeat(50_000)],
    } as const;
    const [line = ''] = words({ waiting: [{ ...activity, action: exec }] }).held;
    expect(line).not.toContain(token);
    expect(line.length).toBeLessThan(400);
  });

  it('does not call a guess the call it belongs to', () => {
    const guess: Activity = { ...activity, attribution: { method: 'none', candidates: ['c1', 'c2'] } };
    expect(words({ activity: guess }).call).toBe('perhaps c1, c2');
    expect(words({ activity: { ...activity, attribution: { method: 'none' } } }).call).toBe('no tool call is known to have caused it');
  });
});

describe('how much is watched', () => {
  const enforcement = enforcementOf({
    mode: 'enforce_kill',
    gives: ['exec', 'read', 'write', 'connect'],
    seenLevel: 'L1',
    freeze: 'gate',
    kernel: { trapReads: 'broker' },
  });

  it('is told with what holds, how surely', () => {
    expect(words({ level: 'L3', enforcement }).coverage).toEqual({
      level: 'L3',
      means: 'what an agent does waits for the rules, files hold against hostile threads',
      holds:
        'held exactly: reading, writing, deleting, renaming, signals to the monitor; held, racy: programs, connections, memory of other processes',
    });
  });

  it('is no more than is left of it: what died since the start holds nothing', () => {
    const { level, means, holds } = words({ level: 'L1', enforcement }).coverage;
    expect([level, means]).toEqual(['L1', 'events are seen as they happen, prevents nothing']);
    expect(holds).not.toContain('held');
    expect(words({ level: 'none', enforcement }).coverage.holds).toMatch(/^not seen: programs, .*signals to the monitor$/);
  });

  it('names what shuts it in, until that is gone', () => {
    const shut = enforcementOf({ mode: 'enforce_kill', gives: [], seenLevel: 'L0', freeze: 'signal', contain: 'landlock' });
    expect(words({ level: 'L3', enforcement: shut }).coverage.holds).toMatch(/^shut in by landlock; not seen: /);
    expect(words({ level: 'L0', enforcement: shut }).coverage.holds).not.toContain('shut in');
  });
});

describe('as every channel reads it', () => {
  const tool = { server: 'countersign', name: 'after_halt' };
  const args = { incident: 'e'.repeat(32), rule: 'ssh-keys', level: 'HALT', why: 'a key', do: 'resume', ...words() } as const;

  it('has a line for what is held, since when, and each answer', () => {
    const question = haltQuestion({ tool, args });
    expect(question?.lines.map(([name]) => name)).toEqual([
      'held',
      'because',
      'call',
      'since',
      'watched',
      'resume',
      'deny',
      'kill',
      'silence',
    ]);
    expect(question?.deny).toEqual({ ...args, do: 'deny' });
  });

  it('says the level, its detail, and what became of it since', () => {
    const coverage = { level: 'L2', means: 'm', holds: 'h' };
    const watched = (more: object) =>
      haltQuestion({ tool, args: { ...args, coverage, ...more }, ...more })?.lines.filter(([, text]) => /level|^h$/.test(text));
    expect(watched({})).toEqual([
      ['watched', 'level L2: m'],
      ['', 'h'],
    ]);
    expect(haltQuestion({ tool, args: { ...args, coverage } })?.watched).toBe('L2');
    expect(watched({ coverageSince: 'L2' })).toHaveLength(2);
    expect(watched({ coverageSince: 'L0' })?.at(-1)).toEqual([
      '',
      'since it was asked the level is L0: what is said here of L2 holds no more',
    ]);
    // An older question says no level; the ledger may.
    expect(watched({ coverage: null })).toEqual([]);
    expect(watched({ coverage: null, coverageSince: 'L0' })).toEqual([['watched', 'since it was asked the level is L0']]);
  });

  it.each([
    [{ level: 'L9', means: 'all is safe' }],
    [{ level: 'L3\n  resume   harmless', means: 'x' }],
    [{ level: ['L3'], means: 'x' }],
    [['L3']],
    ['L3'],
    [7],
  ])('a level that is none is not told: %j', (coverage) => {
    const question = haltQuestion({ tool, args: { ...args, coverage }, coverageSince: 'L9, and all is well' });
    expect(question?.lines.some(([name]) => name === 'watched')).toBe(false);
    expect(question?.watched).toBeUndefined();
  });

  it.each([
    ['another tool', { tool: { server: 'shop', name: 'after_halt' }, args }],
    ['a tool without a server', { tool: { name: 'after_halt' }, args }],
    ['an older question, without answers', { tool, args: { incident: 'e', do: 'resume' } }],
    ['answers that are none', { tool, args: { ...args, answers: { resume: 1, deny: [], kill: null } } }],
    ['no object', { tool, args: null }],
    ['a list', { tool, args: [] }],
  ])('is nothing for %s', (_name, asked) => {
    expect(haltQuestion(asked)).toBeUndefined();
  });
});
