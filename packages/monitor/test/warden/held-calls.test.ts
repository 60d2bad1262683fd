/** Calls that wait for the warden: whatever happens, each gets one answer, and it happens only when a person said so. */
import { afterEach, describe, expect, it } from 'vitest';
import type { MonitorMode } from '../../src/verdict.ts';
import { MAX_HELD } from '../../src/warden/case.ts';
import type { HaltAnswer, Warden } from '../../src/warden/ports.ts';
import { runWarden } from '../../src/warden/warden.ts';
import { AGENT, CHILD, fakeRules, troubles, wardenParts } from './fakes.ts';

let warden: Warden | undefined;

afterEach(async () => {
  await warden?.close();
  warden = undefined;
});

async function started(mode: MonitorMode, more: Parameters<typeof wardenParts>[1] = {}) {
  const parts = wardenParts(mode, more);
  warden = await runWarden(parts.options);
  return { ...parts, warden };
}

const settled = async (): Promise<void> => {
  await warden?.settled();
  await turn();
};
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const RESUME: HaltAnswer = { do: 'resume', by: 'jane' };
const DENY: HaltAnswer = { do: 'deny', by: 'jane' };
const KILL: HaltAnswer = { do: 'kill', by: 'jane' };
const GRAND_CHILD = { pid: 102, start: 3, parent: 101, attribution: { method: 'none' as const } };

describe('what is not to be stopped', () => {
  it.each(['SAFE', 'FLAG'] as const)('%s goes on at once', async (level) => {
    const { sensor, did } = await started('enforce_kill');
    expect(sensor.hold(level)).toEqual(['continue']);
    expect(did).not.toContain('freeze');
  });

  it.each(['HALT', 'KILL'] as const)(
    '%s in audit mode goes on at once, is told as something that happened, and is on record',
    async (level) => {
      const { sensor, did, events, ledger } = await started('audit_only');
      expect(sensor.hold(level)).toEqual(['continue']);
      await settled();
      expect(did).not.toContain('freeze');
      expect(events.filter(({ kind }) => kind === 'judged')).not.toMatchObject([{ call: expect.anything() }]);
      expect(ledger.records).toMatchObject([{ level, enforced: 'FLAG' }]);
    },
  );

  it.each(['SAFE', 'FLAG', 'HALT'] as const)(
    'what went on as %s by the word of the sensor has happened, and nobody answers for it',
    async (level) => {
      const { sensor, ledger, events } = await started('enforce_kill');
      const answers: string[] = [];
      const verdict = { level, rule: 'a-rule', reason: 'as seen', evaluator: 'rules', confidence: 1, evidence: [7] } as const;
      sensor.see('SAFE', { phase: 'before' }, { verdict, isHeld: false, wentOn: true, answer: (answer) => void answers.push(answer) });
      await settled();
      expect(answers).toEqual([]);
      expect(events.filter(({ kind }) => kind === 'judged')).not.toMatchObject([{ call: expect.anything() }]);
      if (level !== 'SAFE') expect(ledger.records[0]).toMatchObject({ level, phase: 'after' });
    },
  );

  it('what went on before anybody here was told is not called held, whatever the sensor calls it', async () => {
    const { sensor, ledger, questions, events } = await started('enforce_kill');
    sensor.see('HALT', { phase: 'before' });
    await questions.until(1);
    expect(ledger.records[0]).toMatchObject({ phase: 'after' });
    expect(events.find(({ kind }) => kind === 'asked')).toMatchObject({ held: 0, hasHappened: true });
  });
});

