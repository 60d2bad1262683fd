/** What differs between two versions of arguments, for a terminal: one line for each value, escaped and bounded. */
import type { Json } from '../call.ts';
import { type ArgumentChange, argumentChanges, commonEnds } from './changes.ts';
import { clip, escapeForTerminal, nameText } from './terminal-text.ts';

export interface ChangeLineLimits {
  readonly maxLines: number;
  /** Characters of a value. Of longer ones the part is shown where they begin to differ. */
  readonly maxValueChars: number;
  /** Where all of it can be seen: said wherever something is left out. */
  readonly whole: string;
}

const MAX_PLACE_CHARS = 300;
/** Characters that are shown of what two texts have in common before they differ. */
const LEAD_CHARS = 16;

/** `~ /amount: 700 -> 70`, `+ /note: "x"`, `- /old: [1]`. Two values that differ never look the same, however long they are. */
export function changeLines(from: Json, to: Json, { maxLines, maxValueChars, whole }: ChangeLineLimits): readonly string[] {
  const { changes, more } = argumentChanges(from, to);
  const lines = changes.slice(0, maxLines).map((change) => changeLine(change, maxValueChars, whole));
  const hidden = changes.length - lines.length + more;
  return hidden > 0 ? [...lines, `… ${hidden} more changes not shown: ${whole}`] : lines;
}

function changeLine({ pointer, before, after }: ArgumentChange, maxChars: number, whole: string): string {
  const place = pointer === '' ? '(all)' : nameText(pointer, Number.POSITIVE_INFINITY, '');
  const shownPlace = clip(place, MAX_PLACE_CHARS);
  const [was, is] = [before, after].map((value) => (value === undefined ? undefined : escapeForTerminal(textOf(value))));
  const longest = Math.max(was?.length ?? 0, is?.length ?? 0);
  const isCut = longest > maxChars;
  const start = was === undefined || is === undefined || !isCut ? 0 : commonEnds(was, is).start;
  const shown = (text: string): string => (isCut ? windowOf(text, Math.max(0, start - LEAD_CHARS), maxChars) : text);
  const notes = [
    ...(shownPlace === place ? [] : [`the name has ${pointer.length} characters`]),
    ...(isCut ? [cutNote(before, after)] : []),
  ];
  const note = notes.length === 0 ? '' : ` (cut: ${notes.join('; ')}; ${whole})`;
  if (was === undefined) return `+ ${shownPlace}: ${shown(is ?? '')}${note}`;
  return is === undefined ? `- ${shownPlace}: ${shown(was)}${note}` : `~ ${shownPlace}: ${shown(was)} -> ${shown(is)}${note}`;
}

function cutNote(before: Json | undefined, after: Json | undefined): string {
  const [was, is] = [before, after].map((value) => (typeof value === 'string' ? value : textOf(value)));
  if (before === undefined || after === undefined) return `${(before === undefined ? is : was)?.length} characters`;
  return `of ${was?.length} and ${is?.length} characters, which differ from number ${commonEnds(was ?? '', is ?? '').start + 1} on`;
}

/** JSON has no minus zero to write: it would look like the zero it differs from. */
function textOf(value: Json | undefined): string {
  return Object.is(value, -0) ? '-0' : (JSON.stringify(value) ?? '');
}

function windowOf(text: string, at: number, maxChars: number): string {
  const end = at + maxChars;
  return `${at > 0 ? '…' : ''}${text.slice(at, end).toWellFormed()}${end < text.length ? '…' : ''}`;
}
