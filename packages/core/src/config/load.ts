/** Loading `countersign.yaml`. Every problem of a file is reported at once, each with its place. */

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, resolve } from 'node:path';
import type { FileAuditOptions } from '../audit-log/file-sink.ts';
import { type BudgetDefinition, budgetFaults, budgetFrom } from '../budget/budget.ts';
import type { Mode } from '../call.ts';
import { CountersignError } from '../errors.ts';
import { MAX_GRANT_TTL_MS } from '../grant/terms.ts';
import { canonicalize } from '../ledger/canonical.ts';
import { parseVerifierKey, TYPE_COSIGNATURE } from '../ledger/verifier-key.ts';
import { composePolicies } from '../policy/compose.ts';
import { compileCondition, compileCost, compileKey } from '../policy/conditions.ts';
import { NAME_HINT, NAME_SHAPE, type Rule, type RuleSet, ruleFaults } from '../policy/rule-definition.ts';
import { rulePolicy } from '../policy/rules.ts';
import { detectorFaults } from '../redact/custom.ts';
import { channelProblems, workOutChannels } from './channels.ts';
import type { AnchorConfig, Config, Environment, LedgerConfig } from './config.ts';
import { decisionPointProblems, workOutAuthzen, workOutServe } from './decision-point.ts';
import { type Look, MAX_CONFIG_CHARS, type Path, type Problem, readYaml, type YamlText } from './document.ts';
import { DURATION_HINT, parseDuration } from './duration.ts';
import { type Overrides, readOverrides } from './environment.ts';
import { packProblems, workOutPacks } from './pack-schema.ts';
import { policyFileProblems, readPolicyFiles } from './policy-files.ts';
import { configError, schemaProblems } from './problems.ts';
import { workOutRoots } from './roots-schema.ts';
import {
  type AnchorDocument,
  type AuditLogDocument,
  budgetsSchema,
  type ConfigDocument,
  configSchema,
  ORIGIN_SHAPE,
  type PolicyDocument,
  policySchema,
} from './schema.ts';

export interface LoadOptions {
  readonly env?: Environment;
  readonly onPolicyFile?: (path: string) => void;
}

export const DEFAULT_CONFIG_NAME = 'countersign.yaml';
export const DEFAULT_APPROVAL_TTL = '5m';
const DEFAULT_MAX_TTL = '1h';
const DEFAULT_LEDGER = '.countersign/ledger.db';
/** Names the policy of a file that has packs and nothing of its own. */
const PACKS_ONLY_ID = 'packs-only';
const DEFAULT_KEY = '.countersign/ledger.key';

/**
 * Reads and checks a configuration file.
 *
 * @param path - the file; absent = `COUNTERSIGN_CONFIG`, then `countersign.yaml` in the working directory.
 * @param options.env - `process.env` when absent. `COUNTERSIGN_MODE`, `COUNTERSIGN_AGENT` and `COUNTERSIGN_LEDGER` override the file.
 * @param options.onPolicyFile - told of every file the policy names, before it is read.
 * @throws {CountersignError} `CONFIG_NOT_FOUND`, `CONFIG_INVALID`
 */
export function loadConfig(path?: string, options: LoadOptions = {}): Config {
  const env = options.env ?? process.env;
  const fromEnv = env['COUNTERSIGN_CONFIG'];
  const name = path ?? (fromEnv === undefined || fromEnv === '' ? DEFAULT_CONFIG_NAME : fromEnv);
  return parseConfig(readConfigText(name), { ...options, path: name, env });
}

/**
 * Checks the text of a configuration.
 *
 * @param options.path - where it came from: names the file in errors, and paths in it are relative to its folder.
 *   Absent = relative to the working directory.
 * @param options.env - overrides; none when absent.
 * @throws {CountersignError} `CONFIG_INVALID`, its message listing every problem with line and column.
 */
export function parseConfig(source: string, options: LoadOptions & { readonly path?: string } = {}): Config {
  const name = options.path ?? 'configuration';
  const overrides = readOverrides(options.env ?? {});
  const { document, problems } = checkDocument(readYaml(source));
  if (document === undefined) throw configError(name, problems);
  return workOut(document, overrides, options.path, options.onPolicyFile);
}

/** The document of a configuration, or everything that is wrong with it. */
export function checkDocument(yaml: YamlText): { readonly document?: ConfigDocument; readonly problems: readonly Problem[] } {
  if (yaml.problems.length > 0) return { problems: yaml.problems };
  const parsed = configSchema.safeParse(yaml.value);
  if (!parsed.success)
    return { problems: [...parsed.error.issues.flatMap((issue) => schemaProblems(issue, yaml)), ...looseProblems(yaml)] };
  const problems = meaningProblems(parsed.data, yaml);
  return problems.length > 0 ? { problems } : { document: parsed.data, problems };
}

