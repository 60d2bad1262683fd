/**
 * TOML, as Codex reads it. `@decimalturn/toml-patch` parses it and says where everything stands; its own `patch` aligns
 * comments anew, so the text is spliced here like JSON.
 */
import { parseDocument } from '@decimalturn/toml-patch';
import { FileRefusedError } from '../failure.ts';
import { type Member, type Node, type Place, type Syntax, withinStack } from './syntax.ts';

type Block = ReturnType<typeof parseDocument>['cst'][number];
type Row = Extract<Block, { type: 'KeyValue' }>;
type Value = Row['value'];
type Location = Block['loc'];

export const TOML_SYNTAX: Syntax = {
  parse: (text, path) => withinStack(path, () => treeOf(parsed(text, path), lineStarts(text))),
  // JSON escapes all that TOML wants escaped but this one character.
  quote: (value) => JSON.stringify(value).replaceAll('\u007f', '\\u007f'),
  key: (name) => (/^[A-Za-z0-9_-]+$/.test(name) ? name : TOML_SYNTAX.quote(name)),
  members: (text, like, members) => joined(text, like, members),
  insertAfter(text, member, members) {
    const at = member.isInline ? member.value.end : lineEnd(text, member.value.end);
    return { start: at, end: at, text: `${separator(text, member)}${joined(text, member, members)}` };
  },
  removeAfter(text, before, removed) {
    if (removed.whole === undefined) return undefined;
    const between = text.slice(before.value.end, removed.whole.start);
    const untouched = before.isInline ? /^\s*,\s*$/ : /^[ \t]*(?:#[^\n]*)?\r?\n[ \t]*$/;
    if (!untouched.test(between)) return undefined;
    return { start: before.isInline ? before.value.end : lineEnd(text, before.value.end), end: removed.whole.end, text: '' };
  },
};

function treeOf(blocks: readonly Block[], lines: readonly number[]): Node {
  const root = new Table();
  for (const block of blocks) {
    if (block.type === 'KeyValue') addRow(root, block, lines, false);
    if (block.type !== 'Table' && block.type !== 'TableArray') continue;
    const { raw, value, loc } = block.key.item;
    const places = segmentPlaces(raw, place(loc, lines).start);
    // What stands below a list of tables is none of an MCP server.
    const table = block.type === 'Table' ? root.descend(value, places) : root.close(value, places);
    for (const row of block.items) if (row.type === 'KeyValue' && table !== undefined) addRow(table, row, lines, false);
  }
  return root.node();
}

function parsed(text: string, path: string): readonly Block[] {
  try {
    const document = parseDocument(text);
    // Only this finds keys that are there twice.
    void document.toJsObject;
    return [...document.cst];
  } catch (cause) {
    if (cause instanceof RangeError) throw cause;
    const { line, column } = positionOf(cause);
    // The library's own message quotes the line, which may hold a secret.
    throw new FileRefusedError(`${path} is not TOML at line ${line}, column ${column}`, 'correct the file; nothing was changed');
  }
}

function positionOf(error: unknown): { readonly line: string; readonly column: string } {
  const line = error instanceof Error && 'line' in error ? String(error.line) : '?';
  return { line, column: error instanceof Error && 'column' in error ? String(error.column) : '?' };
}

/** A table while it is put together: TOML may come back to it from several places. */
class Table {
  readonly #members = new Map<string, { keys: [Place, ...Place[]]; whole: Place | undefined; isInline: boolean; value: Table | Node }>();

  /** @returns undefined where a value stands in the way. */
  descend(path: readonly string[], places: readonly Place[]): Table | undefined {
    const [key, ...rest] = path;
    if (key === undefined) return this;
    const at = places[0] ?? NOWHERE;
    const found = this.#members.get(key);
    if (found === undefined) {
      const value = new Table();
      this.#members.set(key, { keys: [at], whole: undefined, isInline: false, value });
      return value.descend(rest, places.slice(1));
    }
    if (!(found.value instanceof Table)) return undefined;
    found.keys.push(at);
    return found.value.descend(rest, places.slice(1));
  }

  close(path: readonly string[], places: readonly Place[]): undefined {
    const last = path.at(-1);
    if (last === undefined) return;
    const parent = this.descend(path.slice(0, -1), places);
    parent?.set(last, places.at(-1) ?? NOWHERE, undefined, false, { ...NOWHERE, kind: 'other', value: 'list of tables' });
  }

  set(key: string, at: Place, whole: Place | undefined, isInline: boolean, value: Table | Node): void {
    this.#members.set(key, { keys: [at], whole, isInline, value });
  }

  node(): Node {
    const members = [...this.#members].map(
      ([key, { value, ...rest }]): Member => ({ key, ...rest, value: value instanceof Table ? value.node() : value }),
    );
    return { ...NOWHERE, kind: 'table', members };
  }
}

const NOWHERE: Place = { start: 0, end: 0 };

function addRow(table: Table, row: Row, lines: readonly number[], isInline: boolean): void {
  const { raw, value: path } = row.key;
  const places = segmentPlaces(raw, place(row.key.loc, lines).start);
  const last = path.at(-1);
  const parent = table.descend(path.slice(0, -1), places);
  if (last === undefined || parent === undefined) return;
  parent.set(last, places.at(-1) ?? NOWHERE, place(row.loc, lines), isInline, valueOf(row.value, lines));
}

function valueOf(value: Value, lines: readonly number[]): Table | Node {
  const at = place(value.loc, lines);
  if (value.type === 'String') return { ...at, kind: 'text', value: value.value };
  // The types say less than the grammar: items of a list are values.
  if (value.type === 'InlineArray')
    return { ...at, kind: 'list', items: value.items.map(({ item }) => asNode(valueOf(item as Value, lines))) };
  if (value.type !== 'InlineTable') return { ...at, kind: 'other', value: value.type };
  const table = new Table();
  for (const { item } of value.items) addRow(table, item, lines, true);
  return table;
}

function asNode(value: Table | Node): Node {
  return value instanceof Table ? value.node() : value;
}

/** Where each segment of `a."b.c" . d` stands. */
function segmentPlaces(raw: string, start: number): readonly Place[] {
  return [...raw.matchAll(/"(?:\\.|[^"\\])*"|'[^']*'|[^\s.'"]+/g)].map(({ 0: segment, index }) => ({
    start: start + index,
    end: start + index + segment.length,
  }));
}

