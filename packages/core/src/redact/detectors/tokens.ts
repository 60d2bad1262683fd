/** Keys and tokens that a vendor gave a prefix of their own. */
import { type Detector, isVaried, outside, runEnd, type Sighting, startsWord } from '../detector.ts';

/** Different characters a key has at least; `ghp_xxxxxxxx` in a manual has fewer. */
const VARIED = 8;

/** A prefix, then at least `least` characters of a class; the whole run is the secret, whatever its length. */
export function runToken(kind: string, triggers: readonly string[], characters: string, least: number): Detector {
  const stop = outside(characters);
  return {
    kind,
    triggers,
    look(text, at, trigger) {
      const body = at + trigger.length;
      const end = runEnd(stop, text, body);
      return end - body < least ? undefined : { start: at, end, secret: isVaried(text, body, end, VARIED) };
    },
  };
}

/** A prefix, then exactly `length` characters of a class, and no letter or digit after them. */
export function fixedToken(kind: string, triggers: readonly string[], characters: string, length: number): Detector {
  const body = new RegExp(`[${characters}]{${length}}(?![A-Za-z0-9_])`, 'y');
  return {
    kind,
    triggers,
    look(text, at, trigger) {
      const start = at + trigger.length;
      body.lastIndex = start;
      if (!body.test(text) || !isVaried(text, start, start + length, VARIED)) return undefined;
      return { start: at, end: start + length, secret: true };
    },
  };
}

/**
 * `sk-...` of OpenAI and of the many who copied it. The prefix alone says little (`sk-fading-circle` is a CSS class), so one
 * part of the run must be long and mixed. Each demand stays true when text is added.
 */
export const API_KEY: Detector = {
  kind: 'api-key',
  triggers: ['sk-'],
  look(text, at) {
    if (!startsWord(text, at)) return undefined;
    const end = runEnd(KEY_STOP, text, at + 3);
    if (end - at < 19) return undefined;
    return { start: at, end, secret: isMixed(text.slice(at + 3, end)) };
  },
};
const KEY_STOP = outside('A-Za-z0-9_-');

function isMixed(run: string): boolean {
  if (!/[A-Za-z0-9]{16}/.test(run) || !isVaried(run, 0, run.length, VARIED)) return false;
  return count(run, /\d/g, 3) || (count(run, /\d/g, 1) && count(run, /[A-Z]/g, 2)) || (count(run, /[A-Z]/g, 8) && count(run, /[a-z]/g, 8));
}

function count(run: string, pattern: RegExp, wanted: number): boolean {
  pattern.lastIndex = 0;
  for (let seen = 0; seen < wanted; seen++) if (!pattern.test(run)) return false;
  return true;
}

/** `SG.` id `.` secret. */
export const SENDGRID_KEY: Detector = {
  kind: 'sendgrid-key',
  triggers: ['SG.'],
  look(text, at) {
    SENDGRID.lastIndex = at;
    return SENDGRID.test(text) ? { start: at, end: SENDGRID.lastIndex, secret: true } : undefined;
  },
};
const SENDGRID = /SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{32,64}/y;

/** `SK` and 32 hex digits could be anything: only where Twilio is named nearby. */
export const TWILIO_KEY: Detector = {
  kind: 'twilio-key',
  triggers: ['SK'],
  look(text, at): Sighting | undefined {
    TWILIO.lastIndex = at;
    if (!startsWord(text, at) || !TWILIO.test(text)) return undefined;
    const near = text.slice(Math.max(0, at - CONTEXT_CHARS), at + CONTEXT_CHARS);
    return /twilio/i.test(near) ? { start: at, end: at + 34, secret: true } : undefined;
  },
};
const TWILIO = /SK[0-9a-f]{32}(?![A-Za-z0-9])/y;
const CONTEXT_CHARS = 100;
