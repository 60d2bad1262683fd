/**
 * `/api/approvals/:id`, where the user answers. The one place that opens anything: what the page then adds to the chat's
 * messages only wakes the model up.
 *
 *     GET     what is asked, from the store: never what the messages say
 *     POST    { decision: 'approve' | 'deny', message? }
 */
import { type ApprovalRow, CountersignError, type Guard } from '@countersign/core';
import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { z } from 'zod';
import { isSessionOf } from './conversation.ts';
import type { Signed } from './sign-in.ts';

const MAX_BODY_BYTES = 4096;
const APPROVAL_ID = /^[A-Za-z0-9_-]{1,64}$/;

const given = z.strictObject({ decision: z.enum(['approve', 'deny']), message: z.string().max(300).optional() });

export function approvalsRoute(guard: Guard): Hono<Signed> {
  /** Somebody else's approval is as unknown as one that never was. */
  const ownRow = async (user: string, id: string): Promise<ApprovalRow | undefined> => {
    const row = APPROVAL_ID.test(id) ? await guard.approvals.get(id) : undefined;
    return row !== undefined && row.principal === user && isSessionOf(user, row.session) ? row : undefined;
  };
  return new Hono<Signed>()
    .get('/:id', async (c) => {
      const row = await ownRow(c.get('user'), c.req.param('id'));
      return row === undefined ? c.json({ error: 'no such approval' }, 404) : c.json(asked(row));
    })
    .post('/:id', bodyLimit({ maxSize: MAX_BODY_BYTES }), async (c) => {
      const user = c.get('user');
      const row = await ownRow(user, c.req.param('id'));
      if (row === undefined) return c.json({ error: 'no such approval' }, 404);
      const answer = given.safeParse(await c.req.json().catch(() => undefined));
      if (!answer.success) return c.json({ error: 'not an answer' }, 400);
      const { decision, message } = answer.data;
      try {
        const approver = { id: user, method: 'host' } as const;
        return c.json(asked(await guard.approvals.resolve(row.id, { decision, ...(message !== undefined && { message }) }, approver)));
      } catch (error) {
        if (!CountersignError.is(error) || error.code !== 'APPROVAL_NOT_PENDING') throw error;
        // Answered in another tab, or too late: the page shows what became of it.
        return c.json(asked((await ownRow(user, row.id)) ?? row), 409);
      }
    });
}

/** What the page shows. */
function asked({ id, tool: { name }, shown, reason, state, message, expiresAtMs }: ApprovalRow) {
  return { id, tool: name, shown: shown ?? null, reason: reason ?? null, state, message: message ?? null, expiresAtMs };
}
