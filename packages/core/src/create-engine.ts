/** From the options of a guard to its engine; everything wrong with them is said here. */
import { foldApprover } from './approval/approver-name.ts';
import { autoApprover } from './approval/auto-approve.ts';
import { ApprovalNotices } from './approval/notices.ts';
import { resolveApproval } from './approval/resolve.ts';
import { AuditTrail } from './audit-log/trail.ts';
import { requireUsableBudgets } from './budget/budget.ts';
import { BudgetKeys } from './budget/key.ts';
import { Stories } from './call-story.ts';
import { MAX_DURATION_MS } from './config/duration.ts';
import type { Engine } from './engine.ts';
import { CountersignError } from './errors.ts';
import { MAX_GRANT_TTL_MS } from './grant/terms.ts';
import type { GuardOptions } from './guard-types.ts';
import type { ApprovalAnswer, Approver, HostMonitor } from './interfaces.ts';
import { newId } from './ledger/body.ts';
import { monitorHost } from './monitor-host.ts';
import { isName } from './names.ts';
import { OpenCalls } from './open-calls.ts';
import { PIN_MODES } from './pin/objection.ts';
import { composePolicies } from './policy/compose.ts';
import { policyHash } from './policy/hash.ts';
import { PolicyInForce } from './policy/in-force.ts';
import { ownFilesPolicy } from './policy/own-files.ts';
import type { Policy } from './policy/policy.ts';
import { rootsFrom } from './policy/roots.ts';
import { createRedactor } from './redact/redact.ts';
import { SessionTurns } from './session-turns.ts';
import type { Store } from './store.ts';
import type { ApprovalRow } from './store-rows.ts';
import type { Committed } from './store-units.ts';

export const DEFAULT_APPROVAL_TTL_MS: number = 5 * 60_000;
export const MAX_APPROVAL_TTL_MS: number = 60 * 60_000;
const MAX_POLICY_DOCUMENT_BYTES = 900_000;

export function createEngine(options: GuardOptions): Engine & { close(): Promise<void> } {
  checkOptions(options);
  const { store } = options;
  /** By hash; undefined once it stands in the ledger. */
  const recorded = new Map<string, Promise<void> | undefined>();
  const writes = new Set<Promise<unknown>>();
  const report: Engine['report'] = (error, context) => {
    try {
      options.onError?.(error, context);
    } catch {
      // A hook that throws must change no decision and mask no result.
    }
  };
  const audit = new AuditTrail(options.audit ?? [], { nowMs: () => store.nowMs(), report });
  const track = (write: Promise<unknown>): void => {
    writes.add(write);
    const over = (): boolean => writes.delete(write);
    void write.then(over, over);
  };
  const commitTold: Store['commit'] = async (unit, how) => {
    const committed = await store.commit(unit, how);
    track(audit.after(unit, committed));
    return committed;
  };
  const commit: Store['commit'] = (unit, how) => (audit.isUsed ? commitTold(unit, how) : store.commit(unit, how));
  const redactor = options.redactor ?? createRedactor();
  const inForce = new PolicyInForce(onePolicy(options.policy));
  const { notify } = options.approvals ?? {};
  const notices = new ApprovalNotices({ notify, approval: (id) => store.approval(id), report, track });
  const files = [...store.files, ...(options.audit ?? []).flatMap(({ files: written = [] }) => written)];
  const engine = {
    agent: options.agent,
    mode: options.mode ?? 'enforce',
    session: options.session ?? newId(),
    store,
    audit,
    commit,
    redactor,
    masksResults: options.maskResults === true,
    budgets: options.budgets ?? [],
    budgetKeys: new BudgetKeys((text) => store.mac(text)),
    channels: options.channels ?? [],
    autoApprover: autoApprover(options.approvals ?? {}, process.env),
    notices,
    keys: options.approvals?.approvers ?? new Map<string, string>(),
    ttlMs: options.approvals?.ttlMs ?? DEFAULT_APPROVAL_TTL_MS,
    maxTtlMs: options.approvals?.maxTtlMs ?? MAX_APPROVAL_TTL_MS,
    maxGrantTtlMs: options.approvals?.maxGrantTtlMs ?? MAX_GRANT_TTL_MS,
    monitor: options.monitor,
    openCalls: new OpenCalls(),
    stories: storiesOf(options, { redactor, inForce, report }),
    pins: options.pins ?? 'deny',
    roots: rootsFrom(options.roots),
    turns: new SessionTurns(),
    ownFiles: ownFilesPolicy([...files, ...(options.protectedPaths ?? [])]),
    inForce,
    counts: { allowed: 0, refused: 0, pending: 0, lostOutcomes: 0, grantsUsed: 0 },
    authenticGrants: new Map<string, string | undefined>(),
    prompts: new Map<string, AbortController>(),
    report,
    recordPolicy(policy: Policy, isPutInForce = false): Promise<void> | undefined {
      const { id, version, hash, document } = policy;
      if (!isPutInForce && recorded.has(hash)) return recorded.get(hash);
      const body = { kind: 'policy', policy: { id, ...(version !== undefined && { version }), hash }, document } as const;
      const write = commit({ kind: 'record', body, once: `policy:${hash}` }).then((committed) => {
        requireRecorded(committed);
        recorded.set(hash, undefined);
      });
      recorded.set(hash, write);
      write.catch(() => recorded.delete(hash));
      return write;
    },
    async resolve(id: string, answer: ApprovalAnswer, approver: Approver): Promise<ApprovalRow> {
      const row = await resolveApproval(id, answer, approver, engine);
      notices.look(id);
      return row;
    },
    track,
    lost(error: unknown, callId: string): void {
      engine.counts.lostOutcomes++;
      report(error, { callId, during: 'recording the outcome' });
    },
    async close(): Promise<void> {
      for (const prompt of engine.prompts.values()) prompt.abort();
      await Promise.all(writes);
      try {
        await commit({ kind: 'record', body: { kind: 'session', agent: engine.agent, session: engine.session, event: 'end' } });
      } catch (error) {
        report(error, { during: 'recording the end of the session' });
      }
      await Promise.all(writes);
      await audit.close();
    },
  };
  openMonitor(options.monitor, files, engine);
  return engine;
}

