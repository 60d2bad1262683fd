import { createRedactor } from '@countersign/core';
import { type IncidentDocument, incidentIds, incidentState, readIncidentFile } from '@countersign/monitor';
import type { Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { safe } from '../output.ts';
import { LIMIT_OPTION, limitOf } from '../selection-options.ts';
import { tableLines } from '../table.ts';
import { span } from '../time.ts';
import { SHORT_ID_CHARS } from '../watch/event-lines.ts';
import { LOG_DIR_OPTION, logPlace } from '../watch/log-place.ts';

const DEFAULT_LIMIT = 100;

export const incidentsList: Command = {
  name: 'incidents list',
  summary: 'show what was stopped or ended by verdicts, the newest first',
  positionals: [],
  options: [{ ...LIMIT_OPTION, about: `at most so many; default ${DEFAULT_LIMIT}` }, LOG_DIR_OPTION],
  notes: ['Read from files in the log folder, which are no evidence by themselves: `report` says of each whether the ledger has its hash.'],
  example: 'countersign incidents list --limit 10',
  async run(invocation) {
    const { output, flags } = invocation;
    const { dir, config } = logPlace(invocation);
    const redactor = createRedactor(config?.redaction ?? {});
    const limit = flags.on('limit') ? limitOf(flags) : DEFAULT_LIMIT;
    const all = incidentIds(dir);
    const read = all.slice(0, limit).map(({ id, path }) => ({ id, path, incident: readIncidentFile(path) }));
    const found = read.flatMap(({ path, incident }) => (incident === undefined ? [] : [{ path, incident }]));
    const unreadable = read.filter(({ incident }) => incident === undefined);
    output.result({
      incidents: found.map(({ path, incident }) => ({ ...rowJson(incident), reason: redactor.text(incident.verdict.reason), file: path })),
      unreadable: unreadable.map(({ path }) => path),
      limited: all.length > limit,
    });
    if (all.length === 0) {
      output.line(`no incident in ${safe(dir)}`);
      output.line('`countersign run -- <agent>` watches an agent; `countersign report` tells what it did.');
    }
    const nowMs = Date.now();
    if (found.length > 0)
      for (const line of lines(
        found.map(({ incident }) => incident),
        output.isTerminal ? output.columns : undefined,
        nowMs,
        (text) => redactor.text(text),
      ))
        output.line(line);
    for (const { path } of unreadable) output.note(`countersign: ${safe(path)} holds no incident`);
    if (all.length > limit) output.note(`countersign: ${all.length - limit} older ones are not shown (--limit)`);
    return EXIT.OK;
  },
};

function rowJson({ id, at, session, agent, mode, verdict, steps }: IncidentDocument): Readonly<Record<string, unknown>> {
  return { id, at, session, agent, mode, level: verdict.level, rule: verdict.rule, state: incidentState(steps) };
}

function lines(
  incidents: readonly IncidentDocument[],
  columns: number | undefined,
  nowMs: number,
  redact: (text: string) => string,
): readonly string[] {
  const rows = incidents.map(({ id, at, verdict, steps }) => [
    id.slice(0, SHORT_ID_CHARS),
    `${span(nowMs - at)} ago`,
    verdict.level,
    incidentState(steps),
    safe(verdict.rule),
    safe(redact(verdict.reason)),
  ]);
  const titles = [
    { title: 'INCIDENT' },
    { title: 'WHEN' },
    { title: 'LEVEL' },
    { title: 'STATE' },
    { title: 'RULE', minWidth: 8 },
    { title: 'REASON', minWidth: 10 },
  ];
  return tableLines(titles, rows, columns);
}
