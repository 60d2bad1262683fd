/**
 * What SQL would do, judged from its text.
 *
 * Nothing here knows the database, its triggers, views and functions. What cannot be decided from the text is `undecided`, and then
 * it is also `destructive` and not `readOnly`, so that a rule of either kind stops it.
 */
import { UNSEEN } from '../policy/functions/host/host-text.ts';
import { judge } from './judge.ts';
import { statementsOf, verbOf } from './statements.ts';
import { readings } from './tokens.ts';

export interface SqlAnalysis {
  /** The first word of each statement, as one of the families reads the text. */
  readonly statements: readonly string[];
  /** Every statement only reads, for every family. */
  readonly readOnly: boolean;
  /** Some statement destroys, changes rights, leaves the database or cannot be excluded to. */
  readonly destructive: boolean;
  /** The text shows for certain that one does, whatever else it does not tell. */
  readonly destroys: boolean;
  readonly undecided: boolean;
  /** Why it is destructive or undecided, in words of ours. */
  readonly reasons: readonly string[];
  /** Tables it names; complete unless `undecided`. */
  readonly tables: readonly string[];
}

const MAX_STATEMENTS = 1000;

export function analyzeSql(text: string): SqlAnalysis {
  const reasons = new Set<string>();
  const tables = new Set<string>();
  let [undecided, destructive, readOnly] = [false, false, true];
  let statements: readonly string[] = [];
  const unknown = (why: string): void => {
    undecided = true;
    reasons.add(why);
  };
  if (!text.isWellFormed() || UNSEEN.test(text.replaceAll(/[ \t\r\n]/g, ''))) unknown('it holds invisible characters');
  const all = readings(text);
  if (all.length === 0) unknown('a quote or a comment does not end, or a character stands where none may');
  const verbLists = new Set<string>();
  for (const tokens of all) {
    const found = statementsOf(tokens);
    if (found.length > MAX_STATEMENTS) unknown('it has too many statements');
    const verbs = found.map((statement) => verbOf(statement) ?? '?');
    if (verbLists.size === 0) statements = verbs;
    verbLists.add(verbs.join(' '));
    for (const statement of found.slice(0, MAX_STATEMENTS)) {
      const judged = judge(statement);
      readOnly &&= judged.readOnly;
      destructive ||= judged.destructive;
      undecided ||= judged.undecided;
      for (const reason of judged.reasons) reasons.add(reason);
      for (const table of judged.tables) tables.add(table);
    }
  }
  if (statements.length === 0) unknown('it has no statement');
  if (verbLists.size > 1) unknown('databases read different statements in it');
  return {
    statements,
    readOnly: readOnly && !undecided && !destructive,
    destructive: destructive || undecided,
    destroys: destructive,
    undecided,
    reasons: [...reasons],
    tables: [...tables],
  };
}
