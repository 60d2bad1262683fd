/** Secrets in URLs, connection strings, environment assignments and command line flags. */
import { type Detector, isNameCode, isReference, nameBefore, outside, placeholderEnd, runEnd, type Sighting } from '../detector.ts';
import { isSecretName } from '../key-names.ts';

/** `scheme://user:password@host`: the password. */
export const URL_PASSWORD: Detector = {
  kind: 'url-password',
  triggers: ['://', String.raw`:\/\/`],
  look(text, at, trigger) {
    const start = at + trigger.length;
    const end = runEnd(AUTHORITY_STOP, text, start);
    const nothing = { start, end, secret: false };
    const authority = text.slice(start, end);
    // The last one: people forget to encode an @ in a password.
    const host = authority.lastIndexOf('@');
    const colon = authority.indexOf(':', placeholderEnd(authority, 0));
    if (colon === -1 || host <= colon + 1) return nothing;
    if (isReference(authority.slice(colon + 1, host))) return nothing;
    return { start: start + colon + 1, end: start + host, secret: true };
  },
};
const AUTHORITY_STOP = /[\s/?#"'<>`\\]/g;

/** Addresses that anyone who has them may post to. */
export const WEBHOOK_URL: Detector = {
  kind: 'webhook-url',
  triggers: [
    'hooks.slack.com/services/',
    'hooks.slack.com/workflows/',
    'hooks.slack.com/triggers/',
    'discord.com/api/webhooks/',
    'discordapp.com/api/webhooks/',
  ],
  look(text, at, trigger) {
    const start = at + trigger.length;
    const end = runEnd(PATH_STOP, text, start);
    return end - start < 20 ? undefined : { start, end, secret: true };
  },
};
const PATH_STOP = outside('A-Za-z0-9_/-');

/** Azure connection strings. */
export const CONNECTION_KEY: Detector = {
  kind: 'connection-key',
  triggers: ['AccountKey=', 'SharedAccessKey='],
  look(text, at, trigger) {
    const start = at + trigger.length;
    const end = runEnd(BASE64_STOP, text, start);
    return end - start < 40 ? undefined : { start, end, secret: true };
  },
};
const BASE64_STOP = outside('A-Za-z0-9+/=');

/**
 * `?token=x`, `&password=x`, `;Password=x;`, `--token=x`, `API_KEY=x`: a name that says it is a secret, in a place where
 * program code does not have one. `login(password=password)` and `token = next()` survive.
 */
export const SECRET_PARAMETER: Detector = {
  kind: 'parameter',
  triggers: ['='],
  look(text, at): Sighting | undefined {
    // Most `=` end an operator, or follow a blank or a name too short to be one of ours: nothing more is read for those.
    if (at < 3 || !mayEndName(text.charCodeAt(at - 1)) || !mayEndName(text.charCodeAt(at - 2))) return undefined;
    const { name, before } = nameAndBefore(text, at);
    if (name === '') return undefined;
    const place = placeOf(name, before);
    if (place === undefined || !(isSecretName(name) || (place === 'query' && SIGNATURES.has(name.toLowerCase())))) return undefined;
    const start = place === 'query' || !/["']/.test(text.charAt(at + 1)) ? at + 1 : at + 2;
    const end = runEnd(VALUE_STOP, text, placeholderEnd(text, start));
    const value = text.slice(start, end);
    const secret = value !== '' && !isReference(value) && (place === 'query' || !isCode(value, text.charAt(end)));
    return { start, end: Math.max(end, at + 1), secret };
  },
};
const VALUE_STOP = /[\s&#"'<>;,`()\]}\\|]/g;
/** Presigned URLs: whoever has the signature has the object. */
const SIGNATURES: ReadonlySet<string> = new Set(['sig', 'signature', 'x-amz-signature', 'x-goog-signature']);

function mayEndName(code: number): boolean {
  return isNameCode(code) || code === 0x5d || code === 0x2e || code === 0x5b;
}

function nameAndBefore(text: string, at: number): { readonly name: string; readonly before: string } {
  const name = nameBefore(text, at, '.[]');
  const before = text.charAt(at - name.length - 1);
  // Go and Gson write `&` so in JSON.
  if (before === '\\' && /^u00(?:26|3f)/i.test(name)) return { name: name.slice(5), before: '&' };
  // A literal `\n` in escaped text: its letter is no part of the name.
  return before === '\\' && /^[nrt]/.test(name) ? { name: name.slice(1), before: '\n' } : { name, before };
}

function placeOf(name: string, before: string): 'query' | 'assignment' | undefined {
  if (before === '?' || before === '&' || before === '#') return 'query';
  if (name.startsWith('--') || before === ';' || before === '') return 'assignment';
  return !/[$@:/]/.test(before) && /^[A-Z][A-Z0-9_]*$/.test(name) ? 'assignment' : undefined;
}

function isCode(value: string, next: string): boolean {
  if (value.length < 4 || next === '(') return true;
  return value.length < 200 && /^(?:[A-Za-z_$][\w$]*[.[][\w$.[]*|null|true|false|undefined|await|None)$/.test(value);
}
