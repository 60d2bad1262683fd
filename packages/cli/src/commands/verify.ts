import { CountersignError } from '@countersign/core';
import { exitCodeOf, KnownHeads, stateDirectory, type VerifyOptions, type VerifyReport, verifyLedger } from '@countersign/core/sqlite';
import type { Command, Invocation } from '../command.ts';
import { configOf, ledgerPath, publicKeys } from '../configuration.ts';
import { UsageError } from '../failure.ts';
import { type Output, safe } from '../output.ts';
import { readSmallFile } from '../read-small-file.ts';
import { proofWords, verdictWord } from '../verdict-words.ts';

const MAX_PROBLEMS_SHOWN = 20;
/** What is wrong with a key, a checkpoint or a number that was given, not with the ledger. */
const ABOUT_OPTIONS: ReadonlySet<string> = new Set(['OPTIONS_INVALID', 'KEY_INVALID', 'NOTE_INVALID', 'CHECKPOINT_INVALID']);

export const verify: Command = {
  name: 'verify',
  summary: 'check a ledger and say what is proven, and what is not',
  positionals: [{ name: 'ledger', required: false }],
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
    { name: 'against', kind: 'text', value: 'FILE', about: 'a checkpoint that was kept elsewhere' },
    { name: 'since', kind: 'text', value: 'FILE', about: 'a checkpoint kept elsewhere: read only what follows it' },
    { name: 'expect-size', kind: 'text', value: 'N', about: 'number of entries there were at some time' },
    {
      name: 'expect-head',
      kind: 'text',
      value: 'H',
      about: 'root there was then, hex or base64; without N of all entries',
    },
    { name: 'threads', kind: 'text', value: 'N', about: 'threads to check with; by default as fits the ledger' },
    { name: 'strict', kind: 'switch', about: 'exit 3 when anything is left unproven' },
  ],
  notes: [
    'A key may be limited to sizes of the log, behind the line: from=N until=N revoked-from=N. Keys of witnesses (type 4) tell who saw this log, never who wrote it.',
    'Timestamps (RFC 3161) tell before when the entries existed, never who wrote them. With --tsa-cert one must be found.',
    'Reads one snapshot and changes no byte. Without a ledger the configured one is checked. JSON lines (a mirror, or an export as ndjson) are ledgers too, and so are those of SudoAgent 2.0: there H is the last entry_hash.',
    'Exit 0: what was asked is proven. 1: invalid. 3: readable, but something asked for (with --strict: anything) is not proven, or the ledger is empty. 4: cannot read.',
  ],
  example: 'countersign verify .countersign/ledger.db --public-key .countersign/ledger.key.pub',
  async run(invocation) {
    const { output } = invocation;
    const path = ledgerPath(invocation);
    const report = await verified(path, { ...optionsOf(invocation, path), onProgress: (done, total) => output.progress(done, total) });
    output.result(report);
    for (const line of reportLines(path, report, output)) output.line(line);
    return exitCodeOf(report);
  },
};

async function verified(path: string, options: VerifyOptions): Promise<VerifyReport> {
  try {
    return await verifyLedger(path, options);
  } catch (error) {
    // Not about the ledger, which was not even opened.
    if (CountersignError.is(error) && ABOUT_OPTIONS.has(error.code)) throw new UsageError(error.message, 'run `countersign verify --help`');
    throw error;
  }
}

function optionsOf({ io, flags, positionals }: Invocation, path: string): VerifyOptions {
  const against = flags.text('against');
  const since = flags.text('since');
  const threads = flags.text('threads');
  const size = flags.text('expect-size');
  const head = flags.text('expect-head');
  const keys = flags.texts('public-key').flatMap((key) => publicKeys(key, io.cwd));
  const stamped = flags.texts('tsa-cert').map((file) => readSmallFile(file, io.cwd, '--tsa-cert'));
  // Without a configuration, signatures of approvers are left unchecked and the report says so.
  const config = flags.on('config') || positionals.length === 0 ? configOf({ io, flags }) : undefined;
  // Of our own ledger only: what is said of somebody else's must not depend on this machine. Read before the ledger, which grows.
  const lastSeen = config?.ledger.path === path ? new KnownHeads(path, stateDirectory(io.env)).read() : undefined;
  return {
    ...(keys.length > 0 && { publicKeys: keys }),
    ...(stamped.length > 0 && { tsaCertificates: stamped }),
    ...(against !== undefined && { against: readSmallFile(against, io.cwd, '--against') }),
    ...(since !== undefined && { since: readSmallFile(since, io.cwd, '--since') }),
    ...(threads !== undefined && { threads: wholeNumber('--threads', threads) }),
    ...(size !== undefined && { expectSize: wholeNumber('--expect-size', size) }),
    ...(head !== undefined && { expectHead: head }),
    ...(flags.on('strict') && { strict: true }),
    ...(config !== undefined && { approvers: config.approvers }),
    ...(lastSeen !== undefined && { lastSeen }),
  };
}

