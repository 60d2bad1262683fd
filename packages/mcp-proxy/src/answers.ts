/** What the client may see of the server's answers: those to calls are masked, and looked at by rules on results. */
import { type Outcome, type Permit, WITHHELD_RESULT } from '@countersign/core';
import type { ClientMessage } from './client-message.ts';
import type { InFlight, Request } from './in-flight.ts';
import { offeredList } from './listing.ts';
import type { ListingReader } from './listing-watch.ts';
import { lookalike } from './lookalike.ts';
import { isObject, LIST_METHOD, MAX_ID_CHARS, RPC_ERRORS } from './message.ts';
import { releasedResponse } from './released.ts';
import { type ServerResponse, withAnswers } from './server-message.ts';
import type { Target } from './target.ts';
import { responseIn, TASK_GET, TASK_RESULT, taskIn, tasksNamedIn, tasksTold, taskTtlIn, withResponseIn } from './task-answers.ts';
import { pinnedList } from './tool-pins.ts';
import type { MessageLine } from './wire.ts';

const TASK_GIVEN = 'the result of this task was given before, or not fetched in time: a rule on results looks at a result once';
const TASK_OF_ANOTHER = 'this task is of a call that another client made: only whoever made it gets its result';
const TASK_UNCLEAR = 'the task is not named by one string under taskId';
const TASK_KEYS: ReadonlySet<string> = new Set(['taskid']);
const TASK_METHODS: ReadonlySet<string> = new Set([TASK_GET, TASK_RESULT, 'tasks/update', 'tasks/cancel']);

type Asked = Pick<Extract<ClientMessage, { readonly kind: 'request' }>, 'key' | 'method' | 'params' | 'taskId'>;

export interface Answers {
  /** The bytes for the client. */
  readonly bytes: Buffer;
  readonly responses: readonly ServerResponse[];
}

export class AnswerReader {
  readonly #target: Target;
  readonly #inFlight: InFlight;
  readonly #settle: (permit: Permit, outcome: Outcome) => Promise<void>;
  readonly #owner: () => string;
  readonly #reader: ListingReader | undefined;

  /**
   * @param owner - whose requests these are; see `InterposerOptions.owner`.
   * @param reader - who reads the lists of tools.
   */
  constructor(
    target: Target,
    inFlight: InFlight,
    settle: (permit: Permit, outcome: Outcome) => Promise<void>,
    owner: () => string,
    reader?: ListingReader,
  ) {
    this.#reader = reader;
    this.#target = target;
    this.#inFlight = inFlight;
    this.#settle = settle;
    this.#owner = owner;
  }

  /** Whether a rule on results may act on this answer, so that it has to wait. */
  isHeld(response: ServerResponse): boolean {
    const { key } = response;
    const request = key === undefined ? undefined : this.#inFlight.get(key);
    if (request === undefined) return false;
    if ('permit' in request) return request.permit.holdsResult;
    if (isListing(request)) return this.#target.hidesTools || this.#target.pinsTools;
    return tasksTold(request, response).some((taskId) => this.isTaskHeld(taskId));
  }

  /** Whether a rule on results may act, or has acted, on what this task brings. */
  isTaskHeld(taskId: string): boolean {
    return this.#target.tasks.isHeld(taskId) || this.#target.tasks.wasGiven(taskId);
  }

