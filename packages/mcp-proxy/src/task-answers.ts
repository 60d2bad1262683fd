/**
 * Where the result of a call that runs as a task is told. In the 2025 era it is the answer to `tasks/result`. Under
 * `io.modelcontextprotocol/tasks` of 2026 it stands inside the answer to `tasks/get`, and inside of `notifications/tasks`.
 */
import type { Request } from './in-flight.ts';
import { hasEnded, isObject, member } from './message.ts';
import type { ServerResponse } from './server-message.ts';

export const TASK_RESULT = 'tasks/result';
export const TASK_GET = 'tasks/get';
const TASK_MEMBERS: ReadonlySet<string> = new Set([
  ...['taskId', 'status', 'statusMessage', 'createdAt', 'lastUpdatedAt', 'ttlMs', 'pollIntervalMs', 'resultType', '_meta'],
]);

/** The task a call was answered with. What stands beside a task could be a result: then it is released like one. */
export function taskIn({ result }: ServerResponse): string | undefined {
  if (!isObject(result) || Object.hasOwn(result, 'content') || Object.hasOwn(result, 'structuredContent')) return undefined;
  const isOwn = member(result, 'resultType') === 'task';
  const task = isOwn ? result : member(result, 'task');
  if (isOwn && !Object.keys(result).every((name) => TASK_MEMBERS.has(name))) return undefined;
  const taskId = isObject(task) ? member(task, 'taskId') : undefined;
  return typeof taskId === 'string' ? taskId : undefined;
}

/** Every task that a client may take an answer to be about, whatever else stands there. */
export function tasksNamedIn(result: unknown): readonly string[] {
  if (!isObject(result)) return [];
  const task = member(result, 'task');
  const names = [member(result, 'taskId'), isObject(task) ? member(task, 'taskId') : undefined];
  return names.filter((name) => typeof name === 'string');
}

/** How long the server keeps what the task brings, as it says: `ttl` in 2025, `ttlMs` in 2026. */
export function taskTtlIn({ result }: ServerResponse): number | undefined {
  if (!isObject(result)) return undefined;
  const task = member(result, 'task');
  const ttl = isObject(task) ? member(task, 'ttl') : member(result, 'ttlMs');
  return typeof ttl === 'number' && ttl > 0 ? ttl : undefined;
}

/** The tasks whose results this answer may be: the one that was asked for, and the one that the server names. */
export function tasksTold(request: Request, { result }: ServerResponse): readonly string[] {
  if (request.state !== 'forwarded' || (request.method !== TASK_RESULT && request.method !== TASK_GET)) return [];
  const asked = request.taskId === undefined ? [] : [request.taskId];
  if (request.method === TASK_RESULT) return asked;
  const named = isObject(result) ? member(result, 'taskId') : undefined;
  return isObject(result) && hasEnded(result) ? [...asked, ...(typeof named === 'string' ? [named] : [])] : [];
}

/** As if it were the answer to the call itself. */
export function responseIn(response: ServerResponse): ServerResponse {
  const task = isObject(response.result) ? response.result : {};
  const error = member(task, 'error');
  return Object.hasOwn(task, 'error') && error !== null ? { id: response.id, error } : { id: response.id, result: member(task, 'result') };
}

/** The answer with what the client may see of it in its place, and nothing of the call anywhere else. */
export function withResponseIn(response: ServerResponse, { result, error }: ServerResponse): ServerResponse {
  const { result: _result, error: _error, ...task } = isObject(response.result) ? response.result : {};
  return { ...response, result: { ...task, ...(error === undefined ? { result } : { error }) } };
}
