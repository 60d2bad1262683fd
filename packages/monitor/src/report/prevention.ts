/** What could be seen and prevented of a session, in sentences: no more than its level, and what is left of that at its end. */
import { type Hold, kindsText } from '../enforcement.ts';
import type { SessionReport } from './report.ts';
import { timeText } from './words.ts';

const SAYS: readonly (readonly [hold: Hold, text: string])[] = [
  ['exact', 'held before it happened, and what happened is what was decided'],
  ['racy', 'held before it happened, though a hostile program with several threads can get around that'],
  ['seen', 'seen, not prevented'],
  ['off', 'not seen'],
];
const CONTAINED = { landlock: 'landlock', srt: 'sandbox-runtime' } as const;

/** A file may hold more: it is of the user who was watched. */
const MAX_LINES = 50;

/** Empty where nothing is on record of it. */
export function preventionLines({ enforcement, fell = [] }: Pick<SessionReport, 'enforcement' | 'fell'>): readonly string[] {
  if (enforcement === undefined) return [];
  const kinds = SAYS.map(([hold, text]) => [text, kindsText(enforcement, hold)] as const).filter(([, those]) => those !== '');
  const lines = [
    ...kinds.map(([text, those]) => `${text}: ${those}`),
    ...(enforcement.contain === undefined ? [] : [`shut in by ${CONTAINED[enforcement.contain]}: what the scope does not grant failed`]),
    ...(enforcement.probe === undefined ? [] : [`the probe was on: ${enforcement.probe}`]),
    ...fell.map(({ at, level, sensor, why }) => `from ${timeText(at)} on at level ${level}: sensor ${sensor} died: ${why}`),
    ...enforcement.notes,
  ];
  return lines.slice(0, MAX_LINES);
}
