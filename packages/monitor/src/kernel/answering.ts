/**
 * One trapped call: who makes it, what it is about to do, what the rules make of that, and the answer. Nothing slow happens here, since
 * whoever made the call waits for it.
 *
 * The rules here are the same as the main thread's, with a memory of their own: they see only what is trapped, all of it, in order, and
 * before it happens. The main thread sees that too, later, and what other sensors see, and judges for itself; the worse of both counts
 * there. Neither count is added to the other's. What the main thread takes for graver than we did has happened by then; what we take for
 * graver has not, and is held or refused whatever the main thread thinks of it.
 */
import { constants } from 'node:os';
import type { Action, Attribution, Observation } from '../activity.ts';
import type { RuleEngine } from '../rules/engine.ts';
import { enforced, LEVELS, type Level, type MonitorMode, type Verdict } from '../verdict.ts';
import { decode, openActions } from './decode.ts';
import type { DecodeContext, Decoded, Opened, Opener, OpenRequest } from './decoded.ts';
import type { HeldCalls } from './held-calls.ts';
import type { IsHot } from './hot.ts';
import type { Trapped } from './notification.ts';
import { WRITES } from './open-flags.ts';
import type { Outbox } from './outbox.ts';
import { follows } from './paths.ts';
import type { SafeReads } from './safe-reads.ts';
import type { Told } from './supervisor-protocol.ts';
import type { Target, Targets } from './targets.ts';
import { told } from './told.ts';

const { EPERM } = constants.errno;

/** How a call is answered: by the kernel going on with it, or by failing. */
export interface Answers {
  goOn(id: bigint): void;
  /** @param errno - positive */
  fail(id: bigint, errno: number): void;
}

export interface AnsweringParts extends Omit<DecodeContext, 'target' | 'targets'> {
  readonly mode: MonitorMode;
  readonly targets: Targets;
  readonly rules: Pick<RuleEngine, 'judge' | 'accept'>;
  readonly answers: Answers;
  readonly held: HeldCalls;
  readonly outbox: Outbox;
  readonly isHot: IsHot;
  readonly safeReads: SafeReads;
  /** Absent: the kernel opens. */
  readonly opener?: Opener;
}

const CHANGES_RIGHTS: ReadonlySet<string> = new Set([
  'setuid',
  'setgid',
  'setreuid',
  'setregid',
  'setresuid',
  'setresgid',
  'setfsuid',
  'setfsgid',
  'setgroups',
  'capset',
]);

interface Act {
  readonly actions: readonly Action[];
  readonly attribution?: Attribution;
  readonly opened?: Opened;
}

interface Judgement {
  readonly observation: Observation;
  readonly verdict: Verdict;
}

const UNATTRIBUTED: Attribution = { method: 'none' };

export class Answering {
  readonly #parts: AnsweringParts;
  #context: DecodeContext | undefined;
  #seq = 0;

  constructor(parts: AnsweringParts) {
    this.#parts = parts;
  }

  /** Never throws: what we fail at is refused. */
  answer(trapped: Trapped): void {
    let target: Target | undefined;
    try {
      target = this.#parts.targets.of(trapped.tid);
      if (target === undefined) this.#unreadable(trapped, undefined, 'who makes it', EPERM);
      else {
        const change = this.#parts.opener?.change(trapped, target);
        if (change !== undefined) this.#act(trapped, target, change);
        else this.#decoded(trapped, target, decode(trapped, this.#contextOf(target)));
      }
    } catch {
      this.#unreadable(trapped, target, 'what it does', EPERM);
    }
  }

  /** What is needed to decode is the same for all that one thread does. */
  #contextOf(target: Target): DecodeContext {
    if (this.#context?.target === target) return this.#context;
    const { memory, paths, files, scripts, sockets, processes, targets, since } = this.#parts;
    this.#context = { memory, paths, files, scripts, sockets, processes, targets, since, target };
    return this.#context;
  }

