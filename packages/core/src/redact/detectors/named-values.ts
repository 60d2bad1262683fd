/**
 * Lists that name a secret in one member and hold it in the next, in text that is no object:
 *
 *     {"name":"DB_PASSWORD","value":"x"}     - name: DB_PASSWORD      <property name="password" value="x"/>
 *                                              value: x
 */
import type { Detector } from '../detector.ts';
import { isSecretName } from '../key-names.ts';
import { isTold, judged, looksChosen, tokenEnd } from './members.ts';
import { delimiterAt, quotedEnd } from './quoted.ts';

/** @param extra - more names that mean a secret, each as its words. */
export function namedValue(extra: readonly (readonly string[])[] = []): Detector {
  return {
    kind: 'key-name',
    triggers: ['value', 'Value'],
    look(text, at, trigger) {
      SIGN.lastIndex = at + trigger.length;
      if (!SIGN.test(text)) return undefined;
      const start = SIGN.lastIndex;
      const named = NAMED.exec(text.slice(Math.max(0, at - MAX_BEFORE), at))?.[1];
      if (named === undefined || !isSecretName(named, extra)) return undefined;
      const name = { start: at, end: at, text: named, extra };
      const quote = delimiterAt(text, start);
      if (quote === undefined) return judged(text, name, start, tokenEnd(text, start), looksChosen);
      const from = start + quote.text.length;
      return judged(text, name, from, quotedEnd(text, from, quote), isTold);
    },
  };
}
const SIGN = /\\{0,7}["']?[ \t]{0,8}[:=][ \t]{0,8}/y;
/** The member before, its name and what it says; nothing but punctuation and blanks follow. */
const NAMED =
  /\b(?:name|key|Name|Key)\\{0,7}["']?[ \t]{0,8}[:=][ \t]{0,8}\\{0,7}["']?([\w.-]{1,64})\\{0,7}["']?,?(?:\\n|\s){0,24}\\{0,7}["']?$/;
const MAX_BEFORE = 160;
