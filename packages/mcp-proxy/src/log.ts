import type { Writable } from 'node:stream';
import { createRedactor } from '@countersign/core';

/** Of the log what may wait for whoever does not read it; the rest is lost, and counted. */
export const MAX_WAITING_LOG_BYTES: number = 1024 * 1024;

/** Lines for people. What a peer can have said, it can have said without end: it must not fill this process. */
export function logTo(stderr: Writable): (text: string) => void {
  const redactor = createRedactor();
  let lost = 0;
  return (text) => {
    if (stderr.writableLength > MAX_WAITING_LOG_BYTES) {
      lost += 1;
      return;
    }
    if (lost > 0) stderr.write(`countersign: ${lost} lines of this log are lost: nobody read it\n`);
    lost = 0;
    // Servers and clients have a say in it: names of tools, texts of errors.
    stderr.write(`countersign: ${redactor.text(text)}\n`);
  };
}
