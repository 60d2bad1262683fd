/** Calls that a monitor inside of a host was told of: what does something for a call may outlive it. */
import type { Attribution } from './activity.ts';
import type { Whose } from './reactions.ts';

/** Calls that are remembered, those in flight not counted. */
export const MAX_RECENT = 10_000;
/** Sessions that are told of what can be seen. */
export const MAX_SESSIONS = 1_000;

interface Call {
  readonly server: string | undefined;
  readonly session: string | undefined;
  readonly beganAt: number;
  readonly endedAt?: number;
}

export class RecentCalls {
  readonly #now: () => number;
  /** Running ones, and as many as there is room for of those that ended; the one put first is forgotten first. */
  readonly #ended = new Map<string, Call>();
  readonly #running = new Map<string, Call>();
  readonly #sessions = new Set<string>();

  /** @param now - milliseconds of a clock that only goes forward. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  began(callId: string, { server, session }: Partial<Pick<Call, 'server' | 'session'>> = {}): void {
    this.#running.set(callId, { server, session, beganAt: this.#now() });
    if (session === undefined) return;
    this.#sessions.delete(session);
    this.#sessions.add(session);
    if (this.#sessions.size > MAX_SESSIONS) this.#sessions.delete(firstOf(this.#sessions) ?? '');
  }

  ended(callId: string): void {
    const call = this.#running.get(callId);
    if (call === undefined) return;
    this.#running.delete(callId);
    this.#ended.set(callId, { ...call, endedAt: this.#now() });
    if (this.#ended.size > MAX_RECENT) this.#ended.delete(firstOf(this.#ended.keys()) ?? '');
  }

  /** Sessions that had calls here, the latest last. */
  sessions(): readonly string[] {
    return [...this.#sessions];
  }

  /**
   * What is known of whose it was. A call that nobody here made is none: what stands in the environment of a process is no evidence.
   * Of a process of a server: the one call in flight there; several are candidates; none, and nobody knows.
   *
   * @param since - it was not done before that, and may have been done any time since: a call that was in flight for a part of that time
   * only is a candidate. Absent: it was done now.
   */
  attribute(given: Attribution, server: string | undefined, since?: number): Attribution {
    if (given.call !== undefined && this.#of(given.call) !== undefined) return { method: given.method, call: given.call };
    const candidates = (given.candidates ?? []).filter((call) => this.#of(call) !== undefined);
    if (candidates.length > 0) return { method: given.method, candidates };
    if (server === undefined) return { method: 'none' };
    const there = [...this.#running].filter(([, call]) => call.server === server);
    const before = since === undefined ? [] : [...this.#ended].filter(([, call]) => call.server === server && (call.endedAt ?? 0) >= since);
    const [only, ...others] = [...there, ...before];
    if (only === undefined) return { method: 'none' };
    const [id, { beganAt, endedAt }] = only;
    const isSure = others.length === 0 && endedAt === undefined && (since === undefined || beganAt <= since);
    if (isSure) return { method: 'window', call: id };
    return { method: 'window', candidates: [id, ...others.map(([other]) => other)].toSorted() };
  }

  whose({ call, candidates }: Attribution, session: string | undefined): Whose {
    if (session !== undefined) return { session };
    if (call !== undefined) {
      const of = this.#of(call)?.session;
      return of === undefined ? {} : { session: of };
    }
    const sessions = (candidates ?? []).map((each) => this.#of(each)?.session);
    // One of them names no session: it may be any.
    if (sessions.length === 0 || sessions.includes(undefined)) return {};
    return { sessions: [...new Set(sessions as readonly string[])].toSorted() };
  }

  #of(callId: string): Call | undefined {
    return this.#running.get(callId) ?? this.#ended.get(callId);
  }
}

function firstOf(values: Iterable<string>): string | undefined {
  for (const value of values) return value;
  return undefined;
}
