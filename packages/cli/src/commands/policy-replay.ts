import { resolve } from 'node:path';
import { type Config, loadPolicyFile } from '@countersign/core';
import { type ReplayedDecision, type ReplayReport, replayDecisions } from '@countersign/core/sqlite';
import type { Command, Invocation } from '../command.ts';
import { configOf, ledgerPath } from '../configuration.ts';
import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { type Output, safe } from '../output.ts';
import { effectStyle, effectWord } from '../record-text.ts';
import { selectionOf } from '../selected.ts';
import { criteriaOf, SELECTION_OPTIONS } from '../selection-options.ts';
import { tableLines } from '../table.ts';
import { instant } from '../time.ts';
import { indented, wrap } from '../wrap.ts';

/** Calls that are listed of each change, unless all are asked for. */
const EXAMPLES = 3;
const MAX_POLICIES_TOLD = 5;
const WANTED = ['tool', 'agent', 'session', 'effect', 'since', 'until'];

export const policyReplay: Command = {
  name: 'policy replay',
  summary: 'what another policy would have said of every past call',
  positionals: [{ name: 'ledger', required: false }],
  options: [
    { name: 'policy', kind: 'text', value: 'FILE', about: 'the other policy; the configuration when absent' },
    ...SELECTION_OPTIONS.filter(({ name }) => WANTED.includes(name)),
    { name: 'all', kind: 'switch', about: `list every call that changes, not ${EXAMPLES} of each kind` },
    { name: 'labels', kind: 'text', value: 'WHOSE', about: 'session labels of the other policy: policy (default); or: recorded' },
    { name: 'check-openings', kind: 'switch', about: 'compare every opening with its entry first, not only where it matters' },
    { name: 'assume-no-links', kind: 'switch', about: 'paths nobody looked up then are taken to be no links, and counted' },
    { name: 'exit-code', kind: 'switch', about: 'exit 1 when a call changes or cannot be replayed' },
  ],
  notes: [
    "Reads a ledger, a mirror or an export with openings, and nothing else: what a policy looked up on disk is taken from the record. The two policies' words are compared, whatever the mode made of them. Calls that ran are taken to run, calls that were refused to have left nothing behind.",
    'Calls that no policy decided, and calls of which not enough is recorded, are counted by reason. Nothing is verified: that is `verify`.',
  ],
  example: 'countersign policy replay --policy new.yaml --since 7d',
  async run(invocation) {
    const { flags, output } = invocation;
    const labels = labelsOf(flags.text('labels'));
    const isMeant = selectionOf(criteriaOf(flags, Date.now()));
    const config = policyOf(invocation);
    const path = ledgerPath(invocation);
    const changed = new Changed(flags.on('all') ? Number.POSITIVE_INFINITY : EXAMPLES);
    const report = await replayDecisions(path, {
      policy: config.policy,
      labels,
      assumeNoLinks: flags.on('assume-no-links'),
      checks: flags.on('check-openings') ? 'all' : 'changes',
      isMeant: (entry) =>
        isMeant({
          index: 0,
          leaf: '',
          kind: 'decision',
          atMs: entry.at,
          agent: entry.agent,
          session: entry.session,
          tool: entry.tool,
          effect: entry.effect,
          shown: new Map(),
        }),
      onDecision: (decision) => changed.add(decision),
      onProgress: (done, total) => output.progress(done, total),
    });
    output.result(reportJson(path, config, report, changed));
    for (const line of reportLines(config, report, changed, output)) output.line(line);
    if (report.calls === 0) return EXIT.NOT_PROVEN;
    const isSame = report.changes.length === 0 && report.notReplayable.size === 0;
    return flags.on('exit-code') && !isSame ? EXIT.FAILED : EXIT.OK;
  },
};

function labelsOf(given: string | undefined): 'policy' | 'recorded' {
  if (given === undefined || given === 'policy') return 'policy';
  if (given === 'recorded') return given;
  throw new UsageError(`--labels ${JSON.stringify(given)} is neither policy nor recorded`, 'use --labels policy or --labels recorded');
}

function policyOf({ io, flags }: Invocation): Config {
  const given = flags.text('policy');
  return given === undefined ? configOf({ io, flags }) : loadPolicyFile(resolve(io.cwd, given));
}

