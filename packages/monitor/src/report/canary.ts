/** Logs of prompt-injection canaries in a workspace: `security/canary-audit.jsonl` and `canary-alerts.jsonl`, rows of `ts`, `safe`, `summary`. */
import { join } from 'node:path';
import type { Shown } from '../evidence/shown.ts';
import { foreignRows, memberOf, textOf, timeOf } from './foreign-lines.ts';
import type { KeptEvents } from './kept-events.ts';
import type { ExternalReport } from './report.ts';

export const CANARY_FILES = ['canary-audit.jsonl', 'canary-alerts.jsonl'] as const;
const MAX_SAMPLES = 20;

export function canaryFiles(workspace: string): readonly string[] {
  return CANARY_FILES.map((name) => join(workspace, 'security', name));
}

/** Rows of the period; what is told of them is redacted and bounded. */
export function readCanaryLog(
  file: string,
  { sinceMs, untilMs }: { readonly sinceMs: number; readonly untilMs: number },
  shown: Shown,
  events: KeptEvents,
): ExternalReport {
  let rows = 0;
  let blocked = 0;
  let badLines = 0;
  const samples: ExternalReport['samples'][number][] = [];
  for (const row of foreignRows(file)) {
    const at = timeOf(memberOf(row, 'ts'));
    if (at === undefined) {
      badLines++;
      continue;
    }
    if (at < sinceMs || at >= untilMs) continue;
    rows++;
    const safe = memberOf(row, 'safe');
    if (safe === false) blocked++;
    const summary = shown.text(textOf(row, 'summary') ?? '');
    samples.push({ at, ...(typeof safe === 'boolean' && { safe }), summary });
    if (samples.length > MAX_SAMPLES) samples.shift();
    if (safe === false || file.endsWith(CANARY_FILES[1]))
      events.add({ at, kind: 'canary', what: safe === false ? 'input blocked' : 'alert', text: summary });
  }
  return { file, rows, blocked, bad_lines: badLines, samples };
}
