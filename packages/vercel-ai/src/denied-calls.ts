/** Judges the calls in a model's response. It lets nothing run: `execute` decides whatever passes here once more. */
import { type Guard, refusalText, type ToolCall } from '@countersign/core';
import { asSchema, type FlexibleSchema } from 'ai';
import { annotationsOf, member, ownProperty, toolCallOf } from './call.ts';
import { type Identity, type ModelMiddlewareOptions, namesOf } from './model-options.ts';
import type { ModelToolCall } from './model-types.ts';

/** Longest name of a tool in a text: it comes from the model. */
const MAX_SHOWN_NAME_CHARS = 64;
const UNDECIDED = 'call refused: the guard could not decide [INTERNAL_ERROR]';
/** What the same call came to before is told by `execute`, which may even give its result. */
const REPEATS: ReadonlySet<string> = new Set(['CALL_ALREADY_RUN', 'CALL_IN_PROGRESS', 'CALL_OUTCOME_UNKNOWN']);

/** Text for one call that is denied and on record as such; undefined for one that is handed on. Never throws. */
export async function refusedText(
  part: ModelToolCall,
  identity: Identity | undefined,
  guard: Guard,
  options: ModelMiddlewareOptions,
): Promise<string | undefined> {
  // The provider has run it.
  if (part.providerExecuted === true) return undefined;
  const input = await parsedInput(part, options);
  // The SDK turns away what is no JSON or does not fit, and nothing runs.
  if (input === undefined) return undefined;
  const refused = identity === undefined ? UNDECIDED : await refusalOf(callOf(part, input.value, identity, options), guard);
  return refused === undefined ? undefined : `${shownName(part.toolName)}: ${refused}`;
}

async function refusalOf(call: () => ToolCall, guard: Guard): Promise<string | undefined> {
  try {
    const asked = call();
    const { decision } = await guard.preview(asked);
    if (decision.effect !== 'deny' || REPEATS.has(decision.reasonCode)) return undefined;
    const authorization = await guard.authorize(asked, { approval: 'suspend' });
    switch (authorization.kind) {
      case 'refusal':
        return refusalText(authorization);
      case 'pending':
        return undefined;
      case 'permit':
        await authorization.settle({ status: 'cancelled', refund: true });
        return 'call refused: the decision changed meanwhile, call the tool again [CALL_CANCELLED]';
    }
  } catch {
    return UNDECIDED;
  }
}

function callOf(part: ModelToolCall, input: unknown, identity: Identity, options: ModelMiddlewareOptions): () => ToolCall {
  const { toolName, toolCallId } = part;
  return () => {
    const annotations = annotationsOf(ownProperty(options.tools, toolName));
    return toolCallOf({ toolName, toolCallId, input }, undefined, namesOf(identity, options), annotations);
  };
}

/** As the SDK reads it: nothing is `{}`. Undefined for what it refuses. */
async function parsedInput(part: ModelToolCall, options: ModelMiddlewareOptions): Promise<{ readonly value: unknown } | undefined> {
  try {
    const value: unknown = part.input.trim() === '' ? {} : JSON.parse(part.input);
    const schema = member(ownProperty(options.tools, part.toolName), 'inputSchema');
    if (schema === undefined) return { value };
    // What the SDK takes for a schema is what it made the tool with.
    const parsed = await asSchema(schema as FlexibleSchema<unknown>).validate?.(value);
    if (parsed === undefined) return { value };
    return parsed.success ? { value: parsed.value } : undefined;
  } catch {
    return undefined;
  }
}

function shownName(name: string): string {
  return /^[\w.:-]+$/.test(name) && name.length <= MAX_SHOWN_NAME_CHARS ? name : 'a tool';
}
