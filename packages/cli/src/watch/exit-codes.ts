/** Exit codes of `run` and `attach` besides the agent's own. Pinned by a test and described in the README. */
import { constants } from 'node:os';
import type { AgentEnd } from '@countersign/monitor';

export const RUN_EXIT = {
  /** A verdict ended it, or nobody answered a halt in time. */
  KILLED: 120,
  /** A person ended it, asked about a halt. */
  DENIED: 121,
  /** Something of it could not be ended. */
  LEFT: 122,
  /** As `timeout` and `env` have it: found, and cannot be run. */
  NOT_EXECUTABLE: 126,
  NOT_FOUND: 127,
} as const;

const SIGNALLED = 128;

/** The agent's own code; 128 and the number of the signal that ended it. */
export function codeOf({ code, signal }: AgentEnd): number {
  if (code !== undefined) return code;
  return signal === undefined ? 0 : SIGNALLED + constants.signals[signal];
}
