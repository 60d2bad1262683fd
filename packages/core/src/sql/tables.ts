/** Names of tables in a statement. Rather one too many than one too few: a list of allowed tables must not miss one. */
import type { Token } from './tokens.ts';

/** Behind these a table is named. */
const BEFORE_TABLE: ReadonlySet<string> = new Set(
  'from join straight_join apply into update table using truncate desc describe'.split(' '),
);
/** Between such a word and the name. */
const SKIPPED: ReadonlySet<string> = new Set(
  'only lateral table if exists not ignore low_priority quick delayed high_priority concurrently temporary temp global local unlogged external foreign recursive top percent'.split(
    ' ',
  ),
);
/** They end the list of tables that commas go on with. */
const CLAUSES: ReadonlySet<string> = new Set(
  'where group order having limit offset fetch union except intersect minus returning window select set values qualify for end then else when'.split(
    ' ',
  ),
);
/** `from` inside of these is no clause. */
const FROM_FUNCTIONS: ReadonlySet<string> = new Set(['extract', 'substring', 'trim', 'overlay', 'position']);

interface Level {
  /** A comma goes on with tables. */
  inList: boolean;
  expects: boolean;
  readonly call: string | undefined;
}

/** Dotted, unquoted ones in lower case; without those that the statement defines itself (`with x as (...)`). */
export function tablesOf(statement: readonly Token[]): readonly string[] {
  const own = ownNames(statement);
  const found = new Set<string>();
  const levels: Level[] = [{ inList: false, expects: false, call: undefined }];
  for (let index = 0; index < statement.length; index++) {
    const token = statement[index] as Token;
    const level = levels.at(-1) as Level;
    if (token.kind === 'mark') {
      if (token.text === '(') {
        const before = statement[index - 1];
        const call = before?.kind === 'word' && !level.expects ? before.text : undefined;
        // `from (a join b)` and `from (a, b)`; a subquery starts with a clause, which ends the list again.
        levels.push({ inList: level.expects, expects: level.expects, call });
        level.expects = false;
      } else if (token.text === ')') {
        if (levels.length > 1) levels.pop();
      } else if (token.text === ',') level.expects = level.inList;
      continue;
    }
    if (token.kind === 'word' && startsTables(token.text, statement[index - 1], statement[index + 1], level)) {
      level.inList = level.expects = true;
    } else if (token.kind === 'word' && CLAUSES.has(token.text)) {
      level.inList = level.expects = false;
    } else if (level.expects && token.kind !== 'value' && !(token.kind === 'word' && SKIPPED.has(token.text))) {
      const [name, next] = dottedName(statement, index);
      index = next - 1;
      level.expects = false;
      const after = statement[next];
      const isCall = after?.kind === 'mark' && after.text === '(' && !followsInto(statement, index);
      if (!isCall && !own.has(name)) found.add(name);
    }
  }
  return [...found];
}

function startsTables(word: string, before: Token | undefined, after: Token | undefined, level: Level): boolean {
  if (!BEFORE_TABLE.has(word)) return false;
  if (before?.kind === 'mark' && before.text === '.') return false;
  if (word === 'from') return !(FROM_FUNCTIONS.has(level.call ?? '') || (before?.kind === 'word' && before.text === 'distinct'));
  // `join b using (id)`, `index using btree (id)`, `order by id desc, x`
  if (word === 'using') return !(after?.kind === 'mark' && after.text === '(');
  if (word === 'desc' || word === 'describe') return before === undefined;
  if (word === 'update')
    return !(
      before?.kind === 'word' &&
      (before.text === 'for' || before.text === 'do' || before.text === 'key' || before.text === 'on' || before.text === 'then')
    );
  return true;
}

/** `insert into t (a, b)` calls nothing. */
function followsInto(statement: readonly Token[], index: number): boolean {
  for (let at = index; at >= 0; at--) {
    const token = statement[at];
    if (
      token?.kind === 'word' &&
      (token.text === 'into' || token.text === 'table' || token.text === 'replace' || token.text === 'insert' || token.text === 'exists')
    )
      return true;
    if (token?.kind === 'word' && BEFORE_TABLE.has(token.text)) return false;
    if (token?.kind === 'mark' && token.text !== '.') return false;
  }
  return false;
}

function dottedName(statement: readonly Token[], start: number): readonly [string, number] {
  const parts: string[] = [];
  let at = start;
  for (;;) {
    const token = statement[at];
    if (token?.kind === 'word' || token?.kind === 'name') parts.push(token.text);
    else break;
    at += 1;
    const dot = statement[at];
    if (dot?.kind !== 'mark' || dot.text !== '.') break;
    at += 1;
    // `db..table`
    while (isDot(statement[at])) at += 1;
  }
  return [parts.join('.'), Math.max(at, start + 1)];
}

function isDot(token: Token | undefined): boolean {
  return token?.kind === 'mark' && token.text === '.';
}

/** Names behind `with` and behind the comma that follows one. */
function ownNames(statement: readonly Token[]): ReadonlySet<string> {
  const names = new Set<string>();
  if (!statement.some((token) => token.kind === 'word' && token.text === 'with')) return names;
  for (const [index, token] of statement.entries()) {
    if (token.kind !== 'word' && token.kind !== 'name') continue;
    const before = statement[index - 1];
    const starts =
      (before?.kind === 'word' && (before.text === 'with' || before.text === 'recursive')) ||
      (before?.kind === 'mark' && before.text === ',');
    if (starts && definesQuery(statement, index + 1)) names.add(token.text);
  }
  return names;
}

/** `as (` or `(a, b) as (` behind a name, and a query in it. */
export function definesQuery(statement: readonly Token[], start: number): boolean {
  let at = start;
  if (isMark(statement[at], '(')) {
    while (at < statement.length && !isMark(statement[at], ')')) {
      at += 1;
      const token = statement[at];
      if (token?.kind === 'value' || isMark(token, '(')) return false;
    }
    at += 1;
  }
  if (!isWord(statement[at], 'as')) return false;
  at += 1;
  if (isWord(statement[at], 'not')) at += 1;
  if (isWord(statement[at], 'materialized')) at += 1;
  if (!isMark(statement[at], '(')) return false;
  const first = statement[at + 1];
  return first?.kind === 'word' && /^(?:select|values|with|insert|update|delete|merge|table)$/.test(first.text) ? true : isMark(first, '(');
}

export function isWord(token: Token | undefined, text: string): boolean {
  return token?.kind === 'word' && token.text === text;
}

export function isMark(token: Token | undefined, text: string): boolean {
  return token?.kind === 'mark' && token.text === text;
}
