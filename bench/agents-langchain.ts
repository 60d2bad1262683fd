/** A turn of a LangChain agent: a scripted model asks for calls in one message, they run, it reads the results and is done. */
import type { Guard } from '@countersign/core';
import { countersignMiddleware, guardTool } from '@countersign/langchain';
import { BaseChatModel } from '@langchain/core/language_models/chat_models';
import type { BaseMessage } from '@langchain/core/messages';
import type { ChatResult } from '@langchain/core/outputs';
import { MessagesAnnotation, StateGraph } from '@langchain/langgraph';
import { ToolNode, toolsCondition } from '@langchain/langgraph/prebuilt';
import { AIMessage, createAgent, tool } from 'langchain';
import { type Agent, ARGUMENTS } from './agents-kind.ts';
import { ARGS, RESULT, TOOL } from './calls.ts';

export function langchainAgent(calls: number, guard: Guard | undefined): Agent {
  const { tool, ran } = reportTool();
  const middleware = guard === undefined ? [] : [countersignMiddleware(guard, { server: TOOL.server })];
  const agent = createAgent({ model: new ScriptedModel(calls), tools: [tool], middleware });
  return { ran, turn: () => agent.invoke({ messages: 'go' }) };
}

export function langchainGraph(calls: number, guard: Guard | undefined): Agent {
  const { tool, ran } = reportTool();
  const model = new ScriptedModel(calls);
  const tools = [guard === undefined ? tool : guardTool(guard, tool, { server: TOOL.server })];
  const graph = new StateGraph(MessagesAnnotation)
    .addNode('model', async ({ messages }) => ({ messages: [await model.invoke(messages)] }))
    .addNode('tools', new ToolNode(tools))
    .addEdge('__start__', 'model')
    .addConditionalEdges('model', toolsCondition)
    .addEdge('tools', 'model')
    .compile();
  return { ran, turn: () => graph.invoke({ messages: [{ role: 'user', content: 'go' }] }) };
}

function reportTool() {
  let count = 0;
  const report = tool(
    () => {
      count++;
      return JSON.stringify(RESULT);
    },
    { name: TOOL.name, description: 'reads a report', schema: ARGUMENTS },
  );
  return { tool: report, ran: () => count };
}

let ids = 0;

/** Nothing but the script: what a model costs would only make the guard look cheaper. */
class ScriptedModel extends BaseChatModel {
  private readonly calls: number;

  constructor(calls: number) {
    super({});
    this.calls = calls;
  }

  override _llmType(): string {
    return 'scripted';
  }

  override bindTools(): this {
    return this;
  }

  override async _generate(messages: BaseMessage[]): Promise<ChatResult> {
    const message = messages.at(-1)?.type === 'tool' ? new AIMessage('done') : this.ask();
    return { generations: [{ text: '', message }] };
  }

  private ask(): AIMessage {
    const call = () => ({ type: 'tool_call' as const, id: `call-${++ids}`, name: TOOL.name, args: { ...ARGS } });
    return new AIMessage({ content: '', id: `ask-${++ids}`, tool_calls: Array.from({ length: this.calls }, call) });
  }
}
