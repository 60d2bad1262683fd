/**
 * Checkpoints to a C2SP witness: it looks whether the log only ever grew, and cosigns with the time.
 *
 * A publication is one `POST {url}/add-checkpoint`, two when the witness stands elsewhere than we thought. Everything it
 * answers is hostile until its cosignature verified under the configured key; nothing it says is repeated in a message.
 *
 * @see https://c2sp.org/tlog-witness
 */
import type { Anchor, AnchorContext, VerifierKey } from '@countersign/core';
import { addCosignature, CountersignError, parseCheckpoint, parseNote, parseVerifierKey, TYPE_COSIGNATURE } from '@countersign/core';
import { boundedBytes, mediaType, post, requireVerifiedTls, Unusable } from '../http/post.ts';
import { absoluteUrl, under } from '../http/url.ts';

export interface WitnessOptions {
  /** Its submission prefix, without `/add-checkpoint`. No credentials, query or fragment. */
  readonly url: string;
  /** Its verifier line, of type 4 (timestamped Ed25519 cosignature). */
  readonly vkey: string;
  /** Milliseconds for one publication, both requests: an integer from 1 to 60000; default 10000. */
  readonly timeoutMs?: number;
  /** Permits plain http to hosts other than this one, and TLS with verification switched off in the environment. */
  readonly allowInsecure?: boolean;
}

/** A cosignature takes about 200 bytes, and a witness may have a few keys. */
const MAX_ANSWER_BYTES = 65_536;
const DEFAULT_TIMEOUT_MS = 10_000;
const MAX_TIMEOUT_MS = 60_000;
/** Clocks differ. One that is further ahead would vouch for a time that has not come. */
const MAX_AHEAD_SEC = 86_400;
const ADD_CHECKPOINT = '/add-checkpoint';
const SIZE_TYPE = 'text/x.tlog.size';
const SIZE_BODY = /^(0|[1-9][0-9]{0,15})\n$/;
/** All that is sent beside the body. */
const HEADERS = {
  'content-type': 'text/plain; charset=utf-8',
  accept: 'text/plain',
  'accept-encoding': 'identity',
  'user-agent': 'countersign',
};

/**
 * An anchor that gives each checkpoint it copies the cosignature of a witness. It remembers how much of the log the
 * witness has seen as long as the process lives; a witness that falls behind that is refused.
 *
 * @throws {CountersignError} `OPTIONS_INVALID`, `KEY_INVALID`
 */
export function witnessAnchor(options: WitnessOptions): Anchor {
  const key = parseVerifierKey(options.vkey);
  if (key.type !== TYPE_COSIGNATURE)
    throw new CountersignError('OPTIONS_INVALID', 'vkey must be the key of a witness, of type 4 (cosignature): this one signs logs');
  const { timeoutMs = DEFAULT_TIMEOUT_MS, allowInsecure = false } = options;
  if (!Number.isInteger(timeoutMs) || timeoutMs < 1 || timeoutMs > MAX_TIMEOUT_MS)
    throw new CountersignError('OPTIONS_INVALID', `timeoutMs must be an integer from 1 to ${MAX_TIMEOUT_MS}`);
  const base = absoluteUrl(options.url, allowInsecure);
  if (base.pathname.endsWith(ADD_CHECKPOINT))
    throw new CountersignError('OPTIONS_INVALID', `url must be the prefix, without ${ADD_CHECKPOINT}`);
  const witness = new Witness(key, under(base, ADD_CHECKPOINT), { timeoutMs, allowInsecure });
  return { name: `witness ${key.name}`, publish: (note, context) => witness.publish(note, context) };
}

type Prove = (from: number, to: number) => ReturnType<AnchorContext['consistencyProof']>;

/** What is submitted. */
interface Submission {
  readonly note: string;
  readonly origin: string;
  readonly size: number;
}

class Witness {
  private readonly key: VerifierKey;
  private readonly endpoint: URL;
  private readonly limits: Required<Pick<WitnessOptions, 'timeoutMs' | 'allowInsecure'>>;
  /** Entries it has seen, as far as it told or cosigned. */
  private seen = 0;

  constructor(key: VerifierKey, endpoint: URL, limits: Witness['limits']) {
    this.key = key;
    this.endpoint = endpoint;
    this.limits = limits;
  }

  async publish(note: string, context: AnchorContext): Promise<string> {
    const submission = submissionOf(note);
    const { timeoutMs, allowInsecure } = this.limits;
    const stop = new AbortController();
    const late = AbortSignal.timeout(timeoutMs);
    const ended = AbortSignal.any([context.signal, late, stop.signal]);
    try {
      requireVerifiedTls(this.endpoint, allowInsecure);
      return await this.submit(submission, (from, to) => context.consistencyProof(from, to), ended);
    } catch (error) {
      if (late.aborted) throw failed(`did not answer within ${timeoutMs} ms`);
      if (context.signal.aborted) throw failed('was given up: it did not answer in time');
      throw failed(error instanceof Unusable ? error.message : 'could not be asked: unexpected error', error);
    } finally {
      // Also drops the connection of an answer that was not read to its end.
      stop.abort();
    }
  }

