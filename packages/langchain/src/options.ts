/** How the adapter names calls and what it does where LangChain leaves a choice. */
export interface GuardedToolOptions {
  /**
   * Name of the tool's server in *your* configuration (for tools that come from an MCP server), never what the server
   * calls itself. A function is asked per tool name.
   */
  readonly server?: string | ((tool: string) => string | undefined);
  /** On whose behalf the agent acts. A function sees what the application passed as `configurable` and `context`. */
  readonly principal?: string | ((run: RunIdentity) => string | undefined);
  /**
   * What happens while a human has to answer. `interrupt` (default): a native interrupt, so a checkpointer and a
   * `thread_id` are needed. `wait`: the run blocks until a channel of the guard brings the answer.
   */
  readonly approval?: 'interrupt' | 'wait';
}

/** What the application, not the model, said about a run. */
export interface RunIdentity {
  readonly configurable: Readonly<Record<string, unknown>>;
  readonly context: unknown;
}
