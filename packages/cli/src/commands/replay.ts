import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { createRedactor, type Redactor } from '@countersign/core';
import { defaultScope, loadScope, type Replay, readReplayable, replayActivity, type Scope } from '@countersign/monitor';
import type { Command, Invocation } from '../command.ts';
import { configOf, configPath, hasConfig } from '../configuration.ts';
import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { type Output, safe } from '../output.ts';
import { tableLines } from '../table.ts';
import { instant } from '../time.ts';
import { LOG_DIR_OPTION, logPlace } from '../watch/log-place.ts';
import { wrap } from '../wrap.ts';

const LEVELS = ['FLAG', 'HALT', 'KILL'] as const;
/** What a session may be called on the command line: never a way out of the log folder. */
const SESSION_NAME = /^[a-z0-9][a-z0-9-]{0,63}$/;
/** Changes that are shown; JSON has all. */
const MAX_SHOWN = 30;
const PROGRESS_ACTIVITIES = 5000;

export const replay: Command = {
  name: 'replay',
  summary: 'what a scope would have flagged, halted and killed of a recorded session',
  positionals: [{ name: 'log', required: true }],
  options: [
    { name: 'scope', kind: 'text', value: 'FILE', about: 'the scope; that of the configuration when absent, else the built-in one' },
    { name: 'workspace', kind: 'text', value: 'FOLDER', about: 'where the session worked; this folder when absent' },
    { name: 'home', kind: 'text', value: 'FOLDER', about: 'the home of who it ran as; yours when absent' },
    { name: 'exit-code', kind: 'switch', about: 'exit 1 when anything would be halted or killed' },
    LOG_DIR_OPTION,
  ],
  notes: [
    'The log is a session of `run` or `attach` by its name, its folder, one file of it, or `actions_*.jsonl` of Suy Sideguy, or a folder of such.',
    'Rules judge each activity anew; intent check and judge are not asked. What was lost cannot be judged, words that were redacted match no pattern, and links are not followed again. After the first KILL the session would have been over: what follows is counted apart. The log is not verified: `report` says whether it is what the ledger has the hashes of.',
  ],
  example: 'countersign replay .countersign/logs/9f2c... --scope new.yaml',
  async run(invocation) {
    const { io, flags, output, positionals } = invocation;
    const log = logOf(invocation, positionals[0] ?? '');
    const scope = scopeOf(invocation);
    const redactor = createRedactor(hasConfig({ io, flags }) ? (configOf({ io, flags }).redaction ?? {}) : {});
    let done = 0;
    const replayed = replayActivity(readReplayable(log), scope, {
      workspace: resolve(io.cwd, flags.text('workspace') ?? '.'),
      home: resolve(io.cwd, flags.text('home') ?? homeOf(io.env)),
      onActivity: () => {
        if (++done % PROGRESS_ACTIVITIES === 0) output.progress(done, 0);
      },
    });
    output.result({ log, verified: false, scope: { form: scope.form, warnings: scope.warnings }, ...replayJson(replayed, redactor) });
    for (const warning of scope.warnings) output.note(`countersign: scope: ${safe(warning)}`);
    if (replayed.activities === 0) {
      output.line('no activity is in this log');
      return EXIT.NOT_PROVEN;
    }
    for (const line of replayLines(replayed, output, redactor)) output.line(line);
    return flags.on('exit-code') && replayed.replayed.HALT + replayed.replayed.KILL > 0 ? EXIT.FAILED : EXIT.OK;
  },
};

function logOf(invocation: Invocation, named: string): string {
  const path = resolve(invocation.io.cwd, named);
  if (existsSync(path) || !SESSION_NAME.test(named)) return path;
  const inFolder = join(logPlace(invocation).dir, named);
  if (!existsSync(inFolder))
    throw new UsageError(`no log ${JSON.stringify(named)}`, 'name a folder or file, or a session that `countersign report` lists');
  return inFolder;
}

function scopeOf({ io, flags }: Invocation): Scope {
  const file = flags.text('scope');
  if (file !== undefined) return loadScope({ path: resolve(io.cwd, file) }, { env: io.env });
  if (!hasConfig({ io, flags }) || !existsSync(configPath({ io, flags }))) return defaultScope();
  const { scope } = configOf({ io, flags });
  return scope === undefined ? defaultScope() : loadScope({ document: scope }, { env: io.env });
}

function homeOf(env: NodeJS.ProcessEnv): string {
  const named = env['HOME'];
  return named === undefined || named === '' ? homedir() : named;
}

function replayJson(
  { activities, recorded, replayed, rules, changes, first, afterKill, lost, badLines }: Replay,
  redactor: Redactor,
): object {
  return {
    activities,
    recorded,
    replayed,
    rules: Object.fromEntries(rules),
    changes: changes.map(({ from, to, rule, count, examples }) => ({
      from,
      to,
      rule,
      count,
      examples: examples.map(({ logged, verdict }) => ({
        seq: logged.activity.seq,
        at: instant(logged.activity.at),
        reason: redactor.text(verdict.reason),
      })),
    })),
    first: Object.fromEntries(
      Object.entries(first).map(([level, { logged, verdict }]) => [
        level,
        { seq: logged.activity.seq, at: instant(logged.activity.at), rule: verdict.rule, reason: redactor.text(verdict.reason) },
      ]),
    ),
    after_kill: afterKill,
    lost,
    bad_lines: badLines,
  };
}

function* replayLines(
  { activities, recorded, replayed, changes, first, afterKill, lost, badLines }: Replay,
  output: Output,
  redactor: Redactor,
): Generator<string> {
  const levels = ['SAFE', ...LEVELS] as const;
  yield* tableLines(
    [{ title: `${activities} activities` }, ...levels.map((title) => ({ title }))],
    [
      ['as recorded', ...levels.map((level) => String(recorded[level]))],
      ['under this scope', ...levels.map((level) => String(replayed[level]))],
    ],
  );
  for (const level of LEVELS) {
    const found = first[level];
    if (found === undefined) continue;
    yield '';
    yield* wrap(
      safe(
        `first ${level}: activity ${found.logged.activity.seq}, ${instant(found.logged.activity.at)}, ${found.verdict.rule}: ${redactor.text(found.verdict.reason)}`,
      ),
      output.columns,
    );
  }
  if (afterKill > 0) yield* ['', `${afterKill} activities came after the first KILL, and would not have happened.`];
  yield '';
  if (changes.length === 0) yield 'Nothing would change.';
  else {
    yield* tableLines(
      [{ title: 'was' }, { title: 'would be' }, { title: 'times' }, { title: 'rule', minWidth: 12 }],
      changes.slice(0, MAX_SHOWN).map(({ from, to, rule, count }) => [from, to, String(count), safe(rule)]),
      output.isTerminal ? output.columns : undefined,
    );
    if (changes.length > MAX_SHOWN) yield `... and ${changes.length - MAX_SHOWN} more (--json has all)`;
  }
  if (lost > 0) yield `${lost} activities were not in the log: what they would have come to nobody can say.`;
  if (badLines > 0) yield `${badLines} lines could not be read.`;
}
