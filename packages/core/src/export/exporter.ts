/** A ledger in one of the formats others read: text before, a piece per record, text after. Streams, and verifies nothing. */
import { factsOf } from '../container/facts.ts';
import type { RecordFacts } from '../container/record-facts.ts';
import type { LedgerRecord, RecordReader } from '../container/records.ts';
import { CountersignError } from '../errors.ts';
import type { Signer } from '../interfaces.ts';
import { leafHash } from '../ledger/merkle.ts';
import { actaLine } from './acta.ts';
import { CSV_HEADER, csvRow } from './csv.ts';
import { Decisions } from './decisions.ts';
import { dsseLine } from './dsse.ts';
import { exportHeader, recordLine } from './ndjson.ts';
import { ocsfLine } from './ocsf.ts';
import { type ExportSigner, exportSigner } from './signer.ts';

export const EXPORT_FORMATS = ['ndjson', 'json', 'csv', 'ocsf', 'acta', 'dsse'] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

export interface ExportOptions {
  /** Clear text of arguments, reasons and results; formats that sign leave it out in any case. */
  readonly withOpenings: boolean;
  /** Which records; all of them when absent. */
  readonly isMeant?: (facts: RecordFacts) => boolean;
  readonly limit?: number;
  /** For `acta` and `dsse`. */
  readonly signer?: Signer;
}

export class Export implements Iterable<string> {
  /** Records written so far. */
  entries = 0;
  /** There were more than the limit. */
  wasCut = false;
  private readonly reader: RecordReader;
  private readonly format: ExportFormat;
  private readonly options: ExportOptions;
  private readonly signer: ExportSigner | undefined;
  private readonly decisions = new Decisions();

  /** @throws {CountersignError} `OPTIONS_INVALID`: `dsse` without a signer. */
  constructor(reader: RecordReader, format: ExportFormat, options: ExportOptions) {
    if (format === 'dsse' && options.signer === undefined)
      throw new CountersignError('OPTIONS_INVALID', 'a dsse export is signed: it needs a signing key');
    this.reader = reader;
    this.format = format;
    this.options = options;
    this.signer = options.signer === undefined ? undefined : exportSigner(options.signer);
  }

  *[Symbol.iterator](): Generator<string> {
    const { limit = Number.POSITIVE_INFINITY } = this.options;
    yield this.head();
    for (const record of this.reader.records()) {
      const piece = this.piece(record);
      if (piece === '') continue;
      if (this.entries === limit) {
        this.wasCut = true;
        break;
      }
      const before = this.format === 'json' ? (this.entries === 0 ? '\n' : ',\n') : '';
      this.entries++;
      yield before + piece;
    }
    if (this.format === 'json') yield '\n]}\n';
  }

  private head(): string {
    if (this.format === 'csv') return CSV_HEADER;
    if (this.format !== 'ndjson' && this.format !== 'json') return '';
    const { isMeant, limit } = this.options;
    // What was picked out is no ledger, and the predecessor's entries have no checkpoint to be verified by.
    const isWhole = isMeant === undefined && limit === undefined && !this.reader.container.startsWith('sudoagent');
    const header = exportHeader(this.reader, isWhole);
    return this.format === 'ndjson' ? `${header}\n` : `${header.slice(0, -1)},"entries":[`;
  }

  private piece(record: LedgerRecord): string {
    const { format, reader } = this;
    const { isMeant, withOpenings } = this.options;
    const isCopied = format === 'ndjson' || format === 'json' || format === 'dsse';
    // What a copied entry says matters only to who chooses, and finding out costs more than copying it.
    if (isCopied && isMeant === undefined && !reader.container.startsWith('sudoagent'))
      return this.copy(record, leafHash(record.text), format);
    const facts = factsOf(record, reader.container);
    // Asked about every record, also those that this format does not tell.
    const isPassed = isMeant?.(facts) === false;
    if (isCopied) return isPassed ? '' : this.copy(record, facts.leaf, format);
    const decision = this.decisions.of(facts);
    if (isPassed) return '';
    switch (format) {
      case 'csv':
        return csvRow(facts, decision, withOpenings);
      case 'ocsf':
        return ocsfLine(facts, decision, reader.origin, withOpenings);
      case 'acta':
        return actaLine(facts, reader.origin, this.signer);
    }
  }

  private copy(record: LedgerRecord, leaf: string, format: 'ndjson' | 'json' | 'dsse'): string {
    const { withOpenings } = this.options;
    switch (format) {
      case 'ndjson':
        return `${recordLine(record, leaf, withOpenings)}\n`;
      case 'json':
        return recordLine(record, leaf, withOpenings);
      case 'dsse':
        return this.signer === undefined ? '' : dsseLine(record, leaf, this.reader.origin, this.signer);
    }
  }
}
