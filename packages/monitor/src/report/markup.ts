/** HTML put together from parts: whatever is not already markup is text, and escaped. */
import { escapeForTerminal } from '@countersign/core';

/** Markup. Only `markup` makes it: a string never passes for one. */
export class Markup {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

export type Part = string | number | Markup | undefined | false | readonly Part[];

/** A template: what stands in it is text unless it is markup. Attribute values must stand in double quotes. */
export function markup(strings: TemplateStringsArray, ...parts: readonly Part[]): Markup {
  return new Markup(strings.reduce((text, string, i) => text + string + (i < parts.length ? textOf(parts[i]) : ''), ''));
}

function textOf(part: Part): string {
  if (part === undefined || part === false) return '';
  if (part instanceof Markup) return part.text;
  if (typeof part === 'object') return part.map(textOf).join('');
  return escapeHtml(String(part));
}

/** For text and for values in quotes. Characters that hide or turn text around are spelled. */
function escapeHtml(text: string): string {
  return escapeForTerminal(text).replace(/[&<>"'`=]/g, (character) => `&#${character.charCodeAt(0)};`);
}
