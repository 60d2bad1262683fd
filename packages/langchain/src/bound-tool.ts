/** The tool as middleware further in, and LangChain at last, get it: bound to what was decided, and telling whether it was reached. */
import { CountersignError } from '@countersign/core';
import type { ToolCallRequest } from 'langchain';
import { record } from './call.ts';
import type { Wrappable } from './wrappable.ts';

export type AgentTool = NonNullable<ToolCallRequest['tool']>;

export interface BoundTool {
  readonly tool: AgentTool;
  /** False: somebody put another tool in its place, answered without it, or failed before it. */
  wasReached(): boolean;
}

/** Runs the tool with these arguments. */
export type Run = (args: unknown) => unknown;

/**
 * The arguments that middleware further in may have put into the request are not used: `execute` names those that are.
 *
 * A tool that can be wrapped parses the model's text again, so that a schema which is not idempotent does not fail; what it makes
 * of it is dropped. Another one gets what `execute` gives it, which its schema leaves alone.
 */
export function bindTool(tool: AgentTool, parts: Wrappable<AgentTool> | undefined, execute: (run: Run) => unknown): BoundTool {
  let reached = false;
  const reach = (run: Run): unknown => {
    reached = true;
    return execute(run);
  };
  const bound =
    parts === undefined
      ? withInvoke(tool, (invoke, input, config) => reach((args) => invoke({ ...record(input), args }, config)))
      : parts.wrap((_parsedAgain, runManager, config) => reach((args) => parts.inner(args, runManager, config)));
  return { tool: bound, wasReached: () => reached };
}

/** The tool unchanged, for one that asks the guard itself. */
export function watchTool(tool: AgentTool): BoundTool {
  let reached = false;
  const watched = withInvoke(tool, (invoke, input, config) => {
    reached = true;
    return invoke(input, config);
  });
  return { tool: watched, wasReached: () => reached };
}

type Invoke = (input: unknown, config: unknown) => unknown;

/** LangChain comes to a tool through `invoke` and reads its name, nothing else. */
function withInvoke(tool: AgentTool, run: (invoke: Invoke, input: unknown, config: unknown) => unknown): AgentTool {
  const invoke: unknown = Reflect.get(tool, 'invoke');
  const inner: Invoke = (...args) => Reflect.apply(invoke as Invoke, tool, args);
  return Object.create(tool, {
    name: { value: Reflect.get(tool, 'name') },
    invoke: { value: async (input: unknown, config: unknown) => run(inner, input, config) },
  }) as AgentTool;
}

/** A tool was decided on and another may have run: nothing tells what the answer is. */
export function misplaced(tool: string): CountersignError {
  return new CountersignError(
    'MIDDLEWARE_MISPLACED',
    `middleware listed after countersignMiddleware answered for ${JSON.stringify(tool.slice(0, 100))} or ran another tool in its place, so what it returned is withheld: list countersignMiddleware last`,
  );
}
