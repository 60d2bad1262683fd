/**
 * The life of approvals against a model of it: random sequences of asks, answers, time, changes of policy, restarts, crashes
 * and failing stores, on the memory store and on SQLite, where two opens of one ledger stand for two processes.
 *
 * The model knows no entries, rows or bindings. After each sequence the ledger itself is asked as well: it verifies, and by
 * its entries alone no approval was used twice, without enough people before its expiry, or after a no.
 */
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Authorization, type CountersignError, definePolicy, type Guard, type Policy, type Store } from '../../src/index.ts';
import { parseEntry } from '../../src/ledger/body.ts';
import type { Entry } from '../../src/ledger/entry.ts';
import { readLedger, verifyLedger } from '../../src/sqlite/index.ts';
import { type FixedClock, fixedClock, type MemoryStore, memoryStore } from '../../src/testing/index.ts';
import { guardOn, openLedger, tempDirectory } from '../fixtures/ledger.ts';

const TTL_MS = 100;
const QUORUM = 2;
const CALLS = [0, 1];
/** The last is the second in other letters. */
const PEOPLE = ['ann', 'bob', 'BOB', 'eve'];
const POLICIES = ['asks', 'asks-otherwise', 'denies'] as const;
type PolicyName = (typeof POLICIES)[number];

const asking = (version: string): Policy =>
  definePolicy({
    id: 'p',
    version,
    evaluate: () => ({ effect: 'require_approval', rule: 'two', terms: { quorum: QUORUM, ttlMs: TTL_MS } }),
  });
const RULES: Readonly<Record<PolicyName, Policy>> = {
  asks: asking('1'),
  'asks-otherwise': asking('2'),
  denies: definePolicy({ id: 'p', version: '3', evaluate: () => ({ effect: 'deny', rule: 'no' }) }),
};

interface ModelApproval {
  state: 'pending' | 'approved' | 'denied' | 'failed' | 'consumed';
  readonly expiresAt: number;
  readonly policy: PolicyName;
  readonly answered: Set<string>;
  readonly approvedBy: Set<string>;
}

interface ModelCall {
  approval?: ModelApproval;
  /** Decided for good: what everybody who comes back is told. */
  over?: readonly string[];
  runs: number;
}

interface Model {
  now: number;
  policy: PolicyName;
  readonly calls: ModelCall[];
}

/** What a call that comes now must get. Changes the model accordingly. */
function enter(model: Model, index: number): 'pending' | 'permit' | readonly string[] {
  const call = model.calls[index] as ModelCall;
  if (call.over !== undefined) return call.over;
  const refused = (code: string): readonly string[] => (call.over = [code]);
  const { approval } = call;
  if (approval?.state === 'denied') return refused('APPROVAL_DENIED');
  if (model.policy === 'denies') return refused('POLICY_DENY_HIGH_RISK');
  if (approval === undefined) {
    const expiresAt = model.now + TTL_MS;
    call.approval = { state: 'pending', expiresAt, policy: model.policy, answered: new Set(), approvedBy: new Set() };
    return 'pending';
  }
  if (approval.state === 'failed') return refused('APPROVAL_PROCESS_FAILED');
  if (model.now >= approval.expiresAt) return refused('APPROVAL_EXPIRED');
  if (approval.state === 'pending') return 'pending';
  if (approval.policy !== model.policy) return refused('APPROVAL_POLICY_CHANGED');
  approval.state = 'consumed';
  call.runs++;
  call.over = ['CALL_ALREADY_RUN'];
  return 'permit';
}

/** Whether this answer is taken. Changes the model accordingly. */
function answer(model: Model, index: number, who: string, what: 'approve' | 'deny' | 'revoke'): boolean {
  const approval = model.calls[index]?.approval;
  if (approval === undefined) return false;
  if (what === 'revoke' && approval.state === 'denied') return true;
  const person = who.toLowerCase();
  const isOpen = approval.state === 'pending' || (what === 'revoke' && approval.state === 'approved');
  if (!isOpen || model.now >= approval.expiresAt || (what !== 'revoke' && approval.answered.has(person))) return false;
  approval.answered.add(person);
  if (what !== 'approve') approval.state = 'denied';
  else if (approval.approvedBy.add(person).size >= QUORUM) approval.state = 'approved';
  return true;
}

