/** What a report cannot say, in sentences: it never says more than the sensors of its sessions could see. */
import type { ActionKind } from '../activity.ts';
import type { SessionDocument } from '../evidence/session-file.ts';
import { LEVELS, type Level } from '../verdict.ts';
import type { SessionReport } from './report.ts';
import { amountText } from './words.ts';

const MEANING: ReadonlyMap<string, string> = new Map([
  ['none', 'nothing watched it'],
  ['L0', 'it was looked at from time to time: what began and ended between two looks may be missing, and nothing was prevented'],
  ['L1', 'it was seen while or after it happened; outside of the probe nothing was prevented'],
  ['L2', 'actions were held before they happened; a hostile program with several threads can get around that'],
  [
    'L3',
    'files were kept from hostile code too, opened on its behalf or shut away; other services are seen only as the connection to them',
  ],
  ['unknown', 'nothing says what could be seen of it: absence of activity is no sign of absence'],
]);

/** A record by its type: a kind that is added there must be added here. What could not be read is no kind of deed. */
const KINDS: Readonly<Record<Exclude<ActionKind, 'unreadable'>, string>> = {
  read: 'files read',
  write: 'files written',
  delete: 'files deleted',
  rename: 'files renamed',
  exec: 'programs run',
  spawn: 'processes started',
  exit: 'processes ended',
  connect: 'connections',
  dns: 'names looked up',
  load: 'native code loaded',
  memory: 'memory of other processes',
  resource: 'resource use',
};

/** Sessions that a limit names; of the others the number is told. */
const MAX_NAMED = 5;

/** The same sentence about several sessions is said once. @param limits - of each session. */
export function limitsOf(limits: readonly { readonly session: string; readonly sentences: readonly string[] }[]): readonly string[] {
  const sessions = new Map<string, string[]>();
  for (const { session, sentences } of limits) for (const text of sentences) sessions.set(text, [...(sessions.get(text) ?? []), session]);
  return [...sessions].map(([text, those]) => `${named(those)}: ${text}`);
}

function named(sessions: readonly string[]): string {
  const [only] = sessions;
  if (sessions.length === 1) return `session ${only}`;
  const names = sessions.slice(0, MAX_NAMED).map((session) => session.slice(0, 8));
  const more = sessions.length - names.length;
  return `${sessions.length} sessions (${names.join(', ')}${more > 0 ? ` and ${more} more` : ''})`;
}

/** Of one session. @param recorded - FLAG and above, as the ledger has them; absent without a ledger. */
export function sessionLimits(
  session: SessionReport,
  facts: SessionDocument | undefined,
  recorded: Readonly<Record<Level, number>> | undefined,
  isWhole: boolean,
): readonly string[] {
  const limits = [`level ${session.level}: ${MEANING.get(session.level) ?? MEANING.get('unknown')}`];
  if (facts !== undefined) limits.push(...sensorLimits(facts), ...guardLimits(facts));
  if (session.grade === 'signal') limits.push(`freezing was by signals: a process that starts others fast can get away from it`);
  if (session.open === true) limits.push(`it has no end on record: it still runs, or its watching was cut off`);
  if (session.lost > 0) limits.push(`${amountText(session.lost, 'activity is', 'activities are')} in no file`);
  if (session.bad_lines > 0) limits.push(`${amountText(session.bad_lines, 'line')} of its log cannot be read`);
  if (isWhole && recorded !== undefined) {
    for (const level of LEVELS) {
      if (level === 'SAFE' || recorded[level] === session.verdicts[level]) continue;
      limits.push(
        `the ledger has ${amountText(recorded[level], 'verdict')} of ${level}, the log ${session.verdicts[level]}: trust the ledger`,
      );
    }
  }
  return limits;
}

/** Guards, or whoever made himself look like one. */
function guardLimits({ guards }: SessionDocument): readonly string[] {
  if (guards === undefined || guards.count === 0) return [];
  const those = guards.first.slice(0, MAX_NAMED).map(({ pid, exe }) => `${exe ?? 'a process'} (${pid})`);
  const more = guards.count - those.length;
  const names = `${those.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
  return [
    `${amountText(guards.count, 'process', 'processes')} had a lease of the ledger and ${guards.count === 1 ? 'was' : 'were'} not judged for what was done with Countersign's own files: ${names}`,
  ];
}

function sensorLimits({ sensors, lost }: SessionDocument): readonly string[] {
  const limits: string[] = [];
  if (sensors.length > 0 && sensors.every(({ gives }) => gives !== undefined)) {
    const seen = new Set(sensors.flatMap(({ gives = [] }) => gives));
    const unseen = Object.entries(KINDS).flatMap(([kind, what]) => (seen.has(kind) ? [] : [what]));
    if (unseen.length > 0) limits.push(`no sensor could see: ${unseen.join(', ')}`);
  }
  for (const sensor of sensors) {
    if (!sensor.isAlive) limits.push(`sensor ${sensor.name} saw nothing more from some time on`);
    if (sensor.lost > 0) limits.push(`sensor ${sensor.name} knows of ${amountText(sensor.lost, 'observation')} that it missed`);
  }
  if ((lost?.ledger ?? 0) > 0) limits.push(`${lost?.ledger} verdicts or steps are not on record`);
  if ((lost?.judge ?? 0) > 0) limits.push(`${lost?.judge} questions to the judge stayed without an answer`);
  return limits;
}
