import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import * as cedar from '../src/cedar/index.ts';
import * as core from '../src/index.ts';
import * as light from '../src/light/index.ts';
import * as otel from '../src/otel/index.ts';
import * as sqlite from '../src/sqlite/index.ts';
import * as testing from '../src/testing/index.ts';

// The public surface, frozen as literals. A red line here asks: did you mean it? Then change pin, changeset and docs together.
it.each([
  [
    '@countersign/core',
    core,
    'AFTER_HALT ASSURANCES CallRefusedError CountersignError DEFAULT_APPROVAL_TTL_MS DEFAULT_CONFIG_NAME DURATION_HINT ENTRY_KINDS ERROR_CODES MAX_APPROVAL_TTL_MS MAX_CONSISTENCY_BYTES MAX_GRANT_TTL_MS MAX_GRANT_USES MAX_HAND_OVER_MS MAX_RECEIPT_BYTES MAX_SUDO_RECEIPT_BYTES OPERATOR_HALT OWN_SERVER PACK_NAMES POLICY_CODES REASON_CODES RECEIPT_CODES TYPE_COSIGNATURE WITHHELD_RESULT addCosignature allowAll analyzeArguments analyzeShell approvalStatement argumentChanges baselinePack besideRules browserPack budgetFrom budgetStatus canonicalize changeLines changesText checkConsistency checkPolicySource checkReceipt checkSudoReceipt clip columnsOf commandAnchor commitSection commonEnds composePolicies configJsonSchema configuredSecrets countersignBundle createGuard createRedactor currentCall databasePack declarationIn definePolicy denyAll didYouMean editNotice emailPack escapeForTerminal escapeJson escapeLines explainCall explainRuling fileAnchor fileAuditSink filesystemPack findAnsi findHidden findInstructions generateKey gitPack haltQuestion isLossyNumber isSudoReceipt linearPattern loadConfig loadPolicyFile looksLikeBundle microUnits monitorHost nameText nearest newOpeningKey openBundle openFile openTelemetryAuditSink ownFilesPolicy packNamed packRules packYaml parseCheckpoint parseConfig parseDuration parseNote parseScopeText parseTrustedKeys parseVerifierKey paymentsPack policyHash readBundle readConfigText readLines readPrivateFile readScopeText readSigner readToolsList refusalText releasedError renamedMembers resolveFrom resumeStatement revocationStatement rulePolicy ruleSetsOf scrubAuditLog shellPack signBundle signerFromPem statementOf strictJson terminalChannel terminalRows textPieces timestampQuestions timestampsOf toolDigest toolPolicy trifectaPack verifyCheckpoint watchPolicy writeKeyFile',
  ],
  [
    '@countersign/core/sqlite',
    sqlite,
    'EXPORT_FORMATS Export KnownHeads SEARCH_SECTIONS SqliteStore VERIFY_CODES checkDurability discloseFields exitCodeOf factsOf followApprovals forgetClearText guardFromConfig makeConsistency makeReceipt makeSudoReceipt mirrorStatus openDsse openGuard openRecords openStore readLedger recordLine replayDecisions rotateKey selection stateDirectory storeFromConfig suggestPolicy textSearch verifyActaReceipt verifyLedger',
  ],
  ['@countersign/core/testing', testing, 'fixedClock immediateApprover memoryStore policyTestJsonSchema runPolicyTests'],
  ['@countersign/core/cedar', cedar, 'cedarPolicy'],
  ['@countersign/core/light', light, 'CountersignError analyzeArguments clip currentCall escapeForTerminal'],
  ['@countersign/core/otel', otel, 'openTelemetryTracer'],
])('%s exports exactly this', (_name, module, names) => {
  expect(Object.keys(module).toSorted().join(' ')).toBe(names);
});

it('the published JSON Schema is the one the configuration is checked with', () => {
  const published: unknown = JSON.parse(readFileSync(new URL('../../../docs/config.schema.json', import.meta.url), 'utf8'));
  expect(published).toEqual(core.configJsonSchema());
});
