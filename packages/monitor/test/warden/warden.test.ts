import { afterEach, describe, expect, it } from 'vitest';
import type { Level, MonitorMode, Verdict } from '../../src/verdict.ts';
import { MAX_UNLOGGED } from '../../src/warden/log-writer.ts';
import type { Warden } from '../../src/warden/ports.ts';
import { MAX_UNRECORDED } from '../../src/warden/recorder.ts';
import { MAX_UNJUDGED } from '../../src/warden/second-opinion.ts';
import { runWarden } from '../../src/warden/warden.ts';
import { AGENT, CHILD, FakeSensor, fakeRules, troubles, wardenParts } from './fakes.ts';

const CALL = 'c'.repeat(32);
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

/** Until nothing is left to do but wait for a person. */
const settled = async (): Promise<void> => {
  await warden?.settled();
  await new Promise((resolve) => setImmediate(resolve));
};

describe('what each mode makes of a verdict', () => {
  it('audit only: nothing is stopped or ended, whatever it is; all of it is on record', async () => {
    const { sensor, did, questions } = await started('audit_only');
    sensor.see('HALT');
    sensor.see('KILL', { rule: 'other' });
    await settled();
    expect(did.filter((each) => each !== 'evidence')).toEqual(['verdict HALT->FLAG a-rule', 'verdict KILL->FLAG other']);
    expect(questions.asked).toEqual([]);
  });

  it('audit only: verdicts of one rule are one incident, however many there are', async () => {
    const { sensor, did, ledger } = await started('audit_only');
    for (let i = 0; i < 50; i++) sensor.see('KILL');
    await settled();
    expect(did.filter((each) => each === 'evidence')).toHaveLength(1);
    expect(new Set(ledger.records.map(({ incident }) => incident)).size).toBe(1);
  });

  it('flag and hold: a KILL is held, not killed', async () => {
    const { sensor, did, questions } = await started('flag_and_hold');
    sensor.see('KILL');
    await questions.until(1);
    expect(did).toEqual(['freeze', 'verdict KILL->HALT a-rule', 'record frozen', 'evidence']);
  });

  it('enforce: a KILL stops first, takes the evidence, then ends all', async () => {
    const { sensor, did, warden: running } = await started('enforce_kill');
    sensor.see('KILL');
    await settled();
    expect(did).toEqual(['freeze', 'evidence', 'kill', 'verdict KILL->KILL a-rule', 'record frozen', 'record killed']);
    expect(running.ended).toEqual({ by: 'verdict', left: 0 });
  });

  it('a FLAG stops nothing, and is on record', async () => {
    const { sensor, did } = await started('enforce_kill');
    sensor.see('FLAG');
    await settled();
    expect(did).toEqual(['verdict FLAG->FLAG a-rule']);
  });

  it('what is safe is not in the ledger', async () => {
    const { sensor, ledger } = await started('enforce_kill');
    sensor.see('SAFE');
    await settled();
    expect(ledger.records).toEqual([]);
  });
});

