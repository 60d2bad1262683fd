/**
 * In a watched process tree only what writes to the ledger may read its key, and the lease is what says so. The key is read before the
 * ledger is opened: so there is a lease for just that long, under a name of its own.
 */
import { newId } from '../ledger/body.ts';
import { openForWriting, retryBusy } from './database.ts';
import { Leases } from './leases.ts';

/** In the environment of what `countersign run` started. */
const RUN_MARKER = 'COUNTERSIGN_RUN';

/** Nothing is announced where nobody watches, and where there is no ledger yet. */
export function announced<Result>(path: string, open: () => Result, env: NodeJS.ProcessEnv = process.env): Result {
  if (env[RUN_MARKER] === undefined) return open();
  const end = announce(path);
  try {
    return open();
  } finally {
    end();
  }
}

/** Best effort: who cannot announce itself is taken for anybody else, and what is wrong with the ledger is told when it is opened. */
function announce(path: string): () => void {
  let close = (): void => {};
  try {
    const file = openForWriting(path, false);
    close = () => file.close();
    const lease = new Leases(file.database, newId());
    file.checkIdentity();
    retryBusy(() => lease.take());
    return () => {
      try {
        file.checkIdentity();
        retryBusy(() => lease.release());
      } catch {
        // It is dead with this process at the latest.
      }
      close();
    };
  } catch {
    close();
    return () => {};
  }
}