  private async submit(submission: Submission, prove: Prove, signal: AbortSignal): Promise<string> {
    const { size } = submission;
    if (this.seen > size) throw new Unusable(beyond(this.seen, size));
    const first = await this.ask(submission, this.seen, prove, signal);
    if (typeof first === 'string') return first;
    const second = await this.ask(submission, first.seen, prove, signal);
    if (typeof second === 'string') return second;
    throw new Unusable('names another size whenever it is asked: somebody else submits this log, or it is broken');
  }

  /** @returns the cosigned note, or the size that the witness stands at instead of `old`. */
  private async ask(submission: Submission, old: number, prove: Prove, signal: AbortSignal): Promise<string | { readonly seen: number }> {
    const { note, size } = submission;
    const proof = old === 0 || old === size ? [] : await prove(old, size);
    const lines = proof.map((hash) => `${Buffer.from(hash, 'hex').toString('base64')}\n`);
    const response = await post(this.endpoint, `old ${old}\n${lines.join('')}\n${note}`, HEADERS, signal);
    if (response.status === 409) return { seen: await this.standsAt(response, old, size) };
    if (response.status !== 200) throw new Unusable(refusal(response.status, submission));
    const cosigned = this.cosigned(note, utf8(await boundedBytes(response, MAX_ANSWER_BYTES)));
    this.seen = Math.max(this.seen, size);
    return cosigned;
  }

  private cosigned(note: string, answer: string): string {
    try {
      const { note: cosigned, atSec } = addCosignature(note, answer, this.key);
      if (atSec > Date.now() / 1000 + MAX_AHEAD_SEC)
        throw new Unusable('cosigned with a time that has not come yet: one of the clocks is wrong');
      return cosigned;
    } catch (error) {
      if (!CountersignError.is(error)) throw error;
      throw new Unusable(`answered without a valid cosignature under its configured key (${error.message})`);
    }
  }

  /** Reads where it stands from a 409. */
  private async standsAt(response: Response, old: number, size: number): Promise<number> {
    const told = mediaType(response) === SIZE_TYPE ? SIZE_BODY.exec(utf8(await boundedBytes(response, MAX_ANSWER_BYTES)))?.[1] : undefined;
    const seen = told === undefined ? undefined : Number(told);
    // The same size, and still no: it holds another root.
    if (old === size && (seen === undefined || seen === size))
      throw new Unusable(
        `has cosigned another checkpoint of ${size} entries: the log was forked; verify it --against a checkpoint kept elsewhere`,
      );
    if (seen === undefined) throw new Unusable('answered with status 409, but not with the size it stands at');
    if (seen === old) throw new Unusable(`answered that it does not stand at ${old} entries, but at ${old}: it is broken`);
    if (seen > size) throw new Unusable(beyond(seen, size));
    if (seen < this.seen)
      throw new Unusable(`stands at ${seen} entries, after it had stood at ${this.seen}: it lost what it had seen; ask who runs it`);
    this.seen = seen;
    return seen;
  }
}

/** @throws {CountersignError} `LEDGER_NOT_ANCHORED` when it is nothing a witness could check. */
function submissionOf(note: string): Submission {
  try {
    const { origin, size } = parseCheckpoint(parseNote(note).text);
    return { note, origin, size };
  } catch (cause) {
    throw failed('was not asked: what should be cosigned is no signed checkpoint; witnesses check signed ledgers only', cause);
  }
}

function refusal(status: number, { origin }: Submission): string {
  if (status >= 300 && status < 400) return 'answered with a redirect, which is never followed';
  switch (status) {
    case 400:
      return 'refused the request as malformed (status 400): it may speak another version of the protocol';
    case 403:
      return `knows ${origin} under another key than the one that signs it now (status 403): give it the new verifier line`;
    case 404:
      return `does not know the log ${origin} (status 404): give whoever runs it the origin and the verifier line of this ledger`;
    case 422:
      return 'found that this is not the log it saw before (status 422): history was rewritten; verify it --against a checkpoint kept elsewhere';
    default:
      return `answered with status ${status}`;
  }
}

function beyond(seen: number, size: number): string {
  return `has seen ${seen} entries, this ledger has ${size}: unless another process just added them, it was rolled back; verify it --against a checkpoint kept elsewhere`;
}

function utf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Unusable('answered with something that is not text');
  }
}

function failed(what: string, cause?: unknown): CountersignError {
  return new CountersignError('LEDGER_NOT_ANCHORED', `the witness ${what}`, cause === undefined ? {} : { cause });
}