describe('a halt', () => {
  it('freezes in the very turn in which it is seen', async () => {
    const { sensor, did } = await started('flag_and_hold');
    sensor.see('HALT');
    expect(did).toEqual(['freeze']);
  });

  it('goes on after an approval, which is on record before it does', async () => {
    const { sensor, did, questions, ledger, warden: running } = await started('enforce_kill');
    sensor.see('HALT');
    await questions.until(1);
    expect(running.isHolding).toBe(true);
    const approval = { id: 'ap', decision: { of: 7, leaf: 'cd'.repeat(32) } };
    questions.answer({ do: 'resume', by: 'jane', approval });
    await settled();
    expect(did.slice(-2)).toEqual(['record resumed', 'resume']);
    expect(ledger.records.at(-1)).toMatchObject({ event: 'resumed', approval, verdict: { of: 1 }, details: { by: 'jane' } });
    expect(running.isHolding).toBe(false);
  });

  it('denied as a whole ends all of it', async () => {
    const { sensor, did, questions, warden: running } = await started('flag_and_hold');
    sensor.see('HALT');
    await questions.until(1);
    questions.answer({ do: 'kill', by: 'jane' });
    await settled();
    expect(did.slice(-2)).toEqual(['kill', 'record killed']);
    expect(running.ended).toEqual({ by: 'operator', left: 0 });
  });

  it('denied for who did it ends those and what they started, and lets the rest go on', async () => {
    const { sensor, did, questions, tree } = await started('flag_and_hold');
    tree.all = [...tree.all, { pid: 102, start: 3, parent: 101, attribution: { method: 'none' } }];
    sensor.see('HALT', { actor: CHILD });
    await questions.until(1);
    questions.answer({ do: 'deny', by: 'jane' });
    await settled();
    expect(did.slice(-3)).toEqual(['killOnly 101 102', 'record denied', 'resume']);
  });

  it('denied where nobody knows who did it ends all: nobody may go on', async () => {
    const { options, sensor, questions, did } = await started('flag_and_hold');
    expect(options.sensors).toHaveLength(1);
    sensor.host?.emit({ at: 1, sensor: 'inotify', phase: 'after', action: { kind: 'read', path: 'HALT/canary' } });
    await questions.until(1);
    questions.answer({ do: 'deny', by: 'jane' });
    await settled();
    expect(did).toContain('kill');
    expect(did).not.toContain('resume');
  });

  it('denied once another sensor told who did it ends those alone', async () => {
    const { sensor, questions, did } = await started('flag_and_hold');
    const action = { kind: 'read', path: 'HALT/canary' } as const;
    sensor.host?.emit({ at: 1, sensor: 'inotify', phase: 'after', action });
    sensor.host?.emit({ at: 1, sensor: 'poll', phase: 'after', action, actor: CHILD });
    await questions.until(1);
    questions.answer({ do: 'deny', by: 'jane' });
    await settled();
    expect(did).toContain('killOnly 101');
    expect(did.at(-1)).toBe('resume');
  });

  it('what was let go on is asked about once, though a second sensor tells of it later; done again it is asked about again', async () => {
    const { sensor, questions, did } = await started('flag_and_hold');
    const action = { kind: 'read', path: 'HALT/canary' } as const;
    const seen = (actor?: typeof CHILD): void =>
      sensor.host?.emit({ at: 1, sensor: 's', phase: 'after', action, ...(actor !== undefined && { actor }) });
    seen();
    await questions.until(1);
    questions.answer({ do: 'resume', by: 'jane' });
    await settled();
    seen(CHILD);
    await settled();
    expect(did.at(-1)).toBe('verdict FLAG->FLAG canary');
    seen(CHILD);
    await questions.until(2);
    expect(did.filter((each) => each === 'freeze')).toHaveLength(2);
  });

  it('denied for a pid that is another process by now ends all rather than a stranger', async () => {
    const { sensor, questions, did } = await started('flag_and_hold');
    sensor.see('HALT', { actor: { ...CHILD, start: 99 } });
    await questions.until(1);
    questions.answer({ do: 'deny', by: 'jane' });
    await settled();
    expect(did.filter((each) => each.startsWith('killOnly'))).toEqual([]);
    expect(did).toContain('kill');
  });

  it.each([
    ['one of them ended, and may have left others behind', 1],
    ['more did it than are remembered', 300],
  ])('denied where %s ends all', async (why, others) => {
    const { sensor, questions, did, tree } = await started('flag_and_hold');
    const more = Array.from({ length: others }, (_, i) => ({ pid: 1000 + i, start: 7, parent: 100 }));
    if (others > 1) tree.all = [...tree.all, ...more.map((each) => ({ ...each, attribution: { method: 'none' as const } }))];
    sensor.see('HALT', { actor: CHILD });
    for (const actor of more) sensor.see('HALT', { actor });
    await questions.until(1);
    questions.answer({ do: 'deny', by: 'jane' });
    await settled();
    expect(
      did.filter((each) => each.startsWith('killOnly')),
      why,
    ).toEqual([]);
    expect(did).toContain('kill');
    expect(did).not.toContain('resume');
  });

  it('nobody answers: it stays frozen and is asked about anew', async () => {
    const { sensor, questions, did } = await started('enforce_kill');
    sensor.see('HALT');
    await questions.until(1);
    questions.answer({ do: 'timeout' });
    await questions.until(2);
    expect(did).not.toContain('resume');
    expect(did).not.toContain('kill');
  });

  it('nobody answers: it is ended where that is configured', async () => {
    const { sensor, questions, did, warden: running } = await started('flag_and_hold', { onHaltTimeout: 'kill' });
    sensor.see('HALT');
    await questions.until(1);
    questions.answer({ do: 'timeout' });
    await settled();
    expect(did).toContain('kill');
    expect(running.ended?.by).toBe('timeout');
  });

  it('nobody can be asked: it stays frozen, is told, and is tried again', async () => {
    const { sensor, questions, did, events } = await started('enforce_kill');
    sensor.see('HALT');
    await questions.until(1);
    questions.answer({ do: 'failed', error: new Error('no channel') });
    await questions.until(2);
    expect(troubles(events)).toEqual(['asking about a halt']);
    expect(did).not.toContain('resume');
  });

  it('what is found while it is held belongs to it, and is asked about once', async () => {
    const { sensor, questions, ledger, did } = await started('enforce_kill');
    sensor.see('HALT');
    sensor.see('HALT', { rule: 'other' });
    await questions.until(1);
    await settled();
    expect(did.filter((each) => each === 'freeze')).toHaveLength(1);
    const verdicts = ledger.records.filter(({ kind }) => kind === 'verdict');
    expect(verdicts).toHaveLength(2);
    expect(new Set(verdicts.map(({ incident }) => incident)).size).toBe(1);
  });

  it('a KILL while it is held ends it without waiting for the answer', async () => {
    const { sensor, questions, did, warden: running } = await started('enforce_kill');
    sensor.see('HALT');
    await questions.until(1);
    sensor.see('KILL', { rule: 'worse' });
    await settled();
    expect(did).toContain('kill');
    expect(did).toContain('verdict KILL->KILL worse');
    expect(running.ended).toEqual({ by: 'verdict', left: 0 });
    // An answer that comes now changes nothing.
    questions.answer({ do: 'resume', by: 'jane' });
    await settled();
    expect(did).not.toContain('resume');
  });

  it('an answer that races with the end lets nothing go on', async () => {
    const { sensor, questions, did } = await started('enforce_kill');
    sensor.see('HALT');
    await questions.until(1);
    questions.answer({ do: 'resume', by: 'jane' });
    sensor.see('KILL');
    await settled();
    expect(did).toContain('kill');
    expect(did).not.toContain('resume');
  });

  it('each halt is asked about by itself: an answer is used once', async () => {
    const { sensor, questions, did } = await started('enforce_kill');
    for (let round = 1; round <= 2; round++) {
      sensor.see('HALT');
      await questions.until(round);
      questions.answer({ do: 'resume', by: 'jane' });
      await settled();
    }
    expect(did.filter((each) => each === 'freeze')).toHaveLength(2);
    expect(questions.asked[0]?.id).not.toBe(questions.asked[1]?.id);
  });

  it('an override is told as one', async () => {
    const { sensor, questions, did } = await started('enforce_kill');
    sensor.see('HALT');
    await questions.until(1);
    questions.answer({ do: 'resume', by: 'an override', isOverride: true });
    await settled();
    expect(did).toContain('record overridden');
  });

  it('a tree that cannot be stopped is told, and asked about all the same', async () => {
    const { sensor, questions, freezer, ledger, events } = await started('enforce_kill');
    freezer.failsToFreeze = true;
    sensor.see('HALT');
    await questions.until(1);
    expect(troubles(events)).toContain('freezing');
    expect(ledger.records.at(-1)).toMatchObject({ event: 'failed', left: 2 });
  });

  it('failing to stop it once more, for a kill, a close or a signal, is told and ends no warden', async () => {
    const { sensor, questions, freezer, did, events, warden: running } = await started('enforce_kill');
    freezer.failsToFreeze = true;
    sensor.see('HALT');
    await questions.until(1);
    await running.proceed();
    sensor.see('KILL');
    await settled();
    expect(troubles(events)).toContain('going on');
    expect(did).toContain('kill');
  });

  it('closing while it is held ends what is held: nobody could answer for it any more', async () => {
    const { sensor, questions, did, warden: running } = await started('enforce_kill');
    sensor.see('HALT');
    await questions.until(1);
    const summary = await running.close();
    expect(did).not.toContain('resume');
    expect(did).toContain('kill');
    expect(summary.incidents).toMatchObject([{ rule: 'a-rule', level: 'HALT', end: 'killed' }]);
  });

  it('stays so where the warden only watched', async () => {
    const { sensor, questions, did, warden: running } = await started('enforce_kill', { heldAtEnd: 'stay' });
    sensor.see('HALT');
    await questions.until(1);
    const summary = await running.close();
    expect(did).not.toContain('resume');
    expect(did).not.toContain('kill');
    expect(summary.incidents).toMatchObject([{ end: 'frozen' }]);
  });

  it('is what an act of nobody known comes to, also where a rule would end the tree: it may be an editor of ours', async () => {
    const { sensor, questions, did } = await started('enforce_kill');
    sensor.host?.emit({ at: 1, sensor: sensor.name, phase: 'after', action: { kind: 'read', path: 'KILL/a-rule' } });
    await questions.until(1);
    expect(did[0]).toBe('freeze');
    expect(did).not.toContain('kill');
  });

  it('is made again where something woke the tree', async () => {
    const { sensor, questions, did, warden: running } = await started('enforce_kill');
    sensor.see('HALT');
    await questions.until(1);
    await running.proceed();
    expect(did.filter((each) => each === 'freeze')).toHaveLength(2);
    expect(did).not.toContain('resume');
  });
});

