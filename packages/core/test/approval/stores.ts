/** The stores that tests of approvals run on, and a store whose commits can be made to fail. */
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import type { Store, Unit } from '../../src/index.ts';
import { parseEntry } from '../../src/ledger/body.ts';
import type { Entry } from '../../src/ledger/entry.ts';
import { verifyLedger } from '../../src/sqlite/index.ts';
import { type FixedClock, fixedClock, memoryStore } from '../../src/testing/index.ts';
import { LEDGER_VKEY, openLedger, tempDirectory } from '../fixtures/ledger.ts';

export interface Opened {
  readonly clock: FixedClock;
  readonly store: Store;
  /** The file, when there is one. */
  readonly path?: string;
  /** Another open of the same ledger, as another process has it; the memory store has but one. */
  again(): Store;
  entries(): readonly Entry[];
  /** Every problem `verify` finds. */
  problems(): Promise<readonly string[]>;
}

export function memory(): Opened {
  const clock = fixedClock();
  const store = memoryStore({ clock });
  return { clock, store, again: () => store, entries: () => store.entries(), problems: async () => [] };
}

export function sqlite(): Opened {
  const clock = fixedClock();
  const path = join(tempDirectory(), 'ledger.db');
  const store = openLedger(path, { clock });
  return {
    clock,
    path,
    store,
    again: () => openLedger(path, { clock }),
    entries: () => {
      const reader = new Sqlite(path, { readonly: true });
      const texts = reader.prepare<[], string>('SELECT body FROM entries ORDER BY seq').pluck().all();
      reader.close();
      return texts.map(parseEntry);
    },
    problems: async () =>
      (await verifyLedger(path, { publicKeys: [LEDGER_VKEY] })).problems.map(({ code, message }) => `${code} ${message}`),
  };
}

/** Fails the commits a test chooses, before they are made. */
export function failing(store: Store, fails: (unit: Unit) => boolean): Store {
  return new Proxy(store, {
    get(target, name) {
      if (name === 'commit') {
        return async (...args: Parameters<Store['commit']>) => {
          if (fails(args[0])) throw new Error('the disk is gone');
          return target.commit(...args);
        };
      }
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value;
    },
  });
}
