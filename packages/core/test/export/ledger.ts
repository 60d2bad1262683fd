/** The golden ledger as a reader gives it, and a key that never changes. */
import type { LedgerRecord, RecordReader } from '../../src/container/records.ts';
import { Export, type ExportFormat, type ExportOptions } from '../../src/export/exporter.ts';
import { signerFromPem } from '../../src/ledger/keys.ts';
import { CHECKPOINT, GOLDEN, ORIGIN } from '../formats/ledger.ts';

/** PKCS#8 of the Ed25519 seed that is byte 7 repeated. */
const PEM = `-----BEGIN PRIVATE KEY-----\n${Buffer.from(`302e020100300506032b657004220420${'07'.repeat(32)}`, 'hex').toString('base64')}\n-----END PRIVATE KEY-----\n`;
export const SIGNER = signerFromPem(PEM, ORIGIN);

export const RECORDS: readonly LedgerRecord[] = GOLDEN.map(({ text, opening }, index) => ({
  index,
  text,
  ...(opening !== undefined && { opening }),
}));

export function readerOf(records: readonly LedgerRecord[], more: Partial<RecordReader> = {}): RecordReader {
  return {
    container: 'sqlite',
    origin: ORIGIN,
    size: records.length,
    checkpoint: CHECKPOINT,
    *records(from = 0) {
      yield* records.slice(from);
    },
    close: () => {},
    ...more,
  };
}

export function exported(format: ExportFormat, options: Partial<ExportOptions> = {}, records: readonly LedgerRecord[] = RECORDS): string {
  return [...new Export(readerOf(records), format, { withOpenings: true, ...options })].join('');
}

export const entryRecord = (body: object, opening?: LedgerRecord['opening']): LedgerRecord => ({
  index: 0,
  text: JSON.stringify(body),
  ...(opening !== undefined && { opening }),
});