describe('while the warden itself is stopped', () => {
  it('nothing runs that nobody watches', async () => {
    const { did, warden: running } = await started('audit_only');
    await running.suspend();
    expect(did).toEqual(['freeze']);
    await running.proceed();
    await running.proceed();
    expect(did).toEqual(['freeze', 'resume']);
  });

  it('what is held stays held', async () => {
    const { sensor, questions, did, warden: running } = await started('enforce_kill');
    sensor.see('HALT');
    await questions.until(1);
    await running.suspend();
    await running.proceed();
    expect(did).not.toContain('resume');
  });

  it('a continue signal alone lets nothing go on', async () => {
    const { did, warden: running } = await started('enforce_kill');
    await running.proceed();
    expect(did).toEqual([]);
  });
});

describe('the end', () => {
  it('what a sensor tells while it stops was done in the session: judged, logged, counted and on record', async () => {
    const logged: string[] = [];
    const {
      sensor,
      ledger,
      events,
      warden: running,
    } = await started('audit_only', {
      log: {
        write: async (_, verdict) => void logged.push(verdict.level),
        close: async () => {},
      },
    });
    sensor.see('SAFE');
    sensor.atStop = () => ['SAFE', 'FLAG', 'KILL'].forEach((level) => sensor.see(level as Level));
    const { activities, verdicts } = await running.close();
    expect({ activities, verdicts }).toEqual({ activities: 4, verdicts: { SAFE: 2, FLAG: 1, HALT: 0, KILL: 1 } });
    expect(logged).toEqual(['SAFE', 'SAFE', 'FLAG', 'KILL']);
    expect(ledger.records).toMatchObject([{ level: 'FLAG' }, { level: 'KILL', enforced: 'FLAG' }]);
    expect(events.filter(({ kind }) => kind === 'judged')).toHaveLength(4);
  });

  it('what is held then fails, and is on record', async () => {
    const { sensor, ledger, warden: running } = await started('enforce_kill');
    let answers: readonly string[] = [];
    sensor.atStop = () => {
      answers = sensor.hold('HALT');
    };
    await running.close();
    expect(answers).toEqual(['refuse']);
    expect(ledger.records[0]).toMatchObject({ level: 'HALT' });
  });

  it('kills again what survived, and tells what is left', async () => {
    const { sensor, did, freezer } = await started('enforce_kill');
    freezer.survives = 2;
    sensor.see('KILL');
    await settled();
    expect(did.filter((each) => each === 'kill')).toHaveLength(3);
    expect(did.at(-1)).toBe('record killed');
  });

  it('what survives everything is named, on record and in the summary', async () => {
    const { sensor, freezer, ledger, warden: running } = await started('enforce_kill');
    freezer.survives = 100;
    sensor.see('KILL');
    await settled();
    expect(ledger.records.at(-1)).toMatchObject({ event: 'failed', left: 1, details: { left: [{ pid: CHILD.pid }] } });
    expect(running.ended).toEqual({ by: 'verdict', left: 1 });
  });

  it('does not wait for evidence that hangs', async () => {
    const { sensor, did, events } = await started('enforce_kill', {
      incidents: { open: () => new Promise(() => {}), update: async () => {} },
      pause: () => new Promise((resolve) => setImmediate(resolve)),
    });
    sensor.see('KILL');
    await settled();
    expect(did).toContain('kill');
    expect(troubles(events)).toContain('evidence');
  });

  it('does not wait for a ledger that fails', async () => {
    const { sensor, did, ledger, warden: running } = await started('enforce_kill');
    ledger.fails = true;
    sensor.see('KILL');
    await settled();
    expect(did).toEqual(['freeze', 'evidence', 'kill']);
    const { lost } = await running.close();
    expect(lost.ledger).toBe(3);
  });

  it('by a signal to the warden ends it without an incident', async () => {
    const { did, warden: running } = await started('flag_and_hold');
    await running.kill();
    expect(did).toEqual(['kill']);
    expect(running.ended?.by).toBe('signal');
  });

  it('what a killed tree did before is put aside', async () => {
    const rollback = { quarantined: 1, left: 2, items: [{ path: '/a', id: 'x' }], deletions: 0, connections: 0, duration_ms: 1.5 };
    const { sensor, did, ledger } = await started('enforce_kill', { quarantine: { take: async () => rollback } });
    sensor.see('KILL');
    await settled();
    expect(did.at(-1)).toBe('record quarantined');
    expect(ledger.records.at(-1)).toMatchObject({
      event: 'quarantined',
      count: 1,
      left: 2,
      duration_ms: 2,
      details: { rollback: { files: [{ path: '/a' }] } },
    });
  });

  it('nothing is said of files where there were none', async () => {
    const rollback = { quarantined: 0, left: 0, items: [], deletions: 3, connections: 0, duration_ms: 0 };
    const { sensor, did } = await started('enforce_kill', { quarantine: { take: async () => rollback } });
    sensor.see('KILL');
    await settled();
    expect(did).not.toContain('record quarantined');
  });
});

