/** Tools of MCP servers, as `@langchain/mcp-adapters` makes them. */
import { record } from './call.ts';

/**
 * What the tool is run with. Hooks of the adapter (`beforeToolCall`) run after the decision and may rewrite the arguments in place:
 * those of its tools are frozen, so that such a call fails, rather than that the server gets what nobody decided on. Any other tool
 * may do with its own copy what it likes.
 *
 * @param args - the permit's private copy.
 */
export function argumentsFor(tool: unknown, args: unknown): unknown {
  if (isMcpTool(tool)) freeze(args);
  return args;
}

/** The adapter keeps the server's annotations there, also when there are none. */
function isMcpTool(tool: unknown): boolean {
  const { metadata, responseFormat } = record(tool);
  return responseFormat === 'content_and_artifact' && 'annotations' in record(metadata);
}

/** Of JSON, and no deeper than arguments may be. */
function freeze(value: unknown): void {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value) || ArrayBuffer.isView(value)) return;
  Object.freeze(value);
  for (const member of Object.values(value)) freeze(member);
}
