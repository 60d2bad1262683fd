/**
 * Answers by webhook: a signed POST, for example
 *
 *     { "type": "approval.answer", "data": { "approval": "5a8c...", "decision": "deny", "message": "not today", "approver": "bob" } }
 *
 * `decision` is `approve`, `deny`, or `edit` with the arguments that should run instead in `args`. It is signed after Standard Webhooks by a sender this host was configured with. Nothing is parsed before the signature over the
 * raw bytes has verified; until then every refusal is the same. Who answers is the sender, or a person the configuration
 * lets it name; the body can choose no other name, and core refuses names that have a key.
 *
 * The same message again (same `webhook-id`, same bytes) gets the same reply and does nothing twice. What is forgotten, by a
 * restart or because too many came, is still harmless: the store takes an answer once.
 */
import { createHash, type KeyObject } from 'node:crypto';
import type { ApprovalAnswer, ApprovalRow, Approver, Clock, Guard } from '@countersign/core';
import { CountersignError, canonicalize, strictJson } from '@countersign/core';
import * as z from 'zod';
import { jsonResponse, readPost, refusal } from '../http/inbound.ts';
import { Replies, type Reply } from './replies.ts';
import { TOLERANCE_MS, verifySigned, webhookKey } from './standard-webhooks.ts';

export interface WebhookSender {
  /** Letters, digits and `. _ -`; recorded as the approver, or before the name of the person: `pager:bob`. */
  readonly name: string;
  /** `whsec_...`, one to four: a message may be signed with any of them. */
  readonly secrets: readonly string[];
  /** People it may name, and then has to. Absent: it answers as itself. */
  readonly approvers?: readonly string[];
}

export interface WebhookAnswersOptions {
  /** `guard.approvals`. */
  readonly approvals: Pick<Guard['approvals'], 'resolve' | 'get'>;
  readonly senders: readonly WebhookSender[];
  readonly clock?: Clock;
  /** Told what could not be recorded. Must not throw. */
  readonly onError?: (error: unknown) => void;
}

export const MAX_ANSWER_BYTES = 65_536;
/** As long as the earliest message that is taken now could be sent again, and the second that timestamps are cut to. */
const REMEMBERED_MS: number = 2 * TOLERANCE_MS + 1000;
const MAX_REMEMBERED = 10_000;
const MAX_SENDERS = 64;
const MAX_SECRETS = 4;
const NAME_SHAPE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const PERSON_SHAPE = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$/;

/**
 * A handler for `POST`, for this host's console or your own server.
 *
 * | status | code | |
 * |---|---|---|
 * | 200 | | recorded, or the same answer by the same approver stands already: `{ approval, state, decision, approver }` |
 * | 400 | `BODY_INVALID` | signed, but no answer |
 * | 401 | `SIGNATURE_INVALID` | headers missing or malformed, or no sender signed this |
 * | 401 | `TIMESTAMP_OUT_OF_RANGE` | signed, more than 5 minutes ago or ahead |
 * | 403 | `APPROVER_REFUSED` | this sender may not answer, or not for this person |
 * | 404 | `APPROVAL_NOT_FOUND` | |
 * | 405, 413, 415 | `METHOD_NOT_ALLOWED`, `BODY_TOO_LARGE`, `CONTENT_TYPE_UNSUPPORTED` | |
 * | 409 | `APPROVAL_NOT_PENDING` | answered otherwise, used or expired; with `approval` and `state` |
 * | 409 | `ID_REUSED` | another message had this `webhook-id` |
 * | 422 | `APPROVAL_EDIT_INVALID` | arguments that may not be proposed |
 * | 503 | `NOT_RECORDED` | the ledger could not be written: send it again |
 *
 * @throws {CountersignError} `OPTIONS_INVALID`
 */
