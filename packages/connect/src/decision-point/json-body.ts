/** The body of a POST as a value of a known shape, or the refusal. */
import { strictJson } from '@countersign/core';
import type * as z from 'zod';
import { readPost } from '../http/inbound.ts';
import { refuse, type ServeCode } from './codes.ts';

/** Largest body that is taken: arguments of a call, or what its tool returned. */
export const MAX_BODY_BYTES = 4_194_304;

const BODY_CODES: ReadonlyMap<number, ServeCode> = new Map([
  [400, 'BODY_INVALID'],
  [405, 'METHOD_NOT_ALLOWED'],
  [413, 'BODY_TOO_LARGE'],
  [415, 'CONTENT_TYPE_UNSUPPORTED'],
]);

/** Arguments that two readers read differently would be decided as one thing and run as another. */
export async function jsonBody(request: Request): Promise<{ readonly value: unknown } | Response> {
  // A compressed body would be another text than the one whose length was bounded.
  if (request.headers.has('content-encoding')) return refuse('CONTENT_TYPE_UNSUPPORTED', 'no content-encoding is taken');
  const bytes = await readPost(request, 'application/json', MAX_BODY_BYTES);
  if (bytes instanceof Response) {
    const code = BODY_CODES.get(bytes.status) ?? 'BODY_INVALID';
    return code === 'METHOD_NOT_ALLOWED' ? refuse(code, 'only POST is taken here', { allow: 'POST' }) : refuse(code);
  }
  return strictJson(bytes) ?? refuse('BODY_INVALID');
}

export function shaped<T>(value: unknown, schema: z.ZodType<T>): T | Response {
  const parsed = schema.safeParse(value);
  return parsed.success ? parsed.data : refuse('REQUEST_INVALID', `${placeOf(parsed.error)} is missing or malformed`);
}

/** Names of ours only: where a schema takes no other members, what else there is stands in no path. */
function placeOf(error: z.ZodError): string {
  const path = error.issues[0]?.path.map(String).join('.') ?? '';
  return path === '' ? 'the request' : path;
}
