import { discloseFields, makeReceipt } from '@countersign/core/sqlite';
import type { Command } from '../command.ts';
import { ledgerPath } from '../configuration.ts';
import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { OUTPUT_OPTIONS, receiptTarget, TARGET_OPTIONS, writeReceipt } from '../receipt-target.ts';
import { SUDO_TARGET_OPTIONS, sudoTarget, writeSudoReceipt } from '../sudoagent-receipt.ts';

export const receiptMake: Command = {
  name: 'receipt make',
  summary: 'take one entry out of a ledger, with its proof',
  positionals: [{ name: 'ledger', required: false }],
  options: [
    ...TARGET_OPTIONS,
    ...SUDO_TARGET_OPTIONS,
    ...OUTPUT_OPTIONS,
    { name: 'no-opening', kind: 'switch', about: 'leave out the clear text of arguments, reasons and results' },
    { name: 'only', kind: 'text', value: 'A,B', about: 'show these fields only, like /args/path,/reason' },
  ],
  notes: [
    'Writes one JSON file that anybody can check without the ledger: the entry, a Merkle proof, the signed checkpoint, and for a call that ran its outcome. Reads one snapshot and changes nothing. `countersign disclose` takes fields whose names hold a comma.',
  ],
  example: 'countersign receipt make --call 019b0c5e3f9a1c0d7b2e4f6a8c1d3e5f --output call.receipt.json',
  async run(invocation) {
    const { flags } = invocation;
    const sudo = sudoTarget(invocation);
    if (sudo !== undefined) {
      await writeSudoReceipt(ledgerPath(invocation), sudo, invocation);
      return EXIT.OK;
    }
    const target = receiptTarget(invocation);
    const only = flags.text('only')?.split(',');
    if (only !== undefined && flags.on('no-opening'))
      throw new UsageError('--only and --no-opening exclude each other', 'name the fields to show, or leave all of them out');
    const path = ledgerPath(invocation);
    const made = only === undefined ? makeReceipt(path, target, { openings: !flags.on('no-opening') }) : discloseFields(path, target, only);
    await writeReceipt(made, invocation, only);
    return EXIT.OK;
  },
};
