import { type ConsistencyReport, CountersignError, checkConsistency, MAX_CONSISTENCY_BYTES } from '@countersign/core';
import type { Command, Invocation } from '../command.ts';
import { publicKeys } from '../configuration.ts';
import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { type Output, safe } from '../output.ts';
import { readFileBytes, readSmallFile } from '../read-small-file.ts';
import { verdictWord } from '../verdict-words.ts';

export const consistencyCheck: Command = {
  name: 'consistency check',
  summary: 'check such a proof, without the ledger',
  positionals: [{ name: 'file', required: true }],
  options: [
    { name: 'public-key', kind: 'texts', value: 'K', about: 'verifier line, or a file with one per line; may be repeated' },
    { name: 'from', kind: 'text', value: 'FILE', about: 'a checkpoint you kept, which it must start from' },
    { name: 'to', kind: 'text', value: 'FILE', about: 'a checkpoint you have, which it must lead to' },
  ],
  notes: [
    'Exit 0: the key you gave signed both checkpoints, and the later begins with the earlier. 1: invalid. 3: without a key of the log.',
  ],
  example: 'countersign consistency check growth.json --from head.note --public-key ledger.key.pub',
  async run(invocation) {
    const { output, positionals } = invocation;
    const [file = ''] = positionals;
    const report = checked(file, invocation);
    output.result(report);
    for (const line of lines(file, report, output)) output.line(line);
    return report.status === 'valid' ? EXIT.OK : report.status === 'invalid' ? EXIT.FAILED : EXIT.NOT_PROVEN;
  },
};

function checked(file: string, { io, flags }: Invocation): ConsistencyReport {
  const keys = flags.texts('public-key').flatMap((key) => publicKeys(key, io.cwd));
  const from = flags.text('from');
  const to = flags.text('to');
  const text = readFileBytes(file, io.cwd, 'consistency check', MAX_CONSISTENCY_BYTES);
  try {
    return checkConsistency(text, {
      publicKeys: keys,
      ...(from !== undefined && { from: readSmallFile(from, io.cwd, '--from') }),
      ...(to !== undefined && { to: readSmallFile(to, io.cwd, '--to') }),
    });
  } catch (error) {
    if (CountersignError.is(error)) throw new UsageError(error.message, 'run `countersign consistency check --help`');
    throw error;
  }
}

function lines(file: string, { status, origin, from, to, authorship, problems }: ConsistencyReport, output: Output): readonly string[] {
  return [
    `${verdictWord(status, output)}  ${safe(file)}`,
    ...(origin === undefined ? [] : [`  log        ${safe(origin)}, from ${from} to ${to} entries`]),
    ...(authorship === 'unchecked' ? ['  without --public-key, whoever made the proof could have made up both checkpoints'] : []),
    ...problems.map(({ code, message }) => `  ${output.style('bad', 'problem')}  ${safe(message)} [${safe(code)}]`),
  ];
}
