/** `guardTools`: the same tools, which ask the guard before every run. */
import type { Guard } from '@countersign/core';
import { guardedTool } from './guarded-tool.ts';
import type { GuardToolsOptions } from './options.ts';

/**
 * The same tools, asking the guard before every run. A call that may not run throws in `execute`, which the SDK turns
 * into a `tool-error` the model can read. Tools without `execute` run elsewhere and are passed through unguarded.
 * Of a tool that is a function with an `execute`, the guarded one is no longer callable: nothing would ask the guard there.
 * A tool that asks this guard already is returned as it is.
 *
 * @param tools - by name, as for `generateText`. Not typed `ToolSet`, which turns away tools under `exactOptionalPropertyTypes`.
 * @throws {CountersignError} `OPTIONS_INVALID` for a tool whose `execute` is neither undefined nor a function, for `toolSearch()`, and
 *   for a tool that asks this guard already with other options
 * @throws {CallRefusedError} from `execute`: code `CALL_REFUSED`
 */
export function guardTools<T extends Readonly<Record<string, object>>>(guard: Guard, tools: T, options: GuardToolsOptions = {}): T {
  const entries = Object.entries(tools).map(([name, tool]): [string, unknown] => [name, guardedTool(name, tool, guard, options)]);
  // Same names, and each tool differs in `execute` and `toModelOutput` alone, whose signatures stay.
  return Object.fromEntries(entries) as T;
}