/** @throws {CountersignError} `CONFIG_NOT_FOUND`, `CONFIG_INVALID` for a file that cannot be read, is too large or no text. */
export function readConfigText(path: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      throw new CountersignError('CONFIG_NOT_FOUND', `${path}: not found; run \`countersign init\`, or name another file with --config`, {
        cause: error,
      });
    }
    throw new CountersignError('CONFIG_INVALID', `${path}: cannot be read${code === '' ? '' : ` (${code})`}`, { cause: error });
  }
  if (bytes.length > MAX_CONFIG_CHARS)
    throw new CountersignError('CONFIG_INVALID', `${path}: the file is larger than ${MAX_CONFIG_CHARS} bytes`);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw new CountersignError('CONFIG_INVALID', `${path}: not UTF-8 text`, { cause: error });
  }
}

/** Faults of the blocks that do have the right shape, although another block has not. */
function looseProblems(yaml: YamlText): readonly Problem[] {
  const { value } = yaml;
  if (typeof value !== 'object' || value === null) return [];
  const { policy, budgets }: { readonly policy?: unknown; readonly budgets?: unknown } = value;
  const someBudgets = budgetsSchema.optional().safeParse(budgets);
  const somePolicy = policySchema.safeParse(policy);
  const look = lookAt(yaml);
  return [
    ...(somePolicy.success ? ruleSetProblems(somePolicy.data, Number.POSITIVE_INFINITY, look) : []),
    ...(someBudgets.success ? budgetProblems(someBudgets.data ?? [], look) : []),
  ];
}

function lookAt(yaml: YamlText): Look {
  return (path, message) => ({ path, message, ...yaml.place(path) });
}

/** What the schema cannot see: conditions, durations, ids, limits. */
function meaningProblems(document: ConfigDocument, yaml: YamlText): readonly Problem[] {
  const look = lookAt(yaml);
  const problems: Problem[] = [];
  const { ttl = DEFAULT_APPROVAL_TTL, max_ttl: maxTtl = DEFAULT_MAX_TTL, max_grant_ttl: maxGrantTtl } = document.approvals ?? {};
  const ttlMs = parseDuration(ttl);
  const maxTtlMs = parseDuration(maxTtl);
  if (maxTtlMs === undefined) problems.push(look(['approvals', 'max_ttl'], DURATION_HINT));
  if (maxGrantTtl !== undefined && parseDuration(maxGrantTtl) === undefined)
    problems.push(look(['approvals', 'max_grant_ttl'], DURATION_HINT));
  if (ttlMs === undefined) problems.push(look(['approvals', 'ttl'], DURATION_HINT));
  else if (ttlMs > (maxTtlMs ?? Number.POSITIVE_INFINITY)) problems.push(look(['approvals', 'ttl'], tooLong(maxTtl)));
  for (const approver of Object.keys(document.approvers ?? {})) {
    if (!NAME_SHAPE.test(approver)) problems.push(look(['approvers', approver], `approver: ${NAME_HINT}`));
  }
  if (document.ledger?.sign === 'none' && document.ledger.key !== undefined) {
    problems.push(look(['ledger', 'key'], 'with sign: none no key is used; remove one of the two'));
  }
  for (const { path, message } of detectorFaults(document.redaction?.detectors ?? [])) {
    problems.push(look(['redaction', 'detectors', ...path.map((step, i) => (i === 0 ? Number(step) : step))], message));
  }
  problems.push(...channelProblems(document, look), ...signingProblems(document, look));
  problems.push(...decisionPointProblems({ authzen: document.policy.authzen, serve: document.serve }, look));
  problems.push(...ruleSetProblems(document.policy, maxTtlMs ?? Number.POSITIVE_INFINITY, look, maxTtl));
  problems.push(...budgetProblems(document.budgets ?? [], look));
  return problems;
}

function signingProblems({ ledger = {} }: ConfigDocument, look: Look): readonly Problem[] {
  const problems: Problem[] = [];
  for (const key of ['sign_interval', 'sign_max_lag'] as const) {
    const given = ledger[key];
    if (given === undefined) continue;
    if (parseDuration(given) === undefined) problems.push(look(['ledger', key], DURATION_HINT));
    if (ledger.sign !== 'interval') problems.push(look(['ledger', key], 'is for sign: interval only'));
  }
  const { anchor_interval: every, anchor_required: required, anchors = [] } = ledger;
  if (every !== undefined && parseDuration(every) === undefined) problems.push(look(['ledger', 'anchor_interval'], DURATION_HINT));
  if (required !== undefined && parseDuration(required.max_age) === undefined)
    problems.push(look(['ledger', 'anchor_required', 'max_age'], DURATION_HINT));
  if (required !== undefined && (required.n ?? 1) > anchors.length)
    problems.push(look(['ledger', 'anchor_required'], `needs ${required.n ?? 1} anchors, there are ${anchors.length}`));
  for (const [i, anchor] of anchors.entries()) {
    if (!('witness' in anchor)) continue;
    const place = ['ledger', 'anchors', i];
    const problem = witnessKeyProblem(anchor.witness.vkey);
    if (problem !== undefined) problems.push(look([...place, 'witness', 'vkey'], problem));
    if (ledger.sign === 'none') problems.push(look(place, 'a witness checks signed ledgers only, and this one says sign: none'));
  }
  if (ledger.sign === 'interval' && ledger.writer === 'worker')
    problems.push(look(['ledger', 'writer'], 'with sign: interval the writer is inline: the signature is off the main path already'));
  return problems;
}

