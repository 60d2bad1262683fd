/** A guarded tool: for tools that are called without an agent, and for agents that take no middleware. */
import { CallRefusedError, CountersignError, type Guard, type Refusal } from '@countersign/core';
import { record, toolCallOf, validatorOf } from './call.ts';
import { pairWithEditNotice, withEditNotice } from './handed-on.ts';
import type { GuardedToolOptions } from './options.ts';
import { refusalMessage } from './refusal.ts';
import { releasePair, releaseReturned } from './released.ts';
import { isAsyncGenerator, runUnsettled, settleAtEnd } from './run.ts';
import { admit } from './suspend.ts';
import { wrappable } from './wrappable.ts';

/** LangChain's tool classes differ in type parameters; that it is one of them is checked when it is guarded. */
interface NamedTool {
  readonly name: string;
}

/** Of what a guarded tool hands to LangChain, which makes a message of it. */
const FORM = 'langchain tool';

const GUARDED = new WeakMap<object, Guard>();

/** True for a tool that asks this very guard itself. */
export function isGuardedBy(tool: unknown, guard: Guard): boolean {
  return typeof tool === 'object' && tool !== null && GUARDED.get(tool) === guard;
}

/**
 * The same tool, asking the guard before every run. It stays an instance of its class with the same name and schema.
 * A refusal is a tool message with status `error`; a direct `invoke(args)` has no tool call to answer and throws.
 *
 * @throws {CountersignError} `OPTIONS_INVALID` for an object that is not a LangChain tool, or one with an `invoke` or `call`
 *   of its own; when run: `CALL_REFUSED`.
 */
export function guardTool<T extends NamedTool>(guard: Guard, tool: T, options: GuardedToolOptions = {}): T {
  const parts = wrappable(tool);
  if (parts === undefined) throw new CountersignError('OPTIONS_INVALID', whyNot(tool));
  const { inner, wrap } = parts;
  const validate = validatorOf(record(tool)['schema'], false);
  const guarded = wrap(async (args, runManager, config) => {
    const { id, signal, ...call } = frameOf(config);
    const framework = toolCallOf({ tool: tool.name, args, id, ...call }, options);
    return admit<unknown>(guard, framework, { form: FORM, options, validate, signal }, async (admitted, keepLater) => {
      if (admitted.kind === 'refusal') return refuse(admitted, tool, id);
      const returned = await runUnsettled(admitted, () => inner(admitted.args, runManager, config), { id, signal });
      const release = async (result: unknown): Promise<unknown> =>
        isPair(tool, result)
          ? pairWithEditNotice(await releasePair(admitted, result, id), admitted, id)
          : withEditNotice(await releaseReturned(admitted, result, id), admitted, id);
      if (!isAsyncGenerator(returned)) return release(returned);
      const keep = keepLater();
      return settleAtEnd(admitted, returned, { id, signal }, async (last) => {
        const released = await release(last);
        keep(released);
        return released;
      });
    });
  });
  GUARDED.set(guarded, guard);
  return guarded;
}

function whyNot(tool: unknown): string {
  return typeof record(tool)['_call'] === 'function'
    ? 'guardTool cannot guard this tool: its invoke or call is not the one of the installed @langchain/core and could run without being ' +
        'asked; wrap the function that does the work with guard.tool, and make a tool of the result with tool()'
    : 'guardTool takes a LangChain tool: made with tool(), or a subclass of StructuredTool';
}

interface Frame {
  readonly id: string | undefined;
  readonly messages: unknown;
  readonly run: { readonly configurable: Readonly<Record<string, unknown>>; readonly context: unknown };
  readonly signal: AbortSignal | undefined;
}

/** What the config of a run says; outside of an agent it says little. */
function frameOf(config: unknown): Frame {
  const { toolCall, configurable, context, state, signal } = record(config);
  const id = record(toolCall)['id'];
  return {
    id: typeof id === 'string' && id !== '' ? id : undefined,
    messages: record(state)['messages'],
    run: { configurable: record(configurable), context },
    signal: signal instanceof AbortSignal ? signal : undefined,
  };
}

function refuse(refusal: Refusal, tool: NamedTool, id: string | undefined): unknown {
  if (id === undefined) throw new CallRefusedError(refusal);
  const message = refusalMessage(refusal, tool.name, id);
  // A tool of this format must return a pair.
  return responseFormat(tool) === 'content_and_artifact' ? [message, undefined] : message;
}

function isPair(tool: NamedTool, result: unknown): result is readonly [unknown, unknown] {
  return responseFormat(tool) === 'content_and_artifact' && Array.isArray(result);
}

function responseFormat(tool: object): unknown {
  return Reflect.get(tool, 'responseFormat');
}
