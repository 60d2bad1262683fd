/** What is wrong or odd about a policy, without running a call: for `countersign policy check` and editors. */
import type { Config } from '../../config/config.ts';
import { didYouMean } from '../../config/nearest.ts';
import { type PolicySource, readPolicySource } from '../../config/policy-source.ts';
import { createRedactor } from '../../redact/redact.ts';
import { redactText } from '../../redact/scan.ts';
import { compileToolPattern, type ToolPattern } from '../patterns.ts';
import type { RuleSet } from '../rule-definition.ts';
import type { PolicyFinding } from './codes.ts';
import { checkConditions, toolName } from './conditions-check.ts';
import type { KnownTool } from './known-tools.ts';
import { type LookedAt, lookAtRule, type Report, reporter } from './looked-at.ts';
import { besideRules, hasCedar, ownRuleSets, packSets } from './members.ts';
import { checkAgainstEachOther } from './rules-check.ts';

export interface CheckPolicyOptions {
  /** Names the file; paths in it are relative to its folder. */
  readonly path?: string;
  /** Tools that are known to exist. Absent = unknown: nothing is said about patterns that match none. */
  readonly tools?: readonly KnownTool[];
}

export interface PolicyCheck {
  /** Absent when the file does not load. */
  readonly policy?: {
    readonly id: string;
    readonly version?: string;
    readonly hash: string;
    /** Own ones; those of packs are counted there. */
    readonly rules: number;
    readonly packs: readonly { readonly id: string; readonly rules: number }[];
    readonly isBundle: boolean;
    /** Cedar says of itself which tools it is about, and nobody here reads it. */
    readonly hasCedar: boolean;
    /** What decides a call that no rule is about; absent where members have defaults of their own. */
    readonly default?: 'allow' | 'require_approval' | 'deny';
  };
  /** What decides and was not looked at, in sentences. */
  readonly notes: readonly string[];
  /** By place in the file. */
  readonly findings: readonly PolicyFinding[];
  /** Known tools that no rule matches, of packs neither: the default decides them. */
  readonly unmatched: readonly KnownTool[];
  /** Known tools that rules of packs match and none of the file: what no pack stops is decided by the default. */
  readonly onlyPacks: readonly KnownTool[];
  /** False when there were too many rules to compare each with each. */
  readonly isComplete: boolean;
}

/** @param source - text of a configuration, or of a `policy:` block alone. Never throws because of what it says. */
export function checkPolicySource(source: string, options: CheckPolicyOptions = {}): PolicyCheck {
  const read = readPolicySource(source, options.path);
  const { config } = read;
  if (config === undefined) {
    const findings = read.problems.map(({ path, message, line, column }): PolicyFinding => {
      const where = path.length === 0 ? '' : `${pathText(path)}: `;
      return { code: 'POLICY_INVALID', severity: 'error', message: `${where}${message}`, line, column };
    });
    return { findings: inOrder(findings), unmatched: [], onlyPacks: [], notes: [], isComplete: true };
  }
  return checkConfig(config, read, options.tools);
}

function checkConfig(config: Config, source: PolicySource, tools: readonly KnownTool[] | undefined): PolicyCheck {
  const { policy, redaction, bundle } = config;
  const findings: PolicyFinding[] = [];
  const report = reporter(findings, (at) => source.place(at), bundle === undefined ? undefined : ['policy', 'bundle']);
  const redactor = createRedactor(redaction);
  const own = ownRuleSets(config).map(({ rules }) => rules.map(lookAtRule));
  const matched = new Set<KnownTool>();
  for (const each of own.flat()) {
    const meant = tools === undefined ? undefined : matchingTools(each, tools, report);
    if (decides(each)) for (const tool of meant ?? []) matched.add(tool);
    checkConditions(each, meant, redactor, report);
    if (source.isConfiguration) checkApprovers(each, config, report);
  }
  const isComplete = own.map((rules) => checkAgainstEachOther(rules, report)).every(Boolean);
  checkDefault(config, report);
  const packs = packSets(config);
  const rest = (tools ?? []).filter((tool) => !matched.has(tool));
  const byPacks = new Set(matchedBy(packs, rest));
  const { id, version, hash } = policy;
  return {
    policy: {
      id,
      ...(version !== undefined && { version }),
      hash,
      rules: own.flat().length,
      packs: packs.map((pack) => ({ id: pack.id, rules: pack.rules.length })),
      isBundle: bundle !== undefined,
      hasCedar: hasCedar(config),
      ...(policy.default !== undefined && { default: policy.default }),
    },
    notes: besideRules(config),
    findings: inOrder(findings),
    unmatched: rest.filter((tool) => !byPacks.has(tool)),
    onlyPacks: rest.filter((tool) => byPacks.has(tool)),
    isComplete,
  };
}

/** Labels, and rules on results, decide no call. */
function decides({ rule }: LookedAt): boolean {
  return rule.effect !== 'label' && rule.on !== 'result';
}

