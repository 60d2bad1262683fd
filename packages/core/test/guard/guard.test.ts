import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  type ApprovalRow,
  allowAll,
  budgetFrom,
  CallRefusedError,
  createGuard,
  currentCall,
  definePolicy,
  denyAll,
  type Guard,
  type GuardOptions,
  type Outcome,
  type Permit,
  type Store,
  type ToolCall,
} from '../../src/index.ts';
import { parseEntry } from '../../src/ledger/body.ts';
import type { Entry } from '../../src/ledger/entry.ts';
import { fixedClock, memoryStore } from '../../src/testing/index.ts';
import { guardOn, openLedger, tempDirectory } from '../fixtures/ledger.ts';

const ALICE = { id: 'alice', method: 'host' } as const;
const call = (name: string, args: unknown = { a: 1 }, more: Partial<ToolCall> = {}): ToolCall => ({ tool: { name }, args, ...more });
const code = (authorization: { decision: { reasonCode: string } }): string => authorization.decision.reasonCode;

interface Opened {
  readonly store: Store;
  entries(): readonly Entry[];
}

function memory(clock: ReturnType<typeof fixedClock>): Opened {
  const store = memoryStore({ clock });
  return { store, entries: () => store.entries() };
}

function sqlite(clock: ReturnType<typeof fixedClock>): Opened {
  const path = join(tempDirectory(), 'ledger.db');
  const store = openLedger(path, { clock });
  return {
    store,
    entries: () => {
      const reader = new Sqlite(path, { readonly: true });
      const texts = reader.prepare<[], string>('SELECT body FROM entries ORDER BY seq').pluck().all();
      reader.close();
      return texts.map(parseEntry);
    },
  };
}

