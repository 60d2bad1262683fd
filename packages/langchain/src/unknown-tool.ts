/** Which tools the model was offered when it asked for one that is none. */
import { AIMessage, type ToolCall } from '@langchain/core/messages';
import { Runnable } from '@langchain/core/runnables';
import { record } from './call.ts';

const MAX_NAMES = 50;

/** Remembered with the message itself, in this process: after a restart the model is told the names no more. */
export class OfferedNames {
  private readonly tools = new WeakMap<object, readonly unknown[]>();

  /** @param response - of the model. */
  note(response: unknown, tools: readonly unknown[]): void {
    if (AIMessage.isInstance(response) && (response.tool_calls ?? []).length > 0) this.tools.set(response, tools);
  }

  /** What LangChain itself would name: tools that run here. */
  of(messages: unknown, call: ToolCall): readonly string[] | undefined {
    if (!Array.isArray(messages)) return undefined;
    const holder: unknown = messages.findLast(
      (message: unknown) =>
        AIMessage.isInstance(message) && message.tool_calls?.some(({ id, name }) => id === call.id && name === call.name) === true,
    );
    const tools = typeof holder === 'object' && holder !== null ? this.tools.get(holder) : undefined;
    return tools
      ?.filter((tool) => Runnable.isRunnable(tool))
      .slice(0, MAX_NAMES)
      .map((tool) => String(record(tool)['name']));
  }
}
