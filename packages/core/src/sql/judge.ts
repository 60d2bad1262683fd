/** Judging one statement. */
import { HARMLESS_FUNCTIONS, NO_FUNCTIONS, WRITING_FUNCTIONS } from './functions.ts';
import { type Statement, verbOf } from './statements.ts';
import { definesQuery, isMark, isWord, tablesOf } from './tables.ts';
import type { Token } from './tokens.ts';

export interface Judgement {
  readonly readOnly: boolean;
  readonly destructive: boolean;
  readonly undecided: boolean;
  readonly reasons: readonly string[];
  readonly tables: readonly string[];
}

const words = (text: string): ReadonlySet<string> => new Set(text.split(' '));
const READS = words('select values table show with describe desc explain help');
const TRANSACTIONS = words('begin start commit rollback end savepoint release abort');
/** What follows those that start or end a transaction, and not a block of code. */
const TRANSACTION_WORDS = words(
  'transaction work tran isolation level read write only committed uncommitted repeatable serializable snapshot deferred deferrable not immediate exclusive concurrent ' +
    'with consistent and chain no release to savepoint prepared',
);
const WRITES = words(
  'insert update delete merge replace upsert create alter comment analyze analyse reindex vacuum optimize checkpoint cluster refresh lock unlock use listen unlisten ' +
    'notify fetch move close set reset discard flush deallocate rename load repair check checksum cache uncache msck copy pragma declare truncate drop',
);
const DESTROYS = words('drop truncate');
const ADMINISTERS = words(
  'grant revoke deny shutdown kill purge restore backup attach detach install uninstall reassign reconfigure dump change stop security password sync',
);
const RUNS_CODE = words(
  'exec execute call do prepare if while for loop case repeat print waitfor return bulk dbcc delimiter source import',
);
const CREATES_CODE = words(
  'function procedure proc trigger event rule extension language aggregate operator cast conversion assembly package job server subscription publication access transform foreign',
);
const CREATES_RIGHTS = words('user role login credential group certificate policy');
const ALTERS_SERVER = words('system database user role login server group policy instance profile session authorization');
const SETS_RIGHTS = words(
  'role session_authorization authorization password global persist persist_only session_replication_role global_variables',
);
const EXPLAIN_OPTIONS = words(
  'analyze analyse verbose extended partitions format query plan for json xml yaml text traditional tree costs buffers settings wal timing summary true false on off',
);
const MAX_MODIFICATIONS = 100;
/** Names that leave the database wherever they stand. */
const LEAVES_DATABASE = words(
  'outfile dumpfile xp_cmdshell sp_oacreate sp_oamethod openrowset opendatasource openquery load_extension writable_schema',
);
const READING_PRAGMAS = words(
  'table_info table_xinfo table_list index_list index_info index_xinfo foreign_key_list foreign_key_check integrity_check quick_check database_list collation_list ' +
    'function_list module_list pragma_list compile_options',
);

export function judge(statement: Statement): Judgement {
  return new Judge(statement).result();
}

class Judge {
  readonly #tokens: Statement;
  /** How many parentheses are open around each token. */
  readonly #depths: readonly number[];
  readonly #reasons = new Set<string>();
  #readOnly = true;
  #destructive = false;
  #undecided = false;