describe.each([
  ['memory store', memory],
  ['sqlite store', sqlite],
])('a guard on the %s', (_name, open) => {
  let clock: ReturnType<typeof fixedClock>;
  let opened: Opened;
  const guards: Guard[] = [];

  beforeEach(() => {
    clock = fixedClock();
    opened = open(clock);
  });
  afterEach(async () => {
    for (const guard of guards.splice(0)) await guard.close();
    await opened.store.close();
  });

  function guarded(options: Partial<GuardOptions> = {}): Guard {
    const guard = guardOn(opened.store, { clock, ...options });
    guards.push(guard);
    return guard;
  }
  const kinds = (kind: Entry['kind']): readonly Entry[] => opened.entries().filter((entry) => entry.kind === kind);
  const decisions = () => opened.entries().flatMap((entry) => (entry.kind === 'decision' ? [entry] : []));
  async function pendingOf(guard: Guard): Promise<ApprovalRow> {
    const [row] = await guard.approvals.list({ state: 'pending' });
    if (row === undefined) throw new Error('nothing is pending');
    return row;
  }
  async function untilPending(guard: Guard): Promise<ApprovalRow> {
    await vi.waitFor(() => pendingOf(guard), 20_000);
    return pendingOf(guard);
  }

  describe('allow and deny', () => {
    it('runs an allowed call with a private copy of its arguments and records decision before outcome', async () => {
      const guard = guarded();
      const args = { list: [1], path: '/x' };
      const result = await guard.run(call('read', args), (given) => {
        expect(given).toEqual(args);
        expect(given).not.toBe(args);
        expect(decisions()).toHaveLength(1);
        return 'ok';
      });
      expect(result).toBe('ok');
      await guard.close();
      const [decision] = decisions();
      const [outcome] = kinds('outcome');
      expect(decision).toMatchObject({
        effect: 'allow',
        would: 'allow',
        mode: 'enforce',
        reason_code: 'POLICY_ALLOW_LOW_RISK',
        rule: 'yes',
      });
      expect(outcome).toMatchObject({ call: decision?.call, status: 'success' });
      expect(opened.entries().map((entry) => entry.kind)).toEqual(
        ['key', 'policy', 'session', 'decision', 'outcome', 'session'].filter(
          (kind) => kind !== 'key' || opened.entries()[0]?.kind === 'key',
        ),
      );
    });

    it('a change of the arguments after the call was made does not reach the tool', async () => {
      const guard = guarded();
      const args = { path: '/harmless' };
      const running = guard.run(call('read', args), (given) => given);
      args.path = '/etc/shadow';
      expect(await running).toEqual({ path: '/harmless' });
    });

    it('refuses a denied call and never runs it', async () => {
      const tool = vi.fn();
      const guard = guarded();
      const error = await guard.run(call('no-way'), tool).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(CallRefusedError);
      expect(error).toMatchObject({
        code: 'CALL_REFUSED',
        refusal: { decision: { reasonCode: 'POLICY_DENY_HIGH_RISK', rule: 'no', reason: 'not this one' } },
      });
      expect(tool).not.toHaveBeenCalled();
      expect(decisions()).toMatchObject([{ effect: 'deny', rule: 'no' }]);
    });

    it('a throwing policy is a deny with its own code, in audit mode too', async () => {
      for (const mode of ['enforce', 'audit'] as const) {
        expect(code(await guarded({ mode }).authorize(call('boom')))).toBe('POLICY_EVALUATION_FAILED');
      }
    });

    it.each([
      ['answers with a word', () => 'yes'],
      ['gives an unknown effect', () => ({ effect: 'sure' })],
      ['gives nothing', () => undefined],
      ['rejects', () => Promise.reject(new Error('late'))],
    ])('a policy that %s is a deny', async (_what, evaluate) => {
      const policy = definePolicy({ id: 'odd', evaluate: evaluate as never });
      expect(code(await guarded({ policy }).authorize(call('read')))).toBe('POLICY_EVALUATION_FAILED');
    });

    it('a policy that never answers is a deny, not a hang', async () => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
      try {
        const policy = definePolicy({ id: 'silent', evaluate: () => new Promise<never>(() => {}) });
        const decided = guarded({ policy }).authorize(call('read'));
        await vi.waitFor(() => expect(vi.getTimerCount()).toBeGreaterThan(0), 20_000);
        await vi.advanceTimersByTimeAsync(10_000);
        expect(code(await decided)).toBe('POLICY_EVALUATION_FAILED');
      } finally {
        vi.useRealTimers();
      }
    });

    it('what no rule matches is the default: deny, unless the policy says otherwise', async () => {
      const abstains = definePolicy({ id: 'none', evaluate: () => ({ effect: 'abstain' }) });
      expect(code(await guarded({ policy: abstains }).authorize(call('read')))).toBe('POLICY_DEFAULT_DENY');
      expect((await guarded({ policy: denyAll() }).authorize(call('read'))).kind).toBe('refusal');
      expect((await guarded({ policy: allowAll() }).authorize(call('read'))).kind).toBe('permit');
    });

    it('names its own files to no one', async () => {
      const [ledger] = opened.store.files;
      const guard = guarded({ policy: allowAll(), mode: 'audit', protectedPaths: ['/srv/app/countersign.yaml'] });
      for (const path of ['/srv/app/countersign.yaml', ...(ledger === undefined ? [] : [ledger, `${ledger}-wal`])]) {
        expect(code(await guard.authorize(call('read', { deep: { path } })))).toBe('POLICY_DENY_OWN_FILES');
      }
    });

    it('is asked for by name or refused', () => {
      const { store } = opened;
      for (const options of [
        {},
        { agent: 'a', store },
        { policy: allowAll(), store },
        { agent: 'a', policy: allowAll() },
        { agent: 'a\n', policy: allowAll(), store },
        { agent: 'a', policy: [], store },
        {
          agent: 'a',
          policy: allowAll(),
          store,
          approvals: {
            approvers: new Map([
              ['ann', 'x'],
              ['Ann', 'y'],
            ]),
          },
        },
      ]) {
        expect(() => createGuard(options as never)).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
      }
    });
  });

  describe('hostile calls', () => {
    const cycle: Record<string, unknown> = {};
    cycle['self'] = cycle;
    let deep: unknown = 1;
    for (let i = 0; i < 10_000; i++) deep = { deep };
    it.each<[string, unknown]>([
      ['NaN', { a: Number.NaN }],
      ['BigInt', { a: 1n }],
      ['a cycle', cycle],
      ['a lone surrogate', { a: '\ud800' }],
      ['an own __proto__', JSON.parse('{"__proto__":{"a":1}}')],
      ['10,000 levels', deep],
      ['a 10 MB string', { a: 'x'.repeat(10_000_000) }],
      [
        'a getter',
        {
          get a() {
            throw new Error('the getter ran');
          },
        },
      ],
      ['a function', { a: () => 1 }],
      [
        'a proxy that throws',
        new Proxy(
          {},
          {
            ownKeys: () => {
              throw new Error('trap');
            },
          },
        ),
      ],
    ])('%s is refused, recorded and run by nobody', async (_what, args) => {
      const tool = vi.fn();
      const guard = guarded({ policy: allowAll() });
      await expect(guard.run(call('read', args), tool)).rejects.toMatchObject({
        refusal: { decision: { reasonCode: 'ARGUMENTS_INVALID' } },
      });
      expect(tool).not.toHaveBeenCalled();
      expect(decisions()).toMatchObject([{ effect: 'deny', reason_code: 'ARGUMENTS_INVALID' }]);
    });

    it.each<[string, Partial<ToolCall>]>([
      ['no tool', { tool: undefined as never }],
      ['a tool without a name', { tool: { name: '' } }],
      ['a tool name with a line feed', { tool: { name: 'a\nb' } }],
      ['a lone surrogate in the name', { tool: { name: '\udc00' } }],
      ['a session of a megabyte', { session: 'x'.repeat(1_000_000) }],
      ['a principal that is an object', { principal: {} as never }],
      ['an attempt below one', { attempt: 0 }],
      ['a negative cost', { cost: -1 }],
    ])('%s is refused', async (_what, more) => {
      const authorization = await guarded({ policy: allowAll() }).authorize({ ...call('read'), ...more });
      expect(code(authorization)).toBe('ARGUMENTS_INVALID');
      expect(decisions()).toHaveLength(1);
    });

    it('dates, bytes and maps are run as they are and shown as placeholders', async () => {
      const guard = guarded();
      const args = { when: new Date(0), data: Buffer.from('abc'), map: new Map([['k', 1]]) };
      await guard.run(call('read', args), (given) => expect(given).toEqual(args));
      const { shown } = (await guard.authorize(call('ask', args), { approval: 'suspend' })) as { shown?: Record<string, unknown> };
      expect(Object.values(shown ?? {}).every((value) => typeof value === 'string' && value.startsWith('['))).toBe(true);
    });

    it('secrets are replaced before policy, prompt and ledger see them', async () => {
      const secret = `ghp_${'a1B2c3D4e5F6g7H8i9J0'.repeat(2).slice(0, 36)}`;
      const seen: unknown[] = [];
      const policy = definePolicy({
        id: 'look',
        evaluate: ({ args, findings }) => (
          seen.push(args, findings), { effect: 'require_approval', reason: `about ${JSON.stringify(args)}` }
        ),
      });
      const asked: unknown[] = [];
      const guard = guarded({ policy, channels: [{ name: 'test', ask: async (request) => void asked.push(request) }] });
      const pending = await guard.authorize(call('send', { body: `the token is ${secret}`, password: 'hunter2hunter2' }), {
        approval: 'suspend',
      });
      await vi.waitFor(() => expect(asked).toHaveLength(1), 20_000);
      const everything = JSON.stringify([seen, asked, pending, opened.entries(), await guard.approvals.list()]);
      expect(everything).toContain('[redacted:');
      expect(everything).not.toContain(secret);
      expect(everything).not.toContain('hunter2');
    });
  });

  describe('tools that misbehave', () => {
    it('what a tool throws comes out unchanged and is recorded', async () => {
      const guard = guarded();
      const error = new TypeError('broken');
      for (const thrown of [error, 'a string', undefined, null, 42]) {
        await expect(guard.run(call('read'), () => Promise.reject(thrown as Error))).rejects.toBe(thrown);
      }
      await guard.close();
      const outcomes = opened.entries().flatMap((entry) => (entry.kind === 'outcome' ? [entry] : []));
      expect(outcomes.map((outcome) => outcome.status)).toEqual(Array(5).fill('error'));
      expect(outcomes[0]?.error_type).toBe('TypeError');
    });

    it('a tool that never settles leaves an open decision and blocks nobody', async () => {
      const guard = guarded();
      void guard.run(call('hang'), () => new Promise(() => {}));
      expect(await guard.run(call('read'), () => 'fine')).toBe('fine');
      expect(kinds('decision')).toHaveLength(2);
    });

    it('an outcome that cannot be recorded masks no result and is counted', async () => {
      const onError = vi.fn();
      const guard = guarded({ onError });
      const commit = opened.store.commit.bind(opened.store);
      vi.spyOn(opened.store, 'commit').mockImplementation((unit, options) =>
        unit.kind === 'outcome' ? Promise.reject(new Error('disk full')) : commit(unit, options),
      );
      expect(await guard.run(call('read'), () => 'result')).toBe('result');
      await vi.waitFor(() => expect(guard.counters.lostOutcomes).toBe(1), 20_000);
      expect(onError).toHaveBeenCalledWith(
        expect.objectContaining({ message: 'disk full' }),
        expect.objectContaining({ during: 'recording the outcome' }),
      );
    });

    it('an onError that throws changes nothing', async () => {
      const guard = guarded({
        onError: () => {
          throw new Error('hook');
        },
      });
      vi.spyOn(opened.store, 'commit').mockRejectedValue(new Error('gone'));
      expect(code(await guard.authorize(call('read')))).toBe('INTERNAL_ERROR');
    });

    it('currentCall names the call through awaits, and only inside it', async () => {
      const guard = guarded();
      const inside = await guard.run(call('read'), async (_args, { callId }) => {
        await new Promise((done) => setImmediate(done));
        return { scope: currentCall(), callId };
      });
      expect(inside.scope).toEqual({ callId: inside.callId, agent: 'tester', session: 's1' });
      expect(currentCall()).toBeUndefined();
    });

    it('a permit settles once', async () => {
      const permit = (await guarded().authorize(call('read'))) as Permit;
      await permit.settle({ status: 'success' }, { durable: true });
      await expect(permit.settle({ status: 'error' })).rejects.toMatchObject({ code: 'PERMIT_ALREADY_SETTLED' });
      expect(kinds('outcome')).toHaveLength(1);
    });

    it.each(['done', undefined, 'constructor'])('a permit does not settle as %j, which no ledger could hold', async (status) => {
      const permit = (await guarded().authorize(call('read'))) as Permit;
      const outcome = { status } as unknown as Outcome;
      await expect(permit.settle(outcome)).rejects.toMatchObject({ code: 'OPTIONS_INVALID' });
      await expect(permit.release(outcome)).rejects.toMatchObject({ code: 'OPTIONS_INVALID' });
      await permit.settle({ status: 'error' }, { durable: true });
      expect(kinds('outcome')).toHaveLength(1);
    });
  });

  describe('no record, no execution', () => {
    it('a store that fails refuses every call, in every mode', async () => {
      for (const mode of ['audit', 'confirm', 'enforce'] as const) {
        const tool = vi.fn();
        const guard = guarded({ mode, policy: allowAll() });
        vi.spyOn(opened.store, 'commit').mockRejectedValueOnce(new Error('EIO')).mockRejectedValueOnce(new Error('EIO'));
        await expect(guard.run(call('read'), tool)).rejects.toMatchObject({ code: 'CALL_REFUSED' });
        expect(tool).not.toHaveBeenCalled();
      }
    });

    it('a monitor that throws refuses the call under its own code', async () => {
      const monitor = {
        coverage: 'L0',
        begin: () => {
          throw new Error('no sensor');
        },
        close: async () => {},
      };
      expect(code(await guarded({ monitor, mode: 'audit' }).authorize(call('read')))).toBe('MONITOR_FAILED');
    });
  });

  describe('modes', () => {
    it('audit runs what policy would not, and says so', async () => {
      const guard = guarded({ mode: 'audit' });
      await guard.run(call('no-way'), () => 1);
      await guard.run(call('ask'), () => 1);
      expect(decisions()).toMatchObject([
        { effect: 'allow', would: 'deny', mode: 'audit' },
        { effect: 'allow', would: 'require_approval', mode: 'audit' },
      ]);
    });

    it('confirm asks where no rule matched and still denies where one did', async () => {
      const policy = definePolicy({ id: 'p', evaluate: ({ tool }) => (tool.name === 'no' ? { effect: 'deny' } : { effect: 'abstain' }) });
      const guard = guarded({ mode: 'confirm', policy });
      const pending = await guard.authorize(call('other', {}, { id: '1' }), { approval: 'suspend' });
      expect([pending.kind, code(pending), pending.decision.would]).toEqual(['pending', 'POLICY_DEFAULT_REQUIRE_APPROVAL', 'deny']);
      expect((await guard.authorize(call('no'))).kind).toBe('refusal');
      await guard.approvals.resolve((await pendingOf(guard)).id, { decision: 'approve' }, ALICE);
      expect((await guard.authorize(call('other', {}, { id: '1' }))).kind).toBe('permit');
    });
  });

  describe('repeats', () => {
    it('the same framework call runs once: join while in flight, the result afterwards', async () => {
      const guard = guarded();
      let runs = 0;
      const tool = async (): Promise<number> => {
        runs++;
        await new Promise((done) => setImmediate(done));
        return runs;
      };
      const again = (): Promise<number> => guard.run(call('read', { a: 1 }, { id: 'c1', turn: 't1' }), tool);
      expect(await Promise.all([again(), again(), again()])).toEqual([1, 1, 1]);
      expect(await again()).toBe(1);
      expect(decisions()).toHaveLength(1);
      expect(await guard.run(call('read', { a: 1 }, { id: 'c1', turn: 't2' }), tool)).toBe(2);
      expect(await guard.run(call('read', { a: 1 }, { id: 'c1', turn: 't1', attempt: 2 }), tool)).toBe(3);
    });

    it('an error is remembered like a result; a refusal is not run later', async () => {
      const guard = guarded();
      let runs = 0;
      const failing = (): never => {
        runs++;
        throw new Error(`run ${runs}`);
      };
      for (let i = 0; i < 2; i++) await expect(guard.run(call('read', {}, { id: 'c1' }), failing)).rejects.toThrow('run 1');
      for (let i = 0; i < 2; i++)
        await expect(guard.run(call('no', {}, { id: 'c2' }), failing)).rejects.toMatchObject({ code: 'CALL_REFUSED' });
      expect(runs).toBe(1);
    });

    it('a result that is gone is CALL_ALREADY_RUN with how it ended; a call still open is CALL_IN_PROGRESS', async () => {
      const guard = guarded();
      await guard.run(call('read', {}, { id: 'c1' }), () => 1);
      await guard.close();
      const other = guarded();
      expect(await other.authorize(call('read', {}, { id: 'c1' }))).toMatchObject({
        kind: 'refusal',
        earlier: 'success',
        decision: { reasonCode: 'CALL_ALREADY_RUN' },
      });
      await other.authorize(call('read', {}, { id: 'c2' }));
      expect(code(await other.authorize(call('read', {}, { id: 'c2' })))).toBe('CALL_IN_PROGRESS');
    });

    it('other arguments, tool, session or id are other calls', async () => {
      const guard = guarded();
      const base = call('read', { a: 1 }, { id: 'c1' });
      const variants: ToolCall[] = [
        base,
        { ...base, args: { a: 2 } },
        { ...base, tool: { name: 'read2' } },
        { ...base, tool: { name: 'read', server: 'x' } },
        { ...base, session: 's2' },
        { ...base, id: 'c2' },
      ];
      for (const variant of variants) expect((await guard.authorize(variant)).kind).toBe('permit');
    });
  });

  describe('approvals', () => {
    const ask = (args: unknown = { amount: 900 }, more: Partial<ToolCall> = {}): ToolCall =>
      call('ask-refund', args, { id: 'c1', turn: 't1', ...more });

    it('waits for the answer, runs once, and the ledger tells ask, approval, allow, outcome', async () => {
      const guard = guarded();
      const tool = vi.fn(() => 'refunded');
      const running = guard.run(ask(), tool);
      const row = await untilPending(guard);
      expect(row).toMatchObject({ tool: { name: 'ask-refund' }, shown: { amount: 900 }, reason: 'a human must agree', state: 'pending' });
      await guard.approvals.resolve(row.id, { decision: 'approve', message: 'fine' }, ALICE);
      expect(await running).toBe('refunded');
      await guard.close();
      const story = opened.entries().filter((entry) => 'call' in entry && entry.call === row.call);
      expect(story.map((entry) => entry.kind)).toEqual(['decision', 'approval', 'decision', 'outcome']);
      const [asked, approval, allowed] = story as [
        Entry & { kind: 'decision' },
        Entry & { kind: 'approval' },
        Entry & { kind: 'decision' },
      ];
      expect(approval).toMatchObject({
        approver: { id: 'alice', method: 'host', assurance: 'medium' },
        binds: asked.binds,
        expires_at: asked.approval?.expires_at,
      });
      expect(allowed).toMatchObject({
        effect: 'allow',
        would: 'require_approval',
        reason_code: 'APPROVAL_GRANTED',
        binds: asked.binds,
        approval: { id: row.id },
      });
      expect((await guard.approvals.get(row.id))?.state).toBe('consumed');
    });

    it('a denial reaches the model with its message and nothing runs', async () => {
      const guard = guarded();
      const tool = vi.fn();
      const running = guard.run(ask(), tool).catch((thrown: unknown) => thrown);
      await guard.approvals.resolve((await untilPending(guard)).id, { decision: 'deny', message: 'ask finance' }, ALICE);
      expect(await running).toMatchObject({
        refusal: { decision: { reasonCode: 'APPROVAL_DENIED', reason: 'an approver denied this call: ask finance' } },
      });
      expect(tool).not.toHaveBeenCalled();
    });

    it('suspends, and the same call comes back for it; a second use is refused', async () => {
      const guard = guarded();
      const first = await guard.authorize(ask(), { approval: 'suspend' });
      const second = await guard.authorize(ask(), { approval: 'suspend' });
      expect([first.kind, second.kind]).toEqual(['pending', 'pending']);
      expect((second as { approvalId?: string }).approvalId).toBe((first as { approvalId?: string }).approvalId);
      await guard.approvals.resolve((await pendingOf(guard)).id, { decision: 'approve' }, ALICE);
      const permit = (await guard.authorize(ask(), { approval: 'suspend' })) as Permit;
      expect(permit.kind).toBe('permit');
      expect(code(await guard.authorize(ask(), { approval: 'suspend' }))).toBe('CALL_IN_PROGRESS');
      await permit.settle({ status: 'success' }, { durable: true });
      expect(code(await guard.authorize(ask(), { approval: 'suspend' }))).toBe('CALL_ALREADY_RUN');
    });

    it('an approval is good for no other call', async () => {
      const guard = guarded();
      await guard.authorize(ask(), { approval: 'suspend' });
      await guard.approvals.resolve((await pendingOf(guard)).id, { decision: 'approve' }, ALICE);
      for (const other of [
        ask({ amount: 901 }),
        ask(undefined, { id: 'c2' }),
        ask(undefined, { session: 's2' }),
        ask(undefined, { principal: 'mallory' }),
        { ...ask(), tool: { name: 'ask-other' } },
      ]) {
        expect((await guard.authorize(other, { approval: 'suspend' })).kind).toBe('pending');
      }
    });

    it('a policy that changed in between voids the approval', async () => {
      const guard = guarded();
      await guard.authorize(ask(), { approval: 'suspend' });
      await guard.approvals.resolve((await pendingOf(guard)).id, { decision: 'approve' }, ALICE);
      const changed = guarded({ policy: definePolicy({ id: 'test', version: '2', evaluate: () => ({ effect: 'require_approval' }) }) });
      expect(code(await changed.authorize(ask(), { approval: 'suspend' }))).toBe('APPROVAL_POLICY_CHANGED');
    });

    it('policy is asked again at use: a deny rule wins over an approval', async () => {
      const guard = guarded();
      let mood: 'require_approval' | 'deny' = 'require_approval';
      const policy = definePolicy({ id: 'moody', evaluate: () => ({ effect: mood }) });
      const moody = guarded({ policy });
      await moody.authorize(ask(), { approval: 'suspend' });
      await moody.approvals.resolve((await pendingOf(guard)).id, { decision: 'approve' }, ALICE);
      mood = 'deny';
      expect(code(await moody.authorize(ask(), { approval: 'suspend' }))).toBe('POLICY_DENY_HIGH_RISK');
    });

    it('expires: answered too late, used too late', async () => {
      const guard = guarded({ approvals: { ttlMs: 1000 } });
      await guard.authorize(ask(), { approval: 'suspend' });
      const { id } = await pendingOf(guard);
      clock.advance(1000);
      expect((await guard.approvals.get(id))?.state).toBe('expired');
      await expect(guard.approvals.resolve(id, { decision: 'approve' }, ALICE)).rejects.toMatchObject({ code: 'APPROVAL_NOT_PENDING' });
      expect(code(await guard.authorize(ask(), { approval: 'suspend' }))).toBe('APPROVAL_EXPIRED');

      await guard.authorize(ask(undefined, { id: 'late' }), { approval: 'suspend' });
      await guard.approvals.resolve((await pendingOf(guard)).id, { decision: 'approve' }, ALICE);
      clock.advance(1000);
      expect(code(await guard.authorize(ask(undefined, { id: 'late' }), { approval: 'suspend' }))).toBe('APPROVAL_EXPIRED');
    });

    it('no rule may ask for longer than the cap', async () => {
      const policy = definePolicy({ id: 'long', evaluate: () => ({ effect: 'require_approval', terms: { ttlMs: 1e12 } }) });
      const guard = guarded({ policy, approvals: { maxTtlMs: 5000 } });
      await guard.authorize(ask(), { approval: 'suspend' });
      const row = await pendingOf(guard);
      expect(row.expiresAtMs - row.createdAtMs).toBe(5000);
    });

    it('a caller that gives up is refused, and the approval is closed', async () => {
      const guard = guarded();
      const controller = new AbortController();
      const running = guard.run(ask(), () => 1, { signal: controller.signal }).catch((thrown: unknown) => thrown);
      const { id } = await untilPending(guard);
      controller.abort();
      expect(await running).toMatchObject({ refusal: { decision: { reasonCode: 'CALL_CANCELLED' } } });
      await expect(guard.approvals.resolve(id, { decision: 'approve' }, ALICE)).rejects.toMatchObject({ code: 'APPROVAL_NOT_PENDING' });
    });

    it('quorum counts distinct approvers', async () => {
      const policy = definePolicy({ id: 'two', evaluate: () => ({ effect: 'require_approval', terms: { quorum: 2 } }) });
      const guard = guarded({ policy });
      await guard.authorize(ask(), { approval: 'suspend' });
      const { id } = await pendingOf(guard);
      await guard.approvals.resolve(id, { decision: 'approve' }, ALICE);
      await expect(guard.approvals.resolve(id, { decision: 'approve' }, ALICE)).rejects.toMatchObject({ code: 'APPROVAL_NOT_PENDING' });
      expect((await guard.authorize(ask(), { approval: 'suspend' })).kind).toBe('pending');
      await guard.approvals.resolve(id, { decision: 'approve' }, { id: 'bob', method: 'host' });
      expect((await guard.authorize(ask(), { approval: 'suspend' })).kind).toBe('permit');
    });

    it.each([
      ['unknown id', 'f'.repeat(32), ALICE, 'APPROVAL_NOT_FOUND'],
      ['no name', undefined, { id: '', method: 'host' }, 'APPROVER_REFUSED'],
      ['unknown method', undefined, { id: 'x', method: 'constructor' }, 'APPROVER_REFUSED'],
      ['a key nobody configured', undefined, { id: 'x', method: 'key', signature: 'AAAA' }, 'APPROVER_REFUSED'],
      ['a name that answers with a key only', undefined, { id: 'finance', method: 'host' }, 'APPROVER_REFUSED'],
      [
        'a forged signature',
        undefined,
        { id: 'finance', method: 'key', signature: Buffer.alloc(64).toString('base64') },
        'APPROVER_REFUSED',
      ],
    ] as const)('refuses an answer from %s', async (_what, id, approver, expected) => {
      const { generateKey } = await import('../../src/ledger/keys.ts');
      const guard = guarded({ approvals: { approvers: new Map([['finance', generateKey('finance').vkey]]) } });
      await guard.authorize(ask(), { approval: 'suspend' });
      const row = await pendingOf(guard);
      await expect(guard.approvals.resolve(id ?? row.id, { decision: 'approve' }, approver as never)).rejects.toMatchObject({
        code: expected,
      });
      expect((await guard.approvals.get(row.id))?.state).toBe('pending');
    });

    it('a rule that names approvers takes answers from nobody else', async () => {
      const policy = definePolicy({ id: 'named', evaluate: () => ({ effect: 'require_approval', terms: { approvers: ['finance'] } }) });
      const guard = guarded({ policy });
      await guard.authorize(ask(), { approval: 'suspend' });
      await expect(guard.approvals.resolve((await pendingOf(guard)).id, { decision: 'approve' }, ALICE)).rejects.toMatchObject({
        code: 'APPROVER_REFUSED',
      });
    });

    it('a tool cannot answer: not from inside a guarded call', async () => {
      const guard = guarded();
      await guard.authorize(ask(), { approval: 'suspend' });
      const { id } = await pendingOf(guard);
      const attempt = guard.run(call('helper'), () => guard.approvals.resolve(id, { decision: 'approve' }, ALICE));
      await expect(attempt).rejects.toMatchObject({ code: 'APPROVER_REFUSED' });
      expect((await guard.approvals.get(id))?.state).toBe('pending');
    });

    it('a channel may answer; when every channel fails the call is refused', async () => {
      const answering = guarded({ channels: [{ name: 'yes', ask: async (_request, answer) => answer({ decision: 'approve' }, ALICE) }] });
      expect(await answering.run(ask(), () => 'ran')).toBe('ran');
      const onError = vi.fn();
      const failing = guarded({
        onError,
        channels: [
          { name: 'a', ask: () => Promise.reject(new Error('no tty')) },
          {
            name: 'b',
            ask: () => {
              throw new Error('sync');
            },
          },
        ],
      });
      await expect(failing.run(ask(undefined, { id: 'c9' }), () => 1)).rejects.toMatchObject({
        refusal: { decision: { reasonCode: 'APPROVAL_PROCESS_FAILED' } },
      });
      expect(onError).toHaveBeenCalledTimes(2);
    });

    it('a retry with a fresh id may take over a suspended call, and its approval, once', async () => {
      const guard = guarded();
      const first = await guard.authorize(ask(undefined, { id: '1' }), { approval: 'suspend', adopt: true });
      const second = await guard.authorize(ask(undefined, { id: '2' }), { approval: 'suspend', adopt: true });
      expect((second as { approvalId?: string }).approvalId).toBe((first as { approvalId?: string }).approvalId);
      await guard.approvals.resolve((await pendingOf(guard)).id, { decision: 'approve' }, ALICE);
      expect((await guard.authorize(ask(undefined, { id: '3' }), { approval: 'suspend', adopt: true })).kind).toBe('permit');
      expect((await guard.authorize(ask(undefined, { id: '4' }), { approval: 'suspend', adopt: true })).kind).toBe('pending');
    });

    it('of one of several clients is taken over by that client and by nobody else, with and without a name', async () => {
      const guard = guarded();
      const first = await guard.authorize(ask(undefined, { id: '1' }), { approval: 'suspend', adopt: 'a' });
      await guard.approvals.resolve((await pendingOf(guard)).id, { decision: 'approve' }, ALICE);
      for (const adopt of ['b', '', true, false] as const) {
        const other = await guard.authorize(ask(undefined, { id: `other ${adopt}` }), { approval: 'suspend', adopt });
        expect(other.kind).toBe('pending');
        expect((other as { approvalId?: string }).approvalId).not.toBe((first as { approvalId?: string }).approvalId);
      }
      expect((await guard.authorize(ask(undefined, { id: '2' }), { approval: 'suspend', adopt: 'a' })).kind).toBe('permit');
    });
  });

  describe('budgets', () => {
    const budget = budgetFrom({ id: 'calls', per: 'agent', limit: 2, window: '1m' });

    it('charges in the commit, refuses when it is used up, and moves with the window', async () => {
      const guard = guarded({ budgets: [budget] });
      for (let i = 0; i < 2; i++) await guard.run(call('read'), () => 1);
      await expect(guard.run(call('read'), () => 1)).rejects.toMatchObject({
        refusal: { decision: { reasonCode: 'BUDGET_EXCEEDED_AGENT_RATE' } },
      });
      clock.advance(60_000);
      expect(await guard.run(call('read'), () => 'again')).toBe('again');
      expect(decisions().map((entry) => entry.budgets?.[0]?.left ?? entry.reason_code)).toEqual([
        1_000_000,
        0,
        'BUDGET_EXCEEDED_AGENT_RATE',
        1_000_000,
      ]);
    });

    it('a preview, a deny and a pending approval charge nothing; a budget refusal leaves the approval unconsumed', async () => {
      const guard = guarded({ budgets: [budget] });
      await guard.preview(call('read'));
      await guard.authorize(call('no'));
      await guard.authorize(call('ask', {}, { id: 'c1' }), { approval: 'suspend' });
      for (let i = 0; i < 2; i++) await guard.run(call('read'), () => 1);
      const { id } = await pendingOf(guard);
      await guard.approvals.resolve(id, { decision: 'approve' }, ALICE);
      expect(code(await guard.authorize(call('ask', {}, { id: 'c1' }), { approval: 'suspend' }))).toBe('BUDGET_EXCEEDED_AGENT_RATE');
      expect((await guard.approvals.get(id))?.state).toBe('approved');
      clock.advance(60_000);
      expect((await guard.authorize(call('ask', {}, { id: 'c1' }), { approval: 'suspend' })).kind).toBe('permit');
    });

    it('never overspends under concurrency', async () => {
      const guard = guarded({ budgets: [budgetFrom({ id: 'ten', per: 'agent', limit: 10, window: '1h' })] });
      const results = await Promise.allSettled(Array.from({ length: 100 }, () => guard.run(call('read'), () => 1)));
      expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(10);
    });

    it('all of several budgets or none', async () => {
      const guard = guarded({
        budgets: [budgetFrom({ id: 'wide', per: 'agent', limit: 5 }), budgetFrom({ id: 'narrow', per: 'session', limit: 1 })],
      });
      await guard.run(call('read'), () => 1);
      expect(code(await guard.authorize(call('read')))).toBe('BUDGET_EXCEEDED_SESSION_RATE');
      await guard.run(call('read', {}, { session: 's2' }), () => 1);
      expect(
        decisions()
          .at(-1)
          ?.budgets?.find((charge) => charge.id === 'wide')?.left,
      ).toBe(3_000_000);
    });

    it('a cost that cannot be worked out is a deny', async () => {
      const guard = guarded({ budgets: [budgetFrom({ id: 'money', per: 'agent', limit: 100, cost: 'args.amount' })] });
      for (const args of [{}, { amount: 'ten' }, { amount: -1 }, { amount: 0.000_000_1 }]) {
        expect(code(await guard.authorize(call('pay', args)))).toBe('BUDGET_EVALUATION_FAILED');
      }
      expect((await guard.authorize(call('pay', { amount: 99.999_999 }))).kind).toBe('permit');
    });

    it('audit mode charges, reports and lets run', async () => {
      const guard = guarded({ mode: 'audit', budgets: [budgetFrom({ id: 'one', per: 'agent', limit: 1 })] });
      for (let i = 0; i < 2; i++) await guard.run(call('read'), () => 1);
      expect(decisions()[1]).toMatchObject({
        effect: 'allow',
        would: 'deny',
        reason_code: 'BUDGET_EXCEEDED_AGENT_RATE',
        budgets: [{ left: -1_000_000 }],
      });
    });
  });

  describe('sessions', () => {
    it('labels commit with the decision and bind later rules', async () => {
      const guard = guarded();
      expect((await guard.authorize(call('unless-seen'))).kind).toBe('permit');
      await guard.run(call('label'), () => 1);
      expect((await guard.authorize(call('unless-seen'))).kind).toBe('refusal');
      expect((await guard.authorize(call('unless-seen', {}, { session: 's2' }))).kind).toBe('permit');
    });

    it('a label that lands while a call is being decided sends that call back to policy', async () => {
      const guard = guarded();
      let release: () => void = () => {};
      const gate = new Promise<void>((done) => (release = done));
      let asked = 0;
      const slow = guarded({
        policy: definePolicy({
          id: 'slow',
          evaluate: async ({ session }) => {
            if (asked++ === 0) await gate;
            return session.labels.includes('seen') ? { effect: 'deny', rule: 'seen' } : { effect: 'allow' };
          },
        }),
      });
      const deciding = slow.authorize(call('read'));
      await vi.waitFor(() => expect(asked).toBe(1), 20_000);
      await guard.run(call('label'), () => 1);
      release();
      expect(await deciding).toMatchObject({ kind: 'refusal', decision: { rule: 'seen' } });
    });

    it('a halted session refuses everything, in audit mode too, until it is resumed', async () => {
      const guard = guarded({ mode: 'audit', policy: allowAll() });
      await guard.run(call('read'), () => 1);
      const event = (name: 'halted' | 'resumed') =>
        opened.store.commit({ kind: 'record', body: { kind: 'session', agent: 'tester', session: 's1', event: name } });
      await event('halted');
      expect(code(await guard.authorize(call('read')))).toBe('SESSION_HALTED');
      await event('resumed');
      expect((await guard.authorize(call('read'))).kind).toBe('permit');
    });
  });

  describe('preview and tool', () => {
    it('preview grants nothing; opening the approval early serves the run that follows', async () => {
      const guard = guarded();
      expect(await guard.preview(call('ask', {}, { id: 'c1' }))).toEqual({
        decision: expect.objectContaining({ effect: 'require_approval' }),
      });
      const { approvalId } = await guard.preview(call('ask', {}, { id: 'c1' }), { openApproval: true });
      expect(await guard.authorize(call('ask', {}, { id: 'c1' }), { approval: 'suspend' })).toMatchObject({ kind: 'pending', approvalId });
      expect((await guard.preview(call('no'))).decision.effect).toBe('deny');
    });

    it('tool wraps a function; its policy adds and never loosens', async () => {
      const guard = guarded();
      const add = guard.tool('add', ({ a, b }: { a: number; b: number }) => a + b);
      expect(await add({ a: 1, b: 2 })).toBe(3);
      const stricter = guard.tool('add', () => 1, { policy: denyAll() });
      await expect(stricter({})).rejects.toMatchObject({ code: 'CALL_REFUSED' });
      const looser = guard.tool('no-way', () => 1, { policy: allowAll() });
      await expect(looser({})).rejects.toMatchObject({ code: 'CALL_REFUSED' });
    });

    it('tool parses before it decides, and records what does not parse', async () => {
      const guard = guarded();
      const schema = {
        parse: (input: unknown) => {
          if (typeof input !== 'number') throw new Error('not a number');
          return input * 2;
        },
      };
      const double = guard.tool('double', (value: number) => value, { schema });
      expect(await double(2)).toBe(4);
      await expect(double('2' as never)).rejects.toMatchObject({ refusal: { decision: { reasonCode: 'ARGUMENTS_INVALID' } } });
    });

    it('records a refusal for what never became a call', async () => {
      const refused = await guarded().recordRefusal({ tool: { name: 'x\u0000' }, reasonCode: 'MESSAGE_INVALID', reason: 'a batch' });
      expect(refused.entry).toBeDefined();
      expect(decisions()).toMatchObject([{ tool: { name: '[invalid]' }, reason_code: 'MESSAGE_INVALID', effect: 'deny' }]);
    });
  });
});