export function webhookAnswers(options: WebhookAnswersOptions): (request: Request) => Promise<Response> {
  const senders = options.senders.map(checkedSender);
  if (senders.length === 0 || senders.length > MAX_SENDERS) throw invalid(`webhookAnswers takes 1 to ${MAX_SENDERS} senders`);
  const clock = options.clock ?? { nowMs: () => Date.now() };
  const names = senders.map(({ name }) => name.toLowerCase());
  if (new Set(names).size < names.length) throw invalid('two senders have names that could be taken for each other');
  const secrets = senders.flatMap(({ keys }) => keys.map((key) => key.export().toString('base64')));
  if (new Set(secrets).size < secrets.length) throw invalid('two secrets of senders are the same: nobody could tell who signed');
  const replies = new Replies(REMEMBERED_MS, MAX_REMEMBERED);

  return async (request) => {
    const body = await readPost(request, 'application/json', MAX_ANSWER_BYTES);
    if (body instanceof Response) return body;
    const nowMs = clock.nowMs();
    const signed = signerOf(request.headers, body, senders, nowMs);
    if (signed === 'unsigned') return refusal(401, 'SIGNATURE_INVALID', 'no sender known here signed this message');
    if (signed === 'late') return refusal(401, 'TIMESTAMP_OUT_OF_RANGE', 'signed more than 5 minutes ago or ahead: check the clocks');
    const { sender, id } = signed;
    const digest = createHash('sha256').update(body).digest('hex');
    const reply = await replies.once(`${sender.name} ${id}`, digest, nowMs, () => answered(body, sender, options));
    if (reply === undefined) return refusal(409, 'ID_REUSED', 'another message had this webhook-id');
    return jsonResponse(reply.status, reply.body, reply.status === 503 ? { 'retry-after': '1' } : {});
  };
}

interface Sender {
  readonly name: string;
  readonly keys: readonly KeyObject[];
  readonly approvers: ReadonlySet<string> | undefined;
}

function checkedSender({ name, secrets, approvers }: WebhookSender): Sender {
  if (typeof name !== 'string' || !NAME_SHAPE.test(name)) throw invalid('the name of a sender has letters, digits and . _ -, at most 64');
  if (!Array.isArray(secrets) || secrets.length === 0 || secrets.length > MAX_SECRETS)
    throw invalid(`sender ${name} takes 1 to ${MAX_SECRETS} secrets`);
  if (approvers?.some((person) => !PERSON_SHAPE.test(person)) === true)
    throw invalid(`sender ${name}: names of approvers have letters, digits and . _ : -, at most 64`);
  return { name, keys: secrets.map(webhookKey), approvers: approvers === undefined ? undefined : new Set(approvers) };
}

function invalid(what: string): CountersignError {
  return new CountersignError('OPTIONS_INVALID', what);
}

/** Tries every sender, whichever it was: how long it takes tells nothing. */
function signerOf(
  headers: Headers,
  body: Uint8Array,
  senders: readonly Sender[],
  nowMs: number,
): { readonly sender: Sender; readonly id: string } | 'late' | 'unsigned' {
  const verified = senders.map((sender) => ({ sender, result: verifySigned(headers, body, sender.keys, nowMs) }));
  for (const { sender, result } of verified) if (result.kind === 'signed') return { sender, id: result.id };
  return verified.some(({ result }) => result.kind === 'late') ? 'late' : 'unsigned';
}

const MAX_MESSAGE_CHARS = 2000;
const answerSchema = z.strictObject({
  type: z.literal('approval.answer'),
  timestamp: z.string().max(64).optional(),
  data: z.strictObject({
    approval: z.string().regex(/^[A-Za-z0-9_-]{1,128}$/),
    decision: z.enum(['approve', 'deny', 'edit']),
    message: z.string().min(1).max(MAX_MESSAGE_CHARS).optional(),
    approver: z.string().regex(PERSON_SHAPE).optional(),
    args: z.json().optional(),
  }),
});
type AnswerData = z.infer<typeof answerSchema>['data'];

