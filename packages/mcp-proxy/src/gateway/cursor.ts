/**
 * Where a listing over several servers goes on. The client keeps it and gives it back, so it is sealed: what comes back is what
 * was given, for the same method, or it is refused. Format: base64url of HMAC-SHA-256 (32 bytes) and JSON.
 *
 *     ["tools/list", [["files", null, 1200], ["memory", "page-2", 0]]]
 *
 * are the servers that have more, the cursor of the server's own (`null`: its first page) and how many items of that page were given.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';

/** Longest cursor of a server that is kept; its listing ends there for a longer one. */
export const MAX_INNER_CURSOR_CHARS = 4096;
const MAX_CURSOR_CHARS = 1_000_000;
const MAC_BYTES = 32;
const DOMAIN = 'countersign/gateway-cursor/v1\0';

export interface Place {
  readonly server: string;
  /** Absent: from its first page. */
  readonly cursor?: string;
  /** Items of that page that were given. */
  readonly skip: number;
}

/** What is sealed. */
type Body = readonly [method: string, rest: readonly (readonly [server: string, cursor: string | null, skip: number])[]];

/** @param key - secret of whoever answers this endpoint. */
export function sealCursor(key: Buffer, method: string, rest: readonly Place[]): string {
  const sealed: Body = [method, rest.map(({ server, cursor, skip }) => [server, cursor ?? null, skip])];
  const body = Buffer.from(JSON.stringify(sealed));
  return Buffer.concat([mac(key, body), body]).toString('base64url');
}

/** Undefined for what was not sealed here, or for another method. Never throws. */
export function openCursor(key: Buffer, method: string, cursor: string): readonly Place[] | undefined {
  if (cursor.length > MAX_CURSOR_CHARS) return undefined;
  const bytes = Buffer.from(cursor, 'base64url');
  const body = bytes.subarray(MAC_BYTES);
  // One spelling only: the decoder forgives what stands between and behind.
  if (bytes.length <= MAC_BYTES || bytes.toString('base64url') !== cursor) return undefined;
  if (!timingSafeEqual(bytes.subarray(0, MAC_BYTES), mac(key, body))) return undefined;
  // The MAC says that it is ours, and so what shape it has.
  const [made, rest] = JSON.parse(body.toString('utf8')) as Body;
  if (made !== method) return undefined;
  return rest.map(([server, inner, skip]) => ({ server, ...(inner !== null && { cursor: inner }), skip }));
}

function mac(key: Buffer, body: Buffer): Buffer {
  return createHmac('sha256', key).update(DOMAIN).update(body).digest();
}
