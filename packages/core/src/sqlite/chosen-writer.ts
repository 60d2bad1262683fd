/**
 * Where the writing is done: on this thread (`inline`), on a thread of its own (`worker`), or first here and then there
 * (`auto`). One writing connection is alive at a time; lease and writer name stay the same.
 */
import { CountersignError } from '../errors.ts';
import type { BatchOutcome, BatchWriter } from '../group-commit.ts';
import type { Signer } from '../interfaces.ts';
import { keyBehind } from '../ledger/keys.ts';
import type { WriterChoice } from '../store.ts';
import type { Unit } from '../store-units.ts';
import { closeQuietly } from './database.ts';
import type { ThreadData } from './thread-protocol.ts';
import { ThreadWriter } from './thread-writer.ts';
import { type LedgerView, openView } from './view.ts';
import { LedgerWriter, type WriterOptions } from './writer.ts';

export interface ChosenWriterOptions extends WriterOptions {
  readonly choice: WriterChoice;
  readonly stateDirectory: string | undefined;
  readonly deadlineMs: number;
}

/** `auto` moves to a thread once half of the last commits took longer than this ... */
const SLOW_COMMIT_MS = 1;
const COMMITS_WATCHED = 64;
/** ... or one batch was larger than this. */
const LARGE_BATCH = 64;

export class ChosenWriter implements Pick<BatchWriter, 'commitBatch'> {
  private readonly options: ChosenWriterOptions;
  private inline: LedgerWriter | undefined;
  /** In `auto`, a thread that is being started while this one still writes. */
  private coming: { readonly thread: ThreadWriter; isLoaded: boolean } | undefined;
  private thread: ThreadWriter | undefined;
  private reader: LedgerView | undefined;
  private watched: number[] = [];
  private staysInline: boolean;
  private broken = false;

  /**
   * Opens here in every case: whoever opens a store is told at once what is wrong with the ledger.
   *
   * @throws {CountersignError} `LEDGER_*`, `KEY_MISMATCH`; `OPTIONS_INVALID` for a signer that no thread can be given.
   */
  constructor(options: ChosenWriterOptions) {
    const { choice, signer } = options;
    if (choice === 'worker' && signer !== undefined && keyBehind(signer) === undefined) {
      throw new CountersignError(
        'OPTIONS_INVALID',
        'writer: worker cannot sign with a signer of your own, it would have to run on another thread: use readSigner or signerFromPem, or writer: inline',
      );
    }
    this.options = options;
    this.staysInline = choice !== 'auto' || (signer !== undefined && keyBehind(signer) === undefined);
    this.inline = new LedgerWriter(options);
    if (choice !== 'worker') return;
    const { inline } = this;
    let thread: ThreadWriter | undefined;
    try {
      thread = this.startThread();
      this.moveTo(thread, inline);
    } catch (error) {
      void thread?.close();
      inline.close();
      throw error;
    }
  }

  /** What this thread reads through. Another one after `recover` or a move. */
  get view(): LedgerView {
    return this.reader ?? (this.inline as LedgerWriter).open;
  }

  /** Implements BatchWriter. */
  commitBatch(units: readonly Unit[]): BatchOutcome | Promise<BatchOutcome> {
    if (this.coming?.isLoaded === true && !this.broken) this.tryToMove(this.coming.thread);
    if (this.thread !== undefined) return this.thread.commitBatch(units);
    if (this.staysInline) return (this.inline as LedgerWriter).commitBatch(units);
    return this.commitWatched(units);
  }

  /**
   * The same ledger again, with every check of a first open.
   *
   * @param release - closes what else of this store has the ledger open: whatever stays open in this process, the new connection would
   *   share its index with, also one that was taken away.
   */
  recover(release: () => void): void | Promise<void> {
    if (this.thread !== undefined) return this.recoverThread(this.thread, release);
    release();
    this.inline?.recover();
    this.broken = false;
  }

  /**
   * Renews the lease. A thread does that itself.
   * @throws {CountersignError} `LEDGER_REPLACED`; whatever ended the thread.
   */
  beat(): void {
    this.inline?.beat();
    this.thread?.check();
  }

  async close(): Promise<void> {
    // Before the writer: whoever closes last tidies up, and a reader cannot. That is as well where the writer is one that was given up.
    if (this.thread?.isLost !== true) this.closeReader();
    this.inline?.close();
    await this.coming?.thread.close();
    await this.thread?.close();
    this.closeReader();
  }

  private closeReader(): void {
    if (this.reader !== undefined) closeQuietly(this.reader.database);
  }

  private async recoverThread(thread: ThreadWriter, release: () => void): Promise<void> {
    await thread.recover(() => {
      release();
      this.closeReader();
    });
    this.reader = openView(this.options);
  }

  private commitWatched(units: readonly Unit[]): BatchOutcome {
    const startedAt = performance.now();
    try {
      const outcome = (this.inline as LedgerWriter).commitBatch(units);
      if (outcome !== 'busy') this.watch(performance.now() - startedAt, units.length);
      return outcome;
    } catch (error) {
      this.broken = true;
      throw error;
    }
  }

  private watch(ms: number, batch: number): void {
    if (this.coming !== undefined) return;
    this.watched.push(ms);
    if (this.watched.length > COMMITS_WATCHED) this.watched.shift();
    const slow = this.watched.filter((each) => each > SLOW_COMMIT_MS).length;
    const isSlow = this.watched.length === COMMITS_WATCHED && slow > COMMITS_WATCHED / 2;
    if (!isSlow && batch <= LARGE_BATCH) return;
    let thread: ThreadWriter;
    try {
      thread = this.startThread();
    } catch {
      // Node's permission model forbids it, for example. The batch is committed.
      return this.stayInline();
    }
    const coming = { thread, isLoaded: false };
    this.coming = coming;
    coming.thread.loaded.then(
      () => {
        coming.isLoaded = true;
      },
      () => this.stayInline(),
    );
  }

  private tryToMove(thread: ThreadWriter): void {
    try {
      this.moveTo(thread, this.inline as LedgerWriter);
    } catch {
      this.stayInline();
      void thread.close();
    }
  }

  /** This thread writes well enough: a machine that starts no thread must not stop the guard. */
  private stayInline(): void {
    this.staysInline = true;
    this.coming = undefined;
  }

  /** Between two batches: nothing is in flight, and what was committed here is what the thread must find. */
  private moveTo(thread: ThreadWriter, inline: LedgerWriter): void {
    const reader = openView(this.options);
    const head = inline.head();
    inline.handOver();
    this.reader = reader;
    this.inline = undefined;
    this.coming = undefined;
    this.thread = thread;
    thread.takeOver(head);
  }

  private startThread(): ThreadWriter {
    const { clock, deadlineMs } = this.options;
    return new ThreadWriter({ thread: threadData(this.options), clock, deadlineMs, committed: (atMs) => this.view.log.noteTime(atMs) });
  }
}

function threadData({ path, origin, writer, stateDirectory, signer }: ChosenWriterOptions): ThreadData {
  const key = signer === undefined ? undefined : keyBehind(signer);
  return { path, origin, writer, stateDirectory, signer: signerData(signer, key) };
}

function signerData(signer: Signer | undefined, key: ReturnType<typeof keyBehind>): ThreadData['signer'] {
  return signer === undefined || key === undefined ? undefined : { vkey: signer.vkey, key };
}
