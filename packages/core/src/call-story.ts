/**
 * Telling tracer and listener what becomes of calls. There is a story only for a guard that was given one of them; for any
 * other `engine.stories` is undefined, and its calls pay for that one look.
 *
 * Both are somebody's code. What they throw, or reject with, goes to `onError`; what they return and what they do to an
 * event reaches nobody; the tool runs once, whatever a tracer makes of running it.
 */
import { types } from 'node:util';
import type { Authorization, Decision, EntryRef, Mode } from './call.ts';
import type { CallEvent, CallFacts, CallListener, ShownArguments, VerdictNews } from './call-events.ts';
import type { CallTrace, CallTracer } from './interfaces.ts';
import type { PolicyInForce } from './policy/in-force.ts';
import type { Policy } from './policy/policy.ts';
import type { PreparedCall } from './prepare.ts';
import type { Redactor } from './redact/redact.ts';
import { outsideCalls } from './scope.ts';

export interface StoriesDeps {
  readonly agent: string;
  readonly redactor: Redactor;
  readonly inForce: PolicyInForce;
  /** As of the engine: never throws. */
  readonly report: (error: unknown, context: { readonly callId?: string; readonly during: string }) => void;
  readonly tracer: CallTracer | undefined;
  readonly listener: CallListener | undefined;
}

/** Longest name of a rule that is told. */
const MAX_RULE_CHARS = 256;

export class Stories {
  private readonly deps: StoriesDeps;
  /** Of calls that run, by id. */
  private readonly running = new Map<string, CallStory>();

  constructor(deps: StoriesDeps) {
    this.deps = deps;
  }

  /** Undefined when the call cannot be told of: it is decided all the same. */
  begin(call: StoryOf, mode: Mode): CallStory | undefined {
    try {
      return new CallStory(call, mode, this.deps, this.running);
    } catch (error) {
      this.deps.report(error, { callId: call.callId, during: 'telling of a call' });
      return undefined;
    }
  }

  /** What the monitor says of a call that runs here. Never throws. */
  judged(callId: string, { level, enforced, rule, incident }: VerdictNews): void {
    const story = this.running.get(callId);
    if (story === undefined) return;
    try {
      const told = {
        level,
        enforced,
        rule: this.deps.redactor.text(rule).slice(0, MAX_RULE_CHARS),
        ...(incident !== undefined && { incident }),
      };
      story.judged(told);
    } catch (error) {
      this.deps.report(error, { callId, during: 'telling of a verdict' });
    }
  }
}

/** Of a call that could not be prepared less is known. */
type StoryOf = Pick<PreparedCall, 'callId' | 'session' | 'tool'> & Partial<Pick<PreparedCall, 'principal' | 'id' | 'attempt' | 'shown'>>;
type Told = Omit<CallFacts, 'callId'>;
/** Without what every event has. */
type News = CallEvent extends infer Event ? (Event extends CallEvent ? Omit<Event, keyof CallFacts> : never) : never;

export class CallStory {
  private readonly deps: StoriesDeps;
  private readonly mode: Mode;
  private readonly facts: Told;
  private readonly trace: CallTrace | undefined;
  private readonly running: Map<string, CallStory>;
  private call: Pick<StoryOf, 'callId' | 'shown'>;
  private policy: Policy;
  private by: { readonly approvalId?: string; readonly grantId?: string } = {};
  private waitingSince: number | undefined;
  private waitedMs: number | undefined;

  constructor(call: StoryOf, mode: Mode, deps: StoriesDeps, running: Map<string, CallStory>) {
    this.deps = deps;
    this.running = running;
    this.mode = mode;
    this.call = call;
    this.facts = factsOf(call, deps);
    this.policy = deps.inForce.policy;
    const { tracer } = deps;
    this.trace =
      tracer === undefined
        ? undefined
        : this.guarded('tracing', () => outsideCalls(() => tracer.begin(frozen({ ...this.facts, callId: call.callId }), this.shown)));
  }

  /** Which call it is about from now on: an earlier attempt that is taken up again, or an edited one. */
  isAbout(call: PreparedCall): void {
    this.call = call;
  }

  /** The policy that decides it from now on. */
  isUnder(policy: Policy): void {
    this.policy = policy;
  }

  /** The caller waits for a person from now on. */
  waits({ id: approvalId, expiresAtMs }: { readonly id: string; readonly expiresAtMs: number }): void {
    this.waitingSince = performance.now();
    this.tell({ kind: 'call-pending', approvalId, expiresAtMs, waits: true });
  }

  waited(): void {
    if (this.waitingSince === undefined) return;
    this.waitedMs = (this.waitedMs ?? 0) + Math.round(performance.now() - this.waitingSince);
    this.waitingSince = undefined;
  }

