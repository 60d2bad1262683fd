/** Which configuration and which ledger a command means. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import {
  type Config,
  CountersignError,
  DEFAULT_CONFIG_NAME,
  loadConfig,
  parseTrustedKeys,
  parseVerifierKey,
  type TrustedKey,
} from '@countersign/core';
import type { Invocation } from './command.ts';
import { UsageError } from './failure.ts';
import { readSmallFile } from './read-small-file.ts';

type Asked = Pick<Invocation, 'io' | 'flags'>;

/** Absolute path of the configuration: `--config`, else `COUNTERSIGN_CONFIG`, else `countersign.yaml`. */
export function configPath({ io, flags }: Asked): string {
  const fromEnv = io.env['COUNTERSIGN_CONFIG'];
  return resolve(io.cwd, flags.text('config') ?? (fromEnv === undefined || fromEnv === '' ? DEFAULT_CONFIG_NAME : fromEnv));
}

/** Whether a configuration is named, or lies where it would be looked for. */
export function hasConfig(asked: Asked): boolean {
  const fromEnv = asked.io.env['COUNTERSIGN_CONFIG'];
  return asked.flags.text('config') !== undefined || (fromEnv !== undefined && fromEnv !== '') || existsSync(configPath(asked));
}

/** @throws {CountersignError} `CONFIG_NOT_FOUND`, `CONFIG_INVALID` */
export function configOf(asked: Asked): Config {
  return loadConfig(configPath(asked), { env: asked.io.env });
}

/**
 * The ledger named on the command line, else the configured one. Absolute.
 *
 * @throws {CountersignError} `CONFIG_NOT_FOUND`, `CONFIG_INVALID`
 */
export function ledgerPath({ io, flags, positionals }: Invocation): string {
  const [named] = positionals;
  if (named !== undefined) return resolve(io.cwd, named);
  if (hasConfig({ io, flags })) return configOf({ io, flags }).ledger.path;
  // Whoever was given a ledger to look at has no configuration, and needs none.
  const where = `there is no ${DEFAULT_CONFIG_NAME} here that names one`;
  throw new CountersignError(
    'CONFIG_NOT_FOUND',
    `no ledger was named, and ${where}: give its path, or --config FILE; \`countersign init\` makes a first configuration`,
  );
}

/**
 * The keys one `--public-key` names: a verifier line, or a file with one per line, each with its limits if it has any
 * (`from=N until=N revoked-from=N`).
 *
 * @throws {UsageError}
 */
export function publicKeys(given: string, cwd: string): readonly (string | TrustedKey)[] {
  const direct = trusted(given);
  if (Array.isArray(direct) && direct.length === 1) return direct;
  // Limits after a line that is one: what is wrong is the limits.
  if (direct instanceof CountersignError && isVerifierKey(given.split(' ', 1)[0] ?? '')) throw badKeys('--public-key', direct);
  let text: string;
  try {
    text = readSmallFile(given, cwd, '--public-key');
  } catch (cause) {
    if (cause instanceof UsageError) throw cause;
    const code = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : '';
    throw new UsageError(`--public-key ${given} is neither a verifier line nor a file that can be read${code}`, KEY_HINT);
  }
  // Ledgers of SudoAgent are checked with the PEM it writes; for others verify says that it is no verifier line.
  if (text.trimStart().startsWith('-----BEGIN PUBLIC KEY-----')) return [text];
  const keys = trusted(text);
  if (keys instanceof CountersignError) throw badKeys(`--public-key: the file ${given} does not hold verifier lines`, keys);
  if (keys.length === 0) throw new UsageError(`--public-key: the file ${given} holds no verifier line`, KEY_HINT);
  return keys;
}

const KEY_HINT = 'a verifier line is name+keyid+base64; `countersign keygen` writes it beside the key, in a file that ends in .pub';

function badKeys(what: string, cause: CountersignError): UsageError {
  return new UsageError(`${what}: ${cause.message}`, KEY_HINT);
}

function trusted(text: string): readonly TrustedKey[] | CountersignError {
  try {
    return parseTrustedKeys(text);
  } catch (error) {
    if (CountersignError.is(error)) return error;
    throw error;
  }
}

function isVerifierKey(text: string): boolean {
  try {
    parseVerifierKey(text);
    return true;
  } catch {
    return false;
  }
}