  /** Why a request that is no call may not go on: nobody would look at its answer. */
  refusalOf({ key, method, params, taskId }: Asked): string | undefined {
    // Some readers take a number for its text, and `TaskID` for `taskId`: they would tell of another task than we follow.
    if (TASK_METHODS.has(method) && (taskId === undefined || hasOtherTaskId(params))) return TASK_UNCLEAR;
    const notTheirs = this.#target.ownTasks?.objectionTo({ method, params });
    if (notTheirs !== undefined) return notTheirs;
    // Whatever the server said of it, an error too, would end the call of another client.
    if (TASK_METHODS.has(method) && taskId !== undefined && this.#target.tasks.isOfAnother(taskId, this.#owner())) return TASK_OF_ANOTHER;
    if (method === TASK_RESULT && taskId !== undefined && (key === undefined || this.#target.tasks.wasGiven(taskId))) return TASK_GIVEN;
    if (method === TASK_GET && key === undefined && taskId !== undefined && this.isTaskHeld(taskId)) return TASK_GIVEN;
    if (method === LIST_METHOD && key === undefined && (this.#target.hidesTools || this.#target.pinsTools))
      return `the id of a ${LIST_METHOD} is not an integer or a string of at most ${MAX_ID_CHARS} characters`;
    return undefined;
  }

  /** Before the client is told of them: the tasks that its calls were answered with. */
  noteTasks(responses: readonly ServerResponse[]): void {
    const { ownTasks } = this.#target;
    if (ownTasks === undefined) return;
    for (const { key, result } of responses) {
      const request = key === undefined ? undefined : this.#inFlight.get(key);
      if (request !== undefined && 'permit' in request) for (const taskId of tasksNamedIn(result)) ownTasks.made(taskId);
    }
  }

  /** The server's own bytes, unless something in them had to be masked. */
  masked(line: MessageLine, responses: readonly ServerResponse[]): Answers {
    const masked = responses.map((response) => {
      const request = response.key === undefined ? undefined : this.#inFlight.get(response.key);
      if (request === undefined || !('permit' in request)) return response;
      const result = resultOf(request.permit.mask(response.result));
      const error = request.permit.mask(response.error);
      return result === response.result && error === response.error ? response : { ...response, result, error };
    });
    if (masked.every((response, i) => response === responses[i])) return { bytes: line.bytes, responses };
    return { bytes: withAnswers(line.bytes, masked), responses: masked };
  }

  /** What the client gets of an answer that is held. Records the outcome of its call. Never rejects. */
  async told(request: Request, response: ServerResponse): Promise<ServerResponse> {
    if (isListing(request)) {
      const listed = await pinnedList(response, this.#target);
      const reader = request.state === 'forwarded' && request.isPage !== true ? this.#reader : undefined;
      return this.#target.hidesTools ? offeredList(listed, this.#target, reader) : listed;
    }
    if (request.state === 'forwarded') {
      const permit = tasksTold(request, response)
        .map((taskId) => (this.#target.tasks.isOfAnother(taskId, this.#owner()) ? undefined : this.#target.tasks.take(taskId)))
        .find((held) => held !== undefined);
      if (permit === undefined) return refused(response, TASK_GIVEN);
      if (request.method !== TASK_GET) return releasedResponse(permit, response);
      const inside = responseIn(response);
      const told = await releasedResponse(permit, inside);
      return told === inside ? response : withResponseIn(response, told);
    }
    if (!('permit' in request)) return response;
    const taskId = request.state === 'running' ? taskIn(response) : undefined;
    if (taskId === undefined) return releasedResponse(request.permit, response);
    if (this.#target.tasks.hold(taskId, request.permit, this.#owner(), taskTtlIn(response))) return response;
    await this.#settle(request.permit, { status: 'error', error: new Error('its task could not be followed') });
    return refused(
      response,
      'the task cannot be followed: too many wait, its name is too long, or another one has it; the server did handle the request',
    );
  }
}

/** A result that was withheld is a text, which MCP does not know as one. */
function resultOf(masked: unknown): unknown {
  return masked === WITHHELD_RESULT ? { content: [{ type: 'text', text: WITHHELD_RESULT }], isError: true } : masked;
}

function hasOtherTaskId(params: unknown): boolean {
  return (
    isObject(params) &&
    Object.keys(params).some((key) => key !== 'taskId' && (TASK_KEYS.has(key) || lookalike(key, TASK_KEYS) !== undefined))
  );
}

function isListing(request: Request): boolean {
  return request.state === 'forwarded' && request.method === LIST_METHOD;
}

function refused(response: ServerResponse, message: string): ServerResponse {
  const { result: _gone, ...rest } = response;
  return { ...rest, error: { code: RPC_ERRORS.CALL_REFUSED, message } };
}
