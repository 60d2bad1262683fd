/** Tools that are known to exist: from an MCP server's `tools/list`, or from what a ledger saw. */
import type { ToolAnnotations, ToolRef } from '../../call.ts';
import { CountersignError } from '../../errors.ts';
import { isName } from '../../names.ts';

export interface KnownTool extends Pick<ToolRef, 'server' | 'name'> {
  /** JSON Schema of its arguments, as its author wrote it; whoever reads it must expect anything. */
  readonly schema?: unknown;
  readonly annotations?: ToolAnnotations;
}

export const MAX_KNOWN_TOOLS = 10_000;

/**
 * The tools of a `tools/list` answer: `{"tools": [...]}`, that inside a JSON-RPC `result`, or the list alone.
 *
 * @param server - what our configuration calls the server.
 * @throws {CountersignError} `OPTIONS_INVALID`
 */
export function readToolsList(value: unknown, server?: string): readonly KnownTool[] {
  const tools = listIn(value);
  if (tools === undefined) throw refused('no tools/list answer: it needs a list under "tools"');
  if (tools.length > MAX_KNOWN_TOOLS) throw refused(`more than ${MAX_KNOWN_TOOLS} tools`);
  return tools.map((tool: unknown, index) => {
    const name = own(tool, 'name');
    if (!isName(name)) throw refused(`tool ${index + 1} has no usable name`);
    const [schema, annotations] = [own(tool, 'inputSchema'), own(tool, 'annotations')];
    return {
      ...(server !== undefined && { server }),
      name,
      ...(schema !== undefined && { schema }),
      ...(isObject(annotations) && { annotations }),
    };
  });
}

/** What a schema says of an argument: `required`, `optional`, `unknown` to it (with what it does know), or nothing at all. */
export type ArgumentKnown =
  | { readonly kind: 'required' | 'optional' | 'untold' }
  | { readonly kind: 'unknown'; readonly names: readonly string[] };

export function argumentIn(schema: unknown, path: readonly string[]): ArgumentKnown {
  let at = schema;
  let isRequired = true;
  for (const key of path) {
    const properties = own(at, 'properties');
    if (!isObject(properties)) return { kind: 'untold' };
    const next = own(properties, key);
    if (next === undefined) return isClosed(at) ? { kind: 'unknown', names: Object.keys(properties) } : { kind: 'untold' };
    const required = own(at, 'required');
    isRequired &&= Array.isArray(required) && required.includes(key);
    at = next;
  }
  return { kind: isRequired ? 'required' : 'optional' };
}

/** Combined schemas may declare more than `properties` shows. */
function isClosed(schema: unknown): boolean {
  if (['$ref', 'allOf', 'anyOf', 'oneOf', 'if', 'patternProperties'].some((key) => own(schema, key) !== undefined)) return false;
  const additional = own(schema, 'additionalProperties');
  return additional === false || additional === undefined;
}

function listIn(value: unknown): readonly unknown[] | undefined {
  if (Array.isArray(value)) return value;
  const tools = own(own(value, 'result') ?? value, 'tools');
  return Array.isArray(tools) ? tools : undefined;
}

function own(value: unknown, key: string): unknown {
  return isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function refused(message: string): CountersignError {
  return new CountersignError('OPTIONS_INVALID', message);
}
