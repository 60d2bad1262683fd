/** Ordinary text that is made here: identifiers, digests, data and logs. Nothing in it is a secret. Apart from the detectors. */
import { createHash } from 'node:crypto';
import { DIGITS, LOWER, Random, STD64, UPPER } from './random.ts';

const CROCKFORD = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
/** Names under which identifiers and digests stand, none of which means a secret. */
const LABELS = ['id', 'request_id', 'trace-id', 'etag', 'sha', 'checksum', 'digest', 'commit', 'revision', 'fingerprint', 'content_hash', 'objectId', 'nonce_count', 'cache-key', 'build'];

/** Ways an identifier stands in text. */
const WRITTEN: readonly ((value: string, random: Random) => string)[] = [
  (value) => value,
  (value, random) => `${random.pick(LABELS)}: ${value}`,
  (value, random) => `"${random.pick(LABELS)}": "${value}",`,
  (value, random) => `${random.pick(LABELS).toUpperCase().replaceAll('-', '_')}=${value}`,
  (value, random) => `GET /v1/${random.word()}/${value}?${random.pick(LABELS)}=${value}&page=2 200`,
  (value, random) => `const ${random.word()} = '${value}';`,
  (value, random) => `| ${random.word()} | \`${value}\` | ${random.below(100)} |`,
  (value) => `see ${value}, then go on.`,
  (value, random) => `${random.word()}/${value}.json`,
  (value, random) => `(${value}) [${value}] ${random.word()}@${value}`,
];

function digest(algorithm: string, encoding: 'hex' | 'base64' | 'base64url'): (random: Random) => string {
  return (random) => createHash(algorithm).update(random.alnum(20)).digest(encoding);
}

function time48(random: Random): string {
  return (1_600_000_000_000 + random.below(300_000_000) * 1000 + random.below(1000)).toString(16).padStart(12, '0');
}

const IDENTIFIERS: Readonly<Record<string, (random: Random) => string>> = {
  'UUID v1': (r) => `${r.hex(8)}-${r.hex(4)}-1${r.hex(3)}-${r.pick(['8', '9', 'a', 'b'])}${r.hex(3)}-${r.hex(12)}`,
  'UUID v4': (r) => r.uuid(),
  'UUID v7': (r) => {
    const time = time48(r);
    return `${time.slice(0, 8)}-${time.slice(8)}-7${r.hex(3)}-${r.pick(['8', '9', 'a', 'b'])}${r.hex(3)}-${r.hex(12)}`;
  },
  'UUID, capitals': (r) => r.uuid().toUpperCase(),
  'UUID, no dashes': (r) => r.uuid().replaceAll('-', ''),
  ULID: (r) => `01${r.text(CROCKFORD, 24)}`,
  nanoid: (r) => r.url64(21),
  cuid2: (r) => r.text(LOWER, 1) + r.text(LOWER + DIGITS, 23),
  'object id': (r) => r.hex(24),
  'git commit': digest('sha1', 'hex'),
  'md5, hex': digest('md5', 'hex'),
  'sha256, hex': digest('sha256', 'hex'),
  'sha512, hex': digest('sha512', 'hex'),
  'sha256, base64': digest('sha256', 'base64'),
  'sha512, base64': digest('sha512', 'base64'),
  'sha256, base64url': digest('sha256', 'base64url'),
  SRI: (r) => r.pick([() => `sha256-${digest('sha256', 'base64')(r)}`, () => `sha384-${digest('sha384', 'base64')(r)}`, () => `sha512-${digest('sha512', 'base64')(r)}`])(),
  'image digest': (r) => `registry.example/${r.word()}@sha256:${digest('sha256', 'hex')(r)}`,
  'ids of services': (r) => `${r.pick(['cus', 'pi', 'evt', 'price', 'sub', 'in', 'req', 'org', 'proj', 'msg', 'run', 'file', 'asst', 'thread', 'call', 'chatcmpl', 'toolu'])}_${r.alnum(24)}`,
  'card-like numbers': (r) => r.text(DIGITS, 16),
};

/** Ten thousand of each, as they stand in files and logs. */
export function identifierCorpora(count: number): readonly (readonly [string, string])[] {
  return Object.entries(IDENTIFIERS).map(([name, make]): [string, string] => {
    const random = new Random(`identifiers ${name}`);
    const lines = Array.from({ length: count }, (_, i) => WRITTEN[i % WRITTEN.length]?.(make(random), random) ?? '');
    return [name, lines.join('\n')];
  });
}

