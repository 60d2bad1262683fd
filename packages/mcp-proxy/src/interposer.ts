/**
 * The proxy between one MCP client and one server, without any I/O of its own.
 *
 * It reads both directions and changes neither: a line goes on exactly as it came, or it does not go on. The only
 * message it decides about is `tools/call`; the only ones it writes are answers to messages it kept back, calls whose
 * arguments a person edited, answers to calls of which the guard, or a rule on results, changed something, and lists of
 * tools without those that would be refused.
 */
import { randomUUID } from 'node:crypto';
import type { Outcome, Permit } from '@countersign/core';
import { callAnswer, errorAnswer, invalidAnswer } from './answer.ts';
import { objectionTo } from './answer-check.ts';
import { AnswerReader } from './answers.ts';
import { ApprovalDesk } from './approval/desk.ts';
import { Attempts } from './attempts.ts';
import {
  type CallMessage,
  type ClientMessage,
  type Framing,
  type InvalidMessage,
  readClientMessage,
  requireArguments,
  rewrittenCall,
} from './client-message.ts';
import { Endings } from './endings.ts';
import { notFetched } from './held-tasks.ts';
import { InFlight, type Request } from './in-flight.ts';
import type { Lane } from './lane.ts';
import { hasCursor } from './list-changes.ts';
import { ListNotices } from './list-notices.ts';
import { excerptId, idKey, LIST_METHOD, RPC_ERRORS } from './message.ts';
import { Records } from './records.ts';
import { notEntered, overlong, refusalReason, tooLarge, tooLong } from './refusals.ts';
import { readServerMessage, type ServerResponse, withAnswers } from './server-message.ts';
import type { Target } from './target.ts';
import { type Line, MAX_MESSAGE_BYTES, type MessageLine, type OversizeLine } from './wire.ts';

export interface InterposerOptions {
  readonly target: Target;
  /** Where messages go that belong to no other lane. */
  readonly lane: Lane;
  /** What stands around a message; default `lines`. */
  readonly framing?: Framing;
  /** Told of every message that was refused before it could be decided. Must not throw. */
  readonly onInvalid?: (message: Pick<InvalidMessage, 'code' | 'text'>) => void;
  /** Where a person answers an approval: told to the client with a call that waits. Must not throw. */
  readonly answerAt?: (approvalId: string) => string;
  /**
   * Who the client is, where its transport knows: what it was approved, what it is given to bring back, and its tasks count for
   * nobody else. Not empty. Default: everybody is one.
   */
  readonly owner?: string;
  /** The client is told when lists of tools change, whatever the server says of that. */
  readonly listsChange?: boolean;
  /** Default `CANCEL_GRACE_MS`. */
  readonly cancelGraceMs?: number;
}

/** One client, whose ids are its own: a connection, a session, or one exchange of a protocol that has neither. */
export class Interposer {
  readonly #options: InterposerOptions;
  readonly #target: Target;
  readonly #inFlight: InFlight;
  readonly #answers: AnswerReader;
  readonly #desk: ApprovalDesk;
  /** Tells calls of this client from those of another that uses the same ids. */
  readonly #nonce: string = randomUUID();
  readonly #deciding = new Set<Promise<void>>();
  readonly #records: Records;
  readonly #attempts = new Attempts();
  readonly #notices: ListNotices;
  readonly #endings: Endings;
  #owner: string | undefined;
  #gone: string | undefined;

  constructor(options: InterposerOptions) {
    this.#options = options;
    this.#target = options.target;
    this.#inFlight = new InFlight((reader) => options.target.listing.remove(reader));
    this.#records = new Records(options.target);
    this.#owner = options.owner;
    this.#notices = new ListNotices(options.target, options.framing === 'bodies' ? undefined : options.lane);
    if (options.listsChange === true) this.#notices.begin();
    this.#endings = new Endings({ ...options, inFlight: this.#inFlight, records: this.#records, notices: this.#notices });
    const owner = (): string => this.#owner ?? '';
    const settle = (permit: Permit, outcome: Outcome): Promise<void> => this.#records.settle(permit, outcome);
    this.#answers = new AnswerReader(options.target, this.#inFlight, settle, owner, this.#notices.reader);
    this.#desk = new ApprovalDesk({ target: options.target, answerAt: options.answerAt, owner });
  }

  /** The client listens there to what belongs to no request. */
  listensOn(lane: Lane): void {
    this.#notices.listensOn(lane);
  }

  listensNoMore(lane: Lane): void {
    this.#notices.listensNoMore(lane);
  }

