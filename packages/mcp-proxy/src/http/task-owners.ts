/** Whose task is whose, at a server that cannot tell its clients apart: the name of one may be easy to guess. */
import { createHash } from 'node:crypto';
import { lookalike } from '../lookalike.ts';
import { isObject, type JsonObject, member } from '../message.ts';

/** Tasks of which the client is remembered. Once there were more, one that is not remembered is nobody's. */
export const MAX_OWNED_TASKS = 65_536;
const OF_ANOTHER = 'this task is of a call that another client made';
const NOT_CLEAR = 'the tasks to listen to are not named by one list of strings under notifications.taskIds';
const LISTEN_KEYS: ReadonlySet<string> = new Set(['notifications', 'taskids']);

interface Asked {
  readonly method: string;
  readonly params?: unknown;
}

/** The tasks of one client of several. */
export interface OwnTasks {
  made(taskId: string): void;
  /** As `TaskOwners.objectionTo`. */
  objectionTo(request: Asked): string | undefined;
}

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

  of(owner: string): OwnTasks {
    return {
      made: (taskId) => this.made(taskId, owner),
      objectionTo: (request) => this.objectionTo(request, owner),
    };
  }

  /** Why a request about a task may not go on. What names its task in no clear way is refused elsewhere. */
  objectionTo({ method, params }: Asked, owner: string): string | undefined {
    if (!isObject(params)) return undefined;
    if (method === 'subscriptions/listen') return this.#objectionToListening(params, owner);
    const taskId = method.startsWith('tasks/') ? member(params, 'taskId') : undefined;
    return typeof taskId === 'string' && !this.#isOf(taskId, owner) ? OF_ANOTHER : undefined;
  }

  /** Who listens to a task is told of its result (`notifications/tasks`). */
  #objectionToListening(params: JsonObject, owner: string): string | undefined {
    const wanted = member(params, 'notifications');
    if (hasOther(params, 'notifications') || (isObject(wanted) && hasOther(wanted, 'taskIds'))) return NOT_CLEAR;
    const taskIds = isObject(wanted) ? (member(wanted, 'taskIds') ?? []) : [];
    if (!Array.isArray(taskIds) || !taskIds.every((taskId) => typeof taskId === 'string')) return NOT_CLEAR;
    return taskIds.every((taskId) => this.#isOf(taskId, owner)) ? undefined : OF_ANOTHER;
  }

  #isOf(taskId: string, owner: string): boolean {
    const maker = this.#owners.get(digestOf(taskId));
    return maker === undefined ? !this.#hasForgotten : maker === owner;
  }

  /** The server is gone, and its tasks with it. */
  clear(): void {
    this.#owners.clear();
    this.#hasForgotten = false;
  }
}

/** Whether some readers would find a key in another place, or under another name, than this one. */
function hasOther(value: JsonObject, key: string): boolean {
  return Object.keys(value).some((each) => each !== key && (LISTEN_KEYS.has(each) || lookalike(each, LISTEN_KEYS) !== undefined));
}

function digestOf(taskId: string): string {
  return createHash('sha256').update(taskId).digest('base64');
}
