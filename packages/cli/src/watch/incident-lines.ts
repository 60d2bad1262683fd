/** An incident in words, for a terminal. Everything a process chose is redacted once more and escaped: the file may have been edited. */
import type { Redactor } from '@countersign/core';
import { actionText, type IncidentDocument, incidentState } from '@countersign/monitor';
import { type Page, safe } from '../output.ts';
import { callsText } from '../record-text.ts';
import { instant } from '../time.ts';

const MAX_PROCESSES = 20;
const MAX_TIMELINE = 20;
const MAX_FDS = 12;

type Captured = NonNullable<IncidentDocument['evidence']>['processes'][number];

/** @param isWhole - all processes, descriptors and the whole timeline. */
export function incidentLines(incident: IncidentDocument, page: Page, redactor: Redactor, isWhole: boolean): readonly string[] {
  const words = new Words(redactor, isWhole);
  return [
    ...words.head(incident, page),
    '',
    page.style('bold', 'what was done about it'),
    ...words.steps(incident),
    '',
    page.style('bold', 'the processes, as they were'),
    ...words.processes(incident),
    '',
    page.style('bold', 'what led to it'),
    ...words.timeline(incident),
  ];
}

class Words {
  readonly #redactor: Redactor;
  readonly #isWhole: boolean;

  constructor(redactor: Redactor, isWhole: boolean) {
    this.#redactor = redactor;
    this.#isWhole = isWhole;
  }

  head({ id, at, session, agent, mode, activity, verdict, steps }: IncidentDocument, page: Page): readonly string[] {
    const { actor, sensor, phase, attribution } = activity;
    const by = actor === undefined ? '' : `, pid ${actor.pid}${actor.exe === undefined ? '' : ` (${this.#text(actor.exe)})`}`;
    const { call, candidates = [] } = attribution;
    const perhaps = candidates.length > 0 ? `perhaps ${candidates.map((each) => this.#text(each)).join(', ')}` : 'unattributed';
    return [
      `${page.style(verdict.level === 'FLAG' ? 'warn' : 'bad', verdict.level)} ${this.#text(verdict.rule)}: ${this.#text(verdict.reason)}`,
      `  incident  ${id}`,
      `  when      ${instant(at)}`,
      `  agent     ${this.#text(agent)}, session ${this.#text(session)}, mode ${mode}`,
      `  did       ${this.#action(activity)}${by}`,
      `  seen by   ${this.#text(sensor)}, ${phase === 'before' ? 'before it happened' : 'after it had happened'}`,
      `  call      ${call === undefined ? perhaps : this.#text(call)}`,
      `  state     ${incidentState(steps)}`,
    ];
  }

  steps({ steps }: IncidentDocument): readonly string[] {
    if (steps.length === 0) return ['  nothing is known'];
    return steps.map(({ at, event, count, refused, left = [], by }) => {
      const many = `${count === undefined ? '' : ` ${count}`}${refused === undefined ? '' : `, ${callsText(refused)} refused`}`;
      return `  ${instant(at)}  ${event}${many}${left.length > 0 ? `, ${left.length} left running` : ''}${by === undefined ? '' : `: ${this.#text(by)}`}`;
    });
  }

  processes({ evidence }: IncidentDocument): readonly string[] {
    if (evidence === undefined) return ['  evidence could not be taken'];
    const shown = this.#isWhole ? evidence.processes : evidence.processes.slice(0, MAX_PROCESSES);
    const more = evidence.processes.length - shown.length + evidence.omitted;
    return [...shown.flatMap((process) => this.#process(process)), ...(more > 0 ? [`  ${more} processes more`] : [])];
  }

  timeline({ timeline, omitted }: IncidentDocument): readonly string[] {
    const shown = this.#isWhole ? timeline : timeline.slice(-MAX_TIMELINE);
    const more = timeline.length - shown.length + omitted;
    return [
      ...(more > 0 ? [`  ${more} activities before: countersign report, or the log itself`] : []),
      ...shown.map(({ activity, verdict }) => {
        const by = activity.actor === undefined ? '' : `  (${activity.actor.pid})`;
        return `  ${instant(activity.at).slice(11, 23)}  ${verdict.level.padEnd(4)}  ${this.#action(activity)}${by}`;
      }),
    ];
  }

  #process({
    pid,
    argv = [],
    exe,
    exe_sha256: sha256,
    cwd,
    fds = [],
    deleted_maps: deleted = [],
    unread = [],
  }: Captured): readonly string[] {
    const others = fds.filter(({ fd }) => fd > 2);
    const shown = this.#isWhole ? others : others.slice(0, MAX_FDS);
    return [
      `  ${pid}  ${argv.length === 0 ? '(no command line)' : this.#text(argv.join(' '))}`,
      ...(exe === undefined ? [] : [`      runs ${this.#text(exe)}${sha256 === undefined ? '' : `  sha256 ${this.#text(sha256)}`}`]),
      ...(cwd === undefined ? [] : [`      in ${this.#text(cwd)}`]),
      ...shown.map((each) => `      fd ${each.fd} ${this.#descriptor(each)}`),
      ...(others.length > shown.length ? [`      ${others.length - shown.length} descriptors more (--all)`] : []),
      ...deleted.map((name) => `      mapped, and without a name: ${this.#text(name)}`),
      ...(unread.length > 0 ? [`      could not be read: ${unread.map((each) => this.#text(each)).join(', ')}`] : []),
    ];
  }

  #descriptor({ target, access, socket }: NonNullable<Captured['fds']>[number]): string {
    if (socket === undefined) return `${this.#text(target)}${access === undefined ? '' : ` (${this.#text(access)})`}`;
    const { protocol, local, remote, listening } = socket;
    const far = remote === undefined ? (listening === true ? ' listens' : ' to nobody') : ` to ${this.#text(remote)}`;
    return `${this.#text(protocol)} ${this.#text(local)}${far}`;
  }

  #action({ action }: IncidentDocument['activity']): string {
    return this.#text(actionText(action, this.#redactor));
  }

  #text(value: string): string {
    return safe(this.#redactor.text(value));
  }
}
