/** The texts of a result: what detectors look through, and what is left of it when it is cut. */
import type { Json } from '../call.ts';

/** Every text in it, one per line; of a text itself. @param names - names of members, too. */
export function textsOf(value: Json, names: boolean): string {
  if (typeof value === 'string') return value;
  const texts: string[] = [];
  collect(value, names, texts);
  return texts.join('\n');
}

function collect(value: Json, names: boolean, texts: string[]): void {
  if (typeof value === 'string') texts.push(value);
  else if (isList(value)) for (const item of value) collect(item, names, texts);
  else if (typeof value === 'object' && value !== null) {
    for (const [name, member] of Object.entries(value)) {
      if (names) texts.push(name);
      collect(member, names, texts);
    }
  }
}

/**
 * A result as one text. Of content blocks, as MCP and chat models have them, the texts; of anything else that is no text its
 * JSON.
 */
export function asText(value: Json): string {
  if (typeof value === 'string') return value;
  const content = isObject(value) && Array.isArray(value['content']) ? (value['content'] as readonly Json[]) : value;
  if (isList(content) && content.length > 0 && content.every(isBlock)) return content.map(blockText).join('\n');
  return JSON.stringify(value);
}

type Block = { readonly type: string } & { readonly [name: string]: Json };

function isBlock(value: Json): value is Block {
  return isObject(value) && typeof value['type'] === 'string';
}

function blockText(block: Block): string {
  const { text, resource } = block;
  if (typeof text === 'string') return text;
  if (resource !== undefined && isObject(resource) && typeof resource['text'] === 'string') return resource['text'];
  return `[${block.type}]`;
}

function isObject(value: Json): value is { readonly [name: string]: Json } {
  return typeof value === 'object' && value !== null && !isList(value);
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

/** How far back a cut moves so that it does not part what is one character to a reader. */
const MAX_STEP_BACK = 32;
const JOINS = /^(?:\p{M}|\p{Emoji_Modifier}|\u200c|\u200d|[\u{e0020}-\u{e007f}])/u;

/** The first `maxChars` characters (UTF-16 units) or a little less: no cut parts a character from its marks. */
export function cutText(text: string, maxChars: number): string {
  if (text.length <= maxChars) return text;
  let end = maxChars;
  const least = Math.max(0, maxChars - MAX_STEP_BACK);
  while (end > least && isInside(text, end)) end -= 1;
  return text.slice(0, isInside(text, end) ? wholeUnits(text, maxChars) : end).toWellFormed();
}

/** How many of its first characters (UTF-16 units) have at most `maxBytes` bytes of UTF-8. */
export function charsWithin(text: string, maxBytes: number): number {
  // No character has more than three bytes.
  return text.length * 3 <= maxBytes ? text.length : new TextEncoder().encodeInto(text, new Uint8Array(maxBytes)).read;
}

function isInside(text: string, at: number): boolean {
  return isLowSurrogate(text, at) || text.charCodeAt(at - 1) === 0x200d || JOINS.test(text.slice(at, at + 2));
}

/** A tower of marks has no good place: at least no half of a pair is left. */
function wholeUnits(text: string, at: number): number {
  return isLowSurrogate(text, at) ? at - 1 : at;
}

function isLowSurrogate(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code >= 0xdc00 && code <= 0xdfff;
}
