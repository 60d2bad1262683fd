/** All tools of an agent or a graph at once. */
import { CountersignError, type Guard } from '@countersign/core';
import type { GuardedToolOptions } from './options.ts';
import { guardTool, type NamedTool, shownName } from './tool.ts';

/**
 * Each as `guardTool` makes it, in the same order and with the same types. All or none: what cannot be guarded is an error that
 * says which tool it is. So are two tools of one name: a rule could not tell them apart, and LangChain runs the first.
 *
 * @throws {CountersignError} `OPTIONS_INVALID`
 */
export function guardTools<T extends readonly NamedTool[]>(guard: Guard, tools: readonly [...T], options: GuardedToolOptions = {}): T {
  if (!Array.isArray(tools))
    throw new CountersignError('OPTIONS_INVALID', 'guardTools takes an array of LangChain tools; for one use guardTool');
  const places = new Map<string, number>();
  // The same tuple, member by member.
  return tools.map((tool, place) => {
    const guarded = guardAt(place, guard, tool, options);
    const earlier = places.get(tool.name);
    if (earlier !== undefined)
      throw new CountersignError(
        'OPTIONS_INVALID',
        `guardTools: tools ${earlier} and ${place} are both ${shownName(tool)}, which no rule can tell apart; rename one (tools of an MCP server can have its name as a prefix)`,
      );
    places.set(tool.name, place);
    return guarded;
  }) as readonly NamedTool[] as T;
}

function guardAt<T extends NamedTool>(place: number, guard: Guard, tool: T, options: GuardedToolOptions): T {
  try {
    return guardTool(guard, tool, options);
  } catch (error) {
    if (!CountersignError.is(error) || error.code !== 'OPTIONS_INVALID') throw error;
    throw new CountersignError('OPTIONS_INVALID', `guardTools, tool ${place}: ${error.message}`, { cause: error });
  }
}
