/**
 * `/api/approvals`, where the user answers. The one place that opens anything: what the page then adds to the chat's messages
 * only wakes the model up.
 *
 *     GET  /:id    what is asked, from the store: never what the messages say
 *     POST /       { approvalId, decision: 'approve' | 'deny' | 'edit', message?, args? }
 */
import { type ApprovalRow, CountersignError, type Guard } from '@countersign/core';
import { resolveFrom } from '@countersign/vercel-ai';
import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { isSessionOf } from './conversation.ts';
import type { Signed } from './sign-in.ts';

const MAX_BODY_BYTES = 16_384;
const APPROVAL_ID = /^[A-Za-z0-9_-]{1,64}$/;

export function approvalsRoute(guard: Guard): Hono<Signed> {
  return new Hono<Signed>()
    .get('/:id', async (c) => {
      const id = c.req.param('id');
      const row = APPROVAL_ID.test(id) ? await guard.approvals.get(id) : undefined;
      return row !== undefined && isOwn(row, c.get('user')) ? c.json(asked(row)) : c.json({ error: 'no such approval' }, 404);
    })
    .post('/', bodyLimit({ maxSize: MAX_BODY_BYTES }), async (c) => {
      const user = c.get('user');
      try {
        const approver = { id: user, method: 'host' } as const;
        const row = await resolveFrom(guard, await c.req.text(), approver, { mayAnswer: (approval) => isOwn(approval, user) });
        return c.json(asked(row));
      } catch (error) {
        const status = CountersignError.is(error) ? STATUS.get(error.code) : undefined;
        if (status === undefined) throw error;
        return c.json({ error: 'not answered' }, status);
      }
    });
}

function isOwn(approval: ApprovalRow, user: string): boolean {
  return approval.principal === user && isSessionOf(user, approval.session);
}

/** Somebody else's approval is as unknown as one that never was. */
const STATUS: ReadonlyMap<string, 400 | 404 | 409> = new Map([
  ['ANSWER_INVALID', 400],
  ['APPROVAL_EDIT_INVALID', 400],
  ['APPROVAL_NOT_FOUND', 404],
  ['APPROVER_REFUSED', 404],
  // Answered in another tab, or too late.
  ['APPROVAL_NOT_PENDING', 409],
]);

/** What the page shows. */
function asked({ id, tool: { name }, shown, reason, state, message, expiresAtMs }: ApprovalRow) {
  return { id, tool: name, shown: shown ?? null, reason: reason ?? null, state, message: message ?? null, expiresAtMs };
}
