/**
 * What the writer thread and the thread that started it say to each other. Plain data only: strings and objects of them,
 * never a Buffer (a pooled one drags its whole slab along). One request is answered before the next is made.
 */
import type { KeyObject } from 'node:crypto';
import { CountersignError, ERROR_CODES, type ErrorCode, type ErrorDetails } from '../errors.ts';
import type { BatchResult } from '../group-commit.ts';
import type { Committed, Unit } from '../store-units.ts';
import type { Head } from './open-ledger.ts';

/** What the thread is started with. */
export interface ThreadData {
  readonly path: string;
  readonly origin: string;
  /** Name of this open of the store: the lease is the same whichever thread writes. */
  readonly writer: string;
  readonly stateDirectory: string | undefined;
  /** The key crosses as a handle; its bytes are never copied into a message. */
  readonly signer: { readonly vkey: string; readonly key: KeyObject } | undefined;
}

/** `nowMs`: the wall clock of the thread that asks, so that one clock stamps all entries. */
export type Request =
  | { readonly kind: 'open'; readonly nowMs: number; readonly known: Head; readonly doubtful: readonly string[] }
  | { readonly kind: 'commit'; readonly nowMs: number; readonly units: readonly Unit[] }
  | { readonly kind: 'close' };

export type Reply =
  /** Said once, unasked: the thread's code is loaded. */
  | { readonly kind: 'loaded' }
  | { readonly kind: 'opened'; readonly head: Head }
  /** `atMs`: store time of the newest entry. */
  | { readonly kind: 'committed'; readonly results: readonly SentResult[]; readonly head: Head; readonly atMs: number }
  | { readonly kind: 'busy' }
  /** The writer is broken. Its connection is closed and the thread ends. */
  | { readonly kind: 'failed'; readonly error: SentError }
  | { readonly kind: 'closed' };

type Decided = Extract<Committed, { readonly kind: 'decided' }>;

/** A decision is sent back as what differs from the unit's. */
export type SentResult =
  | Exclude<Committed, Decided>
  | (Omit<Decided, 'body'> & { readonly changed: Partial<Decided['body']>; readonly gone: readonly string[] })
  | { readonly kind: 'rejected'; readonly error: SentError }
  | { readonly kind: 'busy' };

export interface SentError {
  readonly code?: ErrorCode;
  readonly message: string;
  readonly details?: ErrorDetails;
}

export function sendResult(result: BatchResult, unit: Unit | undefined): SentResult {
  if (result.kind === 'rejected') return { kind: 'rejected', error: sendError(result.error) };
  if (result.kind !== 'decided') return result;
  const { body, ...rest } = result;
  const asked = new Map(Object.entries(unit?.kind === 'decide' ? unit.body : {}));
  const changed = Object.fromEntries(Object.entries(body).filter(([name, value]) => !asked.has(name) || asked.get(name) !== value));
  return { ...rest, changed, gone: [...asked.keys()].filter((name) => !Object.hasOwn(body, name)) };
}

export function receiveResult(result: SentResult, unit: Unit | undefined): BatchResult {
  if (result.kind === 'rejected') return { kind: 'rejected', error: receiveError(result.error) };
  if (result.kind !== 'decided') return result;
  const { changed, gone, ...rest } = result;
  const kept = Object.entries(unit?.kind === 'decide' ? unit.body : {}).filter(([name]) => !gone.includes(name));
  return { ...rest, body: { ...Object.fromEntries(kept), ...changed } as Decided['body'] };
}

export function sendError(error: unknown): SentError {
  const message = error instanceof Error ? error.message : String(error);
  return CountersignError.is(error) ? { code: error.code, message, details: error.details } : { message };
}

export function receiveError({ code, message, details }: SentError): Error {
  if (code === undefined || !Object.hasOwn(ERROR_CODES, code)) return new Error(message);
  return new CountersignError(code, message, details === undefined ? {} : { details });
}
