/** What is Countersign's own of one configuration: whoever is watched or shut in has no business with it. */
import type { Config } from '@countersign/core';
import { stateDirectory } from '@countersign/core/sqlite';
import type { WatchOptions } from '@countersign/monitor';
import { writersOf } from '../ledger-writers.ts';

/** The ledger and what SQLite puts beside it. */
export function ledgerFiles({ ledger }: Config): readonly string[] {
  return ['', '-wal', '-shm', '-journal'].map((side) => ledger.path + side);
}

/** Keys and copies of the ledger. */
export function otherOwnFiles({ ledger }: Config): readonly string[] {
  return [ledger.key, ledger.mirror, ledger.auditLog?.path].filter((each) => each !== undefined);
}

/** All of it, and who of the watched may use it all the same. */
export function ownFiles(config: Config, logDir: string, env: NodeJS.ProcessEnv): WatchOptions['own'] {
  const { path } = config;
  const sides = ledgerFiles(config);
  const isWriter = ({ pid }: { readonly pid: number }): boolean => {
    try {
      return writersOf(config).includes(pid);
    } catch {
      // A ledger that cannot be read exempts nobody.
      return false;
    }
  };
  return {
    files: [...sides, ...otherOwnFiles(config), logDir],
    configs: path === undefined ? [] : [path],
    guards: {
      files: sides,
      reads: path === undefined ? [] : [path],
      afterLease: [...otherOwnFiles(config), stateDirectory(env)],
      isWriter,
    },
  };
}
