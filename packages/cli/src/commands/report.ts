import { extname, resolve } from 'node:path';
import { CountersignError, createRedactor, didYouMean } from '@countersign/core';
import { factsOf, openRecords, type RecordFacts, type RecordReader } from '@countersign/core/sqlite';
import { makeReport, REPORT_FORMATS, type Report, type ReportFormat, reportText } from '@countersign/monitor';
import type { Command, Flags, Invocation } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { type Output, safe } from '../output.ts';
import { parseTime } from '../time.ts';
import { LOG_DIR_OPTION, logPlace } from '../watch/log-place.ts';
import { writeWhole } from '../write-whole.ts';

const DEFAULT_LAST = '24h';
const PROGRESS_RECORDS = 10_000;

export const report: Command = {
  name: 'report',
  summary: 'tell what watched processes did: activity, verdicts, calls, incidents, evidence',
  positionals: [],
  options: [
    { name: 'last', kind: 'text', value: 'TIME', about: 'how far back: 2h, 7d, or from 2026-11-25 on; default 24h' },
    { name: 'format', kind: 'text', value: 'F', about: 'html, json or md; default by the ending of --out, else md' },
    { name: 'out', kind: 'text', value: 'FILE', about: 'write to a file, whole or not at all' },
    { name: 'force', kind: 'switch', about: 'replace that file' },
    { name: 'workspace', kind: 'text', value: 'FOLDER', about: 'takes in canary logs: security/canary-audit.jsonl, -alerts.jsonl' },
    { name: 'sysmond-logs', kind: 'text', value: 'FOLDER', about: 'takes in logs of Suy Sideguy: actions_*.jsonl, incidents/' },
    LOG_DIR_OPTION,
  ],
  notes: [
    'Made of the activity log, the incidents and the ledger. It says of every file whether it still has the hash that the ledger was told, and before all figures what it cannot say: what no sensor could see, what was lost. The ledger itself is not verified: that is `verify`.',
    'HTML is one file that needs no script and loads nothing. Everything that processes chose is escaped in every form.',
  ],
  example: 'countersign report --last 24h --out report.html',
  async run(invocation) {
    const { io, output, flags } = invocation;
    const nowMs = Date.now();
    const format = formatOf(invocation);
    const sinceMs = sinceOf(flags, nowMs);
    const target = flags.text('out');
    if (target === undefined && flags.on('force')) throw new UsageError('--force replaces a file', 'name it: --out report.html');
    const made = make(invocation, { sinceMs, nowMs });
    const text = reportText(made, format);
    if (target === undefined) {
      output.raw();
      await output.data(text);
    } else {
      const file = resolve(io.cwd, target);
      await writeWhole(file, [text], flags.on('force'));
      output.result({ output: file, format, counts: made.counts, limits: made.limits });
      for (const line of shortLines(made)) output.line(line);
      output.line(`written to ${safe(file)}`);
    }
    if (isEmpty(made))
      output.note('countersign: nothing was watched in this time; `countersign run -- <agent>` watches one, --last 7d looks further back');
    return EXIT.OK;
  },
};

function make(invocation: Invocation, { sinceMs, nowMs }: { readonly sinceMs: number; readonly nowMs: number }): Report {
  const { io, output, flags } = invocation;
  const { dir, config } = logPlace(invocation);
  const reader = config === undefined ? undefined : ledgerOf(config.ledger.path);
  const [workspace, sysmondLogs] = [flags.text('workspace'), flags.text('sysmond-logs')];
  try {
    return makeReport({
      sinceMs,
      // What is written while this runs is in the next one.
      untilMs: nowMs + 1,
      nowMs,
      logDir: dir,
      ...(reader !== undefined && config !== undefined && { ledger: { path: config.ledger.path, records: recordsOf(reader, output) } }),
      ...(workspace !== undefined && { workspace: resolve(io.cwd, workspace) }),
      ...(sysmondLogs !== undefined && { predecessorLogs: resolve(io.cwd, sysmondLogs) }),
      redactor: createRedactor(config?.redaction ?? {}),
      onProgress: (done, total) => output.progress(Math.round(done / 1024), Math.round(total / 1024)),
    });
  } finally {
    reader?.close();
  }
}

/** A ledger that is not there (yet) is told in the report; one that cannot be read is an error. */
function ledgerOf(path: string): RecordReader | undefined {
  try {
    return openRecords(path);
  } catch (error) {
    if (CountersignError.is(error) && error.code === 'LEDGER_NOT_FOUND') return undefined;
    throw error;
  }
}

function* recordsOf(reader: RecordReader, output: Output): Generator<RecordFacts> {
  let read = 0;
  for (const record of reader.records()) {
    if (++read % PROGRESS_RECORDS === 0) output.progress(read, reader.size ?? 0);
    yield factsOf(record, reader.container);
  }
}

function formatOf({ flags, output }: Invocation): ReportFormat {
  const ending = extname(flags.text('out') ?? '').slice(1);
  const fromName = REPORT_FORMATS.find((known) => known === ending);
  const given = flags.text('format') ?? fromName ?? (flags.on('out') ? 'html' : output.json ? 'json' : 'md');
  const format = REPORT_FORMATS.find((known) => known === given);
  if (format === undefined)
    throw new UsageError(
      `unknown format ${JSON.stringify(given)}${didYouMean(given, REPORT_FORMATS)}`,
      `use one of ${REPORT_FORMATS.join(', ')}`,
    );
  return format;
}

function sinceOf(flags: Flags, nowMs: number): number {
  const given = flags.text('last') ?? DEFAULT_LAST;
  const sinceMs = parseTime(given, nowMs);
  if (sinceMs === undefined || sinceMs >= nowMs)
    throw new UsageError(
      `--last ${JSON.stringify(given)} is no time that has passed`,
      'write how long ago: 90s, 15m, 2h, 3d, 1w; or 2026-11-25',
    );
  return sinceMs;
}

function shortLines({ counts, evidence }: Report): readonly string[] {
  const { verdicts, sessions, activities, incidents } = counts;
  const bad = evidence.filter(({ status }) => status === 'changed' || status === 'missing').length;
  return [
    `${many(sessions, 'session')}, ${many(activities, 'activity', 'activities')}: ${verdicts.FLAG} FLAG, ${verdicts.HALT} HALT, ${verdicts.KILL} KILL; ${many(incidents, 'incident')}`,
    ...(bad > 0 ? [`${many(bad, 'file is', 'files are')} NOT what the ledger has the hash of, or gone: see the evidence in it`] : []),
  ];
}

function many(count: number, one: string, more = `${one}s`): string {
  return `${count} ${count === 1 ? one : more}`;
}

function isEmpty({ sessions, calls, external, predecessor }: Report): boolean {
  return sessions.length === 0 && calls.length === 0 && external.length === 0 && predecessor === undefined;
}
