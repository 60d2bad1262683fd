/**
 * Judges activities one by one. Pure but for its memory, which is bounded: no clock, no files (links of the folders it is given are
 * followed once, when it is made). All rules look at each activity; the highest level wins.
 */
import { realpathSync } from 'node:fs';
import { tmpdir } from 'node:os';
import type { ActionKind, Activity } from '../activity.ts';
import type { Scope } from '../scope/scope.ts';
import { scopeSummary } from '../scope/summary.ts';
import { LEVELS, MAX_EVIDENCE, type Verdict } from '../verdict.ts';
import { Doubles } from './doubles.ts';
import { FlagCount } from './flags.ts';
import { foldersOf } from './folders.ts';
import { FAILED_RULE, FAMILIES, ODD_RULE } from './index.ts';
import { MAX_PATH_CHARS } from './path-text.ts';
import { quoted } from './quoted.ts';
import type { Finding, HostsLine, Judging, Setting } from './rule.ts';
import { type Seen, seenOf } from './seen.ts';

export interface RuleEngineOptions {
  readonly workspace: string;
  readonly home: string;
  /** Folders for temporary files, on top of those of the system. */
  readonly tmp?: readonly string[];
  /** Countersign's own: touched by the watched tree they are KILL. */
  readonly own?: {
    /** Ledger, key, folder of logs and incidents. */
    readonly files?: readonly string[];
    /**
     * What a guard of the tree uses too. Whoever judges before it happens does not know who is one: there using it is HALT, so that it
     * waits until that is known. Deleting or replacing it is KILL for all.
     */
    readonly shared?: readonly string[];
    /** Of `shared`: databases. A guard opens them to read, or to read and write; whatever else is done to them is KILL for all. */
    readonly databases?: readonly string[];
    /** Configurations: reading one is only a flag. */
    readonly configs?: readonly string[];
    readonly pids?: readonly number[];
  };
  /** Lines of `/etc/hosts`, from before there was anybody to watch. */
  readonly hosts?: readonly HostsLine[];
  /** Sensors whose sightings are the word of whoever is watched: judged, and not counted. */
  readonly uncounted?: readonly string[];
  /** Whether a pid belongs to the watched tree. Absent: nobody can tell. */
  readonly isMember?: (pid: number) => boolean | undefined;
  /** Working directory of a watched process. */
  readonly cwdOf?: (pid: string) => string | undefined;
  /** `process.platform` when absent: macOS does not tell `A` from `a`. */
  readonly platform?: NodeJS.Platform;
  /** Follows links. Absent: those of this host; a replay of another host's log gives `(path) => path`. */
  readonly real?: (path: string) => string;
  /** Takes secrets out of reasons. */
  readonly redact?: (text: string) => string;
}

export interface RuleEngine {
  /** Never throws: a rule that does gives `rule-failed`. */
  judge(activity: Activity): Verdict;
  /** Somebody else made a FLAG of what was SAFE here: it counts. Gives what that comes to, if anything. */
  flagged(activity: Activity, rule: string): Verdict | undefined;
  /** A person let a HALT go on: what led to it is not held against what follows. */
  accept(verdict: Pick<Verdict, 'rule' | 'evidence'>): void;
  /** The scope in a few lines. */
  summary(): string;
}

export function ruleEngine(scope: Scope, options: RuleEngineOptions): RuleEngine {
  const platform = options.platform ?? process.platform;
  const folders = foldersOf({
    workspace: options.workspace,
    home: options.home,
    tmp: options.tmp ?? [tmpdir()],
    folds: platform === 'darwin' || platform === 'win32',
    real: options.real ?? realPath,
  });
  const setting: Setting = {
    scope,
    hosts: options.hosts ?? [],
    literal: scope.form !== 'countersign',
    folders,
    own: {
      files: options.own?.files ?? [],
      shared: options.own?.shared ?? [],
      databases: options.own?.databases ?? [],
      configs: options.own?.configs ?? [],
      pids: options.own?.pids ?? [],
    },
    isMember: options.isMember ?? (() => undefined),
  };
  const all = FAMILIES.map((family) => ({ family, judging: family.begin(setting) }));
  const byKind = new Map<ActionKind, Judging[]>();
  for (const { family, judging } of all) for (const kind of family.kinds) byKind.set(kind, [...(byKind.get(kind) ?? []), judging]);
  const doubles = new Doubles(options.uncounted);
  const flags = new FlagCount(scope);
  const redact = options.redact ?? ((text: string) => text);

  const look = (activity: Activity): Finding | undefined => {
    let worst: Finding | undefined;
    const found = (finding: Finding): void => {
      if (worst === undefined || LEVELS.indexOf(finding.level) > LEVELS.indexOf(worst.level)) worst = finding;
    };
    try {
      const seen = seenOf(activity, folders, doubles, options.cwdOf);
      if (isOdd(activity)) found({ rule: ODD_RULE.id, level: 'FLAG', reason: 'a name longer than any there is' });
      for (const judging of byKind.get(activity.action.kind) ?? []) judgeWith(judging, seen, found);
    } catch {
      found(FAILED);
    }
    return worst;
  };
  const verdictOf = (activity: Activity, finding: Finding): Verdict => ({
    level: finding.level,
    rule: finding.rule,
    reason: redact(finding.reason),
    evaluator: 'rules',
    confidence: 1,
    evidence: [...(finding.evidence ?? []).filter((seq) => seq !== activity.seq).slice(-(MAX_EVIDENCE - 1)), activity.seq],
    ...(finding.ambiguous === true && finding.level === 'FLAG' && { ambiguous: true }),
  });

  return {
    judge(activity) {
      const finding = look(activity);
      if (finding === undefined) return safe(activity);
      const added = finding.level === 'FLAG' ? flags.add(`${finding.rule} ${finding.reason}`, activity.at, activity.seq) : undefined;
      return verdictOf(activity, added ?? finding);
    },
    flagged(activity, rule) {
      const added = flags.add(rule, activity.at, activity.seq);
      return added === undefined ? undefined : verdictOf(activity, added);
    },
    accept({ rule, evidence }) {
      for (const { family, judging } of all) if (family.rules.some(({ id }) => id === rule)) judging.accept?.(rule, evidence);
      if (rule === 'flag-accumulation') flags.clear();
    },
    summary: () => scopeSummary(scope),
  };
}

const FAILED: Finding = { rule: FAILED_RULE.id, level: 'HALT', reason: 'a rule could not judge this' };

/** One rule that fails must not keep the others from judging. */
function judgeWith(judging: Judging, seen: Seen, found: (finding: Finding) => void): void {
  try {
    judging.judge(seen, found);
  } catch {
    found(FAILED);
  }
}

function safe(activity: Activity): Verdict {
  const { action } = activity;
  const isLocal = action.kind === 'connect';
  return {
    level: 'SAFE',
    rule: 'in-scope',
    reason: isLocal
      ? `connection within the scope: ${quoted(action.host ?? action.address ?? 'unknown')}`
      : `${action.kind} within the scope`,
    evaluator: 'rules',
    confidence: 1,
    evidence: [activity.seq],
  };
}

function isOdd({ action }: Activity): boolean {
  return ('path' in action && action.path.length > MAX_PATH_CHARS) || ('to' in action && action.to.length > MAX_PATH_CHARS);
}

function realPath(path: string): string {
  try {
    return realpathSync.native(path);
  } catch {
    return path;
  }
}
