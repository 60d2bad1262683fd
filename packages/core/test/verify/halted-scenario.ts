/** A ledger in which sessions were halted and incidents answered: by a monitor beside a guard, under a clock that stands still. */
import { join } from 'node:path';
import {
  AFTER_HALT,
  type Approver,
  createGuard,
  definePolicy,
  type EntryRef,
  type Guard,
  generateKey,
  type HaltAnswer,
  type HaltChoice,
  type MonitorHost,
  monitorHost,
  type Store,
  signerFromPem,
  type VerdictRecord,
} from '../../src/index.ts';
import { fixedClock } from '../../src/testing/index.ts';
import { openLedger, tempDirectory } from '../fixtures/ledger.ts';

const finance = generateKey('finance');
const financeSigner = signerFromPem(finance.privatePem, 'finance');
export const APPROVERS: ReadonlyMap<string, string> = new Map([['finance', finance.vkey]]);
export const ALICE: Approver = { id: 'alice', method: 'host' };

const policy = definePolicy({
  id: 'monitored',
  version: '1',
  evaluate: ({ tool: { server, name }, args }) =>
    server === AFTER_HALT.server && (args as { readonly do?: string }).do !== 'deny'
      ? { effect: 'require_approval', rule: 'after-halt' }
      : { effect: name === 'no' ? 'deny' : 'allow', rule: 'calls' },
});

export const guardOf = (store: Store, session: string): Guard =>
  createGuard({ agent: 'billing', policy, store, session, approvals: { approvers: APPROVERS } });

export const verdictOf = (more: Partial<VerdictRecord> = {}): VerdictRecord => ({
  kind: 'verdict',
  session: 's1',
  level: 'HALT',
  enforced: 'HALT',
  mode: 'enforce_kill',
  rule: 'mass-deletion',
  evaluator: 'rules',
  confidence: 1,
  phase: 'after',
  activity: { reason: 'deleted 20 files in 10 s', paths: ['/srv/a', '/srv/b'] },
  ...more,
});

/** Asks what is to happen, lets somebody answer, asks again. */
export async function askAfterHalt(guard: Guard, incident: string, decision: 'approve' | 'deny'): Promise<HaltAnswer> {
  const call = { tool: AFTER_HALT, args: { incident, rule: 'mass-deletion', do: 'resume' }, id: incident, turn: '1' };
  const pending = await guard.authorize(call, { approval: 'suspend' });
  if (pending.kind !== 'pending') throw new Error(`nobody was asked: ${pending.decision.reasonCode}`);
  await guard.approvals.resolve(pending.approvalId, { decision }, ALICE);
  const answer = await guard.authorize(call, { approval: 'suspend' });
  const id = pending.approvalId;
  if (answer.kind === 'permit') {
    await answer.settle({ status: 'success' }, { durable: true });
    return { id, decision: answer.entry };
  }
  const no = (await guard.approvals.get(id))?.answers.at(-1);
  if (no === undefined) throw new Error('nobody answered');
  return { id, decision: { of: no.of, leaf: no.leaf } };
}

export async function resumeByKey(guard: Guard, choice: HaltChoice): Promise<EntryRef> {
  const draft = await guard.halts.draft(choice);
  const signature = Buffer.from(financeSigner.sign(draft.statement('finance'))).toString('base64');
  return guard.halts.resume(choice, { id: 'finance', method: 'key', signature }, { message: 'looked at it', halt: draft.halt.entry });
}

export async function writeHalted(path: string = join(tempDirectory(), 'ledger.db')): Promise<string> {
  const clock = fixedClock();
  const store = openLedger(path, { clock });
  const agent = guardOf(store, 's1');
  const warden = guardOf(store, 'w');
  const host = monitorHost({ store, agent: 'billing', session: 'w' });
  await host.mark('start', { coverage: 'L1' });
  await agent.run({ tool: { name: 'read' }, args: { a: 1 } }, () => 'ok');
  await host.record(verdictOf({ level: 'FLAG', enforced: 'FLAG', rule: 'burst', confidence: 0.5, evaluator: 'judge' }));
  await haltedByCall(agent, warden, host);
  clock.advance(1000);
  await haltedAll(agent, warden, host);
  await overridden(warden, host);
  await deniedOne(warden, host);
  await audited(host);
  await host.mark('coverage', { coverage: 'L0' });
  await agent.run({ tool: { name: 'read' }, args: { a: 3 } }, () => 'ok');
  await host.note('activity-segment', { sha256: 'ab'.repeat(32) });
  await Promise.all([agent.close(), warden.close()]);
  await store.close();
  return path;
}

