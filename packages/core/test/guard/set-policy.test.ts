import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  allowAll,
  CallRefusedError,
  CountersignError,
  composePolicies,
  createGuard,
  definePolicy,
  denyAll,
  type Effect,
  type Guard,
  type GuardOptions,
  type Policy,
  type Store,
} from '../../src/index.ts';
import type { Entry } from '../../src/ledger/entry.ts';
import { verifyLedger } from '../../src/sqlite/index.ts';
import { type MemoryStore, memoryStore } from '../../src/testing/index.ts';
import { guardOn, LEDGER_VKEY, openLedger, tempDirectory } from '../fixtures/ledger.ts';

const ALICE = { id: 'alice', method: 'host' } as const;

/** Policies that differ in their version alone: each hash names one of them. */
function numbered(version: number, effect: Effect = 'allow', evaluate?: Policy['evaluate']): Policy {
  return definePolicy({
    id: 'numbered',
    version: String(version),
    evaluate: evaluate ?? (() => ({ effect, rule: `${effect}-${version}` })),
  });
}

function guardWith(store: Store, policy: GuardOptions['policy'], more: Partial<GuardOptions> = {}): Guard {
  return guardOn(store, { policy, ...more });
}
const notes = (store: MemoryStore, topic: string): readonly Entry[] =>
  store.entries().filter((entry) => entry.kind === 'note' && entry.topic === topic);

