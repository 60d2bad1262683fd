/**
 * Which member names say that their value is a secret.
 *
 * A name is split into words (`dbPassword`, `DB_PASSWORD`, `db-password` are all `db password`) and, as in English, the
 * *last* word says what the value is: `password_policy_url` is a URL, `token_count` a count, `client_secret` a secret.
 */

/** Secret as last word, whatever stands before it. Passwords have a name in every language that configuration is written in. */
const SECRET_WORDS: ReadonlySet<string> = words(
  `password passwords passwd passphrase passcode secret secrets credential credentials creds authorization bearer cookie cookies
   jwt otp totp cvv cvc mnemonic jsessionid phpsessid
   passwort kennwort wachtwoord lösenord losenord salasana heslo hasło haslo parola senha contraseña contrasena пароль 密码 密碼 パスワード 비밀번호`,
);

/** Secret as last word only after one of these. */
const SECRET_AFTER: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  [
    'key',
    words(
      `api access secret private encryption decryption signing master hmac symmetric auth authentication session recovery admin role
       encrypt decrypt crypto cipher aes jwt shared account subscription functions deploy unseal wrapping license
       app application ingest ingestion insert integration
       openai anthropic gemini mistral groq stripe sendgrid mailgun mailchimp twilio algolia datadog cosmos cosmosdb azure aws deepl`,
    ),
  ],
  ['keys', words('api access secret private encryption decryption signing master unseal cookie')],
  ['tokens', words('access refresh auth api bearer session secret oauth registration device push id personal bot reset csrf')],
  ['code', words('authorization otp mfa totp recovery backup security verification auth access login sms pairing device reset factor fa')],
  ['codes', words('otp mfa totp recovery backup verification')],
  ['phrase', words('seed recovery secret mnemonic backup pass')],
  ['seed', words('wallet master private secret')],
  ['header', words('authorization cookie')],
  ['pwd', words('db database user admin root login mysql postgres pg redis mongo smtp ftp ssh mail proxy my sa')],
  ['pass', words('db database user admin root login mysql postgres pg redis mongo smtp ftp ssh mail email proxy http auth basic default')],
  ['passe', words('de')],
  ['pat', words('github gitlab gh azure ado devops personal')],
  ['pin', words('card sim atm security')],
  ['pepper', words('password secret')],
  ['number', words('card cc')],
  ['assertion', words('client saml')],
  ['verifier', words('code oauth')],
  ['response', words('saml')],
  ['signature', words('access')],
  ['sid', words('connect')],
]);

/** Names of frameworks and tools that no rule tells: the words they end with. */
const SECRET_ENDINGS: readonly (readonly string[])[] = [
  'client key data',
  'azure storage key',
  'bearer token bedrock',
  'fcm server key',
  'rediscli auth',
  'net session id',
].map((name) => name.split(' '));

/** A `token` after one of these is a place in a list, a piece of text, a design value or a coin, not a credential. */
const PLAIN_TOKENS: ReadonlySet<string> = words(
  `page next prev previous continuation continue pagination paging sync delta resume cursor progress cancel cancellation stop start end
   eos bos pad padding mask unk unknown sep separator delimiter cls special first last per design color theme image max min num total
   prompt completion input output unexpected invalid expected current lookahead syntax starting ending marker bookmark change
   scroll idempotency fencing avg average cached reasoning lexer parse parsed keyword string number identifier comment eof newline
   whitespace operator punctuation word subword font spacing typography shadow radius motion nft erc governance reward native pool
   collateral quote base wrapped fungible fee gas`,
);

/** `imagePullSecrets` are names. */
const PLAIN_SECRETS: ReadonlySet<string> = words('pull');

/** Endings of names written as one word: `dbpassword`, `xapikey`. Long enough to mean nothing else. */
const JOINED_ENDINGS: readonly string[] = (
  'password passwd passphrase passwort apikey secretkey privatekey accesskey authkey encryptionkey masterkey signingkey authtoken accesstoken ' +
  'refreshtoken sessiontoken apitoken bottoken usertoken idtoken bearertoken csrftoken csrfmiddlewaretoken xsrftoken clientsecret apisecret ' +
  'appsecret sharedsecret jwtsecret sessionsecret webhooksecret signingsecret consumersecret sshpass dbpass smtppass secretkeybase motdepasse ' +
  'パスワード 密码 密碼 비밀번호'
).split(' ');

/** Said about a secret without making it anything else: `password_confirmation`, `API_KEY_PROD`, `token2`. */
const NEUTRAL_ENDINGS: ReadonlySet<string> = words(
  `value text string raw plain plaintext confirm confirmation repeat again hash digest encoded encrypted new old prod production staging dev
   test live stage preview sandbox qa uat ci local default primary secondary current backup binary data base b pem der v`,
);

/** Values that give nothing away even under such a name; the middle three are the options of `fetch`. */
const HARMLESS_VALUES: ReadonlySet<string> = new Set(['', 'include', 'omit', 'same-origin', 'true', 'false', 'null', 'none']);

/** Only the end of a name counts. */
const MAX_NAME_CHARS = 200;
const PLACEHOLDERS = /\[redacted:[a-z0-9-]{1,40}\]/g;

/** Something of this is in every built-in name; most names have nothing of it and need no splitting. */
const HINT =
  /pass|pwd|secret|token|key|cred|auth|cookie|jwt|otp|cvv|cvc|bearer|mnemonic|code|phrase|sess|kennwort|woord|losenord|salasana|heslo|haslo|parola|senha|contrasena|seed|pepper|number|card|assertion|verifier|saml|signature|ccnum|(?:pat|pin|pan|sid)(?![a-z])/i;
