/** What the verifier of SudoAgent 2.0 ledgers reads, from lines or from rows. All of it may be there to deceive. */
import type { ContainerFormat } from '../container/format.ts';
import type { VerifyCode } from '../verify/codes.ts';

export type SudoContainer = Extract<ContainerFormat, `sudoagent-${string}`>;

export interface SudoFault {
  readonly code: VerifyCode;
  readonly message: string;
}

/** One entry as stored. */
export interface SudoRow {
  /** Undefined when it cannot be read; `fault` says why. */
  readonly text: string | undefined;
  readonly fault?: SudoFault;
  /** What the database stores beside the text, where there is one. */
  readonly columns?: { readonly entryHash: unknown; readonly prevHash: unknown };
  /** Worth telling, no proof of anything. */
  readonly remark?: SudoFault;
}

/** One snapshot of a ledger. Reading changes no byte of it. */
export interface SudoSource {
  readonly container: SudoContainer;
  /** What is wrong with the container itself. */
  readonly faults: readonly SudoFault[];
  /** Worth telling of the container, no proof of anything. */
  readonly remarks: readonly SudoFault[];
  /** What `done` counts up to: bytes or rows. */
  readonly total: number;
  /** How far reading has come. */
  readonly done: number;
  /** In order, with a bound on the text held at once. One iteration at a time. */
  chunks(): Iterable<readonly SudoRow[]>;
  close(): void;
}
