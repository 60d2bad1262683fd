/** What webhooks and Slack share: the options of a channel that sends, and noticing how an approval ended. */
import { type ApprovalRow, type Channel, CountersignError } from '@countersign/core';
import { approvalLink } from '../approvals/page-channel.ts';
import type { Timing } from './timing.ts';

/** A channel that may still be telling somebody something when its guard is closed. */
export interface SendingChannel extends Channel {
  /** Close the guard first, then this, then the store: it looks there how approvals ended. Waits a few seconds at most. */
  close(): Promise<void>;
}

export interface SendingOptions {
  /** How an approval stands (`guard.approvals.get`): how to learn what became of it once it is settled. */
  readonly approval?: (id: string) => Promise<ApprovalRow | undefined>;
  /** Where the approval page is, such as `http://127.0.0.1:4680`: messages point to `<pageUrl>/approvals/<id>`. */
  readonly pageUrl?: string;
  /** Times a message is tried: 1 to 20; default 6, over about half a minute. Never after the approval has expired. */
  readonly tries?: number;
  /** Milliseconds for one try: 1 to 60000; default 10000. */
  readonly timeoutMs?: number;
  /** Told what could not be told to anybody any more: that an approval was settled. Must not throw. */
  readonly onError?: (error: Error) => void;
  /** For tests. */
  readonly timing?: Timing;
}

/** How long it is tried to tell that an approval was settled. */
export const SETTLED_LIFE_MS = 60_000;
const DEFAULT_TRIES = 6;
const MAX_TRIES = 20;
const DEFAULT_TIMEOUT_MS = 10_000;
const MAX_TIMEOUT_MS = 60_000;

/** @throws {CountersignError} `OPTIONS_INVALID` */
export function sendingLimits({ tries = DEFAULT_TRIES, timeoutMs = DEFAULT_TIMEOUT_MS }: SendingOptions): {
  readonly tries: number;
  readonly timeoutMs: number;
} {
  return { tries: whole('tries', tries, MAX_TRIES), timeoutMs: whole('timeoutMs', timeoutMs, MAX_TIMEOUT_MS) };
}

/** Link to the approval on the approval page. */
export function approvalUrl(pageUrl: string | undefined, id: string): string | undefined {
  return pageUrl === undefined ? undefined : approvalLink(pageUrl.replace(/\/+$/, ''), id);
}

/**
 * How an approval ended, once its prompt is withdrawn. Undefined when it did not: the process that asked goes, and the
 * question stays open for whoever answers it elsewhere.
 */
export async function endOf(id: string, approval: SendingOptions['approval']): Promise<ApprovalRow | undefined> {
  const row = await approval?.(id);
  return row === undefined || row.state === 'pending' ? undefined : row;
}

/** Runs `then` when a prompt is withdrawn, at once when it is already. Nothing waits for it. */
export function onceWithdrawn(signal: AbortSignal, then: () => void): void {
  if (signal.aborted) then();
  else signal.addEventListener('abort', then, { once: true });
}

export function channelFailed(channel: string, why: string): CountersignError {
  return new CountersignError('CHANNEL_FAILED', `approval channel ${channel}: the receiver ${why}`);
}

function whole(name: string, value: number, most: number): number {
  if (Number.isInteger(value) && value >= 1 && value <= most) return value;
  throw new CountersignError('OPTIONS_INVALID', `${name} must be an integer from 1 to ${most}`);
}
