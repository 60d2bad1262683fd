/**
 * Arguments that a call repeats as headers (`x-mcp-header` in a tool's schema, protocol 2026-07-28), so that those on the way can
 * route by them. Whoever routes by a header and whoever runs the body must see one call.
 *
 *     { "properties": { "region": { "type": "string", "x-mcp-header": "Region" } } }   →   Mcp-Param-Region: eu-west
 */
import { isObject, type JsonObject, member } from '../message.ts';

/** Tools of which the headers are known, and headers of one; of further ones the server alone checks them. */
export const MAX_TOOLS_WITH_HEADERS = 10_000;
const MAX_HEADERS = 64;
const MAX_DEPTH = 32;
export const PARAM_PREFIX = 'mcp-param-';
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}$/;

interface Declared {
  /** In small letters, with its prefix. */
  readonly header: string;
  readonly path: readonly string[];
}

export class ParamHeaders {
  readonly #tools = new Map<string, readonly Declared[]>();

  /** Takes in the message that answers a `tools/list`; ignores what has not its shape. The server writes all of it. */
  learn(message: unknown): void {
    const result = isObject(message) ? member(message, 'result') : undefined;
    const tools = isObject(result) ? member(result, 'tools') : undefined;
    if (!Array.isArray(tools)) return;
    for (const tool of tools as readonly unknown[]) {
      const name = isObject(tool) ? member(tool, 'name') : undefined;
      if (!isObject(tool) || typeof name !== 'string') continue;
      const declared: Declared[] = [];
      collect(member(tool, 'inputSchema'), [], declared);
      if (declared.length === 0) this.#tools.delete(name);
      else if (this.#tools.size < MAX_TOOLS_WITH_HEADERS || this.#tools.has(name)) this.#tools.set(name, declared);
    }
  }

  /** The header that says something else than the arguments, or is missing. */
  disagreement(tool: string, args: JsonObject, headerOf: (name: string) => string | undefined): string | undefined {
    return this.#tools.get(tool)?.find(({ header, path }) => {
      const value = textOf(valueAt(args, path));
      const said = headerOf(header);
      // A header of an argument that is not there means nothing: the server must ignore it.
      if (value === undefined) return false;
      return said === undefined || !saysTheSame(decodeHeader(said), value);
    })?.header;
  }

  /** The headers that these arguments must have; undefined where no schema says so. */
  headersOf(tool: string, args: JsonObject): readonly (readonly [string, string])[] | undefined {
    return this.#tools.get(tool)?.flatMap(({ header, path }) => {
      const value = textOf(valueAt(args, path));
      return value === undefined ? [] : [[header, encodeHeader(value)] as const];
    });
  }
}

function collect(schema: unknown, path: readonly string[], declared: Declared[]): void {
  if (!isObject(schema) || path.length > MAX_DEPTH) return;
  const name = member(schema, 'x-mcp-header');
  if (typeof name === 'string' && TOKEN.test(name) && path.length > 0 && declared.length < MAX_HEADERS)
    declared.push({ header: `${PARAM_PREFIX}${name.toLowerCase()}`, path });
  const properties = member(schema, 'properties');
  if (isObject(properties)) for (const [key, value] of Object.entries(properties)) collect(value, [...path, key], declared);
}

function valueAt(args: JsonObject, path: readonly string[]): unknown {
  let value: unknown = args;
  for (const key of path) value = isObject(value) ? member(value, key) : undefined;
  return value;
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean') return String(value);
  return typeof value === 'number' && Number.isFinite(value) && !(Number.isInteger(value) && !Number.isSafeInteger(value))
    ? String(value)
    : undefined;
}

const DECIMAL = /^-?\d+(?:\.\d+)?$/;

function saysTheSame(said: string | undefined, value: string): boolean {
  if (said === value) return true;
  return said !== undefined && DECIMAL.test(said) && DECIMAL.test(value) && Number(said) === Number(value);
}

const PACKED = /^=\?base64\?((?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)\?=$/;
const PLAIN = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;

/** Undefined: it is packed, and cannot be unpacked. */
export function decodeHeader(text: string): string | undefined {
  if (!text.startsWith('=?base64?') || !text.endsWith('?=')) return text;
  const packed = PACKED.exec(text)?.[1];
  if (packed === undefined) return undefined;
  const bytes = Buffer.from(packed, 'base64');
  const decoded = bytes.toString('utf8');
  return Buffer.from(decoded).equals(bytes) ? decoded : undefined;
}

export function encodeHeader(text: string): string {
  return PLAIN.test(text) && !text.startsWith('=?base64?') ? text : `=?base64?${Buffer.from(text).toString('base64')}?=`;
}
