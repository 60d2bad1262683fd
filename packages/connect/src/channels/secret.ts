/** Fetching a secret the configuration names. It goes nowhere but to its caller: messages name the variable or the file. */
import { CountersignError, readPrivateFile, type SecretSource } from '@countersign/core';

export type Environment = Readonly<Record<string, string | undefined>>;

const MAX_SECRET_BYTES = 4096;

/**
 * Space around a secret is ignored.
 *
 * @param place - what names it, for messages: `approvals.channels[0].webhook.secret`.
 * @throws {CountersignError} `CONFIG_INVALID` when it is not there, is empty, is too long, or may be read by other users.
 */
export function readSecret(source: SecretSource, env: Environment, place: string): string {
  const secret = ('env' in source ? (env[source.env] ?? '') : fileText(source.file, place)).trim();
  const where = 'env' in source ? `the variable ${source.env}` : `the file ${source.file}`;
  if (secret === '') throw invalid(place, `${where} is ${'env' in source ? 'not set' : 'empty'}: put the secret there`);
  if (secret.length > MAX_SECRET_BYTES) throw invalid(place, `${where} holds more than ${MAX_SECRET_BYTES} characters, which is no secret`);
  return secret;
}

function fileText(path: string, place: string): string {
  return readPrivateFile(path, MAX_SECRET_BYTES, (what) => invalid(place, `the file ${what}`));
}

export function invalid(place: string, what: string): CountersignError {
  return new CountersignError('CONFIG_INVALID', `${place}: ${what}`);
}
