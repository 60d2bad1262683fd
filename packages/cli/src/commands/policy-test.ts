import { globSync } from 'node:fs';
import { resolve } from 'node:path';
import { type CaseReport, type PolicyTestReport, runPolicyTests, type StepReport } from '@countersign/core/testing';
import type { Command, Invocation } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { decisionLines, explanationJson, noteLines, ruleLines } from '../explanation-text.ts';
import { UsageError } from '../failure.ts';
import { type Output, safe } from '../output.ts';
import { indented } from '../wrap.ts';

const DEFAULT_FILES = '**/*.policy-test.yaml';
const MAX_FILES = 1000;

export const policyTest: Command = {
  name: 'policy test',
  summary: 'run tables of calls and what should be decided about them',
  positionals: [{ name: 'files', required: false }],
  options: [
    { name: 'require-coverage', kind: 'switch', about: 'fail when a rule never decided a case' },
    { name: 'all', kind: 'switch', about: 'show cases that pass, too' },
  ],
  notes: [
    `FILES is a file or a pattern such as "policies/*.yaml", in quotes; ${DEFAULT_FILES} when absent. Every case runs through a real guard on a store in memory: nothing is written, no tool runs.`,
    'Exit 1 when a case fails, or when there is none. The format is in docs/guides/policies.md, its JSON Schema in docs/policy-test.schema.json.',
  ],
  example: 'countersign policy test "policies/*.yaml" --require-coverage',
  async run(invocation) {
    const { flags, output } = invocation;
    const reports: PolicyTestReport[] = [];
    for (const file of filesOf(invocation)) reports.push(await runPolicyTests(file, (done, total) => output.progress(done, total)));
    const mustCover = flags.on('require-coverage');
    output.result({
      ...countsOf(reports),
      files: reports.map(reportJson),
    });
    for (const report of reports) for (const line of reportLines(report, flags.on('all'), mustCover, output)) output.line(line);
    const { passed, failed } = countsOf(reports);
    output.line(`${passed} passed, ${failed} failed`);
    const isCovered = reports.every((report) => missed(report).length === 0);
    return failed > 0 || passed === 0 || (mustCover && !isCovered) ? EXIT.FAILED : EXIT.OK;
  },
};

function filesOf({ io, positionals }: Invocation): readonly string[] {
  const [given = DEFAULT_FILES] = positionals;
  const files = /[*?{[]/.test(given)
    ? globSync(given, { cwd: io.cwd, exclude: ['**/node_modules/**', '**/.git/**'] })
        .toSorted()
        .map((file) => resolve(io.cwd, file))
    : [resolve(io.cwd, given)];
  if (files.length === 0)
    throw new UsageError(
      `policy test: no file matches ${given}`,
      'write a table first: its format is in docs/guides/policies.md; or name a file',
    );
  if (files.length > MAX_FILES)
    throw new UsageError(`policy test: ${files.length} files match`, `at most ${MAX_FILES}: narrow the pattern`);
  return files;
}

function countsOf(reports: readonly PolicyTestReport[]): { readonly passed: number; readonly failed: number } {
  const cases = reports.flatMap((report) => report.cases);
  const passed = cases.filter(({ isOk }) => isOk).length;
  return { passed, failed: cases.length - passed };
}

function missed({ rules, decisive }: PolicyTestReport): readonly string[] {
  return rules.filter((rule) => !decisive.has(rule));
}

function reportJson(report: PolicyTestReport): unknown {
  const { file, policy, cases, rules } = report;
  return {
    file,
    policy,
    cases: cases.map(({ name, line, isOk, steps }) => ({ name, line, ok: isOk, steps: steps.map((step) => stepJson(step, isOk)) })),
    coverage: { rules: rules.length, never_decided: missed(report) },
    ...(report.notes.length > 0 && { notes: report.notes }),
  };
}

function stepJson({ tool, got, differences, explanation }: StepReport, isOk: boolean): unknown {
  return { tool, got, ...(!isOk && { differences, ...(explanation !== undefined && { explanation: explanationJson(explanation) }) }) };
}

function reportLines(report: PolicyTestReport, showsAll: boolean, mustCover: boolean, output: Output): readonly string[] {
  const { file, policy, cases, rules, notes } = report;
  const lines = [
    output.style('bold', safe(file)),
    `  policy ${safe(policy.id)}${policy.version === undefined ? '' : ` ${safe(policy.version)}`}`,
  ];
  for (const each of cases) if (!each.isOk || showsAll) lines.push(...caseLines(each, output));
  const never = missed(report);
  const told = `${cases.filter(({ isOk }) => isOk).length} of ${cases.length} cases pass; ${rules.length - never.length} of ${rules.length} rules decided one`;
  lines.push(...indented(told, 2, output.columns));
  for (const note of notes) lines.push(...indented(safe(note), 2, output.columns));
  if (never.length > 0) {
    const text = `never decided: ${never.map(safe).join(', ')}`;
    lines.push(...indented(text, 2, output.columns).map((line) => output.style(mustCover ? 'bad' : 'dim', line)));
  }
  return [...lines, ''];
}

function caseLines({ name, line, isOk, steps }: CaseReport, output: Output): readonly string[] {
  const title = `  ${output.style(isOk ? 'good' : 'bad', isOk ? 'ok  ' : 'FAIL')}  ${safe(name)} (line ${line})`;
  if (isOk) return [title];
  return [title, ...steps.flatMap((step, index) => (step.differences.length === 0 ? [] : stepLines(step, index, steps.length, output)))];
}

function stepLines({ tool, differences, explanation }: StepReport, index: number, steps: number, output: Output): readonly string[] {
  const lines = [`      ${steps > 1 ? `step ${index + 1}: ` : ''}${safe(tool)}`];
  for (const { field, expected, got } of differences)
    lines.push(...indented(`${field}: expected ${safe(JSON.stringify(expected))}, got ${safe(JSON.stringify(got))}`, 6, output.columns));
  if (explanation === undefined) return lines;
  const inner = output.narrowed(6);
  const why = [...decisionLines(explanation, inner), ...ruleLines(explanation, inner), ...noteLines(explanation, inner)];
  return [...lines, ...why.map((each) => `      ${each}`)];
}
