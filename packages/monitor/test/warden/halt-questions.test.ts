import { AFTER_HALT, createGuard, createRedactor, denyAll, monitorHost } from '@countersign/core';
import { memoryStore } from '@countersign/core/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import { haltQuestions } from '../../src/warden/halt-questions.ts';
import { haltWords } from '../../src/warden/halt-words.ts';
import type { HaltAnswer, HaltQuestions, Incident } from '../../src/warden/ports.ts';

const incident: Incident = {
  id: 'e'.repeat(32),
  at: 1,
  session: 'run-1',
  mode: 'flag_and_hold',
  activity: { at: 1, seq: 1, sensor: 's', phase: 'after', action: { kind: 'read', path: '/x' }, attribution: { method: 'none' } },
  verdict: { level: 'HALT', rule: 'mass-deletion', reason: '20 files in 10 s', evaluator: 'rules', confidence: 1, evidence: [1] },
};

const WORDS = haltWords(
  {
    activity: incident.activity,
    waiting: [],
    held: 0,
    hasHappened: true,
    sinceMs: incident.at,
    nowMs: 1,
    level: 'L1',
    onTimeout: 'stay',
  },
  60_000,
  createRedactor(),
);

let store: ReturnType<typeof memoryStore>;
let questions: HaltQuestions;
let approvals: string[];
let onApproval: () => void;

beforeEach(() => {
  store = memoryStore();
  approvals = [];
  onApproval = () => {};
  questions = open();
});

function open(more: Partial<Parameters<typeof haltQuestions>[0]> = {}): HaltQuestions {
  return haltQuestions({
    agent: 'a',
    store,
    session: 'run-1',
    timeoutMs: 60_000,
    onAsked: (_incident, id) => {
      approvals.push(id);
      onApproval();
    },
    ...more,
  });
}

/** As another process with the same store answers: `countersign resume`, the page, a webhook. */
const answerer = () => createGuard({ agent: 'a', policy: denyAll(), store });
const jane = { id: 'jane', method: 'page' } as const;

async function asked(
  round = 0,
  signal = new AbortController().signal,
): Promise<{ readonly id: string; readonly answer: Promise<HaltAnswer> }> {
  const opened = new Promise<void>((resolve) => (onApproval = resolve));
  const answer = questions.ask(incident, WORDS, round, signal, () => {});
  await Promise.race([opened, answer]);
  return { id: approvals.at(-1) ?? '', answer };
}