interface Real {
  readonly clock: FixedClock;
  /** Runs seen, by call. */
  readonly runs: number[];
  /** Approvals asked for, by call. */
  readonly approvals: (string | undefined)[];
  readonly memory: MemoryStore | undefined;
  store: Store;
  /** Another process on the same ledger, where there can be one. */
  other(): Promise<Store>;
  restart(): Promise<void>;
  crash(): Promise<void>;
}

type Command = fc.AsyncCommand<Model, Real>;

const guardFor = (model: Model, store: Store): Guard => guardOn(store, { policy: RULES[model.policy] });

const authorize = (guard: Guard, index: number): Promise<Authorization> =>
  guard.authorize({ tool: { name: 'pay' }, args: { index }, id: `call-${index}` }, { approval: 'suspend' });

async function taken(real: Real, index: number, got: Authorization, settles: boolean): Promise<string> {
  if (got.kind === 'pending') real.approvals[index] = got.approvalId;
  if (got.kind !== 'permit') return got.kind === 'pending' ? 'pending' : got.decision.reasonCode;
  real.runs[index] = (real.runs[index] ?? 0) + 1;
  if (settles) await got.settle({ status: 'success' }, { durable: true });
  return 'permit';
}

function agrees(wanted: ReturnType<typeof enter>, got: string): void {
  if (typeof wanted === 'string') expect(got).toBe(wanted);
  else expect(wanted).toContain(got);
}

class Enter implements Command {
  private readonly index: number;
  /** The process dies while the tool runs: nobody records what became of it. */
  private readonly dies: boolean;
  constructor(index: number, dies: boolean) {
    this.index = index;
    this.dies = dies;
  }
  check(): boolean {
    return true;
  }
  async run(model: Model, real: Real): Promise<void> {
    const wanted = enter(model, this.index);
    const got = await taken(real, this.index, await authorize(guardFor(model, real.store), this.index), !this.dies);
    agrees(wanted, got);
    if (got !== 'permit' || !this.dies) return;
    // Nobody can know whether it ran: it never runs again, whatever it is called.
    (model.calls[this.index] as ModelCall).over = ['CALL_IN_PROGRESS', 'CALL_OUTCOME_UNKNOWN'];
    await real.crash();
  }
  toString(): string {
    return this.dies ? `enterAndDie(${this.index})` : `enter(${this.index})`;
  }
}

/** Two processes come with the same call at once. */
class EnterTwice implements Command {
  private readonly index: number;
  constructor(index: number) {
    this.index = index;
  }
  check(model: Readonly<Model>): boolean {
    // New calls: which of the two asks is not for the model to know.
    return model.calls[this.index]?.approval !== undefined;
  }
  async run(model: Model, real: Real): Promise<void> {
    const stores = [real.store, await real.other()];
    const wanted = enter(model, this.index);
    const later = enter(model, this.index);
    const results = await Promise.all(
      stores.map(async (store) => taken(real, this.index, await authorize(guardFor(model, store), this.index), true)),
    );
    const permits = results.filter((result) => result === 'permit').length;
    agrees([String(wanted === 'permit' ? 1 : 0)], String(permits));
    const [one = '', other = ''] = results;
    const [first, second] = other === 'permit' ? [other, one] : [one, other];
    agrees(wanted, first);
    // The one that came second may have found the other still at it.
    agrees(wanted === 'permit' ? ['CALL_ALREADY_RUN', 'CALL_IN_PROGRESS', 'APPROVAL_ALREADY_USED'] : later, second);
  }
  toString(): string {
    return `enterTwice(${this.index})`;
  }
}

class Answer implements Command {
  private readonly index: number;
  private readonly who: string;
  private readonly what: 'approve' | 'deny' | 'revoke';
  constructor(index: number, who: string, what: 'approve' | 'deny' | 'revoke') {
    this.index = index;
    this.who = who;
    this.what = what;
  }
  check(model: Readonly<Model>): boolean {
    return model.calls[this.index]?.approval !== undefined;
  }
  async run(model: Model, real: Real): Promise<void> {
    const isTaken = answer(model, this.index, this.who, this.what);
    const given = give(guardFor(model, real.store), real.approvals[this.index] ?? '', this.who, this.what);
    agrees([isTaken ? 'taken' : 'APPROVAL_NOT_PENDING'], await codeOf(given));
  }
  toString(): string {
    return `${this.what}(${this.index}, ${this.who})`;
  }
}

