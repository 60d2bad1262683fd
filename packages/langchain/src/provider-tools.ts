/**
 * Tools that run at the model's provider (web search, code interpreters). They are plain objects in the agent's list, and their
 * calls come back as blocks of the model's message: they have run by then, so the only place to stop one is before the model hears
 * of it. What ran all the same is put on record as just that.
 */
import { CallRefusedError, CountersignError, type Guard, type Outcome, type ToolCall } from '@countersign/core';
import { AIMessage } from '@langchain/core/messages';
import { Runnable } from '@langchain/core/runnables';
import { record, toolCallOf } from './call.ts';
import type { GuardedToolOptions, RunIdentity } from './options.ts';
import { type ProviderCall, providerCalls } from './provider-calls.ts';

export interface ProviderToolOptions extends GuardedToolOptions {
  /**
   * Tools that run at the model's provider, out of the guard's reach. `strip` (default): they are not offered to the model.
   * `record`: those are offered that policy may allow in this session, and what they did is recorded afterwards.
   */
  readonly providerTools?: 'strip' | 'record';
}

/** The tools to offer the model. The very same list when none of them runs at the provider. */
export async function offeredTools<T>(
  tools: readonly T[],
  run: RunIdentity,
  guard: Guard,
  options: ProviderToolOptions,
): Promise<readonly T[]> {
  if (!tools.some(isProviderTool)) return tools;
  if (options.providerTools !== 'record') return tools.filter((tool) => !isProviderTool(tool));
  const kept: T[] = [];
  for (const tool of tools) if (!isProviderTool(tool) || (await mayBeOffered(nameOf(tool), run, guard, options))) kept.push(tool);
  return kept;
}

/**
 * Records what ran at the provider, as the model's answer tells it.
 *
 * @throws {CountersignError} `LEDGER_WRITE_FAILED` when it cannot be recorded, `CALL_REFUSED` when the session is halted or the policy
 *   failed: what was brought must not be used then.
 */
export async function recordProviderCalls(response: unknown, run: RunIdentity, guard: Guard, options: ProviderToolOptions): Promise<void> {
  for (const message of answersOf(response)) {
    for (const ran of providerCalls(message)) {
      if (options.providerTools !== 'record') guard.report(unasked(ran.name), { during: 'a tool of the provider' });
      await recordCall(callOf(ran, run, options), ran.outcome, guard);
    }
  }
}

/** Definitions of functions that the application runs are plain objects, too; their calls reach `wrapToolCall`. */
function isProviderTool(tool: unknown): boolean {
  if (Runnable.isRunnable(tool)) return false;
  const { type, function: definition, input_schema: anthropic, parameters } = record(tool);
  if (type === 'function' || type === 'custom') return false;
  return type !== undefined || (definition === undefined && anthropic === undefined && parameters === undefined);
}

/** What rules call it: `name` (Anthropic), `type` (OpenAI) or its one member (Google). */
function nameOf(tool: unknown): string {
  const { name, type } = record(tool);
  const [member = '[invalid]'] = Object.keys(record(tool));
  return typeof name === 'string' ? name : typeof type === 'string' ? type : member;
}

async function mayBeOffered(name: string, run: RunIdentity, guard: Guard, options: ProviderToolOptions): Promise<boolean> {
  try {
    const { tool, session, principal } = toolCallOf({ tool: name, args: {}, id: undefined, messages: undefined, run }, options);
    const of = { ...(session !== undefined && { session }), ...(principal !== undefined && { principal }) };
    const [offer] = await guard.offers([tool], of);
    return offer !== undefined && offer.denial === undefined;
  } catch (error) {
    guard.report(error, { during: 'offering a tool of the provider' });
    return false;
  }
}

/** A structured response comes with its messages. */
function answersOf(response: unknown): readonly AIMessage[] {
  if (AIMessage.isInstance(response)) return [response];
  const { messages } = record(response);
  return Array.isArray(messages) ? messages.filter((message) => AIMessage.isInstance(message)) : [];
}

function callOf({ id, name, args }: ProviderCall, run: RunIdentity, options: ProviderToolOptions): ToolCall {
  const call = toolCallOf({ tool: name, args, id: undefined, messages: undefined, run }, options);
  return id === undefined ? call : { ...call, id };
}

async function recordCall(call: ToolCall, outcome: Outcome | undefined, guard: Guard): Promise<void> {
  const recorded = await guard.recordRun(call, 'provider');
  const { callId, decision, isRecorded } = recorded;
  if (decision.effect === 'deny') throw new CallRefusedError({ kind: 'refusal', callId, decision });
  if (!isRecorded)
    throw new CountersignError('LEDGER_WRITE_FAILED', `the tool ${call.tool.name} ran at the provider and could not be recorded`);
  // Without a result nobody here knows how it ended, and its decision stands open.
  if (outcome !== undefined) await recorded.ended(outcome);
}

function unasked(name: string): CountersignError {
  const tool = JSON.stringify(name.slice(0, 100));
  return new CountersignError(
    'MIDDLEWARE_MISPLACED',
    `the tool ${tool} ran at the provider though provider tools are stripped: it is bound to the model itself, or middleware listed after countersignMiddleware added it`,
  );
}
