import { createHash } from 'node:crypto';
import type { ToolAnnotations, ToolRef } from '@countersign/core';
import { canonicalize } from '@countersign/core';
import { MAX_TOOL_NAME_CHARS } from './client-message.ts';
import { isObject, type JsonObject, member } from './message.ts';

/** Most tools remembered of one server. Calls of further ones are decided without annotations and schema. */
export const MAX_TOOLS = 10_000;
const MAX_TITLE_CHARS = 256;
const HINTS = ['readOnlyHint', 'destructiveHint', 'idempotentHint', 'openWorldHint'] as const;

type Known = Pick<ToolRef, 'schema' | 'annotations'>;

/** What a server last declared about its tools. The server writes all of it, names included. */
export class ToolDirectory {
  readonly #tools = new Map<string, Known>();

  /** Takes in the `result` of a `tools/list` response; ignores what has not its shape. */
  learn(result: unknown): void {
    const tools = isObject(result) ? member(result, 'tools') : undefined;
    if (!Array.isArray(tools)) return;
    for (const tool of tools as readonly unknown[]) {
      const name = isObject(tool) ? member(tool, 'name') : undefined;
      if (!isObject(tool) || typeof name !== 'string' || name.length > MAX_TOOL_NAME_CHARS) continue;
      if (this.#tools.size >= MAX_TOOLS && !this.#tools.has(name)) continue;
      this.#tools.set(name, known(tool));
    }
  }

  ref(server: string, name: string): ToolRef {
    return { server, name, ...this.#tools.get(name) };
  }
}

function known(tool: JsonObject): Known {
  const annotations = readAnnotations(member(tool, 'annotations'));
  const schema = schemaDigest(tool);
  return { ...(schema === undefined ? {} : { schema }), ...(annotations === undefined ? {} : { annotations }) };
}

/** SHA-256 hex of the whole declaration as RFC 8785 JSON; absent for a declaration that has no such form. */
function schemaDigest(tool: JsonObject): string | undefined {
  try {
    return createHash('sha256').update(canonicalize(tool)).digest('hex');
  } catch {
    return undefined;
  }
}

function readAnnotations(value: unknown): ToolAnnotations | undefined {
  if (!isObject(value)) return undefined;
  const title = member(value, 'title');
  const hints = HINTS.map((hint) => [hint, member(value, hint)] as const).filter(([, set]) => typeof set === 'boolean');
  return { ...(typeof title === 'string' ? { title: title.slice(0, MAX_TITLE_CHARS) } : {}), ...Object.fromEntries(hints) };
}
