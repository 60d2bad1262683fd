import type { InFlight } from './in-flight.ts';
import { LIST_METHOD } from './message.ts';
import type { ServerMessage, ServerResponse } from './server-message.ts';
import { TASK_GET, TASK_RESULT } from './task-answers.ts';

type Responses = Extract<ServerMessage, { readonly kind: 'responses' }>;

/**
 * Why responses must not reach the client; `undefined` if they may.
 *
 * Ids are easy to guess, and clients are lenient: the TypeScript SDK looks a response up under `Number(id)`, the Python
 * SDK under `int(id)`. So only the first answer to an open request passes, under exactly its id. An answer before the
 * request came would win a race against ours, and one after the answer could be the one the client takes, having
 * refused the first.
 */
export function objectionTo({ responses, repeatsKeys }: Responses, requests: InFlight): string | undefined {
  const keys = new Set<string>();
  for (const response of responses) {
    const request = response.key === undefined ? undefined : requests.get(response.key);
    if (request?.state === 'deciding') return 'an answer to a call the server was not sent';
    if (request?.state === 'releasing') return 'two answers to one request';
    if (response.key === undefined ? couldBeFollowed(response, requests) : request === undefined) {
      return 'an answer to no open request';
    }
    if (response.key !== undefined && keys.has(response.key)) return 'two answers to one request';
    if (response.key !== undefined) keys.add(response.key);
    // Of a list it is what tools are called, and what the model reads of them; of a task it is the result of a call.
    const isRead = request !== undefined && (request.state !== 'forwarded' || READ_METHODS.has(request.method));
    if (isRead && repeatsKeys) return 'an answer with a repeated key';
  }
  return undefined;
}

const READ_METHODS: ReadonlySet<string> = new Set([LIST_METHOD, TASK_GET, TASK_RESULT]);

/** What Python's `int` takes for a number beyond what `Number` does. */
const INTEGER = /^\s*[+-]?[\p{Nd}_]+\s*$/u;

/** True when a client could take an id the proxy does not follow for one it does. Requests with such ids were passed on unseen. */
function couldBeFollowed({ id, error }: ServerResponse, requests: InFlight): boolean {
  if (id === undefined) return false;
  // The answer to what the server could not read. `Number(null)` is 0.
  if (id === null) return error === undefined || requests.get('n:0') !== undefined;
  if (typeof id === 'number') return requests.get(`s:${id}`) !== undefined;
  // Anything else is no id, but `Number([1])` is 1.
  return typeof id !== 'string' || !Number.isNaN(Number(id)) || INTEGER.test(id);
}
