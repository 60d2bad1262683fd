/** What has to be known of a message to carry it over HTTP. The message itself has been looked at, and goes as it is. */

import { scanJson } from '../json-scan.ts';
import { idKey, isObject, member } from '../message.ts';

export type Outgoing =
  | {
      readonly kind: 'request';
      readonly method: string;
      readonly idJson: string;
      readonly key?: string;
      readonly params: unknown;
      readonly version?: string;
    }
  /** Also a client's answer to a request of the server. `cancels`: the key of the request it takes back. */
  | { readonly kind: 'other'; readonly method?: string; readonly cancels?: string; readonly version?: string };

export const VERSION_KEY = 'io.modelcontextprotocol/protocolVersion';

const LF = 0x0a;
const CR = 0x0d;
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);

/** A line of stdio as the body of a request: the message without what frames it. */
export function bodyOf(line: Buffer): Buffer {
  let end = line.length;
  while (end > 0 && (line[end - 1] === LF || line[end - 1] === CR)) end -= 1;
  return line.subarray(line.subarray(0, 3).equals(BYTE_ORDER_MARK) ? 3 : 0, end);
}

/**
 * A body as one line of stdio. Where JSON may hold a line end, it is space; every other byte stays.
 *
 * @param body - may be changed in place.
 */
export function lineOf(body: Buffer): Buffer {
  const content = body.subarray(body.subarray(0, 3).equals(BYTE_ORDER_MARK) ? 3 : 0);
  for (let i = 0; i < content.length; i++) if (content[i] === LF || content[i] === CR) content[i] = 0x20;
  return Buffer.concat([content, Buffer.of(LF)]);
}

/** Undefined for what is no message, such as a blank line. */
export function readOutgoing(body: Buffer): Outgoing | undefined {
  const message = parse(body);
  if (!isObject(message)) return undefined;
  const method = member(message, 'method');
  const params = member(message, 'params');
  const version = versionOf(params);
  const era = version === undefined ? {} : { version };
  if (typeof method !== 'string') return { kind: 'other', ...era };
  const key = idKey(member(message, 'id'));
  if (Object.hasOwn(message, 'id')) {
    const at = scanJson(body);
    const idJson = at.ok && at.id !== undefined ? body.toString('utf8', at.id.start, at.id.end) : 'null';
    return { kind: 'request', method, idJson, params, ...(key !== undefined && { key }), ...era };
  }
  const cancels = method === 'notifications/cancelled' && isObject(params) ? idKey(member(params, 'requestId')) : undefined;
  return { kind: 'other', method, ...(cancels !== undefined && { cancels }), ...era };
}

/** Whether a message of the server, parsed, answers the request with this key. */
export function isAnswerTo(message: unknown, key: string | undefined): boolean {
  return (Array.isArray(message) ? message : [message]).some(
    (each) =>
      isObject(each) &&
      (Object.hasOwn(each, 'result') || Object.hasOwn(each, 'error')) &&
      !Object.hasOwn(each, 'method') &&
      (key === undefined || idKey(member(each, 'id')) === key),
  );
}

export function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8').replace(/^\ufeff/, ''));
  } catch {
    return undefined;
  }
}

/** The version of the stateless protocol that a message says it is written in. */
function versionOf(params: unknown): string | undefined {
  const meta = isObject(params) ? member(params, '_meta') : undefined;
  const version = isObject(meta) ? member(meta, VERSION_KEY) : undefined;
  return typeof version === 'string' && isVersion(version) ? version : undefined;
}

/** What may stand in a header as it is. */
export function isVersion(text: string): boolean {
  return /^[0-9A-Za-z._-]{1,64}$/.test(text);
}
