/** Verifies on one thread, and as on two and three, of which this one judges rows or waits: whatever is wrong with a ledger, the reports are the same. */
import { expect } from 'vitest';
import type { VerifyOptions, VerifyReport } from '../../src/sqlite/index.ts';
import type { ScanWorker } from '../../src/verify/scan-lane.ts';
import type { ScanMessage, ScanRequest, ScanTask } from '../../src/verify/scan-messages.ts';
import { serve } from '../../src/verify/scan-thread.ts';
import { verifyWith } from '../../src/verify/verify.ts';

type Listeners = { message: (message: ScanMessage) => void; error: () => void; exit: () => void };

/** What a worker thread does, on this one: hundreds of ledgers would start a thousand threads. Messages are cloned as between threads. */
export function hereInstead(task: ScanTask, failed: (error: unknown) => void = () => undefined): ScanWorker {
  const listeners: Partial<Listeners> = {};
  let request: (request: ScanRequest) => void = () => undefined;
  const later = (action: () => void): void =>
    void setImmediate(() => {
      try {
        action();
      } catch (error) {
        failed(error);
        listeners.error?.();
        listeners.exit?.();
      }
    });
  const port = {
    postMessage: (message: ScanMessage, transfer: readonly ArrayBuffer[]) =>
      listeners.message?.(structuredClone(message, { transfer: [...transfer] })),
    on: (_event: 'message', listener: (request: ScanRequest) => void) => void (request = listener),
    close: () => listeners.exit?.(),
  };
  later(() => serve(port, task));
  return {
    on: (event: keyof Listeners, listener: never) => void Object.assign(listeners, { [event]: listener }),
    postMessage: (asked: ScanRequest) => later(() => request(asked)),
    terminate: () => Promise.resolve(0),
  };
}

export async function verifyLedger(path: string, options: VerifyOptions = {}): Promise<VerifyReport> {
  const report = await verifyWith(path, { ...options, threads: 1 }, {});
  for (const [threads, helps] of [
    [2, false],
    [3, false],
    [2, true],
  ] as const) {
    let started = 0;
    const failures: unknown[] = [];
    const start = (task: ScanTask): ScanWorker => {
      started++;
      return hereInstead(task, (error) => failures.push(error));
    };
    expect(await verifyWith(path, { ...options, threads }, { start, rangeRows: 16, helps })).toEqual(report);
    expect([0, threads - 1]).toContain(started);
    // Otherwise one thread did it all, and nothing was compared.
    const isDamaged = report.problems.some(({ code }) => code === 'DATABASE_DAMAGED' || code === 'LEDGER_UNREADABLE');
    if (!isDamaged) expect(failures).toEqual([]);
  }
  return report;
}
