/** Arguments that a person proposes in place of a call's own, from a file or standard input. */
import type { Json } from '@countersign/core';
import { argumentChanges, CountersignError, strictJson } from '@countersign/core';
import { UsageError } from './failure.ts';
import type { Io } from './io.ts';
import { safe } from './output.ts';
import { readFileBytes } from './read-small-file.ts';

/** As large as the arguments of a call may be. */
export const MAX_EDIT_BYTES = 4_194_304;
const MAX_CHANGES_SHOWN = 50;
const MAX_VALUE_CHARS = 200;
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

/** One line for each value that differs, escaped for a terminal. */
export function changeLines(from: Json, to: Json): readonly string[] {
  const { changes, more } = argumentChanges(from, to);
  const lines = changes.slice(0, MAX_CHANGES_SHOWN).map(({ pointer, before, after }) => {
    const place = pointer === '' ? '(all)' : safe(pointer);
    if (before === undefined) return `+ ${place}: ${valueText(after)}`;
    return after === undefined ? `- ${place}: ${valueText(before)}` : `~ ${place}: ${valueText(before)} -> ${valueText(after)}`;
  });
  const hidden = changes.length - lines.length + more;
  return hidden > 0 ? [...lines, `… ${hidden} more changes; --json has both`] : lines;
}

function valueText(value: Json | undefined): string {
  const text = safe(JSON.stringify(value) ?? '');
  return text.length > MAX_VALUE_CHARS ? `${text.slice(0, MAX_VALUE_CHARS).toWellFormed()}…` : text;
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
