/**
 * The files that statements of SQLite name: `ATTACH 'file'` and `VACUUM INTO 'file'`. Undefined stands for one that is not a
 * plain literal: what it would be is known only when it runs.
 */
export function namedFiles(sql: string): readonly (string | undefined)[] {
  const tokens = [...tokensOf(sql)];
  const files: (string | undefined)[] = [];
  let start = 0;
  for (let at = 0; at <= tokens.length; at++) {
    if (at < tokens.length && tokens[at]?.text !== ';') continue;
    const statement = tokens.slice(start, at);
    start = at + 1;
    const index = fileIndex(statement.map(({ text }) => text.toUpperCase()));
    if (index === undefined) continue;
    const name = statement[index];
    const next = statement[index + 1]?.text.toUpperCase();
    files.push(name?.literal !== undefined && (next === undefined || next === 'AS') ? name.literal : undefined);
  }
  return files;
}

/** Where the name of the file stands in one statement, which `EXPLAIN` may introduce. */
function fileIndex(words: readonly string[]): number | undefined {
  const verb = words.findIndex((word) => word !== 'EXPLAIN' && word !== 'QUERY' && word !== 'PLAN');
  if (words[verb] === 'ATTACH') return words[verb + 1] === 'DATABASE' ? verb + 2 : verb + 1;
  if (words[verb] !== 'VACUUM') return undefined;
  const into = words.indexOf('INTO', verb);
  return into === -1 ? undefined : into + 1;
}

interface Token {
  readonly text: string;
  /** Of `'text'`, and of `"text"`, which SQLite takes for text where it is no column. */
  readonly literal?: string;
}

const TOKEN = /\s+|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|[\p{L}\p{N}_$]+|[\s\S]/gu;

function* tokensOf(sql: string): Generator<Token> {
  for (const [text] of sql.matchAll(TOKEN)) {
    if (/^(?:\s|--|\/\*)/.test(text)) continue;
    const quote = text[0];
    if ((quote === "'" || quote === '"') && text.length > 1) yield { text, literal: text.slice(1, -1).replaceAll(quote + quote, quote) };
    else yield { text };
  }
}
