/** The messages by which a client is asked, and what an answer says. One line of JSON each. */

import { isObject, type JsonObject, member } from '../message.ts';
import type { ProgressToken } from './client-profile.ts';

const MAX_NOTE_CHARS = 500;
/** Progress of a call that waits. The server's own starts at 0 or above 0, and must not seem to go back. */
const PROGRESS_STEP = 1e-9;

export interface FormParams extends JsonObject {
  readonly message: string;
  readonly requestedSchema: JsonObject;
}

/** `deny` stands first: what a client may preselect must not be a yes. There is no default for the same reason. */
export function formParams(message: string): FormParams {
  return {
    message,
    requestedSchema: {
      type: 'object',
      properties: {
        decision: { type: 'string', title: 'Decision', description: 'deny or approve this one call', enum: ['deny', 'approve'] },
        note: { type: 'string', title: 'Note', description: 'a word for the agent, if you like', maxLength: MAX_NOTE_CHARS },
      },
      required: ['decision'],
    },
  };
}

export function urlParams(message: string, url: string): JsonObject {
  return { mode: 'url', message, url };
}

export function elicitationRequest(id: string, params: JsonObject): Buffer {
  return line({ id, method: 'elicitation/create', params });
}

/** Tells the client to take a question back. */
export function withdrawal(requestId: string, reason: string): Buffer {
  return line({ method: 'notifications/cancelled', params: { requestId, reason } });
}

/** Tells the client that what a page was opened for is done. */
export function completion(elicitationId: string): Buffer {
  return line({ method: 'notifications/elicitation/complete', params: { elicitationId } });
}

/** @param beat - 1 for the first, rising. */
export function heartbeat(progressToken: ProgressToken, beat: number, message: string): Buffer {
  return line({ method: 'notifications/progress', params: { progressToken, progress: beat * PROGRESS_STEP, message } });
}

function line(message: JsonObject): Buffer {
  return Buffer.from(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
}

export type ElicitationAnswer =
  | { readonly kind: 'accepted'; readonly content: unknown }
  | { readonly kind: 'declined' }
  /** Closed without a choice, failed, or nothing that is an answer. */
  | { readonly kind: 'none'; readonly why: 'cancelled' | 'failed' | 'malformed' };

/** @param result - the `result` of the client's response. */
export function readElicitationAnswer(result: unknown): ElicitationAnswer {
  const action = isObject(result) ? member(result, 'action') : undefined;
  if (isObject(result) && action === 'accept') return { kind: 'accepted', content: member(result, 'content') };
  if (action === 'decline') return { kind: 'declined' };
  return { kind: 'none', why: action === 'cancel' ? 'cancelled' : 'malformed' };
}

export type FormAnswer = { readonly decision: 'approve' | 'deny'; readonly note?: string };

/** What was entered in our form; undefined for anything that leaves a doubt. Only the very word approves. */
export function readForm(content: unknown): FormAnswer | undefined {
  if (!isObject(content)) return undefined;
  const [decision, note] = [member(content, 'decision'), member(content, 'note')];
  if (decision !== 'approve' && decision !== 'deny') return undefined;
  if (note !== undefined && note !== null && typeof note !== 'string') return undefined;
  return { decision, ...(typeof note === 'string' && note.trim() !== '' && { note: note.slice(0, MAX_NOTE_CHARS) }) };
}