/** A monitor that cannot be opened guards nothing. */
function openMonitor(monitor: HostMonitor | undefined, files: readonly string[], engine: Engine): void {
  if (monitor?.open === undefined) return;
  const { agent, session, redactor, store, openCalls, stories } = engine;
  const ledger = { commit: engine.commit, session: (id: string) => store.session(id) };
  const inFlight = (server?: string): readonly string[] =>
    openCalls
      .list()
      .filter(({ tool }) => server === undefined || tool.server === server)
      .map(({ callId }) => callId);
  try {
    monitor.open(
      monitorHost({ store: ledger, agent, session, redactor, files, inFlight, tell: (call, verdict) => stories?.judged(call, verdict) }),
    );
  } catch (cause) {
    if (CountersignError.is(cause)) throw cause;
    throw new CountersignError('MONITOR_UNAVAILABLE', 'the host monitor could not be opened', { cause });
  }
}

function storiesOf(options: GuardOptions, deps: Pick<Engine, 'redactor' | 'inForce' | 'report'>): Stories | undefined {
  const { agent, tracer, onEvent: listener } = options;
  return tracer === undefined && listener === undefined ? undefined : new Stories({ ...deps, agent, tracer, listener });
}

function requireRecorded(committed: Committed): void {
  if (committed.kind !== 'rolled-back') return;
  const { bundle, serial, recorded } = committed;
  const what = serial === recorded ? 'another bundle with this serial' : `serial ${recorded}`;
  throw new CountersignError(
    'POLICY_BUNDLE_ROLLED_BACK',
    `policy bundle "${bundle}" has serial ${serial}, and this ledger has seen ${what}`,
    {
      details: { serial, recorded },
    },
  );
}

