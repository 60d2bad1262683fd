/**
 * What the model may see of what a tool returned, in the form LangChain expects there.
 *
 * Rules on results look at what reaches the model: the content of a message, the state a command writes. An artifact is not for
 * the model, but often holds the same text, so it is masked with the content and goes with it.
 */
import { types } from 'node:util';
import type { Outcome, Permit, Released } from '@countersign/core';
import { BaseMessage, ToolMessage } from '@langchain/core/messages';
import { Command, isCommand, Send } from '@langchain/langgraph';

/** Records the outcome. @param id - of the call, for an answer in place of a command's. */
export async function releaseReturned<T>(permit: Permit, result: T, id: string | undefined): Promise<T> {
  // Each has the form of what it stands for.
  if (ToolMessage.isInstance(result)) return (await releaseMessage(permit, result)) as T;
  if (isCommand(result)) return (await releaseCommand(permit, result, id)) as T;
  const released = await permit.release({ status: 'success', result });
  return (released.kind === 'shown' ? released.value : released.text) as T;
}

export function returnsPair(tool: object): boolean {
  return Reflect.get(tool, 'responseFormat') === 'content_and_artifact';
}

export function isPair(tool: object, result: unknown): result is readonly [unknown, unknown] {
  return returnsPair(tool) && Array.isArray(result);
}

/** A tool of the format `content_and_artifact` returns both. */
export async function releasePair(
  permit: Permit,
  [content, artifact]: readonly [unknown, unknown],
  id: string | undefined,
): Promise<unknown> {
  if (ToolMessage.isInstance(content) || isCommand(content)) return [await releaseReturned(permit, content, id), undefined];
  const released = await permit.release({ status: 'success', result: content });
  return released.kind === 'shown' ? [released.value, released.mask(artifact)] : [released.text, undefined];
}

async function releaseMessage(permit: Permit, message: ToolMessage): Promise<ToolMessage> {
  const { content, status } = message;
  return shownMessage(
    message,
    await permit.release(status === 'error' ? { status, error: content } : { status: 'success', result: content }),
  );
}

function shownMessage(message: ToolMessage, released: Released): ToolMessage {
  const { content, artifact, tool_call_id, name, status, id, additional_kwargs, response_metadata, metadata } = message;
  const named = {
    tool_call_id,
    ...(name !== undefined && { name }),
    ...(status !== undefined && { status }),
    ...(id !== undefined && { id }),
  };
  if (released.kind === 'replaced') return new ToolMessage({ ...named, content: released.text });
  const shown = { content: released.value as typeof content, artifact: released.mask(artifact as unknown) };
  if (shown.content === content && shown.artifact === artifact) return message;
  const more = { additional_kwargs, response_metadata, ...(metadata !== undefined && { metadata }) };
  return new ToolMessage({ ...named, ...released.mask(more), ...shown });
}

/** The same command when nothing of it was changed. */
export async function releaseCommand(permit: Permit, command: Command, id: string | undefined): Promise<Command> {
  const writes = writesOf(command);
  // Messages are instances with a `toJSON`; what counts of them is their content.
  const sends = sendsOf(command);
  const view = [...writes.map(([key, value]) => [key, viewOf(value)]), ...sends.map(({ node, args }) => [node, viewOf(args)])];
  const outcome: Outcome = { status: 'success', result: view };
  const released = await permit.release(outcome);
  if (released.kind === 'shown' && released.value === view) return command;
  if (released.kind === 'shown') {
    const update = writes.map(([key, value]): [string, unknown] => [key, maskedWrite(value, released)]);
    return new Command({ ...routeOf(command, (args) => maskedWrite(args, released)), update });
  }
  const answer = answerInPlaceOf(writes, released.text, id);
  return new Command({ ...routeOf(command, () => ({ messages: [answer] })), update: { messages: [answer] } });
}

/** Where the graph goes on. A `Send` takes a state of its own there, which is a result like what is written. */
function routeOf({ graph, goto }: Command, shown: (args: unknown) => unknown): Pick<CommandParams, 'graph' | 'goto'> {
  if (goto === undefined) return graph === undefined ? {} : { graph };
  const each = (target: string | SendInterface): string | Send =>
    typeof target === 'string' ? target : new Send(target.node, shown(target.args));
  const there = Array.isArray(goto) ? goto.map(each) : each(goto as string | SendInterface);
  return { ...(graph !== undefined && { graph }), goto: there };
}

function sendsOf({ goto }: Command): readonly SendInterface[] {
  const targets: readonly (string | SendInterface)[] = Array.isArray(goto) ? goto : goto === undefined ? [] : [goto];
  return targets.filter((target) => typeof target !== 'string');
}

type CommandParams = ConstructorParameters<typeof Command>[0];
type SendInterface = Pick<Send, 'node' | 'args'>;

type Write = readonly [key: string, value: unknown];

function writesOf({ update }: Command): readonly Write[] {
  if (update === undefined) return [];
  return Array.isArray(update) ? update : Object.entries(update);
}

function viewOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(viewOf);
  // A state may hold them; as they are, nobody sees what is in them.
  if (types.isMap(value)) return entriesOf(value).map(viewOf);
  if (types.isSet(value)) return membersOf(value).map(viewOf);
  if (BaseMessage.isInstance(value)) {
    const calls: unknown = Reflect.get(value, 'tool_calls');
    return Array.isArray(calls) && calls.length > 0 ? [value.content, calls] : value.content;
  }
  // A state holds messages in turn.
  return isPlain(value) ? Object.fromEntries(Object.entries(value).map(([key, member]) => [key, viewOf(member)])) : value;
}

/** Not as its own iterator tells it. */
function entriesOf(map: Map<unknown, unknown>): readonly (readonly [unknown, unknown])[] {
  return [...Map.prototype.entries.call(map)] as readonly (readonly [unknown, unknown])[];
}

function membersOf(set: Set<unknown>): readonly unknown[] {
  return [...Set.prototype.values.call(set)] as readonly unknown[];
}

function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || types.isProxy(value)) return false;
  const descriptors = Object.values(Object.getOwnPropertyDescriptors(value));
  return Object.getPrototypeOf(value) === Object.prototype && descriptors.every((each) => each.get === undefined && each.set === undefined);
}

function maskedWrite(value: unknown, released: Extract<Released, { readonly kind: 'shown' }>): unknown {
  if (Array.isArray(value)) return value.map((item) => maskedWrite(item, released));
  if (types.isMap(value))
    return new Map(entriesOf(value).map(([key, member]) => [maskedWrite(key, released), maskedWrite(member, released)]));
  if (types.isSet(value)) return new Set(membersOf(value).map((member) => maskedWrite(member, released)));
  if (isPlain(value))
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [released.mask(key), maskedWrite(member, released)]));
  if (ToolMessage.isInstance(value)) return shownMessage(value, { ...released, value: released.mask(value.content) });
  // Another kind of message would have to be made anew field by field; as a text of its content it says the same.
  return BaseMessage.isInstance(value)
    ? new ToolMessage({ tool_call_id: value.id ?? '', content: released.mask(value.text) })
    : released.mask(value);
}

function answerInPlaceOf(writes: readonly Write[], text: string, id: string | undefined): ToolMessage {
  const answer = writes.flatMap(([, value]) => (Array.isArray(value) ? value : [value])).find((value) => ToolMessage.isInstance(value));
  const name = answer?.name;
  return new ToolMessage({ tool_call_id: answer?.tool_call_id ?? id ?? '', ...(name !== undefined && { name }), content: text });
}
