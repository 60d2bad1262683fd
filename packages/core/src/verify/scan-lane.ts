/** A thread that judges rows, seen from the one that asks it: what it was asked, and the answers that nobody took yet. */
import type { Worker } from 'node:worker_threads';
import type { Judged } from './judged.ts';
import { unpack } from './packed.ts';
import type { Range, ScanMessage, ScanRequest } from './scan-messages.ts';
import type { LedgerSource } from './source.ts';

const STOP_MS = 2000;

/** A worker thread, as far as it is used here. */
export type ScanWorker = Pick<Worker, 'terminate'> & {
  postMessage(request: ScanRequest): void;
  on(event: 'message', listener: (message: ScanMessage) => void): unknown;
  on(event: 'error' | 'exit', listener: () => void): unknown;
};

export class ThreadFailure extends Error {}

type Part = Extract<ScanMessage, { readonly kind: 'part' }>;

export class Lane {
  private readonly worker: ScanWorker;
  private readonly source: LedgerSource;
  private readonly silenceMs: number;
  /** It has the ledger that we have. */
  isReady = false;
  /** Its snapshot is not ours. */
  isLater = false;
  /** Ranges asked for and not taken. */
  asked = 0;
  private readonly answers: Part[] = [];
  private isOver = false;
  private hasFailed = false;
  private wake: (() => void) | undefined;

  constructor(worker: ScanWorker, source: LedgerSource, silenceMs: number) {
    this.worker = worker;
    this.source = source;
    this.silenceMs = silenceMs;
    worker.on('message', (message: ScanMessage) => {
      this.receive(message);
      this.wake?.();
    });
    // An error is followed by the exit.
    worker.on('error', () => this.fail());
    worker.on('exit', () => this.fail());
  }

  /** @throws {ThreadFailure} when it never is. */
  async ready(): Promise<void> {
    while (!this.isReady) await this.news();
  }

  ask(range: Range): void {
    this.asked++;
    this.worker.postMessage(range);
  }

  /** Takes the answer to the oldest request, if it came: rows, and how far they reach. */
  take(): { readonly rows: readonly Judged[]; readonly next: number } | undefined {
    const part = this.answers.shift();
    if (part === undefined) return undefined;
    this.asked--;
    return { rows: unpack(part.packed), next: part.next };
  }

  /** Waits until it has something to say. @throws {ThreadFailure} when it has not. */
  async news(): Promise<void> {
    if (!this.hasFailed) await this.within(this.silenceMs, () => this.fail());
    if (this.hasFailed) throw new ThreadFailure();
  }

  /** Nothing more will be asked: it ends while its last rows are followed up here. */
  end(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.worker.postMessage('end');
  }

  async stop(): Promise<void> {
    if (this.hasFailed) return;
    if (this.isOver) await this.within(STOP_MS, () => void this.worker.terminate());
    else await this.worker.terminate();
  }

  private receive(message: ScanMessage): void {
    if (message.kind === 'part') {
      this.answers.push(message);
      return;
    }
    const { source } = this;
    this.isReady = message.ledgerId === source.ledgerId && message.size >= source.size;
    this.isLater = message.note !== source.newestCheckpoint()?.note;
    if (!this.isReady) this.fail();
  }

  private fail(): void {
    this.hasFailed = true;
    this.isReady = false;
    this.wake?.();
  }

  private async within(ms: number, late: () => void): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        late();
        resolve();
      }, ms);
      this.wake = () => {
        clearTimeout(timer);
        this.wake = undefined;
        resolve();
      };
    });
  }
}