describe('what cannot be put on record', () => {
  it('stops the tree until it is, and a person says so', async () => {
    const { sensor, did, ledger, questions } = await started('enforce_kill');
    ledger.fails = true;
    sensor.see('FLAG');
    await new Promise((resolve) => setImmediate(resolve));
    expect(did).toEqual(['freeze']);
    expect(questions.asked).toEqual([]);
    ledger.fails = false;
    await questions.until(1);
    expect(did).toContain('verdict FLAG->FLAG a-rule');
    expect(did).toContain('verdict HALT->HALT not-recorded');
    questions.answer({ do: 'resume', by: 'jane' });
    await settled();
    expect(did.at(-1)).toBe('resume');
  });

  it('an answer does not let it go on while a verdict waits for the ledger', async () => {
    const { sensor, did, ledger, questions } = await started('enforce_kill');
    sensor.see('HALT');
    await questions.until(1);
    ledger.fails = true;
    sensor.see('FLAG');
    questions.answer({ do: 'resume', by: 'jane' });
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
    expect(did).not.toContain('resume');
    ledger.fails = false;
    await settled();
    expect(did.at(-1)).toBe('resume');
  });

  it('in audit mode is told and counted, and stops nothing', async () => {
    const { sensor, did, ledger, events, warden: running } = await started('audit_only');
    ledger.fails = true;
    sensor.see('FLAG');
    const { lost } = await running.close();
    expect(did).toEqual([]);
    expect(lost.ledger).toBe(1);
    expect(troubles(events)).toContain('the record');
  });

  it('more verdicts than may wait stop the tree: a flood is no way past the record', async () => {
    const { sensor, did } = await started('enforce_kill', {});
    for (let i = 0; i <= MAX_UNRECORDED; i++) sensor.see('FLAG');
    expect(did).toContain('freeze');
  });

  it('a HALT behind a flood freezes in the very turn', async () => {
    const { sensor, did } = await started('enforce_kill');
    for (let i = 0; i < 1000; i++) sensor.see('FLAG');
    sensor.see('HALT');
    expect(did).toEqual(['freeze']);
  });
});

