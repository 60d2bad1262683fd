/**
 * What a group of fanotify tells (`struct fanotify_event_metadata`, 24 bytes), and the answers it takes (`struct fanotify_response`, 8).
 *
 * @see linux/fanotify.h
 */

export interface OpenEvent {
  /** Ours, of the file that is about to be opened; the answer names it, then it is closed. */
  readonly fd: number;
  /** The thread that waits, as we number it; 0 for one of a namespace that we do not see into. */
  readonly tid: number;
}

export interface FanotifyEvents {
  readonly opens: readonly OpenEvent[];
  /** Times the kernel's queue was full: what did not fit was let through. */
  readonly overflows: number;
  /** Of another version of the format: nothing in it can be trusted. */
  readonly isForeign: boolean;
}

const EVENT_BYTES = 24;
const VERSION = 3;
const OPEN_PERM = 0x1_0000n;
const Q_OVERFLOW = 0x4000n;
export const ANSWER_BYTES = 8;
const ALLOW = 1;
const DENY = 2;

/** What does not fit in its own length ends the reading. */
export function parseFanotifyEvents(bytes: Buffer): FanotifyEvents {
  const opens: OpenEvent[] = [];
  let overflows = 0;
  for (let at = 0; at + EVENT_BYTES <= bytes.length; ) {
    const length = bytes.readUInt32LE(at);
    if (length < EVENT_BYTES || at + length > bytes.length) break;
    if (bytes.readUInt8(at + 4) !== VERSION) return { opens, overflows, isForeign: true };
    const mask = bytes.readBigUInt64LE(at + 8);
    const fd = bytes.readInt32LE(at + 16);
    if ((mask & Q_OVERFLOW) !== 0n) overflows++;
    else if ((mask & OPEN_PERM) !== 0n && fd >= 0) opens.push({ fd, tid: bytes.readInt32LE(at + 20) });
    at += length;
  }
  return { opens, overflows, isForeign: false };
}

export function answerTo(fd: number, answer: 'continue' | 'refuse'): Buffer {
  const bytes = Buffer.alloc(ANSWER_BYTES);
  bytes.writeInt32LE(fd, 0);
  bytes.writeUInt32LE(answer === 'continue' ? ALLOW : DENY, 4);
  return bytes;
}