function witnessKeyProblem(vkey: string): string | undefined {
  try {
    return parseVerifierKey(vkey).type === TYPE_COSIGNATURE ? undefined : 'must be the key of a witness, of type 4: this one signs logs';
  } catch (error) {
    if (CountersignError.is(error)) return error.message;
    throw error;
  }
}

function tooLong(maxTtl: string): string {
  return `longer than ${maxTtl}, the most an approval may wait; raise approvals.max_ttl if that is meant`;
}

function ruleSetProblems(policy: PolicyDocument, maxTtlMs: number, look: Look, maxTtl: string = DEFAULT_MAX_TTL): readonly Problem[] {
  const problems: Problem[] = [];
  const { packs, id, rules } = policy;
  problems.push(...policyFileProblems(policy, look));
  const isElsewhere = policy.bundle !== undefined || policy.cedar !== undefined;
  if (id === undefined && policy.bundle === undefined && (packs === undefined || rules !== undefined))
    problems.push(look(['policy', 'id'], 'required, but missing'));
  if (id !== undefined && !NAME_SHAPE.test(id)) problems.push(look(['policy', 'id'], `id: ${NAME_HINT}`));
  if (rules === undefined && packs === undefined && !isElsewhere)
    problems.push(look(['policy', 'rules'], 'required, but missing: write rules, or name packs such as [baseline]'));
  problems.push(...packProblems(packs ?? [], look, (ttlMs) => (ttlMs > maxTtlMs ? tooLong(maxTtl) : undefined)));
  const seen = new Set<string>();
  (rules ?? []).forEach((rule, index) => {
    const at = ['policy', 'rules', index];
    for (const fault of ruleFaults(rule)) problems.push(look([...at, ...fault.path], fault.message));
    if (seen.has(rule.id)) problems.push(look([...at, 'id'], `another rule has the id "${rule.id}"`));
    seen.add(rule.id);
    const ttlMs = rule.approval?.ttl === undefined ? undefined : parseDuration(rule.approval.ttl);
    if (ttlMs !== undefined && ttlMs > maxTtlMs) problems.push(look([...at, 'approval', 'ttl'], tooLong(maxTtl)));
    problems.push(...conditionProblems(rule, at, look));
  });
  return problems;
}

function conditionProblems(rule: Rule, at: Path, look: Look): readonly Problem[] {
  const problems: Problem[] = [];
  for (const key of ['when', 'unless'] as const) {
    const source = rule[key];
    const options = {
      ...(rule.raw !== undefined && { raw: rule.raw }),
      ...(rule.on === 'result' ? { on: rule.on } : { counts: { reach: 'wide', subjects: new Set<string>() } as const }),
    };
    if (source !== undefined) problems.push(...expressionProblem(() => compileCondition(source, 'condition', options), [...at, key], look));
  }
  return problems;
}

function expressionProblem(compile: () => unknown, path: Path, look: Look): readonly Problem[] {
  try {
    compile();
    return [];
  } catch (error) {
    return [look(path, error instanceof Error ? error.message : 'condition: does not compile')];
  }
}

function budgetProblems(budgets: readonly BudgetDefinition[], look: Look): readonly Problem[] {
  const problems: Problem[] = [];
  const seen = new Set<string>();
  budgets.forEach((budget, index) => {
    for (const fault of budgetFaults(budget)) problems.push(look(['budgets', index, ...fault.path], fault.message));
    if (seen.has(budget.id)) problems.push(look(['budgets', index, 'id'], `another budget has the id "${budget.id}"`));
    seen.add(budget.id);
    const { cost, key } = budget;
    if (typeof key === 'string') problems.push(...expressionProblem(() => compileKey(key, 'key'), ['budgets', index, 'key'], look));
    if (cost !== undefined) problems.push(...expressionProblem(() => compileCost(cost, 'cost'), ['budgets', index, 'cost'], look));
  });
  return problems;
}

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
    roots: workOutRoots(document.roots ?? {}, (name) => placed(folder, name)),
    ...(authzen === undefined ? {} : { authzen: workOutAuthzen(authzen, (name) => placed(folder, name)) }),
    serve: workOutServe(document.serve ?? {}, (name) => placed(folder, name)),
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
