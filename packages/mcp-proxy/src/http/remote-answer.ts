/** What a server answered over HTTP where it did not answer as MCP asks: said so that a person knows what to do next. */
import type { IncomingMessage } from 'node:http';
import { isObject, member } from '../message.ts';
import { parse } from './outgoing.ts';

/** Of the body of an error; more of it is not read. */
const MAX_ERROR_BYTES: number = 64 * 1024;
const MAX_SHOWN_CHARS = 300;

/** @returns the body, or undefined when it is larger than `MAX_ERROR_BYTES` or broke off. */
export async function readErrorBody(response: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      sizeBytes += chunk.length;
      if (sizeBytes > MAX_ERROR_BYTES) return undefined;
      chunks.push(chunk);
    }
  } catch {
    return undefined;
  }
  return response.complete ? Buffer.concat(chunks) : undefined;
}

/**
 * @param hasSession - the request named a session.
 * @param hide - takes secrets out of the server's words.
 */
export function statusText(status: number, body: Buffer | undefined, hasSession: boolean, hide: (text: string) => string): string {
  const said = errorMessage(body, hide);
  const told = said === undefined ? '' : `: ${said}`;
  if (status === 401)
    return `the server answered 401: it wants a credential, or another one. Give it in a header, from an environment variable or a file: --header 'Authorization: Bearer \${TOKEN}'`;
  if (status === 403) return `the server answered 403: the credential does not allow this${told}`;
  if (status === 404 && hasSession)
    return 'the server answered 404: it has ended this session. Connect again: restart the server in your client';
  if (status === 404) return `the server answered 404: there is no MCP endpoint at this url${told}`;
  if (status === 429) return `the server answered 429: too many requests; retry later${told}`;
  return `the server answered ${status}${told}`;
}

/** The server's words, if it answered with a JSON-RPC error. One line, bounded. */
function errorMessage(body: Buffer | undefined, hide: (text: string) => string): string | undefined {
  const parsed = body === undefined ? undefined : parse(body);
  const error = isObject(parsed) ? member(parsed, 'error') : undefined;
  const message = isObject(error) ? member(error, 'message') : undefined;
  // Hidden first, then cut: the half of a secret is not found.
  return typeof message === 'string'
    ? hide(message)
        .replace(/\p{Cc}/gu, ' ')
        .slice(0, MAX_SHOWN_CHARS)
    : undefined;
}