function checkOptions(options: GuardOptions): void {
  const fail = (what: string): never => {
    throw new CountersignError('OPTIONS_INVALID', what);
  };
  if (typeof options !== 'object' || options === null) fail('createGuard needs options: { agent, policy, store }');
  if (!isName(options.agent)) fail('agent is required: a name of 1 to 256 characters without control characters');
  if (typeof options.policy !== 'object' || options.policy === null)
    fail('policy is required: pass one, or ask for allowAll() or denyAll() by name');
  if (Array.isArray(options.policy) && options.policy.length === 0)
    fail('policy is an empty list: pass one, or ask for allowAll() or denyAll() by name');
  if (typeof options.store?.commit !== 'function')
    fail('store is required: openStore({ path, origin, signer }) from @countersign/core/sqlite');
  if (options.session !== undefined && !isName(options.session))
    fail('session must be a name of 1 to 256 characters without control characters');
  if (options.mode !== undefined && !['audit', 'confirm', 'enforce'].includes(options.mode)) fail('mode must be audit, confirm or enforce');
  const names = [...(options.approvals?.approvers?.keys() ?? [])];
  if (new Set(names.map(foldApprover)).size < names.length) fail('two approvers have names that could be taken for each other: rename one');
  for (const sink of options.audit ?? [])
    if (typeof sink?.write !== 'function' || typeof sink.close !== 'function') fail('audit takes sinks: objects with write() and close()');
  if (options.tracer !== undefined && typeof options.tracer?.begin !== 'function')
    fail('tracer takes an object with begin(): openTelemetryTracer() from @countersign/core/otel');
  if (options.onEvent !== undefined && typeof options.onEvent !== 'function') fail('onEvent is a function');
  if (options.pins !== undefined && !PIN_MODES.includes(options.pins)) fail(`pins must be ${PIN_MODES.join(', ')}`);
  requireUsableBudgets(options.budgets ?? []);
  const { ttlMs, maxTtlMs, maxGrantTtlMs, notify, onAutoApprove, allowAutoApprove } = options.approvals ?? {};
  for (const callback of [notify, onAutoApprove])
    if (callback !== undefined && typeof callback !== 'function') fail('approvals: notify and onAutoApprove are functions');
  if (allowAutoApprove !== undefined && typeof allowAutoApprove !== 'boolean') fail('approvals: allowAutoApprove is true or false');
  for (const ms of [ttlMs, maxTtlMs, maxGrantTtlMs])
    if (ms !== undefined && !isWait(ms)) fail('approval times must be whole milliseconds above 0, and at most ten years');
}

/** A time an approval may wait: nothing that would make its expiry uncountable. */
export function isWait(ms: number): boolean {
  return Number.isSafeInteger(ms) && ms > 0 && ms <= MAX_DURATION_MS;
}

/**
 * What a guard is given as one policy.
 *
 * @throws {CountersignError} `OPTIONS_INVALID`
 */
export function onePolicy(given: GuardOptions['policy']): Policy {
  if (typeof given !== 'object' || given === null)
    throw new CountersignError('OPTIONS_INVALID', 'policy is required: pass one, or ask for allowAll() or denyAll() by name');
  if (Array.isArray(given)) return checkPolicy(composePolicies(given));
  // A list that is readonly is no list to the type system.
  return checkPolicy(given as Policy);
}

/** Its document goes into one entry, so its size is checked before anything depends on it. */
export function checkPolicy(policy: Policy): Policy {
  if (typeof policy.evaluate !== 'function' || !isName(policy.id) || typeof policy.document !== 'string') {
    throw new CountersignError(
      'OPTIONS_INVALID',
      'a policy needs id, hash, document and evaluate(): use rulePolicy, definePolicy, allowAll or denyAll',
    );
  }
  if (policy.version !== undefined && !isName(policy.version))
    throw new CountersignError('OPTIONS_INVALID', `policy ${policy.id}: the version is not a usable name`);
  if (policy.hash !== policyHash(policy.document)) {
    throw new CountersignError('OPTIONS_INVALID', `policy ${policy.id}: the hash is not that of its document (policyHash)`);
  }
  if (!policy.document.isWellFormed() || Buffer.byteLength(JSON.stringify(policy.document)) > MAX_POLICY_DOCUMENT_BYTES) {
    throw new CountersignError(
      'OPTIONS_INVALID',
      `policy ${policy.id}: the document exceeds ${MAX_POLICY_DOCUMENT_BYTES} bytes; split the policy`,
    );
  }
  return policy;
}
