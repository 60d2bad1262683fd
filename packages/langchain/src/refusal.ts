/** A refusal in the form LangChain gives to a model: a tool message with status `error`. */
import { type Refusal, refusalText } from '@countersign/core';
import { ToolMessage } from '@langchain/core/messages';

export function refusalMessage(refusal: Refusal, tool: string, id: string | undefined): ToolMessage {
  return new ToolMessage({ tool_call_id: id ?? '', name: tool, status: 'error', content: refusalText(refusal) });
}
