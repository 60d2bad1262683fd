/** What is wrong or odd about a policy, without running a call: for `countersign policy check` and editors. */
import type { Config } from '../../config/config.ts';
import { didYouMean } from '../../config/nearest.ts';
import { type PolicySource, readPolicySource } from '../../config/policy-source.ts';
import { createRedactor } from '../../redact/redact.ts';
import { compileToolPattern, type ToolPattern } from '../patterns.ts';
import type { PolicyFinding } from './codes.ts';
import { checkConditions, toolName } from './conditions-check.ts';
import type { KnownTool } from './known-tools.ts';
import { type LookedAt, lookAtRule, type Report, reporter } from './looked-at.ts';
import { checkAgainstEachOther } from './rules-check.ts';

export interface CheckPolicyOptions {
  /** Names the file; paths in it are relative to its folder. */
  readonly path?: string;
  /** Tools that are known to exist. Absent = unknown: nothing is said about patterns that match none. */
  readonly tools?: readonly KnownTool[];
}

export interface PolicyCheck {
  /** Absent when the file does not load. */
  readonly policy?: { readonly id: string; readonly version?: string; readonly hash: string; readonly rules: number };
  /** By place in the file. */
  readonly findings: readonly PolicyFinding[];
  /** Known tools that no rule of the file matches: its default decides them. */
  readonly unmatched: readonly KnownTool[];
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
    return { findings: inOrder(findings), unmatched: [], isComplete: true };
  }
  return checkConfig(config, read, options.tools);
}

function checkConfig(config: Config, source: PolicySource, tools: readonly KnownTool[] | undefined): PolicyCheck {
  const { policy, policyDefinition, redaction } = config;
  const findings: PolicyFinding[] = [];
  const report = reporter(findings, (at) => source.place(at));
  const rules = policyDefinition.rules.map(lookAtRule);
  const redactor = createRedactor(redaction);
  const matched = new Set<KnownTool>();
  for (const each of rules) {
    const own = tools === undefined ? undefined : matchingTools(each, tools, report);
    if (each.rule.effect !== 'label' && each.rule.on !== 'result') for (const tool of own ?? []) matched.add(tool);
    checkConditions(each, own, redactor, report);
    if (source.isConfiguration) checkApprovers(each, config, report);
  }
  const isComplete = checkAgainstEachOther(rules, report);
  checkDefault(config, report);
  const { id, version, hash } = policy;
  return {
    policy: { id, ...(version !== undefined && { version }), hash, rules: rules.length },
    findings: inOrder(findings),
    unmatched: (tools ?? []).filter((tool) => !matched.has(tool)),
    isComplete,
  };
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

function checkDefault({ policy, policyDefinition }: Config, report: Report): void {
  if (policyDefinition.default === 'allow')
    report(
      'DEFAULT_ALLOWS',
      'warning',
      'what no rule matches is allowed: a new tool, and one that is spelled differently; write default: deny',
      undefined,
      ['default'],
    );
  else if (policyDefinition.rules.length === 0)
    report('NO_RULES', 'hint', `there are no rules: every call is decided by the default, ${policy.default ?? 'deny'}`, undefined, [
      'rules',
    ]);
}

function inOrder(findings: readonly PolicyFinding[]): readonly PolicyFinding[] {
  return findings.toSorted((left, right) => left.line - right.line || left.column - right.column);
}

function pathText(path: readonly (string | number)[]): string {
  return path.map((step, index) => (typeof step === 'number' ? `[${step}]` : index === 0 ? step : `.${step}`)).join('');
}
