/**
 * Signing on an interval, for keys that are slow or far away (KMS, HSM): commits write unsigned checkpoints, and this task
 * has the newest one signed from time to time. No call ever waits for it.
 *
 * One request is in flight at a time. A signer that fails, hangs or answers nonsense is asked again with back-off; what it
 * gave is checked under its own verifier line before it is stored. Until a signature is stored the tail is shown as
 * unsigned by `verify`, and by whoever opens the ledger next.
 */
import { asError, atMost, type Background, backOffMs, checkMilliseconds, inTime, tell } from '../background.ts';
import { CountersignError } from '../errors.ts';
import type { RemoteSigner } from '../interfaces.ts';
import { Lag } from '../lag.ts';
import { formatCheckpoint } from '../ledger/checkpoint.ts';
import { verifyEd25519 } from '../ledger/ed25519.ts';
import { noteWithSignature } from '../ledger/note.ts';
import { parseVerifierKey, TYPE_ED25519, type VerifierKey } from '../ledger/verifier-key.ts';
import type { Checkpoint } from '../store.ts';

/** A key that signs the newest checkpoint from time to time instead of every commit. */
export interface IntervalSigner {
  readonly remote: RemoteSigner;
  /** At most one signature per so many milliseconds; default 1000. */
  readonly everyMs?: number;
  /** How long one request may take; default 10,000 ms. */
  readonly timeoutMs?: number;
  /** Calls are refused while an entry has stood unsigned for longer than this; default: never. */
  readonly maxLagMs?: number;
  /** Told of every failure. The next attempt follows by itself. */
  readonly onError?: (error: Error) => void;
}

const DEFAULT_SIGN_EVERY_MS = 1000;
const DEFAULT_TIMEOUT_MS = 10_000;
const MAX_BACK_OFF_MS = 60_000;
/** How long closing waits for a signature of the end. */
const CLOSE_WAIT_MS = 5000;

/** The ledger's side. */
export interface SigningLedger {
  /** The newest head, while it is unsigned and may be signed. */
  unsignedHead(): Checkpoint | undefined;
  /** Stores a signed note of an earlier head. False: it was not wanted any more. */
  keep(note: string): Promise<boolean>;
}

export class IntervalSigning implements Background {
  private readonly asked: IntervalSigner;
  private readonly key: VerifierKey;
  private readonly ledger: SigningLedger;
  private readonly everyMs: number;
  private readonly lag = new Lag();
  private timer: NodeJS.Timeout | undefined;
  private inFlight: Promise<void> | undefined;
  private failures = 0;
  private lastStart = Number.NEGATIVE_INFINITY;
  private closed = false;

  /** @throws {CountersignError} `KEY_INVALID`, `OPTIONS_INVALID` */
  constructor(asked: IntervalSigner, ledger: SigningLedger) {
    const { remote, everyMs = DEFAULT_SIGN_EVERY_MS, timeoutMs, maxLagMs } = asked;
    this.key = parseVerifierKey(remote.vkey);
    if (this.key.type !== TYPE_ED25519) throw new CountersignError('KEY_INVALID', 'a ledger is signed by a key of type Ed25519 (1)');
    checkMilliseconds('signer', { everyMs, timeoutMs, maxLagMs });
    this.asked = asked;
    this.ledger = ledger;
    this.everyMs = everyMs;
  }

  committed(): void {
    if (this.closed || this.ledger.unsignedHead() === undefined) return;
    this.lag.changed();
    this.schedule();
  }

  objection(): CountersignError | undefined {
    const { maxLagMs } = this.asked;
    const { ms } = this.lag;
    if (maxLagMs === undefined || ms <= maxLagMs) return undefined;
    return new CountersignError(
      'LEDGER_NOT_SIGNED',
      `entries have waited ${Math.round(ms)} ms for a signature, more than the ${maxLagMs} ms allowed: check the signer`,
    );
  }

  /** Has the end signed. What stays unsigned is shown as such when the ledger is read. */
  async close(): Promise<void> {
    this.closed = true;
    clearTimeout(this.timer);
    const deadline = performance.now() + CLOSE_WAIT_MS;
    await atMost(CLOSE_WAIT_MS, this.inFlight ?? Promise.resolve());
    const left = deadline - performance.now();
    if (this.inFlight === undefined && left > 0) await atMost(left, this.sign());
  }

  private schedule(): void {
    if (this.timer !== undefined || this.inFlight !== undefined || this.closed) return;
    const at = this.lastStart + backOffMs(this.everyMs, this.failures, MAX_BACK_OFF_MS);
    const fire = (): void => {
      this.timer = undefined;
      void this.sign();
    };
    this.timer = setTimeout(fire, Math.max(0, at - performance.now()));
    // A process that has nothing else to do ends; the next writer finds the tail and says so.
    this.timer.unref();
  }

  private async sign(): Promise<void> {
    const head = this.ledger.unsignedHead();
    if (head === undefined || this.inFlight !== undefined) return;
    this.lastStart = performance.now();
    this.lag.started();
    this.inFlight = this.signHead(head);
    await this.inFlight;
  }

  /** Never throws: what went wrong is told, and tried again. */
  private async signHead(head: Checkpoint): Promise<void> {
    let isDone = false;
    try {
      await this.ledger.keep(await this.signed(head));
      isDone = true;
      this.failures = 0;
    } catch (error) {
      this.failures++;
      tell(this.asked.onError, asError(error));
    }
    this.lag.ended(isDone);
    this.inFlight = undefined;
    if (!this.closed && this.ledger.unsignedHead() !== undefined) this.schedule();
  }

  private async signed(head: Checkpoint): Promise<string> {
    const { remote, timeoutMs = DEFAULT_TIMEOUT_MS } = this.asked;
    const text = formatCheckpoint(head);
    const message = Buffer.from(text, 'utf8');
    // A copy: what the signer does to its bytes must not change what is checked.
    const asked = (async () => remote.sign(Buffer.from(message)))();
    const late = (): Error => new CountersignError('LEDGER_NOT_SIGNED', `the signer did not answer within ${timeoutMs} ms`);
    const given: unknown = await inTime(asked, timeoutMs, late);
    if (!(given instanceof Uint8Array) || !verifyEd25519(this.key.publicKey, message, given)) {
      const what = 'the signer gave a signature that does not verify under its own verifier line: it is not stored';
      throw new CountersignError('KEY_MISMATCH', what);
    }
    return noteWithSignature(text, this.key, given);
  }
}
