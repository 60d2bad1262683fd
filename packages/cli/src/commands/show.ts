import { CountersignError, escapeJson } from '@countersign/core';
import { factsOf, openRecords, type RecordReader, recordLine } from '@countersign/core/sqlite';
import type { Command, Invocation } from '../command.ts';
import { ledgerPath } from '../configuration.ts';
import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { storyLines } from '../record-story.ts';
import { type Found, selected } from '../selected.ts';

/** A call has few entries; more are somebody's flood. */
const MAX_ENTRIES = 100;
const NUMBER = /^[0-9]{1,15}$/;
const LEAF = /^[0-9a-f]{64}$/;

export const show: Command = {
  name: 'show',
  summary: 'tell one entry, or all of one call, in words',
  positionals: [
    { name: 'ledger', required: false },
    { name: 'entry', required: true },
  ],
  options: [],
  notes: [
    'The entry is its number, counted from 1, its leaf hash, or a call id; a call is told from ask to outcome.',
    'Nothing is verified: that is `verify` for the ledger, and `receipt` for one call.',
  ],
  example: 'countersign show 12',
  async run(invocation) {
    const { output, positionals } = invocation;
    const wanted = positionals.at(-1) ?? '';
    if (wanted === '' || wanted === '0')
      throw new UsageError('an entry is its number from 1 on, its leaf hash, or a call id', 'for example: countersign show 12');
    const reader = openRecords(ledgerPath({ ...invocation, positionals: positionals.slice(0, -1) }));
    try {
      const found = find(reader, wanted, invocation);
      if (output.json) await writeJson(found, invocation);
      else for (const line of storyLines(found, reader, output)) output.line(line);
      return EXIT.OK;
    } finally {
      reader.close();
    }
  },
};

function find(reader: RecordReader, wanted: string, { output }: Invocation): readonly Found[] {
  const found = NUMBER.test(wanted)
    ? byNumber(reader, Number(wanted))
    : byName(reader, wanted, (done, total) => output.progress(done, total));
  if (found.length > 0) return found;
  const size = reader.size === undefined ? '' : `; this ledger has ${reader.size}`;
  throw new CountersignError(
    'ENTRY_NOT_FOUND',
    NUMBER.test(wanted) ? `there is no entry ${wanted}${size}` : 'no entry has that leaf hash, and none belongs to a call of that id',
  );
}

function byNumber(reader: RecordReader, number: number): readonly Found[] {
  for (const record of reader.records(number - 1)) {
    return record.index === number - 1 ? [{ record, facts: factsOf(record, reader.container) }] : [];
  }
  return [];
}

function byName(reader: RecordReader, name: string, onProgress: (done: number, total: number) => void): readonly Found[] {
  const found: Found[] = [];
  for (const each of selected(reader, {}, onProgress)) {
    if (LEAF.test(name) && each.facts.leaf === name) return [each];
    if (each.facts.call === name && found.length < MAX_ENTRIES) found.push(each);
  }
  return found;
}

async function writeJson(found: readonly Found[], { output }: Invocation): Promise<void> {
  output.raw();
  const lines = found.map(({ record, facts }) => recordLine(record, facts.leaf, true));
  const text = `{"verified":false,"entries":[\n${lines.join(',\n')}\n]}\n`;
  await output.data(output.isTerminal ? escapeJson(text) : text);
}
