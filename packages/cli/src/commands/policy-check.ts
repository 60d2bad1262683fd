import { checkPolicySource, type PolicyCheck, type PolicyFinding, readConfigText } from '@countersign/core';
import type { Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { KNOWN_TOOLS_OPTIONS, knownTools } from '../known-tools.ts';
import { type Output, type Style, safe } from '../output.ts';
import { POLICY_FILE_NOTE, policyFile } from '../policy-file.ts';
import { wrap } from '../wrap.ts';

const SEVERITY_STYLES: Readonly<Record<PolicyFinding['severity'], Style>> = { error: 'bad', warning: 'warn', hint: 'dim' };
/** Tools without a rule that are named; the rest are counted. */
const MAX_NAMED_TOOLS = 10;

export const policyCheck: Command = {
  name: 'policy check',
  summary: 'what is wrong or odd about a policy',
  positionals: [{ name: 'file', required: false }],
  options: [...KNOWN_TOOLS_OPTIONS, { name: 'strict', kind: 'switch', about: 'exit 1 for warnings and hints too' }],
  notes: [
    POLICY_FILE_NOTE,
    'Finds rules that do not compile, rules that never decide, conditions that read what may be absent, names that are not known, and more. With --tools and --ledger patterns and arguments are compared with tools that exist. Nothing is run.',
    'Exit 1 when the policy does not load. The codes are listed in docs/guides/policies.md.',
  ],
  example: 'countersign policy check --tools files=tools.json --strict',
  async run(invocation) {
    const { flags, output } = invocation;
    const { path, shown } = policyFile(invocation);
    const source = readConfigText(path);
    const tools = knownTools(invocation);
    const check = checkPolicySource(source, { path, ...(tools !== undefined && { tools }) });
    output.result(checkJson(shown, check, tools?.length));
    for (const line of checkLines(shown, check, tools?.length, output)) output.line(line);
    const isFailed = flags.on('strict')
      ? check.findings.length > 0 || !check.isComplete
      : check.findings.some(({ severity }) => severity === 'error');
    return isFailed ? EXIT.FAILED : EXIT.OK;
  },
};

function checkJson(
  file: string,
  { policy, findings, unmatched, onlyPacks, notes, isComplete }: PolicyCheck,
  tools: number | undefined,
): unknown {
  return {
    file,
    ...(policy !== undefined && { policy: policyJson(policy) }),
    findings: findings.map(({ code, severity, rule, line, column, message }) => ({
      code,
      severity,
      ...(rule !== undefined && { rule }),
      line,
      column,
      message,
    })),
    ...(tools !== undefined && {
      tools: { known: tools, unmatched: unmatched.map(toolJson), only_packs: onlyPacks.map(toolJson) },
    }),
    ...(notes.length > 0 && { notes }),
    complete: isComplete,
  };
}

function policyJson({ isBundle, hasCedar, ...policy }: NonNullable<PolicyCheck['policy']>): unknown {
  return { ...policy, bundle: isBundle, cedar: hasCedar };
}

function toolJson({ server, name }: Tools[number]): unknown {
  return { ...(server !== undefined && { server }), name };
}

function checkLines(file: string, check: PolicyCheck, tools: number | undefined, output: Output): readonly string[] {
  const { policy, findings, notes, isComplete } = check;
  const lines = findings.flatMap((finding) => findingLines(file, finding, output));
  if (policy === undefined) return [...lines, summary(findings)];
  const { id, version, hash, rules, packs, isBundle } = policy;
  const name = `policy ${safe(id)}${version === undefined ? '' : ` ${safe(version)}`}`;
  const parts = [
    ...packs.map((pack) => `pack ${safe(pack.id)} with ${plural(pack.rules, 'rule')}`),
    `${plural(rules, 'rule')}${packs.length > 0 ? ' of its own' : ''}`,
  ];
  const fallback = `${policy.hasCedar ? 'Cedar, then ' : ''}${policy.default ?? 'the defaults of its members'}`;
  return [
    ...lines,
    ...(lines.length === 0 ? [] : ['']),
    ...wrap(
      `${name}: ${isBundle ? 'a signed bundle, ' : ''}${parts.join(', ')}, hash ${hash.slice(0, 16)}; ${summary(findings)}`,
      output.columns,
    ),
    ...(packs.length === 0
      ? []
      : wrap(`What no rule decides: ${fallback}. The rules of packs are ours and not checked here.`, output.columns)),
    ...notes.flatMap((note) => wrap(safe(note), output.columns)),
    ...(tools === undefined ? [] : toolsText(tools, check, policy.hasCedar, fallback).flatMap((text) => wrap(text, output.columns))),
    ...(isComplete
      ? []
      : wrap('There are too many rules to compare each with each: some that never decide may not have been found.', output.columns)),
  ];
}

/** One line a program can read when piped; on a terminal the message below its place. */
function findingLines(file: string, { code, severity, rule, line, column, message }: PolicyFinding, output: Output): readonly string[] {
  const about = rule === undefined ? '' : `rule "${safe(rule)}": `;
  if (!output.isTerminal) return [`${safe(file)}:${line}:${column}: ${severity} ${code}: ${about}${safe(message)}`];
  const title = `${output.style('dim', `${line}:${column}`)} ${output.style(SEVERITY_STYLES[severity], severity)} ${code}`;
  return [title, ...wrap(`${about}${safe(message)}`, output.columns - 4).map((each) => `    ${each}`)];
}

function summary(findings: readonly PolicyFinding[]): string {
  const counts = (['error', 'warning', 'hint'] as const).map((severity) => ({
    severity,
    count: findings.filter((finding) => finding.severity === severity).length,
  }));
  const told = counts.filter(({ count }) => count > 0).map(({ severity, count }) => plural(count, severity));
  return told.length === 0 ? 'nothing to say against it' : told.join(', ');
}

type Tools = PolicyCheck['unmatched'];

function toolsText(known: number, { unmatched, onlyPacks }: PolicyCheck, hasCedar: boolean, fallback: string): readonly string[] {
  if (unmatched.length + onlyPacks.length === 0) return [`Every one of the ${known} known tools is matched by a rule.`];
  const are = (tools: Tools): string => `${tools.length} of ${known} known tools ${tools.length === 1 ? 'is' : 'are'}`;
  return [
    ...(unmatched.length === 0
      ? []
      : [`${are(unmatched)} left to ${hasCedar ? 'Cedar and the default' : 'the default'}: ${named(unmatched)}`]),
    ...(onlyPacks.length === 0
      ? []
      : [`${are(onlyPacks)} watched by packs alone; the calls they do not stop: ${fallback}. ${named(onlyPacks)}`]),
  ];
}

function named(tools: Tools): string {
  const names = tools.slice(0, MAX_NAMED_TOOLS).map(({ server, name }) => safe(server === undefined ? name : `${server}/${name}`));
  return `${names.join(', ')}${tools.length > MAX_NAMED_TOOLS ? ` and ${tools.length - MAX_NAMED_TOOLS} more` : ''}`;
}

function plural(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`;
}
