/**
 * What ran at the provider, read from the model's answer.
 *
 * LangChain turns most of it into one form whichever provider it is (`server_tool_call`, `server_tool_call_result`). What it does not
 * know yet (web fetch, image generation, a tool that is new) is left in the provider's own form, and must not go unrecorded for that.
 */
import type { Outcome } from '@countersign/core';
import type { AIMessage } from '@langchain/core/messages';
import { record } from './call.ts';

export interface ProviderCall {
  readonly id: string | undefined;
  readonly name: string;
  readonly args: unknown;
  /** Absent when the answer does not hold it. */
  readonly outcome: Outcome | undefined;
}

/** More than this in one answer are an attack or a mistake; the guard refuses to record arguments that are too large by itself. */
const MAX_BLOCKS = 10_000;

export function providerCalls(message: AIMessage): readonly ProviderCall[] {
  const { content, additional_kwargs: more } = message;
  const searches = googleSearches(message);
  // Most answers are a text.
  if (typeof content === 'string' && Object.keys(more).length === 0) return searches;
  const standard: readonly Block[] = message.contentBlocks.slice(0, MAX_BLOCKS).map(record);
  const outputs: unknown = more['tool_outputs'];
  const raw = [...(Array.isArray(content) ? content : []), ...(Array.isArray(outputs) ? outputs : [])].slice(0, MAX_BLOCKS).map(record);
  const calls = standard.filter(({ type }) => type === 'server_tool_call').map((block) => callOf(block, block['name'], block['args']));
  const known = new Set(calls.map(({ id }) => id));
  const shells = new Set(raw.flatMap((block) => (block['type'] === 'shell_call_output' ? [block['call_id']] : [])));
  const others = raw.flatMap((block) => {
    const name = block['type'] === 'shell_call' && shells.has(block['call_id']) ? 'shell' : ownFormName(block);
    return name === undefined || known.has(idOf(block))
      ? []
      : [callOf(block, name, block['input'] ?? block['action'] ?? block['arguments'])];
  });
  const outcomes = new Map([...raw, ...standard].flatMap(outcomeOf));
  const ran = [...calls, ...others].map((call) => ({ ...call, outcome: call.id === undefined ? undefined : outcomes.get(call.id) }));
  return [...ran, ...googleCode(raw), ...searches];
}

/** The result is the next block; a call has no id of its own. */
function googleCode(raw: readonly Block[]): readonly ProviderCall[] {
  return raw.flatMap((block, place) => {
    if (block['type'] !== 'executableCode') return [];
    const { type, codeExecutionResult: result } = raw[place + 1] ?? {};
    const failed = record(result)['outcome'] !== 'OUTCOME_OK';
    const outcome: Outcome | undefined =
      type !== 'codeExecutionResult' ? undefined : failed ? { status: 'error', error: result } : { status: 'success', result };
    return [{ id: undefined, name: 'codeExecution', args: block['executableCode'] ?? {}, outcome }];
  });
}

/** Of a search Google tells beside the content: what was looked for, and what was found. */
function googleSearches({ additional_kwargs: more, response_metadata: metadata }: AIMessage): readonly ProviderCall[] {
  const { webSearchQueries: queries, groundingChunks: found } = record(
    record(metadata)['groundingMetadata'] ?? record(more)['groundingMetadata'],
  );
  if (!Array.isArray(queries) || queries.length === 0) return [];
  const outcome: Outcome = { status: 'success', result: found ?? [] };
  return [{ id: undefined, name: 'googleSearch', args: { queries: queries.slice(0, MAX_BLOCKS) as unknown[] }, outcome }];
}

type Block = Readonly<Record<string, unknown>>;

/** These are asked of the application; of a shell at the provider the answer holds the output, too. */
const CLIENT_CALLS: ReadonlySet<unknown> = new Set([
  'tool_call',
  'invalid_tool_call',
  'function_call',
  'custom_tool_call',
  'computer_call',
  'local_shell_call',
  'shell_call',
  'apply_patch_call',
  'server_tool_call',
]);

/** Undefined for what is no call that ran at the provider. */
function ownFormName({ type, name }: Block): unknown {
  if (type === 'server_tool_use' || type === 'mcp_tool_use') return name;
  if (typeof type !== 'string' || !type.endsWith('_call') || CLIENT_CALLS.has(type)) return undefined;
  return type.slice(0, -'_call'.length);
}

function callOf(block: Block, name: unknown, args: unknown): Omit<ProviderCall, 'outcome'> {
  return { id: idOf(block), name: typeof name === 'string' && name !== '' ? name : '[invalid]', args: args ?? {} };
}

function idOf({ id }: Block): string | undefined {
  return typeof id === 'string' && id !== '' ? id : undefined;
}

function outcomeOf(block: Block): readonly (readonly [string, Outcome])[] {
  const { type, toolCallId, tool_use_id: toolUseId, status, output, content } = block;
  if (type === 'server_tool_call_result' && typeof toolCallId === 'string')
    return [[toolCallId, status === 'error' ? { status, error: output } : { status: 'success', result: output }]];
  if (typeof type === 'string' && type.endsWith('_tool_result') && typeof toolUseId === 'string')
    return [[toolUseId, { status: 'success', result: content }]];
  return [];
}
