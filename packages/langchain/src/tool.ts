/** A guarded tool: for tools that are called without an agent, and for agents that take no middleware. */
import { CallRefusedError, CountersignError, type Guard, type KeepLater, type Permit, type Refusal } from '@countersign/core';
import { Runnable, RunnableToolLike } from '@langchain/core/runnables';
import { looksLikeToolCall, NESTED_CALL, record, toolCallOf, validatorOf } from './call.ts';
import { waysToRun } from './core-methods.ts';
import { declaredOf } from './declared.ts';
import { isGuardedBy, markGuarded, optionsUnder } from './guarded.ts';
import { pairWithEditNotice, withEditNotice } from './handed-on.ts';
import { argumentsFor } from './mcp-tool.ts';
import type { GuardedToolOptions } from './options.ts';
import { refusalMessage } from './refusal.ts';
import { isPair, releasePair, releaseReturned, returnsPair } from './released.ts';
import { isAsyncGenerator, runUnsettled, settleAtEnd } from './run.ts';
import { type RunnableParts, runnableTool } from './runnable-tool.ts';
import { admit } from './suspend.ts';
import { type Call, WAYS_TO_RUN_TOOLS, type Wrappable, wrappable } from './wrappable.ts';

export { isGuardedBy };

/** LangChain's tool classes differ in type parameters; that it is one of them is checked when it is guarded. */
export interface NamedTool {
  readonly name: string;
}

/** Of what a guarded tool hands to LangChain, which makes a message of it. */
const FORM = 'langchain tool';
const RUNNABLE_FORM = 'langchain runnable';

/**
 * The same tool, asking the guard before every run, whichever way it is run. It stays an instance of its class with the same name
 * and schema; one that asks this guard already is returned as it is. Takes what `tool()` makes, subclasses of `StructuredTool`, and
 * Runnables made tools with `asTool`.
 *
 * A refusal is a tool message with status `error`; a direct `invoke(args)` has no tool call to answer and throws.
 *
 * @throws {CountersignError} `OPTIONS_INVALID` for an object that is not a LangChain tool, one with an `invoke`, `call`, `stream` ...
 *   of its own, and one that asks this guard already with other options; when run: `CALL_REFUSED`.
 */
export function guardTool<T extends NamedTool>(guard: Guard, tool: T, options: GuardedToolOptions = {}): T {
  const first = optionsUnder(tool, guard);
  if (first !== undefined) {
    requireSameOptions(tool, first, options);
    return tool;
  }
  const guarded = guardedTool(guard, tool, options);
  markGuarded(guarded, tool, guard, options);
  return guarded;
}

/** The tool keeps asking as it was told first, so a principal named now would count for nothing. */
function requireSameOptions({ name }: NamedTool, first: GuardedToolOptions, now: GuardedToolOptions): void {
  const other = (['principal', 'server', 'approval'] as const).find((option) => now[option] !== undefined && now[option] !== first[option]);
  if (other === undefined) return;
  throw new CountersignError(
    'OPTIONS_INVALID',
    `the tool ${JSON.stringify(name)} asks this guard already, with another ${other}: pass the bare tool, or leave the options out`,
  );
}

function guardedTool<T extends NamedTool>(guard: Guard, tool: T, options: GuardedToolOptions): T {
  const runnable = runnableTool(tool);
  if (typeof runnable === 'string') throw new CountersignError('OPTIONS_INVALID', whyNot(tool, runnable));
  if (runnable !== undefined) return guardedRunnable(guard, tool, runnable, options);
  const parts = wrappable(tool);
  if (parts === undefined) throw new CountersignError('OPTIONS_INVALID', whyNot(tool, 'invoke or call'));
  const ways = waysToRun(tool, WAYS_TO_RUN_TOOLS);
  if (typeof ways === 'string') throw new CountersignError('OPTIONS_INVALID', whyNot(tool, ways));
  return guardedStructured(guard, tool, parts, ways, options);
}

