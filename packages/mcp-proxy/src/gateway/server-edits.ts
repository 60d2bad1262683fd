/** What of a server's message has to be told differently to a client that knows several servers. Everything else stays. */
import { isObject, type JsonObject, member } from '../message.ts';
import type { ServerResponse } from '../server-message.ts';
import { type Edit, elements, insertion, members, type Span, spanAt } from './json-spans.ts';
import { outerTask } from './names.ts';
import type { Route } from './routes.ts';

export const RELATED_TASK = 'io.modelcontextprotocol/related-task';
/** In `params._meta` of what a server asks the client: which one asks. */
export const SERVER_META_KEY = 'countersign/server';
const TASK_METHODS: ReadonlySet<string> = new Set(['tasks/get', 'tasks/cancel', 'tasks/update']);

/** @param text - the whole answer. */
export function answerEdits(text: string, { result }: ServerResponse, route: Route, server: string): readonly Edit[] {
  if (!isObject(result)) return [];
  const task = (path: readonly string[]): readonly Edit[] => taskEdit(text, result, ['result', ...path], path, server);
  const edits = [...task(['_meta', RELATED_TASK, 'taskId'])];
  if (route.method === 'tools/call')
    edits.push(...task(['task', 'taskId']), ...(valueAt(result, ['resultType']) === 'task' ? task(['taskId']) : []));
  if (TASK_METHODS.has(route.method)) edits.push(...task(['taskId']));
  if (route.uri !== undefined) edits.push(...contentEdits(text, result, route.uri));
  const asked = member(result, 'inputRequests');
  if (isObject(asked)) {
    const all = spanAt(text, ['result', 'inputRequests']);
    for (const [key, span] of all === undefined ? [] : members(text, all)) {
      const request = member(asked, key);
      if (isObject(request)) edits.push(...labelEdits(text, request, span, server));
    }
  }
  return edits;
}

/** What came back for a URI of ours carries the server's own. */
function contentEdits(text: string, result: JsonObject, uri: { readonly outer: string; readonly inner: string }): readonly Edit[] {
  const contents = spanAt(text, ['result', 'contents']);
  const values = member(result, 'contents');
  if (contents === undefined || !Array.isArray(values)) return [];
  return elements(text, contents).flatMap((span, at) => {
    const item: unknown = values[at];
    const place = isObject(item) && member(item, 'uri') === uri.inner ? spanAt(text, ['uri'], span) : undefined;
    return place === undefined ? [] : [{ ...place, text: JSON.stringify(uri.outer) }];
  });
}

/** What a server asks: says who asks, to programs and, where it has words for people, to them. */
export function questionEdits(text: string, message: JsonObject, server: string): readonly Edit[] {
  const params = spanAt(text, ['params']);
  const edits = [
    ...labelEdits(text, message, wholeMessage(text), server),
    ...taskEdit(text, message, ['params', '_meta', RELATED_TASK, 'taskId'], ['params', '_meta', RELATED_TASK, 'taskId'], server),
  ];
  if (params !== undefined) return edits;
  const label = JSON.stringify({ _meta: { [SERVER_META_KEY]: server } });
  return [...edits, insertion(text, wholeMessage(text), 'params', label)];
}

export function notificationEdits(text: string, message: JsonObject, server: string, uriOf: (uri: string) => string): readonly Edit[] {
  const method = member(message, 'method');
  const related = ['params', '_meta', RELATED_TASK, 'taskId'];
  const edits = [...taskEdit(text, message, related, related, server)];
  if (method === 'notifications/tasks/status') edits.push(...taskEdit(text, message, ['params', 'taskId'], ['params', 'taskId'], server));
  if (method === 'notifications/resources/updated') {
    const uri = valueAt(message, ['params', 'uri']);
    const span = spanAt(text, ['params', 'uri']);
    if (typeof uri === 'string' && span !== undefined) edits.push({ ...span, text: JSON.stringify(uriOf(uri)) });
  }
  return edits;
}

/** @param request - an object with `method` and `params`, at `span`. */
function labelEdits(text: string, request: JsonObject, span: Span, server: string): readonly Edit[] {
  const params = spanAt(text, ['params'], span);
  if (params === undefined || text.charAt(params.start) !== '{') return [];
  const edits = [...metaEdits(text, params, server)];
  const words = spanAt(text, ['message'], params);
  const message = valueAt(request, ['params', 'message']);
  if (member(request, 'method') === 'elicitation/create' && words !== undefined && typeof message === 'string')
    edits.push({ ...words, text: JSON.stringify(`[${server}] ${message}`) });
  return edits;
}

function metaEdits(text: string, params: Span, server: string): readonly Edit[] {
  const label = JSON.stringify(server);
  const meta = spanAt(text, ['_meta'], params);
  if (meta === undefined) return [insertion(text, params, '_meta', `{${JSON.stringify(SERVER_META_KEY)}:${label}}`)];
  if (text.charAt(meta.start) !== '{') return [];
  const said = spanAt(text, [SERVER_META_KEY], meta);
  return [said === undefined ? insertion(text, meta, SERVER_META_KEY, label) : { ...said, text: label }];
}

function taskEdit(text: string, value: JsonObject, path: readonly string[], valuePath: readonly string[], server: string): readonly Edit[] {
  const taskId = valueAt(value, valuePath);
  const span = typeof taskId === 'string' ? spanAt(text, path) : undefined;
  return typeof taskId === 'string' && span !== undefined ? [{ ...span, text: JSON.stringify(outerTask(server, taskId)) }] : [];
}

export function valueAt(value: unknown, path: readonly string[]): unknown {
  let at = value;
  for (const key of path) at = isObject(at) ? member(at, key) : undefined;
  return at;
}

function wholeMessage(text: string): Span {
  return { start: text.indexOf('{'), end: text.length };
}
