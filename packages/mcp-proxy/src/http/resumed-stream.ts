/** A stream of events that is opened with GET, and taken up again where it broke off. */
import type { IncomingMessage } from 'node:http';
import { type EventHandlers, readEventStream, type StreamPosition, typeOf } from './event-messages.ts';

/** Attempts to take up a stream that bring no event. */
export const MAX_RESUMES = 6;
export const RESUME_MS: readonly [first: number, most: number] = [1_000, 30_000];
/** A server may ask for any wait. */
const MOST_RETRY_MS = 300_000;

export interface ResumedStreamOptions {
  /** Asks for the stream. @param headers - for this request, beside those of the session. */
  readonly open: (headers: Readonly<Record<string, string>>) => Promise<IncomingMessage>;
  readonly handlers: EventHandlers;
  readonly signal: AbortSignal;
  /** Whether anybody still waits for what it brings. */
  readonly goesOn: () => boolean;
  /** Told why it could not be opened; it may be tried again. */
  readonly onError: (error: unknown) => void;
  /** First and longest wait before it is taken up again, when the server says nothing. */
  readonly resumeMs?: readonly [first: number, most: number];
}

/**
 * Reads it, opened again and again, until it is refused, or too often brought nothing. Never rejects.
 *
 * @param position - where it broke off; absent for a new stream, which is opened at once.
 */
export async function readResumed(
  { open, handlers, signal, goesOn, onError, resumeMs = RESUME_MS }: ResumedStreamOptions,
  position?: StreamPosition,
): Promise<void> {
  const [first, most] = resumeMs;
  const at = position ?? {};
  for (let failures = 0, wait = position === undefined ? 0 : undefined; failures < MAX_RESUMES && goesOn(); wait = undefined) {
    await pause(wait ?? Math.min(at.retry ?? Math.min(first * 2 ** failures, most), MOST_RETRY_MS), signal);
    if (!goesOn()) return;
    const before = at.lastId;
    let isAnything = false;
    try {
      const response = await open({ accept: 'text/event-stream', ...(at.lastId !== undefined && { 'last-event-id': at.lastId }) });
      if (response.statusCode !== 200 || typeOf(response) !== 'text/event-stream') {
        response.destroy();
        // Most servers without such a stream say 405.
        const isTransient = (response.statusCode ?? 0) >= 500 || response.statusCode === 429;
        if (!isTransient) return;
      } else {
        await readEventStream(response, at, {
          ...handlers,
          onMessage: async (data) => {
            isAnything = true;
            await handlers.onMessage(data);
          },
        });
        response.destroy();
      }
    } catch (error) {
      if (goesOn()) onError(error);
    }
    failures = isAnything || at.lastId !== before ? 0 : failures + 1;
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms <= 0 || signal.aborted) return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(go, ms);
    function go(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', go);
      resolve();
    }
    signal.addEventListener('abort', go);
  });
}