  /** On whose word it is allowed, where policy alone does not allow it. */
  allowedBy(approvalId: string | undefined, grantId: string | undefined): void {
    this.by = { ...(approvalId !== undefined && { approvalId }), ...(grantId !== undefined && { grantId }) };
  }

  authorized(authorization: Authorization): void {
    const { callId, decision } = authorization;
    this.call = { ...this.call, callId };
    if (authorization.kind === 'pending') {
      const { approvalId, expiresAtMs } = authorization;
      this.tell({ kind: 'call-pending', approvalId, expiresAtMs, waits: false });
    } else if (authorization.kind === 'permit') {
      const { entry, edited } = authorization;
      this.running.set(callId, this);
      const more = { ...this.by, ...(edited !== undefined && { edited: { call: edited.call } }) };
      this.tell({ kind: 'call-allowed', ...this.decided(decision), entry: copied(entry), ...more });
    } else {
      const { entry, earlier } = authorization;
      const more = { ...(entry !== undefined && { entry: copied(entry) }), ...(earlier !== undefined && { earlier }) };
      this.tell({ kind: 'call-denied', ...this.decided(decision), ...more });
    }
  }

  settled(outcome: Omit<Extract<News, { readonly kind: 'call-settled' }>, 'kind'>): void {
    this.running.delete(this.call.callId);
    this.tell({ kind: 'call-settled', ...outcome });
  }

  judged(verdict: VerdictNews): void {
    this.tell({ kind: 'call-judged', ...verdict });
  }

  /** Runs `fn`, once, with whatever the tracer makes active around it. What it returns or throws is `fn`'s own. */
  within<T>(fn: () => T): T {
    const { trace } = this;
    if (trace === undefined) return fn();
    let ended: { readonly value: T } | { readonly thrown: unknown } | undefined;
    const run = (): void => {
      if (ended !== undefined) return;
      try {
        ended = { value: fn() };
      } catch (thrown) {
        ended = { thrown };
      }
    };
    this.guarded('tracing', () => trace.within(run));
    run();
    const done = ended as unknown as { readonly value: T } | { readonly thrown: unknown };
    if ('thrown' in done) throw done.thrown;
    return done.value;
  }

  private readonly shown: ShownArguments = () => {
    const { shown } = this.call;
    // A copy of its own: the ledger is still to commit to this one.
    return shown === undefined ? undefined : structuredClone(shown);
  };

  private decided(
    decision: Decision,
  ): Pick<Extract<CallEvent, { readonly kind: 'call-denied' }>, 'decision' | 'mode' | 'policy' | 'waitedMs'> {
    const { id, version, hash } = this.policy;
    return {
      decision: { ...decision },
      mode: this.mode,
      policy: { id, ...(version !== undefined && { version }), hash },
      ...(this.waitedMs !== undefined && { waitedMs: this.waitedMs }),
    };
  }

  private tell(news: News): void {
    const event = frozen({ ...this.facts, callId: this.call.callId, ...news }) as CallEvent;
    const { trace } = this;
    const { listener } = this.deps;
    // Outside: an exporter at work is no activity of the call.
    if (trace !== undefined) this.guarded('tracing', () => outsideCalls(() => trace.tell(event)));
    if (listener === undefined) return;
    void this.guarded('onEvent', () => outsideCalls(() => listener(event, this.shown)));
  }

  private guarded<T>(during: string, what: () => T): T | undefined {
    try {
      const answer = what();
      if (types.isPromise(answer)) this.heard(answer, during);
      return answer;
    } catch (error) {
      this.report(error, during);
      return undefined;
    }
  }

  /** Whatever is async where nothing should be: a rejection that nobody handles would end the process. */
  private heard(answer: Promise<unknown>, during: string): void {
    answer.then(undefined, (error: unknown) => this.report(error, during));
  }

  private report(error: unknown, during: string): void {
    this.deps.report(error, { callId: this.call.callId, during });
  }
}

function factsOf({ session, tool, principal, id, attempt }: StoryOf, { agent, redactor }: StoriesDeps): Told {
  return {
    agent,
    session,
    ...(principal !== undefined && { principal }),
    tool: { ...(tool.server !== undefined && { server: tool.server }), name: tool.name },
    // It stands in no entry, so nobody has looked for a secret in it.
    ...(id !== undefined && { id: redactor.text(id) }),
    ...(attempt !== undefined && attempt > 1 && { attempt }),
  };
}

function copied({ of, leaf }: EntryRef): EntryRef {
  return { of, leaf };
}

/** Two levels, which is as deep as an event goes. */
function frozen<T extends object>(event: T): T {
  for (const member of Object.values(event)) if (typeof member === 'object' && member !== null) Object.freeze(member);
  return Object.freeze(event);
}
