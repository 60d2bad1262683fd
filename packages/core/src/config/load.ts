/** Loading `countersign.yaml`. Every problem of a file is reported at once, each with its place. */

import type { Config, Environment } from './config.ts';
import { MAX_CONFIG_CHARS, type Problem, readYaml, type YamlText } from './document.ts';
import { readOverrides } from './environment.ts';
import { looseProblems, meaningProblems } from './meaning.ts';
import { configError, schemaProblems } from './problems.ts';
import { readRegularText } from './regular-file.ts';
import { type ConfigDocument, configSchema } from './schema.ts';
import { workOut } from './work-out.ts';

export interface LoadOptions {
  readonly env?: Environment;
  readonly onPolicyFile?: (path: string) => void;
}

export const DEFAULT_CONFIG_NAME = 'countersign.yaml';

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
  return readRegularText(path, {
    maxBytes: MAX_CONFIG_CHARS,
    notFound: 'not found; run `countersign init`, or name another file with --config',
  });
}