function guardedStructured<T extends NamedTool>(
  guard: Guard,
  tool: T,
  { inner, wrap }: Wrappable<T>,
  ways: PropertyDescriptorMap,
  options: GuardedToolOptions,
): T {
  const asking: Call = (args, runManager, config) => {
    const frame = frameOf(config);
    const { id, signal } = frame;
    const asked = { guard, tool, args, frame, options, form: FORM };
    return ask(asked, async (admitted, keepLater) => {
      if (admitted.kind === 'refusal') return refuse(admitted, tool, id);
      const decided = argumentsFor(tool, admitted.args);
      const returned = await runUnsettled(admitted, () => inner(decided, runManager, config), { id, signal });
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
  };
  // Its function is called by nobody in LangChain but its `_call`; whoever calls it asks, too.
  const func = typeof Reflect.get(tool, 'func') === 'function' ? { func: { value: asking } } : {};
  return wrap(asking, { ...ways, ...func });
}

function guardedRunnable<T extends NamedTool>(guard: Guard, tool: T, { run, wrap }: RunnableParts<T>, options: GuardedToolOptions): T {
  return wrap(async (args, asked, config) => {
    const inherited = frameOf(config);
    const frame = { ...inherited, id: asked ?? inherited.id };
    const { id, signal } = frame;
    if (looksLikeToolCall(args)) return refuse(await refuseNested(guard, tool, args, frame, options), tool, id);
    const asking = { guard, tool, args, frame, options, form: RUNNABLE_FORM };
    return ask(asking, async (admitted) => {
      if (admitted.kind === 'refusal') return refuse(admitted, tool, id);
      const result = await runUnsettled(admitted, () => run(admitted.args, id, config), { id, signal });
      return withEditNotice(await releaseReturned(admitted, result, id), admitted, id);
    });
  });
}

interface Asked {
  readonly guard: Guard;
  readonly tool: NamedTool;
  readonly args: unknown;
  readonly frame: Frame;
  readonly options: GuardedToolOptions;
  readonly form: string;
}

type Use = (admitted: Permit | Refusal, keepLater: KeepLater<unknown>) => Promise<unknown>;

async function ask({ guard, tool, args, frame, options, form }: Asked, use: Use): Promise<unknown> {
  const { signal, ...framework } = frame;
  const validate = validatorOf(record(tool)['schema'], false);
  const call = toolCallOf({ ...framework, tool: tool.name, args, declared: declaredOf(tool) }, options);
  const thread = frame.run.configurable['thread_id'];
  return admit(guard, call, { form, options, validate, signal, thread }, use);
}

const MAX_SHOWN_NAME_CHARS = 100;

/** @param method - what of it is not LangChain's. */
function whyNot(tool: unknown, method: string): string {
  if (typeof record(tool)['_call'] === 'function' || tool instanceof RunnableToolLike)
    return (
      `guardTool cannot guard ${shownName(tool)}: its ${method} is not the one of the installed @langchain/core and could run without being ` +
      'asked; wrap the function that does the work with guard.tool, and make a tool of the result with tool()'
    );
  if (Runnable.isRunnable(tool))
    return 'guardTool takes a LangChain tool, and a Runnable has no name to decide on: make it one with runnable.asTool({ name, description, schema })';
  return 'guardTool takes a LangChain tool: made with tool(), or a subclass of StructuredTool';
}

export function shownName(tool: unknown): string {
  const name = record(tool)['name'];
  return typeof name === 'string' ? `the tool ${JSON.stringify(name.slice(0, MAX_SHOWN_NAME_CHARS))}` : 'this tool';
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
  return returnsPair(tool) ? [message, undefined] : message;
}

/** A call whose arguments LangChain would open as another call. */
function refuseNested(guard: Guard, tool: NamedTool, args: unknown, frame: Frame, options: GuardedToolOptions): Promise<Refusal> {
  const { tool: ref, session } = toolCallOf({ ...frame, tool: tool.name, args, declared: declaredOf(tool) }, options);
  return guard.recordRefusal({
    tool: ref,
    reasonCode: 'ARGUMENTS_INVALID',
    reason: NESTED_CALL,
    ...(session !== undefined && { session }),
  });
}
