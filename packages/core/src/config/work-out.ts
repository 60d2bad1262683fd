/** From the document of a configuration to what it means: defaults filled in, paths absolute, rules compiled. */
import { createHash } from 'node:crypto';
import { homedir } from 'node:os';
import { dirname, resolve } from 'node:path';
import type { FileAuditOptions } from '../audit-log/file-sink.ts';
import { budgetFrom } from '../budget/budget.ts';
import type { Mode } from '../call.ts';
import { CountersignError } from '../errors.ts';
import { MAX_GRANT_TTL_MS } from '../grant/terms.ts';
import { canonicalize } from '../ledger/canonical.ts';
import { composePolicies } from '../policy/compose.ts';
import type { RuleSet } from '../policy/rule-definition.ts';
import { rulePolicy } from '../policy/rules.ts';
import { workOutChannels } from './channels.ts';
import type { AnchorConfig, Config, LedgerConfig } from './config.ts';
import { workOutAuthzen, workOutServe } from './decision-point.ts';
import { parseDuration } from './duration.ts';
import type { Overrides } from './environment.ts';
import { workOutMcp } from './mcp-schema.ts';
import { workOutMonitor } from './monitor-schema.ts';
import { workOutPacks } from './pack-schema.ts';
import { readPolicyFiles } from './policy-files.ts';
import { type PolicyDocument } from './policy-schema.ts';
import { workOutRoots } from './roots-schema.ts';
import { type AnchorDocument, type AuditLogDocument, type ConfigDocument, ORIGIN_SHAPE } from './schema.ts';
import { workOutServers } from './servers.ts';

export const DEFAULT_APPROVAL_TTL = '5m';
export const DEFAULT_MAX_TTL = '1h';
const DEFAULT_LEDGER = '.countersign/ledger.db';
const DEFAULT_KEY = '.countersign/ledger.key';
/** Names the policy of a file that has packs and nothing of its own. */
const PACKS_ONLY_ID = 'packs-only';

/** @throws {CountersignError} `CONFIG_INVALID` for what only shows once names and paths are worked out. */
export function workOut(
  document: ConfigDocument,
  overrides: Overrides,
  path: string | undefined,
  onPolicyFile: (path: string) => void = () => {},
): Config {
  const agent = overrides.agent ?? document.agent;
  const { ttl = DEFAULT_APPROVAL_TTL, max_ttl: maxTtl = DEFAULT_MAX_TTL, max_grant_ttl: maxGrantTtl } = document.approvals ?? {};
  const folder = path === undefined ? process.cwd() : dirname(resolve(path));
  const { authzen, reload = true, ...policyBlock } = document.policy;
  const mode = overrides.mode ?? document.mode ?? 'enforce';
  const packs = workOutPacks(policyBlock.packs ?? [], (name) => placed(folder, name)).map(({ name, definition }) => ({
    name,
    definition: withDefaultTtl(definition, ttl),
  }));
  const policyDefinition = withDefaultTtl(ownRules(policyBlock, mode), ttl);
  // Cedar alone decides alone, with the default that stands beside it.
  const hasOwnRules = policyBlock.cedar === undefined || policyBlock.rules !== undefined;
  const fromFiles = readPolicyFiles(policyBlock, { place: (name) => placed(folder, name), onFile: onPolicyFile });
  return {
    ...(path === undefined ? {} : { path: resolve(path) }),
    reloadsPolicy: reload,
    policyFiles: fromFiles.files,
    ...(fromFiles.bundle !== undefined && { bundle: fromFiles.bundle }),
    policyMembers:
      fromFiles.bundle !== undefined
        ? []
        : [
            ...packs.map(({ definition }) => ({ kind: 'rules' as const, definition })),
            ...(hasOwnRules ? [{ kind: 'rules' as const, definition: policyDefinition }] : []),
            ...(fromFiles.cedar === undefined ? [] : [fromFiles.cedar.member]),
          ],
    settingsDigest: digestOf({ document: { ...document, policy: null }, mode, agent, ledger: overrides.ledger ?? null }),
    agent,
    mode,
    policy:
      fromFiles.bundle?.policy ??
      composePolicies([
        ...packs.map(({ definition }) => rulePolicy(definition)),
        ...(hasOwnRules ? [rulePolicy(policyDefinition)] : []),
        ...(fromFiles.cedar === undefined ? [] : [fromFiles.cedar.policy]),
      ]),
    packs,
    policyDefinition,
    budgets: (document.budgets ?? []).map(budgetFrom),
    approvals: {
      ...workOutChannels(document.approvals ?? {}, (name) => placed(folder, name)),
      ttlMs: milliseconds(ttl),
      maxTtlMs: milliseconds(maxTtl),
      maxGrantTtlMs: maxGrantTtl === undefined ? MAX_GRANT_TTL_MS : milliseconds(maxGrantTtl),
    },
    approvers: new Map(Object.entries(document.approvers ?? {}).map(([name, { key }]) => [name, key])),
    redaction: {
      keys: document.redaction?.keys ?? [],
      values: document.redaction?.values ?? [],
      detectors: document.redaction?.detectors ?? [],
      results: document.redaction?.results ?? false,
    },
    ledger: workOutLedger(document, overrides, agent, folder),
    ...(document.scope === undefined ? {} : { scope: document.scope }),
    monitor: workOutMonitor(document, mode, milliseconds(maxTtl), (name) => placed(folder, name)),
    roots: workOutRoots(document.roots ?? {}, (name) => placed(folder, name)),
    ...(authzen === undefined ? {} : { authzen: workOutAuthzen(authzen, (name) => placed(folder, name)) }),
    serve: workOutServe(document.serve ?? {}, (name) => placed(folder, name)),
    mcp: workOutMcp(document.mcp ?? {}),
    servers: workOutServers(document.servers ?? {}, (name) => placed(folder, name)),
  };
}

