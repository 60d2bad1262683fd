/** JSON-RPC messages as the proxy sees them, and the keys under which it remembers requests. */

/** With its prefix still an id a guard takes; ids in use are uuids and counters. */
export const MAX_ID_CHARS = 200;

/** JSON-RPC error codes the proxy answers with. -32000 is what MCP clients know as "connection closed". */
export const RPC_ERRORS = {
  PARSE: -32700,
  INVALID_REQUEST: -32600,
  METHOD_NOT_FOUND: -32601,
  INVALID_PARAMS: -32602,
  UPSTREAM_GONE: -32000,
  /** Of protocol 2026-07-28: headers and body disagree. */
  HEADER_MISMATCH: -32020,
  MISSING_CAPABILITY: -32021,
  UNSUPPORTED_VERSION: -32022,
  CALL_REFUSED: -32050,
  LIMIT: -32051,
  RESPONSE_UNCLEAR: -32052,
} as const;

/** What the proxy reads beside calls. */
export const LIST_METHOD = 'tools/list';

export type JsonObject = { readonly [key: string]: unknown };

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Own members only: the names come from the wire, and `constructor` is a name like any other. */
export function member(object: JsonObject, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

/**
 * Under what a request with this id is remembered, so that `1` and `"1"` stay apart; `undefined` for ids the proxy does
 * not follow (anything but integers and strings of at most `MAX_ID_CHARS`).
 */
export function idKey(id: unknown): string | undefined {
  // Adding 0 turns -0 into 0, which is what a server sends back.
  if (typeof id === 'number') return Number.isSafeInteger(id) ? `n:${id + 0}` : undefined;
  return typeof id === 'string' && id.length <= MAX_ID_CHARS ? `s:${id}` : undefined;
}

const HEAD_ID = /^\s*\{\s*"jsonrpc"\s*:\s*"2\.0"\s*,\s*"id"\s*:\s*(0|[1-9]\d{0,15}|"[^"\\\p{Cc}]{0,200}")\s*,\s*"(?:result|error)"/u;
const HEAD_ANSWER = /^\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?"(?:result|error)"/;
const TAIL_ID = /,\s*"id"\s*:\s*(0|[1-9]\d{0,15}|"[^"\\\p{Cc}]{0,200}")\s*\}\s*$/u;

/**
 * The id of a response that cannot be parsed, if it stands where the known servers put it; as JSON. Not that of a
 * request: the server numbers its own, and they say nothing about the client's.
 */
export function excerptId(head: Buffer, tail: Buffer): string | undefined {
  const start = head.toString('utf8');
  const inHead = HEAD_ID.exec(start)?.[1];
  if (inHead !== undefined || !HEAD_ANSWER.test(start)) return inHead;
  return TAIL_ID.exec(tail.toString('utf8'))?.[1];
}

/** Whether there is something of a call inside of a task (`task-answers.ts`). */
export function hasEnded(task: JsonObject): boolean {
  return Object.hasOwn(task, 'result') || Object.hasOwn(task, 'error');
}
