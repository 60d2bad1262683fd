import type { Writable } from 'node:stream';

/**
 * Writes that leave together: what is written in one turn of the event loop is one system call, whoever wrote it. A single message
 * leaves no later than it would have.
 */
export function batchedWrites(stream: Writable): (bytes: Buffer) => void {
  let isOpen = false;
  const flush = (): void => {
    isOpen = false;
    stream.uncork();
  };
  return (bytes) => {
    if (!isOpen) {
      isOpen = true;
      stream.cork();
      // After the promises of this turn, in which decisions become messages.
      process.nextTick(flush);
    }
    stream.write(bytes);
  };
}
