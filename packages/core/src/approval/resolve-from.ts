/**
 * The answer of somebody who is logged in to the application that embeds the guard, as its route was given it:
 *
 *     { "approvalId": "5a8c0d5a8c0d5a8c0d5a8c0d5a8c0d5a", "decision": "edit", "args": { "amount": 50 }, "message": "that much" }
 *
 * Who answers comes from the login, never from the body. A grant is nothing a body can give: see `guard.approvals.resolve`.
 */
import { z } from 'zod';
import { CountersignError } from '../errors.ts';
import type { Guard } from '../guard-types.ts';
import type { ApprovalAnswer } from '../interfaces.ts';
import { isName } from '../names.ts';
import type { ApprovalRow } from '../store-rows.ts';
import { strictJson } from '../strict-json.ts';

/** Largest body, as JSON. */
export const MAX_ANSWER_BYTES = 65_536;
const MAX_MESSAGE_CHARS = 2_000;

/** Who is logged in, as the application made sure. Recorded with medium assurance. */
export interface HostApprover {
  /** 1 to 256 characters without control characters. A name that has a key cannot answer here. */
  readonly id: string;
  readonly method: 'host';
}

export interface ResolveFromOptions {
  /**
   * Whether the one who is logged in may answer this approval: asked with the approval of the store, before anything is answered.
   * Where users have sessions or principals of their own, compare them here.
   */
  readonly mayAnswer?: (approval: ApprovalRow) => boolean | Promise<boolean>;
}

/**
 * Answers an approval from a route of the application's own, which has authenticated who asks. The framework is resumed afterwards,
 * with any value.
 *
 * @param body - what the client sent: the text of JSON, at best, in which a name that stands twice is seen; or what was parsed of it.
 *   Members `approvalId`, `decision` (`approve`, `deny`, `edit`), `args` with `edit` alone, and `message` for the model; no others.
 * @param approver - from the login, never from the body.
 * @throws {CountersignError} `ANSWER_INVALID` for a body that is not that; `APPROVER_REFUSED`; and as `guard.approvals.resolve`.
 *   Nothing was answered then.
 */
export async function resolveFrom(
  guard: Pick<Guard, 'approvals'>,
  body: unknown,
  approver: HostApprover,
  { mayAnswer }: ResolveFromOptions = {},
): Promise<ApprovalRow> {
  const { id } = checkedApprover(approver);
  const { approvalId, answer } = readAnswer(body);
  if (mayAnswer !== undefined) await requireAllowed(approvalId, guard, mayAnswer);
  return guard.approvals.resolve(approvalId, answer, { id, method: 'host' });
}

/** A method such as `key` or `page` is a claim about how it was made sure who answers, and nobody made sure of it here. */
function checkedApprover(approver: unknown): { readonly id: string } {
  const { id, method } = typeof approver === 'object' && approver !== null ? (approver as Partial<HostApprover>) : {};
  if (!isName(id) || method !== 'host')
    throw new CountersignError(
      'APPROVER_REFUSED',
      "resolveFrom takes who is logged in as { id, method: 'host' }, with an id of 1 to 256 characters",
    );
  return { id };
}

const answerSchema = z.strictObject({
  approvalId: z.string().regex(/^[A-Za-z0-9_-]{1,128}$/),
  decision: z.enum(['approve', 'deny', 'edit']),
  args: z.json().optional(),
  message: z.string().min(1).max(MAX_MESSAGE_CHARS).optional(),
});

function readAnswer(body: unknown): { readonly approvalId: string; readonly answer: ApprovalAnswer } {
  const parsed = answerSchema.safeParse(valueOf(body));
  // What was wrong with it is not quoted: it comes from a client.
  if (!parsed.success)
    throw invalid('the body is not an answer to an approval: it takes approvalId, decision, message, and args with the decision edit');
  const { approvalId, decision, args, message } = parsed.data;
  const more = message === undefined ? {} : { message };
  if (decision !== 'edit') {
    if (args !== undefined) throw invalid('the body has args, which go with the decision edit alone');
    return { approvalId, answer: { decision, ...more } };
  }
  if (args === undefined) throw invalid('the decision edit needs args: all the arguments the tool should run with');
  return { approvalId, answer: { decision, args, ...more } };
}

/** Read as text in either case: nothing of an object but what JSON says of it counts. Undefined for what is none, or too large. */
function valueOf(body: unknown): unknown {
  if (body instanceof Uint8Array) return body.byteLength > MAX_ANSWER_BYTES ? undefined : strictJson(body)?.value;
  let text: string | undefined;
  try {
    text = typeof body === 'string' ? body : JSON.stringify(body);
  } catch {
    return undefined;
  }
  if (text === undefined || text.length > MAX_ANSWER_BYTES) return undefined;
  const bytes = new TextEncoder().encode(text);
  return bytes.byteLength > MAX_ANSWER_BYTES ? undefined : strictJson(bytes)?.value;
}

async function requireAllowed(
  approvalId: string,
  { approvals }: Pick<Guard, 'approvals'>,
  mayAnswer: (approval: ApprovalRow) => boolean | Promise<boolean>,
): Promise<void> {
  const row = await approvals.get(approvalId);
  if (row === undefined) throw new CountersignError('APPROVAL_NOT_FOUND', `no approval has the id ${approvalId}`);
  let allowed: unknown;
  try {
    allowed = await mayAnswer(row);
  } catch (cause) {
    throw new CountersignError('APPROVER_REFUSED', `whether this approver may answer approval ${approvalId} could not be found out`, {
      cause,
    });
  }
  if (allowed !== true) throw new CountersignError('APPROVER_REFUSED', `this approver may not answer approval ${approvalId}`);
}

function invalid(what: string): CountersignError {
  return new CountersignError('ANSWER_INVALID', what);
}
