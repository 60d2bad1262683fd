/** Counts what a ledger says of the period: calls, answers, verdicts, containment, coverage; and collects hashes of files. */
import type { RecordFacts } from '@countersign/core/sqlite';
import { RecordedFiles } from '../evidence/check-log.ts';
import { LEVELS, type Level } from '../verdict.ts';
import type { KeptEvents } from './kept-events.ts';
import type { CallReport } from './report.ts';

/** The newest are kept. */
const MAX_CALLS = 500;
const MAX_SESSIONS = 1000;
const COVERAGES = ['none', 'L0', 'L1', 'L2', 'L3'];

interface Call {
  at: number;
  agent: string | undefined;
  session: string | undefined;
  tool: string;
  effect: string;
  rule: string | undefined;
  reasonCode: string | undefined;
  answers: { readonly answer: string; readonly by: string }[];
  status: string | undefined;
  durationMs: number | undefined;
  verdicts: number;
}

export class LedgerTally {
  readonly files: RecordedFiles = new RecordedFiles();
  /** Verdicts by session, as they are on record. */
  readonly verdicts: Map<string, Record<Level, number>> = new Map();
  /** The lowest coverage on record, by session. */
  readonly coverage: Map<string, string> = new Map();
  /** By session: who it is of, and whether its end is on record. */
  readonly sessions: Map<string, { readonly agent: string | undefined; readonly hasEnded: boolean }> = new Map();
  readonly counts = { calls: 0, allowed: 0, denied: 0, asked: 0, approvals: 0, unreadable: 0 };
  readonly #calls = new Map<string, Call>();
  readonly #events: KeptEvents;
  readonly #period: { readonly sinceMs: number; readonly untilMs: number };
  callsOmitted = 0;

  constructor(period: { readonly sinceMs: number; readonly untilMs: number }, events: KeptEvents) {
    this.#period = period;
    this.#events = events;
  }