/** A call did it: its session stands still until a person says yes. */
async function haltedByCall(agent: Guard, warden: Guard, host: MonitorHost): Promise<void> {
  const call = (await agent.authorize({ tool: { name: 'delete' }, args: {} })) as { readonly callId: string };
  const verdict = await host.record(verdictOf({ call: call.callId, incident: 'i1' }));
  const of = { kind: 'containment', session: 's1', incident: 'i1', verdict, grade: 'signal' } as const;
  await host.record({ ...of, event: 'frozen', count: 3, duration_ms: 4, details: { pids: [11, 12, 13] } });
  await host.halt('s1', 'MONITOR_HALT', { incident: 'i1' });
  await agent.authorize({ tool: { name: 'read' }, args: { a: 2 } });
  const { id, decision } = await askAfterHalt(warden, 'i1', 'approve');
  await host.record({ ...of, event: 'resumed', approval: { id, decision } });
  await host.resume('s1', { id, decision });
}

/** Nobody knows which call did it: everything stands still until a person says no, and another lets sessions go on. */
async function haltedAll(agent: Guard, warden: Guard, host: MonitorHost): Promise<void> {
  const verdict = await host.record(verdictOf({ session: 'w', incident: 'i2', level: 'KILL', enforced: 'HALT', mode: 'flag_and_hold' }));
  const of = { kind: 'containment', session: 'w', incident: 'i2', verdict, grade: 'cgroup' } as const;
  await host.halt(undefined, 'MONITOR_HALT', { incident: 'i2' });
  await host.record({ ...of, event: 'frozen', count: 2 });
  await agent.authorize({ tool: { name: 'read' }, args: { a: 2 } });
  const { id, decision } = await askAfterHalt(warden, 'i2', 'deny');
  await host.record({ ...of, event: 'killed', count: 2, left: 0, approval: { id, decision } });
  await host.record({ ...of, event: 'quarantined', count: 1, details: { paths: ['/srv/new'] } });
  await host.record({ kind: 'containment', session: 'w', incident: 'i2', event: 'restored', count: 1 });
  await resumeByKey(agent, {});
}

/** A person said beforehand that the next halt of a rule goes on: once. */
async function overridden(warden: Guard, host: MonitorHost): Promise<void> {
  const call = { tool: AFTER_HALT, args: { incident: 'i5', rule: 'mass-deletion', do: 'resume' } };
  const pending = await warden.authorize({ ...call, id: 'i5', turn: '1' }, { approval: 'suspend' });
  if (pending.kind !== 'pending') throw new Error('nobody was asked');
  const grant = { ttlMs: 60_000, uses: 1, reason: 'cleaning up', scope: 'session', when: "args.rule == 'mass-deletion'" } as const;
  await warden.approvals.resolve(pending.approvalId, { decision: 'approve', grant }, ALICE);
  const again = { ...call, args: { ...call.args, incident: 'i6' }, id: 'i6', turn: '1' };
  const verdict = await host.record(verdictOf({ session: 'w', incident: 'i6' }));
  await host.record({ kind: 'containment', session: 'w', incident: 'i6', verdict, event: 'frozen', count: 1 });
  const permit = await warden.authorize(again, { approval: 'suspend' });
  if (permit.kind !== 'permit') throw new Error('the grant did not allow it');
  await permit.settle({ status: 'success' }, { durable: true });
  const approval = { id: permit.callId, decision: permit.entry };
  await host.record({ kind: 'containment', session: 'w', incident: 'i6', verdict, event: 'overridden', count: 1, approval });
}

/** What a person makes of the question: those that did it are ended, the rest goes on. */
async function deniedOne(warden: Guard, host: MonitorHost): Promise<void> {
  const call = { tool: AFTER_HALT, args: { incident: 'i7', rule: 'mass-deletion', do: 'resume' }, id: 'i7', turn: '1' };
  const verdict = await host.record(verdictOf({ session: 'w', incident: 'i7', rule: 'egress' }));
  await host.record({ kind: 'containment', session: 'w', incident: 'i7', verdict, event: 'frozen', count: 2 });
  const pending = await warden.authorize({ ...call, args: { ...call.args, rule: 'egress' } }, { approval: 'suspend' });
  if (pending.kind !== 'pending') throw new Error('nobody was asked');
  await warden.approvals.resolve(pending.approvalId, { decision: 'edit', args: { incident: 'i7', rule: 'egress', do: 'deny' } }, ALICE);
  const permit = await warden.authorize({ ...call, args: { ...call.args, rule: 'egress' } }, { approval: 'suspend' });
  if (permit.kind !== 'permit') throw new Error(`refused: ${permit.decision.reasonCode}`);
  await permit.settle({ status: 'success' }, { durable: true });
  const approval = { id: pending.approvalId, decision: permit.entry };
  await host.record({ kind: 'containment', session: 'w', incident: 'i7', verdict, event: 'denied', count: 1, approval });
}

async function audited(host: MonitorHost): Promise<void> {
  await host.record(
    verdictOf({
      session: 'w',
      incident: 'i3',
      level: 'KILL',
      enforced: 'FLAG',
      mode: 'audit_only',
      candidates: ['cd'.repeat(16), 'ab'.repeat(16)],
    }),
  );
  await host.record({ kind: 'containment', session: 'w', incident: 'i4', event: 'failed', count: 1, reason_code: 'NOT_PERMITTED' });
}
