/**
 * The proxy between one MCP client and one server, without any I/O of its own.
 *
 * It reads both directions and changes neither: a line goes on exactly as it came, or it does not go on. The only
 * message it decides about is `tools/call`; the only ones it writes are answers to messages it kept back, calls whose
 * arguments a person edited, and answers to calls of which the guard, or a rule on results, changed something.
 */
import { randomUUID } from 'node:crypto';
import { type Outcome, type Permit, WITHHELD_RESULT } from '@countersign/core';
import { callAnswer, errorAnswer, invalidAnswer } from './answer.ts';
import { objectionTo } from './answer-check.ts';
import {
  type CallMessage,
  type ClientMessage,
  type InvalidMessage,
  readClientMessage,
  requireArguments,
  rewrittenCall,
  unreadable,
} from './client-message.ts';
import { GuardSource, type ProxyGuard } from './guard-source.ts';
import { HeldTasks } from './held-tasks.ts';
import { InFlight, type Request } from './in-flight.ts';
import { excerptId, idKey, isObject, member, RPC_ERRORS } from './message.ts';
import { outcomeOf, releasedResponse } from './released.ts';
import { readServerMessage, type ServerResponse, withAnswers } from './server-message.ts';
import { ToolDirectory } from './tool-directory.ts';
import { type Line, MAX_MESSAGE_BYTES, type MessageLine, type OversizeLine } from './wire.ts';

/** How long a cancelled call may still tell how it ended before it is recorded as cancelled. */
export const CANCEL_GRACE_MS = 5_000;
/** Refusals of malformed messages being recorded at once; further ones are only logged. */
export const MAX_RECORDING = 256;
/** Stands in the ledger where no tool name could be read. */
export const UNREADABLE_TOOL = '(unreadable)';

export interface InterposerOptions {
  /** Opens the guard; called at the first call, and again after a failure. */
  readonly guard: () => Promise<ProxyGuard>;
  /** Name of the server in our configuration. */
  readonly server: string;
  /** Both take whole lines, in order, and must not throw. */
  readonly toClient: (bytes: Buffer) => void;
  readonly toServer: (bytes: Buffer) => void;
  /** Takes one line for people. */
  readonly log: (text: string) => void;
  /** Told of every message that was refused before it could be decided. Must not throw. */
  readonly onInvalid?: (message: Pick<InvalidMessage, 'code' | 'text'>) => void;
  /** Where a person answers an approval: told to the client with a call that waits. Must not throw. */
  readonly answerAt?: (approvalId: string) => string;
  /** Default `CANCEL_GRACE_MS`. */
  readonly cancelGraceMs?: number;
}

export class Interposer {
  readonly #options: InterposerOptions;
  readonly #guard: GuardSource;
  readonly #tools = new ToolDirectory();
  readonly #inFlight: InFlight;
  readonly #tasks = new HeldTasks();
  /** Tells calls of this connection from those of another that uses the same ids. */
  readonly #nonce: string = randomUUID();
  readonly #deciding = new Set<Promise<void>>();
  readonly #recording = new Set<Promise<void>>();
  readonly #waiting: (() => void)[] = [];
  #gone: string | undefined;

