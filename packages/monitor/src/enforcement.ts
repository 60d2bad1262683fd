/**
 * What of the processes' doings can be prevented, and how surely: decided when a session starts, put on record with it, and never
 * told for more than it is. Pure.
 */
import type { ActionKind } from './activity.ts';
import type { FreezeGrade } from './contain/freezer.ts';
import type { TrapReads } from './kernel/traps.ts';
import { COVERAGE_LEVELS, type CoverageLevel } from './sensor.ts';
import type { MonitorMode } from './verdict.ts';

/** Kinds of doings that can be prevented at all. `memory`: of other processes. `signal`: at whoever watches. */
export const PREVENTABLE = ['exec', 'read', 'write', 'delete', 'rename', 'connect', 'memory', 'signal'] as const;
export type Preventable = (typeof PREVENTABLE)[number];

/**
 * `exact`: it waits for a decision, and what then happens is what was decided. `racy`: it waits, but a hostile program with several
 * threads can exchange what it names in between. `seen`: it is told of, nothing is prevented. `off`: not seen.
 */
export const HOLDS = ['off', 'seen', 'racy', 'exact'] as const;
export type Hold = (typeof HOLDS)[number];

export interface Enforcement {
  readonly level: CoverageLevel | 'none';
  readonly freeze: FreezeGrade;
  readonly actions: Readonly<Record<Preventable, Hold>>;
  /** Keeps the processes from all that the scope does not grant, whatever is decided: no person is asked. */
  readonly contain?: 'landlock' | 'srt';
  /** What `contain: auto` did not take, and why. One line. */
  readonly passedOver?: string;
  /** Why calls do not wait although that was asked for. One line. */
  readonly without?: string;
  /** Node programs among the processes judge themselves too, before they act: which, and what that is not. One line. */
  readonly probe?: string;
  /** For people: one sentence each, without a full stop. */
  readonly notes: readonly string[];
}

export interface EnforcementInput {
  readonly mode: MonitorMode;
  /** Kinds that some sensor sees that has started. */
  readonly gives: readonly ActionKind[];
  /** Of the sensors but kernel control. */
  readonly seenLevel: CoverageLevel | 'none';
  readonly freeze: FreezeGrade;
  /** Calls wait for its supervisor, which runs. Absent: they do not. */
  readonly kernel?: { readonly trapReads: TrapReads; readonly hot?: readonly string[] };
  readonly contain?: 'landlock' | 'srt';
  readonly passedOver?: string;
  readonly without?: string;
  readonly probe?: string;
  /** Sentences of whatever shuts it in. */
  readonly more?: readonly string[];
}

export function enforcementOf(input: EnforcementInput): Enforcement {
  const { mode, gives, seenLevel, freeze, kernel, contain, passedOver, without, probe } = input;
  const isHolding = kernel !== undefined && mode !== 'audit_only';
  const actions = eachOf((kind): Hold => {
    const seen: Hold = kind !== 'signal' && gives.includes(kind) ? 'seen' : 'off';
    if (kernel === undefined || (kind === 'read' && kernel.trapReads === 'off')) return seen;
    // Who watches is kept from signals in every mode: what nobody watches any more is held by nobody.
    if (kind === 'signal') return 'exact';
    if (!isHolding) return 'seen';
    return kernel.trapReads === 'broker' && BROKERED.has(kind) ? 'exact' : 'racy';
  });
  const reached = isHolding ? worth(kernel) : 'L1';
  return {
    level: higher(seenLevel, kernel === undefined ? 'none' : reached, contain === undefined ? 'none' : 'L3'),
    freeze,
    actions,
    ...(contain !== undefined && { contain }),
    ...(passedOver !== undefined && { passedOver }),
    ...(without !== undefined && { without }),
    ...(probe !== undefined && { probe }),
    notes: notesOf(input),
  };
}

/**
 * What is left of it at a level that a better witness knows of: of a ledger, or of the end of a session.
 *
 * @param enforcement - may come from a file: a kind that it lacks is off, a level that is none counts as the lowest.
 */
export function cappedAt(enforcement: Enforcement, level: string): Enforcement {
  const [known, claimed] = [levelNamed(level), levelNamed(enforcement.level)];
  const isLower = rank(known) < rank(claimed);
  const left = isLower ? known : claimed;
  const most: Hold = left === 'none' ? 'off' : rank(left) < rank('L2') ? 'seen' : isLower ? 'racy' : 'exact';
  const actions = eachOf((kind) => lower(enforcement.actions[kind] ?? 'off', most));
  if (!isLower) return { ...enforcement, level: left, actions };
  const { contain: _, passedOver: __, probe: ___, ...rest } = enforcement;
  return { ...rest, level: left, actions, notes: [`what was decided at the start was for level ${claimed}`] };
}