  constructor(statement: Statement) {
    this.#tokens = statement;
    let depth = 0;
    this.#depths = statement.map((token) => {
      if (isMark(token, ')')) depth -= 1;
      const own = depth;
      if (isMark(token, '(')) depth += 1;
      return own;
    });
  }

  result(): Judgement {
    const tokens = this.#tokens;
    const verb = verbOf(tokens);
    if (verb === undefined) this.#unknown('it does not start with a word');
    else if ((verb === 'explain' || verb === 'describe' || verb === 'desc') && this.#isPlanOnly()) this.#calls();
    else {
      this.#verb(verb);
      this.#modifications();
      this.#calls();
      this.#names();
    }
    return {
      readOnly: this.#readOnly,
      destructive: this.#destructive,
      undecided: this.#undecided,
      reasons: [...this.#reasons],
      tables: tablesOf(tokens),
    };
  }

  #unknown(why: string): void {
    this.#undecided = true;
    this.#writes();
    this.#reasons.add(why);
  }

  #destroys(why: string): void {
    this.#destructive = true;
    this.#writes();
    this.#reasons.add(why);
  }

  #writes(): void {
    this.#readOnly = false;
  }

  /** Whether it shows how a statement would run, and does not run it. */
  #isPlanOnly(): boolean {
    return !this.#tokens.slice(0, this.#explainedAt()).some((token) => isWord(token, 'analyze') || isWord(token, 'analyse'));
  }

  /** Where the statement starts that an `explain` explains. */
  #explainedAt(): number {
    const at = this.#tokens.findIndex(
      (token, index) => index > 0 && token.kind === 'word' && this.#depths[index] === 0 && !EXPLAIN_OPTIONS.has(token.text),
    );
    return at < 0 ? this.#tokens.length : at;
  }

  #verb(verb: string): void {
    if (ADMINISTERS.has(verb)) this.#destroys('it changes rights or the server, or leaves the database');
    else if (DESTROYS.has(verb)) this.#destroys('it drops or empties something');
    else if (RUNS_CODE.has(verb)) this.#unknown('it runs code that is not in the text');
    else if (TRANSACTIONS.has(verb)) this.#transaction();
    else if (WRITES.has(verb)) this.#write(verb);
    else if (!READS.has(verb)) this.#unknown('a statement starts with a word that is not known');
    else if (verb === 'explain' || verb === 'describe' || verb === 'desc') this.#explained();
  }

  #transaction(): void {
    const rest = this.#tokens.slice(1);
    const verb = verbOf(this.#tokens);
    if (verb === 'savepoint' || verb === 'release' || verb === 'rollback') return;
    if (!rest.every((token) => isMark(token, ',') || (token.kind === 'word' && TRANSACTION_WORDS.has(token.text))))
      this.#unknown('it runs a block of code');
  }

  #write(verb: string): void {
    this.#writes();
    const rest = this.#tokens.slice(1);
    const has = (set: ReadonlySet<string>, within = rest.length): boolean =>
      rest.slice(0, within).some((token) => token.kind === 'word' && set.has(token.text));
    if (verb === 'create') this.#create(has);
    else if (verb === 'alter') {
      if (ALTERS_SERVER.has(textOf(rest[0]))) this.#destroys('it changes rights or the server');
      else if (has(CREATES_CODE, 2)) this.#unknown('it changes code that runs later');
      if (has(words('drop truncate disable'))) this.#destroys('it drops or empties something');
    } else if (verb === 'set') {
      if (has(SETS_RIGHTS, 3) || rest.some((token) => token.kind === 'word' && token.text.startsWith('@@global')))
        this.#destroys('it changes rights or the server');
    } else if (verb === 'reset') {
      if (has(words('master slave replica binary persist role authorization'), 2)) this.#destroys('it changes rights or the server');
    } else if (verb === 'load') {
      if (!has(words('data xml'), 2)) this.#unknown('it loads code');
    } else if (verb === 'copy') this.#copy(rest);
    else if (verb === 'pragma') this.#pragma(rest);
    else if (verb === 'vacuum') {
      if (has(words('into'))) this.#destroys('it writes a file');
    } else if (verb === 'declare') {
      if (!has(words('cursor'), 6)) this.#unknown('it runs a block of code');
    } else if (verb === 'insert' && has(words('overwrite'), 1)) this.#destroys('it replaces all rows of a table');
  }

  #create(has: (set: ReadonlySet<string>, within?: number) => boolean): void {
    if (has(CREATES_RIGHTS, 4)) this.#destroys('it changes rights');
    else if (has(CREATES_CODE, 5)) this.#unknown('it creates code that runs later');
    if (has(words('replace'), 2) && has(words('table'), 5)) this.#destroys('it replaces a table');
  }

  /** A file is a value, or a word behind `to` or `from`; a program is code. */
  #copy(rest: readonly Token[]): void {
    const at = rest.findIndex((token, index) => (isWord(token, 'to') || isWord(token, 'from')) && this.#depths[index + 1] === 0);
    const target = rest[at + 1];
    if (isWord(target, 'program')) this.#destroys('it runs a program');
    else if (isWord(target, 'stdout')) this.#readOnly = true;
    else if (!isWord(target, 'stdin')) this.#destroys('it reads or writes a file');
  }

  #pragma(rest: readonly Token[]): void {
    const name = textOf(rest.findLast((token, index) => token.kind === 'word' && (index === 0 || isMark(rest[index - 1], '.'))));
    const sets = rest.some((token) => isMark(token, '=') || isMark(token, '('));
    if (name === 'writable_schema') this.#destroys('it opens the schema for changes');
    else if (!sets || READING_PRAGMAS.has(name)) this.#readOnly = true;
  }

  /** `explain analyze` runs what it explains; its parts are judged below. */
  #explained(): void {
    const inner = textOf(this.#tokens[this.#explainedAt()]);
    if (!/^(?:select|values|table|with|insert|update|delete|merge|replace)$/.test(inner))
      this.#unknown('it explains a statement that is not known');
  }

  /** Modifications where a statement or a part of it starts: also `with gone as (delete ...)`. */
  #modifications(): void {
    const tokens = this.#tokens;
    const verb = verbOf(tokens);
    let count = 0;
    for (const [index, token] of tokens.entries()) {
      if (!isModification(token) || isMark(tokens[index + 1], '(')) continue;
      const before = tokens[index - 1];
      const starts =
        index === 0 || isMark(before, '(') || (verb === 'with' && isMark(before, ')')) || (isExplain(verb) && this.#depths[index] === 0);
      if (!starts) continue;
      this.#writes();
      count += 1;
      if (count > MAX_MODIFICATIONS) return this.#unknown('it has too many parts');
      if ((token.text === 'delete' || token.text === 'update') && !isBounded(tokens, index))
        this.#destroys('it changes every row of a table');
      if (token.text === 'drop' || token.text === 'truncate') this.#destroys('it drops or empties something');
    }
    if (verb === 'merge' && tokens.some((token) => isWord(token, 'delete'))) this.#destroys('it deletes in a merge');
    if (verb === 'select' || verb === 'with' || verb === 'values' || verb === 'table') {
      for (const [index, token] of tokens.entries()) {
        if (isWord(token, 'into') && !isMark(tokens[index - 1], '.')) this.#writes();
        if (isWord(token, 'for') && /^(?:update|share|no|key)$/.test(textOf(tokens[index + 1]))) this.#writes();
        if (isWord(token, 'lock') && isWord(tokens[index + 1], 'in')) this.#writes();
      }
    }
  }

  #calls(): void {
    const tokens = this.#tokens;
    const verb = verbOf(tokens);
    if (verb === 'pragma') return;
    // Of a definition only the parts run that compute something: types and columns with parentheses call nothing.
    const runsFrom = /^(?:create|alter)$/.test(verb ?? '')
      ? tokens.findIndex((each) => isWord(each, 'as') || isWord(each, 'default') || isWord(each, 'check'))
      : 0;
    for (const [index, token] of tokens.entries()) {
      if ((token.kind !== 'word' && token.kind !== 'name') || !isMark(tokens[index + 1], '(')) continue;
      const before = tokens[index - 1];
      if (token.kind === 'word' && NO_FUNCTIONS.has(token.text) && !isMark(before, '.')) continue;
      if (before !== undefined && namesSomething(before) && !this.#isTableFunction(index)) continue;
      if (isMark(before, ',') && verb === 'with' && definesQuery(tokens, index + 1)) continue;
      if (isDotted(tokens, index) && this.#isTarget(index)) continue;
      if (runsFrom < 0 || index < runsFrom) continue;
      const isQualified = isMark(before, '.') && textOf(tokens[index - 2]) !== 'pg_catalog';
      const name = token.text;
      if (!isQualified && WRITING_FUNCTIONS.has(name)) this.#writes();
      else if (isQualified || !HARMLESS_FUNCTIONS.has(name)) this.#unknown('it calls a function that is not known to be harmless');
    }
  }

  /** `from f(...)` and `join f(...)` call, `into t (...)` names columns. */
  #isTableFunction(index: number): boolean {
    return /^(?:from|join|apply|lateral)$/.test(textOf(this.#tokens[index - 1]));
  }

  /** `insert into db.t (a, b)`: a dotted name behind a word that names something. */
  #isTarget(index: number): boolean {
    let at = index;
    while (isMark(this.#tokens[at - 1], '.')) at -= 2;
    const before = this.#tokens[at - 1];
    return before !== undefined && namesSomething(before) && !this.#isTableFunction(at);
  }

  #names(): void {
    for (const [index, token] of this.#tokens.entries()) {
      if (token.kind === 'value' || token.kind === 'mark') continue;
      if (LEAVES_DATABASE.has(token.text)) this.#destroys('it leaves the database');
      // `U&"d\0061t"`: a name that is written in escapes.
      if (token.kind === 'word' && token.text === 'u' && isMark(this.#tokens[index + 1], '&') && this.#tokens[index + 2]?.kind === 'name')
        this.#unknown('a name is written in escapes');
      if (token.kind === 'name' && token.text === '') this.#unknown('a name is empty');
    }
  }
}

function isModification(token: Token): token is Extract<Token, { kind: 'word' }> {
  return token.kind === 'word' && /^(?:insert|update|delete|merge|replace|truncate|drop)$/.test(token.text);
}

function isExplain(verb: string | undefined): boolean {
  return verb === 'explain' || verb === 'describe' || verb === 'desc';
}

/** Behind these stands a name, and a parenthesis behind the name holds columns. */
function namesSomething(token: Token): boolean {
  return (
    token.kind === 'word' &&
    /^(?:into|table|exists|references|on|index|key|view|with|recursive|constraint|update|insert|replace|as|window|type|from|join|apply|lateral|using|column|add|overwrite|partition)$/.test(
      token.text,
    )
  );
}

function isDotted(tokens: Statement, index: number): boolean {
  return isMark(tokens[index - 1], '.');
}

/** Whether a `where` bounds the rows: one that is there, and says something about a row. */
function isBounded(tokens: Statement, start: number): boolean {
  let depth = 0;
  for (let at = start; at < tokens.length && depth >= 0; at++) {
    const token = tokens[at] as Token;
    if (isMark(token, '(')) depth += 1;
    if (isMark(token, ')')) depth -= 1;
    if (depth === 0 && isWord(token, 'where')) return saysSomething(tokens, at + 1);
  }
  return false;
}

const END_OF_CONDITION = words('returning order limit group union output option');
const CONSTANTS = words('true false null not is and or between like in any exists');

/** `1 = 1`, `true`, `'a' = 'a'`, `id = id`, and `... or 1 = 1` say nothing. */
function saysSomething(tokens: Statement, start: number): boolean {
  const terms: Token[][] = [[]];
  let depth = 0;
  for (const token of tokens.slice(start)) {
    if (isMark(token, '(')) depth += 1;
    if (isMark(token, ')')) depth -= 1;
    if (depth < 0 || (depth === 0 && token.kind === 'word' && END_OF_CONDITION.has(token.text))) break;
    if (isWord(token, 'or') || (isMark(token, '|') && isMark(terms.at(-1)?.at(-1), '|'))) terms.push([]);
    else terms.at(-1)?.push(token);
  }
  return terms.every((term) => {
    const plain = term.filter((token) => !isMark(token, '(') && !isMark(token, ')'));
    const named = plain.some((token) => token.kind === 'name' || (token.kind === 'word' && !CONSTANTS.has(token.text)));
    const middle = plain.findIndex((token) => isMark(token, '='));
    const isSame = middle > 0 && JSON.stringify(plain.slice(0, middle)) === JSON.stringify(plain.slice(middle + 1));
    return named && !isSame;
  });
}

function textOf(token: Token | undefined): string {
  return token?.kind === 'word' || token?.kind === 'name' ? token.text : '';
}
