import {
  CountersignError,
  canonicalize,
  checkReceipt,
  isSudoReceipt,
  MAX_RECEIPT_BYTES,
  type ReceiptEntry,
  type ReceiptReport,
} from '@countersign/core';
import { factsOf } from '@countersign/core/sqlite';
import type { Command } from '../command.ts';
import { publicKeys } from '../configuration.ts';
import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { type Output, safe, safeJsonLines } from '../output.ts';
import { readFileBytes, readSmallFile } from '../read-small-file.ts';
import { factLines } from '../record-story.ts';
import { tellSudoReceipt } from '../sudoagent-receipt.ts';
import { proofWords, verdictWord } from '../verdict-words.ts';

const MAX_PROBLEMS_SHOWN = 20;

export const receiptCheck: Command = {
  name: 'receipt check',
  summary: 'check a receipt, without the ledger',
  positionals: [{ name: 'file', required: true }],
  options: [
    {
      name: 'public-key',
      kind: 'texts',
      value: 'K',
      about: 'verifier line, a file with one per line, or a PEM of SudoAgent; may be repeated',
    },
    {
      name: 'tsa-cert',
      kind: 'texts',
      value: 'FILE',
      about: 'PEM of a timestamp authority, or of who vouches for it; may be repeated',
    },
    { name: 'origin', kind: 'text', value: 'NAME', about: 'the log it must be of' },
  ],
  notes: [
    'A key may be limited to sizes of the log, behind the line: from=N until=N revoked-from=N. Keys of witnesses (type 4) tell who saw this log.',
    'Exit 0: a key you gave committed to this entry. 1: invalid. 3: without a key of the log; whoever made the receipt could have made up all of it. 4: cannot read.',
  ],
  example: 'countersign receipt check call.receipt.json --public-key ledger.key.pub',
  async run(invocation) {
    const { output, positionals } = invocation;
    const [file = ''] = positionals;
    const bytes = readFileBytes(file, invocation.io.cwd, 'receipt check', MAX_RECEIPT_BYTES);
    const keys = invocation.flags.texts('public-key').flatMap((key) => publicKeys(key, invocation.io.cwd));
    const tsaCertificates = invocation.flags.texts('tsa-cert').map((pem) => readSmallFile(pem, invocation.io.cwd, '--tsa-cert'));
    return asked(() => {
      if (isSudoReceipt(bytes) && tsaCertificates.length > 0)
        throw new UsageError('a receipt of SudoAgent has no checkpoint that could have a timestamp', 'leave --tsa-cert out');
      if (isSudoReceipt(bytes)) return tellSudoReceipt(file, bytes, { publicKeys: keys }, output);
      const origin = invocation.flags.text('origin');
      const report = checkReceipt(bytes, { publicKeys: keys, tsaCertificates, ...(origin !== undefined && { origin }) });
      output.result(report);
      for (const line of reportLines(file, report, output)) output.line(line);
      return exitCode(report);
    });
  },
};

/** What is thrown is about the options: whatever is wrong with the receipt is in its report. */
function asked(check: () => number): number {
  try {
    return check();
  } catch (error) {
    if (CountersignError.is(error)) throw new UsageError(error.message, 'run `countersign receipt check --help`');
    throw error;
  }
}

function exitCode({ status }: ReceiptReport): number {
  switch (status) {
    case 'valid':
      return EXIT.OK;
    case 'invalid':
      return EXIT.FAILED;
    case 'unproven':
      return EXIT.NOT_PROVEN;
  }
}

function reportLines(file: string, report: ReceiptReport, output: Output): readonly string[] {
  const { origin, size, entry, outcome } = report;
  return [
    `${verdictWord(report.status, output)}  ${safe(file)}`,
    ...(origin === undefined ? [] : [`  log        ${safe(origin)}, ${size} entries`]),
    ...(entry === undefined ? [] : ['', ...entryLines(entry, output)]),
    ...(outcome === undefined ? [] : ['', ...entryLines(outcome, output)]),
    '',
    ...proofLines(report, output),
    ...findingLines('problems', report.problems, output.style('bad', 'problem')),
    ...findingLines('warnings', report.warnings, output.style('warn', 'warning')),
  ];
}