function digestOf(settings: object): string {
  return createHash('sha256').update(canonicalize(settings)).digest('hex');
}

/** Packs alone say what to look out for and allow nothing: what they do not mention runs while they only watch. */
function ownRules({ id = PACKS_ONLY_ID, version, rules, default: fallback }: PolicyDocument, mode: Mode): RuleSet {
  const chosen = fallback ?? (rules === undefined && mode === 'audit' ? 'allow' : undefined);
  return { ...(version !== undefined && { version }), id, ...(chosen !== undefined && { default: chosen }), rules: rules ?? [] };
}

/** Rules that name no time to live get the file's, so that merging takes the shortest of what is really meant. */
function withDefaultTtl(policy: RuleSet, ttl: string): RuleSet {
  const rules = policy.rules.map((rule) =>
    rule.effect === 'require_approval' ? { ...rule, approval: { ...rule.approval, ttl: rule.approval?.ttl ?? ttl } } : rule,
  );
  return { ...policy, rules };
}

function workOutLedger(document: ConfigDocument, overrides: Overrides, agent: string, folder: string): LedgerConfig {
  const { ledger = {} } = document;
  const {
    path = DEFAULT_LEDGER,
    key = DEFAULT_KEY,
    sign = 'commit',
    writer = 'inline',
    anchors = [],
    mirror,
    origin = `countersign.local/${agent}`,
  } = ledger;
  if (!ORIGIN_SHAPE.test(origin)) throw new CountersignError('CONFIG_INVALID', 'ledger.origin: an origin has no spaces and no plus');
  const place = (name: string): string => placed(folder, name);
  const worked: LedgerConfig = {
    path: overrides.ledger === undefined ? place(path) : resolve(overrides.ledger),
    ...(sign === 'none' ? {} : { key: place(key) }),
    origin,
    sign,
    ...(ledger.sign_interval !== undefined && { signEveryMs: milliseconds(ledger.sign_interval) }),
    ...(ledger.sign_max_lag !== undefined && { signMaxLagMs: milliseconds(ledger.sign_max_lag) }),
    writer,
    anchors: anchors.map((anchor) => anchorConfig(anchor, place)),
    ...(ledger.anchor_interval !== undefined && { anchorEveryMs: milliseconds(ledger.anchor_interval) }),
    ...(ledger.anchor_required !== undefined && {
      anchorRequired: { count: ledger.anchor_required.n ?? 1, maxAgeMs: milliseconds(ledger.anchor_required.max_age) },
    }),
    ...(mirror !== undefined && { mirror: place(mirror) }),
    ...(ledger.audit_log !== undefined && { auditLog: auditLogOptions(ledger.audit_log, place) }),
  };
  checkAuditPath(worked);
  return worked;
}

/** Paths are relative to the folder of the file; `~/` is home. */
function placed(folder: string, name: string): string {
  return name.startsWith('~/') ? resolve(homedir(), name.slice(2)) : resolve(folder, name);
}

/** Appended to, any of these would be ruined. */
function checkAuditPath({ path, key, mirror, auditLog }: LedgerConfig): void {
  const taken = [path, ...['-wal', '-shm', '-journal'].map((side) => path + side), key, mirror, `${mirror}.checkpoint`];
  if (auditLog === undefined || !taken.includes(auditLog.path)) return;
  throw new CountersignError('CONFIG_INVALID', 'ledger.audit_log.path: this is a file of the ledger; choose a path of its own');
}

function anchorConfig(anchor: AnchorDocument, place: (name: string) => string): AnchorConfig {
  if ('file' in anchor) return { file: place(anchor.file) };
  if ('command' in anchor) return anchor;
  if ('rfc3161' in anchor) {
    const { url, certificates, policy, allow_insecure } = anchor.rfc3161;
    const optional = { ...(policy !== undefined && { policy }), ...(allow_insecure !== undefined && { allowInsecure: allow_insecure }) };
    return { rfc3161: { url, certificates: place(certificates), ...optional } };
  }
  const { url, vkey, allow_insecure } = anchor.witness;
  return { witness: { url, vkey, ...(allow_insecure !== undefined && { allowInsecure: allow_insecure }) } };
}

function auditLogOptions(
  { path, max_bytes, keep, include, required }: AuditLogDocument,
  place: (name: string) => string,
): FileAuditOptions {
  return {
    path: place(path),
    ...(max_bytes !== undefined && { maxBytes: max_bytes }),
    ...(keep !== undefined && { keep }),
    ...(include !== undefined && { include }),
    ...(required !== undefined && { required }),
  };
}

function milliseconds(duration: string): number {
  return parseDuration(duration) ?? Number.NaN; // checked before
}
