/** The parts by themselves: what a client can do, what a person reads, what a state is good for, which ids are ours. */
import { describe, expect, it } from 'vitest';
import { profileOfRequest, profileOfSession, progressTokenOf } from '../../src/approval/client-profile.ts';
import { MAX_OPEN_ROUNDS, OpenRounds } from '../../src/approval/open-rounds.ts';
import { OwnRequests } from '../../src/approval/own-requests.ts';
import { MAX_ARGUMENT_LINES, MAX_LINE_CHARS, type Question, questionText } from '../../src/approval/question.ts';
import { callDigest, MAX_CARRIED_CHARS, MAX_SPENT, RequestStates, type StateFacts } from '../../src/approval/request-state.ts';

describe('what a client says it can', () => {
  it.each([
    [{}, { form: true, url: false }],
    [{ form: {} }, { form: true, url: false }],
    [{ form: { applyDefaults: true } }, { form: true, url: false }],
    [{ url: {} }, { form: false, url: true }],
    [
      { form: {}, url: {} },
      { form: true, url: true },
    ],
    [{ other: {} }, { form: false, url: false }],
    [
      { form: true, url: 1 },
      { form: false, url: false },
    ],
    [undefined, { form: false, url: false }],
    [null, { form: false, url: false }],
    [true, { form: false, url: false }],
    [[], { form: false, url: false }],
  ])('%j', (elicitation, expected) => {
    expect(profileOfSession({ capabilities: { elicitation } })).toEqual(expected);
    const meta = { 'io.modelcontextprotocol/clientCapabilities': { elicitation } };
    expect(profileOfRequest({ _meta: meta })).toEqual(expected);
  });

  it.each([undefined, null, 1, [], {}, { capabilities: [] }, { capabilities: { Elicitation: {} } }])('nothing from %j', (params) => {
    expect(profileOfSession(params)).toEqual({ form: false, url: false });
  });

  it('takes tokens that are a word or a number', () => {
    expect([progressTokenOf({ _meta: { progressToken: 'a' } }), progressTokenOf({ _meta: { progressToken: 0 } })]).toEqual(['a', 0]);
    expect(progressTokenOf({})).toBeUndefined();
    expect(progressTokenOf({ _meta: { progressToken: {} } })).toBeUndefined();
  });
});