function entryLines(entry: ReceiptEntry, output: Output): readonly string[] {
  const { disclosed, shown, withheld_fields: fields, withheld_sections: sections } = entry;
  const clear = { ...shown, ...Object.fromEntries(disclosed.map(({ pointer, value }) => [pointer, value])) };
  const facts = factsOf({ index: entry.entry - 1, text: canonicalize(entry.body) }, 'sqlite');
  return [
    `${output.style('bold', `entry ${entry.entry}`)}  ${safe(entry.kind)}`,
    ...factLines(facts, output),
    ...(Object.keys(clear).length === 0 ? [] : ['  in clear', ...safeJsonLines(clear).map((line) => `    ${line}`)]),
    ...(fields === 0 ? [] : [`  withheld  ${fields} more fields beside those shown`]),
    ...(sections.length === 0 ? [] : [`  withheld  ${sections.map(safe).join(', ')}`]),
  ];
}

/** What was proven and, as loudly, what was not. */
function proofLines(report: ReceiptReport, output: Output): readonly string[] {
  const { yes, no, bad } = proofWords(output);
  return [
    inclusionLine(report, yes, no, bad),
    authorshipLine(report, yes, no, bad),
    viewLine(report, yes, no),
    ...timeLines(report, yes, no),
  ];
}

function inclusionLine({ inclusion }: ReceiptReport, yes: string, no: string, bad: string): string {
  switch (inclusion) {
    case 'proven':
      return `  ${yes}  inclusion: the entry gives the root of the checkpoint in the receipt`;
    case 'failed':
      return `  ${bad}  inclusion: the entry is not in the log the checkpoint is of`;
    case 'unknown':
      return `  ${no}  inclusion: it could not be checked`;
  }
}

function authorshipLine({ authorship }: ReceiptReport, yes: string, no: string, bad: string): string {
  switch (authorship) {
    case 'proven':
      return `  ${yes}  authorship: the holder of the key you gave committed to this entry`;
    case 'unchecked':
      return `  ${no}  authorship: whoever made the receipt could have made up all of it; pass --public-key`;
    case 'unsigned':
      return `  ${no}  authorship: the checkpoint is not signed, so nobody can prove who wrote it`;
    case 'failed':
      return `  ${bad}  authorship: nothing here is signed by the key you gave`;
  }
}

function viewLine({ view, witnesses }: ReceiptReport, yes: string, no: string): string {
  switch (view) {
    case 'witnessed':
      return `  ${yes}  one view: ${witnesses.map(({ name, at }) => `${safe(name)} saw this log at ${safe(at)}`).join(', ')}`;
    case 'unwitnessed':
      return `  ${no}  one view: without a witness, others may have been shown another log`;
  }
}

function timeLines({ timestamps = [], timestamps_unchecked: unchecked = 0 }: ReceiptReport, yes: string, no: string): readonly string[] {
  const stamped = timestamps.map(
    ({ tsa, before }) =>
      `  ${yes}  time: the entry existed before ${safe(before)}, says ${safe(tsa)}; not asked: whether its certificate was revoked`,
  );
  return unchecked === 0 ? stamped : [`  ${no}  time: the checkpoint carries a timestamp that nobody checked; pass --tsa-cert`];
}

function findingLines(title: string, findings: ReceiptReport['problems'], word: string): readonly string[] {
  if (findings.length === 0) return [];
  const shown = findings
    .slice(0, MAX_PROBLEMS_SHOWN)
    .map(({ part, code, message }) => `  ${word}  ${part}: ${safe(message)} [${safe(code)}]`);
  const more = findings.length - shown.length;
  return ['', `${title}: ${findings.length}`, ...shown, ...(more > 0 ? [`  … ${more} more, see --json`] : [])];
}