function wholeNumber(option: string, text: string): number {
  const number = Number(text);
  if (!/^[0-9]{1,16}$/.test(text) || !Number.isSafeInteger(number)) {
    throw new UsageError(`${option} must be a whole number`, `for example: ${option} 4`);
  }
  return number;
}

function reportLines(path: string, report: VerifyReport, output: Output): readonly string[] {
  const { entries, origin, root: rootHash, open_decisions: open, forgotten } = report;
  const first = `${verdictWord(report.status, output)}  ${safe(path)}`;
  const problems = problemLines('problems', report.problems, report.problem_count, output.style('bad', 'problem'));
  // What is said below of authorship and end is said of entries.
  if (report.status === 'unreadable' && entries === 0) return [first, '  nothing was checked', ...problems];
  return [
    first,
    ...(origin === undefined ? [] : [`  log        ${safe(origin)}`]),
    `  entries    ${entries}${countsText(report)}`,
    ...sinceLines(report),
    ...(rootHash === undefined ? [] : [`  root       ${safe(rootHash)}`]),
    ...(report.head === undefined ? [] : [`  head       ${safe(report.head)}`]),
    ...(open > 0 ? [`  open       ${counted(open, 'allowed call')} without an outcome: running, or the process died`] : []),
    ...(forgotten > 0 ? [`  forgotten  clear text of ${counted(forgotten, 'entry', 'entries')} was erased on purpose`] : []),
    '',
    ...proofLines(report, output),
    ...problems,
    ...problemLines('warnings', report.warnings, report.warnings.length, output.style('warn', 'warning')),
  ];
}

/** Singulars of `report.counts`, in its order. What became of decisions is told with them. */
const KINDS = [
  ['approvals', 'approval', 'approvals'],
  ['outcomes', 'outcome', 'outcomes'],
  ['sessions', 'session', 'sessions'],
  ['policies', 'policy', 'policies'],
  ['recoveries', 'recovery', 'recoveries'],
  ['others', 'other', 'others'],
] as const;

/** Names are ours, amounts are numbers: nothing here came from the ledger. */
function countsText({ counts, since }: VerifyReport): string {
  const { decisions, allowed, refused, asked } = counts;
  const became = Object.entries({ allowed, refused, asked }).flatMap(([effect, count]) => (count > 0 ? [`${count} ${effect}`] : []));
  const parts = [
    ...(decisions > 0 ? [`${counted(decisions, 'decision')}${became.length > 0 ? `: ${became.join(', ')}` : ''}`] : []),
    ...KINDS.flatMap(([kind, one, many]) => (counts[kind] > 0 ? [counted(counts[kind], one, many)] : [])),
  ];
  const of = since === undefined ? '' : 'of the new ones ';
  return parts.length === 0 ? '' : ` (${of}${parts.join('; ')})`;
}

