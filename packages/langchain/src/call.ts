/** From a tool call of LangChain to a `ToolCall` of the guard. Names, ids and arguments come from a model: all of it may be hostile. */
import { canonicalize, currentCall, type ToolCall, type ToolRef } from '@countersign/core';
import { AIMessage } from '@langchain/core/messages';
import { interopSafeParseAsync, isInteropZodSchema } from '@langchain/core/utils/types';
import { jsonSchemaProblem } from './json-schema.ts';
import type { GuardedToolOptions, RunIdentity } from './options.ts';

export interface FrameworkCall {
  /** Name of the tool object that will run; what the model wrote does not select the tool. */
  readonly tool: string;
  readonly args: unknown;
  /** What the tool's author said about it. */
  readonly declared?: Pick<ToolRef, 'schema' | 'annotations'>;
  readonly id: string | undefined;
  readonly messages: unknown;
  readonly run: RunIdentity;
}

export function toolCallOf(call: FrameworkCall, options: GuardedToolOptions): ToolCall {
  const { tool: name, args, id, run } = call;
  const server = typeof options.server === 'function' ? options.server(name) : options.server;
  const principal = typeof options.principal === 'function' ? options.principal(run) : options.principal;
  const session = sessionOf(run);
  const turn = id === undefined ? undefined : turnOf(call.messages, id);
  return {
    tool: { name, ...(server !== undefined && { server }), ...call.declared },
    args,
    ...(session !== undefined && { session }),
    ...(principal !== undefined && { principal }),
    ...(id !== undefined && { id }),
    ...(turn !== undefined && { turn }),
  };
}

/**
 * The thread, unless the agent runs inside a guarded call: then its calls are part of that one. A thread of its own keeps what a
 * subagent remembers apart; it must not wash off what the session of its caller is held to, nor what it did itself.
 */
function sessionOf(run: RunIdentity): string | undefined {
  return currentCall() === undefined ? threadOf(run) : undefined;
}

function threadOf(run: RunIdentity): string | undefined {
  const thread = run.configurable['thread_id'];
  return typeof thread === 'number' ? String(thread) : typeof thread === 'string' ? thread : undefined;
}

/** Id of the AI message that holds the call: it is kept in the checkpoint, so a resumed run finds the same one. */
function turnOf(messages: unknown, id: string): string | undefined {
  if (!Array.isArray(messages)) return undefined;
  const holder: unknown = messages.findLast(
    (message: unknown) => AIMessage.isInstance(message) && message.tool_calls?.some((call) => call.id === id) === true,
  );
  return AIMessage.isInstance(holder) && typeof holder.id === 'string' && holder.id !== '' ? holder.id : undefined;
}

export type ParsedArguments = { readonly kind: 'parsed'; readonly args: unknown } | { readonly kind: 'invalid'; readonly reason: string };

/**
 * The arguments as the tool will see them: parsed by its zod schema; JSON schema only validates, so they pass unchanged.
 *
 * @param reparsed - the tool parses once more what it is given, so parsing must leave its own output alone.
 */
export async function parseArguments(schema: unknown, raw: unknown, reparsed: boolean): Promise<ParsedArguments> {
  try {
    if (!isInteropZodSchema(schema)) {
      if (looksLikeToolCall(raw)) return { kind: 'invalid', reason: NESTED_CALL };
      const problem = typeof schema === 'object' && schema !== null ? jsonSchemaProblem(schema, raw) : undefined;
      return problem === undefined
        ? { kind: 'parsed', args: raw }
        : { kind: 'invalid', reason: `the arguments do not fit the tool: ${problem}` };
    }
    const once = await interopSafeParseAsync<unknown>(schema, raw);
    if (!once.success) return { kind: 'invalid', reason: `the arguments do not fit the tool: ${issuesOf(once.error)}` };
    if (!reparsed) return { kind: 'parsed', args: once.data };
    if (looksLikeToolCall(once.data)) return { kind: 'invalid', reason: NESTED_CALL };
    const twice = await interopSafeParseAsync<unknown>(schema, once.data);
    if (twice.success && canonicalize(twice.data) === canonicalize(once.data)) return { kind: 'parsed', args: once.data };
    return { kind: 'invalid', reason: 'the schema of this tool changes its own output; make the tool with tool() to run what was decided' };
  } catch {
    return { kind: 'invalid', reason: 'the arguments could not be parsed by the schema of the tool' };
  }
}

export const NESTED_CALL = 'arguments with the type "tool_call" would be opened as a tool call of their own: rename the member';

/**
 * LangChain would look for a tool call in the arguments again, and validate or run what stands in it, which nobody decided on. A
 * schema that lets unknown names through lets a model write one.
 */
export function looksLikeToolCall(args: unknown): boolean {
  return record(args)['type'] === 'tool_call';
}

/** The same for arguments that a person edited, which no framework has parsed. @throws when they do not fit. */
export function validatorOf(schema: unknown, reparsed: boolean): (args: unknown) => Promise<unknown> {
  return async (args) => {
    const parsed = await parseArguments(schema, args, reparsed);
    if (parsed.kind === 'invalid') throw new Error(parsed.reason);
    return parsed.args;
  };
}

const MAX_ISSUES = 5;

/** zod 3 and zod 4 agree on `issues`, `path` and `message`. */
function issuesOf(error: unknown): string {
  const issues: unknown = typeof error === 'object' && error !== null && 'issues' in error ? error.issues : undefined;
  if (!Array.isArray(issues)) return 'the schema refused them';
  return issues
    .slice(0, MAX_ISSUES)
    .map(({ path, message }: { path?: unknown; message?: unknown }) => {
      const place = Array.isArray(path) ? path.map(String).join('.') : '';
      return place === '' ? String(message) : `${place}: ${String(message)}`;
    })
    .join('; ');
}

/** A view of an object whose shape nobody promises. */
export function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