describe('what a process says that it refused itself', () => {
  it('counts as done: a person who denies it ends that process', async () => {
    const { sensor, questions, did, events } = await started('enforce_kill');
    const verdict = { level: 'HALT', rule: 'a-rule', reason: 'as told', evaluator: 'rules', confidence: 1, evidence: [] } as const;
    sensor.see('SAFE', { phase: 'before', actor: CHILD }, { verdict, isHeld: false, isItsWord: true, answer: () => {} });
    await questions.until(1);
    expect(events.find(({ kind }) => kind === 'judged')).toMatchObject({ call: 'refused', enforced: 'HALT' });
    expect(events.find(({ kind }) => kind === 'asked')).toMatchObject({
      held: 0,
      hasHappened: true,
      words: { held: [expect.stringContaining('it says')] },
    });
    questions.answer(DENY);
    await settled();
    expect(did.some((what) => what.startsWith('kill'))).toBe(true);
  });

  it('is no longer only its word once another saw something done', async () => {
    const { sensor, questions, events } = await started('enforce_kill');
    const verdict = { level: 'HALT', rule: 'a-rule', reason: 'as told', evaluator: 'rules', confidence: 1, evidence: [] } as const;
    sensor.see('HALT', { phase: 'after' });
    sensor.see('SAFE', { phase: 'before', actor: CHILD }, { verdict, isHeld: false, isItsWord: true, answer: () => {} });
    await questions.until(1);
    expect(events.find(({ kind }) => kind === 'asked')).toMatchObject({
      words: { held: [expect.stringContaining('has happened already')] },
    });
  });
});

describe('a held call', () => {
  it('waits while a person is asked', async () => {
    const { sensor, questions, ledger, events } = await started('enforce_kill');
    const answers = sensor.hold('HALT');
    await questions.until(1);
    await turn();
    expect(answers).toEqual([]);
    expect(ledger.records[0]).toMatchObject({ level: 'HALT', phase: 'before' });
    expect(events.find(({ kind }) => kind === 'judged')).toMatchObject({ call: 'held' });
    expect(events.find(({ kind }) => kind === 'asked')).toMatchObject({ held: 1, hasHappened: false });
  });

  it('happens once that is on record and the tree goes on', async () => {
    const { sensor, questions, did } = await started('enforce_kill');
    const answers = sensor.hold('HALT');
    await questions.until(1);
    questions.answer(RESUME);
    await settled();
    expect(answers).toEqual(['continue']);
    expect(did.slice(-2)).toEqual(['record resumed', 'resume']);
  });

  it('is let go by an override as by an answer', async () => {
    const { sensor, questions } = await started('enforce_kill');
    const answers = sensor.hold('HALT');
    await questions.until(1);
    questions.answer({ do: 'resume', by: 'an override', isOverride: true });
    await settled();
    expect(answers).toEqual(['continue']);
  });

  it('denied fails; nobody is ended, and the tree goes on', async () => {
    const { sensor, questions, did, ledger, events, warden: running } = await started('enforce_kill');
    const answers = sensor.hold('HALT');
    await questions.until(1);
    questions.answer(DENY);
    await settled();
    expect(answers).toEqual(['refuse']);
    expect(did.slice(-2)).toEqual(['record denied', 'resume']);
    expect(did.filter((each) => each.startsWith('kill'))).toEqual([]);
    expect(ledger.records.at(-1)).toMatchObject({ event: 'denied', refused: 1, details: { by: 'jane' } });
    expect(ledger.records.at(-1)).not.toHaveProperty('count');
    expect(events.findLast(({ kind }) => kind === 'contained')).toMatchObject({ step: { event: 'denied', refused: 1 } });
    expect(running.ended).toBeUndefined();
  });

  it('denied where its process ended meanwhile ends nobody else', async () => {
    const { sensor, questions, did, tree } = await started('enforce_kill');
    sensor.hold('HALT', { actor: { ...CHILD, pid: 999 } });
    await questions.until(1);
    tree.all = tree.all.filter(({ pid }) => pid !== 999);
    questions.answer(DENY);
    await settled();
    expect(did.filter((each) => each.startsWith('kill'))).toEqual([]);
    expect(did.at(-1)).toBe('resume');
  });

  it('denied is not held against what follows as if it had been let go on', async () => {
    const accepted: string[] = [];
    const { sensor, questions } = await started('enforce_kill', {
      rules: { ...fakeRules, accept: ({ rule }) => void accepted.push(rule) },
    });
    sensor.hold('HALT', { rule: 'held' });
    await questions.until(1);
    questions.answer(DENY);
    await settled();
    expect(accepted).toEqual([]);
    sensor.hold('HALT', { rule: 'held-again' });
    sensor.see('HALT', { rule: 'done', actor: CHILD });
    await questions.until(2);
    questions.answer(DENY);
    await settled();
    // Who did it is gone; what merely wanted to is as it was.
    expect(accepted).toEqual(['done']);
  });

  it('and what had happened already: denied ends who did that, and refuses what waits', async () => {
    const { sensor, questions, did, ledger, tree } = await started('enforce_kill');
    tree.all = [...tree.all, GRAND_CHILD];
    const answers = sensor.hold('HALT', { actor: AGENT });
    sensor.see('HALT', { rule: 'done', actor: CHILD });
    await questions.until(1);
    questions.answer(DENY);
    await settled();
    expect(answers).toEqual(['refuse']);
    expect(did).toContain('killOnly 101 102');
    expect(did.at(-1)).toBe('resume');
    expect(ledger.records.at(-1)).toMatchObject({ event: 'denied', count: 2, refused: 1 });
  });

  it('and what nobody is known to have done: denied ends all, and lets nothing happen', async () => {
    const { sensor, questions, did } = await started('enforce_kill');
    const answers = sensor.hold('HALT');
    sensor.host?.emit({ at: 1, sensor: 'inotify', phase: 'after', action: { kind: 'read', path: 'HALT/canary' } });
    await questions.until(1);
    questions.answer(DENY);
    await settled();
    expect(answers).toEqual(['refuse']);
    expect(did).toContain('kill');
    expect(did).not.toContain('resume');
  });

  it('whose denial cannot be done ends all, and lets nothing happen', async () => {
    const { sensor, questions, freezer, did } = await started('enforce_kill');
    freezer.killOnly = () => Promise.reject(new Error('no'));
    const answers = sensor.hold('HALT');
    sensor.see('HALT', { rule: 'done', actor: CHILD });
    await questions.until(1);
    questions.answer(DENY);
    await settled();
    expect(answers).toEqual(['refuse']);
    expect(did).toContain('kill');
    expect(did).not.toContain('resume');
  });

  it('counts those that were refused before anybody was asked', async () => {
    const { sensor, questions, ledger, events } = await started('enforce_kill');
    const refused = sensor.hold('HALT', { isHeld: false });
    const held = sensor.hold('HALT');
    await questions.until(1);
    expect(events.filter(({ kind }) => kind === 'judged')).toMatchObject([{ call: 'refused' }, { call: 'held' }]);
    questions.answer(DENY);
    await settled();
    expect({ refused, held }).toEqual({ refused: [], held: ['refuse'] });
    expect(ledger.records.at(-1)).toMatchObject({ event: 'denied', refused: 2 });
  });
});

