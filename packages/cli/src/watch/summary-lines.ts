/** How a watched session went, when it ends. */
import type { WardenSummary } from '@countersign/monitor';
import { safe } from '../output.ts';
import { span } from '../time.ts';
import { SHORT_ID_CHARS } from './event-lines.ts';

const MAX_RULES = 5;
const MAX_INCIDENTS = 10;

export function summaryLines(summary: WardenSummary): readonly string[] {
  const { verdicts, rules, incidents, lost, sensors } = summary;
  const seen = amount(summary.activities, 'activity', 'activities');
  const counts = `${seen} in ${span(summary.durationMs)}: ${verdicts.FLAG} flagged, ${amount(verdicts.HALT, 'halt')}, ${amount(verdicts.KILL, 'kill')}`;
  const missed = sensors.reduce((sum, sensor) => sum + sensor.lost, 0);
  const gaps = [
    ...(lost.log > 0 ? [`${amount(lost.log, 'activity is', 'activities are')} in no log`] : []),
    ...(lost.ledger > 0 ? [`${amount(lost.ledger, 'verdict IS', 'verdicts ARE')} NOT IN THE LEDGER`] : []),
    ...(lost.judge > 0 ? [`${amount(lost.judge, 'question')} the judge did not answer`] : []),
    ...(missed > 0 ? [`${amount(missed, 'reading')} the sensors know they missed`] : []),
  ];
  const fell = sensors.filter((sensor) => !sensor.isAlive && sensor.level > summary.level && sensor.level >= 'L2');
  const probe = sensors.find(({ programs }) => programs !== undefined);
  const top = [...rules].toSorted(([, one], [, other]) => other - one).slice(0, MAX_RULES);
  return [
    `countersign: session ${safe(summary.session)}, level ${summary.level}: ${counts}`,
    ...fell.map(({ name, level }) => `  THE LEVEL FELL from ${level}: ${safe(name)} died, and held nothing from then on`),
    ...(probe === undefined ? [] : [`  probe: ${probeText(probe)}`]),
    ...(top.length === 0 ? [] : [`  rules: ${top.map(([rule, count]) => `${safe(rule)} ${count}`).join(', ')}`]),
    ...incidents
      .slice(0, MAX_INCIDENTS)
      .map(({ id, rule, level, end }) => `  incident ${id.slice(0, SHORT_ID_CHARS)}: ${level} by ${safe(rule)}, ${end}`),
    ...(gaps.length === 0 ? [] : [`  lost: ${gaps.join('; ')}`]),
  ];
}

function amount(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** Only what was told: whoever got past it told nothing. */
function probeText({ programs = 0, seen, isAlive }: WardenSummary['sensors'][number]): string {
  const those = programs === 0 ? 'no Node program told anything' : `${amount(programs, 'Node program')} told of ${amount(seen, 'act')}`;
  return isAlive ? those : `${those}; IT FELL SILENT: not all Node programs told what they did`;
}

export function summaryJson(summary: WardenSummary): unknown {
  const { session, mode, level, durationMs, activities, verdicts, rules, incidents, lost, sensors } = summary;
  return {
    event: 'ended',
    session,
    mode,
    level,
    duration_ms: Math.round(durationMs),
    activities,
    verdicts,
    rules: [...rules],
    incidents,
    lost,
    sensors,
  };
}
