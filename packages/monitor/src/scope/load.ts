/** From a file, its text or a block of the configuration to a scope. */
import { parseScopeText, readScopeText, type ScopeDocument, type ScopeText } from '@countersign/core';
import { CALIBRATED_LIMITS, LITERAL_LIMITS, type Limits, type Scope } from './scope.ts';

export interface LoadScopeOptions {
  /** `process.env` when absent. `WARDEN_KILL_ON_FLAGS=1` makes `flag_threshold` of the predecessor's forms kill, as there. */
  readonly env?: NodeJS.ProcessEnv;
}

export type ScopeSource =
  | { readonly path: string }
  | { readonly text: string; readonly name?: string }
  /** The block `scope:` of a loaded configuration. */
  | { readonly document: ScopeDocument };

/**
 * Loads a scope: ours (`scope:` of `countersign.yaml`) or one of the predecessor's two forms, unchanged.
 *
 * @throws {CountersignError} `SCOPE_INVALID` with every problem, its line and column; `CONFIG_NOT_FOUND`
 */
export function loadScope(source: ScopeSource, { env = process.env }: LoadScopeOptions = {}): Scope {
  if ('document' in source) return scopeFrom({ form: 'countersign', document: source.document, warnings: [] }, env);
  if ('path' in source) return scopeFrom(parseScopeText(readScopeText(source.path), source.path), env);
  return scopeFrom(parseScopeText(source.text, source.name), env);
}

/** What holds where no scope is written: read anywhere but secrets, write in the workspace and in caches. */
export function defaultScope(): Scope {
  return scopeFrom({ form: 'countersign', document: {}, warnings: [] }, {});
}

function scopeFrom({ form, document, agent, warnings }: ScopeText, env: NodeJS.ProcessEnv): Scope {
  const { filesystem = {}, network = {}, process: processes = {}, behavior = {} } = document;
  const literal = form !== 'countersign';
  return {
    form,
    ...(agent !== undefined && { agent }),
    ...(behavior.mode !== undefined && { mode: behavior.mode }),
    filesystem: {
      // To the predecessor an absent list is an empty one: nothing is in scope.
      ...lists('allowedPaths', filesystem.allowed_paths, literal),
      forbiddenPaths: filesystem.forbidden_paths ?? [],
      forbiddenWrites: filesystem.forbidden_writes ?? [],
      forbiddenExtensions: filesystem.forbidden_extensions ?? [],
      agentFiles: filesystem.agent_files ?? [],
    },
    network: {
      ...lists('allowedDomains', network.allowed_domains?.map(domain), literal),
      forbiddenDomains: network.forbidden_domains?.map(domain) ?? [],
      ...lists('allowedPorts', network.allowed_ports, literal),
    },
    process: {
      ...lists('allowedCommands', processes.allowed_commands, literal),
      forbiddenCommands: processes.forbidden_commands?.map((command) => command.trim()).filter((command) => command !== '') ?? [],
    },
    limits: limitsFrom(behavior, literal, env),
    warnings,
  };
}

function lists<Name extends string, Item>(
  name: Name,
  items: readonly Item[] | undefined,
  literal: boolean,
): Partial<Record<Name, readonly Item[]>> {
  if (items === undefined && !literal) return {};
  return { [name]: items ?? [] } as unknown as Partial<Record<Name, readonly Item[]>>;
}

/** Compared with names as sensors give them: lower case, no final dot. `*.x` means what `x` means. */
function domain(text: string): string {
  return text
    .trim()
    .toLowerCase()
    .replace(/^\*?\./, '')
    .replace(/\.$/, '');
}

type Behavior = NonNullable<ScopeDocument['behavior']>;

function limitsFrom(behavior: Behavior, literal: boolean, env: NodeJS.ProcessEnv): Limits {
  const base = literal ? LITERAL_LIMITS : CALIBRATED_LIMITS;
  const kills = behavior.flag_kill === true || (literal && env['WARDEN_KILL_ON_FLAGS'] === '1');
  return {
    ...base,
    flagThreshold: behavior.flag_threshold ?? base.flagThreshold,
    flagWindowMs: milliseconds(behavior.flag_window) ?? base.flagWindowMs,
    flagEnds: kills ? 'KILL' : base.flagEnds,
    deletions: behavior.max_deletions ?? base.deletions,
    connectionsPerMinute: behavior.max_connections_per_minute ?? base.connectionsPerMinute,
    chainWindowMs: milliseconds(behavior.chain_window) ?? base.chainWindowMs,
    ...(behavior.halt_threshold !== undefined && { haltThreshold: behavior.halt_threshold }),
    ...(behavior.max_actions_per_minute !== undefined && { actionsPerMinute: behavior.max_actions_per_minute }),
    ...(behavior.max_deletion_folders !== undefined && { deletionFolders: behavior.max_deletion_folders }),
    ...(behavior.max_spawns !== undefined && { spawns: behavior.max_spawns }),
    ...(behavior.max_processes !== undefined && { processes: behavior.max_processes }),
    ...(behavior.max_memory_mb !== undefined && { memoryBytes: behavior.max_memory_mb * BYTES_PER_MB }),
    ...(behavior.max_cpu_percent !== undefined && { cpuPercent: behavior.max_cpu_percent }),
    ...(behavior.max_write_mb_per_minute !== undefined && { writeBytesPerMinute: behavior.max_write_mb_per_minute * BYTES_PER_MB }),
  };
}
const BYTES_PER_MB = 1_048_576;

function milliseconds(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : seconds * 1000;
}
