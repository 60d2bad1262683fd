/**
 * Random lives of a ledger with budgets, against a list of charges and plain sums: calls of two writers, outcomes, refunds,
 * approvals, re-entries, clocks that jump, restarts and crashes. Every decision and every `left` must agree.
 */
import { copyFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { budgetKey } from '../../src/budget/key.ts';
import { type Authorization, budgetFrom, type EntryRef, type Guard, type Outcome, type Permit, type ToolCall } from '../../src/index.ts';
import { type SqliteStore, verifyLedger } from '../../src/sqlite/index.ts';
import { type FixedClock, fixedClock } from '../../src/testing/index.ts';
import { guardOn, openLedger, tempDirectory } from '../fixtures/ledger.ts';

const RUNS = Number(process.env['COUNTERSIGN_MODEL_RUNS'] ?? 25);
const MICRO = 1_000_000;

/** What the model knows of a budget: everything it could do wrong is written down a second time here. */
interface Rule {
  readonly id: string;
  readonly limit: number;
  readonly window: number | undefined;
  readonly refunds: boolean;
  readonly code: string;
  covers(tool: string): boolean;
  key(call: Asked): string;
  cost(call: Asked): number;
}

const paying = (tool: string): boolean => tool !== 'read';
const RULES: readonly Rule[] = [
  { id: 'agent', limit: 6, window: 1000, refunds: true, code: 'AGENT', covers: () => true, key: () => 'tester', cost: () => 1 },
  { id: 'session', limit: 4, window: 300, refunds: false, code: 'SESSION', covers: () => true, key: (call) => call.session, cost: () => 1 },
  {
    id: 'customer',
    limit: 12,
    window: 2000,
    refunds: true,
    code: 'KEY',
    covers: paying,
    key: (call) => call.customer,
    cost: (call) => call.amount,
  },
  {
    id: 'life',
    limit: 60,
    window: undefined,
    refunds: true,
    code: 'TOOL',
    covers: paying,
    key: (call) => call.tool,
    cost: (call) => call.amount,
  },
];
const BUDGETS = [
  budgetFrom({ id: 'agent', per: 'agent', limit: 6, window: '1s', refund: 'error' }),
  budgetFrom({ id: 'session', per: 'session', limit: 4, window: '300ms' }),
  budgetFrom({
    id: 'customer',
    key: 'args.customer',
    limit: 12,
    window: '2s',
    tools: ['pay', 'ask'],
    cost: 'args.amount',
    refund: 'error',
  }),
  budgetFrom({ id: 'life', per: 'tool', limit: 60, tools: ['pay', 'ask'], cost: 'args.amount', refund: 'error' }),
];

interface Asked {
  readonly tool: 'pay' | 'read' | 'ask';
  readonly session: string;
  readonly customer: string;
  readonly amount: number;
  readonly id: string;
}

interface Charged {
  readonly rule: Rule;
  readonly key: string;
  readonly at: number;
  readonly cost: number;
  readonly call: string;
  /** An outcome that is on its way gives it back. */
  givenBack: boolean;
}

/** A permit as somebody holds it. */
interface Held {
  readonly permit: Permit;
  readonly call: Asked;
}

function agree(actual: unknown, expected: unknown): void {
  expect(actual).toEqual(expected);
}

class Model {
  readonly charges: Charged[] = [];
  held: Held[] = [];
  /** Asked, and approved by a person; not used yet. */
  approved: Asked[] = [];
  readonly decided: Asked[] = [];
  /** Refunds of outcomes that were sent and not awaited: the next commit takes them along, a crash may lose them. */
  lazy: { readonly callId: string; readonly charges: readonly Charged[] }[] = [];

  used(rule: Rule, key: string, at: number): number {
    const since = rule.window === undefined ? Number.NEGATIVE_INFINITY : at - rule.window;
    return this.charges
      .filter((charge) => charge.rule === rule && charge.key === key && charge.at > since && !charge.givenBack)
      .reduce((sum, { cost }) => sum + cost, 0);
  }

  /** What must happen to this call at this time: what is left of each budget, or the code of the first that does not suffice. */
  decide(call: Asked, at: number): readonly (readonly [Rule, string, number])[] | string {
    const charges = RULES.filter((rule) => rule.covers(call.tool)).map(
      (rule) => [rule, rule.key(call), rule.limit - this.used(rule, rule.key(call), at) - rule.cost(call)] as const,
    );
    const over = charges.find(([, , left]) => left < 0);
    return over === undefined ? charges : `BUDGET_EXCEEDED_${over[0].code}_RATE`;
  }

  /** A commit took every outcome along that waited. */
  committed(): void {
    for (const { charges } of this.lazy) for (const charge of charges) charge.givenBack = true;
    this.lazy = [];
  }
}

class Real {
  readonly clock: FixedClock = fixedClock();
  path: string = join(tempDirectory(), 'ledger.db');
  stores: SqliteStore[] = [];
  guards: Guard[] = [];
  readonly abandoned: SqliteStore[] = [];
  newestAt = 0;
  latestClock: number = this.clock.nowMs();
  calls = 0;

  constructor() {
    this.open();
  }

  open(): void {
    this.stores = [openLedger(this.path, { clock: this.clock }), openLedger(this.path, { clock: this.clock })];
    this.guards = this.stores.map((store) => guardOn(store, { budgets: BUDGETS, clock: this.clock, approvals: { ttlMs: 3_600_000 } }));
  }

  guard(nth: number): Guard {
    return this.guards[nth % this.guards.length] as Guard;
  }

  /** Time and charges of a decision, from its entry. */
  async read(entry: EntryRef): Promise<{ at: number; budgets: { id: string; key: string; left: number }[] }> {
    const text = await (this.stores[0] as SqliteStore).entry(entry);
    const { at, budgets = [] } = JSON.parse(text ?? '') as { at: number; budgets?: { id: string; key: string; left: number }[] };
    // Store time never goes back, and is the clock's unless the clock did.
    this.latestClock = Math.max(this.latestClock, this.clock.nowMs());
    agree([at >= Math.max(this.newestAt, this.clock.nowMs()), at <= this.latestClock], [true, true]);
    this.newestAt = at;
    return { at, budgets };
  }

  async closeAll(): Promise<void> {
    for (const guard of this.guards) await guard.close();
    for (const store of this.stores) await store.close();
  }

  /** What a crash leaves: the files as they are, and leases of processes that are gone. */
  crash(): void {
    const path = join(tempDirectory(), 'ledger.db');
    for (const side of ['', '-wal']) if (existsSync(this.path + side)) copyFileSync(this.path + side, path + side);
    new Sqlite(path).exec('DELETE FROM leases').close();
    this.abandoned.push(...this.stores);
    this.path = path;
  }
}

type Command = fc.AsyncCommand<Model, Real>;
const toolCall = ({ tool, session, customer, amount, id }: Asked): ToolCall => ({
  tool: { name: tool },
  args: tool === 'read' ? {} : { customer, amount },
  session,
  id,
});

/** A call that policy lets through: budgets alone decide. */
async function enter(call: Asked, writer: number, model: Model, real: Real): Promise<Authorization> {
  const authorization = await real.guard(writer).authorize(toolCall(call), { approval: 'suspend' });
  if (authorization.kind === 'pending' || authorization.entry === undefined) throw new Error('the call was not decided');
  const { at, budgets } = await real.read(authorization.entry);
  model.committed();
  const expected = model.decide(call, at);
  if (typeof expected === 'string') {
    expect(authorization.decision.reasonCode).toBe(expected);
    return authorization;
  }
  expect(authorization.kind).toBe('permit');
  const mac = (text: string): string => (real.stores[0] as SqliteStore).mac(text);
  expect(budgets.map(({ id, key, left }) => [id, key, left])).toEqual(
    expected.map(([rule, key, left]) => [rule.id, rule.code === 'KEY' ? budgetKey(rule.id, key, mac) : key, left * MICRO]),
  );
  for (const [rule, key] of expected)
    model.charges.push({ rule, key, at, cost: rule.cost(call), call: authorization.callId, givenBack: false });
  if (authorization.kind === 'permit') model.held.push({ permit: authorization, call });
  return authorization;
}

class Call implements Command {
  readonly call: Omit<Asked, 'id'>;
  readonly writer: number;
  constructor(call: Omit<Asked, 'id'>, writer: number) {
    this.call = call;
    this.writer = writer;
  }
  check = (): boolean => true;
  toString = (): string => `call(${JSON.stringify(this.call)}, writer ${this.writer})`;
  async run(model: Model, real: Real): Promise<void> {
    const call = { ...this.call, id: `call ${real.calls++}` };
    if (call.tool !== 'ask') {
      await enter(call, this.writer, model, real);
      model.decided.push(call);
      return;
    }
    // Asks and is approved, on whichever writer: nothing is charged, and nothing reserved.
    const guard = real.guard(this.writer);
    const pending = await guard.authorize(toolCall(call), { approval: 'suspend' });
    if (pending.kind !== 'pending') throw new Error('the call did not ask');
    await guard.approvals.resolve(pending.approvalId, { decision: 'approve' }, { id: 'alice', method: 'host' });
    model.committed();
    model.approved.push(call);
  }
}

/** Comes back with an approval. A budget that refuses leaves it for later. */
class Use implements Command {
  readonly nth: number;
  readonly writer: number;
  constructor(nth: number, writer: number) {
    this.nth = nth;
    this.writer = writer;
  }
  check = (model: Readonly<Model>): boolean => model.approved.length > 0;
  toString = (): string => `use(${this.nth}, writer ${this.writer})`;
  async run(model: Model, real: Real): Promise<void> {
    const call = model.approved[this.nth % model.approved.length] as Asked;
    const authorization = await enter(call, this.writer, model, real);
    if (authorization.kind !== 'permit') return;
    model.approved = model.approved.filter((other) => other !== call);
    model.decided.push(call);
  }
}

/** The very call again: never charged a second time. */
class Repeat implements Command {
  readonly nth: number;
  readonly writer: number;
  constructor(nth: number, writer: number) {
    this.nth = nth;
    this.writer = writer;
  }
  check = (model: Readonly<Model>): boolean => model.decided.length > 0;
  toString = (): string => `repeat(${this.nth}, writer ${this.writer})`;
  async run(model: Model, real: Real): Promise<void> {
    const call = model.decided[this.nth % model.decided.length] as Asked;
    const again = await real.guard(this.writer).authorize(toolCall(call), { approval: 'suspend' });
    agree(again.kind, 'refusal');
    // A refusal of before may be given again without an entry, so nothing is known to have been committed.
    await new Check().run(model, real);
  }
}

class Settle implements Command {
  readonly nth: number;
  readonly outcome: Outcome;
  readonly durable: boolean;
  constructor(nth: number, outcome: Outcome, durable: boolean) {
    this.nth = nth;
    this.outcome = outcome;
    this.durable = durable;
  }
  check = (model: Readonly<Model>): boolean => model.held.length > 0;
  toString = (): string => `settle(${this.nth}, ${JSON.stringify(this.outcome)}, ${this.durable ? 'durable' : 'lazy'})`;
  async run(model: Model, real: Real): Promise<void> {
    const held = model.held[this.nth % model.held.length] as Held;
    model.held = model.held.filter((other) => other !== held);
    const { status, refund } = this.outcome;
    const owed = model.charges.filter(({ call, rule }) => call === held.permit.callId && (refund ?? (status === 'error' && rule.refunds)));
    await held.permit.settle(this.outcome, { durable: this.durable });
    model.lazy.push({ callId: held.permit.callId, charges: owed });
    real.latestClock = Math.max(real.latestClock, real.clock.nowMs());
    if (this.durable) return model.committed();
    // Which of two writers it waits at is nobody's business here: it is taken along before anybody asks.
    await Promise.all(real.stores.map((store) => store.commit({ kind: 'lapse', approval: 'none', state: 'expired' })));
    model.committed();
  }
}

/** An outcome that is still waiting when everything stops: it is there with its refunds, or neither is. */
class SettleAndCrash implements Command {
  readonly nth: number;
  constructor(nth: number) {
    this.nth = nth;
  }
  check = (model: Readonly<Model>): boolean => model.held.length > 0;
  toString = (): string => `settle(${this.nth}) and crash`;
  async run(model: Model, real: Real): Promise<void> {
    const held = model.held[this.nth % model.held.length] as Held;
    await held.permit.settle({ status: 'error' });
    await new Crash().run(model, real);
    const database = new Sqlite(real.path, { readonly: true });
    const state: unknown = database.prepare('SELECT state FROM calls WHERE id = ?').pluck().get(held.permit.callId);
    database.close();
    agree(state === 'settled' || state === 'unknown', true);
    if (state === 'settled')
      for (const charge of model.charges) if (charge.call === held.permit.callId && charge.rule.refunds) charge.givenBack = true;
  }
}

class Clock implements Command {
  readonly ms: number;
  constructor(ms: number) {
    this.ms = ms;
  }
  check = (): boolean => true;
  toString = (): string => `clock(${this.ms})`;
  async run(_model: Model, real: Real): Promise<void> {
    real.clock.advance(this.ms);
    real.latestClock = Math.max(real.latestClock, real.clock.nowMs());
  }
}

class Restart implements Command {
  check = (): boolean => true;
  toString = (): string => 'restart';
  async run(model: Model, real: Real): Promise<void> {
    await real.closeAll();
    // Whoever held a permit is gone with the process.
    model.held = [];
    real.open();
  }
}

class Crash implements Command {
  check = (): boolean => true;
  toString = (): string => 'crash';
  async run(model: Model, real: Real): Promise<void> {
    real.crash();
    model.held = [];
    real.open();
  }
}

class Check implements Command {
  check = (): boolean => true;
  toString = (): string => 'check';
  async run(model: Model, real: Real): Promise<void> {
    for (const [i, guard] of real.guards.entries()) {
      const store = real.stores[i] as SqliteStore;
      const all = await guard.budgets();
      const nowMs = store.nowMs();
      for (const [nth, rule] of RULES.entries()) {
        const keys = [...new Set(model.charges.filter((charge) => charge.rule === rule).map(({ key }) => key))];
        const expected = keys.map((key) => [
          rule.code === 'KEY' ? budgetKey(rule.id, key, (text) => store.mac(text)) : key,
          model.used(rule, key, nowMs),
        ]);
        const used = all[nth]?.keys.map((each) => [each.key, each.used / MICRO]) ?? [];
        agree(new Map(used as [string, number][]), new Map(expected.filter(([, amount]) => amount !== 0) as [string, number][]));
      }
    }
  }
}

const writer = fc.nat(1);
const call = fc.record({
  tool: fc.constantFrom('pay' as const, 'pay' as const, 'read' as const, 'ask' as const),
  session: fc.constantFrom('s1', 's2'),
  customer: fc.constantFrom('ann', 'bob'),
  amount: fc.integer({ min: 0, max: 6 }),
});
const outcome = fc.constantFrom<Outcome>(
  { status: 'success' },
  { status: 'error' },
  { status: 'error' },
  { status: 'cancelled' },
  { status: 'success', refund: true },
  { status: 'error', refund: false },
);
const commands = fc.commands<Model, Real, false>(
  [
    fc.tuple(call, writer).map((each) => new Call(...each)),
    fc.tuple(call, writer).map((each) => new Call(...each)),
    fc.tuple(fc.nat(), writer).map((each) => new Use(...each)),
    fc.tuple(fc.nat(), writer).map((each) => new Repeat(...each)),
    fc.tuple(fc.nat(), outcome, fc.boolean()).map((each) => new Settle(...each)),
    fc
      .oneof(fc.constantFrom(1, 299, 300, 999, 1000, 1001, 2000, -1, -500, -5000), fc.integer({ min: 1, max: 400 }))
      .map((ms) => new Clock(ms)),
    fc.constant(new Check()),
    fc.constant(new Restart()),
    fc.constant(new Crash()),
    fc.nat().map((nth) => new SettleAndCrash(nth)),
  ],
  { maxCommands: 50, size: 'max' },
);

it('agrees with plain sums, whatever happens', async () => {
  const check = fc.asyncProperty(commands, async (all) => {
    const real = new Real();
    await fc.asyncModelRun(() => ({ model: new Model(), real }), all);
    await real.closeAll();
    for (const store of real.abandoned) await store.close();
    expect(await verifyLedger(real.path)).toMatchObject({ integrity: 'intact', problems: [] });
  });
  await fc.assert(check, { numRuns: RUNS });
}, 120_000);