/** A store whose next commits wait until they are let through. */
function held(store: MemoryStore): { readonly store: Store; hold(): void; release(): void; readonly waiting: () => number } {
  let gate: Promise<void> | undefined;
  let open = (): void => {};
  let waiting = 0;
  const commit: Store['commit'] = async (unit) => {
    if (gate !== undefined && unit.kind === 'decide') {
      waiting++;
      await gate;
      waiting--;
    }
    return store.commit(unit);
  };
  return {
    store: new Proxy(store, {
      get: (target, name) => {
        if (name === 'commit') return commit;
        const value: unknown = Reflect.get(target, name);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    }),
    hold: () => {
      gate = new Promise((resolve) => {
        open = resolve;
      });
    },
    release: () => {
      gate = undefined;
      open();
    },
    waiting: () => waiting,
  };
}

describe('guard.setPolicy', () => {
  it('decides every later call under the new policy, and records document and change first', async () => {
    const store = memoryStore();
    const [one, two] = [numbered(1), numbered(2, 'deny')];
    const guard = guardWith(store, one);
    expect((await guard.authorize({ tool: { name: 'a' }, args: {} })).kind).toBe('permit');
    const stricter = two;
    const change = await guard.setPolicy(stricter);
    expect(change).toEqual({
      changed: true,
      from: { id: 'numbered', version: '1', hash: one.hash },
      to: { id: 'numbered', version: '2', hash: two.hash },
    });
    expect(guard.policy).toEqual(change.to);
    const refused = await guard.authorize({ tool: { name: 'a' }, args: {} });
    expect(refused).toMatchObject({ kind: 'refusal', decision: { rule: 'deny-2' } });
    const told = store.entries().map((entry) => {
      if (entry.kind === 'policy') return `policy ${entry.policy.version}`;
      if (entry.kind === 'note') return entry.topic;
      return entry.kind === 'decision' ? `decision ${entry.policy.version}` : entry.kind;
    });
    expect(told).toEqual(['policy 1', 'session', 'decision 1', 'policy 2', 'policy-changed', 'decision 2']);
    expect(notes(store, 'policy-changed')).toMatchObject([
      { data: { agent: 'tester', from: { id: 'numbered', version: '1', hash: one.hash }, to: { hash: two.hash } } },
    ]);
  });

  it('writes nothing for a policy with the same hash, and takes its code all the same', async () => {
    const store = memoryStore();
    let answer: Effect = 'allow';
    const source: Policy['evaluate'] = () => ({ effect: answer });
    const it = guardWith(store, numbered(1, 'allow', source));
    expect((await it.setPolicy(numbered(1, 'allow', source))).changed).toBe(false);
    expect(store.entries()).toEqual([]);
    answer = 'deny';
    expect((await it.authorize({ tool: { name: 'a' }, args: {} })).kind).toBe('refusal');
  });

  it('reaches tools that were wrapped before, and keeps what they add', async () => {
    const store = memoryStore();
    const it = guardWith(store, denyAll());
    const strict = definePolicy({
      id: 'own',
      evaluate: ({ args }) => ({ effect: (args as { n: number }).n > 1 ? 'deny' : 'allow', rule: 'own' }),
    });
    const tool = it.tool('a', ({ n }: { n: number }) => n, { policy: strict });
    await expect(tool({ n: 1 })).rejects.toMatchObject({ refusal: { decision: { rule: 'deny-all' } } });
    await it.setPolicy(allowAll());
    expect(await tool({ n: 1 })).toBe(1);
    await expect(tool({ n: 2 })).rejects.toMatchObject({ refusal: { decision: { rule: 'own' } } });
    await it.setPolicy(denyAll());
    await expect(tool({ n: 1 })).rejects.toBeInstanceOf(CallRefusedError);
  });

  it('takes several policies as one', async () => {
    const it = guardWith(memoryStore(), allowAll());
    expect((await it.setPolicy([allowAll(), denyAll()])).to.id).toBe('allow-all+deny-all');
    expect((await it.authorize({ tool: { name: 'a' }, args: {} })).kind).toBe('refusal');
  });

  it.each([
    ['nothing', undefined],
    ['null', null],
    ['an empty list', []],
    ['an object', {}],
    ['a hash that is not of its document', { ...allowAll(), hash: '0'.repeat(64) }],
    ['an id with a newline', { ...allowAll(), id: 'a\nb' }],
    ['a document past the limit', definePolicy({ id: 'big', version: 'x'.repeat(1_000_000), evaluate: () => ({ effect: 'allow' }) })],
  ])('refuses %s: the old policy stays in force, and that is recorded', async (_name, given) => {
    const store = memoryStore();
    const it = guardWith(store, numbered(1, 'deny'));
    await expect(it.setPolicy(given as unknown as Policy)).rejects.toMatchObject({ code: 'OPTIONS_INVALID' });
    expect(it.policy.version).toBe('1');
    expect((await it.authorize({ tool: { name: 'a' }, args: {} })).kind).toBe('refusal');
    expect(notes(store, 'policy-rejected')).toMatchObject([{ data: { code: 'OPTIONS_INVALID', in_force: { version: '1' } } }]);
  });

  it('records code and place of a policy that does not load, never its text', async () => {
    const store = memoryStore();
    const it = guardWith(store, allowAll());
    const secret = 'sk-live-0123456789';
    const failing = (error: unknown) => async () => Promise.reject(error);
    const broken = new CountersignError('CONFIG_INVALID', `bad ${secret}`, { details: { line: 3, column: 7, quoted: secret } });
    await expect(it.setPolicy(failing(broken))).rejects.toBe(broken);
    await expect(it.setPolicy(failing(new Error(secret)))).rejects.toThrow(secret);
    await expect(it.setPolicy(failing(undefined))).rejects.toBe(undefined);
    await expect(
      it.setPolicy(() => {
        throw new CountersignError('CONFIG_INVALID', 'x', { details: { line: secret, column: -1 } });
      }),
    ).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    const inForce = { id: 'allow-all', hash: allowAll().hash };
    expect(notes(store, 'policy-rejected').map((entry) => (entry.kind === 'note' ? entry.data : undefined))).toEqual([
      { agent: 'tester', code: 'CONFIG_INVALID', line: 3, column: 7, in_force: inForce },
      { agent: 'tester', code: 'INTERNAL_ERROR', in_force: inForce },
      { agent: 'tester', code: 'INTERNAL_ERROR', in_force: inForce },
      { agent: 'tester', code: 'CONFIG_INVALID', in_force: inForce },
    ]);
    expect(JSON.stringify(store.entries())).not.toContain(secret);
  });

  it('keeps the old policy when the change cannot be recorded', async () => {
    const store = memoryStore();
    const it = guardWith(store, numbered(1, 'deny'));
    store.failWith(new CountersignError('LEDGER_WRITE_FAILED', 'the disk is full'));
    await expect(it.setPolicy(allowAll())).rejects.toMatchObject({ code: 'LEDGER_WRITE_FAILED' });
    store.failWith(undefined);
    expect(it.policy.version).toBe('1');
    expect((await it.authorize({ tool: { name: 'a' }, args: {} })).kind).toBe('refusal');
    expect(store.entries().some((entry) => entry.kind === 'note')).toBe(false);
    await it.setPolicy(allowAll());
    expect((await it.authorize({ tool: { name: 'a' }, args: {} })).kind).toBe('permit');
  });

  it('keeps the old policy when only the note fails: a document without a change decides nothing', async () => {
    const store = memoryStore();
    const commit = store.commit.bind(store);
    const it = guardWith(store, numbered(1, 'deny'));
    store.commit = async (unit) => {
      if (unit.kind === 'record' && unit.body.kind === 'note') throw new CountersignError('LEDGER_BUSY', 'locked');
      return commit(unit);
    };
    await expect(it.setPolicy(numbered(2))).rejects.toMatchObject({ code: 'LEDGER_BUSY' });
    expect((await it.authorize({ tool: { name: 'a' }, args: {} })).kind).toBe('refusal');
    expect(store.entries().flatMap((entry) => (entry.kind === 'decision' ? [entry.policy.version] : []))).toEqual(['1']);
  });
});

describe('calls in flight when the policy changes', () => {
  it('waits for what is being committed, and lets nothing be committed meanwhile', async () => {
    const inner = memoryStore();
    const slow = held(inner);
    const it = guardWith(slow.store, numbered(1));
    slow.hold();
    const before = it.authorize({ tool: { name: 'before' }, args: {} });
    while (slow.waiting() === 0) await new Promise(setImmediate);
    const change = it.setPolicy(numbered(2, 'deny'));
    const during = it.authorize({ tool: { name: 'during' }, args: {} });
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    expect(slow.waiting()).toBe(1);
    expect(it.policy.version).toBe('1');
    slow.release();
    await change;
    // The commit that was under way stands; the one that was not begun is decided again.
    expect((await before).kind).toBe('permit');
    expect((await during).kind).toBe('refusal');
    const versions = inner.entries().flatMap((entry) => (entry.kind === 'decision' ? [`${entry.tool.name} ${entry.policy.version}`] : []));
    expect(versions).toEqual(['before 1', 'during 2']);
  });

  it.each([
    ['allow', 'deny', 'refusal'],
    ['deny', 'allow', 'permit'],
    ['require_approval', 'deny', 'refusal'],
    ['require_approval', 'allow', 'permit'],
    ['allow', 'require_approval', 'pending'],
  ] as const)(
    'a call that one policy answers with %s while another with %s is put in force is decided by that: %s',
    async (first, then, kind) => {
      const store = memoryStore();
      const started = Promise.withResolvers<void>();
      const answer = Promise.withResolvers<void>();
      const slowly = async (): Promise<{ effect: Effect }> => {
        started.resolve();
        await answer.promise;
        return { effect: first };
      };
      const it = guardWith(store, numbered(1, 'allow', slowly));
      const call = it.authorize({ tool: { name: 'a' }, args: {} }, { approval: 'suspend' });
      await started.promise;
      await it.setPolicy(numbered(2, then));
      answer.resolve();
      expect((await call).kind).toBe(kind);
      const decisions = store.entries().flatMap((entry) => (entry.kind === 'decision' ? [entry.policy.version] : []));
      expect(decisions).toEqual(['2']);
    },
  );

  it('lets what has its permit run', async () => {
    const store = memoryStore();
    const it = guardWith(store, numbered(1));
    const permit = await it.authorize({ tool: { name: 'a' }, args: {} });
    await it.setPolicy(denyAll());
    if (permit.kind !== 'permit') throw new Error('not allowed');
    expect(permit.within(() => 'ran')).toBe('ran');
    await permit.settle({ status: 'success' }, { durable: true });
    expect(store.entries().at(-1)).toMatchObject({ kind: 'outcome', status: 'success' });
  });

  it('takes no approval that was given under another policy', async () => {
    const store = memoryStore();
    const it = guardWith(store, numbered(1, 'require_approval'));
    const call = { tool: { name: 'a' }, args: {}, id: 'one' };
    const pending = await it.authorize(call, { approval: 'suspend' });
    if (pending.kind !== 'pending') throw new Error('not asked');
    await it.approvals.resolve(pending.approvalId, { decision: 'approve' }, ALICE);
    await it.setPolicy(numbered(2, 'require_approval'));
    expect(await it.authorize(call, { approval: 'suspend' })).toMatchObject({ decision: { reasonCode: 'APPROVAL_POLICY_CHANGED' } });
  });

  it('takes an approval when the policy it was given under is back', async () => {
    const it = guardWith(memoryStore(), numbered(1, 'require_approval'));
    const call = { tool: { name: 'a' }, args: {}, id: 'one' };
    const pending = await it.authorize(call, { approval: 'suspend' });
    if (pending.kind !== 'pending') throw new Error('not asked');
    await it.setPolicy(numbered(2, 'require_approval'));
    await it.approvals.resolve(pending.approvalId, { decision: 'approve' }, ALICE);
    await it.setPolicy(numbered(1, 'require_approval'));
    expect((await it.authorize(call, { approval: 'suspend' })).kind).toBe('permit');
  });

  it('takes no grant that was given under another policy', async () => {
    const it = guardWith(memoryStore(), numbered(1, 'require_approval'));
    const pending = await it.authorize({ tool: { name: 'a' }, args: {} }, { approval: 'suspend' });
    if (pending.kind !== 'pending') throw new Error('not asked');
    const grant = { uses: 5, ttlMs: 60_000, reason: 'a test' };
    await it.approvals.resolve(pending.approvalId, { decision: 'approve', grant }, ALICE);
    expect((await it.preview({ tool: { name: 'a' }, args: {} })).decision.reasonCode).toBe('GRANT_USED');
    await it.setPolicy(numbered(2, 'require_approval'));
    expect((await it.authorize({ tool: { name: 'a' }, args: {} }, { approval: 'suspend' })).kind).toBe('pending');
    await it.setPolicy(numbered(1, 'require_approval'));
    expect((await it.authorize({ tool: { name: 'a' }, args: {} }, { approval: 'suspend' })).kind).toBe('permit');
  });

  it('decides a call that waits for a person under the policy in force when the answer comes', async () => {
    const store = memoryStore();
    const asked = Promise.withResolvers<string>();
    const channel = { name: 'test', ask: async (request: { readonly id: string }) => asked.resolve(request.id) };
    const it = guardWith(store, numbered(1, 'require_approval'), { channels: [channel] });
    const waits = it.authorize({ tool: { name: 'a' }, args: {} });
    const id = await asked.promise;
    await it.setPolicy(numbered(2, 'deny'));
    await it.approvals.resolve(id, { decision: 'approve' }, ALICE);
    expect(await waits).toMatchObject({ kind: 'refusal', decision: { rule: 'deny-2' } });
  });

  it('refuses a call whose policy changes for ever, and runs nothing', async () => {
    const store = memoryStore();
    let version = 1;
    const restless = (): Policy =>
      numbered(version++, 'allow', async () => {
        await it.setPolicy(restless());
        return { effect: 'allow' };
      });
    const it = createGuard({ agent: 'tester', policy: restless(), store, session: 's1' });
    const refused = await it.authorize({ tool: { name: 'a' }, args: {} });
    expect(refused).toMatchObject({ kind: 'refusal', decision: { reasonCode: 'LEDGER_WRITE_FAILED_DECISION' } });
    expect(store.entries().some((entry) => entry.kind === 'decision')).toBe(false);
  });

  it('never mixes two policies, however calls and changes race', async () => {
    const action = fc.oneof(
      {
        weight: 3,
        arbitrary: fc.record({ kind: fc.constant('call' as const), tool: fc.constantFrom('a', 'b', 'wrapped'), turns: fc.nat(3) }),
      },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('change' as const), version: fc.integer({ min: 1, max: 4 }) }) },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('pause' as const), turns: fc.nat(3) }) },
    );
    const effectOf = (version: number): Effect => (['deny', 'allow', 'require_approval', 'allow'] as const)[version % 4] ?? 'deny';
    await fc.assert(
      fc.asyncProperty(fc.array(action, { minLength: 5, maxLength: 40 }), async (actions) => {
        const store = memoryStore();
        const turns = async (count: number): Promise<void> => {
          for (let turn = 0; turn < count; turn++) await Promise.resolve();
        };
        let delay = 0;
        const policy = (version: number): Policy =>
          numbered(version, 'deny', async () => {
            await turns(delay);
            return { effect: effectOf(version), rule: `rule-${version}` };
          });
        const it = guardWith(store, policy(1));
        // Denies, so that nothing waits for a person.
        const own = definePolicy({ id: 'own', evaluate: () => ({ effect: 'deny', rule: 'own' }) });
        const wrapped = it.tool('wrapped', () => 'ran', { policy: own });
        const composed = new Map([1, 2, 3, 4].map((version) => [policy(version).hash, composePolicies([policy(version), own]).hash]));
        const running: Promise<unknown>[] = [];
        for (const each of actions) {
          if (each.kind === 'pause') await turns(each.turns);
          else if (each.kind === 'change') running.push(it.setPolicy(policy(each.version)));
          else {
            delay = each.turns;
            running.push(
              each.tool === 'wrapped'
                ? wrapped({}).catch(() => undefined)
                : it.authorize({ tool: { name: each.tool }, args: {} }, { approval: 'suspend' }),
            );
          }
        }
        await Promise.all(running);

        let inForce = policy(1).hash;
        for (const entry of store.entries()) {
          if (entry.kind === 'note') {
            const { from, to } = entry.data as { from: { hash: string }; to: { hash: string } };
            expect(from.hash).toBe(inForce);
            inForce = to.hash;
          }
          // Between two notes every decision is by the policy that is in force there, and by its rule.
          if (entry.kind === 'decision') {
            if (entry.tool.name === 'wrapped') expect(entry).toMatchObject({ effect: 'deny', policy: { hash: composed.get(inForce) } });
            else {
              const version = Number(entry.policy.version);
              expect(entry.policy.hash).toBe(inForce);
              expect(entry.rule).toBe(`rule-${version}`);
              expect(entry.would).toBe(effectOf(version));
            }
          }
        }
        expect(it.policy.hash).toBe(inForce);
      }),
      { numRuns: 150 },
    );
  });
});

