import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Json, ToolCall } from '../../src/call.ts';
import { checkReceipt, createGuard, definePolicy, type Guard, type Policy, rulePolicy } from '../../src/index.ts';
import { checkOpening } from '../../src/ledger/commitment.ts';
import type { DecisionBody, EntryStamp, Opening } from '../../src/ledger/entry.ts';
import { factsSection, MAX_FINDINGS_CHARS } from '../../src/policy/facts.ts';
import type { Rule } from '../../src/policy/rule-definition.ts';
import { discloseFields, forgetClearText, makeReceipt, replayDecisions, verifyLedger } from '../../src/sqlite/index.ts';
import { fixedClock, type MemoryStore, memoryStore } from '../../src/testing/index.ts';
import { commitsOf } from '../../src/verify/openings.ts';
import { LEDGER_VKEY, openLedger, tempDirectory } from '../fixtures/ledger.ts';

interface Recorded {
  readonly entry: EntryStamp & DecisionBody;
  readonly opening: Opening | undefined;
}

function decisionsOf(store: MemoryStore): readonly Recorded[] {
  const openings = store.openings();
  return store.entries().flatMap((entry, of) => (entry.kind === 'decision' ? [{ entry, opening: openings.get(of) }] : []));
}

function rules(...list: readonly Rule[]): Policy {
  return rulePolicy({ id: 'p', default: 'allow', rules: list });
}

const NOW = 1_767_225_600_000;

function guardWith(policy: Policy): { readonly guard: Guard; readonly decisions: () => readonly Recorded[] } {
  const store = memoryStore({ clock: fixedClock(NOW) });
  return { guard: createGuard({ agent: 'tester', session: 's1', policy, store }), decisions: () => decisionsOf(store) };
}

async function factsOf(policy: Policy, call: ToolCall): Promise<Json | undefined> {
  const { guard, decisions } = guardWith(policy);
  await guard.authorize(call, { approval: 'suspend' });
  const { entry, opening } = decisions().at(-1) as Recorded;
  const facts = opening?.sections['facts'];
  expect(entry.facts_commit === undefined).toBe(facts === undefined);
  expect(checkOpening(Object.fromEntries(commitsOf({ ...entry } as unknown as Opening['sections'])), opening as Opening)).toEqual([]);
  return facts;
}

const PLAIN: ToolCall = { tool: { name: 'read' }, args: { a: 1 } };
const weekday: Rule = { id: 'r', tools: ['read'], when: 'time.getFullYear() > 2000', effect: 'allow' };

describe('facts of a decision', () => {
  it('most calls have none: no member, no section, no commitment', async () => {
    const policy = rules({ id: 'r', tools: ['read'], when: 'args.a == 1 && session.id == "s1" && mode == "enforce"', effect: 'allow' });
    expect(await factsOf(policy, PLAIN)).toBeUndefined();
  });

  it.each<[string, Rule['effect']]>([
    ['an allow', 'allow'],
    ['an ask', 'require_approval'],
    ['a refusal', 'deny'],
  ])('of %s tell the time that a rule read', async (_what, effect) => {
    expect(await factsOf(rules({ ...weekday, effect }), PLAIN)).toEqual({ at: NOW });
  });

  it('tell the time that a function read', async () => {
    const policy = definePolicy({ id: 'f', evaluate: ({ atMs }) => ({ effect: atMs > 0 ? 'allow' : 'deny' }) });
    expect(await factsOf(policy, PLAIN)).toEqual({ at: NOW });
  });

  it('tell annotations, findings and cost whether or not a rule read them: another rule may want to know later', async () => {
    const call: ToolCall = {
      tool: { name: 'read', annotations: { readOnlyHint: true, title: 'Reads' } },
      args: { password: 'hunter2-and-more' },
      cost: 5,
    };
    const facts = await factsOf(rules(), call);
    expect(facts).toEqual({
      annotations: { readOnlyHint: true, title: 'Reads' },
      cost: 5,
      findings: [expect.objectContaining({ pointer: '/password' })],
    });
    expect(JSON.stringify(facts)).not.toContain('hunter2');
  });

  it.each<[string, unknown, Json | undefined]>([
    ['unknown members', { readOnlyHint: true, secret: 'x' }, { annotations: { readOnlyHint: true } }],
    ['hints that are no yes or no', { readOnlyHint: 'true', destructiveHint: 1, openWorldHint: null }, undefined],
    ['a title that is no text', { title: { toString: () => 'x' } }, undefined],
    ['nothing', {}, undefined],
    ['no object', 'readOnlyHint', undefined],
    ['an own __proto__', JSON.parse('{"__proto__":{"readOnlyHint":true}}'), undefined],
    ['a long title', { title: 'a b '.repeat(1000) }, { annotations: { title: 'a b '.repeat(64) } }],
  ])('of annotations with %s keep what is known', async (_what, annotations, facts) => {
    const call = { tool: { name: 'read', annotations }, args: {} } as ToolCall;
    expect(await factsOf(rules(), call)).toEqual(facts);
  });

  it('hold no secret that a title carries', async () => {
    const title = 'use ghp_16C7e42F292c6912E7710c838347Ae178B4a';
    const facts = await factsOf(rules(), { tool: { name: 'read', annotations: { title } }, args: {} });
    expect(JSON.stringify(facts)).not.toContain('ghp_16C7');
  });

  it('leave out findings whose pointers an agent made very long', () => {
    const findings = [{ kind: 'jwt', pointer: `/${'a'.repeat(MAX_FINDINGS_CHARS)}` }];
    expect(factsSection({ tool: {}, findings })).toBeUndefined();
    expect(factsSection({ tool: {}, findings: [{ kind: 'jwt', pointer: '/a' }] })).toEqual({ findings: [{ kind: 'jwt', pointer: '/a' }] });
  });

  it('are no part of what refused calls that reached no policy tell', async () => {
    const { guard, decisions } = guardWith(rules(weekday));
    await guard.authorize({ tool: { name: 'read' }, args: Number.NaN });
    expect(decisions().map(({ entry }) => [entry.reason_code, entry.facts_commit])).toEqual([['ARGUMENTS_INVALID', undefined]]);
  });
});