  /** The client is known by more than before: its `initialize` was answered with a session. */
  belongsTo(owner: string): void {
    this.#owner = owner;
  }

  /** @param lane - where the message came from; what is answered to it goes there. */
  fromClient(line: Line, lane: Lane = this.#options.lane): void {
    if (line.kind === 'oversize') return this.#refuse(tooLarge(line.sizeBytes), lane);
    const read = readClientMessage(line.content, this.#options.framing);
    const message = lane.objectionTo?.(read) ?? read;
    switch (message.kind) {
      case 'invalid':
        return this.#refuse(message, lane);
      case 'call':
        return this.#call(line, message, lane);
      case 'request':
        return this.#request(line, message, lane);
      case 'cancel':
        return this.#cancel(line, message.key, lane);
      case 'response':
        return this.#desk.takes(message) ? lane.dropped() : this.#forward(line, lane);
      case 'other':
        return this.#forward(line, lane);
    }
  }

  /** @param lane - where the message came from, if it says whom it is for; otherwise answers go where their request came from. */
  fromServer(line: Line, lane?: Lane): void {
    if (line.kind === 'oversize') return this.#dropResponse(line, lane);
    const message = readServerMessage(line.content, this.#options.framing);
    if (message.kind === 'other') {
      // Told once, and looked at: as the answer to `tasks/get`.
      if (message.ended?.some((taskId) => this.#answers.isTaskHeld(taskId)) === true)
        return this.#target.log('dropped a notification with the result of a task: a rule on results looks at it where it is asked for');
      return (lane ?? this.#options.lane).toClient(line.bytes, 'message');
    }
    const { responses } = message;
    const problem =
      message.kind === 'unclear' ? `a line that could be an answer: ${message.problem}` : objectionTo(message, this.#inFlight);
    if (problem !== undefined) return this.#discard(problem, responses, lane);
    this.#answers.noteTasks(responses);
    const asked = this.#keepOpen(responses);
    if (asked !== undefined) return this.#laneOf(responses, lane).toClient(withAnswers(line.bytes, [asked]), 'answer');
    if (responses.some((response) => this.#answers.isHeld(response))) return this.#records.add(this.#release(line, responses, lane));
    const answers = this.#answers.masked(line, responses);
    this.#laneOf(responses, lane).toClient(answers.bytes, 'answer');
    for (const response of answers.responses) this.#endings.answered(response);
  }

  /** As `OnOverlong`: an answer that passed the limit is told to whoever waits for it, for it may have no end. */
  serverOverlong(head: Buffer, lane?: Lane): boolean {
    this.#target.log(overlong('server'));
    const key = keyOf(excerptId(head, NOTHING));
    const state = key === undefined ? undefined : this.#inFlight.get(key)?.state;
    if (state === undefined || state === 'deciding' || state === 'releasing') return false;
    this.#endings.answerFor(key, RPC_ERRORS.LIMIT, tooLong(), lane);
    return true;
  }

  /** The client is gone from a lane: what it asked there is cancelled, and nothing of it runs later. */
  clientGone(lane: Lane): void {
    for (const key of this.#keysOf(lane)) this.#endings.cancel(key);
  }

  /** Whether a request of this lane waits for the server, or its answer for a rule on results. */
  waits(lane: Lane): 'server' | 'release' | undefined {
    const states = this.#keysOf(lane).map((key) => this.#inFlight.get(key)?.state);
    if (states.includes('releasing')) return 'release';
    return states.length === 0 ? undefined : 'server';
  }

  /** No answer comes any more to what was asked on this lane. @param tell - whether the client is told in the server's place. */
  failed(lane: Lane, reason: string, tell: boolean, code: number = RPC_ERRORS.UPSTREAM_GONE): void {
    for (const key of this.#keysOf(lane)) this.#endings.abandon(key, reason, tell, code);
  }

  /** What was asked on this lane was refused before the server looked at it: its ids may come again, as new attempts. */
  mayRepeat(lane: Lane): void {
    for (const key of this.#keysOf(lane)) this.#attempts.raise(key);
  }

  /** Whether this message of the server answers a request that is open. */
  isOpen(content: Buffer): boolean {
    const message = readServerMessage(content, this.#options.framing);
    return message.kind !== 'other' && message.responses.some(({ key }) => key !== undefined && this.#inFlight.get(key) !== undefined);
  }

  /** The client sends nothing more: no call is held for an answer it could not give. */
  clientSilent(): void {
    this.#desk.stop();
  }

  /** Resolves when no call is being decided: what the client sent has been forwarded or refused. */
  async decided(): Promise<void> {
    while (this.#deciding.size > 0) await Promise.all(this.#deciding);
  }

  /** Resolves when no request waits for an answer. */
  async idle(): Promise<void> {
    await this.#inFlight.idle();
  }

  /** The server is gone: as `ended`, and its tasks bring nothing more. */
  async serverEnded(reason: string): Promise<void> {
    for (const permit of this.#target.endTasks(this.#owner ?? '')) this.#records.add(this.#records.settle(permit, notFetched()));
    for (const permit of this.#target.approvals.rounds.takeAll())
      this.#records.add(this.#records.settle(permit, { status: 'error', error: new Error(reason) }));
    await this.ended(reason);
  }

  /** Answers every open request in the server's place and settles every running call. Later requests get the same answer. */
  async ended(reason: string): Promise<void> {
    this.#gone = reason;
    this.#notices.end();
    for (const key of this.#inFlight.keys()) this.#endings.abandon(key, reason);
    await this.decided();
    await this.#records.done();
  }

  #call(line: MessageLine, call: CallMessage, lane: Lane): void {
    const abort = new AbortController();
    if (!this.#open(call.key, { state: 'deciding', lane, idJson: call.idJson, sizeBytes: line.bytes.length, abort }, call.tool)) return;
    track(this.#deciding, this.#decide(line, call, lane, abort.signal));
  }

  async #decide(line: MessageLine, call: CallMessage, lane: Lane, signal: AbortSignal): Promise<void> {
    const received = this.#desk.receive(call);
    const tool = this.#target.tools.ref(this.#target.server, call.tool);
    const verdict = await this.#desk.attend(received, lane, signal, () =>
      this.#target.guard.authorize(
        { tool, args: call.args, id: call.key, turn: this.#nonce, ...this.#attempts.of(call.key) },
        { approval: 'suspend', adopt: this.#owner ?? true, signal, validate: requireArguments },
      ),
    );
    // Cancelled meanwhile, or the server is gone: the client has its answer, or wants none.
    if (signal.aborted) {
      if (this.#gone === undefined) {
        this.#inFlight.take(call.key);
        lane.dropped();
      }
      if (verdict.kind === 'permit') await this.#records.settle(verdict, { status: 'cancelled' });
      return;
    }
    if (verdict.kind !== 'permit') {
      this.#inFlight.take(call.key);
      return lane.toClient(verdict.kind === 'asks' ? verdict.bytes : callAnswer(call, verdict, this.#options.answerAt), 'answer');
    }
    // The bytes that were decided on, or one serialisation of what was: a person may have changed the arguments.
    const isSame = verdict.edited === undefined && !received.isRewritten;
    const bytes = isSame ? line.bytes : rewrittenCall(received.call, verdict.args);
    const round = this.#desk.roundOf(call, verdict);
    const about = { lane, idJson: call.idJson, sizeBytes: bytes.length, task: call.task, ...(round !== undefined && { round }) };
    this.#inFlight.replace(call.key, { state: 'running', ...about, permit: this.#target.results.around(verdict, tool) });
    lane.toServer(bytes);
  }

  #request(line: MessageLine, request: Extract<ClientMessage, { readonly kind: 'request' }>, lane: Lane): void {
    const { key, idJson, method, taskId } = request;
    const refusal = this.#answers.refusalOf(request);
    if (refusal !== undefined) return lane.toClient(errorAnswer(idJson, RPC_ERRORS.CALL_REFUSED, refusal), 'answer');
    const isPage = method === LIST_METHOD && hasCursor(request.params);
    const listens = this.#notices.listenerOf(request, lane);
    const about = { lane, idJson, method, ...(taskId !== undefined && { taskId }), ...(isPage && { isPage }), ...(listens && { listens }) };
    if (method === 'initialize') this.#desk.learn(request.params);
    if (key !== undefined && !this.#open(key, { state: 'forwarded', ...about })) return;
    if (listens !== undefined) this.#target.listing.add(listens);
    this.#forward(line, lane);
  }

  /** Enters a request; otherwise answers it and returns false. */
  #open(key: string, request: Extract<Request, { readonly idJson: string }>, tool?: string): boolean {
    if (this.#gone !== undefined) {
      request.lane.toClient(errorAnswer(request.idJson, RPC_ERRORS.UPSTREAM_GONE, this.#gone), 'answer');
      return false;
    }
    const added = this.#inFlight.add(key, request);
    if (added === 'added') return true;
    this.#refuse(notEntered(added, request.idJson, tool), request.lane);
    return false;
  }

  #cancel(line: MessageLine, key: string | undefined, lane: Lane): void {
    const isKnownHere = key !== undefined && this.#inFlight.get(key)?.state === 'deciding';
    if (key !== undefined) this.#endings.cancel(key);
    // The server has not heard of a call that is being decided.
    if (isKnownHere) lane.dropped();
    else this.#forward(line, lane);
  }

  /** The server asks something before it brings the result of an approved call: that stays open for the retry. */
  #keepOpen(responses: readonly ServerResponse[]): ServerResponse | undefined {
    const [response] = responses;
    const request = response?.key === undefined ? undefined : this.#inFlight.get(response.key);
    if (responses.length !== 1 || response?.key === undefined || request?.state !== 'running' || request.round === undefined)
      return undefined;
    const asked = this.#desk.keepOpen(request.round, request.permit, response);
    if (asked !== undefined) this.#inFlight.take(response.key);
    return asked;
  }

  /** The line goes out once all of its answers are released; until then no other answer to these requests counts. */
  async #release(line: MessageLine, responses: readonly ServerResponse[], lane: Lane | undefined): Promise<void> {
    const to = this.#laneOf(responses, lane);
    const begun = responses.map((response) => {
      const request = response.key === undefined ? undefined : this.#inFlight.get(response.key);
      if (request === undefined || !this.#answers.isHeld(response))
        return { response, told: this.#answers.masked(line, [response]).responses[0] ?? response };
      if (request.state === 'cancelled') clearTimeout(request.timer);
      this.#inFlight.replace(response.key as string, { state: 'releasing', lane: request.lane, sizeBytes: line.bytes.length });
      return { response, told: this.#answers.told(request, response) };
    });
    for (const { response } of begun) if (this.#stateOf(response) !== 'releasing') this.#endings.answered(response);
    const told = await Promise.all(begun.map(async ({ told: each }) => each));
    const isSame = told.every((each, i) => each === responses[i]);
    to.toClient(isSame ? line.bytes : withAnswers(line.bytes, told), 'answer');
    for (const { response } of begun) if (this.#stateOf(response) === 'releasing') this.#inFlight.take(response.key as string);
  }

  /** Where answers go: where they came from, if that says whom they are for, or where they were asked for. */
  #laneOf(responses: readonly ServerResponse[], from: Lane | undefined): Lane {
    if (from !== undefined) return from;
    const requests = responses.map(({ key }) => (key === undefined ? undefined : this.#inFlight.get(key)));
    return requests.find((request) => request !== undefined)?.lane ?? this.#options.lane;
  }

  #keysOf(lane: Lane): readonly string[] {
    return this.#inFlight.keys().filter((key) => this.#inFlight.get(key)?.lane === lane);
  }

  #stateOf({ key }: ServerResponse): Request['state'] | undefined {
    return key === undefined ? undefined : this.#inFlight.get(key)?.state;
  }

  /** The server's line was too long to be read, or to be held: its request must not wait for ever. */
  #dropResponse({ sizeBytes, head, tail }: OversizeLine, lane: Lane | undefined): void {
    this.#target.log(`dropped a message of the server of ${sizeBytes} bytes, limit ${MAX_MESSAGE_BYTES}`);
    this.#endings.answerFor(keyOf(excerptId(head, tail)), RPC_ERRORS.LIMIT, tooLong(sizeBytes), lane);
  }

  /** The client sees nothing of the line; requests it certainly was about must not wait for ever. */
  #discard(problem: string, responses: readonly ServerResponse[], lane: Lane | undefined): void {
    this.#target.log(`dropped ${problem}`);
    const text = `the proxy dropped ${problem}; the server did handle the request`;
    for (const { key } of responses) this.#endings.answerFor(key, RPC_ERRORS.RESPONSE_UNCLEAR, text, lane);
  }

  #refuse(message: InvalidMessage, lane: Lane): void {
    this.#target.log(`message refused: ${refusalReason(message)}`);
    this.#options.onInvalid?.({ code: message.code, text: message.text });
    const answer = invalidAnswer(message);
    if (answer === undefined) lane.dropped();
    else lane.toClient(answer, 'answer');
    this.#records.refused(message);
  }

  #forward(line: MessageLine, lane: Lane): void {
    if (this.#gone === undefined) lane.toServer(line.bytes);
    else lane.dropped();
  }
}

const NOTHING = Buffer.alloc(0);

function keyOf(idJson: string | undefined): string | undefined {
  return idJson === undefined ? undefined : idKey(JSON.parse(idJson));
}

function track(set: Set<Promise<void>>, work: Promise<void>): void {
  set.add(work);
  const over = (): boolean => set.delete(work);
  void work.then(over, over);
}
