/** One server over HTTP as all its clients share it, and what is written anew on the way to them. */
import type { IncomingMessage } from 'node:http';
import { CountersignError } from '@countersign/core';
import type { Target } from '../target.ts';
import { BodyBudget } from './body.ts';
import type { AnswerHead } from './client-side.ts';
import type { HttpExchange } from './exchange.ts';
import { headersForClient, NOT_WRITTEN } from './headers.ts';
import { ParamHeaders } from './param-headers.ts';
import type { HttpUpstream } from './upstream-http.ts';

const BAD_GATEWAY = 502;
/** Of an answer: what is below is said before one. */
const LEAST_STATUS = 200;
const MOST_STATUS = 999;

export class Relayed {
  readonly target: Target;
  readonly upstream: HttpUpstream;
  readonly params: ParamHeaders = new ParamHeaders();
  readonly budget: BodyBudget = new BodyBudget();
  readonly resumeWaitMs: number;
  readonly #publicOrigin: string | undefined;

  constructor(target: Target, upstream: HttpUpstream, resumeWaitMs: number, publicOrigin?: string) {
    this.target = target;
    this.upstream = upstream;
    this.resumeWaitMs = resumeWaitMs;
    this.#publicOrigin = publicOrigin;
  }

  /** The endpoint of the server, with the query of the configuration and that of the client. */
  targetOf({ query }: HttpExchange): string {
    const own = this.upstream.query;
    return `${this.upstream.path}${own}${own === '' ? query : query.replace(/^\?/, '&')}`;
  }

  /** Where the client found us. The host it names was checked. */
  originOf({ request }: Pick<HttpExchange, 'request'>): string {
    return this.#publicOrigin ?? `http://${request.headers.host ?? 'localhost'}`;
  }

  headOf(answer: IncomingMessage, exchange: HttpExchange, sizeBytes?: number | 'same'): AnswerHead {
    const rewrite = (name: string, value: string): string => this.#rewritten(name, value, exchange);
    const { statusCode: status = BAD_GATEWAY, statusMessage = '' } = answer;
    return {
      // Node reads more than it writes, and what it does not write it throws: `099`, or a control character in the reason.
      status: status >= LEAST_STATUS && status <= MOST_STATUS ? status : BAD_GATEWAY,
      message: statusMessage.replaceAll(NOT_WRITTEN, ''),
      headers: headersForClient(answer.rawHeaders, rewrite, sizeBytes),
    };
  }

  isEncoded({ headers }: IncomingMessage): boolean {
    const encoding = headers['content-encoding']?.trim().toLowerCase();
    return encoding !== undefined && encoding !== '' && encoding !== 'identity';
  }

  #rewritten(name: string, value: string, exchange: HttpExchange): string {
    switch (name) {
      case 'location':
        return this.moved(value, exchange);
      case 'www-authenticate':
        // Its own metadata is found where the client found the server (RFC 9728).
        return value.replace(
          /\b(resource_metadata\s*=\s*")([^"]*)(")/gi,
          (_all, before: string, url: string, after: string) => `${before}${this.moved(url, exchange)}${after}`,
        );
      case 'access-control-allow-origin':
        return value === this.upstream.origin ? (exchange.request.headers.origin ?? value) : value;
      case 'content-type':
        // Read as UTF-8, and so must the client read it.
        return value.replace(/;\s*charset\s*=\s*"?(?!utf-?8\b)[^";]*"?/gi, '');
      default:
        return value;
    }
  }

  /** A URL of the server's origin as one of ours; any other as it is. */
  moved(text: string, exchange: Pick<HttpExchange, 'request'>): string {
    const url = URL.parse(text);
    if (url === null || url.origin !== this.upstream.origin || url.username !== '' || url.password !== '') return text;
    const rest = text.slice(text.indexOf('//') + 2);
    const path = /[/?#]/.exec(rest);
    return `${this.originOf(exchange)}${path === null ? '' : rest.slice(path.index)}`;
  }
}

/** @throws {CountersignError} `OPTIONS_INVALID` */
export function publicOriginOf(text: string): string {
  const url = URL.parse(text);
  if (
    url === null ||
    !/^https?:$/.test(url.protocol) ||
    url.pathname !== '/' ||
    url.search !== '' ||
    url.hash !== '' ||
    url.username !== '' ||
    url.password !== ''
  )
    throw new CountersignError(
      'OPTIONS_INVALID',
      'the public URL is a scheme and a host, and a port if it is not the usual one: https://mcp.example.com',
    );
  return url.origin;
}
