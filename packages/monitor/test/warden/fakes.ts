/** Parts of a warden that do what a test tells them, and say what was done. */
import { type ContainmentRecord, createRedactor, type EntryRef, type Halt, type VerdictRecord } from '@countersign/core';
import type { Action, Activity, Actor, Observation } from '../../src/activity.ts';
import type { FreezeResult, Freezer, KillResult } from '../../src/contain/freezer.ts';
import type { Judged, Sensor, SensorHost } from '../../src/sensor.ts';
import type { ProcessTree, TreeProcess } from '../../src/tree/process-tree.ts';
import type { Level, MonitorMode, Verdict } from '../../src/verdict.ts';
import { MAX_CAPTURE_MS } from '../../src/warden/case-record.ts';
import { type HaltAbout, type HaltWords, haltWords } from '../../src/warden/halt-words.ts';
import { HALT_LOOK_MS } from '../../src/warden/operator-halts.ts';
import type { HaltAnswer, HaltQuestions, Incident, IncidentStep, WardenEvent, WardenOptions } from '../../src/warden/ports.ts';
import { MAX_CLOSE_MS } from '../../src/warden/warden.ts';

export class FakeSensor implements Sensor {
  readonly name: string;
  readonly level: Sensor['level'];
  readonly gives: Sensor['gives'];
  host: SensorHost | undefined;
  stopped = 0;
  /** Done by `stop`, once it was waited for. */
  atStop: () => void = () => {};
  readonly #fails: Error | undefined;

  constructor(
    options: { readonly name?: string; readonly level?: Sensor['level']; readonly fails?: Error; readonly gives?: Sensor['gives'] } = {},
  ) {
    this.name = options.name ?? 'fake';
    this.level = options.level ?? 'L0';
    this.gives = options.gives ?? ['exec', 'read'];
    this.#fails = options.fails;
  }

