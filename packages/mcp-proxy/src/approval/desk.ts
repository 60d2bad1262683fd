/**
 * Where the calls of one client wait for people.
 *
 *   2025 and before   a request of ours to the client, while the call is held
 *   2026-07-28        the call is answered with the question, and its retry brings the answer
 *   neither           the call is held for an answer given elsewhere, then the client is told what waits
 *
 * Whatever comes back, the guard is asked again about this very call, and the store says whether it may run. The client is the
 * agent's: an answer through it has low assurance, and counts only where the rule asks for no more.
 */
import type { ApprovalRow, Authorization, Pending, Permit } from '@countersign/core';
import type { CallMessage } from '../client-message.ts';
import type { Unavailable } from '../guard-source.ts';
import type { Lane } from '../lane.ts';
import { isObject, member } from '../message.ts';
import type { ServerResponse } from '../server-message.ts';
import type { Target } from '../target.ts';
import { type ClientProfile, NO_ELICITATION, profileOfRequest, profileOfSession, progressTokenOf } from './client-profile.ts';
import {
  completion,
  elicitationRequest,
  formParams,
  heartbeat,
  readElicitationAnswer,
  readForm,
  urlParams,
  withdrawal,
} from './elicitation.ts';
import { type ClientResponse, OwnRequests } from './own-requests.ts';
import { type Question, questionText } from './question.ts';
import { type Carried, callDigest, carriedOf, withCarried } from './request-state.ts';
import { formShortfall, type Way, wayFor } from './ways.ts';

/** Questions before the person at once; further calls wait for an answer given elsewhere. */
export const MAX_QUESTIONS = 16;
/** A call whose approval was used for another call meanwhile is asked about again, so often. */
const MAX_ROUNDS = 8;
const ELICITATION = { id: 'elicitation', method: 'elicitation' } as const;

type Verdict = Authorization | Unavailable;

/** What becomes of a call. */
export type Attended =
  | Exclude<Verdict, Pending>
  /** `note`: why the person at the client was not asked. */
  | (Pending & { readonly note?: string })
  /** The answer to the call is a question to the client. */
  | { readonly kind: 'asks'; readonly bytes: Buffer };

/** A call as it is to be decided and sent. */
export interface Received {
  readonly call: CallMessage;
  /** Members of ours were taken out: it goes on as one serialisation. */
  readonly isRewritten: boolean;
  /** What the person said to a question that the call brings back. */
  readonly answer?: { readonly approvalId: string; readonly way: Way; readonly result: unknown };
  /** It goes on with a call that was approved. */
  readonly permit?: Permit;
}

export interface DeskOptions {
  readonly target: Target;
  readonly answerAt: ((approvalId: string) => string) | undefined;
  readonly owner: () => string;
}

interface Waiting {
  readonly call: CallMessage;
  readonly row: ApprovalRow;
  readonly lane: Lane;
}

export class ApprovalDesk {
  readonly #target: Target;
  readonly #answerAt: DeskOptions['answerAt'];
  readonly #owner: () => string;
  readonly #requests = new OwnRequests();
  readonly #asking = new Set<string>();
  readonly #stopped = new AbortController();
  #session: ClientProfile = NO_ELICITATION;

  constructor({ target, answerAt, owner }: DeskOptions) {
    this.#target = target;
    this.#answerAt = answerAt;
    this.#owner = owner;
  }

  /** @param params - of the client's `initialize`. */
  learn(params: unknown): void {
    this.#session = profileOfSession(params);
  }

  /** @returns whether it answers a request of ours: then nobody else gets it. */
  takes(response: ClientResponse): boolean {
    return this.#requests.take(response);
  }

  /** Holds no call any longer: the client can neither answer nor give up what it asked for. */
  stop(): void {
    this.#stopped.abort();
  }