describe('what ends all of it refuses what waits, and only once nothing is left that could go on', () => {
  interface Ending {
    readonly by: string;
    readonly end: (parts: Awaited<ReturnType<typeof started>>) => void | Promise<unknown>;
    readonly more?: Parameters<typeof wardenParts>[1];
  }
  const endings: readonly Ending[] = [
    { by: 'a person', end: ({ questions }) => questions.answer(KILL) },
    { by: 'nobody answering', end: ({ questions }) => questions.answer({ do: 'timeout' }), more: { onHaltTimeout: 'kill' } },
    { by: 'a KILL that comes meanwhile', end: ({ sensor }) => sensor.see('KILL', { rule: 'worse' }) },
    { by: 'a signal to the warden', end: ({ warden: running }) => running.kill() },
    { by: 'the end of the session', end: ({ warden: running }) => running.close() },
  ];
  it.each(endings)('$by', async ({ end, more }) => {
    const parts = await started('enforce_kill', more);
    const { sensor, questions, did, freezer } = parts;
    const answers: string[] = [];
    const judged = { verdict: fakeRules.judge({ action: { kind: 'read', path: 'HALT/x' }, seq: 1 } as never), isHeld: true };
    sensor.see(
      'HALT',
      {},
      { ...judged, answer: (answer) => void answers.push(`${answer} after ${did.findLast((each) => each === 'kill') ?? 'nothing'}`) },
    );
    await questions.until(1);
    freezer.survives = 2;
    await end(parts);
    await settled();
    expect(answers).toEqual(['refuse after kill']);
    expect(did).not.toContain('resume');
  });

  it('a KILL of its own', async () => {
    const { sensor, did } = await started('enforce_kill');
    const answers = sensor.hold('KILL');
    expect(answers).toEqual([]);
    await settled();
    expect(answers).toEqual(['refuse']);
    expect(did).toContain('kill');
  });

  it('a KILL of the rules here, though the judge there only holds', async () => {
    const { sensor, did } = await started('enforce_kill');
    const answers = sensor.hold('KILL', { asSeen: 'HALT' });
    await settled();
    expect(answers).toEqual(['refuse']);
    expect(did).toContain('kill');
  });

  it('what comes while it is being ended, and after that', async () => {
    const { sensor, did } = await started('enforce_kill');
    sensor.see('KILL');
    const during = sensor.hold('HALT');
    await settled();
    expect(did).toContain('kill');
    const after = sensor.hold('HALT');
    expect({ during, after }).toEqual({ during: ['refuse'], after: ['refuse'] });
    await settled();
  });

  it('also where some of it survives', async () => {
    const { sensor, freezer } = await started('enforce_kill');
    freezer.survives = 100;
    const answers = sensor.hold('KILL');
    await settled();
    expect(answers).toEqual(['refuse']);
  });

  it('also where ending it fails every time', async () => {
    const { sensor, freezer } = await started('enforce_kill');
    freezer.kill = () => Promise.reject(new Error('no'));
    const answers = sensor.hold('KILL');
    await settled();
    expect(answers).toEqual(['refuse']);
  });

  it('an answer of a person that comes too late changes nothing', async () => {
    const { sensor, questions } = await started('enforce_kill');
    const answers = sensor.hold('HALT');
    await questions.until(1);
    questions.answer(RESUME);
    sensor.see('KILL');
    await settled();
    expect(answers).toEqual(['refuse']);
  });

  it('an attached tree that stays frozen when the warden leaves does nothing more of it either', async () => {
    const { sensor, questions, did, warden: running } = await started('enforce_kill', { heldAtEnd: 'stay' });
    const answers = sensor.hold('HALT');
    await questions.until(1);
    await running.close();
    expect(answers).toEqual(['refuse']);
    expect(did).not.toContain('kill');
  });
});