/** Two people, or one twice, answer through two processes at the same instant. */
class AnswerTogether implements Command {
  private readonly index: number;
  private readonly who: readonly [string, string];
  constructor(index: number, who: readonly [string, string]) {
    this.index = index;
    this.who = who;
  }
  check(model: Readonly<Model>): boolean {
    return model.calls[this.index]?.approval !== undefined;
  }
  async run(model: Model, real: Real): Promise<void> {
    const stores = [real.store, await real.other()] as const;
    const wanted = this.who.filter((who) => answer(model, this.index, who, 'approve')).length;
    const id = real.approvals[this.index] ?? '';
    const given = this.who.map((who, i) => codeOf(give(guardFor(model, stores[i] ?? stores[0]), id, who, 'approve')));
    const refused = (await Promise.all(given)).filter((code) => code !== 'taken');
    agrees([String(given.length - wanted)], String(refused.length));
    for (const code of refused) agrees(['APPROVAL_NOT_PENDING'], code);
  }
  toString(): string {
    return `approveTogether(${this.index}, ${this.who.join(', ')})`;
  }
}

/** `taken`, or the code it was refused with. */
function codeOf(given: Promise<unknown>): Promise<string> {
  return given.then(
    () => 'taken',
    (error: unknown) => (error as CountersignError).code,
  );
}

function give(guard: Guard, id: string, who: string, what: 'approve' | 'deny' | 'revoke'): Promise<unknown> {
  const approver = { id: who, method: 'host' } as const;
  return what === 'revoke' ? guard.approvals.revoke(id, approver) : guard.approvals.resolve(id, { decision: what }, approver);
}

/** A step that is said in a few words. */
class Step implements Command {
  private readonly name: string;
  private readonly act: (model: Model, real: Real) => Promise<void>;
  constructor(name: string, act: (model: Model, real: Real) => Promise<void>) {
    this.name = name;
    this.act = act;
  }
  check(): boolean {
    return true;
  }
  run(model: Model, real: Real): Promise<void> {
    return this.act(model, real);
  }
  toString(): string {
    return this.name;
  }
}

const passTime = (ms: number): Command =>
  new Step(`pass(${ms})`, async (model, real) => {
    model.now += ms;
    real.clock.advance(ms);
  });

const changePolicy = (policy: PolicyName): Command =>
  new Step(`policy(${policy})`, async (model) => {
    model.policy = policy;
  });

const lapse = (index: number): Command =>
  new Step(`lapse(${index})`, async (model, real) => {
    const approval = model.calls[index]?.approval;
    if (approval === undefined) return;
    if (approval.state === 'pending') approval.state = 'failed';
    await real.store.commit({ kind: 'lapse', approval: real.approvals[index] ?? '', state: 'failed' });
  });

/** The store fails while somebody comes or answers: refused, and as if nothing had happened. */
const failing = (index: number, who: string): Command =>
  new Step(`failing(${index}, ${who})`, async (model, real) => {
    if (real.memory === undefined) return;
    real.memory.failWith(new Error('disk full'));
    const guard = guardFor(model, real.store);
    const got = await authorize(guard, index);
    const id = real.approvals[index];
    // A question that is open is only looked up.
    if (got.kind === 'pending') expect(got.approvalId).toBe(id);
    else expect(got).toMatchObject({ kind: 'refusal', decision: { effect: 'deny' } });
    if (id !== undefined) expect(await codeOf(give(guard, id, who, 'approve'))).not.toBe('taken');
    real.memory.failWith(undefined);
  });

const restart = new Step('restart', async (_model, real) => real.restart());
const crash = new Step('crash', async (_model, real) => real.crash());

const index = fc.constantFrom(...CALLS);
const person = fc.constantFrom(...PEOPLE);
const often = <T>(times: number, value: T): readonly T[] => Array.from({ length: times }, () => value);
/** Weighted so that about half of the sequences come as far as a use: what ends a call is rare, what leads on is not. */
const COMMANDS = [
  ...often(
    4,
    index.map((i) => new Enter(i, false)),
  ),
  index.map((i) => new Enter(i, true)),
  index.map((i) => new EnterTwice(i)),
  ...often(
    3,
    fc.tuple(index, person).map(([i, who]) => new Answer(i, who, 'approve')),
  ),
  ...often(
    2,
    index.map((i) => new AnswerTogether(i, ['ann', 'bob'])),
  ),
  fc.tuple(index, person, person).map(([i, one, other]) => new AnswerTogether(i, [one, other])),
  fc.tuple(index, person).map(([i, who]) => failing(i, who)),
  fc.constant(restart),
  fc.constant(crash),
  fc.constantFrom(1, 1, 30, TTL_MS - 1, TTL_MS).map(passTime),
  fc.oneof(
    fc.tuple(index, person, fc.constantFrom('deny', 'revoke')).map(([i, who, what]) => new Answer(i, who, what)),
    fc.constantFrom('asks', 'asks', 'asks-otherwise', 'denies').map((name) => changePolicy(name)),
    index.map(lapse),
  ),
];

