/** What a caller may ask for about one call, and what the function that runs for it is handed. */
import type { Policy } from './policy/policy.ts';

export interface AuthorizeOptions {
  /** `wait` (default): resolves when a human answered. `suspend`: returns `Pending` at once. */
  readonly approval?: 'wait' | 'suspend';
  /**
   * The client retries with fresh ids (MCP): a new call may take over a suspended earlier call of the same session,
   * tool and arguments, together with its approval. A text, where several clients share a session: only one that was suspended
   * under the same text, which says whose it is. It is stored as part of a MAC.
   */
  readonly adopt?: boolean | string;
  /**
   * Gives the call up: before it is decided, while it waits, or before it runs; it is then refused as `CALL_CANCELLED`, and what
   * it was charged is given back. A tool that runs already has to heed the signal itself.
   */
  readonly signal?: AbortSignal;
  /**
   * Parses arguments as the tool does; asked about arguments that a person edited, which nothing has parsed yet. Throws when
   * they do not fit; what it returns must be what it got. Without it edited arguments run as they were proposed.
   */
  readonly validate?: (args: unknown) => unknown;
  /**
   * What the call costs with these arguments, in place of `call.cost`: a call whose cost is a plain number cannot be run with
   * arguments that a person edited.
   */
  readonly costOf?: (args: unknown) => number;
  /**
   * This process ends before the call does: another one settles it, found by agent, session and the call's `id` (`takeOver`).
   * For so long, milliseconds, the call counts as running although nobody here is left. Whoever comes with the same id
   * meanwhile is refused as `CALL_IN_PROGRESS`, whatever it asks for. Needs an `id`.
   */
  readonly handOver?: { readonly forMs: number };
}

export interface PreviewOptions {
  /** An approval that is needed is asked for already. */
  readonly openApproval?: boolean;
  /** As for `once`, to be told `isKept`. */
  readonly form?: string;
}

export interface OnceOptions extends AuthorizeOptions {
  /** What kind of thing is made of the authorization (`langchain message`): a result of another form is not given for it. */
  readonly form: string;
}

/**
 * For a result that comes after `use` has returned (a stream): what `use` returns is then given to nobody else, and what the
 * function got here is called with is remembered in its place. Meanwhile the same call is refused as `CALL_IN_PROGRESS`.
 */
export type KeepLater<T> = () => (result: T) => void;

/** Handed to the guarded function beside its arguments. */
export interface RunScope {
  readonly callId: string;
  /** Given to the call, for the tool to heed. */
  readonly signal?: AbortSignal;
}

export interface ToolOptions<Args> {
  /** Adds to the guard's policies, never replaces them. */
  readonly policy?: Policy;
  /** What a call costs, in units of 1/1,000,000; budgets see it as `cost`. */
  readonly cost?: (args: Args) => number;
  /** Approval time to live for this tool, milliseconds. */
  readonly ttlMs?: number;
  /** Parses arguments before they are decided on (a zod schema fits). */
  readonly schema?: { parse(input: unknown): Args };
  readonly server?: string;
}