function levelNamed(level: string): CoverageLevel | 'none' {
  return COVERAGE_LEVELS.find((each) => each === level) ?? 'none';
}

/** What a level is worth, in half a sentence. The same wherever a person reads of one. */
export const LEVEL_MEANS: Readonly<Record<CoverageLevel | 'none', string>> = {
  none: 'nothing is seen any more',
  L0: 'a poll sees what lasts, prevents nothing',
  L1: 'events are seen as they happen, prevents nothing',
  L2: 'what an agent does waits for the rules, racy against hostile threads',
  L3: 'what an agent does waits for the rules, files hold against hostile threads',
};

/** All of the table on one line: what holds, how surely, and what does not. */
export function holdsText(enforcement: Enforcement): string {
  const those = SAYS_HOLD.flatMap(([hold, says]) => {
    const kinds = kindsText(enforcement, hold);
    return kinds === '' ? [] : [`${says}: ${kinds}`];
  });
  return [...(enforcement.contain === undefined ? [] : [`shut in by ${CONTAIN_NAMES[enforcement.contain]}`]), ...those].join('; ');
}

const SAYS_HOLD: readonly (readonly [Hold, string])[] = [
  ['exact', 'held exactly'],
  ['racy', 'held, racy'],
  ['seen', 'only seen'],
  ['off', 'not seen'],
];

/** The kinds that are so, in words: `programs, reading, writing`. */
export function kindsText(enforcement: Enforcement, ...holds: readonly Hold[]): string {
  return PREVENTABLE.filter((kind) => holds.includes(enforcement.actions[kind]))
    .map((kind) => WORDS[kind])
    .join(', ');
}

const WORDS: Readonly<Record<Preventable, string>> = {
  exec: 'programs',
  read: 'reading',
  write: 'writing',
  delete: 'deleting',
  rename: 'renaming',
  connect: 'connections',
  memory: 'memory of other processes',
  signal: 'signals to the monitor',
};

/** Done by us in the place of the process, where it has the same rights. */
const BROKERED: ReadonlySet<Preventable> = new Set(['read', 'write', 'delete', 'rename']);

function worth({ trapReads }: { readonly trapReads: TrapReads }): CoverageLevel {
  return trapReads === 'broker' ? 'L3' : 'L2';
}

function notesOf({ mode, kernel, contain, without, freeze, more = [] }: EnforcementInput): readonly string[] {
  return [
    ...(kernel === undefined ? [without === undefined ? NOTHING_HELD : `${NOTHING_HELD}: ${without}`] : []),
    ...(kernel !== undefined && mode === 'audit_only' ? ['the mode is audit: it is told of before it happens, and nothing is held'] : []),
    ...(kernel !== undefined && mode !== 'audit_only'
      ? ['what is racy is no sandbox: a hostile program with several threads can exchange what it names while that is judged']
      : []),
    ...(kernel?.trapReads === 'broker' && mode !== 'audit_only'
      ? ['files are opened for it: a process with other rights than the monitor opens its own, and that is racy']
      : []),
    ...(kernel?.trapReads === 'off' ? ['opens for reading are not held'] : []),
    ...(kernel?.hot !== undefined && kernel.hot.length > 0
      ? [`reads in ${kernel.hot.length === 1 ? 'one folder' : `${kernel.hot.length} folders`} named as hot are not told of one by one`]
      : []),
    ...(contain === undefined
      ? []
      : [`${CONTAIN_NAMES[contain]} keeps it from what the scope does not grant; within what it grants, the above is all`]),
    ...more,
    ...(freeze === 'signal' ? ['freezing is by signals: a program that starts others fast can get away from it'] : []),
  ];
}

const NOTHING_HELD = 'nothing is held before it happens';
const CONTAIN_NAMES = { landlock: 'landlock', srt: 'sandbox-runtime' } as const;

function eachOf(hold: (kind: Preventable) => Hold): Record<Preventable, Hold> {
  return {
    exec: hold('exec'),
    read: hold('read'),
    write: hold('write'),
    delete: hold('delete'),
    rename: hold('rename'),
    connect: hold('connect'),
    memory: hold('memory'),
    signal: hold('signal'),
  };
}

function lower(one: Hold, other: Hold): Hold {
  return HOLDS.indexOf(one) <= HOLDS.indexOf(other) ? one : other;
}

function higher(...levels: readonly (CoverageLevel | 'none')[]): CoverageLevel | 'none' {
  return levels.reduce((best, level) => (rank(level) > rank(best) ? level : best), 'none');
}

function rank(level: CoverageLevel | 'none'): number {
  return level === 'none' ? -1 : COVERAGE_LEVELS.indexOf(level);
}