type Line = (random: Random) => string;

const TEXTS: Readonly<Record<string, Line>> = {
  prose: (r) => `${r.words(r.between(5, 14))}, ${r.words(r.between(4, 9))}. ${r.pick(PROSE)}`,
  'base64 images': (r) => `<img alt="${r.word()}" src="data:image/png;base64,iVBORw0KGgo${r.text(STD64, r.between(200, 4000))}=">`,
  'base64url blobs': (r) => `blob ${r.url64(r.between(100, 3000))}`,
  'hex dumps': (r) => `${r.hex(8)}: ${Array.from({ length: 8 }, () => r.hex(4)).join(' ')}  ${r.alnum(16)}`,
  'log files': (r) => `2026-11-${r.between(10, 29)}T0${r.below(10)}:1${r.below(10)}:22.${r.text(DIGITS, 3)}Z ${r.pick(['INFO', 'WARN', 'ERROR', 'DEBUG'])} [${r.word()}-${r.below(9)}] ${r.words(5)} id=${r.uuid()} took=${r.below(900)}ms status=${r.pick(['200', '404', '500'])} bytes=${r.below(1e6)} tokens=${r.below(4000)} key=${r.word()}/${r.word()}`,
  'access logs': (r) => `10.0.${r.below(255)}.${r.below(255)} - ${r.word()} [25/Nov/2026:10:11:12 +0000] "GET /${r.word()}?q=${r.word()}&page_token=${r.alnum(12)}&sort_key=${r.word()} HTTP/1.1" 200 ${r.below(1e5)} "-" "Mozilla/5.0 (X11; Linux x86_64)"`,
  'SQL dumps': (r) => `INSERT INTO \`${r.word()}s\` (\`id\`, \`name\`, \`created\`, \`amount\`, \`hash\`) VALUES (${r.below(1e6)}, '${r.words(2)}', '2026-11-25 10:11:12', ${r.below(1e5)}.${r.text(DIGITS, 2)}, '${r.hex(40)}');`,
  CSV: (r) => `${r.below(1e6)},${r.word()},"${r.words(3)}",${r.text(DIGITS, r.between(10, 16))},${r.uuid()},2026-11-25,${r.below(1e4) / 100}`,
  HTML: (r) => `<div class="${r.word()} ${r.word()}-${r.word()}" id="${r.word()}${r.below(99)}" data-key="${r.word()}"><a href="/${r.word()}/${r.hex(8)}?ref=${r.word()}#${r.word()}">${r.words(3)}</a></div>`,
  CSS: (r) => `.${r.word()}-${r.word()}:hover > .sk-${r.word()}-${r.word()} { color: #${r.hex(6)}; background: url(/img/${r.word()}.${r.hex(20)}.png); margin: ${r.below(40)}px }`,
  'minified js': (r) => `function ${r.text(LOWER, 1)}(${r.text(LOWER, 1)},t){return t.token&&t.key?e[${r.below(99)}]:n("${r.hex(8)}").${r.text(LOWER, 2)}(t.secret,r.password=o(t),{a:!0,k:"${r.word()}"})}var ${r.text(LOWER, 2)}=${r.text(LOWER, 1)}(${r.below(999)});`,
  'lock files': (r) => `    "node_modules/${r.word()}-${r.word()}": { "version": "${r.below(9)}.${r.below(20)}.${r.below(9)}", "resolved": "https://registry.example/${r.word()}/-/${r.word()}-1.0.0.tgz", "integrity": "sha512-${createHash('sha512').update(r.alnum(9)).digest('base64')}" },`,
  'yarn and go sums': (r) => r.pick([`  checksum: 10c0/${r.hex(128)}`, `github.com/${r.word()}/${r.word()} v1.${r.below(30)}.0 h1:${createHash('sha256').update(r.alnum(9)).digest('base64')}`]),
  'git log': (r) => `commit ${r.hex(40)}\nAuthor: ${r.word()} <${r.word()}@example.com>\nDate:   Wed Nov 25 10:11:12 2026 +0100\n\n    ${r.words(6)}\n`,
  'certificates and public keys': (r) => r.pick([`ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${r.text(STD64, 43)} ${r.word()}@host`, `-----BEGIN CERTIFICATE-----\n${r.text(STD64, 64)}\n${r.text(STD64, 64)}\n-----END CERTIFICATE-----`, `-----BEGIN PUBLIC KEY-----\n${r.text(STD64, 60)}\n-----END PUBLIC KEY-----`, `SHA256:${r.text(STD64, 43)}`]),
  python: (r) => `def ${r.word()}_${r.word()}(self, token: str, *, key=None, ${r.word()}: int = ${r.below(99)}) -> str:\n    password = getpass.getpass("${r.words(2)}: ")\n    return self._${r.word()}(token=token, password=password, api_key=os.environ["API_KEY"], secret=settings.SECRET_KEY)\n`,
  go: (r) => `func (c *Client) ${r.word()}(ctx context.Context, token string) error {\n\treq.Header.Set("Authorization", "Bearer "+token)\n\tif token == "" { return errors.New("${r.words(3)}") }\n\tpassword := os.Getenv("DB_PASSWORD")\n\treturn c.${r.word()}(ctx, &Options{Token: token, Password: password})\n}\n`,
  rust: (r) => `pub struct ${r.text(UPPER, 1)}${r.word()} { pub token: Option<String>, secret_key: SecretString }\nimpl ${r.word()} { fn new(token: &str) -> Self { Self { token: Some(token.to_owned()), secret_key: config.secret_key.clone() } } }\n`,
  java: (r) => `@Value("\${${r.word()}.password}") private String password;\nprivate static final String TOKEN_HEADER = "X-Auth-Token";\nthis.apiKey = Objects.requireNonNull(apiKey, "${r.words(2)}");\n`,
  kubernetes: (r) => `env:\n  - name: DB_PASSWORD\n    valueFrom:\n      secretKeyRef: { name: ${r.word()}-${r.word()}, key: password }\n  - name: ${r.word().toUpperCase()}\n    value: "${r.below(99)}"\nimage: example/${r.word()}@sha256:${r.hex(64)}\n`,
  terraform: (r) => `resource "aws_secretsmanager_secret" "${r.word()}" {\n  name = "${r.word()}/${r.word()}"\n}\nvariable "db_password" { type = string, sensitive = true }\noutput "token" { value = module.${r.word()}.token }\n`,
  github: (r) => `      - uses: actions/checkout@${r.hex(40)}\n        with:\n          token: \${{ secrets.GITHUB_TOKEN }}\n          key: \${{ runner.os }}-${r.word()}-\${{ hashFiles('**/package-lock.json') }}\n`,
  'shell scripts': (r) => `export API_TOKEN="$(vault read -field=token secret/${r.word()})"\ncurl -H "Authorization: Bearer $API_TOKEN" https://api.example/${r.word()}\n[ -n "$PASSWORD" ] || { echo "PASSWORD=<your password>" >&2; exit ${r.below(9)}; }\n`,
  openapi: (r) => `  ${r.word()}:\n    type: object\n    properties:\n      password: { type: string, format: password }\n      access_token: { type: string, description: "${r.words(4)}" }\n      expires_in: { type: integer, example: ${r.below(9999)} }\n`,
  mail: (r) => `Message-ID: <${r.alnum(20)}.${r.below(1e6)}@mail.example>\nDKIM-Signature: v=1; a=rsa-sha256; s=${r.word()}; bh=${createHash('sha256').update(r.alnum(9)).digest('base64')}; b=${r.text(STD64, 172)}\nReceived: from ${r.word()}.example by mx id ${r.text(UPPER + DIGITS, 10)}\n`,
};

const PROSE = [
  'Never put a password into a file that others read; the secret stays where it is.',
  'The bearer of this letter may pass. Basic authentication is a scheme of HTTP.',
  'Rotate the API key every ninety days, and the token of the bot with it.',
  'Her card number is with the bank; the IBAN stands on the invoice.',
  'He pays by card: order 1234567890123456 was sent on Tuesday.',
  'Token counts grew to 128000, and max tokens to 8192; the author was authorized.',
  'Authorization: what a user may do. Cookie: a small file of a browser.',
];

/** About `bytes` of each. */
export function textCorpora(bytes: number): readonly (readonly [string, string])[] {
  return Object.entries(TEXTS).map(([name, line]): [string, string] => {
    const random = new Random(`text ${name}`);
    const lines: string[] = [];
    for (let sum = 0; sum < bytes; sum += (lines.at(-1)?.length ?? 0) + 1) lines.push(line(random));
    return [name, lines.join('\n')];
  });
}

