/**
 * Text from an agent, made safe to show in Slack.
 *
 * Whoever controls it may try to address people (`<!channel>`, `<@U1>`, `@here`), to show a link under a false name
 * (`<https://evil|bank>`), to format, to end the code block it stands in, or to hide and reverse characters. All of it is put
 * into code, where Slack formats nothing; `&`, `<` and `>` are written as Slack wants them, so that nothing is parsed; a
 * backtick is spelled out, so that no code ends early; control, bidi and invisible characters are spelled out as on a terminal.
 *
 * @see https://docs.slack.dev/messaging/formatting-message-text
 */
import { escapeForTerminal, escapeJson, nameText } from '@countersign/core';

const CUT = '…';

/** One line in code, and beside it that it is cut. @param maxChars - of what is sent: entities count with all their characters. */
export function codeSpan(text: string, maxChars: number): string {
  const { shown, isCut } = entities(nameText(text, Number.POSITIVE_INFINITY, '').replaceAll('`', '\\u{60}'), maxChars);
  // An empty span would not be code.
  return `\`${shown === '' ? ' ' : shown}${isCut ? CUT : ''}\`${isCut ? ` (cut: ${text.length} characters)` : ''}`;
}

export interface CodeBlock {
  readonly text: string;
  /** Something was left out. */
  readonly isCut: boolean;
}

/** A JSON value as indented text in a code block. Its strings hold the same characters, some of them spelled `\u202e`. */
export function codeBlock(value: unknown, maxChars: number): CodeBlock {
  // Every character becomes at least one, so what lies beyond the limit is not even looked at.
  const start = JSON.stringify(value, undefined, 2).slice(0, maxChars + 1);
  const json = escapeJson(start).replaceAll('`', '\\u0060');
  const { shown, isCut } = entities(json.split('\n').map(escapeForTerminal).join('\n'), maxChars);
  return { text: `\`\`\`\n${shown}${isCut ? `\n${CUT}` : ''}\n\`\`\``, isCut };
}

const ENTITIES: ReadonlyMap<string, string> = new Map([
  ['&', '&amp;'],
  ['<', '&lt;'],
  ['>', '&gt;'],
]);

/** Never cuts within an entity or a character. */
function entities(text: string, maxChars: number): { readonly shown: string; readonly isCut: boolean } {
  let shown = '';
  for (const character of text) {
    const written = ENTITIES.get(character) ?? character;
    if (shown.length + written.length > maxChars) return { shown, isCut: true };
    shown += written;
  }
  return { shown, isCut: false };
}
