import { resolve } from 'node:path';
import { escapeJson } from '@countersign/core';
import { openRecords, type RecordReader, recordLine } from '@countersign/core/sqlite';
import type { Command, Invocation } from '../command.ts';
import { ledgerPath } from '../configuration.ts';
import { EXIT } from '../exit-codes.ts';
import { safe } from '../output.ts';
import { recordRow } from '../record-text.ts';
import { checkOpeningsCanGo, type Found, mapped, noteFaults, selected, Taken } from '../selected.ts';
import { criteriaOf, LIMIT_OPTION, limitOf, SELECTION_NOTE, SELECTION_OPTIONS } from '../selection-options.ts';
import { writeWhole } from '../write-whole.ts';

export const filter: Command = {
  name: 'filter',
  summary: 'pick entries of a ledger: by call, tool, agent, effect, time',
  positionals: [{ name: 'ledger', required: false }],
  options: [
    ...SELECTION_OPTIONS,
    LIMIT_OPTION,
    { name: 'no-openings', kind: 'switch', about: 'leave out the clear text of arguments, reasons and results' },
    { name: 'output', kind: 'text', value: 'FILE', about: 'write JSON lines to a file, whole or not at all' },
    { name: 'force', kind: 'switch', about: 'replace that file' },
  ],
  notes: [
    'A table on a terminal; piped, one line of JSON per entry, as in an export but without its header: entries that were picked out are no ledger. Nothing is verified.',
    SELECTION_NOTE,
  ],
  example: 'countersign filter --tool "files/*" --effect deny --since 2h',
  async run(invocation) {
    const { flags } = invocation;
    const criteria = criteriaOf(flags, Date.now());
    const limit = limitOf(flags);
    const reader = openRecords(ledgerPath(invocation));
    try {
      if (flags.on('no-openings')) checkOpeningsCanGo(reader);
      const found = selected(reader, criteria, (done, total) => invocation.output.progress(done, total));
      const taken = new Taken(found, limit);
      await write(taken, reader, invocation);
      noteFaults(reader, invocation.output);
      if (taken.wasCut) invocation.output.note(`countersign: stopped after ${taken.count} entries (--limit); there are more`);
      return EXIT.OK;
    } finally {
      reader.close();
    }
  },
};

async function write(taken: Taken<Found>, reader: RecordReader, { io, output, flags }: Invocation): Promise<void> {
  const withOpenings = !flags.on('no-openings');
  const lineOf = ({ record, facts }: Found): string => recordLine(record, facts.leaf, withOpenings);
  const target = flags.text('output');
  if (target !== undefined) {
    const file = resolve(io.cwd, target);
    await writeWhole(
      file,
      mapped(taken, (found) => `${lineOf(found)}\n`),
      flags.on('force'),
    );
    output.result({ output: file, entries: taken.count, limited: taken.wasCut });
    output.line(`${taken.count} entries written to ${safe(file)}`);
  } else if (output.json) {
    output.raw();
    const shown = (text: string): string => (output.isTerminal ? escapeJson(text) : text);
    let isOpen = await output.data('{"entries":[');
    for (const found of taken) {
      if (!isOpen) return;
      isOpen = await output.data(shown(`${taken.count === 1 ? '' : ','}\n${lineOf(found)}`));
    }
    await output.data(`${taken.count === 0 ? '' : '\n'}],"count":${taken.count},"limited":${taken.wasCut}}\n`);
  } else if (output.isTerminal) {
    const numberChars = String(reader.size ?? 0).length;
    for (const { facts } of taken) output.line(recordRow(facts, output, numberChars));
    output.line(
      taken.count === 0 ? 'no entry matches' : output.style('dim', 'one of them: countersign show <number>; nothing here is verified'),
    );
  } else {
    output.raw();
    for (const found of taken) if (!(await output.data(`${lineOf(found)}\n`))) return;
  }
}
