import { resolve } from 'node:path';
import { makeConsistency } from '@countersign/core/sqlite';
import type { Command } from '../command.ts';
import { ledgerPath } from '../configuration.ts';
import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { safe } from '../output.ts';
import { readSmallFile } from '../read-small-file.ts';
import { OUTPUT_OPTIONS } from '../receipt-target.ts';
import { writeWhole } from '../write-whole.ts';

export const consistencyMake: Command = {
  name: 'consistency make',
  summary: 'prove that a ledger only grew since a checkpoint',
  positionals: [{ name: 'ledger', required: false }],
  options: [{ name: 'from', kind: 'text', value: 'FILE', about: 'the checkpoint that was kept elsewhere' }, ...OUTPUT_OPTIONS],
  notes: [
    'Writes a proof, small whatever the size of the ledger, that the newest checkpoint begins with exactly the entries of the one kept. Anybody with the key of the log can check it without the ledger.',
    'Exit 1 when the ledger does not begin with them: keep both, they are evidence.',
  ],
  example: 'countersign consistency make --from ../witness/head.note --output growth.json',
  async run(invocation) {
    const { io, output, flags } = invocation;
    const from = flags.text('from');
    if (from === undefined) throw new UsageError('consistency make needs --from FILE', '`countersign head` prints a checkpoint to keep');
    const made = makeConsistency(ledgerPath(invocation), readSmallFile(from, io.cwd, '--from'));
    const target = flags.text('output');
    if (target === undefined) {
      output.raw();
      await output.data(output.isTerminal ? `${made.text}\n` : made.text);
      return EXIT.OK;
    }
    const file = resolve(io.cwd, target);
    await writeWhole(file, [made.text], flags.on('force'));
    output.result({ output: file, origin: made.origin, from: made.from, to: made.to });
    output.line(`proof that ${safe(made.origin)} grew from ${made.from} to ${made.to} entries, written to ${safe(file)}`);
    return EXIT.OK;
  },
};
