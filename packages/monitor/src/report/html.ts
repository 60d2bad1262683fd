/**
 * A report as one HTML file. It needs no script and loads nothing: the policy in it forbids both, so that a text that got past the
 * escaping could still do nothing.
 */
import { createHash } from 'node:crypto';
import { resourceCharts, timelineChart } from './charts.ts';
import { Markup, markup, type Part } from './markup.ts';
import { preventionLines } from './prevention.ts';
import type { CallReport, IncidentReport, PredecessorReport, Report, SessionReport } from './report.ts';
import { STYLE } from './style.ts';
import { amountText, bytesText, countText, durationText, STATUS_WORDS, timeText } from './words.ts';

export function reportHtml(report: Report): string {
  const { counts, timeline } = report;
  const policy = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; form-action 'none'`;
  const page = markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${new Markup(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>Countersign report, ${timeText(report.since)} to ${timeText(report.until)}</title>
<style>${new Markup(STYLE)}</style>
</head>
<body><main>
<h1>What the processes did</h1>
<p class="soft">${timeText(report.since)} to ${timeText(report.until)}. Made ${timeText(report.generated_at)} by countersign report.</p>
<dl class="figures">
${figure('Sessions', counts.sessions)}${figure('Duration', durationText(report.duration_ms))}${figure('Activities', counts.activities)}${figure('Processes', counts.processes)}${figure('FLAG', counts.verdicts.FLAG, 't-flag')}${figure('HALT', counts.verdicts.HALT, 't-halt')}${figure('KILL', counts.verdicts.KILL, 't-kill')}${figure('Incidents', counts.incidents)}${figure('Calls', counts.calls)}${figure('Denied', counts.denied)}${figure('Approvals', counts.approvals)}
</dl>
<h2>What this cannot say</h2>
<ul class="limits">${report.limits.map((limit) => markup`<li>${limit}</li>`)}</ul>
<h2>Verdicts over time</h2>
<div class="wide">${timelineChart(timeline.bucket_ms, timeline.buckets)}</div>
<p class="soft">Each bar stands for ${durationText(timeline.bucket_ms)}; each lane has its own scale.</p>
${report.incidents.length > 0 && markup`<h2>Incidents</h2>${report.incidents.map(incidentCard)}`}
${
  report.top_rules.length > 0 &&
  markup`<h2>Top reasons</h2>${table(
    ['Level', 'Rule', 'Example', '#Times'],
    report.top_rules.map((top) => [level(top.level), top.rule, top.reason, countText(top.count)]),
  )}`
}
${report.resources.points.length > 0 && markup`<h2>Resources</h2><div class="charts">${resourceCharts(report.resources.points)}</div><p class="soft">The largest in each interval of ${durationText(report.resources.bucket_ms)}.</p>`}
${report.calls.length > 0 && markup`<h2>Calls, beside what was seen of them</h2>${callTable(report.calls)}${omitted(report.calls_omitted, 'earlier calls')}`}
${
  report.events.length > 0 &&
  markup`<h2>What happened</h2>${table(
    ['Time', 'What', 'Details'],
    report.events.map((event) => [time(event.at), [event.level !== undefined && [level(event.level), ' '], event.what], event.text ?? '']),
  )}${omitted(report.events_omitted, 'further events')}`
}
${report.sessions.length > 0 && markup`<h2>Sessions</h2>${report.sessions.map(sessionCard)}`}
${
  report.external.length > 0 &&
  markup`<h2>Canary logs</h2>${report.external.map(
    (file) =>
      markup`<div class="card"><p><code>${file.file}</code></p><p>${amountText(file.rows, 'row')}, ${countText(file.blocked)} blocked${file.bad_lines > 0 && `, ${amountText(file.bad_lines, 'line')} that cannot be read`}.</p>${
        file.samples.length > 0 &&
        table(
          ['Time', 'Safe', 'Summary'],
          file.samples.map((row) => [
            time(row.at),
            row.safe === undefined ? '' : row.safe ? 'yes' : markup`<b class="t-bad">no</b>`,
            row.summary,
          ]),
        )
      }</div>`,
  )}`
}
${report.predecessor !== undefined && predecessorPart(report.predecessor)}
<h2>Evidence</h2>
${
  report.evidence.length === 0
    ? markup`<p class="empty">No files.</p>`
    : table(
        ['File', '#Bytes', 'SHA-256', 'Ledger'],
        report.evidence.map((file) => [
          markup`<code>${file.path}</code>`,
          file.bytes === undefined ? '' : bytesText(file.bytes),
          markup`<code>${file.sha256 ?? ''}</code>`,
          status(file.status),
        ]),
      )
}
</main></body>
</html>
`;
  return page.text;
}

function figure(name: string, value: number | string, style?: string): Markup {
  const isZero = value === 0;
  return markup`<div><dt>${name}</dt><dd${style !== undefined && !isZero && markup` class="${style}"`}>${typeof value === 'number' ? countText(value) : value}</dd></div>`;
}

function level(name: string): Markup {
  return markup`<span class="level t-${name.toLowerCase()}">${name}</span>`;
}

function time(atMs: number): Markup {
  return markup`<span class="mono">${timeText(atMs)}</span>`;
}

function status(name: string): Markup {
  const style = name === 'matches' ? 't-good' : name === 'changed' || name === 'missing' ? 't-bad' : 'soft';
  return markup`<span class="${style}">${STATUS_WORDS.get(name) ?? name}</span>`;
}

