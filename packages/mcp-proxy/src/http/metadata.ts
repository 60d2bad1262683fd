/**
 * What a server says about how to get a token for it (RFC 9728: `/.well-known/oauth-protected-resource`, with the path of the
 * endpoint behind it or without). Clients check that its `resource` is the server they asked, which is us; everything else in it,
 * the authorization server above all, stays as it is.
 */
import type { IncomingMessage } from 'node:http';
import { rewriteJson } from '../json-rewrite.ts';
import { scanJson } from '../json-scan.ts';
import { isObject, member } from '../message.ts';
import { readBody } from './body.ts';
import { ClientSide } from './client-side.ts';
import type { HttpExchange } from './exchange.ts';
import type { Relayed } from './relayed.ts';

const RESOURCE_METADATA = '/.well-known/oauth-protected-resource';
/** Where clients look for an authorization server that is the server itself (RFC 8414, and OpenID's own place). */
const OTHERS = ['/.well-known/oauth-authorization-server', '/.well-known/openid-configuration'] as const;
const MAX_METADATA_BYTES = 1_048_576;
const OK = 200;
const BAD_GATEWAY = 502;

/** @returns false for a path that is none of these. */
export function relayMetadata(relayed: Relayed, exchange: HttpExchange): boolean {
  const { request, path, target } = exchange;
  const isOurs = isUnder(path, RESOURCE_METADATA);
  if ((!isOurs && !OTHERS.some((other) => isUnder(path, other))) || !['GET', 'HEAD', 'OPTIONS'].includes(request.method ?? ''))
    return false;
  const client = new ClientSide(exchange);
  const asked = relayed.upstream.ask(
    { method: request.method ?? 'GET', target, headers: request.rawHeaders },
    {
      answered: (answer) => {
        if (!isOurs || answer.statusCode !== OK || request.method !== 'GET' || relayed.isEncoded(answer))
          return client.passOn(relayed.headOf(answer, exchange, 'same'), answer);
        void rewritten(relayed, exchange, answer).then((body) => {
          if (body === undefined) client.refuse(BAD_GATEWAY, 'the metadata of the server could not be read');
          else client.whole(relayed.headOf(answer, exchange, body.length), body);
        });
      },
      failed: (reason) => client.refuse(BAD_GATEWAY, reason),
    },
  );
  exchange.response.once('close', () => asked.destroy());
  return true;
}

async function rewritten(relayed: Relayed, exchange: HttpExchange, answer: IncomingMessage): Promise<Buffer | undefined> {
  const body = await readBody(answer, relayed.budget);
  if (body === 'gone' || body === 'busy' || body.kind === 'oversize' || body.content.length > MAX_METADATA_BYTES) return undefined;
  const scan = scanJson(body.content);
  // What is no such document says nothing of a resource.
  if (!scan.ok || scan.topLevel !== 'object' || scan.flaws.some(({ kind }) => kind === 'duplicate-key')) return body.bytes;
  const text = body.content.toString('utf8');
  const before: unknown = JSON.parse(text);
  const resource = isObject(before) ? member(before, 'resource') : undefined;
  if (!isObject(before) || typeof resource !== 'string') return body.bytes;
  return Buffer.from(rewriteJson(text, before, { ...before, resource: relayed.moved(resource, exchange) }));
}

function isUnder(path: string, place: string): boolean {
  return path === place || path.startsWith(`${place}/`);
}
