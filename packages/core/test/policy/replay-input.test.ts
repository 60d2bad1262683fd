import { describe, expect, it } from 'vitest';
import type { Json } from '../../src/call.ts';
import { newId } from '../../src/ledger/body.ts';
import { commitSection, newOpeningKey } from '../../src/ledger/commitment.ts';
import type { DecisionBody, EntryStamp, Opening } from '../../src/ledger/entry.ts';
import { countOf, countSubject } from '../../src/policy/call-counts.ts';
import { type ReplayedCall, type ReplaySession, replayInput } from '../../src/policy/replay-input.ts';
import { rulePolicy } from '../../src/policy/rules.ts';

const SESSION: ReplaySession = { id: 's1', labels: ['seen'], halted: false, startedAtMs: 1000, version: 3, countCalls: () => 7 };

type Recorded = readonly [EntryStamp & DecisionBody, Opening];

function recorded(sections: { readonly [section: string]: Json }, more: Partial<DecisionBody> = {}): Recorded {
  const opening = { key: newOpeningKey(), sections };
  const commits = Object.fromEntries(
    Object.entries(sections).map(([name, value]) => [`${name}_commit`, commitSection(opening.key, name, value)]),
  );
  const entry: EntryStamp & DecisionBody = {
    v: 1,
    id: newId(),
    at: 5000,
    writer: newId(),
    kind: 'decision',
    agent: 'bot',
    session: 's1',
    call: newId(),
    principal: 'ann',
    tool: { server: 'files', name: 'read' },
    mode: 'audit',
    effect: 'allow',
    would: 'allow',
    reason_code: 'POLICY_ALLOW_LOW_RISK',
    policy: { id: 'p', hash: 'a'.repeat(64) },
    ...commits,
    ...more,
  };
  return [entry, opening];
}

function replayed([entry, opening]: Recorded): ReplayedCall {
  const replay = replayInput(entry, opening, SESSION);
  if ('obstacle' in replay) throw new Error(replay.obstacle);
  return replay;
}

describe('replayInput', () => {
  it('gives back what the policy saw', () => {
    const facts = {
      annotations: { readOnlyHint: true },
      at: 4990,
      calls: { upload: 2 },
      cost: 5,
      findings: [{ kind: 'jwt', pointer: '/t' }],
      lookups: { 'path:/a': '/b' },
    };
    const { input, missing } = replayed(recorded({ args: { p: '/a' }, facts, reason: 'because' }, { redacted: ['jwt'] }));
    expect({ ...input }).toMatchObject({
      tool: { server: 'files', name: 'read', annotations: { readOnlyHint: true } },
      args: { p: '/a' },
      agent: 'bot',
      principal: 'ann',
      session: { labels: ['seen'], startedAtMs: 1000 },
      mode: 'audit',
      cost: 5,
      atMs: 4990,
      findings: facts.findings,
    });
    expect(input.countCalls?.('upload')).toBe(2);
    expect(input.lookups?.lookUp('path', '/a', () => 'read')).toBe('/b');
    expect(missing()).toEqual([]);
  });

  it('takes the time of the entry and counts from the walk where nothing was recorded', () => {
    const { input, missing } = replayed(recorded({ args: {} }));
    expect([input.atMs, input.countCalls?.('upload'), input.countCalls?.('constructor')]).toEqual([5000, 7, 7]);
    expect(missing()).toEqual([]);
  });

  it('names what another policy asks for and nobody recorded', () => {
    const { input, missing } = replayed(recorded({ args: {} }, { redacted: ['jwt'] }));
    expect(() => input.raw('/path')).toThrow('never recorded');
    expect(() => input.lookups?.lookUp('path', '/x', () => 'read')).toThrow('not recorded');
    expect(input.findings).toEqual([]);
    expect(missing()).toEqual(['raw /path', 'path:/x', 'findings']);
  });

  it('a rule over raw arguments fails closed and is told', () => {
    const policy = rulePolicy({ id: 'p', rules: [{ id: 'r', tools: ['*'], raw: ['/p'], when: 'raw["/p"] == "x"', effect: 'deny' }] });
    const { input, missing } = replayed(recorded({ args: {} }));
    expect(policy.evaluate(input)).toMatchObject({ effect: 'deny', reasonCode: 'POLICY_EVALUATION_FAILED' });
    expect(missing()).toEqual(['raw /p']);
  });

  it.each<[string, (good: Recorded) => readonly [EntryStamp & DecisionBody, Opening | undefined], string]>([
    ['arguments were never captured', ([{ args_commit: _gone, ...entry }, opening]) => [entry, opening], 'no-arguments'],
    ['the opening is gone', ([entry]) => [entry, undefined], 'forgotten'],
    [
      'the arguments are withheld',
      ([entry, { key, sections }]) => [entry, { key, sections: { facts: sections['facts'] as Json } }],
      'forgotten',
    ],
    ['the facts are withheld', ([entry, { key, sections }]) => [entry, { key, sections: { args: sections['args'] as Json } }], 'forgotten'],
    ['the arguments were changed', ([entry, { key, sections }]) => [entry, { key, sections: { ...sections, args: {} } }], 'altered'],
    ['the facts were changed', ([entry, { key, sections }]) => [entry, { key, sections: { ...sections, facts: { at: 2 } } }], 'altered'],
    ['facts were added', ([{ facts_commit: _gone, ...entry }, opening]) => [entry, opening], 'altered'],
    ['the key is another', ([entry, { sections }]) => [entry, { key: newOpeningKey(), sections }], 'altered'],
  ])('says so when %s', (_what, change, obstacle) => {
    const [entry, opening] = change(recorded({ args: { a: 1 }, facts: { at: 1 } }));
    expect(replayInput(entry, opening, SESSION)).toEqual({ obstacle });
  });

  it.each<[Json]>([[5], [[]], ['at'], [{ at: -1 }], [{ at: '1' }], [{ other: 1 }], [{ findings: [{ kind: 1 }] }], [{ calls: { a: 0.5 } }]])(
    'facts of another shape are not guessed at: %j',
    (facts) => {
      const [entry, opening] = recorded({ args: {}, facts });
      expect(replayInput(entry, opening, SESSION)).toEqual({ obstacle: 'altered' });
    },
  );
});

describe('counting', () => {
  const tools = [
    { tool: { name: 'upload' }, count: 1 },
    { tool: { server: 'drive', name: 'upload' }, count: 2 },
    { tool: { server: 'drive', name: 'list' }, count: 4 },
  ];
  it.each([
    ['upload', 'wide', 3],
    ['upload', 'narrow', 1],
    ['drive/upload', 'wide', 2],
    ['drive/*', 'narrow', 6],
    ['*', 'wide', 7],
    ['*', 'narrow', 1],
    ['nothing', 'wide', 0],
  ] as const)('%s, %s', (pattern, reach, count) => expect(countOf(countSubject(pattern, reach), tools)).toBe(count));
});