/** A name that begins with `#` is a column of figures. On a narrow page each row is a block, each cell with its name. */
function table(names: readonly string[], rows: readonly (readonly Part[])[]): Markup {
  const columns = names.map((name) => ({
    name: name.replace('#', ''),
    style: name.startsWith('#') ? 'number' : name === 'Time' ? 'time' : '',
  }));
  const head = columns.map(({ name, style }) => markup`<th class="${style}">${name}</th>`);
  const body = rows.map(
    (row) =>
      markup`<tr>${row.map((cell, i) => markup`<td class="${columns[i]?.style}" data-name="${columns[i]?.name}">${cell}</td>`)}</tr>`,
  );
  return markup`<table class="stack"><thead><tr>${head}</tr></thead><tbody>${body}</tbody></table>`;
}

function omitted(count: number, what: string): Part {
  return count > 0 && markup`<p class="soft">${countText(count)} ${what} are not shown.</p>`;
}

function callTable(calls: readonly CallReport[]): Markup {
  return table(
    ['Time', 'Tool', 'Decision', 'Answers', 'Outcome', '#Activities', '#Verdicts'],
    calls.map((call) => [
      time(call.at),
      [call.tool, markup`<br><code class="soft">${call.call}</code>`],
      [
        markup`<b class="${call.effect === 'allow' ? 't-good' : call.effect === 'deny' ? 't-bad' : 't-flag'}">${call.effect}</b>`,
        call.rule !== undefined && ` (${call.rule})`,
      ],
      call.answers.map(({ answer, by }) => `${answer} by ${by}`).join(', '),
      call.status === undefined
        ? 'none'
        : `${call.status}${call.duration_ms === undefined ? '' : ` after ${durationText(call.duration_ms)}`}`,
      `${countText(call.activities)}${call.candidates > 0 ? ` (and perhaps ${countText(call.candidates)})` : ''}`,
      countText(call.verdicts),
    ]),
  );
}

function incidentCard({ id, at, level: worst, rule, reason, state, steps, processes }: IncidentReport): Markup {
  return markup`<div class="card ${worst.toLowerCase()}"><p>${level(worst)} <b>${rule}</b>: ${reason}</p><p class="soft">${time(at)} · ${amountText(processes, 'process', 'processes')} · ${state} · <code>${id}</code></p>${steps.length > 0 && markup`<ol>${steps.map((step) => markup`<li>${time(step.at)} ${step.event}${step.count !== undefined && `, ${countText(step.count)}`}${step.refused !== undefined && `, ${amountText(step.refused, 'system call')} refused`}${step.left !== undefined && markup`, <b class="t-bad">${countText(step.left)} left</b>`}${step.by !== undefined && `: ${step.by}`}</li>`)}</ol>`}</div>`;
}

function sessionCard(session: SessionReport): Markup {
  const { verdicts, sensors, command, pids } = session;
  const prevention = preventionLines(session);
  return markup`<div class="card"><p><b>${session.agent ?? 'unknown agent'}</b> <code>${session.session}</code></p>${command !== undefined && markup`<p><code>${command.join(' ')}</code></p>`}<p class="soft">level <b>${session.level}</b>${session.mode !== undefined && ` · ${session.mode}`}${session.how !== undefined && ` · ${session.how}`}${session.grade !== undefined && ` · freezes by ${session.grade}`}</p><p>${amountText(session.activities, 'activity', 'activities')} of ${amountText(session.processes, 'process', 'processes')}: ${countText(verdicts.SAFE)} SAFE, ${countText(verdicts.FLAG)} FLAG, ${countText(verdicts.HALT)} HALT, ${countText(verdicts.KILL)} KILL${session.first_at !== undefined && session.last_at !== undefined && `, in ${durationText(session.last_at - session.first_at)}`}.</p>${pids.length > 0 && markup`<p class="soft">pids ${pids.join(', ')}${session.processes > pids.length && ' …'}</p>`}${prevention.length > 0 && markup`<p>What could be seen and prevented:</p><ul>${prevention.map((line) => markup`<li>${line}</li>`)}</ul>`}${
    sensors.length > 0 &&
    table(
      ['Sensor', 'Level', '#Seen', '#Lost', 'State'],
      sensors.map((sensor) => [
        sensor.name,
        sensor.level,
        countText(sensor.seen),
        countText(sensor.lost),
        sensor.alive ? 'to the end' : markup`<b class="t-bad">ended early</b>`,
      ]),
    )
  }</div>`;
}

function predecessorPart(old: PredecessorReport): Markup {
  const verdicts = Object.entries(old.verdicts).map(([name, count]) => `${countText(count)} ${name}`);
  return markup`<h2>Logs of Suy Sideguy</h2><p>${amountText(old.actions, 'action')}${verdicts.length > 0 && `: ${verdicts.join(', ')}`}${old.bad_lines > 0 && `; ${amountText(old.bad_lines, 'line')} that cannot be read`}.</p>${old.incidents.map((incident) => markup`<div class="card kill"><p><b>${incident.status}</b>: ${incident.reason}</p><p class="soft">${time(incident.at)} · ${incident.target}${incident.killed !== undefined && (incident.killed ? ' · killed' : ' · NOT killed')}</p></div>`)}${
    old.samples.length > 0 &&
    table(
      ['Time', 'Verdict', 'Action', 'Target', 'Reason'],
      old.samples.map((row) => [time(row.at), level(row.verdict), row.action, row.target, row.reason]),
    )
  }`;
}
