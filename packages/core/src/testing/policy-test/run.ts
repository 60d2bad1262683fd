/** Running a file of policy tests. */
import { dirname, resolve } from 'node:path';
import type { Config } from '../../config/config.ts';
import type { Problem } from '../../config/document.ts';
import { readConfigText } from '../../config/load.ts';
import { loadPolicyFile, readPolicyValue } from '../../config/policy-source.ts';
import { configError } from '../../config/problems.ts';
import { CountersignError } from '../../errors.ts';
import { besideRules, ownRuleSets, ruleSetsOf } from '../../policy/check/members.ts';
import { createRedactor } from '../../redact/redact.ts';
import { runCase, type StepReport, type Tested } from './run-case.ts';
import { readTests } from './schema.ts';

export interface CaseReport {
  readonly name: string;
  readonly line: number;
  readonly isOk: boolean;
  readonly steps: readonly StepReport[];
}

export interface PolicyTestReport {
  readonly file: string;
  readonly policy: { readonly id: string; readonly version?: string; readonly hash: string };
  readonly cases: readonly CaseReport[];
  /** Rules of the policy itself, without its packs. */
  readonly rules: readonly string[];
  /** Those that decided a step, or labelled one. */
  readonly decisive: ReadonlySet<string>;
  /** What decides in earnest and was not tested or cannot be counted, in sentences. */
  readonly notes: readonly string[];
}

/**
 * Runs the tests of a file, each on a guard and a store of its own. Nothing is written; conditions that look at the disk do.
 *
 * @param onCase - told after each case.
 * @throws {CountersignError} `CONFIG_NOT_FOUND`, `CONFIG_INVALID` for a file of tests, or a policy, that does not load.
 */
export async function runPolicyTests(path: string, onCase: (done: number, total: number) => void = () => {}): Promise<PolicyTestReport> {
  const { yaml, document, problems } = readTests(readConfigText(path));
  if (document === undefined) throw configError(path, problems);
  const config = policyOf(document.policy, path, (at) => yaml.place(at));
  const { policy } = config;
  const tested: Tested = {
    policy,
    sets: ruleSetsOf(config),
    roots: config.roots,
    redactor: createRedactor(config.redaction),
  };
  const cases: CaseReport[] = [];
  const decisive = new Set<string>();
  for (const [index, given] of document.cases.entries()) {
    const steps = await runCase(given, document, tested);
    for (const { explanation, got } of steps) {
      if (got.result_rule !== undefined) decisive.add(got.result_rule);
      for (const { rule, effect, outcome, decides } of explanation?.rules ?? [])
        if (decides || (effect === 'label' && outcome === 'applies')) decisive.add(rule);
    }
    cases.push({
      name: given.name,
      line: yaml.place(['cases', index]).line,
      isOk: steps.every(({ differences }) => differences.length === 0),
      steps,
    });
    onCase(cases.length, document.cases.length);
  }
  const { id, version, hash } = policy;
  return {
    file: path,
    policy: { id, ...(version !== undefined && { version }), hash },
    cases,
    rules: ownRuleSets(config).flatMap(({ rules }) => rules.map((rule) => rule.id)),
    decisive,
    notes: besideRules(config),
  };
}

function policyOf(policy: unknown, path: string, place: (at: readonly (string | number)[]) => { line: number; column: number }): Config {
  if (typeof policy === 'string') {
    const file = resolve(dirname(path), policy);
    try {
      return loadPolicyFile(file);
    } catch (error) {
      if (!CountersignError.is(error) || error.code !== 'CONFIG_NOT_FOUND') throw error;
      throw configError(path, [{ path: ['policy'], message: `there is no file ${policy} beside this one`, ...place(['policy']) }]);
    }
  }
  const read = readPolicyValue(policy, (at) => place(at), path);
  if (read.config === undefined) throw configError(path, read.problems satisfies readonly Problem[]);
  return read.config;
}
