/** What checking a receipt found. */
import type { Json } from '../call.ts';
import { isoTime } from '../verify/iso-time.ts';
import type { ClearText } from './clear-text.ts';
import type { ReceiptCode } from './codes.ts';
import type { PartName, ReadPart, Tell } from './part.ts';

export interface ReceiptFinding {
  /** Which entry it is about; `receipt`: the whole. */
  readonly part: PartName;
  /** One of `RECEIPT_CODES`; a later version may have more. */
  readonly code: string;
  readonly message: string;
}

/** One entry of a receipt, all of it proven to be in the log the checkpoint is of. */
export interface ReceiptEntry {
  /** Number people see, from 1. */
  readonly entry: number;
  readonly leaf: string;
  readonly kind: string;
  /** Store time, ISO 8601 UTC. */
  readonly at?: string;
  readonly body: Json;
  readonly clear_text: ClearText['extent'];
  /** Sections shown whole. */
  readonly shown: { readonly [section: string]: Json };
  /** Single fields that were disclosed. */
  readonly disclosed: readonly { readonly pointer: string; readonly value: Json }[];
  /** How many fields stand beside the disclosed ones; nothing else is known of them. */
  readonly withheld_fields: number;
  /** Sections the entry commits to, of which nothing is shown. */
  readonly withheld_sections: readonly string[];
}

export interface ReceiptReport {
  /**
   * `invalid`: something contradicts. `unproven`: nothing does, but no key was given, so that whoever made the receipt
   * could have made up all of it. `valid`: a key given by the caller committed to these entries.
   */
  readonly status: 'valid' | 'invalid' | 'unproven';
  readonly format: 'countersign-receipt-1';
  /** Name of the log in the checkpoint, how many entries it covers, and their root, 64 hex digits. */
  readonly origin?: string;
  readonly size?: number;
  readonly root?: string;
  /** Whether the entries are in the log the checkpoint is of. */
  readonly inclusion: 'proven' | 'failed' | 'unknown';
  /** Whether a key given by the caller signed that checkpoint. */
  readonly authorship: 'proven' | 'unchecked' | 'unsigned' | 'failed';
  /**
   * `witnessed`: somebody whose key was given saw this very head. Without, the key holder committed to this, and may have
   * shown others another log.
   */
  readonly view: 'witnessed' | 'unwitnessed';
  readonly witnesses: readonly { readonly name: string; readonly vkey: string; readonly at: string }[];
  /** Of timestamp authorities whose certificates were given, or are vouched for by them. Absent = none. */
  readonly timestamps?: readonly { readonly tsa: string; readonly before: string }[];
  /** Timestamps that nobody looked at, since no certificate was given. Absent = none. */
  readonly timestamps_unchecked?: number;
  /** Absent when the receipt is invalid: nothing in it is to be relied on then. */
  readonly entry?: ReceiptEntry;
  /** What became of the call, if the receipt says. */
  readonly outcome?: ReceiptEntry;
  readonly problems: readonly ReceiptFinding[];
  readonly warnings: readonly ReceiptFinding[];
}

/** Findings of one check; their number is bounded by what a receipt holds. */
export class ReceiptFindings implements Tell {
  readonly problems: ReceiptFinding[] = [];
  readonly warnings: ReceiptFinding[] = [];

  problem(part: PartName, code: ReceiptCode, message: string): void {
    this.problems.push({ part, code, message });
  }

  warn(part: PartName, code: ReceiptCode, message: string): void {
    this.warnings.push({ part, code, message });
  }
}

export function receiptEntry({ index, leaf, body }: ReadPart, clear: ClearText): ReceiptEntry {
  const { kind, at } = body;
  return {
    entry: index + 1,
    leaf,
    kind: typeof kind === 'string' ? kind : 'unknown',
    ...(typeof at === 'number' && { at: isoTime(at) }),
    body,
    clear_text: clear.extent,
    shown: clear.sections,
    disclosed: clear.fields,
    withheld_fields: clear.withheldFields,
    withheld_sections: clear.withheldSections,
  };
}
