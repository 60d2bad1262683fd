/** One click on a button, out of the form Slack sends. Everything in it is signed by Slack, and still only claims. */
import * as z from 'zod';
import { APPROVE, DENY, HALT_DENY, type SlackBlock } from './slack-message.ts';

export interface SlackClick {
  readonly team: string;
  readonly app: string;
  readonly user: string;
  /** Where the message is. */
  readonly place: { readonly channel: string; readonly ts: string };
  /** What the person saw. */
  readonly blocks: readonly SlackBlock[];
  readonly approval: string;
  /** `halt-deny`: of a question after a halt only. */
  readonly decision: 'approve' | 'deny' | 'halt-deny';
}

const id = z.string().regex(/^[A-Z0-9]{1,32}$/);
/** Slack adds members as it likes; these must be there. */
const payloadSchema = z.object({
  type: z.literal('block_actions'),
  team: z.object({ id }),
  api_app_id: id,
  user: z.object({ id }),
  channel: z.object({ id }),
  message: z.object({
    ts: z.string().regex(/^[0-9]{1,12}\.[0-9]{1,12}$/),
    blocks: z
      .array(z.looseObject({ type: z.string(), block_id: z.string().optional() }))
      .min(1)
      .max(50),
  }),
  // One click is one action.
  actions: z.tuple([z.object({ action_id: z.enum([APPROVE, DENY, HALT_DENY]), value: z.string().regex(/^[A-Za-z0-9_-]{1,128}$/) })]),
});

const DECISIONS = { [APPROVE]: 'approve', [DENY]: 'deny', [HALT_DENY]: 'halt-deny' } as const;

/** Undefined when it is no click on one of our buttons. */
export function readClick(body: Uint8Array): SlackClick | undefined {
  try {
    const form = new URLSearchParams(new TextDecoder('utf-8', { fatal: true }).decode(body));
    const [payload, ...more] = form.getAll('payload');
    if (payload === undefined || more.length > 0) return undefined;
    const parsed = payloadSchema.parse(JSON.parse(payload));
    const [{ action_id: action, value }] = parsed.actions;
    return {
      team: parsed.team.id,
      app: parsed.api_app_id,
      user: parsed.user.id,
      place: { channel: parsed.channel.id, ts: parsed.message.ts },
      blocks: parsed.message.blocks,
      approval: value,
      decision: DECISIONS[action],
    };
  } catch {
    return undefined;
  }
}
