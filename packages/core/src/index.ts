export { commandAnchor } from './anchor/command-anchor.ts';
export { fileAnchor } from './anchor/file-anchor.ts';
export type { AnchorOptions, AnchorResult } from './anchor/publisher.ts';
export { type ChangeLineLimits, changeLines } from './approval/change-lines.ts';
export { type ArgumentChange, argumentChanges, commonEnds } from './approval/changes.ts';
export { type TextPiece, textPieces } from './approval/deceiving.ts';
export { editNotice } from './approval/edit-notice.ts';
export type { ApprovalEvent } from './approval/events.ts';
export { type HostApprover, type ResolveFromOptions, resolveFrom } from './approval/resolve-from.ts';
export { type AnswerGiven, type ApprovalStatement, approvalStatement, statementOf } from './approval/statement.ts';
export { type TerminalChannelOptions, terminalChannel } from './approval/terminal.ts';
export { columnsOf, terminalRows } from './approval/terminal-rows.ts';
export { clip, escapeForTerminal, escapeJson, escapeLines, nameText } from './approval/terminal-text.ts';
export { type FileAuditOptions, fileAuditSink } from './audit-log/file-sink.ts';
export { type OpenTelemetryLogger, openTelemetryAuditSink } from './audit-log/open-telemetry.ts';
export type { AuditInclude, AuditRecord } from './audit-log/record.ts';
export { type Scrubbed, scrubAuditLog } from './audit-log/scrub.ts';
export { type Budget, type BudgetDefinition, budgetFrom } from './budget/budget.ts';
export { microUnits } from './budget/micro.ts';
export { type BudgetStatus, type BudgetsFilter, budgetStatus } from './budget/status.ts';
export type { BudgetQuery, BudgetUse } from './budget/use.ts';
export type { ResultVerdict } from './call.ts';
export {
  type ApprovalTerms,
  ASSURANCES,
  type Assurance,
  type Authorization,
  type BuiltInReasonCode,
  type Decision,
  type Declared,
  type Effect,
  type EntryRef,
  type Json,
  type Mode,
  type Outcome,
  type OutcomeStatus,
  type Pending,
  type Permit,
  REASON_CODES,
  type ReasonCode,
  type RedactionFinding,
  type Refusal,
  type Released,
  type ReleaseOptions,
  type ResultAction,
  type ToolAnnotations,
  type ToolCall,
  type ToolRef,
} from './call.ts';
export type { CallEvent, CallFacts, ShownArguments, VerdictNews } from './call-events.ts';
export type { AuthorizeOptions, KeepLater, OnceOptions, PreviewOptions, RunScope, ToolOptions } from './call-options.ts';
export { CallRefusedError, refusalText } from './call-refused.ts';
export type {
  AnchorConfig,
  ApprovalsConfig,
  AuthzenConfig,
  ChannelConfig,
  CommandServerConfig,
  Config,
  LedgerConfig,
  SenderConfig,
  ServeClientConfig,
  ServeConfig,
  ServerConfig,
  SlackConfig,
  TimestampConfig,
  UrlServerConfig,
  ValueConfig,
  WebhookConfig,
  WitnessConfig,
} from './config/config.ts';
export { configuredSecrets } from './config/decision-point.ts';
export { DURATION_HINT, parseDuration } from './config/duration.ts';
export { configJsonSchema } from './config/json-schema.ts';
export { DEFAULT_CONFIG_NAME, loadConfig, parseConfig, readConfigText } from './config/load.ts';
export type { MonitorConfig } from './config/monitor-schema.ts';
export { didYouMean, nearest } from './config/nearest.ts';
export { loadPolicyFile } from './config/policy-source.ts';
export { parseScopeText, readScopeText, type ScopeForm, type ScopeText } from './config/scope-document.ts';
export type { BehaviorDocument, ScopeDocument } from './config/scope-schema.ts';
export type { SecretSource } from './config/secret.ts';
export type { AlertsConfig, AlertWebhookConfig, JudgeConfig } from './config/telling-schema.ts';
export { type PolicyWatch, type WatchPolicyOptions, watchPolicy } from './config/watch-policy.ts';
export { DEFAULT_APPROVAL_TTL_MS, MAX_APPROVAL_TTL_MS } from './create-engine.ts';
export { type AnsiKind, findAnsi } from './detect/ansi.ts';
export { findHidden, type HiddenKind } from './detect/hidden.ts';
export { findInstructions, type InstructionKind } from './detect/instructions.ts';
export { CountersignError, ERROR_CODES, type ErrorCode } from './errors.ts';
export type { GrantDraft } from './grant/give.ts';
export type { Revoked } from './grant/revoke.ts';
export { revocationStatement } from './grant/statement.ts';
export { type GrantTerms, MAX_GRANT_TTL_MS, MAX_GRANT_USES } from './grant/terms.ts';
export { createGuard } from './guard.ts';
export type { Guard, GuardCounters, GuardOptions, PolicyChange, Preview } from './guard-types.ts';
export { AFTER_HALT, OPERATOR_HALT, OWN_SERVER } from './halt/after-halt.ts';
export type { Halt } from './halt/book.ts';
export { type HaltQuestion, haltQuestion } from './halt/halt-question.ts';
export type { HaltChoice, ResumeDraft, ResumeOptions } from './halt/resume.ts';
export { resumeStatement } from './halt/statement.ts';
export type {
  Anchor,
  AnchorContext,
  ApprovalAnswer,
  ApprovalRequest,
  Approver,
  AuditSink,
  CallTrace,
  CallTracer,
  CallWatch,
  Channel,
  Clock,
  ContainmentRecord,
  HostMonitor,
  MonitorHost,
  RemoteSigner,
  Signer,
  VerdictRecord,
  WatchedProcess,
} from './interfaces.ts';
export { type Line, readLines } from './jsonl/lines.ts';
export { type OpenFile, openFile } from './jsonl/open-file.ts';
export { canonicalize } from './ledger/canonical.ts';
export { type ParsedCheckpoint, parseCheckpoint, verifyCheckpoint } from './ledger/checkpoint.ts';
export { commitSection, newOpeningKey } from './ledger/commitment.ts';
export { addCosignature, type CosignedNote } from './ledger/cosignature.ts';
export { isLossyNumber } from './ledger/decimal.ts';
export {
  type ApproverIdentity,
  type ApproverMethod,
  type ContainmentBody,
  ENTRY_KINDS,
  type Entry,
  type EntryBody,
  type EntryKind,
  type HaltAnswer,
  type Opening,
  type PinFlag,
  type ResourceFigures,
  type VerdictBody,
} from './ledger/entry.ts';
export { parseTrustedKeys, type TrustedKey } from './ledger/key-rules.ts';
export { type GeneratedKey, generateKey, readSigner, signerFromPem, writeKeyFile } from './ledger/keys.ts';
export { type ParsedNote, parseNote } from './ledger/note.ts';
export { parseVerifierKey, TYPE_COSIGNATURE, type VerifierKey } from './ledger/verifier-key.ts';
export { type MonitorHostOptions, monitorHost } from './monitor-host.ts';
export type { Offer } from './offers.ts';
export type { OpenCall } from './open-calls.ts';
export { type BaselineOptions, baselinePack } from './packs/baseline.ts';
export { type BrowserOptions, browserPack } from './packs/browser.ts';
export { type DatabaseOptions, databasePack } from './packs/database.ts';
export { type EmailOptions, emailPack } from './packs/email.ts';
export { type FilesystemOptions, filesystemPack } from './packs/filesystem.ts';
export { type GitOptions, gitPack } from './packs/git.ts';
export { PACK_NAMES, type PackName, packNamed } from './packs/index.ts';
export { type CommonOptions, type Pack, type PackOption, packRules } from './packs/pack.ts';
export { packYaml } from './packs/pack-yaml.ts';
export { type PaymentsOptions, paymentsPack } from './packs/payments.ts';
export { type ShellOptions, shellPack } from './packs/shell.ts';
export { type TrifectaOptions, trifectaPack } from './packs/trifecta.ts';
export type { PinChoice, PinDraft } from './pin/answer.ts';
export type { PinState, RecordedOffer } from './pin/book.ts';
export { changesText, type DeclarationChanges, declarationIn } from './pin/changes.ts';
export { toolDigest } from './pin/declaration.ts';
export type { PinMode } from './pin/objection.ts';
export type { OfferedTool } from './pin/offer.ts';
export { allowAll, definePolicy, denyAll } from './policy/built-in.ts';
export {
  type Bundle,
  type BundleMember,
  type BundleTrust,
  countersignBundle,
  looksLikeBundle,
  type OpenedBundle,
  openBundle,
  readBundle,
  signBundle,
} from './policy/bundle.ts';
export { type CheckPolicyOptions, checkPolicySource, type PolicyCheck } from './policy/check/check.ts';
export { POLICY_CODES, type PolicyCode, type PolicyFinding, type PolicySeverity } from './policy/check/codes.ts';
export { type KnownTool, readToolsList } from './policy/check/known-tools.ts';
export { besideRules, ruleSetsOf } from './policy/check/members.ts';
export { composePolicies } from './policy/compose.ts';
export { type ConditionExplained, type Explanation, explainRuling, type RuleExplained } from './policy/explain/explain.ts';
export { type ExplainedCall, type ExplainOptions, explainCall } from './policy/explain/explain-call.ts';
export { policyHash } from './policy/hash.ts';
export { ownFilesPolicy } from './policy/own-files.ts';
export type {
  Foreseen,
  ForeseenInput,
  Policy,
  PolicyInput,
  PolicyName,
  PolicyVerdict,
  ResultFacts,
  ResultInput,
  SessionFacts,
} from './policy/policy.ts';
export { rulePolicy } from './policy/rules.ts';
export { type ToolFunction, type ToolInput, type ToolPolicyDefinition, toolPolicy } from './policy/tool-policy.ts';
export { readPrivateFile } from './private-file.ts';
export { type CheckReceiptOptions, checkReceipt } from './receipt/check.ts';
export { RECEIPT_CODES, type ReceiptCode } from './receipt/codes.ts';
export { type CheckConsistencyOptions, type ConsistencyReport, checkConsistency, MAX_CONSISTENCY_BYTES } from './receipt/consistency.ts';
export { MAX_RECEIPT_BYTES } from './receipt/format.ts';
export type { ReceiptEntry, ReceiptFinding, ReceiptReport } from './receipt/report.ts';
export type { RanInstead, RecordedRun, Runner } from './record-run.ts';
export type { DetectorDefinition } from './redact/custom.ts';
export { type LinearPattern, linearPattern } from './redact/linear-pattern.ts';
export { WITHHELD_RESULT } from './redact/mask.ts';
export { createRedactor, type RedactionOptions, type Redactor } from './redact/redact.ts';
export { renamedMembers } from './redact/renamed-members.ts';
export { releasedError } from './result/released-error.ts';
export { type CallScope, currentCall } from './scope.ts';
export { analyzeArguments, analyzeShell, type ShellAnalysis } from './shell/index.ts';
export type { Checkpoint, Store } from './store.ts';
export type { ApprovalCounts, ApprovalFilter, ApprovalRow, ApprovalState, GrantRow, GrantState } from './store-rows.ts';
export type { Charge, Committed, GrantOffer, Unit } from './store-units.ts';
export { strictJson } from './strict-json.ts';
export {
  type CheckSudoReceiptOptions,
  checkSudoReceipt,
  isSudoReceipt,
  MAX_SUDO_RECEIPT_BYTES,
  type SudoReceiptEntry,
  type SudoReceiptFinding,
  type SudoReceiptReport,
} from './sudoagent/receipt-check.ts';
export { MAX_HAND_OVER_MS, type TakenOver } from './take-over.ts';
export { type TimestampAnswer, type TimestampAuthority, type TimestampQuestion, timestampQuestions } from './timestamp/exchange.ts';
export { timestampsOf } from './timestamp/line.ts';