describe('no call is left without an answer', () => {
  it('that comes when nobody is left to judge it', async () => {
    const { sensor, warden: running } = await started('enforce_kill');
    await running.close();
    expect(sensor.hold('SAFE')).toEqual(['refuse']);
  });

  it('more of them than may wait: those beyond are refused at once, and nothing else is let go for them', async () => {
    const { sensor, questions, ledger } = await started('enforce_kill');
    const all = Array.from({ length: MAX_HELD + 3 }, () => sensor.hold('HALT'));
    expect(all.slice(0, MAX_HELD).every((answers) => answers.length === 0)).toBe(true);
    expect(all.slice(MAX_HELD)).toEqual([['refuse'], ['refuse'], ['refuse']]);
    await questions.until(1);
    questions.answer(DENY);
    await settled();
    expect(all.every((answers) => answers.length === 1 && answers[0] === 'refuse')).toBe(true);
    expect(ledger.records.at(-1)).toMatchObject({ event: 'denied', refused: MAX_HELD + 3 });
  });

  it('one that comes once a person was asked is refused: nobody said a word about it', async () => {
    const { sensor, questions } = await started('enforce_kill');
    const asked = sensor.hold('HALT');
    await questions.until(1);
    const later = sensor.hold('HALT', { rule: 'another' });
    expect(later).toEqual(['refuse']);
    questions.answer(RESUME);
    await settled();
    expect({ asked, later }).toEqual({ asked: ['continue'], later: ['refuse'] });
  });

  it('several of one halt, all by its one answer', async () => {
    const { sensor, questions, events } = await started('enforce_kill');
    const those = [sensor.hold('HALT'), sensor.hold('HALT', { rule: 'b', actor: CHILD }), sensor.hold('HALT', { rule: 'c' })];
    await questions.until(1);
    expect(events.find(({ kind }) => kind === 'asked')).toMatchObject({ held: 3 });
    questions.answer(RESUME);
    await settled();
    expect(those).toEqual([['continue'], ['continue'], ['continue']]);
  });

  it('a question that is asked anew keeps it waiting', async () => {
    const { sensor, questions } = await started('enforce_kill');
    const answers = sensor.hold('HALT');
    await questions.until(1);
    questions.answer({ do: 'timeout' });
    await questions.until(2);
    expect(answers).toEqual([]);
    questions.answer({ do: 'failed', error: new Error('no channel') });
    await questions.until(3);
    expect(answers).toEqual([]);
    questions.answer(DENY);
    await settled();
    expect(answers).toEqual(['refuse']);
  });

  it('where the ledger fails: it waits with everything else, and fails with the session', async () => {
    const { sensor, ledger, questions, did, warden: running } = await started('enforce_kill');
    ledger.fails = true;
    const answers = sensor.hold('HALT');
    for (let i = 0; i < 20; i++) await turn();
    expect({ answers, asked: questions.asked }).toEqual({ answers: [], asked: [] });
    await running.close();
    expect(answers).toEqual(['refuse']);
    expect(did).not.toContain('resume');
  });

  it('where the ledger works again: it is asked about, and answered', async () => {
    const { sensor, ledger, questions } = await started('enforce_kill');
    ledger.fails = true;
    const answers = sensor.hold('HALT');
    for (let i = 0; i < 20; i++) await turn();
    ledger.fails = false;
    await questions.until(1);
    questions.answer(RESUME);
    await settled();
    expect(answers).toEqual(['continue']);
  });

  it('where the answer cannot be recorded, it does not happen before it is', async () => {
    const { sensor, ledger, questions } = await started('enforce_kill');
    const answers = sensor.hold('HALT');
    await questions.until(1);
    ledger.fails = true;
    questions.answer(RESUME);
    for (let i = 0; i < 20; i++) await turn();
    expect(answers).toEqual([]);
    ledger.fails = false;
    await settled();
    expect(answers).toEqual(['continue']);
  });

  it('where the tree cannot be stopped', async () => {
    const { sensor, freezer, questions } = await started('enforce_kill');
    freezer.failsToFreeze = true;
    const answers = sensor.hold('HALT');
    await questions.until(1);
    expect(answers).toEqual([]);
    questions.answer(DENY);
    await settled();
    expect(answers).toEqual(['refuse']);
  });

  it.each([
    ['continue', RESUME],
    ['refuse', DENY],
  ])('where the tree cannot be let go on: %s', async (expected, answer) => {
    const { sensor, freezer, questions, events } = await started('enforce_kill');
    freezer.resume = () => Promise.reject(new Error('no'));
    const answers = sensor.hold('HALT');
    await questions.until(1);
    questions.answer(answer);
    await settled();
    expect(answers).toEqual([expected]);
    expect(troubles(events)).toContain('letting the tree go on');
  });

  it('where evidence hangs', async () => {
    const { sensor, questions } = await started('enforce_kill', {
      incidents: { open: () => new Promise(() => {}), update: async () => {} },
      pause: () => new Promise((resolve) => setImmediate(resolve)),
    });
    const answers = sensor.hold('HALT');
    await questions.until(1);
    questions.answer(RESUME);
    await settled();
    expect(answers).toEqual(['continue']);
  });

  it('where the freezer throws something at once', async () => {
    const { sensor, freezer, questions } = await started('enforce_kill');
    freezer.freeze = () => {
      throw new Error('at once');
    };
    const answers = sensor.hold('HALT');
    await questions.until(1);
    questions.answer(KILL);
    await settled();
    expect(answers).toEqual(['refuse']);
  });

  it('where acting on it fails in a way nobody thought of', async () => {
    const { sensor, events, options } = await started('enforce_kill');
    Object.defineProperty(options.ledger, 'session', {
      get: () => {
        throw new Error('a defect');
      },
    });
    expect(sensor.hold('HALT')).toEqual(['refuse']);
    expect(troubles(events)).toEqual(['acting on a verdict']);
    Object.defineProperty(options.ledger, 'session', { value: 'run-1' });
  });

  it('while the warden is suspended, and when it goes on', async () => {
    const { sensor, questions, did, warden: running } = await started('enforce_kill');
    await running.suspend();
    const answers = sensor.hold('HALT');
    await questions.until(1);
    await running.proceed();
    expect(answers).toEqual([]);
    expect(did).not.toContain('resume');
    questions.answer(RESUME);
    await settled();
    expect(answers).toEqual(['continue']);
  });

  it('rules here that throw hold what the judge there would have let go', async () => {
    const { sensor, questions } = await started('enforce_kill', {
      rules: {
        judge: () => {
          throw new Error('a defect');
        },
      },
    });
    const answers = sensor.hold('SAFE');
    await questions.until(1);
    expect(answers).toEqual([]);
    questions.answer(DENY);
    await settled();
    expect(answers).toEqual(['refuse']);
  });
});
