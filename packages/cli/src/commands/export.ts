import { resolve } from 'node:path';
import { escapeJson } from '@countersign/core';
import { exportHeader, factsOf, openRecords, type RecordReader, recordLine } from '@countersign/core/sqlite';
import type { Command, Invocation } from '../command.ts';
import { ledgerPath } from '../configuration.ts';
import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { safe } from '../output.ts';
import { writeWhole } from '../write-whole.ts';

type Format = 'ndjson' | 'json';

export const exportLedger: Command = {
  name: 'export',
  summary: 'write a ledger as ndjson or json',
  positionals: [{ name: 'ledger', required: false }],
  options: [
    { name: 'format', kind: 'text', value: 'F', about: 'ndjson (default) or json' },
    { name: 'output', kind: 'text', value: 'FILE', about: 'write to a file, whole or not at all' },
    { name: 'force', kind: 'switch', about: 'replace that file' },
    { name: 'no-openings', kind: 'switch', about: 'leave out the clear text of arguments, reasons and results' },
  ],
  notes: ['Copies what is stored and checks nothing; `size` in the header tells how many entries must follow.'],
  example: 'countersign export --format ndjson --no-openings | jq .entry.reason_code',
  async run(invocation) {
    const { io, output, flags } = invocation;
    const format = formatOf(invocation);
    const target = flags.text('output');
    const reader = openRecords(ledgerPath(invocation));
    try {
      const text = new ExportText(reader, format, !flags.on('no-openings'));
      if (target !== undefined) {
        const file = resolve(io.cwd, target);
        await writeWhole(file, text, flags.on('force'));
        output.result({ output: file, format, entries: text.entries });
        output.line(`${text.entries} entries written to ${safe(file)}`);
        return EXIT.OK;
      }
      output.raw();
      for (const part of text) {
        // On a terminal the same JSON, spelled so that it cannot act on it. A reader that leaves ends it quietly.
        if (!(await output.data(output.isTerminal ? escapeJson(part) : part))) break;
      }
      return EXIT.OK;
    } finally {
      reader.close();
    }
  },
};

function formatOf({ flags, output }: Invocation): Format {
  const given = flags.text('format') ?? (output.json && !flags.on('output') ? 'json' : 'ndjson');
  if (given !== 'ndjson' && given !== 'json')
    throw new UsageError(`unknown format ${JSON.stringify(given)}`, 'use --format ndjson or --format json');
  return given;
}

class ExportText implements Iterable<string> {
  /** Written so far. */
  entries = 0;
  readonly #reader: RecordReader;
  readonly #isLines: boolean;
  readonly #withOpenings: boolean;

  constructor(reader: RecordReader, format: Format, withOpenings: boolean) {
    this.#reader = reader;
    this.#isLines = format === 'ndjson';
    this.#withOpenings = withOpenings;
  }

  *[Symbol.iterator](): Generator<string> {
    const header = exportHeader(this.#reader, true);
    yield this.#isLines ? `${header}\n` : `${header.slice(0, -1)},"entries":[`;
    for (const record of this.#reader.records()) {
      const line = recordLine(record, factsOf(record, this.#reader.container).leaf, this.#withOpenings);
      const before = this.#isLines ? '' : this.entries === 0 ? '\n' : ',\n';
      this.entries++;
      yield `${before}${line}${this.#isLines ? '\n' : ''}`;
    }
    if (!this.#isLines) yield '\n]}\n';
  }
}
