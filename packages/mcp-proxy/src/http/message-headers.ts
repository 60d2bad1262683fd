/**
 * Headers that tell an HTTP server, and whatever stands before it, what a message of the stateless protocol (2026-07-28) is
 * about. They are written from the message that was decided on, never taken from anywhere else: a server compares them.
 *
 *     MCP-Protocol-Version: 2026-07-28
 *     Mcp-Method: tools/call
 *     Mcp-Name: search
 *     Mcp-Param-Region: eu
 */
import { isObject, type JsonObject, member } from '../message.ts';
import type { Outgoing } from './outgoing.ts';
import { decodeHeader, encodeHeader, ParamHeaders } from './param-headers.ts';

/** Which member of `params` names what a request is about. */
const NAMED_BY: ReadonlyMap<string, string> = new Map([
  ['tools/call', 'name'],
  ['prompts/get', 'name'],
  ['resources/read', 'uri'],
  ['tasks/get', 'taskId'],
  ['tasks/update', 'taskId'],
  ['tasks/cancel', 'taskId'],
]);

type Request = Extract<Outgoing, { readonly kind: 'request' }>;

export class MessageHeaders {
  readonly #params = new ParamHeaders();

  /** Takes in the message that answers a `tools/list`. */
  learn(message: unknown): void {
    this.#params.learn(message);
  }

  /** Empty for a message of the protocol with sessions. */
  of(message: Outgoing): Readonly<Record<string, string>> {
    if (message.kind !== 'request' || message.version === undefined) return {};
    const name = nameOf(message);
    const args = argumentsOf(message);
    const params = name === undefined || args === undefined ? [] : (this.#params.headersOf(name, args) ?? []);
    return {
      'MCP-Protocol-Version': message.version,
      'Mcp-Method': encodeHeader(message.method),
      ...(name !== undefined && { 'Mcp-Name': encodeHeader(name) }),
      ...Object.fromEntries(params),
    };
  }

  /**
   * The header that is missing, or says something else than the message.
   *
   * @param headerOf - by its name in small letters.
   */
  contradiction(message: Request, headerOf: (name: string) => string | undefined): string | undefined {
    const said = (name: string): string | undefined => {
      const value = headerOf(name);
      return value === undefined ? undefined : decodeHeader(value);
    };
    if (said('mcp-protocol-version') !== message.version) return 'mcp-protocol-version';
    if (said('mcp-method') !== message.method) return 'mcp-method';
    const name = nameOf(message);
    if (name !== undefined && said('mcp-name') !== name) return 'mcp-name';
    const args = argumentsOf(message);
    return name === undefined || args === undefined ? undefined : this.#params.disagreement(name, args, headerOf);
  }
}

function nameOf({ method, params }: Request): string | undefined {
  const namedBy = NAMED_BY.get(method);
  const name = namedBy !== undefined && isObject(params) ? member(params, namedBy) : undefined;
  return typeof name === 'string' ? name : undefined;
}

function argumentsOf({ method, params }: Request): JsonObject | undefined {
  const args = method === 'tools/call' && isObject(params) ? member(params, 'arguments') : undefined;
  return isObject(args) ? args : undefined;
}
