/** Fetching a secret the configuration names. It goes nowhere but to its caller: messages name the variable or the file. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { CountersignError, type SecretSource } from '@countersign/core';

export type Environment = Readonly<Record<string, string | undefined>>;

const MAX_SECRET_BYTES = 4096;
const GROUP_AND_OTHERS = 0o077;

/**
 * Space around a secret is ignored.
 *
 * @param place - what names it, for messages: `approvals.channels[0].webhook.secret`.
 * @throws {CountersignError} `CONFIG_INVALID` when it is not there, is empty, is too long, or may be read by other users.
 */
export function readSecret(source: SecretSource, env: Environment, place: string): string {
  const secret = ('env' in source ? (env[source.env] ?? '') : readPrivateFile(source.file, place)).trim();
  const where = 'env' in source ? `the variable ${source.env}` : `the file ${source.file}`;
  if (secret === '') throw invalid(place, `${where} is ${'env' in source ? 'not set' : 'empty'}: put the secret there`);
  if (secret.length > MAX_SECRET_BYTES) throw invalid(place, `${where} holds more than ${MAX_SECRET_BYTES} characters, which is no secret`);
  return secret;
}

function readPrivateFile(path: string, place: string): string {
  let file: number;
  try {
    // O_NONBLOCK (0 where there is none): a named pipe laid at that path must not make the start hang.
    file = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    throw invalid(
      place,
      `the file ${path} cannot be opened (${error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'})`,
    );
  }
  const bytes = Buffer.alloc(MAX_SECRET_BYTES + 1);
  try {
    // Of the open file, not of the path: whatever is swapped in afterwards is not what was checked.
    const stats = fstatSync(file);
    if (!stats.isFile()) throw invalid(place, `${path} is not a regular file`);
    if (process.platform !== 'win32' && (stats.mode & GROUP_AND_OTHERS) !== 0)
      throw invalid(place, `the file ${path} is open to other users (mode ${(stats.mode & 0o777).toString(8)}); run: chmod 600 ${path}`);
    return bytes.toString('utf8', 0, readUpTo(file, bytes));
  } finally {
    bytes.fill(0);
    closeSync(file);
  }
}

function readUpTo(file: number, bytes: Buffer): number {
  let length = 0;
  for (;;) {
    const count = readSync(file, bytes, length, bytes.length - length, null);
    length += count;
    if (count === 0 || length === bytes.length) return length;
  }
}

export function invalid(place: string, what: string): CountersignError {
  return new CountersignError('CONFIG_INVALID', `${place}: ${what}`);
}