it('what a permitted call brings is judged by the policy that permitted it, not by one put in force while it was on its way', async () => {
  const store = memoryStore();
  const withholding = definePolicy({
    id: 'withholds',
    evaluate: () => ({ effect: 'allow', rule: 'a' }),
    evaluateResult: () => ({ action: 'withhold', rule: 'keep-in' }),
  });
  let guard: Guard | undefined;
  const it = guardWith(store, withholding, {
    audit: [
      // The decision is durable, and the permit waits for its line.
      { required: true, write: async () => void (await guard?.setPolicy(allowAll())), close: () => {} },
    ],
  });
  guard = it;
  const permit = await it.authorize({ tool: { name: 'a' }, args: {} });
  expect(it.policy.id).toBe(allowAll().id);
  if (permit.kind !== 'permit') throw new Error(permit.kind);
  expect(permit.holdsResult).toBe(true);
  expect(await permit.release({ status: 'success', result: 'private' })).toMatchObject({ kind: 'replaced', action: 'withhold' });
});

it('a ledger with changes of policy verifies', async () => {
  const path = join(tempDirectory(), 'ledger.db');
  const store = openLedger(path);
  const it = guardWith(store, numbered(1));
  await it.run({ tool: { name: 'a' }, args: {} }, () => 1);
  await it.setPolicy(numbered(2, 'deny'));
  await expect(it.run({ tool: { name: 'a' }, args: {} }, () => 1)).rejects.toBeInstanceOf(CallRefusedError);
  await it.setPolicy(() => Promise.reject(new Error('no'))).catch(() => undefined);
  await it.setPolicy(numbered(1));
  await it.run({ tool: { name: 'a' }, args: {} }, () => 1);
  await it.close();
  await store.close();
  const report = await verifyLedger(path, { publicKeys: [LEDGER_VKEY] });
  expect(report).toMatchObject({ status: 'valid', problems: [], counts: { policies: 2, allowed: 2 } });
});