  /** Takes out what a call brings back of ours. Uses it up. */
  receive(call: CallMessage): Received {
    const brought = call.stateless ? carriedOf(call.params) : {};
    if (brought.requestState === undefined) return { call, isRewritten: false };
    const digest = callDigest(this.#target.server, call.tool, call.args) ?? '';
    const { states, rounds } = this.#target.approvals;
    const state = states.spend(brought.requestState, { owner: this.#owner(), call: digest });
    if (state.kind === 'foreign') return { call, isRewritten: false };
    const as = (carried: Carried): Pick<Received, 'call' | 'isRewritten'> => ({
      call: { ...call, params: withCarried(call.params, carried) },
      isRewritten: true,
    });
    if (state.kind === 'bad') {
      this.#target.log(`the state of a retried call counts for nothing (${state.why}): it is decided as a new call`);
      return as({});
    }
    const { about, carried } = state.facts;
    const responses = brought.inputResponses ?? {};
    if (about.kind === 'approval') {
      const result = member(responses, keyOf(state.nonce));
      const answer = { approvalId: about.approvalId, way: about.way, result };
      return { ...as(carried), ...(result !== undefined && { answer }) };
    }
    const permit = rounds.take(about.roundId);
    const on = { ...carried, ...(brought.inputResponses !== undefined && { inputResponses: brought.inputResponses }) };
    return { ...as(on), ...(permit !== undefined && { permit }) };
  }

  /**
   * Decides, and waits with the call while it waits for a person.
   *
   * @param authorize - decides this very call; asked again after each answer.
   * @param signal - the client gave the call up, or is gone.
   */
  async attend({ call, answer, permit }: Received, lane: Lane, signal: AbortSignal, authorize: () => Promise<Verdict>): Promise<Attended> {
    if (permit !== undefined) return this.#goOn(call, permit);
    if (answer !== undefined) await this.#heard(answer.approvalId, answer.way, answer.result);
    const deadlineMs = performance.now() + this.#target.approvals.holdMs;
    let verdict = await authorize();
    for (let round = 0; verdict.kind === 'pending' && !signal.aborted; round++) {
      const row = await this.#target.guard.approval(verdict.approvalId);
      if (row === undefined || signal.aborted) return verdict;
      const waiting = { call, row, lane };
      // Whoever has just opened the page for it is not asked to open it again.
      const asks = answer?.approvalId === row.id ? undefined : this.#asksIn(waiting);
      if (asks !== undefined) return { kind: 'asks', bytes: asks };
      const isSettled = round < MAX_ROUNDS && (await this.#hold(waiting, deadlineMs, signal));
      if (!isSettled) return { ...verdict, ...this.#noteOn(waiting) };
      verdict = await authorize();
    }
    return verdict;
  }

  /** An approved call goes on, unless its tool may not be called at all any more: the session was halted, or the policy changed. */
  async #goOn(call: CallMessage, permit: Permit): Promise<Verdict> {
    const { guard, tools, server, log } = this.#target;
    const offers = await guard.offers([tools.ref(server, call.tool)]);
    const denial = 'kind' in offers ? undefined : offers[0]?.denial;
    if (!('kind' in offers) && denial === undefined) return permit;
    await permit.settle({ status: 'cancelled' }).catch(() => log(`the outcome of call ${permit.callId} could not be recorded`));
    if ('kind' in offers) return offers;
    return { kind: 'refusal', callId: permit.callId, decision: denial ?? permit.decision };
  }

  /** The digest under which a running call may be kept open, when the server may ask something before it brings its result. */
  roundOf(call: CallMessage, permit: Permit): string | undefined {
    if (!call.stateless || permit.decision.reasonCode !== 'APPROVAL_GRANTED' || permit.holdsResult) return undefined;
    return callDigest(this.#target.server, call.tool, call.args);
  }

  /** The server's question as the client gets it, where the call stays open for its answer; undefined for anything else. */
  keepOpen(digest: string, permit: Permit, response: ServerResponse): ServerResponse | undefined {
    const { result } = response;
    const { rounds, states } = this.#target.approvals;
    // A rule on results, or a check of them, looks at this too: that ends the call, and the retry is another one.
    if (permit.holdsResult || rounds.isFull) return undefined;
    if (!isObject(result) || member(result, 'resultType') !== 'input_required') return undefined;
    const { requestState: _replaced, ...rest } = result;
    const masked: unknown = permit.mask(rest);
    if (!isObject(masked)) return undefined;
    const { requestState } = carriedOf(result);
    const { roundId, expiresAtMs } = rounds.keep(permit);
    const facts = { owner: this.#owner(), call: digest, expiresAtMs, about: { kind: 'round', roundId } } as const;
    const sealed = states.seal({ ...facts, carried: requestState === undefined ? {} : { requestState } });
    if (sealed === undefined) {
      rounds.take(roundId);
      return undefined;
    }
    return { ...response, result: { ...result, ...masked, requestState: sealed.state } };
  }

  /** The stateless protocol: the answer to the call is the question. */
  #asksIn({ call, row }: Waiting): Buffer | undefined {
    if (!call.stateless || call.task) return undefined;
    const way = this.#wayFor(call, row);
    const digest = callDigest(this.#target.server, call.tool, call.args);
    if (way === undefined || digest === undefined) return undefined;
    const facts = {
      owner: this.#owner(),
      call: digest,
      expiresAtMs: row.expiresAtMs,
      about: { kind: 'approval', approvalId: row.id, way },
    } as const;
    const sealed = this.#target.approvals.states.seal({ ...facts, carried: carriedOf(call.params) });
    if (sealed === undefined) return undefined;
    const params =
      way === 'form' ? { mode: 'form', ...formParams(this.#text(row, way)) } : urlParams(this.#text(row, way), this.#pageOf(row));
    const result = {
      resultType: 'input_required',
      inputRequests: { [keyOf(sealed.nonce)]: { method: 'elicitation/create', params } },
      requestState: sealed.state,
    };
    return Buffer.from(`{"jsonrpc":"2.0","id":${call.idJson},"result":${JSON.stringify(result)}}\n`);
  }

  /** @returns true when the approval was settled in time, by whomever. */
  async #hold(waiting: Waiting, deadlineMs: number, signal: AbortSignal): Promise<boolean> {
    const leftMs = deadlineMs - performance.now();
    if (leftMs <= 0 || this.#stopped.signal.aborted) return false;
    const timeUp = new AbortController();
    const timer = setTimeout(() => timeUp.abort(), leftMs);
    const withdraw = waiting.call.stateless ? undefined : this.#ask(waiting);
    const silence = this.#keepAlive(waiting);
    const settled = await this.#target.guard.settled(waiting.row.id, AbortSignal.any([signal, timeUp.signal, this.#stopped.signal]));
    const isSettled = settled !== undefined && settled.state !== 'pending';
    clearTimeout(timer);
    silence();
    withdraw?.(isSettled);
    return isSettled;
  }

  /** Puts the question to the client. @returns what takes it back, and ends it; told whether the approval was settled. */
  #ask({ call, row, lane }: Waiting): ((isSettled: boolean) => void) | undefined {
    const way = this.#wayFor(call, row);
    if (way === undefined || this.#asking.has(row.id) || this.#requests.size >= MAX_QUESTIONS) return undefined;
    let isAnswered = false;
    const request = this.#requests.open((response) => {
      isAnswered = true;
      void this.#heard(row.id, way, response.isSound && response.error === undefined ? response.result : undefined);
    });
    this.#asking.add(row.id);
    const text = this.#text(row, way);
    const params = way === 'form' ? formParams(text) : { ...urlParams(text, this.#pageOf(row)), elicitationId: request.id };
    lane.toClient(elicitationRequest(request.id, params), 'message');
    return (isSettled) => {
      this.#asking.delete(row.id);
      request.close();
      if (!isAnswered) lane.toClient(withdrawal(request.id, 'answered elsewhere, or not waited for any longer'), 'message');
      // Also to a client that has not said yet that it opened the page: the person may have been faster.
      if (way === 'url' && isSettled) lane.toClient(completion(request.id), 'message');
    };
  }

  /** What the person at the client said. Only a form that says so approves; closing it leaves the approval to others. */
  async #heard(approvalId: string, way: Way, result: unknown): Promise<void> {
    const { approvals, guard, log } = this.#target;
    const answer = readElicitationAnswer(result);
    // Of a page the client says only whether it was opened.
    if (way === 'url' && answer.kind === 'accepted') return;
    const form = way === 'form' && answer.kind === 'accepted' ? readForm(answer.content) : undefined;
    if (way === 'form' && answer.kind === 'declined') {
      if (await guard.answer(approvalId, { decision: 'deny', message: 'declined in the client' }, ELICITATION)) return;
    } else if (form !== undefined) {
      const { decision, note } = form;
      if (await guard.answer(approvalId, { decision, ...(note !== undefined && { message: note }) }, ELICITATION)) return;
    } else {
      log(
        `approval ${approvalId} was not answered in the client (${answer.kind === 'none' ? answer.why : answer.kind}); it waits for others`,
      );
    }
    approvals.putAside(approvalId);
  }

  #keepAlive({ call, lane, row }: Waiting): () => void {
    const token = progressTokenOf(call.params);
    if (token === undefined) return () => {};
    let beat = 0;
    const timer = setInterval(() => {
      lane.toClient(heartbeat(token, ++beat, `waits for approval ${row.id}`), 'message');
    }, this.#target.approvals.heartbeatMs);
    return () => clearInterval(timer);
  }

  #wayFor(call: CallMessage, row: ApprovalRow): Way | undefined {
    const { approvals } = this.#target;
    // What was forgotten meanwhile can be shown to nobody.
    if (row.state !== 'pending' || row.shown === undefined || approvals.isAside(row.id)) return undefined;
    return wayFor(row, { ways: approvals.ways, profile: this.#profileOf(call), hasPage: this.#answerAt !== undefined });
  }

  #profileOf(call: CallMessage): ClientProfile {
    return call.stateless ? profileOfRequest(call.params) : this.#session;
  }

  /** Why the person at the client was not asked, where that could be expected. */
  #noteOn({ call, row }: Waiting): { readonly note?: string } {
    const shortfall = this.#target.approvals.ways.includes('form') && this.#profileOf(call).form ? formShortfall(row) : undefined;
    return shortfall === undefined ? {} : { note: `An answer in this client would not be enough: ${shortfall}.` };
  }

  #text(row: ApprovalRow, way: Way): string {
    const { id, tool, shown = {}, reason, rule, expiresAtMs, edited } = row;
    const question: Question = {
      server: tool.server ?? this.#target.server,
      tool: tool.name,
      approvalId: id,
      shown,
      expiresAtMs,
      ...(reason !== undefined && { reason }),
      ...(rule !== undefined && { rule }),
      isEdited: edited !== undefined,
    };
    return questionText(question, way === 'form');
  }

  #pageOf({ id }: ApprovalRow): string {
    return this.#answerAt?.(id) ?? '';
  }
}

/** Under which a question of ours stands among the server's. */
function keyOf(nonce: string): string {
  return `countersign.${nonce}`;
}