describe('what a person reads', () => {
  const question: Question = { server: 'fs', tool: 'pay', approvalId: 'a1', shown: { amount: 1 }, expiresAtMs: 0 };

  it.each([
    ['a link', '[approve](https://evil.example)'],
    ['an image', '![x](https://evil.example/x.png)'],
    ['markup', '<img src=x onerror=1>'],
    ['another question', '\n\nCountersign: may this tool call run?\n    tool      fs/harmless'],
    ['the end of a code block', '\n```\n# approved'],
    ['a direction', '\u202eyap'],
    ['a colour', '\u001b[31mred'],
    ['nothing to see', '\u200b\u2060\u{e0041}'],
  ])('%s of the agent stays inside the block', (_what, text) => {
    for (const one of [
      { ...question, tool: text },
      { ...question, reason: text, rule: text },
      { ...question, shown: { [text]: text } },
    ]) {
      const lines = questionText(one, true).split('\n');
      const ours = lines.filter((line) => !line.startsWith('    '));
      expect(ours).toEqual([
        'Countersign: may this tool call run?',
        '',
        '',
        'Your answer is good for this one call. If you did not expect it, deny it.',
      ]);
      expect(lines.join('')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    }
  });

  it('is bounded, and says what was left out', () => {
    const wide = questionText({ ...question, shown: { a: 'x'.repeat(100_000) } }, true);
    expect(wide.length).toBeLessThan(2000);
    expect(wide).toContain('line cut; all of it: countersign approvals show a1');
    const long = questionText({ ...question, shown: Array.from({ length: 5000 }, (_, i) => i) }, true);
    expect(long).toContain(`${5002 - MAX_ARGUMENT_LINES} more lines not shown`);
    expect(long.split('\n').every((line) => line.length < MAX_LINE_CHARS + 100)).toBe(true);
  });

  it('has no arguments where the page shows them', () => {
    expect(questionText({ ...question, shown: { word: 'sesame' } }, false)).not.toContain('sesame');
  });
});

describe('our own ids', () => {
  it('are unlike each other, taken once, and known for ever', () => {
    const requests = new OwnRequests();
    const taken: unknown[] = [];
    const [one, two] = [requests.open((response) => taken.push(response)), requests.open((response) => taken.push(response))];
    expect(one.id).not.toBe(two.id);
    const response = { id: one.id, result: 1, isSound: true };
    expect([requests.take(response), requests.take(response)]).toEqual([true, true]);
    two.close();
    expect(requests.take({ id: two.id, isSound: true })).toBe(true);
    expect(taken).toEqual([response]);
    expect(requests.size).toBe(0);
  });

  it.each([undefined, null, 1, [], {}, '', 'countersign:', `countersign:${'0'.repeat(32)}:${'0'.repeat(32)}`])('%j is none', (id) => {
    expect(new OwnRequests().take({ id, isSound: true })).toBe(false);
  });

  it('is none with a character more, less or changed', () => {
    const requests = new OwnRequests();
    const { id } = requests.open(() => {});
    for (let i = 0; i < id.length; i++) {
      const changed = `${id.slice(0, i)}${id[i] === '0' ? '1' : '0'}${id.slice(i + 1)}`;
      for (const other of [changed, id.slice(0, i), `${id}0`, id.toUpperCase(), ` ${id}`])
        expect(requests.take({ id: other, isSound: true })).toBe(false);
    }
    expect(requests.size).toBe(1);
  });
});

describe('a state', () => {
  const facts: StateFacts = {
    owner: 'o',
    call: 'c',
    expiresAtMs: 1000,
    about: { kind: 'approval', approvalId: 'a', way: 'form' },
    carried: { requestState: 'S', inputResponses: { k: { action: 'accept' } } },
  };
  const sealed = (states: RequestStates, more: Partial<StateFacts> = {}): string => states.seal({ ...facts, ...more })?.state ?? '';

  it('gives back what was put into it, once', () => {
    const states = new RequestStates(() => 0);
    const state = sealed(states);
    expect(states.spend(state, facts)).toMatchObject({ kind: 'good', facts });
    expect(states.spend(state, facts)).toEqual({ kind: 'bad', why: 'used' });
  });

  it.each([
    ['another call', { owner: 'o', call: 'd' }, 0, 'another call'],
    ['another client', { owner: 'p', call: 'c' }, 0, 'another client'],
    ['too late', facts, 1000, 'expired'],
  ])('is bad for %s, and not used up by it', (_what, of, nowMs, why) => {
    let now = nowMs;
    const states = new RequestStates(() => now);
    const state = sealed(states);
    expect(states.spend(state, of)).toEqual({ kind: 'bad', why });
    now = 0;
    expect(states.spend(state, facts).kind).toBe('good');
  });

  it('is bad with any character changed or cut, and foreign with another beginning', () => {
    const states = new RequestStates(() => 0);
    const state = sealed(states);
    const beginning = state.indexOf('.', 12) + 1;
    for (let i = 0; i < state.length; i++) {
      const changed = `${state.slice(0, i)}${state[i] === 'A' ? 'B' : 'A'}${state.slice(i + 1)}`;
      const expected = i < beginning ? 'foreign' : 'bad';
      expect(states.spend(changed, facts).kind).toBe(expected);
      expect(states.spend(state.slice(0, i), facts).kind).toBe(expected);
    }
    expect(states.spend(`${state}A`, facts).kind).toBe('bad');
    expect(states.spend(state, facts).kind).toBe('good');
  });

  it.each([undefined, null, 1, '', 'S', {}, ['countersign']])('%j is foreign', (state) => {
    expect(new RequestStates().spend(state, facts)).toEqual({ kind: 'foreign' });
  });

  it('of another proxy is foreign: it goes back where it came from', () => {
    expect(new RequestStates(() => 0).spend(sealed(new RequestStates(() => 0)), facts)).toEqual({ kind: 'foreign' });
  });

  it('carries no more than fits', () => {
    expect(new RequestStates().seal({ ...facts, carried: { requestState: 'x'.repeat(MAX_CARRIED_CHARS) } })).toBeUndefined();
  });

  it('that was used is never good again, however many were used after it and in whatever order', () => {
    const states = new RequestStates(() => 0);
    const all = Array.from({ length: 1.5 * MAX_SPENT }, () => sealed(states));
    // The newest first, then from the oldest on: what is forgotten is not what was used first.
    const inTurn = [...all.slice(-10).reverse(), ...all.slice(0, -10)];
    for (const state of inTurn) states.spend(state, facts);
    expect(all.filter((state) => states.spend(state, facts).kind === 'good')).toEqual([]);
  });

  it('that waits is good until so many younger ones were used that it can no longer be told from a used one', () => {
    const states = new RequestStates(() => 0);
    const [waiting, other] = [sealed(states), sealed(states)];
    for (let i = 0; i < MAX_SPENT; i++) expect(states.spend(sealed(states), facts).kind).toBe('good');
    expect(states.spend(waiting, facts).kind).toBe('good');
    for (let i = 0; i < MAX_SPENT; i++) expect(states.spend(sealed(states), facts).kind).toBe('good');
    expect(states.spend(other, facts)).toEqual({ kind: 'bad', why: 'too old' });
    // And what came meanwhile is as good as ever.
    expect(states.spend(sealed(states), facts).kind).toBe('good');
  });

  it('that has expired is bad, used or not', () => {
    let now = 0;
    const states = new RequestStates(() => now);
    const [used, unused] = [sealed(states, { expiresAtMs: 10 }), sealed(states, { expiresAtMs: 10 })];
    expect(states.spend(used, facts).kind).toBe('good');
    now = 10;
    for (const state of [used, unused]) expect(states.spend(state, facts)).toEqual({ kind: 'bad', why: 'expired' });
    // A clock that is set back makes nothing new of it.
    now = 0;
    expect(states.spend(used, facts)).toEqual({ kind: 'bad', why: 'used' });
  });

  it('is bound to everything that is decided, and to nothing else', () => {
    const of = callDigest('fs', 'pay', { a: 1, b: [2] });
    expect(callDigest('fs', 'pay', { b: [2], a: 1 })).toBe(of);
    for (const other of [
      callDigest('fs', 'pay', { a: 1, b: ['2'] }),
      callDigest('fs', 'pays', { a: 1, b: [2] }),
      callDigest('f', 'spay', { a: 1, b: [2] }),
    ])
      expect(other).not.toBe(of);
  });
});

it('keeps no more than 256 calls open, each for one retry', () => {
  const rounds = new OpenRounds(() => {});
  const permit = {} as Parameters<OpenRounds['keep']>[0];
  const ids = Array.from({ length: MAX_OPEN_ROUNDS }, () => rounds.keep(permit).roundId);
  expect(rounds.isFull).toBe(true);
  expect(rounds.take(ids[0] ?? '')).toBe(permit);
  expect(rounds.take(ids[0] ?? '')).toBeUndefined();
  expect(rounds.isFull).toBe(false);
  expect(rounds.takeAll()).toHaveLength(MAX_OPEN_ROUNDS - 1);
});

it('ends a call whose client does not come back', async () => {
  const permit = {} as Parameters<OpenRounds['keep']>[0];
  const lapsed = await new Promise((resolve) => {
    const rounds = new OpenRounds(resolve, 1);
    rounds.keep(permit);
    // Timers of this kind keep no process alive: something else has to.
    setTimeout(() => {}, 50);
  });
  expect(lapsed).toBe(permit);
});
