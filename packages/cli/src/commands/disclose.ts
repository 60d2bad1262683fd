import { discloseFields } from '@countersign/core/sqlite';
import type { Command } from '../command.ts';
import { ledgerPath } from '../configuration.ts';
import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { OUTPUT_OPTIONS, receiptTarget, TARGET_OPTIONS, writeReceipt } from '../receipt-target.ts';

export const disclose: Command = {
  name: 'disclose',
  summary: 'make a receipt that shows chosen fields only',
  positionals: [{ name: 'ledger', required: false }],
  options: [
    ...TARGET_OPTIONS,
    { name: 'field', kind: 'texts', value: 'P', about: 'a field to show, like /args/path; may be repeated' },
    ...OUTPUT_OPTIONS,
  ],
  notes: [
    'A field is an RFC 6901 pointer: /args/path, /result/excerpt, or /reason for what is one value. Of all other fields the receipt tells their number and nothing else. Fields of the outcome are found as well.',
  ],
  example: 'countersign disclose --entry 4 --field /args/amount --output amount.receipt.json',
  async run(invocation) {
    const target = receiptTarget(invocation);
    const fields = invocation.flags.texts('field');
    if (fields.length === 0) throw new UsageError('disclose needs --field', 'for example: --field /args/path');
    await writeReceipt(discloseFields(ledgerPath(invocation), target, fields), invocation, fields);
    return EXIT.OK;
  },
};
