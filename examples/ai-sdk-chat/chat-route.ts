/** `POST /api/chat`: what `useChat` talks to. The messages come from the client, all of them, also what the model "said". */
import type { Guard } from '@countersign/core';
import { approvalFor, describeApprovals, guardTools } from '@countersign/vercel-ai';
import {
  consumeStream,
  convertToModelMessages,
  createUIMessageStreamResponse,
  isStepCount,
  type LanguageModel,
  safeValidateUIMessages,
  streamText,
  toUIMessageStream,
} from 'ai';
import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { z } from 'zod';
import { CHAT_ID, sessionOf } from './conversation.ts';
import type { Shop } from './shop.ts';
import type { Signed } from './sign-in.ts';

const MAX_BODY_BYTES = 1024 * 1024;
const MAX_MESSAGES = 500;
const MAX_STEPS = 8;

const sent = z.object({
  id: z.string().regex(CHAT_ID),
  // The instructions of the model are ours: a client has none to give.
  messages: z
    .array(z.looseObject({ role: z.enum(['user', 'assistant']) }))
    .min(1)
    .max(MAX_MESSAGES),
});

export function chatRoute(guard: Guard, tools: Shop['tools'], model: LanguageModel): Hono<Signed> {
  return new Hono<Signed>().post('/', bodyLimit({ maxSize: MAX_BODY_BYTES }), async (c) => {
    // What is no JSON is no chat either.
    const body = sent.safeParse(await c.req.json().catch(() => undefined));
    if (!body.success) return c.json({ error: 'not a chat' }, 400);
    const user = c.get('user');
    const options = { session: sessionOf(user, body.data.id), principal: user };
    const guarded = guardTools(guard, tools, options);
    const checked = await safeValidateUIMessages({ messages: body.data.messages, tools: guarded });
    if (!checked.success) return c.json({ error: 'not a chat' }, 400);
    const { stream } = streamText({
      model,
      tools: guarded,
      toolApproval: approvalFor(guard),
      messages: await convertToModelMessages(checked.data, { tools: guarded }),
      stopWhen: isStepCount(MAX_STEPS),
    });
    const page = toUIMessageStream({ stream, tools: guarded, originalMessages: checked.data });
    // Read to its end, also when the page goes away: what began to run is settled.
    return createUIMessageStreamResponse({ stream: page.pipeThrough(describeApprovals(guard, options)), consumeSseStream: consumeStream });
  });
}