  /** A person's. */
  answered(held: number, answer: 'continue' | 'refuse'): void {
    const { answers, rules, targets } = this.#parts;
    const call = this.#parts.held.take(held);
    if (call === undefined) return;
    if (answer === 'refuse') {
      call.opened?.drop();
      return answers.fail(call.id, EPERM);
    }
    rules.accept(call.verdict);
    this.#goOn(call.id, call.opened);
    if (call.executes !== undefined) targets.executes(call.executes);
  }

  #decoded(trapped: Trapped, target: Target, decoded: Decoded): void {
    const { answers, opener } = this.#parts;
    switch (decoded.kind) {
      case 'plain':
        if (CHANGES_RIGHTS.has(trapped.call)) opener?.changesRights(trapped.tid);
        return answers.goOn(trapped.id);
      case 'fork':
        return answers.goOn(trapped.id);
      case 'fails':
        return answers.fail(trapped.id, decoded.errno);
      case 'never':
        return this.#never(trapped, target, decoded);
      case 'unreadable':
        return this.#unreadable(trapped, target, decoded.what, decoded.errno);
      case 'open':
        return this.#open(trapped, target, decoded.request);
      case 'act':
        this.#act(trapped, target, decoded);
    }
  }

  #open(trapped: Trapped, target: Target, request: OpenRequest): void {
    const { paths, files, opener, safeReads, since } = this.#parts;
    const opened = opener?.open(trapped, request, target);
    const isRead = (request.flags & WRITES) === 0;
    const { tid, folder, name, flags, resolve } = request;
    const place = opened?.place ?? paths.place(tid, folder, name, follows(flags), isRead, resolve);
    const actions = openActions(request, place, since, files, opened);
    const [action] = actions;
    if (isRead && action !== undefined && safeReads.has(target.actor, place)) return this.#safeAgain(trapped, target, action, opened);
    const level = this.#act(trapped, target, { actions, ...(opened !== undefined && { opened }) });
    // What was not judged, as nothing can be read by it, is not known to be safe.
    if (isRead && action !== undefined && level === 'SAFE') safeReads.add(target.actor, place);
  }

  #safeAgain({ id }: Trapped, target: Target, action: Action, opened: Opened | undefined): void {
    const { isHot, outbox } = this.#parts;
    this.#goOn(id, opened);
    if (isHot(action)) outbox.count();
    else outbox.tell(told(this.#observation(action, target, attributionOf(target), Date.now()), target.markers), true);
  }

  /** @returns the level of the worst; what is safe has gone on */
  #act(trapped: Trapped, target: Target, { actions, attribution, opened }: Act): Level {
    let judgements: readonly Judgement[];
    try {
      judgements = this.#judged(actions, target, attribution);
    } catch (error) {
      opened?.drop();
      throw error;
    }
    const worst = judgements.at(-1)?.verdict;
    const level = worst === undefined ? 'SAFE' : enforced(worst.level, this.#parts.mode);
    if (level !== 'SAFE' || actions.some(({ kind }) => kind !== 'read')) this.#parts.safeReads.forget();
    if (worst === undefined || level === 'SAFE' || level === 'FLAG') this.#letGoOn(trapped, target, judgements, opened);
    else this.#stop(trapped, target, judgements, { verdict: worst, ...(opened !== undefined && { opened }) }, level === 'HALT');
    return level;
  }

  /** The worst comes last: it carries the answer. */
  #judged(actions: readonly Action[], target: Target, attribution?: Attribution): readonly Judgement[] {
    const { rules } = this.#parts;
    const own = attribution ?? attributionOf(target);
    const at = Date.now();
    const judgements = actions.map((action): Judgement => {
      const observation = this.#observation(action, target, own, at);
      return { observation, verdict: rules.judge({ ...observation, seq: ++this.#seq, attribution: own ?? UNATTRIBUTED }) };
    });
    return judgements.length === 1
      ? judgements
      : judgements.toSorted((a, b) => LEVELS.indexOf(a.verdict.level) - LEVELS.indexOf(b.verdict.level));
  }

  #observation(action: Action, { actor }: Target, own: Attribution | undefined, at: number): Observation {
    const observation: Observation = { at, sensor: 'seccomp', phase: 'before', actor, action };
    return own === undefined ? observation : { ...observation, attribution: own };
  }

  #letGoOn({ id, call }: Trapped, target: Target, judgements: readonly Judgement[], opened: Opened | undefined): void {
    const { outbox, isHot, targets } = this.#parts;
    this.#goOn(id, opened);
    if (isExec(call)) targets.executes(target);
    for (const { observation, verdict } of judgements) {
      if (verdict.level === 'SAFE' && isHot(observation.action)) outbox.count();
      else outbox.tell(this.#told(target, observation, verdict), verdict.level === 'SAFE');
    }
  }

  /** @param isAsked - a person answers, if there is room for one call more that waits */
  #stop(
    { id, call, tid: thread }: Trapped,
    target: Target,
    judgements: readonly Judgement[],
    what: { readonly verdict: Verdict; readonly opened?: Opened },
    isAsked: boolean,
  ): void {
    const { held, outbox, answers } = this.#parts;
    const number = isAsked ? held.add({ id, ...what, ...(isExec(call) && { executes: target }) }) : undefined;
    if (number === undefined) {
      what.opened?.drop();
      answers.fail(id, EPERM);
    }
    // None of it has happened: each part waits or failed with the others. The last one has the thread.
    judgements.forEach(({ observation, verdict }, index) => {
      const isLast = index === judgements.length - 1;
      const fate = number === undefined ? { isRefused: true as const } : { held: number, ...(isLast && { thread }) };
      outbox.tell({ ...this.#told(target, observation, verdict), judged: verdict, ...fate }, false);
    });
    outbox.flush();
  }

  /** Fails in every mode, also where nothing else is refused: without the warden there is no watching. */
  #never({ id }: Trapped, target: Target, { errno = EPERM, actions = [] }: Extract<Decoded, { kind: 'never' }>): void {
    const { answers, outbox } = this.#parts;
    answers.fail(id, errno);
    const judgements = this.#judged(actions, target);
    for (const { observation, verdict } of judgements)
      outbox.tell({ ...this.#told(target, observation, verdict), judged: verdict, isRefused: true }, false);
    if (judgements.length > 0) outbox.flush();
  }

  /** Nobody can tell what it would have done, or who does it: that is judged. Whatever comes of that, it fails, where anything may fail. */
  #unreadable({ id, call }: Trapped, target: Target | undefined, what: string, errno: number): void {
    const { answers, mode, outbox, rules } = this.#parts;
    const isRefused = mode !== 'audit_only';
    if (isRefused) answers.fail(id, errno);
    else answers.goOn(id);
    const observation: Observation = {
      at: Date.now(),
      sensor: 'seccomp',
      phase: 'before',
      ...(target !== undefined && { actor: target.actor }),
      action: { kind: 'unreadable', call, what },
    };
    const verdict = rules.judge({ ...observation, seq: ++this.#seq, attribution: UNATTRIBUTED });
    outbox.tell({ ...this.#told(target, observation, verdict), ...(isRefused && { isRefused }) }, false);
    outbox.flush();
  }

  #told(target: Target | undefined, observation: Observation, verdict: Verdict): Told {
    return told(observation, target?.markers, verdict);
  }

  #goOn(id: bigint, opened: Opened | undefined): void {
    if (opened === undefined) this.#parts.answers.goOn(id);
    else opened.give();
  }
}

/** By the marker in its environment. */
function attributionOf({ markers }: Target): Attribution | undefined {
  return markers?.call === undefined ? undefined : { method: 'marker', call: markers.call };
}

function isExec(call: Trapped['call']): boolean {
  return call === 'execve' || call === 'execveat';
}
