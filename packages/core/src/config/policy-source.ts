/**
 * Where tools for people take a policy from: a whole configuration, or a file that holds a `policy:` block alone
 *
 *     id: billing
 *     rules:
 *       - { id: reads, tools: ["fs/read_*"], effect: allow }
 *
 * The two are told apart by their top-level keys. A policy alone is checked exactly as it would be inside a configuration.
 */
import { CountersignError } from '../errors.ts';
import type { Config } from './config.ts';
import { type Path, type Problem, readYaml, type YamlText } from './document.ts';
import { checkDocument, readConfigText } from './load.ts';
import { configError } from './problems.ts';
import { workOut } from './work-out.ts';

export interface PolicySource {
  /** Whether the file is a whole configuration: only that names approvers, roots and redaction. */
  readonly isConfiguration: boolean;
  /** Everything that is wrong with it; empty exactly when `config` is there. */
  readonly problems: readonly Problem[];
  readonly config?: Config;
  /** Where the value at a path of the configuration stands, such as `['policy', 'rules', 0, 'when']`. */
  place(path: Path): { readonly line: number; readonly column: number };
}

/** What a policy alone is given to become a configuration. Nothing of it can be seen in a decision. */
const BARE = { version: 1, agent: 'policy-file' } as const;
const POLICY_KEYS = ['id', 'rules', 'packs', 'default', 'cedar', 'bundle'];

/** @param path - paths in the file are relative to its folder. */
export function readPolicySource(source: string, path?: string): PolicySource {
  const read = readYaml(source);
  const isConfiguration = !isBare(read.value);
  const yaml = isConfiguration ? read : asConfiguration(read);
  const made = worked(yaml, isConfiguration, path);
  return isConfiguration ? made : { ...made, problems: made.problems.map(withoutPolicy) };
}

function worked(yaml: YamlText, isConfiguration: boolean, path: string | undefined): PolicySource {
  const place: PolicySource['place'] = (at) => yaml.place(at);
  const { document, problems } = checkDocument(yaml);
  if (document === undefined) return { isConfiguration, problems, place };
  try {
    return { isConfiguration, problems: [], config: workOut(document, {}, path), place };
  } catch (error) {
    if (!CountersignError.is(error)) throw error;
    return { isConfiguration, problems: [{ path: [], message: error.message, line: 1, column: 1 }], place };
  }
}

/**
 * The configuration a file stands for.
 *
 * @throws {CountersignError} `CONFIG_NOT_FOUND`, `CONFIG_INVALID`
 */
export function loadPolicyFile(path: string): Config {
  const { config, problems } = readPolicySource(readConfigText(path), path);
  if (config === undefined) throw configError(path, problems);
  return config;
}

/**
 * A `policy:` block that stands in another file.
 *
 * @param place - where the value at a path stands, such as `['policy', 'rules', 0]`.
 */
export function readPolicyValue(value: unknown, place: PolicySource['place'], path: string): PolicySource {
  return worked({ value: { ...BARE, policy: value }, problems: [], place, keyPlace: place }, false, path);
}

function isBare(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  if (Object.hasOwn(value, 'policy') || Object.hasOwn(value, 'agent')) return false;
  return POLICY_KEYS.some((key) => Object.hasOwn(value, key));
}

function asConfiguration(yaml: YamlText): YamlText {
  const inner = (path: Path): Path => (path[0] === 'policy' ? path.slice(1) : []);
  return {
    value: { ...BARE, policy: yaml.value },
    problems: yaml.problems,
    place: (path) => yaml.place(inner(path)),
    keyPlace: (path) => yaml.keyPlace(inner(path)),
  };
}

function withoutPolicy(problem: Problem): Problem {
  return problem.path[0] === 'policy' ? { ...problem, path: problem.path.slice(1) } : problem;
}
