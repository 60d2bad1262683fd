/** Schemas of arguments, for policies written as functions. They check what a call gives, and never change it. */
import * as z from 'zod';
import type { Json } from '../call.ts';
import { CountersignError } from '../errors.ts';
import { schemaIssues } from '../schema-issues.ts';

/** Any schema of zod 4, also of `zod/mini`. */
export type ArgumentsSchema = z.core.$ZodType;

export interface CheckedSchema {
  /** JSON Schema, as far as it can tell what the schema asks for. */
  readonly document: Json;
  /** What is wrong with arguments, without their values; undefined when they fit. @throws whatever a check in the schema throws. */
  misfit(args: Json): string | undefined;
}

/**
 * Kinds of schema whose output is their input, for JSON: what is decided on is what the tool is run with, so that a number made
 * of a text, or a value put in for a missing one, would be something that no tool ever gets. A list of what is fine, since zod
 * may come to know more kinds.
 */
const CHECKING: ReadonlySet<string> = new Set(
  'any array boolean enum intersection lazy literal never nonoptional null nullable number object optional readonly record string template_literal tuple union unknown'.split(
    ' ',
  ),
);

/** @throws {CountersignError} `OPTIONS_INVALID` for a schema that changes what it reads, or that no JSON could fit. */
export function checkSchema(schema: unknown, where: string): CheckedSchema {
  if (!isSchema(schema))
    throw new CountersignError('OPTIONS_INVALID', `${where}: args must be a schema of zod 4, such as z.object({ ... })`);
  let unfit: string | undefined;
  let document: unknown;
  try {
    document = z.toJSONSchema(schema, {
      // Of the input: the output would not tell a strict object from one that passes over further members.
      io: 'input',
      // Titles and descriptions check nothing.
      metadata: z.registry(),
      override: ({ zodSchema }) => {
        unfit ??= unfitness(zodSchema._zod.def);
      },
    });
  } catch (error) {
    const why = error instanceof Error ? `: ${error.message}` : '';
    throw new CountersignError('OPTIONS_INVALID', `${where}: args must be a schema that JSON can fit${why}`, { cause: error });
  }
  if (unfit !== undefined) throw new CountersignError('OPTIONS_INVALID', `${where}: args may only check, and ${unfit}`);
  return {
    document: document as Json,
    misfit(args) {
      const read = z.safeParse(schema, args);
      return read.success ? undefined : `cannot read the arguments${schemaIssues(read.error)}`;
    },
  };
}

function isSchema(schema: unknown): schema is ArgumentsSchema {
  return typeof schema === 'object' && schema !== null && '_zod' in schema && typeof schema._zod === 'object' && schema._zod !== null;
}

/** Why a part of a schema will not do, by the name it has in zod. */
function unfitness(definition: z.core.$ZodTypeDef): string | undefined {
  if (!CHECKING.has(definition.type)) return changes(definition.type);
  if ('coerce' in definition && definition.coerce === true) return changes('coerce');
  if (definition.checks?.some((check) => check._zod.def.check === 'overwrite') === true) return changes('overwrite');
  // Its type speaks of every member, its check of those whose names fit.
  return 'mode' in definition && definition.mode === 'loose' ? '"looseRecord" leaves members unchecked; use z.record' : undefined;
}

function changes(kind: string): string {
  return `"${kind}" changes what it reads: the tool runs with the arguments as they are. Leave it out and do the same in evaluate`;
}