  see(facts: RecordFacts): void {
    // Before the period too: a file may have been recorded earlier, a session have begun.
    if (facts.kind === 'note') this.files.add(memberOf(facts, 'topic'), memberOf(facts, 'data'));
    if (facts.kind === 'session') this.#session(facts);
    if (facts.kind === 'unreadable') this.counts.unreadable++;
    const { atMs: at = 0 } = facts;
    if (at < this.#period.sinceMs || at >= this.#period.untilMs) return;
    switch (facts.kind) {
      case 'decision':
        return this.#decision(facts, at);
      case 'approval':
        return this.#approval(facts, at);
      case 'outcome':
        return this.#outcome(facts);
      case 'verdict':
        return this.#verdict(facts, at);
      case 'containment':
        return this.#containment(facts, at);
      case 'session':
        if (facts.event === 'halted' || facts.event === 'resumed')
          this.#events.add({ at, kind: 'session', what: `session ${facts.event}`, text: join([facts.session, facts.reasonCode]) });
        return;
      default:
        return;
    }
  }

  /** The newest first. @param seen - activities by call. */
  calls(seen: ReadonlyMap<string, { readonly sure: number; readonly possible: number }>): readonly CallReport[] {
    return [...this.#calls].toReversed().map(([call, of]) => ({
      call,
      at: of.at,
      ...(of.agent !== undefined && { agent: of.agent }),
      ...(of.session !== undefined && { session: of.session }),
      tool: of.tool,
      effect: of.effect,
      ...(of.rule !== undefined && { rule: of.rule }),
      ...(of.reasonCode !== undefined && { reason_code: of.reasonCode }),
      answers: of.answers,
      ...(of.status !== undefined && { status: of.status }),
      ...(of.durationMs !== undefined && { duration_ms: of.durationMs }),
      activities: seen.get(call)?.sure ?? 0,
      candidates: seen.get(call)?.possible ?? 0,
      verdicts: of.verdicts,
    }));
  }

  #decision({ call, effect = '?', tool, rule, reasonCode, agent, session }: RecordFacts, at: number): void {
    const name = tool === undefined ? '?' : tool.server === undefined ? tool.name : `${tool.server}/${tool.name}`;
    if (effect === 'allow') this.counts.allowed++;
    else if (effect === 'deny') this.counts.denied++;
    else this.counts.asked++;
    this.#events.add({
      at,
      kind: 'decision',
      what: `${effect} ${name}`,
      text: join([reasonCode, rule]),
      ...(call !== undefined && { call }),
    });
    if (call === undefined) return;
    const known = this.#calls.get(call);
    if (known === undefined) this.counts.calls++;
    this.#calls.delete(call);
    // An ask and the decision after it are one call.
    const before = known ?? { answers: [], status: undefined, durationMs: undefined, verdicts: 0 };
    this.#calls.set(call, { ...before, at: known?.at ?? at, agent, session, tool: name, effect, rule, reasonCode });
    for (const oldest of this.#calls.keys()) {
      if (this.#calls.size <= MAX_CALLS) return;
      this.#calls.delete(oldest);
      this.callsOmitted++;
    }
  }

  #approval({ call, answer = '?', approver = '?' }: RecordFacts, at: number): void {
    this.counts.approvals++;
    this.#events.add({
      at,
      kind: 'approval',
      what: answer === 'approve' ? 'approved' : 'denied',
      text: `by ${approver}`,
      ...(call !== undefined && { call }),
    });
    this.#calls.get(call ?? '')?.answers.push({ answer, by: approver });
  }

  #outcome({ call, status, durationMs }: RecordFacts): void {
    const known = this.#calls.get(call ?? '');
    if (known === undefined) return;
    known.status = status;
    known.durationMs = durationMs;
  }

  #verdict(facts: RecordFacts, at: number): void {
    const { session = '?', call, rule = '?', shown } = facts;
    const level = LEVELS.find((each) => each === memberOf(facts, 'level'));
    if (level === undefined) return;
    const counts = this.verdicts.get(session) ?? { SAFE: 0, FLAG: 0, HALT: 0, KILL: 0 };
    if (this.verdicts.size < MAX_SESSIONS) this.verdicts.set(session, counts);
    counts[level]++;
    const known = this.#calls.get(call ?? '');
    if (known !== undefined) known.verdicts++;
    const seen = shown.get('activity');
    const reason: unknown = typeof seen === 'object' && seen !== null && 'reason' in seen ? seen['reason'] : undefined;
    const incident = memberOf(facts, 'incident');
    const enforced = memberOf(facts, 'enforced');
    this.#events.add({
      at,
      kind: 'verdict',
      level,
      what: enforced === level || typeof enforced !== 'string' ? rule : `${rule} (${enforced} in this mode)`,
      ...(typeof reason === 'string' && { text: reason }),
      ...(call !== undefined && { call }),
      ...(typeof incident === 'string' && { incident }),
    });
  }

  #containment(facts: RecordFacts, at: number): void {
    const { event = '?', reasonCode } = facts;
    const incident = memberOf(facts, 'incident');
    const [grade, count, left] = ['grade', 'count', 'left'].map((name) => memberOf(facts, name));
    const parts = [
      typeof count === 'number' ? `${count}` : undefined,
      typeof grade === 'string' ? `by ${grade}` : undefined,
      typeof left === 'number' && left > 0 ? `${left} left` : undefined,
      reasonCode,
    ];
    this.#events.add({
      at,
      kind: 'containment',
      what: event,
      text: join(parts),
      ...(typeof incident === 'string' && { incident }),
    });
  }

  #session(facts: RecordFacts): void {
    const { session, agent, event } = facts;
    this.#coverage(facts);
    if (session === undefined || (!this.sessions.has(session) && this.sessions.size >= MAX_SESSIONS)) return;
    // What is told of it later was on its way when it ended.
    const hasEnded = event === 'end' || (event !== 'start' && this.sessions.get(session)?.hasEnded === true);
    this.sessions.set(session, { agent, hasEnded });
  }

  #coverage({ session, body }: RecordFacts): void {
    const coverage = body?.['coverage'];
    if (session === undefined || typeof coverage !== 'string' || !COVERAGES.includes(coverage)) return;
    const known = this.coverage.get(session);
    if (known === undefined && this.coverage.size >= MAX_SESSIONS) return;
    if (known === undefined || COVERAGES.indexOf(coverage) < COVERAGES.indexOf(known)) this.coverage.set(session, coverage);
  }
}

function memberOf({ body }: RecordFacts, name: string): unknown {
  return body !== undefined && Object.hasOwn(body, name) ? body[name] : undefined;
}

function join(parts: readonly (string | undefined)[]): string {
  return parts.filter((part) => part !== undefined && part !== '').join(' ');
}
