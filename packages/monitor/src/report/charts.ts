/** Charts of a report as SVG: no script, no colour of their own (the style sheet has them), nothing but numbers of ours in attributes. */
import { LEVELS } from '../verdict.ts';
import { type Markup, markup } from './markup.ts';
import type { ResourcePoint, TimelineBucket } from './report.ts';
import { bytesText, countText, timeText } from './words.ts';

const WIDTH = 720;
const LABEL_WIDTH = 64;
const LANE_HEIGHT = 34;
const LANE_GAP = 8;
const AXIS_HEIGHT = 20;

/** One lane for each level, each with its own scale: one KILL is seen beside a thousand SAFE. */
export function timelineChart(bucketMs: number, buckets: readonly TimelineBucket[]): Markup {
  const [first] = buckets;
  const last = buckets.at(-1);
  if (first === undefined || last === undefined) return markup`<p class="empty">No activity in this period.</p>`;
  const slots = Math.round((last.at - first.at) / bucketMs) + 1;
  const slotWidth = (WIDTH - LABEL_WIDTH) / Math.max(slots, 12);
  const height = LEVELS.length * (LANE_HEIGHT + LANE_GAP) + AXIS_HEIGHT;
  const lanes = LEVELS.map((level, lane) => {
    const most = Math.max(1, ...buckets.map((bucket) => bucket[level]));
    const floor = lane * (LANE_HEIGHT + LANE_GAP) + LANE_HEIGHT;
    const bars = buckets.flatMap((bucket) => {
      if (bucket[level] === 0) return [];
      // Square root: a burst does not make everything else invisible.
      const bar = Math.max(3, Math.sqrt(bucket[level] / most) * LANE_HEIGHT);
      const x = LABEL_WIDTH + Math.round((bucket.at - first.at) / bucketMs) * slotWidth;
      const title = `${timeText(bucket.at)}: ${countText(bucket[level])} ${level}`;
      return [
        markup`<rect class="${level.toLowerCase()}" x="${fixed(x)}" y="${fixed(floor - bar)}" width="${fixed(Math.max(2, slotWidth - 1))}" height="${fixed(bar)}"><title>${title}</title></rect>`,
      ];
    });
    return markup`<text class="label" x="0" y="${fixed(floor - LANE_HEIGHT / 2 + 4)}">${level}</text><line class="floor" x1="${LABEL_WIDTH}" x2="${WIDTH}" y1="${fixed(floor)}" y2="${fixed(floor)}"/>${bars}`;
  });
  const middle = first.at + ((last.at - first.at) * 1) / 2;
  const axisY = height - 5;
  const end = LABEL_WIDTH + slots * slotWidth;
  return markup`<svg class="timeline" role="img" aria-label="Verdicts over time, one lane for each level" viewBox="0 0 ${WIDTH} ${height}">${lanes}<text class="axis" x="${LABEL_WIDTH}" y="${axisY}">${timeText(first.at)}</text>${
    slots > 20 && markup`<text class="axis middle" x="${fixed((LABEL_WIDTH + end) / 2)}" y="${axisY}">${timeText(middle).slice(11)}</text>`
  }${slots > 12 && markup`<text class="axis end" x="${fixed(Math.min(WIDTH, end))}" y="${axisY}">${timeText(last.at + bucketMs).slice(11)}</text>`}</svg>`;
}

const SMALL_WIDTH = 340;
const SMALL_HEIGHT = 96;
const TOP = 8;

const FIGURES = [
  ['cpu_percent', 'CPU, percent of one core', (value: number) => `${value >= 10 ? Math.round(value) : value.toFixed(1)} %`],
  ['rss_bytes', 'Memory', bytesText],
  ['processes', 'Processes', countText],
  ['threads', 'Threads', countText],
  ['fds', 'Open descriptors', countText],
  ['write_bytes', 'Written to disk since the start', bytesText],
  ['read_bytes', 'Read from disk since the start', bytesText],
] as const;

/** One small chart for each figure that was read at all. */
export function resourceCharts(points: readonly ResourcePoint[]): readonly Markup[] {
  return FIGURES.flatMap(([name, title, words]) => {
    const known = points.flatMap((point) => (point[name] === undefined ? [] : [{ at: point.at, value: point[name] }]));
    const [first] = known;
    const last = known.at(-1);
    if (first === undefined || last === undefined) return [];
    const most = Math.max(...known.map(({ value }) => value));
    const span = Math.max(1, last.at - first.at);
    const path = known
      .map(({ at, value }) => {
        const x = known.length === 1 ? SMALL_WIDTH / 2 : ((at - first.at) / span) * (SMALL_WIDTH - 8) + 4;
        const y = TOP + (1 - value / Math.max(most, Number.EPSILON)) * (SMALL_HEIGHT - TOP - 4);
        return `${fixed(x)},${fixed(y)}`;
      })
      .join(' ');
    const line =
      known.length === 1
        ? markup`<circle class="line" cx="${path.split(',')[0]}" cy="${path.split(',')[1]}" r="3"/>`
        : markup`<polyline class="line" points="${path}"/>`;
    return [
      markup`<figure><figcaption><span>${title}</span> <span class="most">at most ${words(most)}</span></figcaption><svg role="img" aria-label="${title}, at most ${words(most)}" viewBox="0 0 ${SMALL_WIDTH} ${SMALL_HEIGHT}"><line class="floor" x1="0" x2="${SMALL_WIDTH}" y1="${SMALL_HEIGHT - 3}" y2="${SMALL_HEIGHT - 3}"/>${line}</svg></figure>`,
    ];
  });
}

function fixed(value: number): string {
  return String(Math.round(value * 10) / 10);
}