/** The first so many calls of each change. */
class Changed {
  readonly kinds = new Map<string, ReplayedDecision[]>();
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(decision: ReplayedDecision): void {
    const { from, to } = decision;
    if (from === to) return;
    const kind = `${from} ${to}`;
    const known = this.kinds.get(kind);
    if (known === undefined) this.kinds.set(kind, [decision]);
    else if (known.length < this.#limit) known.push(decision);
  }

  of(from: string, to: string): readonly ReplayedDecision[] {
    return this.kinds.get(`${from} ${to}`) ?? [];
  }
}

function reportJson(ledger: string, { policy }: Config, report: ReplayReport, changed: Changed): unknown {
  const { entries, unreadable, calls, compared, changes, otherRule, byEngine, notReplayable, policies } = report;
  return {
    ledger,
    verified: false,
    policy: { id: policy.id, ...(policy.version !== undefined && { version: policy.version }), hash: policy.hash },
    entries,
    unreadable,
    calls,
    compared,
    same: compared - changes.reduce((sum, { count }) => sum + count, 0),
    other_rule: otherRule,
    assumed: report.assumed,
    changes: changes.map(({ from, to, count }) => ({ from, to, count, calls: changed.of(from, to).map(callJson) })),
    not_by_policy: Object.fromEntries(byEngine),
    not_replayable: Object.fromEntries(notReplayable),
    decided_under: policies,
  };
}

function callJson({ index, entry, ruling }: ReplayedDecision): unknown {
  const { server, name } = entry.tool;
  const { rule, reasonCode, reason } = ruling.decision;
  return {
    entry: index + 1,
    call: entry.call,
    time: instant(entry.at),
    agent: entry.agent,
    session: entry.session,
    tool: { ...(server !== undefined && { server }), name },
    was: { rule: entry.rule ?? null, reason_code: entry.reason_code },
    would_be: { rule: rule ?? null, reason_code: reasonCode, ...(reason !== undefined && { reason }) },
  };
}

function reportLines(config: Config, report: ReplayReport, changed: Changed, output: Output): readonly string[] {
  const { calls, compared, changes, otherRule, byEngine, notReplayable, unreadable } = report;
  if (calls === 0)
    return wrap(
      'No decision is meant: the ledger has none yet, or the options leave none. `countersign filter` shows what there is.',
      output.columns,
    );
  const different = changes.reduce((sum, { count }) => sum + count, 0);
  const { policy } = config;
  return [
    ...wrap(
      `Under policy ${safe(policy.id)}${policy.version === undefined ? '' : ` ${safe(policy.version)}`} (${policy.hash.slice(0, 16)}):`,
      output.columns,
    ),
    '',
    ...countLines(report, output),
    ...changes.flatMap(({ from, to, count }) => changeLines(from, to, count, changed.of(from, to), output)),
    ...(different === 0 && compared > 0 ? ['', 'Nothing would change.'] : []),
    ...(otherRule > 0
      ? ['', ...wrap(`${otherRule} of the ${compared - different} that stay are decided by another rule.`, output.columns)]
      : []),
    ...(report.assumed > 0
      ? ['', ...wrap(`${report.assumed} rest on paths that were taken to be no links: nobody recorded where they led.`, output.columns)]
      : []),
    ...reasonLines('Not decided by a policy', byEngine, output),
    ...reasonLines('Cannot be replayed', notReplayable, output),
    ...(notReplayable.has('path not recorded') ? wrap('--assume-no-links answers for paths nobody looked up then.', output.columns) : []),
    ...(unreadable > 0 ? ['', ...wrap(`${unreadable} entries cannot be read: run \`countersign verify\`.`, output.columns)] : []),
    ...underLines(report, output),
    ...(config.authzen === undefined ? [] : ['', ...wrap('The decision point of the configuration was not asked.', output.columns)]),
  ];
}

function countLines({ calls, compared, changes, byEngine, notReplayable }: ReplayReport, output: Output): readonly string[] {
  const different = changes.reduce((sum, { count }) => sum + count, 0);
  const sum = (counts: ReadonlyMap<string, number>): number => [...counts.values()].reduce((total, count) => total + count, 0);
  const rows: readonly (readonly [string, number])[] = [
    ['the same', compared - different],
    ...changes.map(({ from, to, count }): readonly [string, number] => [`${effectWord(from)} -> ${effectWord(to)}`, count]),
    ['not decided by a policy', sum(byEngine)],
    ['cannot be replayed', sum(notReplayable)],
    ['calls', calls],
  ];
  return tableLines(
    [{ title: 'decision' }, { title: 'calls' }],
    rows.map(([name, count]) => [name, String(count)]),
    output.columns,
  );
}

function changeLines(from: string, to: string, count: number, examples: readonly ReplayedDecision[], output: Output): readonly string[] {
  const rest = count - examples.length;
  return [
    '',
    `${output.style(effectStyle(from), effectWord(from))} -> ${output.style(effectStyle(to), effectWord(to))}: ${count}`,
    ...examples.flatMap(({ index, entry, ruling }) => {
      const { server, name } = entry.tool;
      const { rule, reasonCode } = ruling.decision;
      const tool = safe(server === undefined ? name : `${server}/${name}`);
      const now = rule === undefined ? safe(reasonCode) : `rule "${safe(rule)}"`;
      const then = entry.rule === undefined ? safe(entry.reason_code) : `"${safe(entry.rule)}"`;
      return indented(`entry ${index + 1}, ${instant(entry.at)}: ${tool} now by ${now}, then by ${then}`, 2, output.columns);
    }),
    ...(rest > 0 ? [`  and ${rest} more: --all lists them`] : []),
  ];
}

function reasonLines(title: string, counts: ReadonlyMap<string, number>, output: Output): readonly string[] {
  if (counts.size === 0) return [];
  return ['', `${title}:`, ...[...counts].flatMap(([why, count]) => indented(`${count}  ${safe(why)}`, 2, output.columns))];
}

function underLines({ policies }: ReplayReport, output: Output): readonly string[] {
  if (policies.length === 0) return [];
  const told = policies
    .slice(0, MAX_POLICIES_TOLD)
    .map(
      ({ id, version, hash, calls }) => `${safe(id)}${version === undefined ? '' : ` ${safe(version)}`} (${hash.slice(0, 16)}): ${calls}`,
    );
  const more = policies.length > MAX_POLICIES_TOLD ? [`and ${policies.length - MAX_POLICIES_TOLD} more`] : [];
  return ['', 'Decided under:', ...[...told, ...more].flatMap((line) => indented(line, 2, output.columns))];
}