describe('the activity log', () => {
  it('that is full is counted, told once, and stops nothing', async () => {
    const {
      sensor,
      did,
      events,
      warden: running,
    } = await started('enforce_kill', {
      log: { write: () => Promise.reject(new Error('ENOSPC')), close: async () => {} },
    });
    for (let i = 0; i < 100; i++) sensor.see('SAFE');
    const { lost } = await running.close();
    expect(lost.log).toBe(100);
    expect(troubles(events)).toEqual(['activity log']);
    expect(did).toEqual([]);
  });

  it('that throws is the same', async () => {
    const { sensor, warden: running } = await started('enforce_kill', {
      log: {
        write: () => {
          throw new Error('closed');
        },
        close: async () => {},
      },
    });
    sensor.see('SAFE');
    expect((await running.close()).lost.log).toBe(1);
  });

  it('that is slow keeps no more than its bound', async () => {
    const { sensor, warden: running } = await started('enforce_kill', {
      log: { write: () => new Promise(() => {}), close: async () => {} },
    });
    for (let i = 0; i < MAX_UNLOGGED + 7; i++) sensor.see('SAFE');
    expect((await running.close()).lost.log).toBe(7);
  });
});

describe('rules, intent and judge', () => {
  it('rules that throw let nothing through', async () => {
    const { sensor, did, questions } = await started('enforce_kill', {
      rules: {
        judge: () => {
          throw new Error('a defect');
        },
      },
    });
    sensor.see('SAFE');
    await questions.until(1);
    expect(did).toContain('verdict HALT->HALT rules-failed');
  });

  it('the intent check raises, and never lowers', async () => {
    const intent = (level: Verdict['level']): Verdict => ({
      level,
      rule: 'intent-mismatch',
      reason: 'not what was asked for',
      evaluator: 'intent',
      confidence: 0.9,
      evidence: [1],
    });
    const { sensor, did, questions } = await started('flag_and_hold', {
      intent: ({ action }) => intent(action.kind === 'read' && action.path.startsWith('SAFE') ? 'HALT' : 'SAFE'),
    });
    sensor.see('FLAG');
    sensor.see('SAFE');
    await questions.until(1);
    expect(did).toContain('verdict FLAG->FLAG a-rule');
    expect(did).toContain('verdict HALT->HALT intent-mismatch');
  });

  const ambiguous: Parameters<typeof wardenParts>[1] = {
    rules: {
      judge: ({ seq }) => ({
        level: 'FLAG',
        rule: 'unclear',
        reason: 'r',
        evaluator: 'rules',
        confidence: 0.3,
        evidence: [seq],
        ambiguous: true,
      }),
    },
  };

  it.each([
    ['HALT', ['verdict HALT->HALT by-judge']],
    ['SAFE', []],
    ['FLAG', []],
  ] as const)('a judge that says %s of a flag', async (level, expected) => {
    const { sensor, did, events } = await started('flag_and_hold', {
      ...ambiguous,
      judge: { judge: async () => ({ level, rule: 'by-judge', reason: 'r', evaluator: 'judge', confidence: 0.8, evidence: [1] }) },
    });
    sensor.see('FLAG');
    await new Promise((resolve) => setImmediate(resolve));
    await settled();
    expect(did.filter((each) => each.includes('by-judge'))).toEqual(expected);
    expect(did).toContain('verdict FLAG->FLAG unclear');
    expect(troubles(events)).toEqual([]);
  });

  it('a judge that fails leaves the flag a flag, and is told', async () => {
    const {
      sensor,
      did,
      events,
      warden: running,
    } = await started('flag_and_hold', {
      ...ambiguous,
      judge: { judge: () => Promise.reject(new Error('no model')) },
    });
    sensor.see('FLAG');
    await settled();
    expect(did).toEqual(['verdict FLAG->FLAG unclear']);
    expect(troubles(events)).toEqual(['judge']);
    expect((await running.close()).lost.judge).toBe(1);
  });

  it('a judge that gives the verdict of the rules back did not answer: counted each time, and told once until it answers again', async () => {
    const broken = 'the judge did not finish its answer';
    let answers = 0;
    const parts = await started('flag_and_hold', {
      ...ambiguous,
      judge: {
        judge: async ({ verdict: asked }) =>
          ++answers === 3 ? { ...asked, evaluator: 'judge', reason: 'nothing odd' } : { ...asked, reason: `${asked.reason}; ${broken}` },
      },
    });
    for (let i = 0; i < 5; i++) parts.sensor.see('FLAG');
    await settled();
    const told = parts.events.flatMap((event) => (event.kind === 'trouble' ? [String(event.error)] : []));
    expect(told).toEqual([expect.stringContaining(broken), expect.stringContaining(broken)]);
    expect((await parts.warden.close()).lost.judge).toBe(4);
  });

  it('a judge that hangs keeps no more than its bound, and keeps nothing from ending', async () => {
    const { sensor, warden: running } = await started('flag_and_hold', { ...ambiguous, judge: { judge: () => new Promise(() => {}) } });
    for (let i = 0; i < MAX_UNJUDGED + 5; i++) sensor.see('FLAG');
    const { lost, verdicts } = await running.close();
    expect(lost.judge).toBe(MAX_UNJUDGED - 1 + 5);
    expect(verdicts.FLAG).toBe(MAX_UNJUDGED + 5);
  });

  it('what a person let go on is told to the rules, and what was denied is not', async () => {
    const accepted: string[] = [];
    const { sensor, questions } = await started('flag_and_hold', {
      rules: { ...fakeRules, accept: ({ rule, evidence }) => void accepted.push(`${rule} ${evidence.join(' ')}`) },
    });
    sensor.see('HALT', { rule: 'denied', actor: CHILD });
    await questions.until(1);
    questions.answer({ do: 'kill', by: 'jane' });
    await settled();
    expect(accepted).toEqual([]);
  });

  it('each verdict of an incident is accepted with it', async () => {
    const accepted: string[] = [];
    const { sensor, questions } = await started('flag_and_hold', {
      rules: { ...fakeRules, accept: ({ rule, evidence }) => void accepted.push(`${rule} ${evidence.join(' ')}`) },
    });
    sensor.see('HALT');
    sensor.see('HALT', { rule: 'other' });
    await questions.until(1);
    questions.answer({ do: 'resume', by: 'jane' });
    await settled();
    expect(accepted).toEqual(['a-rule 1', 'other 2']);
  });

  it('a flag of the intent check counts with those of the rules', async () => {
    const flag = { level: 'FLAG', rule: 'intent-mismatch', reason: 'r', evaluator: 'intent', confidence: 0.6, evidence: [1] } as const;
    const { sensor, did, questions } = await started('flag_and_hold', {
      intent: () => flag,
      rules: {
        ...fakeRules,
        flagged: ({ seq }) => (seq < 3 ? undefined : { ...flag, level: 'HALT', rule: 'too-many-flags', evaluator: 'rules' }),
      },
    });
    for (let i = 0; i < 3; i++) sensor.see('SAFE');
    await questions.until(1);
    expect(did).toContain('verdict HALT->HALT too-many-flags');
  });
});