  constructor(options: InterposerOptions) {
    this.#options = options;
    this.#guard = new GuardSource(options.guard, options.log);
    this.#inFlight = new InFlight(() => {
      for (const resolve of this.#waiting.splice(0)) resolve();
    });
  }

  fromClient(line: Line): void {
    if (line.kind === 'oversize') return this.#refuse(oversize(line));
    const message = readClientMessage(line.content);
    switch (message.kind) {
      case 'invalid':
        return this.#refuse(message);
      case 'call':
        return this.#call(line, message);
      case 'request':
        return this.#request(line, message);
      case 'cancel':
        return this.#cancel(line, message.key);
      case 'other':
        return this.#forward(line);
    }
  }

  fromServer(line: Line): void {
    if (line.kind === 'oversize') return this.#dropResponse(line);
    const message = readServerMessage(line.content);
    if (message.kind === 'other') return this.#options.toClient(line.bytes);
    const problem =
      message.kind === 'unclear' ? `a line that could be an answer: ${message.problem}` : objectionTo(message, this.#inFlight);
    if (problem !== undefined) return this.#discard(problem, message.responses);
    if (message.responses.some((response) => this.#isHeld(response))) return track(this.#recording, this.#release(line, message.responses));
    const answers = this.#masked(line, message.responses);
    this.#options.toClient(answers.bytes);
    for (const response of answers.responses) this.#answered(response);
  }

  /** Resolves when no call is being decided: what the client sent has been forwarded or refused. */
  async decided(): Promise<void> {
    while (this.#deciding.size > 0) await Promise.all(this.#deciding);
  }

  /** Resolves when no request waits for an answer. */
  async idle(): Promise<void> {
    if (this.#inFlight.size > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Answers every open request in the server's place and settles every running call. Later requests get the same answer. */
  async serverEnded(reason: string): Promise<void> {
    this.#gone = reason;
    for (const key of this.#inFlight.keys())
      if (this.#inFlight.get(key)?.state !== 'releasing') this.#abandon(this.#inFlight.take(key), reason);
    for (const permit of this.#tasks.takeAll()) track(this.#recording, this.#settle(permit, { status: 'error', error: new Error(reason) }));
    await this.decided();
    while (this.#recording.size > 0) await Promise.all(this.#recording);
  }

  #call(line: MessageLine, call: CallMessage): void {
    const abort = new AbortController();
    if (!this.#open(call.key, { state: 'deciding', idJson: call.idJson, sizeBytes: line.bytes.length, abort }, call.tool)) return;
    track(this.#deciding, this.#decide(line, call, abort.signal));
  }

  async #decide(line: MessageLine, call: CallMessage, signal: AbortSignal): Promise<void> {
    const verdict = await this.#guard.authorize(
      { tool: this.#tools.ref(this.#options.server, call.tool), args: call.args, id: call.key, turn: this.#nonce },
      { approval: 'suspend', adopt: true, signal, validate: requireArguments },
    );
    // Cancelled meanwhile, or the server is gone: the client has its answer, or wants none.
    if (signal.aborted) {
      if (this.#gone === undefined) this.#inFlight.take(call.key);
      if (verdict.kind === 'permit') await this.#settle(verdict, { status: 'cancelled' });
      return;
    }
    if (verdict.kind !== 'permit') {
      this.#inFlight.take(call.key);
      return this.#options.toClient(callAnswer(call, verdict, this.#options.answerAt));
    }
    // The bytes that were decided on, or one serialisation of what was: a person may have changed the arguments.
    const bytes = verdict.edited === undefined ? line.bytes : rewrittenCall(call, verdict.args);
    this.#inFlight.replace(call.key, { state: 'running', idJson: call.idJson, sizeBytes: bytes.length, permit: verdict, task: call.task });
    this.#options.toServer(bytes);
  }

  #request(line: MessageLine, { key, idJson, method, taskId }: Extract<ClientMessage, { readonly kind: 'request' }>): void {
    // An answer under an id that is not followed would be looked at by nobody.
    if (method === TASK_RESULT && taskId !== undefined && (key === undefined || this.#tasks.wasGiven(taskId)))
      return this.#options.toClient(errorAnswer(idJson, RPC_ERRORS.CALL_REFUSED, GIVEN));
    const about = { idJson, method, ...(taskId !== undefined && { taskId }) };
    if (key === undefined || this.#open(key, { state: 'forwarded', ...about })) this.#forward(line);
  }

  /** Enters a request; otherwise answers it and returns false. */
  #open(key: string, request: Extract<Request, { readonly idJson: string }>, tool?: string): boolean {
    if (this.#gone !== undefined) {
      this.#options.toClient(errorAnswer(request.idJson, RPC_ERRORS.UPSTREAM_GONE, this.#gone));
      return false;
    }
    const added = this.#inFlight.add(key, request);
    if (added === 'added') return true;
    const call = { couldBeCall: tool !== undefined, ...(tool === undefined ? {} : { tool }) };
    if (added === 'full') {
      const text = 'too many requests are waiting for an answer; retry later';
      this.#refuse({ kind: 'invalid', code: 'too-many-requests', text, rpcCode: RPC_ERRORS.LIMIT, idJson: request.idJson, ...call });
    } else {
      // Answered under null: under its own id the client would take this for the answer to the request that has it.
      const text = 'the id is in use by a request without an answer';
      this.#refuse({ kind: 'invalid', code: 'id-in-use', text, rpcCode: RPC_ERRORS.INVALID_REQUEST, idJson: 'null', ...call });
    }
    return false;
  }

  #cancel(line: MessageLine, key: string | undefined): void {
    const request = key === undefined ? undefined : this.#inFlight.get(key);
    if (key === undefined || request === undefined) return this.#forward(line);
    switch (request.state) {
      case 'deciding':
        return request.abort.abort();
      case 'running': {
        const timer = setTimeout(() => this.#forget(key), this.#options.cancelGraceMs ?? CANCEL_GRACE_MS);
        timer.unref();
        this.#inFlight.replace(key, { state: 'cancelled', sizeBytes: request.sizeBytes, permit: request.permit, timer });
        return this.#forward(line);
      }
      case 'forwarded':
        this.#inFlight.take(key);
        this.#inFlight.retire(key);
        return this.#forward(line);
      case 'cancelled':
      case 'releasing':
        return this.#forward(line);
    }
  }

  /** A cancelled call that told nothing in time. */
  #forget(key: string): void {
    const request = this.#inFlight.take(key);
    if (request?.state !== 'cancelled') return;
    this.#inFlight.retire(key);
    track(this.#recording, this.#settle(request.permit, { status: 'cancelled' }));
  }

  #answered(response: ServerResponse): void {
    const request = response.key === undefined ? undefined : this.#inFlight.take(response.key);
    if (request === undefined || request.state === 'deciding' || request.state === 'releasing') return;
    if (request.state === 'forwarded') {
      if (request.method === 'tools/list') this.#tools.learn(response.result);
      return;
    }
    if (request.state === 'cancelled') clearTimeout(request.timer);
    track(this.#recording, this.#settle(request.permit, outcomeOf(response)));
  }

  /** Answers to calls as the client may see them: the server's own bytes, unless something in them had to be masked. */
  #masked(
    line: MessageLine,
    responses: readonly ServerResponse[],
  ): { readonly bytes: Buffer; readonly responses: readonly ServerResponse[] } {
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

  /** Whether a rule on results may act on this answer. */
  #isHeld({ key }: ServerResponse): boolean {
    const request = key === undefined ? undefined : this.#inFlight.get(key);
    if (request === undefined) return false;
    if ('permit' in request) return request.permit.holdsResult;
    const taskId = taskOf(request);
    return taskId !== undefined && (this.#tasks.isHeld(taskId) || this.#tasks.wasGiven(taskId));
  }

  /** The line goes out once all of its answers are released; until then no other answer to these requests counts. */
  async #release(line: MessageLine, responses: readonly ServerResponse[]): Promise<void> {
    const begun = responses.map((response) => {
      const request = response.key === undefined ? undefined : this.#inFlight.get(response.key);
      if (request === undefined || !this.#isHeld(response))
        return { response, told: this.#masked(line, [response]).responses[0] ?? response };
      if (request.state === 'cancelled') clearTimeout(request.timer);
      this.#inFlight.replace(response.key as string, { state: 'releasing', sizeBytes: line.bytes.length });
      return { response, told: this.#toldOf(request, response) };
    });
    for (const { response } of begun) if (this.#stateOf(response) !== 'releasing') this.#answered(response);
    const told = await Promise.all(begun.map(async ({ told: each }) => each));
    const isSame = told.every((each, i) => each === responses[i]);
    this.#options.toClient(isSame ? line.bytes : withAnswers(line.bytes, told));
    for (const { response } of begun) if (this.#stateOf(response) === 'releasing') this.#inFlight.take(response.key as string);
  }

  async #toldOf(request: Request, response: ServerResponse): Promise<ServerResponse> {
    if (request.state === 'forwarded') {
      const permit = request.taskId === undefined ? undefined : this.#tasks.take(request.taskId);
      return permit === undefined ? refused(response, GIVEN) : releasedResponse(permit, response);
    }
    if (!('permit' in request)) return response;
    const taskId = request.state === 'running' && request.task ? taskIn(response) : undefined;
    if (taskId === undefined) return releasedResponse(request.permit, response);
    if (this.#tasks.hold(taskId, request.permit)) return response;
    await this.#settle(request.permit, { status: 'error', error: new Error('its task could not be followed') });
    return refused(response, 'the task cannot be followed: too many wait, or another one has its name; the server did handle the request');
  }

  #stateOf({ key }: ServerResponse): Request['state'] | undefined {
    return key === undefined ? undefined : this.#inFlight.get(key)?.state;
  }

  #abandon(request: Request | undefined, reason: string): void {
    if (request === undefined || request.state === 'releasing') return;
    if (request.state === 'deciding') request.abort.abort();
    if (request.state === 'cancelled') clearTimeout(request.timer);
    else this.#options.toClient(errorAnswer(request.idJson, RPC_ERRORS.UPSTREAM_GONE, reason));
    if (request.state === 'cancelled') track(this.#recording, this.#settle(request.permit, { status: 'cancelled' }));
    if (request.state === 'running') track(this.#recording, this.#settle(request.permit, { status: 'error', error: new Error(reason) }));
  }

  /** The server's line was too long to be read, or to be held: its request must not wait for ever. */
  #dropResponse({ sizeBytes, head, tail }: OversizeLine): void {
    this.#options.log(`dropped a message of the server of ${sizeBytes} bytes, limit ${MAX_MESSAGE_BYTES}`);
    const idJson = excerptId(head, tail);
    const id: unknown = idJson === undefined ? undefined : JSON.parse(idJson);
    const text = `the response has ${sizeBytes} bytes, more than the limit of ${MAX_MESSAGE_BYTES}; the server did handle the request`;
    this.#answerFor(idKey(id), RPC_ERRORS.LIMIT, text);
  }

  /** The client sees nothing of the line; requests it certainly was about must not wait for ever. */
  #discard(problem: string, responses: readonly ServerResponse[]): void {
    this.#options.log(`dropped ${problem}`);
    const text = `the proxy dropped ${problem}; the server did handle the request`;
    for (const { key } of responses) this.#answerFor(key, RPC_ERRORS.RESPONSE_UNCLEAR, text);
  }

  /** Answers a request the server has in its place. */
  #answerFor(key: string | undefined, code: number, message: string): void {
    const request = key === undefined ? undefined : this.#inFlight.get(key);
    if (key === undefined || request?.state === 'deciding' || request?.state === 'releasing') return;
    if (request !== undefined && request.state !== 'cancelled') this.#options.toClient(errorAnswer(request.idJson, code, message));
    // Also when no request is open: a late answer frees the id of a cancelled one.
    this.#answered({ id: undefined, key, error: { code, message } });
  }

  #refuse(message: InvalidMessage): void {
    this.#options.log(`message refused: ${message.text} [${message.code}]`);
    this.#options.onInvalid?.({ code: message.code, text: message.text });
    const answer = invalidAnswer(message);
    if (answer !== undefined) this.#options.toClient(answer);
    if (!message.couldBeCall || this.#recording.size >= MAX_RECORDING) return;
    const tool = this.#tools.ref(this.#options.server, message.tool ?? UNREADABLE_TOOL);
    track(this.#recording, this.#guard.recordInvalid(tool, `${message.text} [${message.code}]`));
  }

  #forward(line: MessageLine): void {
    if (this.#gone === undefined) this.#options.toServer(line.bytes);
  }

  async #settle(permit: Permit, outcome: Outcome): Promise<void> {
    try {
      await permit.settle(outcome);
    } catch {
      this.#options.log(`the outcome of call ${permit.callId} could not be recorded`);
    }
  }
}

function oversize({ sizeBytes }: OversizeLine): InvalidMessage {
  return unreadable('too-large', `message has ${sizeBytes} bytes, limit ${MAX_MESSAGE_BYTES}`);
}

/** A result that was withheld is a text, which MCP does not know as one. */
function resultOf(masked: unknown): unknown {
  return masked === WITHHELD_RESULT ? { content: [{ type: 'text', text: WITHHELD_RESULT }], isError: true } : masked;
}

const TASK_RESULT = 'tasks/result';
const GIVEN = 'the result of this task was given before: a rule on results looks at a result once';

function taskOf(request: Request): string | undefined {
  return request.state === 'forwarded' && request.method === TASK_RESULT ? request.taskId : undefined;
}

/** The task a call was answered with. */
function taskIn({ result }: ServerResponse): string | undefined {
  const task = isObject(result) ? member(result, 'task') : undefined;
  const taskId = isObject(task) ? member(task, 'taskId') : undefined;
  // What stands beside a task could be a result: then it is released like one.
  return typeof taskId === 'string' && isObject(result) && !Object.hasOwn(result, 'content') && !Object.hasOwn(result, 'structuredContent')
    ? taskId
    : undefined;
}

function refused(response: ServerResponse, message: string): ServerResponse {
  const { result: _gone, ...rest } = response;
  return { ...rest, error: { code: RPC_ERRORS.CALL_REFUSED, message } };
}

function track(set: Set<Promise<void>>, work: Promise<void>): void {
  set.add(work);
  void work.finally(() => set.delete(work));
}
