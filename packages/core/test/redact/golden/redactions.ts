/** What was replaced in a text, by comparing it with what is shown. */
import type { Redactor } from '../../../src/redact/redact.ts';

export interface Redaction {
  readonly kind: string;
  readonly original: string;
  readonly before: string;
  readonly behind: string;
}

const PLACEHOLDER = /\[redacted:([a-z0-9-]+)\]/;
const CONTEXT_CHARS = 80;

export function redactionsIn(text: string, redactor: Redactor): readonly Redaction[] {
  const shown = redactor.text(text);
  if (shown === text) return [];
  // Even places are text that stayed, odd ones kinds. A placeholder that stood in the text already is no redaction.
  const parts = shown.split(PLACEHOLDER);
  const found: Redaction[] = [];
  let at = parts[0]?.length ?? 0;
  for (let i = 1; i < parts.length; i += 2) {
    const stayed = parts[i + 1] ?? '';
    const next = i + 2 >= parts.length ? text.length - stayed.length : text.indexOf(stayed === '' ? '\n' : stayed, at);
    const end = next === -1 ? text.length : next;
    const original = text.slice(at, end);
    if (!PLACEHOLDER.test(original)) {
      found.push({ kind: parts[i] ?? '', original, before: text.slice(Math.max(0, at - CONTEXT_CHARS), at), behind: text.slice(end, end + CONTEXT_CHARS) });
    }
    at = end + stayed.length;
  }
  return found;
}
