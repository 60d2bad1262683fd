/**
 * Requests of many clients on one pipe. Each gets an id of ours there, and a progress token of ours if it has one, so that no client
 * can name, guess or meet another's; on the way back both are put back. Every other byte stays.
 */
import { rewriteJson } from '../json-rewrite.ts';
import { scanJson } from '../json-scan.ts';
import { isObject, type JsonObject, member } from '../message.ts';
import { parse } from './outgoing.ts';

export const SUBSCRIPTION_KEY = 'io.modelcontextprotocol/subscriptionId';

/** @returns undefined when not every reader finds the same id, or the same token, in the message. */
export function onThePipe(line: Buffer, id: string): { readonly bytes: Buffer; readonly token?: string | number } | undefined {
  const content = contentOf(line);
  const scan = scanJson(content);
  const message = parse(content);
  if (!scan.ok || scan.id === undefined || !isObject(message) || scan.flaws.some(({ kind }) => kind === 'duplicate-key')) return undefined;
  const params = member(message, 'params');
  const meta = isObject(params) ? member(params, '_meta') : undefined;
  const token = isObject(meta) ? member(meta, 'progressToken') : undefined;
  const isToken = typeof token === 'string' || typeof token === 'number';
  if (!isToken) return { bytes: spliced(content, scan.id, JSON.stringify(id)) };
  const changed = { ...message, id, params: { ...(params as JsonObject), _meta: { ...(meta as JsonObject), progressToken: id } } };
  const text = rewriteJson(content.toString('utf8'), message, changed);
  return { bytes: Buffer.from(`${text}\n`), token };
}

/** An answer with the id its client gave. Undefined when it has no one id. */
export function withClientId(content: Buffer, idJson: string): Buffer | undefined {
  const scan = scanJson(content);
  return scan.ok && scan.id !== undefined ? spliced(content, scan.id, idJson) : undefined;
}

/** What a message of the server that is no answer belongs to: by the id of a subscription, or by a progress token. */
export function ownerOf(message: JsonObject): string | undefined {
  const params = member(message, 'params');
  if (!isObject(params)) return undefined;
  const meta = member(params, '_meta');
  const subscription = isObject(meta) ? member(meta, SUBSCRIPTION_KEY) : undefined;
  if (typeof subscription === 'string') return subscription;
  const token = member(message, 'method') === 'notifications/progress' ? member(params, 'progressToken') : undefined;
  return typeof token === 'string' ? token : undefined;
}

/** The same message with what its client gave. Undefined when a key is repeated. */
export function withClientNames(
  content: Buffer,
  message: JsonObject,
  given: { readonly id: unknown; readonly token?: unknown },
): Buffer | undefined {
  const scan = scanJson(content);
  if (!scan.ok || scan.flaws.some(({ kind }) => kind === 'duplicate-key')) return undefined;
  const params = member(message, 'params') as JsonObject;
  const meta = member(params, '_meta');
  const isSubscription = isObject(meta) && typeof member(meta, SUBSCRIPTION_KEY) === 'string';
  const isProgress = member(message, 'method') === 'notifications/progress';
  const changed = {
    ...message,
    params: {
      ...params,
      ...(isProgress && given.token !== undefined && { progressToken: given.token }),
      ...(isSubscription && { _meta: { ...meta, [SUBSCRIPTION_KEY]: given.id } }),
    },
  };
  return Buffer.from(`${rewriteJson(content.toString('utf8'), message, changed)}\n`);
}

function contentOf(line: Buffer): Buffer {
  return line.at(-1) === 0x0a ? line.subarray(0, -1) : line;
}

function spliced(content: Buffer, { start, end }: { readonly start: number; readonly end: number }, json: string): Buffer {
  return Buffer.concat([content.subarray(0, start), Buffer.from(json), content.subarray(end), Buffer.from('\n')]);
}
