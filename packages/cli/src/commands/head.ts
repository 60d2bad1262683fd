import { escapeForTerminal, parseNote } from '@countersign/core';
import { readLedger } from '@countersign/core/sqlite';
import type { Command } from '../command.ts';
import { ledgerPath } from '../configuration.ts';
import { EXIT } from '../exit-codes.ts';

export const head: Command = {
  name: 'head',
  summary: 'print the newest checkpoint, to be kept elsewhere',
  positionals: [{ name: 'ledger', required: false }],
  options: [],
  notes: [
    'Prints the signed note as it is. Kept where the writer of the ledger cannot reach it, it shows later that nothing was cut off or rewritten: countersign verify --against. It is copied, not checked.',
  ],
  example: 'countersign head > ../witness/head.note',
  async run(invocation) {
    const { output } = invocation;
    const path = ledgerPath(invocation);
    const reader = readLedger(path);
    const checkpoint = reader.head();
    reader.close();
    if (checkpoint === undefined) {
      output.note(`countersign: the ledger ${escapeForTerminal(path)} has no entries yet`);
      output.result({ origin: reader.origin, size: 0, root: null, note: null, signatures: [] });
      return EXIT.NOT_PROVEN;
    }
    const { origin, size, root, note } = checkpoint;
    output.result({ origin, size, root, note, signatures: signaturesOf(note) });
    if (!output.json) {
      output.raw();
      // A note holds no control characters, but may hold others that a terminal acts on.
      await output.data(output.isTerminal ? note.split('\n').map(escapeForTerminal).join('\n') : note);
    }
    return EXIT.OK;
  },
};

/** Names only: that they verify is for `verify` to say. */
function signaturesOf(note: string): readonly { readonly name: string; readonly key_id: string }[] {
  if (!note.includes('\n\n')) return [];
  return parseNote(note).signatures.map(({ name, keyId }) => ({ name, key_id: keyId }));
}
