/**
 * The bytes behind texts that Node gave us. It reads arguments and environment as UTF-8 and puts U+FFFD where they are none; /proc has
 * them as they were. An agent is to get what its user gave it, not what was lost on the way.
 */
import { readFileSync } from 'node:fs';

const LOST = '\uFFFD';

/** Of what this process was started with: what reads as this text. The text itself in UTF-8 where there is nothing, or nothing was lost. */
export function exactBytes(text: string, startedWith: () => readonly Buffer[]): Buffer {
  if (!text.includes(LOST)) return Buffer.from(text);
  return startedWith().find((bytes) => bytes.toString() === text) ?? Buffer.from(text);
}

/** @param file - `cmdline` or `environ`. Empty where it cannot be read. */
export function startedWith(file: 'cmdline' | 'environ', root = '/proc'): readonly Buffer[] {
  let bytes: Buffer;
  try {
    bytes = readFileSync(`${root}/self/${file}`);
  } catch {
    return [];
  }
  const texts: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const zero = bytes.indexOf(0, at);
    const end = zero < 0 ? bytes.length : zero;
    texts.push(bytes.subarray(at, end));
    at = end + 1;
  }
  return texts;
}
