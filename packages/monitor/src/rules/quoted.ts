/** Texts of the watched process inside a reason: one line, nothing a terminal obeys, cut to a length. */
import { clip, escapeForTerminal } from '@countersign/core/light';

const MAX_QUOTED_CHARS = 200;

export function quoted(text: string): string {
  return clip(escapeForTerminal(text.length > MAX_RAW_CHARS ? text.slice(0, MAX_RAW_CHARS) : text), MAX_QUOTED_CHARS);
}
/** Nothing longer is worth escaping. */
const MAX_RAW_CHARS = 1000;
