export { KnownHeads, stateDirectory } from './known-heads.ts';
export { openStore, SqliteStore, type SqliteStoreOptions } from './store.ts';
