/** A bound on waiting for what may never come: a disk that hangs, a ledger that does not answer. */

/** The end of a session waits so long for its files, and so long again for the ledger. */
export const CLOSE_WAIT_MS = 10_000;

/** @returns false when it was not done in time; what it does afterwards is nobody's concern. Rejects as `work` does. */
export async function inTime(work: Promise<void>, waitMs: number = CLOSE_WAIT_MS): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), waitMs);
  });
  // Who rejects in time is heard below; later nobody waits, and that must not end the process.
  work.catch(() => undefined);
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}
