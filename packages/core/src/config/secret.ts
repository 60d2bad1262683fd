/** A secret of the configuration: named, never written into the file. */
import * as z from 'zod';

/** One in use, and those that are being replaced. */
const MAX_SECRETS = 4;

export type SecretDocument = { readonly env: string } | { readonly file: string };
export type SecretsDocument = SecretDocument | readonly SecretDocument[];

/** Where a secret lies. Never the secret itself. `file` is absolute. */
export type SecretSource = { readonly env: string } | { readonly file: string };

const NAMED = 'a secret is named, never written here: { env: NAME } or { file: PATH }';
export const secretSchema: z.ZodType<SecretDocument> = z
  .union(
    [
      z.strictObject({ env: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, 'the name of an environment variable') }),
      z.strictObject({ file: z.string().min(1).max(4096) }),
    ],
    { error: NAMED },
  )
  .describe('where the secret lies: a variable of the environment, or a file that only its owner may read');
export const secretsSchema: z.ZodType<SecretsDocument> = z
  .union([secretSchema, z.array(secretSchema).min(1).max(MAX_SECRETS)], { error: NAMED })
  .describe('one, or several while one is being replaced');

/** @param place - makes a path absolute. */
export function placedSecrets(given: SecretsDocument, place: (name: string) => string): readonly SecretSource[] {
  return (isList(given) ? given : [given]).map((each) => placedSecret(each, place));
}

export function placedSecret(given: SecretDocument, place: (name: string) => string): SecretSource {
  return 'file' in given ? { file: place(given.file) } : given;
}

/** `Array.isArray` does not narrow readonly arrays. */
function isList(value: SecretsDocument): value is readonly SecretDocument[] {
  return Array.isArray(value);
}