function matchedBy(sets: readonly RuleSet[], tools: readonly KnownTool[]): readonly KnownTool[] {
  const patterns = sets
    .flatMap(({ rules }) => rules.map(lookAtRule))
    .filter(decides)
    .flatMap((each) => each.patterns.map(({ source, reach }) => compileToolPattern(source, reach, 'pattern')));
  return tools.filter((tool) => patterns.some((pattern) => pattern.matches(tool)));
}

function matchingTools(each: LookedAt, tools: readonly KnownTool[], report: Report): readonly KnownTool[] {
  const found = new Set<KnownTool>();
  const idle: { readonly index: number; readonly pattern: ToolPattern }[] = [];
  each.patterns.forEach(({ source, reach }, index) => {
    const pattern = compileToolPattern(source, reach, 'pattern');
    const own = tools.filter((tool) => pattern.matches(tool));
    for (const tool of own) found.add(tool);
    if (own.length === 0) idle.push({ index, pattern });
  });
  if (found.size === 0) {
    report(
      'RULE_MATCHES_NOTHING',
      'warning',
      `matches none of the ${tools.length} known tools${patternAdvice(each, idle[0]?.pattern, tools)}`,
      each,
      ['tools'],
    );
  } else {
    for (const { index, pattern } of idle) {
      const text = `the pattern ${JSON.stringify(pattern.source)} matches none of the ${tools.length} known tools${patternAdvice(each, pattern, tools)}`;
      report('PATTERN_MATCHES_NOTHING', 'warning', text, each, ['tools', index]);
    }
  }
  return [...found];
}

function patternAdvice({ rule }: LookedAt, pattern: ToolPattern | undefined, tools: readonly KnownTool[]): string {
  if (pattern === undefined) return '';
  const { source } = pattern;
  // The mistake made most: a bare name of an allow rule means tools without a server.
  if (rule.effect === 'allow' && !source.includes('/')) {
    const wide = compileToolPattern(source, 'wide', 'pattern');
    const served = tools.find((tool) => wide.matches(tool));
    if (served?.server !== undefined)
      return `: in an allow rule a bare name means tools without a server; did you mean ${JSON.stringify(`${served.server}/${source}`)}?`;
  }
  const hasServer = source.includes('/');
  return didYouMean(source, new Set(tools.map((tool) => (hasServer ? toolName(tool) : tool.name))));
}

/** Names that can answer here: by key, as a user of Slack, or through a sender. Whoever is logged in at the page has another. */
function checkApprovers(each: LookedAt, { approvers, approvals }: Config, report: Report): void {
  const known = new Set(approvers.keys());
  for (const sender of approvals.senders) for (const name of [sender.name, ...(sender.approvers ?? [])]) known.add(name);
  for (const channel of approvals.channels) {
    if (typeof channel !== 'object' || !('slack' in channel)) continue;
    for (const name of channel.slack.users.values()) if (name !== undefined) known.add(name);
  }
  (each.rule.approval?.approvers ?? []).forEach((name, index) => {
    if (known.has(name)) return;
    const text = `approver "${name}" is not configured${didYouMean(name, known)}; add it under approvers, or whoever is called that must answer on the page or the terminal`;
    report('APPROVER_UNKNOWN', 'warning', text, each, ['approval', 'approvers', index]);
  });
}

/** Of a bundle and of Cedar the default was chosen with them; what only watches with packs alone allows the rest on purpose. */
function checkDefault(config: Config, report: Report): void {
  const { policy, policyDefinition, bundle, packs, mode } = config;
  if (bundle !== undefined) return;
  const isPacksAlone = packs.length > 0 && policyDefinition.rules.length === 0;
  if (policyDefinition.default === 'allow') {
    if (isPacksAlone && mode === 'audit') return;
    report(
      'DEFAULT_ALLOWS',
      'warning',
      'what no rule matches is allowed: a new tool, and one that is spelled differently; write default: deny',
      undefined,
      ['default'],
    );
  } else if (policyDefinition.rules.length === 0 && !hasCedar(config)) {
    const text = isPacksAlone
      ? `packs allow nothing, and there are no other rules: what no pack stops is decided by the default, ${policyDefinition.default ?? 'deny'}`
      : `there are no rules: every call is decided by the default, ${policy.default ?? 'deny'}`;
    report('NO_RULES', 'hint', text, undefined, [isPacksAlone ? 'packs' : 'rules']);
  }
}

function inOrder(findings: readonly PolicyFinding[]): readonly PolicyFinding[] {
  return findings.toSorted((left, right) => left.line - right.line || left.column - right.column);
}

function pathText(path: readonly (string | number)[]): string {
  return path.map((step, index) => (typeof step === 'number' ? `[${step}]` : `${index === 0 ? '' : '.'}${redactText(step)}`)).join('');
}
