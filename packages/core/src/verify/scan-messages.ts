/** What the threads that judge rows are told, and what they answer. */
import type { Packed } from './packed.ts';

export interface ScanTask {
  readonly file: string;
  /** Positions from here on, and below `size`. */
  readonly from: number;
  readonly size: number;
  /** Positions a thread takes at a time. */
  readonly rangeRows: number;
  /** This thread's number among `of`. */
  readonly index: number;
  readonly of: number;
}

export type ScanMessage =
  /** Which snapshot the thread has. */
  | { readonly kind: 'ready'; readonly ledgerId: string | undefined; readonly size: number; readonly note: string | undefined }
  /** Rows of a range, in order; several parts may belong to one. */
  | { readonly kind: 'part'; readonly range: number; readonly packed: Packed }
  | { readonly kind: 'end' };
