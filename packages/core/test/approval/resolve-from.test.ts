/** A route of the application's own: its body comes from a client, who is logged in and may be hostile. */
import { beforeEach, describe, expect, it } from 'vitest';
import { type Guard, type HostApprover, type ResolveFromOptions, resolveFrom } from '../../src/index.ts';
import { type MemoryStore, memoryStore } from '../../src/testing/index.ts';
import { guardOn } from '../fixtures/ledger.ts';

const ana: HostApprover = { id: 'ana', method: 'host' };
let store: MemoryStore;
let guard: Guard;
let approvalId: string;

beforeEach(async () => {
  store = memoryStore();
  guard = guardOn(store, { approvals: { approvers: new Map([['finance', 'finance+1a2b3c4d+AAAA']]) } });
  const call = { tool: { name: 'ask-refund' }, args: { amount: 900, token: 'sk-live' }, id: 'c1', principal: 'bob' };
  const pending = await guard.authorize(call, { approval: 'suspend' });
  if (pending.kind !== 'pending') throw new Error('not asked');
  ({ approvalId } = pending);
});

const answers = () => store.entries().filter((entry) => entry.kind === 'approval');

async function refused(body: unknown, code: string, approver: unknown = ana, options?: ResolveFromOptions): Promise<void> {
  await expect(resolveFrom(guard, body, approver as HostApprover, options)).rejects.toMatchObject({ code });
  expect(answers()).toEqual([]);
  expect((await guard.approvals.get(approvalId))?.state).toBe('pending');
}

