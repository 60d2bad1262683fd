import type { IncomingMessage, ServerResponse } from 'node:http';

/** One request to the MCP endpoint and its answer. */
export interface HttpExchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** As the client wrote it: `/mcp?x=1`, and its two parts; `query` with its question mark, or empty. */
  readonly target: string;
  readonly path: string;
  readonly query: string;
}
