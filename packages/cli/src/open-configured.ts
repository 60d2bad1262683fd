/** The ledger of a configuration, with whatever the configuration names that needs a network. */
import { timestampAnchor, witnessAnchor } from '@countersign/connect';
import type { Config } from '@countersign/core';
import { type SqliteStore, storeFromConfig } from '@countersign/core/sqlite';

type Options = NonNullable<Parameters<typeof storeFromConfig>[1]>;

/** @throws {CountersignError} like `storeFromConfig`. */
export function openConfigured(config: Config, options: Options = {}): SqliteStore {
  return storeFromConfig(config, { ...options, witness: witnessAnchor, timestamp: timestampAnchor });
}
