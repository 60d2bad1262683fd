/** Runnables that were made tools: `runnable.asTool({ name, description, schema })`. */
import { Runnable, type RunnableConfig, RunnableToolLike } from '@langchain/core/runnables';
import { ToolInputParsingException } from '@langchain/core/tools';
import { looksLikeToolCall, parseArguments, record } from './call.ts';
import { coreMethods, waysToRun } from './core-methods.ts';

/** @param id - of the tool call, when there is one to answer. */
export type Asked = (args: unknown, id: string | undefined, config: unknown) => Promise<unknown>;

export interface RunnableParts<T> {
  /** Runs it with arguments that are parsed. */
  readonly run: Asked;
  /** The tool with another way to run. */
  readonly wrap: (asked: Asked) => T;
}

const WAYS_TO_RUN = coreMethods([RunnableToolLike.prototype]);

/** Undefined for what is no `RunnableToolLike`; the name of a method that is not LangChain's own. */
export function runnableTool<T extends object>(tool: T): RunnableParts<T> | string | undefined {
  if (!(tool instanceof RunnableToolLike)) return undefined;
  const ways = waysToRun(tool, WAYS_TO_RUN);
  if (typeof ways === 'string') return ways;
  const { bound, schema } = tool;
  return {
    run: async (args, id, config) =>
      bound instanceof GuardedRunnable ? bound.asked(args, id, config) : bound.invoke(args, config as RunnableConfig),
    // All ways to run a binding end in what it binds.
    wrap: (asked) => Object.create(tool, { ...ways, bound: { value: new GuardedRunnable(bound.getName(), schema, asked) } }) as T,
  };
}

/** In place of what the tool binds. Everything but `invoke` comes from `Runnable`, whose methods end in `invoke`. */
class GuardedRunnable extends Runnable {
  override readonly lc_namespace = ['countersign', 'langchain'];
  readonly asked: Asked;
  readonly #name: string;
  readonly #schema: unknown;

  constructor(name: string, schema: unknown, asked: Asked) {
    super();
    this.#name = name;
    this.#schema = schema;
    this.asked = asked;
  }

  override getName(suffix?: string): string {
    return suffix === undefined ? this.#name : `${this.#name}${suffix}`;
  }

  /** As LangChain does: the arguments of a tool call are parsed, any other input is taken as it is. */
  override async invoke(input: unknown, config?: Partial<RunnableConfig>): Promise<unknown> {
    if (!looksLikeToolCall(input)) return this.asked(input, undefined, config);
    const { args, id } = record(input);
    const parsed = await parseArguments(this.#schema, args, false);
    if (parsed.kind === 'invalid') throw new ToolInputParsingException(parsed.reason, JSON.stringify(args));
    return this.asked(parsed.args, typeof id === 'string' && id !== '' ? id : undefined, config);
  }
}