describe('a halt is asked about', () => {
  it('as a call that shows what it is about', async () => {
    const stop = new AbortController();
    const { id, answer } = await asked(0, stop.signal);
    expect(await answerer().approvals.get(id)).toMatchObject({
      tool: AFTER_HALT,
      session: 'run-1',
      state: 'pending',
      rule: 'after-halt',
      shown: {
        incident: incident.id,
        rule: 'mass-deletion',
        do: 'resume',
        level: 'HALT',
        why: '20 files in 10 s',
        held: ['read /x, by an unknown process (has happened already)'],
        call: 'no tool call is known to have caused it',
        since: '1970-01-01T00:00:00.001Z',
        answers: WORDS.answers,
      },
    });
    stop.abort();
    expect(await answer).toEqual({ do: 'timeout' });
    expect((await answerer().approvals.get(id))?.state).toBe('expired');
  });

  it('approved: it goes on, and the answer is named', async () => {
    const { id, answer } = await asked();
    await answerer().approvals.resolve(id, { decision: 'approve' }, jane);
    expect(await answer).toMatchObject({ do: 'resume', by: 'jane', approval: { id } });
    expect((await answerer().approvals.get(id))?.state).toBe('consumed');
  });

  it.each([undefined, 'run-1'])(
    'an operator halted (%s) since: an approval lets nothing go on, and that of the next question does',
    async (session) => {
      const first = await asked(0);
      await monitorHost({ store, agent: 'a', session: 'person' }).halt(session, 'OPERATOR_HALT');
      await answerer().approvals.resolve(first.id, { decision: 'approve' }, jane);
      expect(await first.answer).toMatchObject({ do: 'failed', error: { message: expect.stringContaining('an operator halted since') } });
      const second = await asked(1);
      await answerer().approvals.resolve(second.id, { decision: 'approve' }, jane);
      expect(await second.answer).toMatchObject({ do: 'resume', by: 'jane', approval: { id: second.id } });
    },
  );

  it('an operator halted since: a no ends all of it', async () => {
    const { id, answer } = await asked(0);
    await monitorHost({ store, agent: 'a', session: 'person' }).halt(undefined, 'OPERATOR_HALT');
    await answerer().approvals.resolve(id, { decision: 'deny' }, jane);
    expect(await answer).toMatchObject({ do: 'kill', by: 'jane' });
  });

  it('denied: all of it is ended', async () => {
    const { id, answer } = await asked();
    await answerer().approvals.resolve(id, { decision: 'deny' }, jane);
    expect(await answer).toMatchObject({ do: 'kill', by: 'jane', approval: { id } });
  });

  it('edited to deny: those that did it are ended', async () => {
    const { id, answer } = await asked();
    const shown = (await answerer().approvals.get(id))?.shown as Record<string, string>;
    await answerer().approvals.resolve(id, { decision: 'edit', args: { ...shown, do: 'deny' } }, jane);
    expect(await answer).toMatchObject({ do: 'deny', by: 'jane', approval: { id } });
  });

  it.each([{ do: 'kill' }, { do: 'anything' }, {}, { do: null }])('edited to what is nothing (%j): all of it is ended', async (args) => {
    const { id, answer } = await asked();
    await answerer().approvals.resolve(id, { decision: 'edit', args }, jane);
    expect((await answer).do).not.toBe('resume');
  });

  it('an answer is used once: the next question of the same incident is another one', async () => {
    const first = await asked(0);
    await answerer().approvals.resolve(first.id, { decision: 'approve' }, jane);
    await first.answer;
    const stop = new AbortController();
    const second = await asked(1, stop.signal);
    expect(second.id).not.toBe(first.id);
    await expect(answerer().approvals.resolve(first.id, { decision: 'approve' }, jane)).rejects.toMatchObject({
      code: 'APPROVAL_NOT_PENDING',
    });
    stop.abort();
    expect(await second.answer).toEqual({ do: 'timeout' });
  });

  it('a grant lets the next halt of that rule go on once, and no other', async () => {
    const first = await asked(0);
    await answerer().approvals.resolve(
      first.id,
      {
        decision: 'approve',
        grant: { ttlMs: 60_000, uses: 1, reason: 'cleaning up', scope: 'session', when: "args.rule == 'mass-deletion'" },
      },
      jane,
    );
    await first.answer;
    expect(await questions.ask({ ...incident, id: 'f'.repeat(32) }, WORDS, 0, new AbortController().signal, () => {})).toEqual({
      do: 'resume',
      by: 'an override',
      isOverride: true,
      approval: { id: expect.stringMatching(/^[0-9a-f]{32}$/), decision: { of: expect.any(Number), leaf: expect.any(String) } },
    });
    const stop = new AbortController();
    onApproval = () => stop.abort();
    expect(await questions.ask({ ...incident, id: '1'.repeat(32) }, WORDS, 0, stop.signal, () => {})).toEqual({ do: 'timeout' });
  });

  it('a grant for one rule says nothing about another', async () => {
    const first = await asked(0);
    const terms = { ttlMs: 60_000, uses: 1, reason: 'r', when: "args.rule == 'mass-deletion'" };
    await answerer().approvals.resolve(first.id, { decision: 'approve', grant: terms }, jane);
    await first.answer;
    const stop = new AbortController();
    onApproval = () => stop.abort();
    const other = { ...incident, id: 'f'.repeat(32), verdict: { ...incident.verdict, rule: 'egress' } };
    expect(await questions.ask(other, WORDS, 0, stop.signal, () => {})).toEqual({ do: 'timeout' });
  });

  it.each(['operator-halt', 'mass-deletion'])(
    'a grant lets nothing go on that an operator halted, also where that has ended: %s',
    async (rule) => {
      const words = { ...WORDS, operator: true } as const;
      const more = { verdict: { ...incident.verdict, rule } };
      const first = await asked(0);
      const grant = { ttlMs: 60_000, uses: 1, reason: 'r', scope: 'session' } as const;
      await answerer().approvals.resolve(first.id, { decision: 'approve', grant }, jane);
      await first.answer;
      const stop = new AbortController();
      onApproval = () => stop.abort();
      expect(await questions.ask({ ...incident, id: 'f'.repeat(32), ...more }, words, 0, stop.signal, () => {})).toEqual({ do: 'timeout' });
    },
  );

  it('nobody answers in time', async () => {
    questions = open({ timeoutMs: 20 });
    expect(await questions.ask(incident, WORDS, 0, new AbortController().signal, () => {})).toEqual({ do: 'timeout' });
    expect((await answerer().approvals.get(approvals[0] ?? ''))?.state).toBe('expired');
  });

  it('a ledger that fails is told, not thrown, and lets nothing go on', async () => {
    await store.close();
    expect(await questions.ask(incident, WORDS, 0, new AbortController().signal, () => {})).toMatchObject({ do: 'failed' });
  });

  it('a channel that cannot be reached leaves the question open for the others', async () => {
    const errors: unknown[] = [];
    questions = open({
      channels: [{ name: 'broken', ask: () => Promise.reject(new Error('no terminal')) }],
      onError: (error) => errors.push(error),
    });
    const { id, answer } = await asked();
    await answerer().approvals.resolve(id, { decision: 'approve' }, jane);
    expect(await answer).toMatchObject({ do: 'resume' });
    expect(errors).toHaveLength(1);
  });

  it('an approver with a key answers with the key only', async () => {
    const { id, answer } = await asked();
    await expect(
      answerer().approvals.resolve(id, { decision: 'approve' }, { id: 'jane', method: 'key', signature: 'AAAA' }),
    ).rejects.toMatchObject({
      code: 'APPROVER_REFUSED',
    });
    await answerer().approvals.resolve(id, { decision: 'deny' }, jane);
    expect(await answer).toMatchObject({ do: 'kill' });
  });
});
