/** The entry a receipt, a disclosure or an erasure is about, and the options that name it. */

import { resolve } from 'node:path';
import { escapeJson } from '@countersign/core';
import type { MadeReceipt, ReceiptTarget } from '@countersign/core/sqlite';
import type { Invocation, Option } from './command.ts';
import { UsageError } from './failure.ts';
import { safe } from './output.ts';
import { writeWhole } from './write-whole.ts';

export const TARGET_OPTIONS: readonly Option[] = [
  { name: 'call', kind: 'text', value: 'ID', about: 'a call: its newest allow, else its newest decision' },
  { name: 'leaf', kind: 'text', value: 'HASH', about: 'the entry with this leaf hash' },
  { name: 'entry', kind: 'text', value: 'N', about: 'the entry with this number, from 1' },
];

export const OUTPUT_OPTIONS: readonly Option[] = [
  { name: 'output', kind: 'text', value: 'FILE', about: 'write to a file, whole or not at all' },
  { name: 'force', kind: 'switch', about: 'replace that file' },
];

const CALL = /^[0-9a-f]{32}$/;
const LEAF = /^[0-9a-f]{64}$/;
const NUMBER = /^[1-9][0-9]{0,14}$/;

/** @throws {UsageError} unless exactly one target is named, in its form. */
export function receiptTarget({ flags }: Pick<Invocation, 'flags'>): ReceiptTarget {
  const named = ['call', 'leaf', 'entry'].filter((name) => flags.on(name));
  if (named.length !== 1)
    throw new UsageError('name one entry: --call ID, --leaf HASH or --entry N', 'run `countersign filter` to see the entries');
  const call = flags.text('call');
  if (call !== undefined) return { call: callId(call) };
  const leaf = flags.text('leaf');
  if (leaf === undefined) return { index: entryNumber(flags.text('entry') ?? '') - 1 };
  if (!LEAF.test(leaf))
    throw new UsageError('--leaf must be 64 lower-case hex digits', 'run `countersign filter --json` to see leaf hashes');
  return { leaf };
}

export function callId(given: string): string {
  if (!CALL.test(given)) throw new UsageError('--call must be 32 lower-case hex digits', 'run `countersign filter` to see the calls');
  return given;
}

export function entryNumber(given: string): number {
  if (!NUMBER.test(given)) throw new UsageError('--entry must be a number from 1 on', 'run `countersign filter` to see the entries');
  return Number(given);
}

/**
 * Writes a receipt to `--output`, else to standard output.
 *
 * @param disclosed - the fields that alone are in clear in it; undefined when whole sections are.
 */
export async function writeReceipt(
  made: MadeReceipt,
  { io, output, flags }: Invocation,
  disclosed: readonly string[] | undefined,
): Promise<void> {
  const target = flags.text('output');
  if (target === undefined) {
    output.raw();
    // A receipt ends with its last brace. On a terminal the same JSON, spelled so that it cannot act on it.
    await output.data(output.isTerminal ? `${escapeJson(made.text)}\n` : made.text);
    return;
  }
  const file = resolve(io.cwd, target);
  await writeWhole(file, [made.text], flags.on('force'));
  const { index, leaf, kind, effect, outcome, origin, size, isSigned, hasClearText } = made;
  output.result({
    output: file,
    entry: index + 1,
    leaf,
    kind,
    ...(effect !== undefined && { effect }),
    outcome,
    origin,
    size,
    signed: isSigned,
    clear_text: hasClearText,
  });
  for (const line of madeLines(made, file, disclosed)) output.line(line);
}

function madeLines(made: MadeReceipt, file: string, disclosed: readonly string[] | undefined): readonly string[] {
  const what = made.effect === undefined ? made.kind : `${made.kind} (${made.effect})`;
  return [
    `receipt of entry ${made.index + 1}, ${safe(what)}, written to ${safe(file)}`,
    `  log        ${safe(made.origin)}, ${made.size} entries${made.isSigned ? '' : ', NOT SIGNED: it proves nothing about who wrote it'}`,
    ...outcomeLines(made),
    `  clear text ${clearText(made, disclosed)}`,
  ];
}

function clearText({ hasClearText }: MadeReceipt, disclosed: readonly string[] | undefined): string {
  if (!hasClearText) return 'left out, or not there';
  if (disclosed === undefined) return 'in it: whoever gets the receipt can read it';
  return `in it: ${disclosed.map(safe).join(', ')}; of all other fields only their number`;
}

function outcomeLines({ outcome }: MadeReceipt): readonly string[] {
  switch (outcome) {
    case 'included':
      return ['  outcome    in it, proven at the same size'];
    case 'later':
      return ['  outcome    recorded, but no signed checkpoint covers it yet: make the receipt again later'];
    case 'none':
      return [];
  }
}
