import { describe, expect, it } from 'vitest';
import { cappedAt, type Enforcement, type EnforcementInput, enforcementOf, HOLDS, kindsText, PREVENTABLE } from '../src/enforcement.ts';
import { TRAP_READS } from '../src/kernel/traps.ts';
import { COVERAGE_LEVELS } from '../src/sensor.ts';
import { MONITOR_MODES } from '../src/verdict.ts';

const SEEN = ['exec', 'read', 'write', 'delete', 'rename', 'connect', 'spawn', 'exit'] as const;

const of = (over: Partial<EnforcementInput> = {}): Enforcement =>
  enforcementOf({ mode: 'enforce_kill', gives: [...SEEN, 'memory'], seenLevel: 'L1', freeze: 'gate', ...over });

const holding = (over: Partial<EnforcementInput> = {}): Enforcement => of({ kernel: { trapReads: 'deny-list' }, ...over });

describe('what can be prevented', () => {
  it('nothing without kernel control: what a sensor sees is seen, the rest is off', () => {
    const { level, actions } = of({ gives: ['exec', 'read'], freeze: 'signal' });
    expect(level).toBe('L1');
    expect(actions).toEqual({
      exec: 'seen',
      read: 'seen',
      write: 'off',
      delete: 'off',
      rename: 'off',
      connect: 'off',
      memory: 'off',
      signal: 'off',
    });
  });

  it('racy where calls go on by themselves: level L2, and never called a sandbox', () => {
    const { level, actions, notes } = holding();
    expect(level).toBe('L2');
    expect(new Set(PREVENTABLE.filter((kind) => kind !== 'signal').map((kind) => actions[kind]))).toEqual(new Set(['racy']));
    expect(actions.signal).toBe('exact');
    expect(notes.join('\n')).toMatch(/no sandbox/);
  });

  it('exact for files that are opened for it, programs and connections stay racy: level L3', () => {
    expect(holding({ kernel: { trapReads: 'broker' } })).toMatchObject({
      level: 'L3',
      actions: { read: 'exact', exec: 'racy', write: 'exact', delete: 'exact', rename: 'exact', connect: 'racy' },
    });
  });

  it('reads that are not trapped are as others see them, which is said', () => {
    const { actions, notes } = holding({ kernel: { trapReads: 'off' } });
    expect(actions).toMatchObject({ read: 'seen', write: 'racy' });
    expect(notes).toContain('opens for reading are not held');
    expect(holding({ kernel: { trapReads: 'off' }, gives: ['exec'] }).actions.read).toBe('off');
  });

  it('nothing in audit mode, however it is seen', () => {
    for (const trapReads of TRAP_READS) {
      const { level, actions, notes } = holding({ mode: 'audit_only', kernel: { trapReads } });
      expect(level).toBe('L1');
      expect(PREVENTABLE.filter((kind) => kind !== 'signal' && actions[kind] !== 'seen')).toEqual([]);
      expect(notes.join('\n')).toMatch(/nothing is held/);
    }
  });

  it('what shuts it in is told beside what is held, and makes nothing that is held exact', () => {
    expect(holding({ contain: 'landlock' })).toMatchObject({ level: 'L3', contain: 'landlock', actions: { read: 'racy' } });
    expect(of({ contain: 'srt', mode: 'audit_only' })).toMatchObject({ level: 'L3', contain: 'srt', actions: { read: 'seen' } });
  });

  it('why nothing is held is said', () => {
    const { level, notes, without } = of({ without: 'koffi is missing' });
    expect({ level, without }).toEqual({ level: 'L1', without: 'koffi is missing' });
    expect(notes).toContain('nothing is held before it happens: koffi is missing');
  });

  it('says what freezing by signals, and hot folders, leave open', () => {
    expect(holding({ freeze: 'signal' }).notes.join()).toMatch(/freezing is by signals/);
    expect(holding().notes.join()).not.toMatch(/freezing/);
    expect(holding({ kernel: { trapReads: 'broker', hot: ['/a', '/b'] } }).notes.join()).toMatch(/2 folders named as hot/);
  });

  it('never more than L1, and nothing held, in any combination without kernel control and containment', () => {
    for (const mode of MONITOR_MODES) {
      for (const seenLevel of ['none', 'L0', 'L1'] as const) {
        const { level, actions } = of({ mode, seenLevel });
        expect(level).toBe(seenLevel);
        expect(Object.values(actions).filter((hold) => hold === 'racy' || hold === 'exact')).toEqual([]);
      }
    }
  });
});

describe('what is left of it at a lower level', () => {
  const all = [of(), holding(), holding({ kernel: { trapReads: 'broker' } }), holding({ contain: 'landlock' })];

  it('is never more than it was, and never more than the level allows', () => {
    for (const each of all) {
      for (const level of ['none', ...COVERAGE_LEVELS] as const) {
        const capped = cappedAt(each, level);
        for (const kind of PREVENTABLE) {
          expect(HOLDS.indexOf(capped.actions[kind])).toBeLessThanOrEqual(HOLDS.indexOf(each.actions[kind]));
          if (level === 'L0' || level === 'L1') expect(['off', 'seen']).toContain(capped.actions[kind]);
          if (level === 'none') expect(capped.actions[kind]).toBe('off');
        }
      }
    }
  });

  it('is the same at the same level, or a higher one', () => {
    for (const each of all) expect([cappedAt(each, each.level), cappedAt(each, 'L3')]).toEqual([each, each]);
  });

  it('a containment of which the ledger does not know is not told', () => {
    expect(cappedAt(holding({ contain: 'landlock' }), 'L2')).not.toHaveProperty('contain');
  });

  it('a file that lacks kinds, or claims a level there is not, gets nothing for it', () => {
    // As it may stand in a file that somebody else wrote.
    const claimed = { ...holding(), level: 'L9', actions: { exec: 'exact' } } as unknown as Enforcement;
    expect(cappedAt(claimed, 'L2')).toMatchObject({ level: 'none', actions: { exec: 'off', read: 'off', signal: 'off' } });
    expect(cappedAt({ ...claimed, level: 'L1' }, 'L3').actions).toMatchObject({ exec: 'seen', read: 'off' });
    expect(cappedAt(holding(), '__proto__')).toMatchObject({ level: 'none', actions: { exec: 'off' } });
  });
});

it('names the kinds in words', () => {
  expect(kindsText(holding(), 'racy')).toBe('programs, reading, writing, deleting, renaming, connections, memory of other processes');
  expect(kindsText(holding(), 'exact')).toBe('signals to the monitor');
  expect(kindsText(of(), 'exact', 'racy')).toBe('');
});
