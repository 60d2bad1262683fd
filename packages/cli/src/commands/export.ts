import { resolve } from 'node:path';
import { didYouMean, escapeJson, readSigner, type Signer } from '@countersign/core';
import { EXPORT_FORMATS, Export, type ExportFormat, openRecords, type RecordReader } from '@countersign/core/sqlite';
import type { Command, Invocation } from '../command.ts';
import { ledgerPath } from '../configuration.ts';
import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { safe } from '../output.ts';
import { passphraseFromFile } from '../passphrase.ts';
import { checkOpeningsCanGo, noteFaults, selectionOf } from '../selected.ts';
import { criteriaOf, LIMIT_OPTION, limitOf, SELECTION_NOTE, SELECTION_OPTIONS } from '../selection-options.ts';
import { writeWhole } from '../write-whole.ts';

const SIGNED: ReadonlySet<ExportFormat> = new Set<ExportFormat>(['acta', 'dsse']);
/** They copy entries as they are stored. */
const WHOLE: ReadonlySet<ExportFormat> = new Set<ExportFormat>(['ndjson', 'json', 'dsse']);
/** Where a ledger has no name that a key could carry. */
const SIGNER_NAME = 'countersign-export';

const UNSIGNED_NOTE =
  'countersign: the newest checkpoint is not signed, so this export shows nobody who wrote it; with `sign: interval` export again once it is';

export const exportLedger: Command = {
  name: 'export',
  summary: 'write a ledger in a format that other tools read',
  positionals: [{ name: 'ledger', required: false }],
  options: [
    { name: 'format', kind: 'text', value: 'F', about: `${EXPORT_FORMATS.join(', ')}; default ndjson` },
    { name: 'output', kind: 'text', value: 'FILE', about: 'write to a file, whole or not at all' },
    { name: 'force', kind: 'switch', about: 'replace that file' },
    { name: 'no-openings', kind: 'switch', about: 'leave out the clear text of arguments, reasons and results' },
    { name: 'sign-key', kind: 'text', value: 'FILE', about: 'signs each receipt (acta) or envelope (dsse, required)' },
    { name: 'passphrase-file', kind: 'text', value: 'F', about: 'opens that key with the first line of F' },
    ...SELECTION_OPTIONS,
    LIMIT_OPTION,
  ],
  notes: [
    'Copies what is stored and checks nothing. A whole ndjson export can be verified like the ledger: `size` in its header tells how many entries must follow. One with a filter is no ledger, and its header says "selection". What each format holds and proves: docs/export.md.',
    SELECTION_NOTE,
  ],
  example: 'countersign export --format csv --since 7d --output week.csv',
  async run(invocation) {
    const { io, output, flags } = invocation;
    const format = formatOf(invocation);
    const selection = { ...pickedBy(invocation), ...(flags.on('limit') && { limit: limitOf(flags) }) };
    const target = flags.text('output');
    const reader = openRecords(ledgerPath(invocation));
    try {
      if (flags.on('no-openings') && WHOLE.has(format)) checkOpeningsCanGo(reader);
      const signer = signerOf(invocation, format, reader);
      const withOpenings = !flags.on('no-openings');
      const text = new Export(reader, format, { withOpenings, ...selection, ...(signer !== undefined && { signer }) });
      if (target !== undefined) {
        const file = resolve(io.cwd, target);
        await writeWhole(file, text, flags.on('force'));
        output.result({ output: file, format, entries: text.entries });
        output.line(`${text.entries} entries written to ${safe(file)}`);
      } else {
        output.raw();
        for (const part of text) {
          // On a terminal the same text, spelled so that it cannot act on it. A reader that leaves ends it quietly.
          if (!(await output.data(output.isTerminal ? spelled(part, format) : part))) break;
        }
      }
      noteFaults(reader, output);
      if (text.wasCut) output.note(`countersign: stopped after ${text.entries} entries (--limit); there are more`);
      if (isUnsignedWhole(reader, format, selection)) output.note(UNSIGNED_NOTE);
      if (format === 'acta' && signer === undefined) output.note('countersign: not signed, so no receipts yet: pass --sign-key');
      return EXIT.OK;
    } finally {
      reader.close();
    }
  },
};

/** An export carries the newest checkpoint alone; where signing lags behind, that one may be without a signature. */
function isUnsignedWhole({ checkpoint, container }: RecordReader, format: ExportFormat, selection: object): boolean {
  const isWhole = format === 'ndjson' && Object.keys(selection).length === 0 && !container.startsWith('sudoagent');
  return isWhole && checkpoint?.includes('\n\n') === false;
}

function formatOf({ flags, output }: Invocation): ExportFormat {
  const given = flags.text('format') ?? (output.json && !flags.on('output') ? 'json' : 'ndjson');
  const format = EXPORT_FORMATS.find((known) => known === given);
  if (format === undefined) {
    throw new UsageError(
      `unknown format ${JSON.stringify(given)}${didYouMean(given, EXPORT_FORMATS)}`,
      `use one of ${EXPORT_FORMATS.join(', ')}`,
    );
  }
  if (flags.on('sign-key') && !SIGNED.has(format))
    throw new UsageError(`--sign-key: ${format} is not signed`, 'use it with --format acta or dsse');
  if (flags.on('passphrase-file') && !flags.on('sign-key'))
    throw new UsageError('--passphrase-file opens a --sign-key', 'name the key as well');
  if (format === 'dsse' && !flags.on('sign-key')) {
    throw new UsageError(
      '--format dsse needs --sign-key FILE',
      'an envelope without a signature would look like evidence; make a key with `countersign keygen`',
    );
  }
  return format;
}

function pickedBy({ flags }: Invocation): { readonly isMeant?: ReturnType<typeof selectionOf> } {
  const criteria = criteriaOf(flags, Date.now());
  return Object.keys(criteria).length === 0 ? {} : { isMeant: selectionOf(criteria) };
}

function signerOf({ io, flags }: Invocation, format: ExportFormat, { origin }: RecordReader): Signer | undefined {
  const key = flags.text('sign-key');
  if (key === undefined || !SIGNED.has(format)) return undefined;
  const file = flags.text('passphrase-file');
  // Under the ledger's own name, so that the ledger's key is recognised as itself.
  const name = origin !== undefined && /^[^\s+\p{C}]{1,255}$/u.test(origin) ? origin : SIGNER_NAME;
  return readSigner(resolve(io.cwd, key), name, file === undefined ? undefined : passphraseFromFile(file, io.cwd));
}

/** Rows of CSV are lines of plain text already; what is left of their ends is CR. */
function spelled(part: string, format: ExportFormat): string {
  return format === 'csv' ? part.replaceAll('\r\n', '\n') : escapeJson(part);
}
