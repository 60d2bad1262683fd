/** What a server over HTTP said at the handshake and is told again with every message: its session, and the version agreed on. */
import { isObject, member } from '../message.ts';
import { MessageHeaders } from './message-headers.ts';
import { isVersion, type Outgoing } from './outgoing.ts';

export class RemoteSession {
  readonly #headers = new MessageHeaders();
  #id: string | undefined;
  #version: string | undefined;

  get isOpen(): boolean {
    return this.#id !== undefined;
  }

  /** A handshake begins a session of its own. */
  forget(): void {
    this.#id = undefined;
    this.#version = undefined;
  }

  /** Named at the handshake, and not later. */
  begin(id: string): void {
    this.#id = id;
  }

  /** Takes in the answer to a request: the version agreed on, and which arguments of tools are headers. The server writes all of it. */
  learn({ method, version }: Extract<Outgoing, { readonly kind: 'request' }>, answer: unknown): void {
    if (method === 'tools/list' && version !== undefined) return this.#headers.learn(answer);
    if (method !== 'initialize') return;
    const result = isObject(answer) ? member(answer, 'result') : undefined;
    const agreed = isObject(result) ? member(result, 'protocolVersion') : undefined;
    this.#version = typeof agreed === 'string' && isVersion(agreed) ? agreed : undefined;
  }

  headersOf(message: Outgoing): Readonly<Record<string, string>> {
    const { version } = message;
    return {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...(version === undefined ? this.headers() : { 'MCP-Protocol-Version': version, ...this.#headers.of(message) }),
    };
  }

  /** Of whatever belongs to the session and is no message. */
  headers(): Readonly<Record<string, string>> {
    return {
      ...(this.#id !== undefined && { 'Mcp-Session-Id': this.#id }),
      ...(this.#version !== undefined && { 'MCP-Protocol-Version': this.#version }),
    };
  }
}
