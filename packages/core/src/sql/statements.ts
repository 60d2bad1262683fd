/** Tokens cut into statements, also where T-SQL needs no `;`: `select 1 drop table users` is two. */
import type { Token } from './tokens.ts';

export type Statement = readonly Token[];

/** Words that start a statement wherever T-SQL finds them. */
const STARTERS: ReadonlySet<string> = new Set(
  (
    'drop truncate delete update insert merge exec execute grant revoke deny alter create shutdown kill backup restore dbcc declare waitfor ' +
    'bulk reconfigure begin'
  ).split(' '),
);
/** Behind these they are a part of the statement: `for update`, `on delete cascade`, `do update set`, `as update`. */
const CONTINUING: ReadonlySet<string> = new Set(
  'for do key on then of as before after or instead no not explain analyze verbose replication'.split(' '),
);
/** In these such words are names of rights, of events, or the body of something. */
const WHOLE: ReadonlySet<string> = new Set(
  'create alter grant revoke deny comment merge copy prepare declare explain describe desc do call security begin show'.split(' '),
);
const QUERY_WORDS: ReadonlySet<string> = new Set(['select', 'insert', 'update', 'delete', 'merge', 'values', 'table', 'replace']);

export function statementsOf(tokens: readonly Token[]): readonly Statement[] {
  const found: Statement[] = [];
  let current: Token[] = [];
  let depth = 0;
  let isOpen = false;
  const take = (): void => {
    if (current.length > 0) found.push(current);
    current = [];
    depth = 0;
    isOpen = false;
  };
  for (const [index, token] of tokens.entries()) {
    if (token.kind === 'mark') {
      if (token.text === ';') {
        take();
        continue;
      }
      if (token.text === '(') depth += 1;
      if (token.text === ')') depth -= 1;
    }
    if (isSeparator(token, tokens[index - 1], tokens[index + 1])) {
      take();
      continue;
    }
    // What follows the `with` of a statement is its verb.
    const isBody = verbOf(current) === 'with' && !isOpen && token.kind === 'word' && depth === 0 && QUERY_WORDS.has(token.text);
    if (isBody) isOpen = true;
    else if (depth === 0 && current.length > 0 && startsAnother(current, token, tokens[index + 1])) take();
    current.push(token);
  }
  take();
  return found;
}

/** The first word, parentheses aside. */
export function verbOf(statement: readonly Token[]): string | undefined {
  const first = statement.find((token) => token.kind !== 'mark' || token.text !== '(');
  return first?.kind === 'word' ? first.text : undefined;
}

/** `GO` on a line of its own, for the tools of SQL Server. */
function isSeparator(token: Token, before: Token | undefined, after: Token | undefined): boolean {
  if (token.kind !== 'word' || token.text !== 'go' || !token.startsLine) return false;
  return before !== undefined && (after === undefined || after.kind === 'value' || (after.kind === 'word' && after.startsLine));
}

function startsAnother(current: readonly Token[], token: Token, after: Token | undefined): boolean {
  if (token.kind !== 'word' || !STARTERS.has(token.text) || WHOLE.has(verbOf(current) ?? '')) return false;
  if (after === undefined || after.kind === 'mark') return token.text === 'shutdown' || token.text === 'reconfigure';
  const before = current.at(-1);
  if (before?.kind === 'word') return !CONTINUING.has(before.text);
  return !(before?.kind === 'mark' && (before.text === '.' || before.text === ','));
}