describe('calls', () => {
  it('the session of the call is halted, and resumed with the answer', async () => {
    const { sensor, ledger, questions, did } = await started('enforce_kill');
    ledger.calls.set(CALL, 'chat-7');
    sensor.see('HALT', { attribution: { method: 'marker', call: CALL } });
    await questions.until(1);
    expect(did).toContain('halt chat-7');
    expect(ledger.records[0]).toMatchObject({ call: CALL, session: 'chat-7' });
    questions.answer({ do: 'resume', by: 'jane' });
    await settled();
    expect(did).toContain('resume chat-7');
  });

  it.each([
    ['another incident halted it since', { session: 'chat-7', incident: 'another' }, false],
    ['an operator halted it since', { session: 'chat-7' }, false],
    ['another session is halted too', { session: 'chat-8', incident: 'another' }, true],
    ['every session is halted', {}, true],
  ])('the session of the call is resumed with the answer, or not: %s', async (_when, halt, isResumed) => {
    const { sensor, ledger, questions, did } = await started('enforce_kill');
    ledger.calls.set(CALL, 'chat-7');
    sensor.see('HALT', { attribution: { method: 'marker', call: CALL } });
    await questions.until(1);
    ledger.standing = [{ by: 'other', agent: 'a', atMs: 1, entry: { of: 7, leaf: 'ab'.repeat(32) }, ...halt }];
    questions.answer({ do: 'resume', by: 'jane' });
    await settled();
    expect(did).toContain('resume');
    expect(did.includes('resume chat-7')).toBe(isResumed);
  });

  it('a call nobody made is not on record as one: the environment of a process says what it likes', async () => {
    const { sensor, ledger, questions, did } = await started('enforce_kill');
    sensor.see('HALT', { attribution: { method: 'marker', call: CALL } });
    await questions.until(1);
    expect(ledger.records[0]).not.toHaveProperty('call');
    expect(did.some((each) => each.startsWith('halt'))).toBe(false);
  });

  it('the one call in flight, or all that may be meant', async () => {
    const { sensor, ledger } = await started('enforce_kill');
    ledger.calls.set(CALL, 'chat-7');
    ledger.running = [CALL];
    sensor.see('FLAG');
    ledger.running = [CALL, 'd'.repeat(32)];
    sensor.see('FLAG');
    await settled();
    expect(ledger.records.find((record) => 'call' in record)).toMatchObject({ call: CALL, session: 'chat-7' });
    expect(ledger.records.find((record) => 'candidates' in record)).toMatchObject({ candidates: [CALL, 'd'.repeat(32)], session: 'run-1' });
  });
});

