/** Whose task is whose, at a server that cannot tell its clients apart: the name of one may be easy to guess. */
import { createHash } from 'node:crypto';
import { isObject, member } from '../message.ts';
import type { Outgoing } from './outgoing.ts';

/** Tasks of which the client is remembered. Once there were more, one that is not remembered is nobody's. */
export const MAX_OWNED_TASKS = 65_536;
const OF_ANOTHER = 'this task is of a call that another client made';
const LISTED = 'tasks/list would tell of the tasks of every client; ask for one by its id';

export class TaskOwners {
  readonly #owners = new Map<string, string>();
  readonly #max: number;
  #hasForgotten = false;

  constructor(max: number = MAX_OWNED_TASKS) {
    this.#max = max;
  }

  made(taskId: string, owner: string): void {
    const key = digestOf(taskId);
    const [oldest] = this.#owners.keys();
    if (this.#owners.size >= this.#max && !this.#owners.has(key) && oldest !== undefined) {
      this.#owners.delete(oldest);
      this.#hasForgotten = true;
    }
    this.#owners.set(key, owner);
  }

  /** Why a request about a task may not go on. What names its task in no clear way is refused elsewhere. */
  objectionTo({ method, params }: Extract<Outgoing, { readonly kind: 'request' }>, owner: string): string | undefined {
    if (method === 'tasks/list') return LISTED;
    const taskId = method.startsWith('tasks/') && isObject(params) ? member(params, 'taskId') : undefined;
    if (typeof taskId !== 'string') return undefined;
    const maker = this.#owners.get(digestOf(taskId));
    return (maker ?? (this.#hasForgotten ? undefined : owner)) === owner ? undefined : OF_ANOTHER;
  }

  /** The server is gone, and its tasks with it. */
  clear(): void {
    this.#owners.clear();
    this.#hasForgotten = false;
  }
}

function digestOf(taskId: string): string {
  return createHash('sha256').update(taskId).digest('base64');
}
