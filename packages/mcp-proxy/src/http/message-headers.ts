/**
 * Headers that tell an HTTP server, and whatever stands before it, what a message of the stateless protocol (2026-07-28) is
 * about. They are written from the message that was decided on, never taken from anywhere else: a server compares them.
 *
 *     MCP-Protocol-Version: 2026-07-28
 *     Mcp-Method: tools/call
 *     Mcp-Name: search
 *     Mcp-Param-Region: eu
 */
import { MAX_TOOL_NAME_CHARS } from '../client-message.ts';
import { isObject, member } from '../message.ts';
import { MAX_TOOLS } from '../tool-directory.ts';
import type { Outgoing } from './outgoing.ts';

/** Which member of `params` names what a request is about. */
const NAMED_BY: ReadonlyMap<string, string> = new Map([
  ['tools/call', 'name'],
  ['prompts/get', 'name'],
  ['resources/read', 'uri'],
  ['tasks/get', 'taskId'],
  ['tasks/update', 'taskId'],
  ['tasks/cancel', 'taskId'],
]);
/** RFC 9110, section 5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/;
const MAX_PARAMS = 64;
const MAX_NESTING = 32;

interface ParamHeader {
  /** Names of members, from the arguments down. */
  readonly path: readonly string[];
  readonly header: string;
}

export class MessageHeaders {
  readonly #params = new Map<string, readonly ParamHeader[]>();

  /** Takes in the `result` of a `tools/list` response: which arguments its tools want in headers. */
  learn(result: unknown): void {
    const tools = isObject(result) ? member(result, 'tools') : undefined;
    if (!Array.isArray(tools)) return;
    for (const tool of tools as readonly unknown[]) {
      const name = isObject(tool) ? member(tool, 'name') : undefined;
      if (!isObject(tool) || typeof name !== 'string' || name.length > MAX_TOOL_NAME_CHARS) continue;
      const headers = paramHeaders(member(tool, 'inputSchema'));
      if (headers.length === 0) this.#params.delete(name);
      else if (this.#params.size < MAX_TOOLS || this.#params.has(name)) this.#params.set(name, headers);
    }
  }

  /** Empty for a message of the protocol with sessions. */
  of(message: Outgoing): Readonly<Record<string, string>> {
    if (message.kind !== 'request' || message.version === undefined) return {};
    const { method, params } = message;
    const member_ = NAMED_BY.get(method);
    const name = member_ !== undefined && isObject(params) ? member(params, member_) : undefined;
    return {
      'Mcp-Method': headerValue(method),
      ...(typeof name === 'string' && { 'Mcp-Name': headerValue(name) }),
      ...(method === 'tools/call' && typeof name === 'string' && this.#paramsOf(name, params)),
    };
  }

  #paramsOf(tool: string, params: unknown): Readonly<Record<string, string>> {
    const headers: [string, string][] = [];
    for (const { path, header } of this.#params.get(tool) ?? []) {
      const text = textOf(valueAt(isObject(params) ? member(params, 'arguments') : undefined, path));
      if (text !== undefined) headers.push([`Mcp-Param-${header}`, headerValue(text)]);
    }
    return Object.fromEntries(headers);
  }
}

/** What a schema declares by `x-mcp-header`. Of a schema with a flawed declaration nothing counts: clients leave its tool out. */
function paramHeaders(schema: unknown): readonly ParamHeader[] {
  const found: ParamHeader[] = [];
  const names = new Set<string>();
  const visit = (node: unknown, path: readonly string[]): boolean => {
    if (!isObject(node) || path.length > MAX_NESTING) return true;
    const header = member(node, 'x-mcp-header');
    if (header !== undefined) {
      const type = member(node, 'type');
      const fits = typeof header === 'string' && TOKEN.test(header) && path.length > 0 && !names.has(header.toLowerCase());
      if (!fits || (type !== 'string' && type !== 'integer' && type !== 'boolean') || found.length >= MAX_PARAMS) return false;
      names.add(header.toLowerCase());
      found.push({ path, header });
    }
    const properties = member(node, 'properties');
    return !isObject(properties) || Object.keys(properties).every((key) => visit(member(properties, key), [...path, key]));
  };
  return visit(schema, []) ? found : [];
}

function valueAt(root: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((node, key) => (isObject(node) ? member(node, key) : undefined), root);
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value.isWellFormed() ? value : undefined;
  if (typeof value === 'boolean') return String(value);
  return typeof value === 'number' && (Number.isSafeInteger(value) || !Number.isInteger(value)) ? String(value) : undefined;
}

/** Text as the value of a header: as it is, or in base64 where a header could not carry it, or would not carry it whole. */
export function headerValue(text: string): string {
  const isPlain = /^[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?$/.test(text) && !(text.startsWith('=?base64?') && text.endsWith('?='));
  return isPlain ? text : `=?base64?${Buffer.from(text).toString('base64')}?=`;
}
