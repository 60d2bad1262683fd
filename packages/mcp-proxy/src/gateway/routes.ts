/** Requests of the client that have no answer: which server has them, and what of its answer has to change. */
import { idKey } from '../message.ts';

/** Requests without an answer, of all servers together. */
export const MAX_ROUTES = 4096;
/** Progress tokens of tasks, which outlive the request that made the task. */
const MAX_TASK_TOKENS = 1024;

export interface Route {
  readonly idJson: string;
  readonly method: string;
  /** Absent: the gateway answers, or has not found out whose it is. */
  readonly server?: string;
  readonly token?: unknown;
  /** Makes a task: progress may still come after the answer. */
  readonly isTask?: boolean;
  /** The URI that the client asked for, where it is not the server's own. */
  readonly uri?: { readonly outer: string; readonly inner: string };
  /** Without a session: its answer may hand the client a state. `about`: digest of the request; absent where it has none. */
  readonly states?: { readonly about?: string };
}

export class Routes {
  readonly #routes = new Map<string, Route>();
  readonly #tokens = new Map<string, string>();
  readonly #taskTokens = new Map<string, string>();
  readonly #idle: (() => void)[] = [];

  add(key: string, route: Route): 'added' | 'in-use' | 'full' {
    if (this.#routes.has(key)) return 'in-use';
    if (this.#routes.size >= MAX_ROUTES) return 'full';
    this.set(key, route);
    return 'added';
  }

  /** Says more about a request. */
  set(key: string, route: Route): void {
    this.#routes.set(key, route);
    const token = idKey(route.token);
    if (token !== undefined && route.server !== undefined) this.#tokens.set(token, route.server);
  }

  get(key: string): Route | undefined {
    return this.#routes.get(key);
  }

  remove(key: string): Route | undefined {
    const route = this.#routes.get(key);
    if (route === undefined) return undefined;
    this.#routes.delete(key);
    const token = idKey(route.token);
    if (token !== undefined) {
      this.#tokens.delete(token);
      if (route.isTask === true && route.server !== undefined) this.#keep(token, route.server);
    }
    if (this.#routes.size === 0) for (const resolve of this.#idle.splice(0)) resolve();
    return route;
  }

  /** Whether progress with this token may come from this server. */
  isToken(token: unknown, server: string): boolean {
    const key = idKey(token);
    return key !== undefined && (this.#tokens.get(key) ?? this.#taskTokens.get(key)) === server;
  }

  /** Resolves when nothing waits for an answer. */
  async idle(): Promise<void> {
    if (this.#routes.size > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  #keep(token: string, server: string): void {
    const [oldest] = this.#taskTokens.keys();
    if (this.#taskTokens.size >= MAX_TASK_TOKENS && oldest !== undefined) this.#taskTokens.delete(oldest);
    this.#taskTokens.set(token, server);
  }
}
