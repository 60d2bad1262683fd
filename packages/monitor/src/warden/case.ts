/** An incident while it is being dealt with: what it is about, who did it, and which calls wait for what becomes of it. */
import type { EntryRef } from '@countersign/core';
import type { Activity, ProcessId } from '../activity.ts';
import type { Judged } from '../sensor.ts';
import type { Verdict } from '../verdict.ts';
import { isOperators } from './operator-halts.ts';
import type { Incident, IncidentStep } from './ports.ts';

/** Incidents whose steps are kept in memory; later ones are still recorded, asked about and contained. */
export const MAX_STEPS = 200;
/** Calls that wait for one answer. Those beyond are refused. */
export const MAX_HELD = 1_024;
/** Of those that wait: how many are told of one by one. */
export const MAX_WAITING_TOLD = 5;
/** No deed is called so. */
const TOO_MANY = '';

export class Case {
  readonly incident: Incident;
  /** As enforced when it began. */
  readonly level: 'HALT' | 'KILL';
  /** On the clock that only goes forward. */
  readonly detectedAtMs: number;
  readonly steps: IncidentStep[] = [];
  /** The first of them; and of those the ones on what had happened already. */
  readonly verdicts: Verdict[] = [];
  readonly done: Verdict[] = [];
  /** What was done by nobody that is known, as text: until another sensor tells who it was. */
  readonly unknown: Set<string> = new Set();
  /** Of the session of the call, while that is halted. */
  halted: string | undefined;
  captured: Promise<void> | undefined;
  freezing: Promise<void> | undefined;
  /** Of its first verdict, once that is on record. */
  ref: EntryRef | undefined;
  /** Steps that are on record. */
  recorded: number = 0;
  /** A person was asked: about what it had held until then. */
  isAsked: boolean = false;
  /** An operator halted it since. */
  isOutdated: boolean = false;
  readonly #actors = new Map<string, ProcessId>();
  readonly #held: Judged[] = [];
  readonly #waiting: { readonly activity: Activity; readonly verdict: Verdict }[] = [];
  #refused = 0;
  #hasHappened = false;
  #saysRefused = false;
  #isOperators = false;

  constructor(incident: Incident, level: 'HALT' | 'KILL', detectedAtMs: number) {
    this.incident = incident;
    this.level = level;
    this.detectedAtMs = detectedAtMs;
  }

  /** Calls that wait for the answer. */
  get held(): number {
    return this.#held.length;
  }

  /** The first of those. */
  get waiting(): readonly { readonly activity: Activity; readonly verdict: Verdict }[] {
    return [...this.#waiting];
  }

  /** Calls of it that failed instead of happening. */
  get refused(): number {
    return this.#refused;
  }

  /** Some of what it is about was done already: refusing what waits does not undo that. */
  get hasHappened(): boolean {
    return this.#hasHappened;
  }

  /** Of all that is done it is said, by those who did it, that it was refused inside of them. */
  get saysRefused(): boolean {
    return this.#saysRefused;
  }

  /** An operator halted it, besides whatever else it is about. */
  get isOperators(): boolean {
    return this.#isOperators;
  }

  /** Of what had happened already. */
  get actors(): readonly ProcessId[] {
    return [...this.#actors.values()];
  }

  join(activity: Activity, verdict: Verdict, judged: Judged | undefined): void {
    if (this.verdicts.length < MAX_STEPS) this.verdicts.push(verdict);
    if (isOperators(activity)) {
      this.#isOperators = true;
      this.isOutdated = this.isAsked;
    }
    if (judged === undefined) this.#happened(activity, verdict, false);
    else if (judged.isItsWord === true) this.#happened(activity, verdict, true);
    else if (!judged.isHeld) this.#refused++;
    else {
      this.#held.push(judged);
      // An answer is for what was asked about.
      if (this.isAsked || this.#held.length > MAX_HELD) this.#answer('refuse', [this.#held.pop()]);
      else if (this.#waiting.length < MAX_WAITING_TOLD) this.#waiting.push({ activity, verdict });
    }
  }

  /** Each of those that wait gets its answer; later ones wait anew. */
  answer(answer: 'continue' | 'refuse'): void {
    this.#answer(answer, this.#held.splice(0));
  }

  #answer(answer: 'continue' | 'refuse', those: readonly (Judged | undefined)[]): void {
    if (answer === 'refuse') this.#refused += those.length;
    for (const judged of those) judged?.answer(answer);
  }

  #happened({ actor, action }: Activity, verdict: Verdict, isItsWord: boolean): void {
    this.#saysRefused = isItsWord && (this.#saysRefused || !this.#hasHappened);
    this.#hasHappened = true;
    if (this.done.length < MAX_STEPS) this.done.push(verdict);
    const what = deedOf(action, verdict.rule);
    if (actor === undefined) this.unknown.add(what);
    else this.unknown.delete(what);
    // Those beyond the bound are as good as unknown: nobody could end them alone.
    if (actor !== undefined && this.#actors.size >= MAX_STEPS) this.unknown.add(TOO_MANY);
    else if (actor !== undefined) this.#actors.set(`${actor.pid}:${actor.start}`, { pid: actor.pid, start: actor.start });
  }
}

/** What was done, whoever did it. */
export function deedOf(action: Activity['action'], rule: string): string {
  if (action.kind === 'connect') return `${rule} connect ${action.protocol} ${action.port} ${action.address ?? action.host}`;
  return 'path' in action ? `${rule} ${action.kind} ${action.path}` : `${rule} ${action.kind}`;
}
