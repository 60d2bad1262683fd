/** JSON with comments and trailing commas, as MCP clients read it. */
import type { Node as JsonNode } from 'jsonc-parser';
import { FileRefusedError } from '../failure.ts';
import { parseJson, position } from './json-edit.ts';
import { type Member, type Node, type Syntax, withinStack } from './syntax.ts';

export const JSON_SYNTAX: Syntax = {
  parse: (text, path) => {
    const root = parseJson(text, path);
    if (root.type !== 'object') throw new FileRefusedError(`${path} holds no JSON object`, 'check that it is the file you mean');
    return withinStack(path, () => nodeOf(root, text, path));
  },
  quote: (value) => JSON.stringify(value),
  key: (name) => JSON.stringify(name),
  members: (text, like, members) => joined(text, like, members),
  insertAfter(text, member, members) {
    const { end } = member.value;
    return { start: end, end, text: `,${separator(text, member)}${joined(text, member, members)}` };
  },
  removeAfter(text, before, removed) {
    if (removed.whole === undefined || !/^\s*,\s*$/.test(text.slice(before.value.end, removed.whole.start))) return undefined;
    return { start: before.value.end, end: removed.whole.end, text: '' };
  },
};

function joined(text: string, like: Member, members: readonly (readonly [string, string])[]): string {
  const colon = text.slice(like.keys[0].end, like.value.start);
  return members
    .map(([key, value]) => `${JSON.stringify(key)}${/^\s*:\s*$/.test(colon) ? colon : ': '}${value}`)
    .join(`,${separator(text, like)}`);
}

/** What stands before the member, if that is the start of its line: the next one gets a line too. */
function separator(text: string, { keys: [{ start }] }: Member): string {
  return /\r?\n[ \t]*$/.exec(text.slice(0, start))?.[0] ?? ' ';
}

function nodeOf(node: JsonNode, text: string, path: string): Node {
  const place = { start: node.offset, end: node.offset + node.length };
  if (node.type === 'string') return { ...place, kind: 'text', value: String(node.value) };
  if (node.type === 'array') return { ...place, kind: 'list', items: (node.children ?? []).map((child) => nodeOf(child, text, path)) };
  if (node.type !== 'object') return { ...place, kind: 'other', value: text.slice(place.start, place.end) };
  const seen = new Set<string>();
  const members = (node.children ?? []).map((child): Member => {
    const [key, value] = child.children ?? [];
    if (key === undefined || value === undefined)
      throw new FileRefusedError(`${path} is not JSON at ${position(text, child.offset)}`, 'correct the file');
    const name = String(key.value);
    // Which of the two a client takes is anybody's guess, so which one is guarded would be too.
    if (seen.has(name)) {
      throw new FileRefusedError(
        `${path} has the key ${JSON.stringify(name)} twice in one object, again at ${position(text, key.offset)}`,
        'remove one of them',
      );
    }
    seen.add(name);
    return {
      key: name,
      keys: [{ start: key.offset, end: key.offset + key.length }],
      isInline: true,
      whole: { start: key.offset, end: value.offset + value.length },
      value: nodeOf(value, text, path),
    };
  });
  return { ...place, kind: 'table', members };
}
