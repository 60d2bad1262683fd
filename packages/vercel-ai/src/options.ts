/** How the adapter names calls and what it does where the AI SDK leaves a choice. */
export interface GuardToolsOptions {
  /**
   * The conversation. Set it when approvals are used: an approval is good in its session only, and without one it is the
   * guard's own, which a restarted process does not have. A function gets the tool's `context` (from `toolsContext`).
   */
  readonly session?: string | ((context: unknown) => string | undefined);
  /** On whose behalf the agent acts. */
  readonly principal?: string | ((context: unknown) => string | undefined);
  /**
   * Name of the tools' server in *your* configuration (for tools that come from an MCP server), never what the server
   * calls itself. A function is asked per tool name.
   */
  readonly server?: string | ((tool: string) => string | undefined);
  /**
   * What happens while a human has to answer. `suspend` (default): the call is refused for now and runs when it is sent
   * again after the answer. `wait`: `execute` blocks until a channel of the guard brings the answer.
   */
  readonly approval?: 'suspend' | 'wait';
}
