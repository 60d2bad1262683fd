import { type Config, CountersignError } from '@countersign/core';
import { readLedger } from '@countersign/core/sqlite';

/** Processes that write to the ledger of this configuration now, or whose hooks do; none where there is no ledger yet. */
export function writersOf({ ledger }: Config): readonly number[] {
  let reader: ReturnType<typeof readLedger>;
  try {
    reader = readLedger(ledger.path);
  } catch (error) {
    if (CountersignError.is(error) && error.code === 'LEDGER_NOT_FOUND') return [];
    throw error;
  }
  try {
    return reader.liveWriterPids();
  } finally {
    reader.close();
  }
}
