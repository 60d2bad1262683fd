/** Reading the entries of any container we know, for export, filter, search and show. Nothing here is verified. */
import type { Opening } from '../ledger/entry.ts';
import type { ContainerFormat } from './format.ts';

/** One entry as stored. */
export interface LedgerRecord {
  /** 0-based position. People count from 1. */
  readonly index: number;
  /** The stored text of the entry; canonical JSON in a ledger nobody tampered with, otherwise anything. */
  readonly text: string;
  readonly opening?: Opening;
  /** Why `text` is empty: what is stored is no text, or larger than any entry. */
  readonly unreadable?: string;
}

export interface RecordReader {
  readonly container: ContainerFormat;
  /** As the container names it; undefined where the format has none (sudoagent). */
  readonly origin: string | undefined;
  /** Entries there should be according to the newest checkpoint; undefined where there is none. */
  readonly size: number | undefined;
  /** The newest checkpoint as it is stored: form and signature are not checked. */
  readonly checkpoint?: string;
  /** What is wrong with the file itself, as far as it was read: a line that was cut off is no record. */
  readonly faults?: () => readonly string[];
  /** In order, from a position on, with a bound on the text held at once. One iteration at a time. */
  records(from?: number): Iterable<LedgerRecord>;
  close(): void;
}