function counted(count: number, one: string, many: string = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** What a check of the new entries alone leaves out. */
function sinceLines({ since }: VerifyReport): readonly string[] {
  if (since === undefined) return [];
  return [
    `  not read   entries 1 to ${since.size}: not read again, proven to be the start of this ledger by the checkpoint of size ${since.size}`,
    `  unchecked  what needs them: sums of budgets, calls allowed twice, outcomes given twice, sessions and policies begun there`,
    `  unchecked  approvals and grants that were used up there or taken back, and clear text beside them`,
    `  unchecked  halts of a session and denials by an approver that stand before entry ${since.size + 1}: an allow against them is not noticed`,
    `             unless a new entry leads to them; the same goes for labels`,
  ];
}

/** What was proven and, as loudly, what was not. */
function proofLines(report: VerifyReport, output: Output): readonly string[] {
  const { yes, no, bad } = proofWords(output);
  const seen = (report.witnesses ?? []).map(
    ({ name, size, at }) => `  ${yes}  witness: ${safe(name)} saw the first ${size} entries, it says at ${safe(at)}`,
  );
  return [
    integrityLine(report, yes, no, bad),
    authorshipLine(report, yes, no, bad),
    endLine(report, yes, no, bad),
    ...seen,
    ...timeLines(report, yes, no),
  ];
}

function timeLines({ timestamps = [], timestamps_unchecked: unchecked = 0 }: VerifyReport, yes: string, no: string): readonly string[] {
  const stamped = timestamps.map(
    ({ tsa, size, before }) =>
      `  ${yes}  time: the first ${size} entries existed before ${safe(before)}, says ${safe(tsa)}; not asked: whether its certificate was revoked`,
  );
  const carry = unchecked === 1 ? 'one checkpoint carries' : `${unchecked} checkpoints carry`;
  return unchecked === 0 ? stamped : [`  ${no}  time: ${carry} a timestamp that nobody checked; pass --tsa-cert`];
}

/** The predecessor's ledgers have a hash chain, no tree and no checkpoint, and a signature in each entry. */
function isChained({ format }: VerifyReport): boolean {
  return format === 'sudoagent-v2';
}

function integrityLine(report: VerifyReport, yes: string, no: string, bad: string): string {
  const { integrity, entries, not_covered: open } = report;
  if (open !== undefined && integrity === 'unknown') {
    const covered = open < entries ? `the first ${entries - open} entries give the root of the checkpoint; ` : '';
    return `  ${no}  integrity: ${covered}no checkpoint covers the last ${open}, so nothing shows who added them`;
  }
  switch (report.integrity) {
    case 'intact':
      return isChained(report)
        ? `  ${yes}  integrity: every entry gives its hash, and the hash chain is whole`
        : `  ${yes}  integrity: every ${report.since === undefined ? '' : 'new '}entry gives the root of the newest checkpoint`;
    case 'broken':
      return `  ${bad}  integrity: entries were changed, removed or added`;
    case 'unknown':
      return `  ${no}  integrity: it could not be checked`;
  }
}

function authorshipLine(report: VerifyReport, yes: string, no: string, bad: string): string {
  const { authorship, integrity, not_covered: open, signed_to: signedTo, unsigned_tail: tail, adopted } = report;
  if (authorship === 'unchecked' && signedTo !== undefined) {
    const rest =
      tail === undefined ? 'the others are signed by a key you did not give, see the warnings' : `the last ${tail} are not signed yet`;
    return `  ${no}  authorship: proven for the first ${signedTo} entries; ${rest}`;
  }
  if (open !== undefined && authorship === 'unchecked')
    return `  ${no}  authorship: the last ${open} entries are under no signature; verify again once the mirror's checkpoint has caught up`;
  switch (authorship) {
    case 'proven':
      return adopted === undefined
        ? `  ${yes}  authorship: signed by the key you gave`
        : `  ${no}  authorship: signed by the key you gave, but ${adopted} entries were signed over by another writer, see the warnings`;
    case 'unchecked':
      if (isChained(report)) return `  ${no}  authorship: signatures are present and were not checked; pass --public-key`;
      return `  ${no}  authorship: whoever could write the file could have made all of it; pass --public-key`;
    case 'unsigned':
      return `  ${no}  authorship: this ledger is not signed, so nobody can prove who wrote it`;
    case 'failed':
      return integrity === 'broken'
        ? `  ${bad}  authorship: these entries are not the ones that were signed`
        : `  ${bad}  authorship: ${isChained(report) ? 'not every entry is signed' : 'the signature is not'} by the key you gave`;
  }
}

function endLine(report: VerifyReport, yes: string, no: string, bad: string): string {
  switch (report.end) {
    case 'proven':
      return `  ${yes}  end: nothing is missing up to the checkpoint or size you gave`;
    case 'unproven':
      if (has(report, 'LEDGER_TRUNCATED')) return `  ${bad}  end: entries are missing there, see the problems`;
      if (has(report, 'AGAINST_SIGNATURE') || has(report, 'AGAINST_ORIGIN'))
        return `  ${no}  end: nothing follows from the checkpoint you gave, see the problems`;
      if (isChained(report))
        return `  ${no}  end: entries may have been cut off at the end, which this format cannot show; pass --expect-size and --expect-head`;
      return `  ${no}  end: entries may have been cut off at the end; pass --against a checkpoint kept elsewhere`;
    case 'contradicted':
      return `  ${bad}  end: it contradicts the checkpoint or size you gave`;
  }
}

function has({ problems }: VerifyReport, code: string): boolean {
  return problems.some((problem) => problem.code === code);
}

function problemLines(title: string, problems: VerifyReport['problems'], total: number, word: string): readonly string[] {
  if (total === 0) return [];
  const shown = problems.slice(0, MAX_PROBLEMS_SHOWN).map(({ entry, code, message }) => {
    return `  ${word}  ${entry === 0 ? 'ledger' : `entry ${entry}`}: ${safe(message)} [${safe(code)}]`;
  });
  const more = total - shown.length;
  return ['', `${title}: ${total}`, ...shown, ...(more > 0 ? [`  … ${more} more; --json lists those that were kept`] : [])];
}
