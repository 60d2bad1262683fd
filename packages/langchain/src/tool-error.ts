/** What a tool's exception is for the model. */
import { CountersignError } from '@countersign/core';
import { ToolInvocationError } from 'langchain';

/** As LangChain words it for an agent without middleware. */
export function toolErrorText(error: unknown): string {
  // What we say ourselves, or a rule on results left of an error, says itself what to do.
  if (CountersignError.is(error) && (error.code === 'TOOL_FAILED' || error.code === 'MIDDLEWARE_MISPLACED')) return error.message;
  // Not `isInstance`, which came later than the oldest langchain this runs on.
  if (error instanceof ToolInvocationError) return withoutFrames(error.message);
  // Not its own `toString`: rules on results looked at name and message.
  const text = error instanceof Error ? Error.prototype.toString.call(error) : String(error);
  return `${text}\n Please fix your mistakes.`;
}

/** It quotes the whole stack: the model learns nothing from the folders of this machine. */
function withoutFrames(message: string): string {
  return message
    .split('\n')
    .filter((line) => !/^ {4}at .+:\d+:\d+\)?$/.test(line))
    .join('\n');
}
