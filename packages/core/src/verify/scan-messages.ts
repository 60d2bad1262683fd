/** What the threads that judge rows are told, and what they answer. */
import type { Packed } from './packed.ts';

export interface ScanTask {
  readonly file: string;
}

/** Positions from one on and below another. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** `end`: nothing more will be asked. */
export type ScanRequest = Range | 'end';

export type ScanMessage =
  /** Which snapshot the thread has. */
  | { readonly kind: 'ready'; readonly ledgerId: string | undefined; readonly size: number; readonly note: string | undefined }
  /** Rows of the range asked for, in order, below `next`: the thread judged no further. */
  | { readonly kind: 'part'; readonly packed: Packed; readonly next: number };
