/** Messages that are refused before anybody could decide about them, where the reason is not in the message itself. */
import { type InvalidMessage, unreadable } from './client-message.ts';
import { RPC_ERRORS } from './message.ts';
import { MAX_MESSAGE_BYTES } from './wire.ts';

/** Refusals being recorded at once; further ones are only logged. */
export const MAX_RECORDING = 256;
/** Stands in the ledger where no tool name could be read. */
export const UNREADABLE_TOOL = '(unreadable)';

export function tooLarge(sizeBytes: number): InvalidMessage {
  return unreadable('too-large', `message has ${sizeBytes} bytes, limit ${MAX_MESSAGE_BYTES}`);
}

/**
 * A request for which there is no room, or whose id has one already.
 *
 * @param tool - of a call.
 */
export function notEntered(why: 'full' | 'in-use', idJson: string, tool?: string): InvalidMessage {
  const call = { couldBeCall: tool !== undefined, ...(tool !== undefined && { tool }) };
  if (why === 'full') {
    const text = 'too many requests are waiting for an answer; retry later';
    return { kind: 'invalid', code: 'too-many-requests', text, rpcCode: RPC_ERRORS.LIMIT, idJson, ...call };
  }
  // Answered under null: under its own id the client would take this for the answer to the request that has it.
  const text = 'the id is in use by a request without an answer';
  return { kind: 'invalid', code: 'id-in-use', text, rpcCode: RPC_ERRORS.INVALID_REQUEST, idJson: 'null', ...call };
}

/** @param sizeBytes - absent while it goes on. */
export function tooLong(sizeBytes?: number): string {
  const size = sizeBytes === undefined ? '' : `${sizeBytes} bytes, `;
  return `the response has ${size}more than the limit of ${MAX_MESSAGE_BYTES} bytes; the server did handle the request`;
}

/** For the log: it may never end. */
export function overlong(whose: 'client' | 'server'): string {
  return `a message of the ${whose} has more than ${MAX_MESSAGE_BYTES} bytes and goes on: it is skipped to its end`;
}

/** As it stands in the ledger. */
export function refusalReason({ text, code }: Pick<InvalidMessage, 'text' | 'code'>): string {
  return `${text} [${code}]`;
}
