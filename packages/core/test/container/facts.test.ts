import { describe, expect, it } from 'vitest';
import { factsOf } from '../../src/container/facts.ts';
import type { RecordFacts } from '../../src/container/record-facts.ts';
import type { LedgerRecord } from '../../src/container/records.ts';
import { selection } from '../../src/container/selection.ts';
import { leafHash } from '../../src/ledger/merkle.ts';
import { GOLDEN } from '../formats/ledger.ts';
import { hasVectors, vectorText } from '../vectors.ts';

const record = (text: string, index = 0): LedgerRecord => ({ index, text });

describe('the facts of an entry', () => {
  it('are those of the golden ledger', () => {
    const facts = GOLDEN.map(({ text }, index) => factsOf(record(text, index), 'sqlite'));
    expect(facts.map(({ kind }) => kind)).toEqual(GOLDEN.map(({ text }) => JSON.parse(text).kind));
    expect(facts[3]).toMatchObject({
      leaf: leafHash(GOLDEN[3]?.text ?? ''),
      time: '2026-01-01T00:00:03.000Z',
      agent: 'billing-bot',
      session: 's1',
      principal: 'ada',
      tool: { server: 'bank', name: 'refund' },
      effect: 'allow',
      would: 'allow',
      reasonCode: 'POLICY_ALLOW_LOW_RISK',
      rule: 'small-refund',
      policy: { id: 'billing', version: '3' },
    });
    expect(facts[4]).toMatchObject({ status: 'success', durationMs: 42, decision: 3 });
    expect(facts[7]).toMatchObject({ approval: '000000000000000000000000000000c9', approver: 'finance', answer: 'approve', decision: 6 });
    expect(facts[8]).toMatchObject({ approval: '000000000000000000000000000000c9', effect: 'allow' });
  });

  it.each([
    '',
    'null',
    '[]',
    '"decision"',
    '{"kind":"decision"',
    `${'['.repeat(200_000)}`,
    `{"kind":"note","data":${'['.repeat(129)}${']'.repeat(129)}}`,
  ])('of what is no entry are that it is none (%#)', (text) => {
    for (const container of ['sqlite', 'jsonl', 'sudoagent-sqlite', 'sudoagent-jsonl'] as const) {
      expect(factsOf(record(text), container)).toEqual({ index: 0, leaf: leafHash(text), kind: 'unreadable', shown: new Map() });
    }
  });

  it('leave out what has another type, and what only a prototype has', () => {
    const text =
      '{"kind":"decision","agent":1,"at":"now","call":null,"effect":["allow"],"tool":"x","approver":3,"decision":{"of":-1},"__proto__":{"session":"s"}}';
    expect(factsOf(record(text), 'sqlite')).toEqual({
      index: 0,
      leaf: leafHash(text),
      kind: 'decision',
      shown: new Map(),
      body: JSON.parse(text),
    });
    expect(factsOf(record('{"kind":"constructor","at":9007199254740991}'), 'sqlite')).not.toHaveProperty('time');
  });
});

describe.skipIf(!hasVectors('sudoagent-v2'))('the facts of a SudoAgent entry', () => {
  const facts = (): readonly RecordFacts[] =>
    vectorText('sudoagent-v2/small-signed.jsonl')
      .trimEnd()
      .split('\n')
      .map((line, index) => factsOf(record(line, index), 'sudoagent-jsonl'));

  it('are in our words', () => {
    const [decision, outcome] = facts();
    expect(decision).toMatchObject({
      leaf: '4e7c27a585f2120d5477ae001f4b556c307e113266848ed884d0c92e3db9f4c5',
      kind: 'decision',
      time: '2026-11-22T04:46:52.149059Z',
      agent: 'agent:small',
      call: '445612ef-f547-4238-99c2-9f43a7bc381c',
      tool: { name: 'fixture.tools.read_file' },
      effect: 'allow',
      reasonCode: 'POLICY_ALLOW_LOW_RISK',
      policy: { id: 'fixture.policy', version: '2026-11-22' },
    });
    expect(decision?.shown.get('args')).toEqual({ args: ['/srv/report.txt'], kwargs: { limit: 10 } });
    expect(outcome).toMatchObject({ kind: 'outcome', status: 'success', call: decision?.call });
    expect(outcome).not.toHaveProperty('effect');
  });

  it('let outcomes follow their decision', () => {
    const isMeant = selection({ effect: 'allow' });
    const found = facts().filter(isMeant);
    const calls = new Set(found.flatMap(({ kind, call }) => (kind === 'decision' ? [call] : [])));
    expect(found.filter(({ kind }) => kind === 'outcome').length).toBeGreaterThan(0);
    expect(found.every(({ call, kind, effect }) => calls.has(call) && (kind === 'outcome' || effect === 'allow'))).toBe(true);
    expect(
      facts()
        .filter(selection({ effect: 'deny' }))
        .every(({ kind }) => kind === 'decision'),
    ).toBe(true);
  });

  it('keep numbers that a double cannot hold', () => {
    const text =
      '{"event":"decision","parameters":{"args":[1180591620717411303424,12345678901234567890,0.1234567890123456789,7],"kwargs":{}}}';
    expect(factsOf(record(text), 'sudoagent-jsonl').shown.get('args')).toEqual({
      args: ['1180591620717411303424', '12345678901234567890', '0.1234567890123456789', 7],
      kwargs: {},
    });
  });
});

describe('a selection', () => {
  const decision = (index: number, call: string, more: object = {}): RecordFacts =>
    factsOf(record(JSON.stringify({ kind: 'decision', call, effect: 'allow', tool: { name: 't' }, ...more }), index), 'sqlite');
  const outcome = (index: number, of: number, call = 'c'): RecordFacts =>
    factsOf(record(JSON.stringify({ kind: 'outcome', call, decision: { of } }), index), 'sqlite');

  it('takes an outcome only with its own decision, whatever call it names', () => {
    const isMeant = selection({ tool: 'wanted' });
    expect(isMeant(decision(0, 'a', { tool: { name: 'wanted' } }))).toBe(true);
    expect(isMeant(decision(1, 'b'))).toBe(false);
    expect(isMeant(outcome(2, 1, 'a'))).toBe(false);
    expect(isMeant(outcome(3, 0, 'b'))).toBe(true);
    expect(isMeant(outcome(4, 9))).toBe(false);
    expect(isMeant(outcome(5, Number.MAX_SAFE_INTEGER))).toBe(false);
  });

  it('without criteria takes everything, also what belongs to nothing', () => {
    const isMeant = selection({});
    for (const facts of [outcome(0, 7), outcome(1, 0), factsOf(record('x', 2), 'sqlite')]) expect(isMeant(facts)).toBe(true);
  });
});