function joined(text: string, like: Member, members: readonly (readonly [string, string])[]): string {
  // `files.` of `files.command = "npx"`.
  const prefix = text.slice(like.whole?.start ?? like.keys[0].start, like.keys[0].start);
  const equals = text.slice(like.keys[0].end, like.value.start);
  return members.map(([key, value]) => `${prefix}${TOML_SYNTAX.key(key)}${equals}${value}`).join(separator(text, like));
}

function separator(text: string, member: Member): string {
  if (member.isInline) return ', ';
  const start = member.whole?.start ?? member.keys[0].start;
  const indent = /[ \t]*$/.exec(text.slice(text.lastIndexOf('\n', start - 1) + 1, start))?.[0] ?? '';
  return `${text.includes('\r\n') ? '\r\n' : '\n'}${indent}`;
}

/** Before the line's own end, after a comment. */
function lineEnd(text: string, from: number): number {
  const newline = text.indexOf('\n', from);
  if (newline < 0) return text.length;
  return text[newline - 1] === '\r' ? newline - 1 : newline;
}

function lineStarts(text: string): readonly number[] {
  return [0, ...[...text.matchAll(/\n/g)].map(({ index }) => index + 1)];
}

/** Lines count from 1, columns from 0 in UTF-16 units. */
function place({ start, end }: Location, lines: readonly number[]): Place {
  return { start: (lines[start.line - 1] ?? 0) + start.column, end: (lines[end.line - 1] ?? 0) + end.column };
}
