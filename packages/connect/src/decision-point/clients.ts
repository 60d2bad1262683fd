/** Who asks: a bearer token that belongs to an agent, or whoever could open the socket. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { CountersignError } from '@countersign/core';

/** Somebody who may ask, and as whom. */
export interface Client {
  readonly agent: string;
  /** The only sessions it may use. Absent: any name, which becomes one of its own. */
  readonly sessions?: ReadonlySet<string>;
}

export interface ClientOptions {
  readonly agent: string;
  /** 32 to 512 characters of RFC 6750; any of them is this client. */
  readonly tokens: readonly string[];
  readonly sessions?: readonly string[];
}

export const MIN_TOKEN_CHARS = 32;
export const MAX_TOKEN_CHARS = 512;
/** RFC 6750, section 2.1. */
const TOKEN = /^[A-Za-z0-9\-._~+/]+=*$/;
const BEARER = /^Bearer ([A-Za-z0-9\-._~+/]+=*)$/i;

interface Known {
  readonly client: Client;
  readonly digest: Buffer;
}

export class Clients {
  readonly #known: readonly Known[];

  /** @throws {CountersignError} `OPTIONS_INVALID`; its message never repeats a token. */
  constructor(options: readonly ClientOptions[]) {
    this.#known = options.flatMap(knownOf);
    const digests = this.#known.map(({ digest }) => digest.toString('hex'));
    if (new Set(digests).size !== digests.length)
      throw new CountersignError('OPTIONS_INVALID', 'two clients have the same token: it would not say which one asks');
    if (new Set(options.map(({ agent }) => agent)).size !== options.length)
      throw new CountersignError('OPTIONS_INVALID', 'two clients are the same agent: give each its own, or one client several tokens');
  }

  /** @param authorization - the header as it came. Takes as long for a wrong token as for a right one. */
  find(authorization: string): Client | undefined {
    const token = authorization.length <= MAX_TOKEN_CHARS + 16 ? BEARER.exec(authorization)?.[1] : undefined;
    if (token === undefined) return undefined;
    const digest = digestOf(token);
    let found: Client | undefined;
    // All of them, whatever the first ones say.
    for (const known of this.#known) if (timingSafeEqual(known.digest, digest)) found = known.client;
    return found;
  }
}

function knownOf({ agent, tokens, sessions }: ClientOptions): readonly Known[] {
  requireAgentName(agent);
  if (tokens.length === 0) throw new CountersignError('OPTIONS_INVALID', `client ${agent}: has no token`);
  const client: Client = { agent, ...(sessions !== undefined && { sessions: new Set(sessions) }) };
  return tokens.map((token) => {
    if (token.length < MIN_TOKEN_CHARS || token.length > MAX_TOKEN_CHARS || !TOKEN.test(token))
      throw new CountersignError(
        'OPTIONS_INVALID',
        `client ${agent}: a token has ${MIN_TOKEN_CHARS} to ${MAX_TOKEN_CHARS} characters of A-Z a-z 0-9 - . _ ~ + /; make one with: openssl rand -hex 32`,
      );
    return { client, digest: digestOf(token) };
  });
}

/**
 * Sessions are recorded as agent/name: one of `a/b` could be spelled like one of `a`.
 *
 * @throws {CountersignError} `OPTIONS_INVALID`
 */
export function requireAgentName(agent: string): void {
  if (agent.includes('/'))
    throw new CountersignError('OPTIONS_INVALID', `agent ${agent}: the name of one that asks a decision point holds no slash`);
}

/** Of equal length for every token, and not the token itself. */
function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
