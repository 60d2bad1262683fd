/** What LangChain gets of a call, beside what the tool said: that a person edited it, and a copy that nobody else holds. */
import { editNotice, type Permit } from '@countersign/core';
import { ToolMessage } from '@langchain/core/messages';
import { Command, isCommand } from '@langchain/langgraph';

/** The same message for one run alone. What is remembered for the next one is not changed by what this one does to it. */
export function copyOf(message: ToolMessage): ToolMessage {
  return copyWith(message, message.content);
}

/**
 * A model that asked for one thing and gets the result of another is told so, beside the result. A result for no call goes to a
 * program and is left as it is.
 *
 * @param id - of the call.
 */
export function withEditNotice<T>(result: T, permit: Permit, id: string | undefined): T {
  const notice = editNotice(permit);
  if (notice === undefined) return result;
  // Each has the form of what it stands for, as LangChain makes a message of it.
  if (ToolMessage.isInstance(result)) return copyWith(result, noted(result.content, notice) as ToolMessage['content']) as T;
  if (isCommand(result)) return notedCommand(result, notice, id) as T;
  return id === undefined ? result : (noted(result, notice) as T);
}

/** For a tool of the format `content_and_artifact`. */
export function pairWithEditNotice(pair: unknown, permit: Permit, id: string | undefined): unknown {
  if (!Array.isArray(pair)) return withEditNotice(pair, permit, id);
  const [content, ...rest] = pair as readonly unknown[];
  return [withEditNotice(content, permit, id), ...rest];
}

function noted(content: unknown, notice: string): unknown {
  if (typeof content === 'string') return content === '' ? notice : `${content}\n${notice}`;
  const blocks =
    Array.isArray(content) && content.every(isBlock) ? (content as readonly unknown[]) : [textBlock(JSON.stringify(content) ?? '')];
  return [...blocks, textBlock(notice)];
}

function isBlock(item: unknown): boolean {
  return typeof item === 'object' && item !== null && 'type' in item;
}

function textBlock(text: string): { readonly type: 'text'; readonly text: string } {
  return { type: 'text', text };
}

/** The answer to the call is a message among what a command writes. Without one the model gets none from the tool either. */
function notedCommand(command: Command, notice: string, id: string | undefined): Command {
  const { graph, goto, update } = command;
  const answer = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(answer);
    if (!ToolMessage.isInstance(value) || value.tool_call_id !== id) return value;
    return copyWith(value, noted(value.content, notice) as ToolMessage['content']);
  };
  if (update === undefined) return command;
  const written = Array.isArray(update)
    ? update.map(([key, value]): [string, unknown] => [key, answer(value)])
    : Object.fromEntries(Object.entries(update).map(([key, value]) => [key, answer(value)]));
  return new Command({ ...(graph !== undefined && { graph }), ...(goto !== undefined && { goto: goto as string }), update: written });
}

function copyWith(message: ToolMessage, content: ToolMessage['content']): ToolMessage {
  // Everything a message has is a property of its own that can be listed, names and symbols; its accessors are on the class.
  // Not through descriptors: an object made of those is slow for everybody who reads it.
  return Object.assign(Object.create(Object.getPrototypeOf(message) as object) as ToolMessage, message, { content });
}
