/** Arguments that a person proposes in place of a call's own, from a file or standard input. */
import type { ChangeLineLimits, Json } from '@countersign/core';
import { CountersignError, strictJson } from '@countersign/core';
import { UsageError } from './failure.ts';
import type { Io } from './io.ts';
import { readFileBytes } from './read-small-file.ts';

/** As large as the arguments of a call may be. */
export const MAX_EDIT_BYTES = 4_194_304;
/** Of what a person changed, in the result of a command. */
export const CHANGES_SHOWN: ChangeLineLimits = { maxLines: 50, maxValueChars: 200, whole: '--json has both' };
const OPTION = '--args';

/**
 * @param path - `-` for standard input.
 * @throws {UsageError} for what is no JSON, no UTF-8, or too large; {CountersignError} `APPROVAL_EDIT_INVALID` for JSON that
 *   others could read differently; a system error when the file cannot be opened.
 */
export async function readEditedArguments(path: string, { cwd, stdin }: Pick<Io, 'cwd' | 'stdin'>): Promise<Json> {
  const bytes = path === '-' ? await readStream(stdin) : readFileBytes(path, cwd, OPTION, MAX_EDIT_BYTES);
  let value: Json;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as Json;
  } catch {
    // The parser's own words would quote what it read.
    throw new UsageError(`${OPTION}: the new arguments are not JSON`, 'start from `countersign approvals show ID --json`, member `args`');
  }
  if (strictJson(bytes, Number.POSITIVE_INFINITY) === undefined)
    throw new CountersignError(
      'APPROVAL_EDIT_INVALID',
      `${OPTION}: others could read the new arguments differently: name each member once and none __proto__, and write long numbers as texts`,
    );
  return value;
}

async function readStream(stdin: Io['stdin']): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stdin) {
    const bytes = Buffer.from(chunk as Uint8Array | string);
    size += bytes.length;
    if (size > MAX_EDIT_BYTES)
      throw new UsageError(`${OPTION}: standard input is longer than ${MAX_EDIT_BYTES} bytes`, 'pass a reference instead');
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}
