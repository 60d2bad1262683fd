/** Receipts of ledgers of SudoAgent: what `receipt make` and `receipt check` do with them. */
import { resolve } from 'node:path';
import { checkSudoReceipt, escapeJson, type SudoReceiptEntry, type SudoReceiptReport } from '@countersign/core';
import { makeSudoReceipt, type SudoReceiptTarget } from '@countersign/core/sqlite';
import type { Invocation, Option } from './command.ts';
import { EXIT } from './exit-codes.ts';
import { UsageError } from './failure.ts';
import { type Output, safe } from './output.ts';
import { proofWords, verdictWord } from './verdict-words.ts';
import { writeWhole } from './write-whole.ts';

export const SUDO_TARGET_OPTIONS: readonly Option[] = [
  { name: 'request-id', kind: 'text', value: 'ID', about: 'of a ledger of SudoAgent: the call with this request id' },
  { name: 'decision-hash', kind: 'text', value: 'HASH', about: 'the same, by its decision hash' },
];

const HASH = /^[0-9a-f]{64}$/;
/** What names an entry of ours, or concerns its clear text. */
const OURS = ['call', 'leaf', 'entry', 'no-opening', 'only'];

/** Undefined when the command line names an entry of ours. @throws {UsageError} */
export function sudoTarget({ flags }: Pick<Invocation, 'flags'>): SudoReceiptTarget | undefined {
  const requestId = flags.text('request-id');
  const decisionHash = flags.text('decision-hash');
  if (requestId === undefined && decisionHash === undefined) return undefined;
  const other = OURS.find((name) => flags.on(name));
  if (other !== undefined || (requestId !== undefined && decisionHash !== undefined))
    throw new UsageError(
      `--request-id or --decision-hash stands alone${other === undefined ? '' : `, without --${other}`}`,
      'name one call',
    );
  if (requestId !== undefined) return { requestId };
  if (!HASH.test(decisionHash ?? '')) throw new UsageError('--decision-hash must be 64 lower-case hex digits', 'name one call');
  return { decisionHash: decisionHash ?? '' };
}

export async function writeSudoReceipt(path: string, target: SudoReceiptTarget, { io, output, flags }: Invocation): Promise<void> {
  const made = makeSudoReceipt(path, target);
  const named = flags.text('output');
  if (named === undefined) {
    output.raw();
    await output.data(output.isTerminal ? `${escapeJson(made.text)}\n` : made.text);
    return;
  }
  const file = resolve(io.cwd, named);
  await writeWhole(file, [made.text], flags.on('force'));
  const { entry, effect, decisionHash, outcome, isSigned } = made;
  output.result({ output: file, entry, effect, decision_hash: decisionHash, ...(outcome !== undefined && { outcome }), signed: isSigned });
  output.line(`wrote ${safe(file)}: entry ${entry}, ${effect}${outcome === undefined ? ', no outcome' : `, outcome ${outcome}`}`);
}

/** Checks a receipt and says what it proves. @returns the exit code. */
export function tellSudoReceipt(file: string, bytes: Uint8Array, keys: Parameters<typeof checkSudoReceipt>[1], output: Output): number {
  const report = checkSudoReceipt(bytes, keys);
  output.result(report);
  for (const line of reportLines(file, report, output)) output.line(line);
  return report.status === 'valid' ? EXIT.OK : report.status === 'invalid' ? EXIT.FAILED : EXIT.NOT_PROVEN;
}

function reportLines(file: string, report: SudoReceiptReport, output: Output): readonly string[] {
  const { yes, no, bad } = proofWords(output);
  const { status, entry, outcome } = report;
  return [
    `${verdictWord(status, output)}  ${safe(file)}`,
    ...(entry === undefined ? [] : entryLines('entry', entry)),
    ...(outcome === undefined ? [] : entryLines('outcome', outcome)),
    '',
    report.hashes === 'proven'
      ? `  ${yes}  hashes: the entries are those of their hashes`
      : `  ${bad}  hashes: the entries contradict themselves`,
    `  ${authorshipLine(report, yes, no, bad)}`,
    `  ${no}  place: a receipt of a hash chain cannot show where it stands, or that nothing was cut out or off around it`,
    ...[...report.problems, ...report.warnings].map(({ part, code, message }) => `  ${part}: ${safe(message)} [${safe(code)}]`),
  ];
}

function entryLines(what: string, { text, created_at: at, effect, status }: SudoReceiptEntry): readonly string[] {
  return [`  ${what.padEnd(10)} ${effect ?? safe(status ?? '')}, ${safe(at)}`, `    ${safe(text)}`];
}

function authorshipLine({ authorship }: SudoReceiptReport, yes: string, no: string, bad: string): string {
  switch (authorship) {
    case 'proven':
      return `${yes}  authorship: the holder of the key you gave signed these entries`;
    case 'unchecked':
      return `${no}  authorship: signatures are present and were not checked; pass --public-key`;
    case 'unsigned':
      return `${no}  authorship: the entries are not signed, so nobody can prove who wrote them`;
    case 'failed':
      return `${bad}  authorship: the entries are not signed by the key you gave, or contradict themselves`;
  }
}
