export { VERIFY_CODES, type VerifyCode } from '../verify/codes.ts';
export {
  exitCodeOf,
  type VerifyCounts,
  type VerifyProblem,
  type VerifyReport,
} from '../verify/report.ts';
export { type VerifyOptions, verifyLedger } from '../verify/verify.ts';
export type { ApprovalView } from './approval-view.ts';
export { checkDurability, type DurabilityFacts } from './durability.ts';
export { guardFromConfig, openGuard, storeFromConfig } from './from-config.ts';
export { KnownHeads, stateDirectory } from './known-heads.ts';
export { type LedgerLine, type LedgerReader, readLedger } from './reader.ts';
export { openStore, SqliteStore, type SqliteStoreOptions } from './store.ts';
