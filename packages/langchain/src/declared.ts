/**
 * What the author of a tool declared about it: the schema of its arguments, so that an approval or a grant is good for this shape
 * only, and hints, on which rules may tighten. Tools of MCP servers carry what their server said.
 */
import { createHash } from 'node:crypto';
import { canonicalize, type ToolAnnotations, type ToolRef } from '@countersign/core';
import { toJsonSchema } from '@langchain/core/utils/json_schema';
import { record } from './call.ts';

/** Values in a schema; a larger one has no digest. */
const MAX_SCHEMA_NODES = 20_000;

export type Declared = Pick<ToolRef, 'schema' | 'annotations'>;

export function declaredOf(tool: unknown): Declared {
  const digest = digestOf(record(tool)['schema']);
  const annotations = annotationsOf(tool);
  return { ...(digest !== undefined && { schema: digest }), ...(annotations !== undefined && { annotations }) };
}

/** As `@langchain/mcp-adapters` keeps what a server declared. The guard takes no more of it than it knows. */
function annotationsOf(tool: unknown): ToolAnnotations | undefined {
  const { annotations } = record(record(tool)['metadata']);
  return typeof annotations === 'object' && annotations !== null ? annotations : undefined;
}

const DIGESTS = new WeakMap<object, { readonly digest: string | undefined }>();

/** SHA-256 hex of the JSON schema as RFC 8785 JSON; undefined for a schema that has no such form (a date in zod 4). */
function digestOf(schema: unknown): string | undefined {
  if (typeof schema !== 'object' || schema === null) return undefined;
  const known = DIGESTS.get(schema);
  if (known !== undefined) return known.digest;
  let digest: string | undefined;
  try {
    digest = createHash('sha256')
      .update(canonicalize(withoutDefaults(toJsonSchema(schema), { left: MAX_SCHEMA_NODES })))
      .digest('hex');
  } catch {
    digest = undefined;
  }
  DIGESTS.set(schema, { digest });
  return digest;
}

/** Members whose values are schemas by name: there `default` is the name of an argument. */
const BY_NAME: ReadonlySet<string> = new Set(['properties', 'patternProperties', 'dependentSchemas', '$defs', 'definitions']);

/** A default may be made anew each time (an id, a time), and is not part of what fits. */
function withoutDefaults(value: unknown, budget: { left: number }, isByName = false): unknown {
  budget.left -= 1;
  if (budget.left < 0) throw new RangeError('the schema is too large');
  if (Array.isArray(value)) return value.map((item) => withoutDefaults(item, budget));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name, member]) => member !== undefined && (isByName || name !== 'default'))
      .map(([name, member]) => [name, withoutDefaults(member, budget, !isByName && BY_NAME.has(name))]),
  );
}
