export { factsOf } from '../container/facts.ts';
export type { ContainerFormat } from '../container/format.ts';
export { openRecords } from '../container/open-records.ts';
export type { RecordFacts } from '../container/record-facts.ts';
export type { LedgerRecord, RecordReader } from '../container/records.ts';
export { type Criteria, selection } from '../container/selection.ts';
export { SEARCH_SECTIONS, type SearchSection, type TextHit, textSearch } from '../container/text-search.ts';
export { verifyActaReceipt } from '../export/acta.ts';
export { type DsseEnvelope, openDsse } from '../export/dsse.ts';
export { EXPORT_FORMATS, Export, type ExportFormat, type ExportOptions } from '../export/exporter.ts';
export { recordLine } from '../export/ndjson.ts';
export type { MirrorOptions } from '../jsonl/mirror.ts';
export { type MirrorStatus, mirrorStatus } from '../jsonl/mirror-status.ts';
export { type MadeConsistency, makeConsistency } from '../receipt/consistency.ts';
export { discloseFields } from '../receipt/disclose.ts';
export type { ReceiptTarget } from '../receipt/find.ts';
export { type MadeReceipt, type MakeReceiptOptions, makeReceipt } from '../receipt/make.ts';
export type { ReplayOptions } from '../replay/replay.ts';
export { replayDecisions } from '../replay/replay-file.ts';
export type { ReplayedDecision, ReplayReport } from '../replay/report.ts';
export type { WriterChoice } from '../store.ts';
export { type MadeSudoReceipt, makeSudoReceipt, type SudoReceiptTarget } from '../sudoagent/receipt.ts';
export { type Suggestion, type SuggestOptions, suggestPolicy } from '../suggest/suggest.ts';
export { VERIFY_CODES, type VerifyCode } from '../verify/codes.ts';
export type { VerifyOptions } from '../verify/options.ts';
export {
  exitCodeOf,
  type VerifyCounts,
  type VerifyProblem,
  type VerifyReport,
} from '../verify/report.ts';
export { verifyLedger } from '../verify/verify.ts';
export type { ApprovalView } from './approval-view.ts';
export { checkDurability, type DurabilityFacts } from './durability.ts';
export { type FollowOptions, followApprovals } from './follow-approvals.ts';
export { type ForgetRequest, type Forgotten, forgetClearText } from './forget.ts';
export { guardFromConfig, openGuard, storeFromConfig } from './from-config.ts';
export type { IntervalSigner } from './interval-signing.ts';
export { KnownHeads, stateDirectory } from './known-heads.ts';
export type { SqliteStoreOptions } from './options.ts';
export { type LedgerLine, type LedgerReader, readLedger } from './reader.ts';
export { type RotateKeyOptions, rotateKey } from './rotate-key.ts';
export { openStore, SqliteStore } from './store.ts';
