/**
 * One trapped call: who makes it, what it is about to do, what the rules make of that, and the answer. Nothing slow happens here, since
 * whoever made the call waits for it.
 */
import { constants } from 'node:os';
import type { Action, Attribution, Observation } from '../activity.ts';
import type { RuleEngine } from '../rules/engine.ts';
import { enforced, type MonitorMode, type Verdict, worse } from '../verdict.ts';
import { decode, openActions } from './decode.ts';
import type { Decoded, Opened, Opener } from './decoded.ts';
import type { HeldCalls } from './held-calls.ts';
import type { TargetMemory } from './memory.ts';
import type { Trapped } from './notification.ts';
import type { Outbox } from './outbox.ts';
import { follows, type Paths } from './paths.ts';
import type { Processes } from './reach.ts';
import type { Told } from './supervisor-protocol.ts';
import type { Target, Targets } from './targets.ts';

const { EPERM } = constants.errno;

/** How a call is answered: by the kernel going on with it, or by failing. */
export interface Answers {
  goOn(id: bigint): void;
  /** @param errno - positive */
  fail(id: bigint, errno: number): void;
}

export interface AnsweringParts {
  readonly mode: MonitorMode;
  /** UTC, milliseconds: when the session began. */
  readonly since: number;
  readonly memory: TargetMemory;
  readonly paths: Paths;
  readonly processes: Processes;
  readonly targets: Targets;
  readonly rules: Pick<RuleEngine, 'judge' | 'accept'>;
  readonly answers: Answers;
  readonly held: HeldCalls;
  readonly outbox: Outbox;
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

interface Judging {
  readonly told: readonly Told[];
  /** Undefined: there was nothing to judge. */
  readonly worst: Verdict | undefined;
  readonly at: number;
}

export class Answering {
  readonly #parts: AnsweringParts;
  #seq = 0;

  constructor(parts: AnsweringParts) {
    this.#parts = parts;
  }

  answer(trapped: Trapped): void {
    const { targets, answers } = this.#parts;
    const target = targets.of(trapped.tid);
    if (target === undefined) return answers.fail(trapped.id, EPERM);
    const decoded = decode(trapped, { ...this.#parts, target });
    switch (decoded.kind) {
      case 'plain':
        if (CHANGES_RIGHTS.has(trapped.call)) this.#parts.opener?.changesRights(trapped.tid);
        return answers.goOn(trapped.id);
      case 'fork':
        return answers.goOn(trapped.id);
      case 'unreadable':
        return answers.fail(trapped.id, EPERM);
      case 'never':
        return this.#never(trapped, target, decoded);
      case 'open':
        return this.#act(trapped, target, this.#opening(trapped, decoded, target));
      case 'act':
        return this.#act(trapped, target, decoded);
    }
  }

  /** A person's. */
  answered(held: number, answer: 'continue' | 'refuse'): void {
    const { answers, rules } = this.#parts;
    const call = this.#parts.held.take(held);
    if (call === undefined) return;
    if (answer === 'refuse') {
      call.opened?.drop();
      return answers.fail(call.id, EPERM);
    }
    rules.accept(call.verdict);
    this.#goOn(call.id, call.opened);
  }

  #opening(trapped: Trapped, { request }: Extract<Decoded, { kind: 'open' }>, target: Target): Act {
    const { paths, opener, since } = this.#parts;
    const opened = opener?.open(trapped, request, target);
    const place = opened?.place ?? paths.place(request.tid, request.folder, request.name, follows(request.flags));
    return { actions: openActions(request, place, since, opened), ...(opened !== undefined && { opened }) };
  }

  /** Fails in every mode, also where nothing else is refused: without the warden there is no watching. */
  #never({ id, tid }: Trapped, target: Target, { errno = EPERM, actions = [] }: Extract<Decoded, { kind: 'never' }>): void {
    const { answers, outbox } = this.#parts;
    answers.fail(id, errno);
    const { told, worst, at } = this.#judged(target, actions);
    for (const each of told) outbox.tell({ ...each, ...(worst !== undefined && { judged: worst }), thread: tid }, at);
    outbox.flush();
  }

  #act({ id, call, tid: thread }: Trapped, target: Target, { actions, attribution, opened }: Act): void {
    const { held, outbox, targets, answers, mode } = this.#parts;
    const { told, worst, at } = this.#judged(target, actions, attribution);
    const level = worst === undefined ? 'SAFE' : enforced(worst.level, mode);
    if (worst === undefined || level === 'SAFE' || level === 'FLAG') {
      this.#goOn(id, opened);
      if (call === 'execve' || call === 'execveat') targets.executed(target.pid);
      for (const each of told) outbox.tell(each, at);
      return;
    }
    const number = level === 'HALT' ? held.add({ id, verdict: worst, ...(opened !== undefined && { opened }) }) : undefined;
    if (number === undefined) {
      opened?.drop();
      answers.fail(id, EPERM);
    }
    const judged = worst;
    // Of several the last one carries the answer that is waited for.
    told.forEach((each, index) =>
      outbox.tell(index === told.length - 1 ? { ...each, judged, ...(number !== undefined && { held: number, thread }) } : each, at),
    );
    outbox.flush();
  }

  #judged(target: Target, actions: readonly Action[], attribution?: Attribution): Judging {
    const { tid: _, markers, ...actor } = target;
    const own = attribution ?? (markers?.call === undefined ? undefined : { method: 'marker' as const, call: markers.call });
    const at = Date.now();
    let worst: Verdict | undefined;
    const told = actions.map((action): Told => {
      const observation: Observation = {
        at,
        sensor: 'seccomp',
        phase: 'before',
        actor,
        action,
        ...(own !== undefined && { attribution: own }),
      };
      const verdict = this.#parts.rules.judge({ ...observation, seq: ++this.#seq, attribution: own ?? { method: 'none' } });
      worst = worst === undefined ? verdict : worse(worst, verdict);
      return { observation, ...(markers !== undefined && { markers }) };
    });
    return { told, worst, at };
  }

  #goOn(id: bigint, opened: Opened | undefined): void {
    if (opened === undefined) this.#parts.answers.goOn(id);
    else opened.give();
  }
}