const ASCII = /^[\x00-\x7f]*$/;

/** @param extra - more names that mean a secret, each as its words (see `nameWords`). */
export function isSecretName(name: string, extra: readonly (readonly string[])[] = []): boolean {
  if (extra.length === 0) return isBuiltInName(name);
  if (isBuiltInName(name)) return true;
  const all = nameWords(name);
  const end = withoutNeutralEnding(all);
  return extra.some((wanted) => endsWith(all, wanted) || endsWith(end, wanted));
}

/** The same names come again and again, in lists of objects above all; splitting one costs a microsecond. */
const JUDGED = new Map<string, boolean>();
const MAX_JUDGED = 1000;
const MAX_JUDGED_CHARS = 64;

function isBuiltInName(name: string): boolean {
  const known = JUDGED.get(name);
  if (known !== undefined) return known;
  const secret = !isPlainName(name) && isSecretByWords(nameWords(name));
  if (name.length <= MAX_JUDGED_CHARS) {
    if (JUDGED.size >= MAX_JUDGED) JUDGED.clear();
    JUDGED.set(name, secret);
  }
  return secret;
}

function isSecretByWords(all: readonly string[]): boolean {
  return isSecretEnd(withoutNeutralEnding(all)) || SECRET_ENDINGS.some((ending) => endsWith(all, ending));
}

/**
 * Names that are a secret only for some values: `pass: 3` counts tests, `PWD=/home/x` is a directory, `card: { last4 }` says
 * nothing, and `auth: none` is a setting.
 */
export function isSecretMember(name: string, value: unknown, extra: readonly (readonly string[])[] = []): boolean {
  if (extra.length === 0 && isPlainName(name)) return false;
  if (isSecretName(name, extra)) return true;
  if (typeof value !== 'string' && typeof value !== 'number') return false;
  const all = nameWords(name);
  if (CARD_WORDS.has(all.at(-1) ?? '')) return CARD_DIGITS.test(String(value).replaceAll(/[ -]/g, ''));
  if (typeof value === 'number') return false;
  const [word, ...more] = all;
  if (more.length > 0) return false;
  // `"auth": "dXNlcjpwYXNz"` in the configuration of docker and npm.
  if (word === 'auth') return isUserAndPassword(value);
  return word === 'pass' || (word === 'pwd' && !/^(?:[/~.]|[A-Za-z]:\\)/.test(value));
}

/** Without a hint of any built-in name. */
export function isPlainName(name: string): boolean {
  return !HINT.test(name) && ASCII.test(name);
}

export function isHarmlessValue(value: string): boolean {
  return HARMLESS_VALUES.has(value);
}

/** Lower-case words of a name; digits are words of their own. Placeholders in a name are not words. */
export function nameWords(name: string): string[] {
  const end = name.length > MAX_NAME_CHARS ? name.slice(-MAX_NAME_CHARS) : name;
  const spaced = end
    .replace(PLACEHOLDERS, ' ')
    // Soft hyphens and blanks without width, which nobody sees.
    .replace(/\p{Cf}/gu, '')
    .normalize('NFKC')
    .replace(/([\p{Ll}\d])(\p{Lu})/gu, '$1 $2')
    .replace(/(\p{Lu})(\p{Lu}\p{Ll})/gu, '$1 $2')
    .replace(/(\p{L})(\d)/gu, '$1 $2')
    .replace(/(\d)(\p{L})/gu, '$1 $2');
  return spaced.toLowerCase().match(/[\p{L}\p{M}]+|\d+/gu) ?? [];
}

const CARD_WORDS: ReadonlySet<string> = words('card creditcard pan ccnum');
const CARD_DIGITS = /^\d{12,19}$/;

function isUserAndPassword(value: string): boolean {
  if (!/^[A-Za-z0-9+/]{8,500}={0,2}$/.test(value)) return false;
  return /^[^\s:\p{Cc}\ufffd]{1,200}:[^\p{Cc}\ufffd]{1,200}$/u.test(Buffer.from(value, 'base64').toString('utf8'));
}

function isSecretEnd(end: readonly string[]): boolean {
  const last = end.at(-1);
  if (last === undefined) return false;
  const before = end.at(-2) ?? '';
  if (last === 'secrets' && PLAIN_SECRETS.has(before)) return false;
  if (SECRET_WORDS.has(last) || JOINED_ENDINGS.some((ending) => last.endsWith(ending))) return true;
  if (last === 'token') return !PLAIN_TOKENS.has(before);
  return SECRET_AFTER.get(last)?.has(before) ?? false;
}

function withoutNeutralEnding(all: readonly string[]): readonly string[] {
  let length = all.length;
  while (length > 1 && isNeutral(all[length - 1] ?? '')) length -= 1;
  return all.slice(0, length);
}

function isNeutral(word: string): boolean {
  return NEUTRAL_ENDINGS.has(word) || /^\d+$/.test(word);
}

function endsWith(all: readonly string[], wanted: readonly string[]): boolean {
  const offset = all.length - wanted.length;
  if (offset >= 0 && wanted.every((word, i) => all[offset + i] === word)) return true;
  // `ibannumber` for `iban number`.
  return all.at(-1) === wanted.join('');
}

function words(text: string): ReadonlySet<string> {
  return new Set(text.split(/\s+/));
}