  async start(host: SensorHost): Promise<void> {
    if (this.#fails !== undefined) throw this.#fails;
    this.host = host;
  }

  async stop(): Promise<void> {
    this.stopped++;
    await Promise.resolve();
    this.atStop();
  }

  stats() {
    return { seen: 0, lost: 0 };
  }

  see(level: Level, more: Partial<Observation> & { readonly rule?: string } = {}, judged?: Judged): void {
    const { rule = 'a-rule', ...rest } = more;
    const action: Action = { kind: 'read', path: `${level}/${rule}` };
    this.host?.emit({ at: 1, sensor: this.name, phase: 'after', actor: AGENT, action, ...rest }, judged);
  }

  /** Asked before it happens: as the judge there has it, it waits (or failed already). @returns what it was answered, in order */
  hold(
    level: Level,
    more: Partial<Observation> & { readonly rule?: string; readonly isHeld?: boolean; readonly asSeen?: Level } = {},
  ): string[] {
    const { isHeld = true, asSeen = level, ...rest } = more;
    const answers: string[] = [];
    const verdict: Verdict = {
      level: asSeen,
      rule: more.rule ?? 'a-rule',
      reason: 'as seen',
      evaluator: 'rules',
      confidence: 1,
      evidence: [7],
    };
    this.see(level, { phase: 'before', ...rest }, { verdict, isHeld, answer: (answer) => void answers.push(answer) });
    return answers;
  }
}

export const AGENT: Actor = { pid: 100, start: 1, exe: '/usr/bin/node', argv: ['node', 'agent.js'] };
export const CHILD: Actor = { pid: 101, start: 2, parent: 100 };

export class FakeTree implements ProcessTree {
  all: readonly TreeProcess[] = [
    { ...AGENT, attribution: { method: 'none' } },
    { ...CHILD, attribution: { method: 'none' } },
  ];
  members(): readonly TreeProcess[] {
    return this.all;
  }
  get(pid: number): TreeProcess | undefined {
    return this.all.find((each) => each.pid === pid);
  }
  has({ pid, start }: { readonly pid: number; readonly start: number }): boolean {
    return this.get(pid)?.start === start;
  }
}

/** Judges by what the path says: `LEVEL/rule`. */
export const fakeRules: WardenOptions['rules'] = {
  judge({ action, seq }: Activity): Verdict {
    const [level, rule = 'a-rule'] = action.kind === 'read' ? action.path.split('/') : ['SAFE'];
    return { level: level as Level, rule, reason: `because ${rule}`, evaluator: 'rules', confidence: 1, evidence: [seq] };
  },
};

export class FakeFreezer implements Freezer {
  readonly grade = 'signal';
  readonly #did: string[];
  failsToFreeze = false;
  /** How many kills leave something. */
  survives = 0;
  closed = 0;
  constructor(did: string[]) {
    this.#did = did;
  }
  async freeze(): Promise<FreezeResult> {
    this.#did.push('freeze');
    if (this.failsToFreeze) throw new Error('no freezing today');
    return { grade: 'signal', processes: 2, running: [], duration_ms: 1 };
  }
  async resume(): Promise<void> {
    this.#did.push('resume');
  }
  async kill(): Promise<KillResult> {
    this.#did.push('kill');
    return { grade: 'signal', killed: 2, left: this.survives-- > 0 ? [{ ...CHILD, why: 'resists' }] : [], duration_ms: 1 };
  }
  async close(): Promise<void> {
    this.closed++;
  }
  async killOnly(processes: readonly { readonly pid: number }[]): Promise<KillResult> {
    this.#did.push(`killOnly ${processes.map(({ pid }) => pid).join(' ')}`);
    return { grade: 'signal', killed: processes.length, left: [], duration_ms: 1 };
  }
}

export class FakeLedger {
  readonly session = 'run-1';
  readonly records: (VerdictRecord | ContainmentRecord)[] = [];
  readonly marks: string[] = [];
  readonly #did: string[];
  fails = false;
  calls = new Map<string, string>();
  running: readonly string[] = [];
  /** Those that stand; an error: it cannot be read. */
  standing: readonly Halt[] | Error = [];
  readonly #looks: (() => void)[] = [];
  constructor(did: string[]) {
    this.#did = did;
  }
  async halts(): Promise<readonly Halt[]> {
    if (this.standing instanceof Error) throw this.standing;
    return this.standing;
  }
  /** The time has come to look at them again. */
  async look(): Promise<void> {
    for (const look of this.#looks.splice(0)) look();
    await new Promise((resolve) => setImmediate(resolve));
  }
  nextLook(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      this.#looks.push(resolve);
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
  }
  async record(record: VerdictRecord | ContainmentRecord): Promise<EntryRef> {
    if (this.fails) throw new Error('the disk is full');
    this.#did.push(record.kind === 'verdict' ? `verdict ${record.level}->${record.enforced} ${record.rule}` : `record ${record.event}`);
    this.records.push(record);
    return { of: this.records.length, leaf: 'ab'.repeat(32) };
  }
  async mark(event: string, of?: { readonly coverage?: string }): Promise<void> {
    if (this.fails) throw new Error('the disk is full');
    this.marks.push(of?.coverage === undefined ? event : `${event} ${of.coverage}`);
  }
  async halt(session: string | undefined): Promise<void> {
    this.#did.push(`halt ${session}`);
  }
  async resume(session: string | undefined): Promise<void> {
    this.#did.push(`resume ${session}`);
  }
  inFlight(): readonly string[] {
    return this.running;
  }
  async sessionOf(call: string): Promise<string | undefined> {
    return this.calls.get(call);
  }
}

/** A person who answers when the test says so. */
export class FakeQuestions implements HaltQuestions {
  readonly asked: Incident[] = [];
  readonly #waiting: ((answer: HaltAnswer) => void)[] = [];
  readonly #askers: (() => void)[] = [];
  words(about: HaltAbout): HaltWords {
    return haltWords(about, 60_000, createRedactor());
  }
  ask(incident: Incident, _words: HaltWords, _round: number, signal: AbortSignal, opened: () => void): Promise<HaltAnswer> {
    opened();
    this.asked.push(incident);
    for (const tell of this.#askers.splice(0)) tell();
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      signal.addEventListener('abort', () => resolve({ do: 'timeout' }), { once: true });
    });
  }
  /** Resolves once so many questions were asked. */
  async until(count: number): Promise<void> {
    while (this.asked.length < count) await new Promise<void>((resolve) => this.#askers.push(resolve));
  }
  answer(answer: HaltAnswer): void {
    this.#waiting.shift()?.(answer);
  }
}

export function wardenParts(mode: MonitorMode, more: Partial<WardenOptions> = {}) {
  const did: string[] = [];
  const events: WardenEvent[] = [];
  const sensor = new FakeSensor();
  const tree = new FakeTree();
  const freezer = new FakeFreezer(did);
  const ledger = new FakeLedger(did);
  const questions = new FakeQuestions();
  const steps: IncidentStep[][] = [];
  const options: WardenOptions = {
    mode,
    tree,
    sensors: [sensor],
    rules: fakeRules,
    freezer,
    ledger,
    questions,
    log: { write: () => {}, close: async () => {} },
    incidents: {
      open: async () => void did.push('evidence'),
      update: async (_incident, now) => void steps.push([...now]),
    },
    onHaltTimeout: 'stay',
    heldAtEnd: 'kill',
    onEvent: (event) => events.push(event),
    // Nothing is waited for, but others get their turn. What waits for something that never comes waits until it is given up.
    pause: (ms, signal) =>
      ms === HALT_LOOK_MS
        ? ledger.nextLook(signal)
        : ms === MAX_CAPTURE_MS || ms === MAX_CLOSE_MS
          ? new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
          : new Promise<void>((resolve) => setImmediate(resolve)),
    ...more,
  };
  return { options, did, events, sensor, tree, freezer, ledger, questions, steps };
}

export function troubles(events: readonly WardenEvent[]): readonly string[] {
  return events.flatMap((event) => (event.kind === 'trouble' ? [event.during] : []));
}
