/**
 * One `scope` drives several ways of holding a process to it, and none of them can say all of it. What a way leaves out is a list,
 * shown to whoever starts the agent and kept with its session: nothing is dropped in silence.
 */

export const SCOPE_KEYS = [
  'allowed_paths',
  'forbidden_paths',
  'forbidden_writes',
  'forbidden_extensions',
  'agent_files',
  'allowed_domains',
  'forbidden_domains',
  'allowed_ports',
  'allowed_commands',
  'forbidden_commands',
  'behavior',
] as const;
export type ScopeKey = (typeof SCOPE_KEYS)[number];

export interface Unexpressed {
  /** A key of the scope, or what no scope asks for and people may expect. */
  readonly key: ScopeKey | 'workspace' | 'own_files' | 'sockets' | 'terminal' | 'kernel';
  /** As written; absent when it holds of the whole key. */
  readonly item?: string;
  /** One line, for people. */
  readonly why: string;
  /** `wider`: what the scope forbids is possible. `narrower`: what it allows is refused. */
  readonly is: 'wider' | 'narrower';
}

/** One for each key that is set and that files and ports know nothing of. */
export const NO_COMMANDS = 'commands are not told apart: whatever program is reachable may run';
export const NO_COUNTS = 'nothing is counted: rates and sizes are up to the monitor';