describe('sensors', () => {
  it('one that dies lowers the level, which is recorded and told', async () => {
    const best = new FakeSensor({ name: 'connector', level: 'L1' });
    const poll = new FakeSensor({ name: 'poll', level: 'L0' });
    const { ledger, events, warden: running, did } = await started('enforce_kill', { sensors: [best, poll] });
    expect(running.level).toBe('L1');
    best.host?.died(new Error('ENOBUFS'));
    best.host?.died(new Error('once more'));
    await settled();
    expect(running.level).toBe('L0');
    expect(ledger.marks).toEqual(['start L1', 'coverage L0']);
    expect(events.filter(({ kind }) => kind === 'coverage')).toMatchObject([{ level: 'L0', sensor: 'connector', why: 'ENOBUFS' }]);
    expect(did).toEqual([]);
    expect((await running.close()).level).toBe('L0');
  });

  it('the last one that dies stops the tree: nobody watches any more', async () => {
    const { sensor, did, questions, ledger } = await started('enforce_kill');
    sensor.host?.died(new Error('gone'));
    await questions.until(1);
    expect(did).toContain('verdict HALT->HALT unwatched');
    expect(ledger.marks).toContain('coverage none');
  });

  it('figures and a few files alone are no watch', async () => {
    const poll = new FakeSensor({ name: 'poll' });
    const inotify = new FakeSensor({ name: 'inotify', level: 'L1', gives: ['read'] });
    const { warden: running, questions, did } = await started('enforce_kill', { sensors: [poll, inotify] });
    expect(running.level).toBe('L1');
    poll.host?.died(new Error('gone'));
    await questions.until(1);
    expect(running.level).toBe('none');
    expect(did).toContain('verdict HALT->HALT unwatched');
  });

  it('none that starts: nothing is launched, and those that did are stopped', async () => {
    const parts = wardenParts('enforce_kill', { sensors: [new FakeSensor({ fails: new Error('no proc') })] });
    await expect(runWarden(parts.options)).rejects.toThrow('no proc');
    expect(parts.ledger.marks).toEqual([]);
  });

  it('one that does not start is told, and the others watch', async () => {
    const { warden: running, events } = await started('enforce_kill', {
      sensors: [new FakeSensor({ name: 'poll' }), new FakeSensor({ name: 'connector', level: 'L1', fails: new Error('EPERM') })],
    });
    expect(running.level).toBe('L0');
    expect(troubles(events)).toEqual(['sensor connector']);
  });

  it('a session that cannot be recorded does not start', async () => {
    const parts = wardenParts('audit_only');
    parts.ledger.fails = true;
    await expect(runWarden(parts.options)).rejects.toThrow('the disk is full');
    expect(parts.sensor.stopped).toBe(1);
  });

  it('nothing that comes after the end is judged', async () => {
    const { sensor, did, warden: running } = await started('enforce_kill');
    const summary = await running.close();
    sensor.see('KILL');
    expect(sensor.hold('SAFE')).toEqual(['refuse']);
    sensor.host?.died(new Error('late'));
    expect(did).toEqual([]);
    expect(await running.close()).toBe(summary);
  });
});

it('a listener that throws stops nothing', async () => {
  const { sensor, did, questions } = await started('flag_and_hold', {
    onEvent: () => {
      throw new Error('a broken terminal');
    },
  });
  sensor.see('HALT', { actor: AGENT });
  await questions.until(1);
  expect(did).toContain('record frozen');
});

it('the summary counts what there was', async () => {
  const { sensor, warden: running } = await started('audit_only');
  for (const level of ['SAFE', 'SAFE', 'FLAG', 'HALT', 'KILL'] as const) sensor.see(level);
  const { verdicts, activities, rules, incidents, sensors } = await running.close();
  expect({ verdicts, activities }).toEqual({ verdicts: { SAFE: 2, FLAG: 1, HALT: 1, KILL: 1 }, activities: 5 });
  expect([...rules]).toEqual([['a-rule', 3]]);
  expect(incidents).toMatchObject([{ rule: 'a-rule', level: 'HALT', end: 'open' }]);
  expect(sensors).toMatchObject([{ name: 'fake', isAlive: true, lost: 0 }]);
});
