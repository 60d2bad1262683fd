import { describe, expect, it } from 'vitest';
import type { Action, Activity } from '../../src/activity.ts';
import { sessionQuarantine } from '../../src/quarantine/session-quarantine.ts';
import { MAX_WRITTEN_FILES, PLACE_RULES, WrittenFiles } from '../../src/quarantine/written-files.ts';
import { RULES } from '../../src/rules/index.ts';
import type { Level, Verdict } from '../../src/verdict.ts';
import { activity, connect, erase, exec, read, write } from '../intent/activities.ts';

const verdict = (level: Level = 'FLAG'): Verdict => ({
  level,
  rule: 'write-outside',
  reason: 'r',
  evaluator: 'rules',
  confidence: 1,
  evidence: [1],
});

function noted(...actions: readonly (readonly [Action, Level?, Partial<Activity>?])[]): WrittenFiles {
  const files = new WrittenFiles();
  actions.forEach(([action, level, more], i) => files.note(activity(action, i + 1, more), verdict(level)));
  return files;
}

const made = (path: string, existed?: boolean): Action => ({ kind: 'write', path, ...(existed !== undefined && { existed }) });

describe('what a session wrote that it should not have', () => {
  it('is what a verdict above SAFE was given for, where it led', () => {
    const files = noted(
      [made('/a', false)],
      [write('/b'), 'SAFE'],
      [{ kind: 'write', path: '/l', resolved: '/c', existed: true }, 'KILL'],
      [read('/d')],
      [exec('x')],
    );
    expect(files.files().map(({ path, existed }) => [path, existed])).toEqual([
      ['/a', false],
      ['/c', true],
    ]);
  });

  it('does not hold what was refused before it happened', () => {
    const files = noted([made('/a', false), 'KILL', { phase: 'before' }], [erase('/b'), 'KILL', { phase: 'before' }]);
    expect(files.files()).toEqual([]);
    expect(files.irreversible).toEqual({ deletions: 0, connections: 0 });
  });

  it('remembers of each what the first write said: at the second one it is there in any case', () => {
    expect(noted([made('/a', false)], [made('/a', true)]).files()).toMatchObject([{ existed: false, seq: 2 }]);
    expect(noted([made('/a', true)], [made('/a', false)]).files()).toMatchObject([{ existed: true }]);
    expect(noted([made('/a')], [made('/a', false)]).files()[0]?.existed).toBeUndefined();
  });

  it('does not know what lay where something was renamed to, whatever is written there later', () => {
    const renamed: Action = { kind: 'rename', path: '/a', to: '/b', existed: false };
    expect(noted([renamed]).files()).toMatchObject([{ path: '/b', existed: undefined, renamed: true }]);
    expect(noted([renamed], [made('/b', false)]).files()).toMatchObject([{ existed: undefined, renamed: true }]);
    expect(noted([made('/b', false)], [renamed]).files()).toMatchObject([{ existed: false, renamed: true }]);
  });

  it('is only what a rule about places was given for', () => {
    const files = new WrittenFiles();
    for (const rule of ['rate-limit', 'flag-accumulation', 'disk-use', 'intent-mismatch'])
      files.note(activity(made('/w/a', false)), { ...verdict('KILL'), rule });
    expect(files.files()).toEqual([]);
    const known = new Set(RULES.map(({ id }) => id));
    expect([...PLACE_RULES].filter((rule) => !known.has(rule))).toEqual([]);
  });

  it('counts what nothing brings back', () => {
    expect(noted([erase('/a')], [erase('/b'), 'SAFE'], [connect('203.0.113.9')], [connect('203.0.113.9'), 'HALT']).irreversible).toEqual({
      deletions: 1,
      connections: 2,
    });
  });

  it('holds so many, and counts the rest', () => {
    const files = new WrittenFiles();
    for (let i = 0; i < MAX_WRITTEN_FILES + 3; i++) files.note(activity(made(`/${i}`, false), i + 1), verdict());
    files.note(activity(made('/0', false), 99), verdict());
    files.note(activity(made('__proto__', false), 100), verdict());
    expect([files.files().length, files.missed]).toEqual([MAX_WRITTEN_FILES, 4]);
  });
});

describe('a session', () => {
  it('hands over what it saw when its tree was ended', async () => {
    const taken: unknown[] = [];
    const result = { quarantined: 0, left: 0, items: [], deletions: 0, connections: 0, duration_ms: 0 };
    const session = sessionQuarantine({
      take: async (files, about) => {
        taken.push([files.map(({ path }) => path), about]);
        return result;
      },
      restore: async () => {
        throw new Error('not asked');
      },
      list: async () => [],
      objection: () => 'not asked',
    });
    session.see(activity(made('/a', false)), verdict());
    session.see(activity(erase('/b')), verdict('HALT'));
    expect(await session.take({ id: 'ab', session: 's1' })).toBe(result);
    expect(taken).toEqual([[['/a'], { incident: 'ab', session: 's1', irreversible: { deletions: 1, connections: 0 }, missed: 0 }]]);
  });
});
