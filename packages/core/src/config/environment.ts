/** What the environment may override. An invalid value is an error, never ignored; an empty one counts as unset. */
import type { Mode } from '../call.ts';
import { CountersignError } from '../errors.ts';
import type { Environment } from './config.ts';
import { AGENT_SHAPE, MODES } from './schema.ts';

export interface Overrides {
  /** `COUNTERSIGN_MODE` */
  readonly mode?: Mode;
  /** `COUNTERSIGN_AGENT` */
  readonly agent?: string;
  /** `COUNTERSIGN_LEDGER`: path of the ledger, relative to the working directory. */
  readonly ledger?: string;
}

/** @throws {CountersignError} `CONFIG_INVALID`; the message names the variable. */
export function readOverrides(env: Environment): Overrides {
  const { COUNTERSIGN_MODE: modeName, COUNTERSIGN_AGENT: agent, COUNTERSIGN_LEDGER: ledger } = env;
  const mode = MODES.find((known) => known === modeName);
  if (isSet(modeName) && mode === undefined) throw refused(`COUNTERSIGN_MODE must be one of ${MODES.join(', ')}`);
  if (isSet(agent) && !AGENT_SHAPE.test(agent))
    throw refused('COUNTERSIGN_AGENT: use letters, digits and . _ : @ -, at most 128 characters');
  if (isSet(ledger) && ledger.includes('\0')) throw refused('COUNTERSIGN_LEDGER must be a path');
  return { ...(mode === undefined ? {} : { mode }), ...(isSet(agent) ? { agent } : {}), ...(isSet(ledger) ? { ledger } : {}) };
}

function isSet(value: string | undefined): value is string {
  return value !== undefined && value !== '';
}

function refused(message: string): CountersignError {
  return new CountersignError('CONFIG_INVALID', message);
}