const newModel = (now: number): Model => ({ now, policy: 'asks', calls: CALLS.map(() => ({ runs: 0 })) });
const noRuns = (): Pick<Real, 'runs' | 'approvals'> => ({ runs: CALLS.map(() => 0), approvals: CALLS.map(() => undefined) });

/** By entries alone: who used what, on whose word. */
function judge(entries: readonly Entry[], model: Model, real: Real): void {
  expect(real.runs).toEqual(model.calls.map(({ runs }) => runs));
  expect(Math.max(...real.runs)).toBeLessThanOrEqual(1);
  const used = new Set<string>();
  for (const [position, use] of entries.entries()) {
    if (use.kind !== 'decision' || use.effect !== 'allow') continue;
    const id = use.approval?.id ?? '';
    expect(used.has(id)).toBe(false);
    used.add(id);
    const ask = entries.find((entry) => entry.kind === 'decision' && entry.effect === 'require_approval' && entry.approval?.id === id);
    const expiresAt = ask?.kind === 'decision' ? (ask.approval?.expires_at ?? 0) : 0;
    const answers = entries.slice(0, position).flatMap((entry) => (entry.kind === 'approval' && entry.approval === id ? [entry] : []));
    expect(answers.filter((given) => given.answer === 'deny')).toEqual([]);
    expect(use.at).toBeLessThan(expiresAt);
    const people = answers.filter((given) => given.at < expiresAt).map((given) => given.approver.id.toLowerCase());
    expect(new Set(people).size).toBeGreaterThanOrEqual(QUORUM);
  }
  expect(used.size).toBe(model.calls.reduce((sum, { runs }) => sum + runs, 0));
}

const LENGTH = 30;

it('on the memory store', async () => {
  await fc.assert(
    fc.asyncProperty(fc.commands(COMMANDS, { maxCommands: LENGTH, size: 'max' }), async (commands) => {
      const clock = fixedClock();
      const memory = memoryStore({ clock });
      const model = newModel(clock.nowMs());
      const nothing = async (): Promise<void> => {};
      const real: Real = { ...noRuns(), clock, memory, store: memory, other: async () => memory, restart: nothing, crash: nothing };
      await fc.asyncModelRun(() => ({ model, real }), commands);
      judge(memory.entries(), model, real);
    }),
    { numRuns: 150 },
  );
});

it('on SQLite, with restarts, crashes and a second process', async () => {
  await fc.assert(
    fc.asyncProperty(fc.commands(COMMANDS, { maxCommands: LENGTH, size: 'max' }), async (commands) => {
      const path = join(tempDirectory(), 'ledger.db');
      const clock = fixedClock();
      const open = new Set<Store>();
      const opened = (): Store => {
        const store = openLedger(path, { clock });
        open.add(store);
        return store;
      };
      const model = newModel(clock.nowMs());
      let second: Store | undefined;
      const real: Real = {
        ...noRuns(),
        clock,
        memory: undefined,
        store: opened(),
        other: async () => (second ??= opened()),
        async restart() {
          await real.store.close();
          open.delete(real.store);
          real.store = opened();
        },
        // What it held is never given back: no lease, no permit, no outcome.
        async crash() {
          real.store = opened();
        },
      };
      await fc.asyncModelRun(() => ({ model, real }), commands);
      for (const store of open) await store.close();
      const reader = readLedger(path);
      const entries = [...reader.entries()].map(({ text }) => parseEntry(text));
      reader.close();
      judge(entries, model, real);
      const report = await verifyLedger(path);
      expect(report.problems).toEqual([]);
      if (entries.length > 0) expect(report.status).toBe('valid');
    }),
    { numRuns: 40 },
  );
}, 240_000);
