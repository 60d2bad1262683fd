/** Credentials in HTTP headers, wherever a text quotes them: a curl command, a log line, a code sample. */
import { type Detector, isVaried, nameBefore, outside, runEnd } from '../detector.ts';
import { isSecretName } from '../key-names.ts';

const TOKEN_STOP = outside('A-Za-z0-9._~+/=-');

/** `Authorization: <scheme> <token>`; the scheme stays readable. */
export const AUTHORIZATION: Detector = {
  kind: 'authorization',
  triggers: ['uthorization', 'UTHORIZATION'],
  look(text, at, trigger) {
    HEADER_START.lastIndex = at + trigger.length;
    const match = HEADER_START.exec(text);
    if (match === null) return undefined;
    const start = HEADER_START.lastIndex;
    const end = runEnd(TOKEN_STOP, text, start);
    const length = end - start;
    if (length < 8) return undefined;
    // Behind a known scheme almost anything is a token; otherwise `authorization = service.authorize` must survive.
    const secret = SCHEMES.test(match[1] ?? '')
      ? /[^a-z]/.test(text.slice(start, end))
      : length >= 16 && isVaried(text, start, end, 8) && /\d/.test(text.slice(start, end));
    return { start, end, secret };
  },
};
const HEADER_START = /["'\\]{0,3} {0,3}[:=]\s{0,3}[\\"'`]{0,3}(?:([A-Za-z][A-Za-z0-9-]{1,20}) {1,3})?/y;
const SCHEMES = /^(?:bearer|basic|token|api-?key|digest|negotiate|dpop|key)$/i;

/** `Bearer <token>` without the header's name: the token must look like one, since "bearer" is also a word. */
export const BEARER_TOKEN: Detector = {
  kind: 'bearer-token',
  triggers: ['Bearer ', 'bearer ', 'BEARER '],
  look(text, at, trigger) {
    const start = at + trigger.length;
    const end = runEnd(TOKEN_STOP, text, start);
    if (end - start < 20) return undefined;
    return { start, end, secret: isVaried(text, start, end, 8) && /\d/.test(text.slice(start, end)) };
  },
};

/** `Basic <base64>` that decodes to `user:password`, which no word does. */
export const BASIC_CREDENTIALS: Detector = {
  kind: 'basic-credentials',
  triggers: ['Basic ', 'basic ', 'BASIC '],
  look(text, at, trigger) {
    const start = at + trigger.length;
    const end = runEnd(TOKEN_STOP, text, start);
    if (end - start < 6) return undefined;
    return { start, end, secret: isUserAndPassword(text.slice(start, Math.min(end, start + 1024))) };
  },
};

function isUserAndPassword(base64: string): boolean {
  const decoded = Buffer.from(base64, 'base64').toString('utf8');
  return decoded.includes(':') && !/[\p{Cc}\ufffd]/u.test(decoded);
}

/** `Cookie: a=b; c=d` and `Set-Cookie:`, to the end of the line or quotation. */
export const COOKIE_HEADER: Detector = {
  kind: 'cookie',
  triggers: ['ookie: ', 'OOKIE: '],
  look(text, at, trigger) {
    const start = at + trigger.length;
    FIRST_COOKIE.lastIndex = start;
    return FIRST_COOKIE.test(text) ? { start, end: runEnd(LINE_STOP, text, start), secret: true } : undefined;
  },
};
const FIRST_COOKIE = /[^\s=;,"'<>`[]{1,128}=[^\s;,"'`<>[]/y;
const LINE_STOP = /[\r\n"'`<>\\]/g;

/** `X-Api-Key: <value>`, `PRIVATE-TOKEN: <value>`: any header whose name says it is a secret. */
export const SECRET_HEADER: Detector = {
  kind: 'header',
  triggers: ['-Key: ', '-key: ', '-KEY: ', '-Token: ', '-token: ', '-TOKEN: ', '-Secret: ', '-secret: '],
  look(text, at, trigger) {
    const name = nameBefore(text, at) + trigger.slice(0, -2);
    if (!isSecretName(name)) return undefined;
    const start = at + trigger.length;
    const end = runEnd(TOKEN_STOP, text, start);
    if (end - start < 8) return undefined;
    return { start, end, secret: isVaried(text, start, end, 6) && /\d/.test(text.slice(start, end)) };
  },
};
