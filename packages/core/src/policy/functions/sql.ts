/**
 * `sql(text)`: what SQL would do, judged from its text.
 *
 * | member        | gives                                                                             |
 * |---------------|------------------------------------------------------------------------------------|
 * | `statements`  | the first word of each statement, in lower case                                     |
 * | `readOnly`    | whether every statement only reads                                                   |
 * | `destructive` | whether one destroys, changes rights, leaves the database, or cannot be excluded to    |
 * | `destroys`    | whether the text shows for certain that one does, whatever else it does not tell         |
 * | `undecided`   | whether the text does not tell; `reasons` says why                                   |
 * | `tables`      | the tables it names; a fault when undecided                                          |
 */
import type { Environment } from '@marcbachmann/cel-js';
import { analyzeSql, type SqlAnalysis } from '../../sql/index.ts';
import { ConditionFault } from '../condition-value.ts';
import { CHARS_PER_STEP, remember, spend } from '../evaluation.ts';

export const SQL_WORDS: readonly string[] = ['sql'];

/** Longer ones are dumps, and no query of an agent. */
const MAX_SQL_CHARS = 100_000;
/** Read once for each family of databases that reads it differently. */
const CHARS_PER_SQL_STEP = CHARS_PER_STEP / 16;

export function registerSql(environment: Environment): void {
  const list = 'list<string>';
  const fields = {
    statements: list,
    readOnly: 'bool',
    destructive: 'bool',
    destroys: 'bool',
    undecided: 'bool',
    reasons: list,
    tables: list,
  };
  environment.registerType('Sql', { ctor: SqlValue, fields });
  environment.registerFunction('sql(string): Sql', (text: string) => {
    if (text.length > MAX_SQL_CHARS) throw new ConditionFault(`sql() takes at most ${MAX_SQL_CHARS} characters`);
    return remember('sql', text, () => {
      spend(1 + text.length / CHARS_PER_SQL_STEP);
      return new SqlValue(analyzeSql(text));
    });
  });
}

class SqlValue {
  readonly statements: readonly string[];
  readonly readOnly: boolean;
  readonly destructive: boolean;
  readonly destroys: boolean;
  readonly undecided: boolean;
  readonly reasons: readonly string[];
  readonly #tables: readonly string[];

  constructor(analysis: SqlAnalysis) {
    this.statements = analysis.statements;
    this.readOnly = analysis.readOnly;
    this.destructive = analysis.destructive;
    this.destroys = analysis.destroys;
    this.undecided = analysis.undecided;
    this.reasons = analysis.reasons;
    this.#tables = analysis.tables;
  }

  /** @throws {ConditionFault} when some may be missing: neither `exists` nor `all` has an answer then. */
  get tables(): readonly string[] {
    if (this.undecided) throw new ConditionFault('the tables of this sql are not all known; ask undecided first');
    return this.#tables;
  }
}
