/** What Suy Sideguy left: `actions_*.jsonl`, and `incidents/incident_*.json` beside them. Its texts were never redacted: here they are. */
import { join } from 'node:path';
import { namesIn } from '../evidence/log-folder.ts';
import type { Shown } from '../evidence/shown.ts';
import { LEVELS } from '../verdict.ts';
import { foreignDocument, foreignRows, memberOf, rowIn, textOf, timeOf } from './foreign-lines.ts';
import type { KeptEvents } from './kept-events.ts';
import type { PredecessorReport } from './report.ts';

const ACTIONS = /^actions_[0-9A-Za-z_-]{1,64}\.jsonl$/;
const INCIDENTS = /^incident_[0-9A-Za-z_-]{1,128}\.json$/;
const MAX_SAMPLES = 50;
const MAX_REASONS = 10;
const MAX_INCIDENTS = 200;
const MAX_INCIDENT_BYTES = 67_108_864;
/** Names that its verdicts have, and nothing else's. */
const VERDICTS: readonly string[] = LEVELS;

export interface PredecessorFiles {
  readonly actions: readonly string[];
  readonly incidents: readonly string[];
}

/** Absolute paths, as its names sort. */
export function predecessorFiles(dir: string): PredecessorFiles {
  const named = (folder: string, shape: RegExp): readonly string[] => {
    try {
      return namesIn(folder)
        .filter((name) => shape.test(name))
        .toSorted()
        .map((name) => join(folder, name));
    } catch {
      return [];
    }
  };
  return { actions: named(dir, ACTIONS), incidents: named(join(dir, 'incidents'), INCIDENTS) };
}

export function readPredecessor(
  files: PredecessorFiles,
  period: { readonly sinceMs: number; readonly untilMs: number },
  shown: Shown,
  events: KeptEvents,
): PredecessorReport {
  const isMeant = (at: number): boolean => at >= period.sinceMs && at < period.untilMs;
  const verdicts: Record<string, number> = {};
  const killReasons: string[] = [];
  const samples: PredecessorReport['samples'][number][] = [];
  let actions = 0;
  let badLines = 0;
  for (const row of rowsOf(files.actions)) {
    const at = timeOf(memberOf(row, 'timestamp') ?? memberOf(row, 'ts'));
    const verdict = textOf(row, 'verdict') ?? '';
    if (at === undefined || !VERDICTS.includes(verdict)) {
      badLines++;
      continue;
    }
    if (!isMeant(at)) continue;
    actions++;
    verdicts[verdict] = (verdicts[verdict] ?? 0) + 1;
    const action = rowIn(row, 'action');
    const sample = {
      at,
      verdict,
      action: shown.text(textOf(action, 'action_type') ?? '?'),
      target: shown.text(textOf(action, 'target') ?? '?'),
      reason: shown.text(textOf(row, 'reason') ?? ''),
    };
    samples.push(sample);
    if (samples.length > MAX_SAMPLES) samples.shift();
    if (verdict === 'KILL' || verdict === 'HALT')
      events.add({ at, kind: 'predecessor', level: verdict, what: `${sample.action} ${sample.target}`, text: sample.reason });
    if (verdict === 'KILL' && killReasons.length < MAX_REASONS) killReasons.push(sample.reason);
  }
  const incidents = files.incidents.flatMap((file) => incidentOf(file, shown) ?? []).filter(({ at }) => isMeant(at));
  return { actions, verdicts, incidents: incidents.slice(-MAX_INCIDENTS), kill_reasons: killReasons, samples, bad_lines: badLines };
}

function* rowsOf(files: readonly string[]): ReturnType<typeof foreignRows> {
  for (const file of files) yield* foreignRows(file);
}

/** Undefined for a file that is none of its incidents. */
function incidentOf(file: string, shown: Shown): PredecessorReport['incidents'][number] | undefined {
  const document = foreignDocument(file, MAX_INCIDENT_BYTES);
  const head = rowIn(document, 'incident_report');
  const at = timeOf(memberOf(head, 'generated_at'));
  if (at === undefined) return undefined;
  const trigger = rowIn(document, 'kill_trigger');
  const killed = memberOf(rowIn(document, 'kill_execution'), 'killed');
  return {
    at,
    session: shown.text(textOf(head, 'session_id') ?? '?'),
    status: shown.text(textOf(head, 'status') ?? '?'),
    reason: shown.text(textOf(trigger, 'reason') ?? '?'),
    target: shown.text(textOf(trigger, 'target') ?? '?'),
    ...(typeof killed === 'boolean' && { killed }),
  };
}