async function answered(body: Uint8Array, sender: Sender, { approvals, onError }: WebhookAnswersOptions): Promise<Reply> {
  const parsed = answerSchema.safeParse(strictJson(body)?.value);
  if (!parsed.success) return said(400, 'BODY_INVALID', 'not the JSON of an approval.answer: see its documentation for the members');
  const { data } = parsed.data;
  const answer = answerOf(data);
  if (answer === undefined) return said(400, 'BODY_INVALID', 'an edit has args, and no other decision has');
  const approver = approverOf(data, sender);
  if (approver === undefined) return said(403, 'APPROVER_REFUSED', 'this sender may not answer for this approver');
  try {
    const row = await approvals.resolve(data.approval, answer, approver);
    return recorded(data, approver, row.state);
  } catch (error) {
    return refused(error, data, approver, { approvals, ...(onError !== undefined && { onError }) });
  }
}

/** A sender that speaks for people has to say for whom: its own name would be one more voice in a quorum. */
function approverOf({ approver }: AnswerData, { name, approvers }: Sender): Approver | undefined {
  if (approvers === undefined) return approver === undefined ? { id: name, method: 'webhook' } : undefined;
  return approver !== undefined && approvers.has(approver) ? { id: `${name}:${approver}`, method: 'webhook' } : undefined;
}

function answerOf({ decision, message, args }: AnswerData): ApprovalAnswer | undefined {
  if ((decision === 'edit') !== (args !== undefined)) return undefined;
  const more = message === undefined ? {} : { message };
  return decision === 'edit' && args !== undefined
    ? { decision, args, ...more }
    : { decision: decision === 'approve' ? 'approve' : 'deny', ...more };
}

async function refused(
  error: unknown,
  data: AnswerData,
  approver: Approver,
  { approvals, onError }: Pick<WebhookAnswersOptions, 'approvals' | 'onError'>,
): Promise<Reply> {
  const code: string = CountersignError.is(error) ? error.code : '';
  switch (code) {
    case 'APPROVAL_NOT_FOUND':
      return said(404, 'APPROVAL_NOT_FOUND', 'no approval has that id');
    case 'APPROVER_REFUSED':
      return said(403, 'APPROVER_REFUSED', 'this approver may not answer this approval');
    case 'APPROVAL_EDIT_INVALID':
      return said(422, 'APPROVAL_EDIT_INVALID', 'these arguments cannot be proposed: too large, a secret, or a placeholder that was moved');
    case 'APPROVAL_NOT_PENDING':
      return approvals.get(data.approval).then(
        (row) => settled(row, data, approver),
        (failure: unknown) => notRecorded(failure, onError),
      );
    default:
      return notRecorded(error, onError);
  }
}

function notRecorded(error: unknown, onError: WebhookAnswersOptions['onError']): Reply {
  onError?.(error);
  return said(503, 'NOT_RECORDED', 'the answer could not be recorded: send it again');
}

function settled(row: ApprovalRow | undefined, data: AnswerData, approver: Approver): Reply {
  if (row === undefined) return said(404, 'APPROVAL_NOT_FOUND', 'no approval has that id');
  if (stands(row, data, approver)) return recorded(data, approver, row.state);
  const { body } = said(409, 'APPROVAL_NOT_PENDING', `the approval is ${row.state}: it takes no such answer any more`);
  return { status: 409, body: { ...body, approval: data.approval, state: row.state } };
}

/** The very answer is there already: this is a delivery of it that nobody remembers. */
function stands({ answers, edit }: ApprovalRow, { decision, args }: AnswerData, { id }: Approver): boolean {
  const given = answers.find(({ approver }) => approver === id);
  if (given === undefined) return false;
  if (given.edited === true)
    return decision === 'edit' && args !== undefined && edit !== undefined && canonicalize(edit) === canonicalize(args);
  return given.answer === decision;
}

function recorded({ approval, decision }: AnswerData, { id }: Approver, state: string): Reply {
  return { status: 200, body: { approval, state, decision, approver: id } };
}

function said(status: number, code: string, message: string): { readonly status: number; readonly body: object } {
  return { status, body: { error: { code, message } } };
}
