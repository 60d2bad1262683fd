/** What a store on SQLite is opened with. */
import type { AnchorOptions } from '../anchor/publisher.ts';
import { CountersignError } from '../errors.ts';
import type { GroupCommitOptions } from '../group-commit.ts';
import type { Clock, Signer } from '../interfaces.ts';
import type { MirrorOptions } from '../jsonl/mirror.ts';
import { deferredSigner } from '../ledger/deferred-signer.ts';
import { WRITERS, type WriterChoice } from '../store.ts';
import type { IntervalSigner } from './interval-signing.ts';

export interface SqliteStoreOptions {
  /** The ledger file. */
  readonly path: string;
  /** Names the log in checkpoints, like `example.com/billing`. */
  readonly origin: string;
  /**
   * The signing key: one that signs every commit, one that signs on an interval (`{ remote, everyMs? }`, for a KMS or
   * HSM), or the word `none`: an unsigned ledger proves integrity, never authorship.
   */
  readonly signer: Signer | IntervalSigner | 'none';
  /** Default true: create the ledger when it is missing. */
  readonly create?: boolean;
  /** More files that tool arguments may not name, such as the key file. */
  readonly files?: readonly string[];
  /** Where last known heads are kept; see `KnownHeads`. */
  readonly stateDirectory?: string;
  /** A file that follows the ledger as JSON lines; see docs/formats/jsonl.md. Calls never wait for it. */
  readonly mirror?: MirrorOptions;
  readonly clock?: Clock;
  readonly queue?: GroupCommitOptions;
  /** Where checkpoints are copied, and whether calls depend on it. */
  readonly anchors?: AnchorOptions;
  /**
   * Where commits are made. `inline` (default): on this thread, the shortest way for one caller. `worker`: on a thread of
   * its own, so that neither a slow disk nor a crowd of callers holds up the event loop. `auto`: inline until half of the
   * commits take longer than 1 ms or a batch exceeds 64 units, then on a thread.
   */
  readonly writer?: WriterChoice;
  /**
   * Pid of the process whose calls are decided here, where the processes that decide are gone while its tools run: the client
   * behind hooks. As long as it lives it counts as a guard of this ledger (`liveWriterPids`), so that nothing it starts answers for people.
   */
  readonly client?: number;
  /**
   * Told of what goes wrong behind calls and costs them only time: `LEDGER_NOT_WATCHED`. Default: a warning of the process.
   * Signing, anchors and the mirror have their own.
   */
  readonly onError?: (error: Error) => void;
}

/** @throws {CountersignError} `OPTIONS_INVALID` */
export function checkOptions(options: SqliteStoreOptions): void {
  if (options.origin === '' || /[\s+]/u.test(options.origin)) {
    throw new CountersignError('OPTIONS_INVALID', 'origin must be a name without spaces or `+`, like `example.com/billing`');
  }
  if (options.client !== undefined && (!Number.isSafeInteger(options.client) || options.client < 1))
    throw new CountersignError('OPTIONS_INVALID', 'client must be the pid of a process');
  if (options.writer !== undefined && !WRITERS.includes(options.writer)) {
    throw new CountersignError('OPTIONS_INVALID', `writer must be one of ${WRITERS.join(', ')}`);
  }
}

export function logSigner(signer: SqliteStoreOptions['signer']): Signer | undefined {
  if (signer === 'none') return undefined;
  return 'remote' in signer ? deferredSigner(signer.remote.vkey) : signer;
}

/** Signing on an interval takes the signature off this thread already; the writer stays where its unsigned tail is known. */
export function writerChoice({ signer, writer = 'inline' }: SqliteStoreOptions): WriterChoice {
  if (signer === 'none' || !('remote' in signer)) return writer;
  if (writer === 'worker')
    throw new CountersignError('OPTIONS_INVALID', 'signing on an interval is done with writer: inline, not with worker');
  return 'inline';
}
