/** What a caller may ask of verification. */
import type { TrustedKey } from '../ledger/key-rules.ts';
import type { LastSeen } from './end.ts';

export interface VerifyOptions {
  /**
   * Keys whose signature counts, each at the sizes it is limited to. Without one of a log, authorship stays `unchecked`;
   * those of witnesses tell who saw this log, never who wrote it.
   */
  readonly publicKeys?: readonly (string | TrustedKey)[];
  /**
   * Certificates of timestamp authorities, or of who vouches for them, as PEM text: their timestamps tell when a head of this
   * log existed at the latest. Given, one must be found.
   */
  readonly tsaCertificates?: readonly string[];
  /** A checkpoint of this log that was kept elsewhere, as text. */
  readonly against?: string;
  /**
   * A checkpoint of this log that was kept elsewhere: the entries it covers are not read again, only proven to be the start
   * of this ledger. Where the container cannot show that, everything is read.
   */
  readonly since?: string;
  /** How many entries there were at some time, known from elsewhere. */
  readonly expectSize?: number;
  /** The root there was, of `expectSize` entries or of all: 64 hex digits or base64. Of SudoAgent: the last `entry_hash`. */
  readonly expectHead?: string;
  /**
   * The head that was last seen of this ledger on this machine, read before the ledger is (see `KnownHeads`). That it is older
   * or another now is a warning, under `strict` a problem.
   */
  readonly lastSeen?: LastSeen;
  /** What is not shown is not proven, and what this version does not know is a problem. */
  readonly strict?: boolean;
  /** Approver names to verifier lines, for answers given by key. */
  readonly approvers?: ReadonlyMap<string, string>;
  readonly onProgress?: (done: number, total: number) => void;
  /**
   * Threads, 1 to 16, this one among them: the others hash and check entries, and this one puts in order what they find and checks
   * some itself. When absent, as many as the machine has cores, up to 4, for a ledger where they are worth starting. The report is
   * the same whatever they are.
   */
  readonly threads?: number;
}
