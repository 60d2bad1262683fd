/** Waiting for a lock that another process holds. SQLite's own busy handler starves waiters; short random waits do not. */

const pause = new Int32Array(new SharedArrayBuffer(4));

/** Sleeps 0.1 to 0.6 ms. It blocks this thread, for less than the commit that is waited for; spinning would slow down its writer. */
export function pauseForLock(): void {
  Atomics.wait(pause, 0, 0, 0.1 + Math.random() * 0.5);
}
