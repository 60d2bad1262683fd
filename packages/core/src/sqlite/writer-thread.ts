/** The thread that owns the writing connection. It does what `LedgerWriter` does, when it is asked (`thread-protocol.ts`). */
import { parentPort, workerData } from 'node:worker_threads';
import type { BatchOutcome } from '../group-commit.ts';
import { signerFromKey } from '../ledger/keys.ts';
import { pauseForLock } from '../pause.ts';
import type { Unit } from '../store-units.ts';
import { KnownHeads } from './known-heads.ts';
import { HEARTBEAT_MS } from './leases.ts';
import { type Reply, type Request, sendError, sendResult, type ThreadData } from './thread-protocol.ts';
import { LedgerWriter } from './writer.ts';

/** How long the thread tries for the lock before it asks whether somebody still waits for this batch. */
const BUSY_SLICE_MS = 20;

const { path, origin, writer: name, stateDirectory, signer } = workerData as ThreadData;
let writer: LedgerWriter | undefined;
let heartbeat: NodeJS.Timeout | undefined;
let nowMs = 0;

parentPort?.on('message', (request: Request) => reply(() => answer(request)));
parentPort?.postMessage({ kind: 'loaded' } satisfies Reply);

function reply(make: () => Reply | undefined): void {
  let made: Reply | undefined;
  try {
    made = make();
  } catch (error) {
    made = { kind: 'failed', error: sendError(error) };
  }
  if (made === undefined) return;
  // Whoever hears of a failure ends this thread at once: what is open then is closed without the look it needs.
  if (made.kind === 'failed') end();
  parentPort?.postMessage(made);
  if (made.kind === 'failed' || made.kind === 'closed') parentPort?.close();
}

function beat(): void {
  reply(() => {
    writer?.beat();
    return undefined;
  });
}

function answer(request: Request): Reply {
  switch (request.kind) {
    case 'open': {
      ({ nowMs } = request);
      const { known, doubtful } = request;
      writer = new LedgerWriter({
        path,
        origin,
        signer: signer === undefined ? undefined : signerFromKey(signer.key, signer.vkey),
        clock: { nowMs: () => nowMs },
        writer: name,
        create: false,
        heads: new KnownHeads(path, stateDirectory),
        known,
        doubtful,
      });
      heartbeat = setInterval(beat, HEARTBEAT_MS);
      return { kind: 'opened', head: writer.head() };
    }
    case 'commit': {
      if (writer === undefined) throw new Error('the ledger is not open');
      ({ nowMs } = request);
      const { units } = request;
      const outcome = commit(writer, units);
      if (outcome === 'busy') return { kind: 'busy' };
      const results = outcome.map((result, i) => sendResult(result, units[i]));
      return { kind: 'committed', results, head: writer.head(), atMs: writer.open.rows.atMs };
    }
    case 'close':
      clearInterval(heartbeat);
      writer?.close();
      writer = undefined;
      return { kind: 'closed' };
  }
}

/** Here a short sleep blocks nobody, so the lock is waited for without spinning. */
function commit(open: LedgerWriter, units: readonly Unit[]): BatchOutcome {
  const end = performance.now() + BUSY_SLICE_MS;
  for (;;) {
    const outcome = open.commitBatch(units);
    if (outcome !== 'busy' || performance.now() >= end) return outcome;
    pauseForLock();
  }
}

/** A broken writer gives its locks back before the thread is gone. */
function end(): void {
  clearInterval(heartbeat);
  writer?.abandon();
}