describe('facts in a ledger', () => {
  it('verify and travel with a receipt; changed ones are told', async () => {
    const path = join(tempDirectory(), 'ledger.db');
    const store = openLedger(path, { clock: fixedClock(NOW) });
    const guard = createGuard({ agent: 'tester', session: 's1', policy: rules(weekday), store });
    await guard.run(PLAIN, () => 'done');
    await guard.close();
    await store.close();
    const check = () => verifyLedger(path, { publicKeys: [LEDGER_VKEY], strict: true });
    expect(await check()).toMatchObject({ problems: [], warnings: [] });

    const { default: Sqlite } = await import('better-sqlite3');
    const database = new Sqlite(path);
    const seq = database.prepare<[], number>(`SELECT seq FROM entries WHERE body LIKE '%facts_commit%'`).pluck().get() as number;
    const receipt = makeReceipt(path, { index: seq });
    expect(receipt.text).toContain(`"facts":{"at":${NOW}}`);

    database.prepare(`UPDATE openings SET sections = replace(sections, '"at":${NOW}', '"at":1') WHERE seq = ?`).run(seq);
    database.close();
    expect((await check()).problems).toMatchObject([{ code: 'OPENING_MISMATCH', message: expect.stringContaining('facts') }]);
  });

  it('are shown one by one, and gone when they are forgotten: a replay says so and does not guess', async () => {
    const path = join(tempDirectory(), 'ledger.db');
    const annotations = { title: 'TELLTALE-OF-A-TOOL', readOnlyHint: true };
    const policy = rules(weekday);
    const store = openLedger(path, { clock: fixedClock(NOW) });
    const guard = createGuard({ agent: 'tester', session: 's1', policy, store });
    const answer = await guard.authorize({ tool: { name: 'read', annotations }, args: { a: 1 } });
    if (answer.kind === 'permit') await answer.settle({ status: 'success' }, { durable: true });
    const { callId } = answer;
    await guard.close();

    const publicKeys = [LEDGER_VKEY];
    const { text } = discloseFields(path, { call: callId }, ['/facts/at']);
    expect(text).not.toContain('TELLTALE');
    expect(checkReceipt(text, { publicKeys })).toMatchObject({
      status: 'valid',
      entry: { disclosed: [{ pointer: '/facts/at', value: NOW }], withheld_fields: 1, withheld_sections: ['args'] },
    });
    expect(checkReceipt(text.replace(`"value":${NOW}`, `"value":${NOW + 1}`), { publicKeys }).status).not.toBe('valid');
    // An auditor who is shown the facts of one call as those of another is told.
    expect(checkReceipt(text.replaceAll('/facts/', '/args/').replace('"facts":{', '"args":{'), { publicKeys }).status).not.toBe('valid');

    expect((await replayDecisions(path, { policy })).compared).toBe(1);
    expect(await forgetClearText(store, { calls: [callId] })).toMatchObject({ isComplete: true });
    await store.close();
    for (const file of readdirSync(join(path, '..'))) expect(readFileSync(join(path, '..', file)).includes('TELLTALE')).toBe(false);
    const report = await replayDecisions(path, { policy });
    expect(report).toMatchObject({ compared: 0, changes: [], notReplayable: new Map([['forgotten', 1]]) });
    expect(() => discloseFields(path, { call: callId }, ['/facts/at'])).toThrow(/no field/);
    expect(await verifyLedger(path, { publicKeys })).toMatchObject({ integrity: 'intact', problems: [] });
  });
});
