import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { CountersignError, ERROR_CODES, REASON_CODES } from '../src/index.ts';

const doc = readFileSync(new URL('../../../docs/errors.md', import.meta.url), 'utf8');
const [reasons = '', errors = ''] = doc.split('## Error codes');
const rows = (text: string): readonly string[] => [...text.matchAll(/^\| `([A-Z_]+)` +\|/gm)].map((match) => match[1] ?? '');

describe('codes', () => {
  it('are the ones the documentation lists, no more and no fewer', () => {
    expect(rows(errors)).toEqual(Object.keys(ERROR_CODES));
    expect(rows(reasons)).toEqual([...REASON_CODES]);
  });

  it('of reasons never change by accident', () => {
    expect(REASON_CODES.join(' ')).toBe(
      'POLICY_ALLOW_LOW_RISK POLICY_DENY_HIGH_RISK POLICY_REQUIRE_APPROVAL_HIGH_VALUE POLICY_DEFAULT_ALLOW POLICY_DEFAULT_DENY POLICY_DEFAULT_REQUIRE_APPROVAL POLICY_DENY_OWN_FILES POLICY_EVALUATION_FAILED BUDGET_EXCEEDED_AGENT_RATE BUDGET_EXCEEDED_TOOL_RATE BUDGET_EXCEEDED_SESSION_RATE BUDGET_EXCEEDED_PRINCIPAL_RATE BUDGET_EXCEEDED_KEY_RATE BUDGET_EVALUATION_FAILED APPROVAL_GRANTED GRANT_USED APPROVAL_DENIED APPROVAL_EDITED APPROVAL_EDIT_INVALID APPROVAL_EXPIRED APPROVAL_PROCESS_FAILED APPROVAL_FORGED APPROVAL_MISROUTED APPROVAL_BINDING_MISMATCH APPROVAL_POLICY_CHANGED APPROVAL_ALREADY_USED ARGUMENTS_INVALID MESSAGE_INVALID TOOL_UNKNOWN TOOL_CHANGED TOOL_FLAGGED TOOL_UNPINNED REDACTION_FAILED MONITOR_FAILED SESSION_HALTED CALL_CANCELLED CALL_IN_PROGRESS CALL_ALREADY_RUN CALL_OUTCOME_UNKNOWN RESULT_TOO_LARGE RESULT_SCHEMA_MISMATCH RESULT_NOT_CHECKED LEDGER_WRITE_FAILED_DECISION LEDGER_WRITE_FAILED_OUTCOME LEDGER_QUEUE_FULL AUDIT_LOG_FAILED INTERNAL_ERROR',
    );
  });

  it('are recognised across copies of the package', () => {
    const foreign = Object.defineProperty(new Error('x'), Symbol.for('countersign.error'), { value: true });
    expect(CountersignError.is(foreign)).toBe(true);
    expect([null, undefined, 'x', {}, new Error('x')].some((value) => CountersignError.is(value))).toBe(false);
  });
});
