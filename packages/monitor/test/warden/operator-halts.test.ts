import { type EntryRef, type Halt } from '@countersign/core';
import { afterEach, describe, expect, it } from 'vitest';
import type { MonitorMode } from '../../src/verdict.ts';
import type { Warden } from '../../src/warden/ports.ts';
import { runWarden } from '../../src/warden/warden.ts';
import { troubles, wardenParts } from './fakes.ts';

const APPROVAL = { id: 'ap', decision: { of: 7, leaf: 'cd'.repeat(32) } };
let warden: Warden | undefined;

afterEach(async () => {
  await warden?.close();
  warden = undefined;
});

function halt(of: number, more: Partial<Halt> = {}): Halt {
  const entry: EntryRef = { of, leaf: String(of).padStart(64, '0') };
  return { by: 'person', agent: 'a', atMs: 1, reasonCode: 'OPERATOR_HALT', entry, operator: entry, ...more };
}

async function started(mode: MonitorMode, standing: readonly Halt[] | Error = [], more: Parameters<typeof wardenParts>[1] = {}) {
  const parts = wardenParts(mode, more);
  parts.ledger.standing = standing;
  warden = await runWarden(parts.options);
  return { ...parts, warden };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const settled = async (): Promise<void> => {
  await warden?.settled();
  await turn();
};
const STOPPED = ['freeze', 'verdict HALT->HALT operator-halt', 'record frozen', 'evidence'];

describe.each(['audit_only', 'flag_and_hold', 'enforce_kill'] as const)('an operator’s halt, in mode %s', (mode) => {
  it('freezes the tree, goes on record, and is asked about', async () => {
    const { ledger, did, questions, warden: running } = await started(mode);
    expect(did).toEqual([]);
    ledger.standing = [halt(4)];
    await ledger.look();
    await questions.until(1);
    expect(did).toEqual(STOPPED);
    expect(running.isHolding).toBe(true);
    expect(questions.asked[0]?.verdict).toMatchObject({
      rule: 'operator-halt',
      reason: expect.stringMatching(/every session .*entry 5\b/),
    });
  });

  it('goes on by the answer of a person only, which is on record before, and stays answered', async () => {
    const { ledger, did, questions, warden: running } = await started(mode, [halt(4)]);
    await questions.until(1);
    for (let i = 0; i < 3; i++) await ledger.look();
    expect(running.isHolding).toBe(true);
    questions.answer({ do: 'resume', by: 'jane', approval: APPROVAL });
    await settled();
    expect(did).toEqual([...STOPPED, 'record resumed', 'resume']);
    expect(ledger.records.at(-1)).toMatchObject({ event: 'resumed', approval: APPROVAL });
    for (let i = 0; i < 3; i++) await ledger.look();
    expect(running.isHolding).toBe(false);
    expect(questions.asked).toHaveLength(1);
  });

  it('its end without an answer lets nothing go on', async () => {
    const { ledger, did, questions, warden: running } = await started(mode, [halt(4)]);
    await questions.until(1);
    ledger.standing = [];
    for (let i = 0; i < 3; i++) await ledger.look();
    expect(running.isHolding).toBe(true);
    expect(did).not.toContain('resume');
  });

  it.each(['kill', 'deny'] as const)('%s ends all of it', async (answer) => {
    const { did, questions, warden: running } = await started(mode, [halt(4)]);
    await questions.until(1);
    questions.answer({ do: answer, by: 'jane' });
    await settled();
    expect(did.slice(-2)).toEqual(['kill', 'record killed']);
    expect(running.ended).toEqual({ by: 'operator', left: 0 });
  });
});

describe('what is followed', () => {
  it('a halt that stood before the session began: nothing of it runs first', async () => {
    const { did } = await started('enforce_kill', [halt(4)]);
    expect(did[0]).toBe('freeze');
  });

  it('that of the warden’s own session', async () => {
    const { did, questions } = await started('enforce_kill', [halt(4, { session: 'run-1' })]);
    await questions.until(1);
    expect(did).toEqual(STOPPED);
    expect(questions.asked[0]?.verdict.reason).toMatch(/this session/);
  });

  it.each([
    ['of another session', { session: 'run-2' }],
    ['of a session of no name', { session: '' }],
  ])('not one %s', async (_what, more) => {
    const { ledger, did } = await started('enforce_kill', [halt(4, more)]);
    await ledger.look();
    expect(did).toEqual([]);
  });

  it.each([
    ['of every session', {}],
    ['of its own session', { session: 'run-1' }],
  ])('not one by a monitor, %s', async (_what, more) => {
    const { operator: _none, ...bare } = halt(4, { reasonCode: 'MONITOR_HALTED', ...more });
    const { ledger, did } = await started('enforce_kill', [bare]);
    await ledger.look();
    expect(did).toEqual([]);
  });

  it('one that a monitor halted once more before it was seen, and that one only once', async () => {
    const operator = halt(4).entry;
    const { ledger, did, questions } = await started('enforce_kill', [halt(6, { reasonCode: 'MONITOR_HALTED', operator })]);
    await questions.until(1);
    expect(questions.asked[0]?.verdict.reason).toMatch(/entry 5\b/);
    ledger.standing = [halt(8, { reasonCode: 'MONITOR_HALTED', operator })];
    await ledger.look();
    expect(did).toEqual(STOPPED);
  });

  it('halted anew after an answer, it stops anew', async () => {
    const { ledger, did, questions } = await started('enforce_kill', [halt(4)]);
    await questions.until(1);
    questions.answer({ do: 'resume', by: 'jane', approval: APPROVAL });
    await settled();
    ledger.standing = [halt(9)];
    await ledger.look();
    await questions.until(2);
    expect(did.filter((each) => each === 'freeze')).toHaveLength(2);
  });

  it('two at once are one incident', async () => {
    const { questions, ledger } = await started('enforce_kill', [halt(4), halt(5, { session: 'run-1' })]);
    await questions.until(1);
    await turn();
    expect(new Set(ledger.records.map(({ incident }) => incident)).size).toBe(1);
    expect(questions.asked).toHaveLength(1);
  });

  it('nothing once the warden was closed', async () => {
    const { ledger, did, warden: running } = await started('enforce_kill');
    await running.close();
    ledger.standing = [halt(4)];
    await ledger.look();
    expect(did).toEqual([]);
  });

  it('nothing that is read while it closes', async () => {
    const { ledger, did, warden: running } = await started('enforce_kill');
    let answer: (halts: readonly Halt[]) => void = () => {};
    ledger.halts = () => new Promise((resolve) => (answer = resolve));
    await ledger.look();
    await running.close();
    answer([halt(4)]);
    await turn();
    expect(did).toEqual([]);
  });
});

describe('while the tree is held for something else', () => {
  it('joins that incident, and is on record', async () => {
    const { ledger, sensor, did, questions } = await started('enforce_kill');
    sensor.see('HALT');
    await questions.until(1);
    ledger.standing = [halt(4)];
    await ledger.look();
    expect(did).toContain('verdict HALT->HALT operator-halt');
    expect(questions.asked).toHaveLength(1);
    expect(new Set(ledger.records.map(({ incident }) => incident)).size).toBe(1);
  });

  it.each(['resume', 'deny'] as const)('%s, of who was asked before, lets nothing go on: it is asked anew', async (answer) => {
    const { ledger, sensor, did, questions, warden: running } = await started('enforce_kill');
    sensor.see('HALT');
    await questions.until(1);
    ledger.standing = [halt(4)];
    await ledger.look();
    questions.answer({ do: answer, by: 'jane', approval: APPROVAL, ...(answer === 'resume' && { isOverride: true }) });
    await questions.until(2);
    expect(running.isHolding).toBe(true);
    expect(did.filter((each) => /^(kill|resume|record (resumed|denied))/.test(each))).toEqual([]);
    questions.answer({ do: 'resume', by: 'jane', approval: APPROVAL });
    await settled();
    expect(did.at(-1)).toBe('resume');
  });

  it('kill, of who was asked before, ends all of it', async () => {
    const { ledger, sensor, questions, warden: running } = await started('enforce_kill');
    sensor.see('HALT');
    await questions.until(1);
    ledger.standing = [halt(4)];
    await ledger.look();
    questions.answer({ do: 'kill', by: 'jane' });
    await settled();
    expect(running.ended).toEqual({ by: 'operator', left: 0 });
  });

  it('that comes while an answer is followed stops what that lets go on', async () => {
    const { ledger, sensor, did, questions } = await started('enforce_kill');
    sensor.see('HALT');
    await questions.until(1);
    ledger.fails = true;
    questions.answer({ do: 'resume', by: 'jane', approval: APPROVAL });
    await turn();
    ledger.standing = [halt(4)];
    await ledger.look();
    await ledger.look();
    expect(did).not.toContain('verdict HALT->HALT operator-halt');
    ledger.fails = false;
    while (!did.includes('resume')) await turn();
    await ledger.look();
    await questions.until(2);
    expect(did.slice(did.indexOf('resume'))).toEqual(['resume', ...STOPPED]);
    expect(questions.asked[1]?.id).not.toBe(questions.asked[0]?.id);
  });

  it('who is ended by a no cannot be told any more: all of it is', async () => {
    const { ledger, sensor, did, questions } = await started('enforce_kill');
    sensor.see('HALT');
    await questions.until(1);
    ledger.standing = [halt(4)];
    await ledger.look();
    questions.answer({ do: 'deny', by: 'jane' });
    await questions.until(2);
    questions.answer({ do: 'deny', by: 'jane' });
    await settled();
    expect(did.filter((each) => each.startsWith('kill'))).toEqual(['kill']);
  });
});

describe('a ledger that cannot be read', () => {
  it('is told of once, and stops nothing', async () => {
    const { ledger, did, events } = await started('enforce_kill', new Error('it is locked'));
    for (let i = 0; i < 3; i++) await ledger.look();
    expect(troubles(events)).toEqual(['looking for halts']);
    expect(did).toEqual([]);
  });

  it('is followed again once it can be, and told of anew when it cannot', async () => {
    const { ledger, events, questions } = await started('enforce_kill', new Error('it is locked'));
    ledger.standing = [];
    await ledger.look();
    ledger.standing = new Error('again');
    await ledger.look();
    expect(troubles(events)).toHaveLength(2);
    ledger.standing = [halt(4)];
    await ledger.look();
    await questions.until(1);
  });

  it('does not make a halt that was answered count again', async () => {
    const { ledger, did, questions } = await started('enforce_kill', [halt(4)]);
    await questions.until(1);
    questions.answer({ do: 'resume', by: 'jane', approval: APPROVAL });
    await settled();
    ledger.standing = new Error('it is locked');
    await ledger.look();
    ledger.standing = [halt(4)];
    await ledger.look();
    expect(did.filter((each) => each === 'freeze')).toHaveLength(1);
  });
});

describe('in audit mode', () => {
  it('what rules find stops nothing, before and while it is held', async () => {
    const { ledger, sensor, did, questions } = await started('audit_only');
    sensor.see('KILL');
    await turn();
    expect(did).not.toContain('freeze');
    ledger.standing = [halt(4)];
    await ledger.look();
    await questions.until(1);
    sensor.see('KILL', { rule: 'other' });
    await turn();
    expect(did).not.toContain('kill');
    expect(did).toContain('verdict KILL->FLAG other');
  });

  it('is on record under the mode that it is held in, and others under their own', async () => {
    const { ledger, sensor, questions } = await started('audit_only', [halt(4)]);
    await questions.until(1);
    sensor.see('HALT');
    await turn();
    const modes = ledger.records.flatMap((record) => (record.kind === 'verdict' ? [`${record.mode} ${record.rule}`] : []));
    expect(modes).toEqual(['flag_and_hold operator-halt', 'audit_only a-rule']);
  });

  it('no sensor can say an operator’s word', async () => {
    const { sensor, did } = await started('audit_only');
    sensor.see('KILL', { rule: 'operator-halt' });
    await turn();
    expect(did).not.toContain('freeze');
  });
});

it('says in its question that calls stay refused, and that a no is for all of it', async () => {
  const { events, questions } = await started('enforce_kill', [halt(4)]);
  await questions.until(1);
  const words = events.flatMap((event) => (event.kind === 'asked' ? [event.words] : []));
  expect(words).toMatchObject([
    {
      held: ['the whole process tree, by the word of an operator: countersign halt'],
      answers: {
        resume: expect.stringMatching(/^its processes go on; its calls stay refused .*countersign resume --all/),
        deny: 'the whole process tree is ended',
        kill: 'the whole process tree is ended',
      },
    },
  ]);
});
