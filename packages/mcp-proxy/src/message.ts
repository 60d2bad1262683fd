/** JSON-RPC messages as the proxy sees them, and the keys under which it remembers requests. */

/** With its prefix still an id a guard takes; ids in use are uuids and counters. */
export const MAX_ID_CHARS = 200;

/** JSON-RPC error codes the proxy answers with. -32000 is what MCP clients know as "connection closed". */
export const RPC_ERRORS = {
  PARSE: -32700,
  INVALID_REQUEST: -32600,
  INVALID_PARAMS: -32602,
  UPSTREAM_GONE: -32000,
  CALL_REFUSED: -32050,
  LIMIT: -32051,
} as const;

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

/** What a server's message says about a request of the client. */
export interface ServerResponse {
  readonly key: string;
  readonly result?: unknown;
  readonly error?: unknown;
}

/** The responses in a line from the server: none, one, or several of a batch. Never throws. */
export function readResponses(content: Buffer): readonly ServerResponse[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(content.toString('utf8'));
  } catch {
    return [];
  }
  return (Array.isArray(parsed) ? parsed : [parsed]).flatMap((message: unknown) => {
    if (!isObject(message)) return [];
    const key = idKey(member(message, 'id'));
    const answers = Object.hasOwn(message, 'result') || Object.hasOwn(message, 'error');
    if (key === undefined || !answers) return [];
    return [{ key, result: member(message, 'result'), error: member(message, 'error') }];
  });
}

const HEAD_ID = /^\s*\{\s*"jsonrpc"\s*:\s*"2\.0"\s*,\s*"id"\s*:\s*(0|[1-9]\d{0,15}|"[^"\\\p{Cc}]{0,200}")\s*,/u;
const TAIL_ID = /,\s*"id"\s*:\s*(0|[1-9]\d{0,15}|"[^"\\\p{Cc}]{0,200}")\s*\}\s*$/u;

/** The id of a response too long to be parsed, if it stands where the known servers put it; as JSON. */
export function excerptId(head: Buffer, tail: Buffer): string | undefined {
  return HEAD_ID.exec(head.toString('utf8'))?.[1] ?? TAIL_ID.exec(tail.toString('utf8'))?.[1];
}