describe('resolveFrom', () => {
  it.each([
    ['as text', (body: object) => JSON.stringify(body)],
    ['as bytes', (body: object) => new TextEncoder().encode(JSON.stringify(body))],
    ['as a body parser left it', (body: object) => body],
  ])('records the answer of who is logged in, given %s', async (_, form) => {
    const row = await resolveFrom(guard, form({ approvalId, decision: 'approve', message: 'fine' }), ana);
    expect(row).toMatchObject({ id: approvalId, state: 'approved' });
    expect(answers()).toMatchObject([{ answer: 'approve', approver: { id: 'ana', method: 'host', assurance: 'medium' } }]);
  });

  it('denies, with a word for the model', async () => {
    expect((await resolveFrom(guard, { approvalId, decision: 'deny', message: 'wrong customer' }, ana)).state).toBe('denied');
    const again = await guard.authorize({
      tool: { name: 'ask-refund' },
      args: { amount: 900, token: 'sk-live' },
      id: 'c1',
      principal: 'bob',
    });
    expect(again.decision.reason).toContain('wrong customer');
  });

  it('edits: the call as it was is denied', async () => {
    const { shown } = (await guard.approvals.get(approvalId)) ?? {};
    const args = { ...(shown as object), amount: 50 };
    expect((await resolveFrom(guard, JSON.stringify({ approvalId, decision: 'edit', args }), ana)).state).toBe('denied');
    expect(answers()).toHaveLength(1);
  });

  const bad: readonly (readonly [string, (id: string) => unknown])[] = [
    ['nothing', () => undefined],
    ['null', () => null],
    ['true', () => true],
    ['a number', () => 1],
    ['a list', () => []],
    ['an empty object', () => ({})],
    ['text that is no JSON', () => 'approve'],
    ['bytes that are no text', () => new Uint8Array([0xff, 0xfe])],
    ['an id alone', (id) => ({ approvalId: id })],
    ['a decision alone', () => ({ decision: 'approve' })],
    ['a decision that is none', (id) => ({ approvalId: id, decision: 'allow' })],
    ['an uppercase decision', (id) => ({ approvalId: id, decision: 'APPROVE' })],
    ['a list of decisions', (id) => ({ approvalId: id, decision: ['approve'] })],
    ['a list of ids', (id) => ({ approvalId: [id], decision: 'approve' })],
    ['an id with a path', () => ({ approvalId: '../approvals', decision: 'approve' })],
    ['a long id', () => ({ approvalId: 'a'.repeat(200), decision: 'approve' })],
    ['an approver', (id) => ({ approvalId: id, decision: 'approve', approver: 'finance' })],
    ['an approver that is an object', (id) => ({ approvalId: id, decision: 'approve', approver: { id: 'finance', method: 'key' } })],
    ['a method', (id) => ({ approvalId: id, decision: 'approve', method: 'key' })],
    ['a signature', (id) => ({ approvalId: id, decision: 'approve', signature: 'AAAA' })],
    ['a grant', (id) => ({ approvalId: id, decision: 'approve', grant: { ttlMs: 1000, uses: 5, reason: 'why not' } })],
    ['an opening key', (id) => ({ approvalId: id, decision: 'edit', args: {}, openingKey: 'ab'.repeat(32) })],
    ['an edit without arguments', (id) => ({ approvalId: id, decision: 'edit' })],
    ['arguments with an approval', (id) => ({ approvalId: id, decision: 'approve', args: { amount: 1 } })],
    ['arguments with a denial', (id) => ({ approvalId: id, decision: 'deny', args: null })],
    ['an empty message', (id) => ({ approvalId: id, decision: 'deny', message: '' })],
    ['a message that is none', (id) => ({ approvalId: id, decision: 'deny', message: { text: 'x' } })],
    ['a message without end', (id) => ({ approvalId: id, decision: 'deny', message: 'x'.repeat(2001) })],
    ['too much of it', (id) => ({ approvalId: id, decision: 'edit', args: { text: 'x'.repeat(70_000) } })],
    ['too much in few letters', (id) => ({ approvalId: id, decision: 'edit', args: { text: 'é'.repeat(40_000) } })],
    ['the resume value of humanInTheLoopMiddleware', () => ({ decisions: [{ type: 'approve' }] })],
    ['the response of the AI SDK', (id) => ({ type: 'tool-approval-response', approvalId: id, approved: true })],
    ['a decision twice', (id) => `{"approvalId":"${id}","decision":"deny","decision":"approve"}`],
    ['__proto__', (id) => `{"approvalId":"${id}","decision":"approve","__proto__":{"x":1}}`],
    ['a number that is another one once it is read', (id) => `{"approvalId":"${id}","decision":"edit","args":{"n":12345678901234567890}}`],
    ['what is nested without end', (id) => `{"approvalId":"${id}","decision":"edit","args":${'['.repeat(9000)}${']'.repeat(9000)}}`],
    [
      'an object that refers to itself',
      () => {
        const body: Record<string, unknown> = { decision: 'approve' };
        body['self'] = body;
        return body;
      },
    ],
    ['an object whose prototype has the members', (id) => Object.create({ approvalId: id, decision: 'approve' }) as object],
    ['a big integer', (id) => ({ approvalId: id, decision: 'edit', args: { n: 1n } })],
    ['a byte order mark', (id) => `\ufeff{"approvalId":"${id}","decision":"approve"}`],
  ];
  it.each(bad)('takes no body with %s', async (_, body) => {
    await refused(body(approvalId), 'ANSWER_INVALID');
  });

  it('quotes nothing of a bad body', async () => {
    await expect(resolveFrom(guard, { approvalId, decision: 'sk-live-1234567890' }, ana)).rejects.toThrow(/^the body is not an answer/);
  });

  it.each([
    ['nobody', null],
    ['a name alone', 'ana'],
    ['no id', { method: 'host' }],
    ['an empty id', { id: '', method: 'host' }],
    ['a control character', { id: 'ana\n', method: 'host' }],
    ['a long id', { id: 'a'.repeat(300), method: 'host' }],
    ['no method', { id: 'ana' }],
    ['the method key', { id: 'finance', method: 'key', signature: 'AAAA' }],
    ['the method page', { id: 'ana', method: 'page' }],
    ['the method terminal', { id: 'ana', method: 'terminal' }],
    ['a name that has a key', { id: 'finance', method: 'host' }],
  ])('takes no answer from %s', async (_, approver) => {
    await refused({ approvalId, decision: 'approve' }, 'APPROVER_REFUSED', approver);
  });

  it('takes no answer without an approver', async () => {
    const missing = undefined as unknown as HostApprover;
    await expect(resolveFrom(guard, { approvalId, decision: 'approve' }, missing)).rejects.toMatchObject({ code: 'APPROVER_REFUSED' });
    expect(answers()).toEqual([]);
  });

  it('passes on nothing else that stands beside the approver', async () => {
    await resolveFrom(guard, { approvalId, decision: 'approve' }, { ...ana, signature: 'x' } as HostApprover);
    expect(answers()).toMatchObject([{ approver: { id: 'ana', method: 'host' } }]);
  });

  it('knows no approval that is not there', async () => {
    await refused({ approvalId: '00', decision: 'approve' }, 'APPROVAL_NOT_FOUND');
    await refused({ approvalId: '00', decision: 'approve' }, 'APPROVAL_NOT_FOUND', ana, { mayAnswer: () => true });
  });

  it('asks the application about the approval in the store', async () => {
    const seen: unknown[] = [];
    const ofPrincipal = (name: string): ResolveFromOptions => ({
      mayAnswer: (row) => (seen.push(row.id), row.principal === name),
    });
    await refused({ approvalId, decision: 'approve' }, 'APPROVER_REFUSED', ana, ofPrincipal('eve'));
    await resolveFrom(guard, { approvalId, decision: 'approve' }, ana, ofPrincipal('bob'));
    expect(seen).toEqual([approvalId, approvalId]);
  });

  it.each([
    ['throws', () => Promise.reject(new Error('no database'))],
    ['says something else than yes', () => 'yes'],
  ])('takes no answer when the application %s', async (_, mayAnswer) => {
    await refused({ approvalId, decision: 'approve' }, 'APPROVER_REFUSED', ana, { mayAnswer: mayAnswer as () => Promise<boolean> });
  });

  it('takes one answer: what was answered stays so', async () => {
    await resolveFrom(guard, { approvalId, decision: 'deny' }, ana);
    await expect(resolveFrom(guard, { approvalId, decision: 'approve' }, ana)).rejects.toMatchObject({ code: 'APPROVAL_NOT_PENDING' });
    expect(answers()).toHaveLength(1);
  });

  it('takes no answer from a tool that reached the guard', async () => {
    await guard.run({ tool: { name: 'read' }, args: {} }, async () => {
      await refused({ approvalId, decision: 'approve' }, 'APPROVER_REFUSED');
    });
  });

  it('takes no secret in edited arguments', async () => {
    const args = { amount: 1, note: 'AKIAIOSFODNN7EXAMPLE' };
    await refused({ approvalId, decision: 'edit', args }, 'APPROVAL_EDIT_INVALID');
  });
});
