/** Which configuration and which ledger a command means. */
import { resolve } from 'node:path';
import { type Config, DEFAULT_CONFIG_NAME, loadConfig, parseVerifierKey } from '@countersign/core';
import type { Invocation } from './command.ts';
import { UsageError } from './failure.ts';
import { readSmallFile } from './read-small-file.ts';

/** A verifier line has at most 512 characters; a file with more is not one. */
const MAX_PUBLIC_KEY_FILE_CHARS = 4096;

type Asked = Pick<Invocation, 'io' | 'flags'>;

/** Absolute path of the configuration: `--config`, else `COUNTERSIGN_CONFIG`, else `countersign.yaml`. */
export function configPath({ io, flags }: Asked): string {
  const fromEnv = io.env['COUNTERSIGN_CONFIG'];
  return resolve(io.cwd, flags.text('config') ?? (fromEnv === undefined || fromEnv === '' ? DEFAULT_CONFIG_NAME : fromEnv));
}

/** @throws {CountersignError} `CONFIG_NOT_FOUND`, `CONFIG_INVALID` */
export function configOf(asked: Asked): Config {
  return loadConfig(configPath(asked), { env: asked.io.env });
}

/** The ledger named on the command line, else the configured one. Absolute. */
export function ledgerPath({ io, flags, positionals }: Invocation): string {
  const [named] = positionals;
  return named === undefined ? configOf({ io, flags }).ledger.path : resolve(io.cwd, named);
}

/**
 * A verifier line, given as such or as a file that holds one.
 *
 * @throws {UsageError}
 */
export function publicKey(given: string, cwd: string): string {
  if (isVerifierKey(given)) return given;
  let text: string;
  try {
    text = readSmallFile(given, cwd, '--public-key');
  } catch (cause) {
    if (cause instanceof UsageError) throw cause;
    const code = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : '';
    throw new UsageError(`--public-key ${given} is neither a verifier line nor a file that can be read${code}`, KEY_HINT);
  }
  const line = text.slice(0, MAX_PUBLIC_KEY_FILE_CHARS).trim();
  if (!isVerifierKey(line)) throw new UsageError(`--public-key: the file ${given} does not hold one verifier line`, KEY_HINT);
  return line;
}

const KEY_HINT = 'a verifier line is name+keyid+base64; `countersign keygen` writes it beside the key, in a file that ends in .pub';

function isVerifierKey(text: string): boolean {
  try {
    parseVerifierKey(text);
    return true;
  } catch {
    return false;
  }
}
