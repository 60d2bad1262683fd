/** Generated secrets and ordinary text. Secrets are put together here so that none stands in the repository. */
import { createHash, generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';

const LOWER = 'abcdefghijklmnopqrstuvwxyz';
const DIGITS = '0123456789';
const BASE62 = LOWER.toUpperCase() + LOWER + DIGITS;
const BASE64URL = `${BASE62}-_`;

/** Deterministic characters that look random. */
export function characters(alphabet: string, length: number, seed: string): string {
  let text = '';
  for (let block = 0; text.length < length; block++) {
    const bytes = createHash('sha512').update(`${seed}:${block}`).digest();
    for (const byte of bytes) text += alphabet.charAt(byte % alphabet.length);
  }
  return text.slice(0, length);
}

function base64url(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

export interface Secret {
  readonly kind: string;
  /** What must not be seen any more. */
  readonly secret: string;
  /** The secret with the context it needs to be recognised. */
  readonly text: string;
}

function bare(kind: string, secret: string): Secret {
  return { kind, secret, text: secret };
}

/** One secret of every kind, different for every seed. */
export function secretsOf(seed: string): readonly Secret[] {
  const chars = (alphabet: string, length: number, salt = ''): string => characters(alphabet, length, seed + salt);
  const base62 = (length: number, salt = ''): string => chars(BASE62, length, salt);
  const urlsafe = (length: number, salt = ''): string => `a1${chars(BASE64URL, length - 4, salt)}Z9`;
  const hex = (length: number): string => chars('0123456789abcdef', length);
  const awsSecret = chars(`${BASE62}+/`, 40);
  const header = base64url({ alg: 'RS256', typ: 'JWT', kid: seed });
  const payload = base64url({ sub: seed, exp: 1 });
  const basic = Buffer.from(`admin:${base62(12)}`).toString('base64');
  return [
    bare('api-key', `sk-${base62(47)}7`),
    bare('api-key', `sk-${hex(32)}`),
    bare('openai-key', `sk-proj-${urlsafe(120)}`),
    bare('anthropic-key', `sk-ant-api03-${urlsafe(95)}`),
    ...['ghp_', 'gho_', 'ghu_', 'ghs_', 'ghr_'].map((prefix) => bare('github-token', prefix + base62(36, prefix))),
    bare('github-token', `github_pat_${base62(22)}_${base62(59)}`),
    bare('gitlab-token', `glpat-${urlsafe(20)}`),
    bare('slack-token', `xoxb-${chars(DIGITS, 12)}-${chars(DIGITS, 13)}-${base62(24)}`),
    bare('slack-token', `xoxp-${chars(DIGITS, 12)}-${chars(DIGITS, 12)}-${hex(32)}`),
    bare('stripe-key', `sk_${'live'}_${base62(24)}`),
    bare('stripe-key', `rk_${'live'}_${base62(99)}`),
    bare('stripe-key', `sk_${'test'}_${base62(24)}`),
    bare('stripe-webhook-secret', `whsec_${base62(32)}`),
    bare('google-api-key', `AIza${urlsafe(35)}`),
    bare('google-token', `ya29.${urlsafe(100)}`),
    bare('google-client-secret', `GOCSPX-${urlsafe(28)}`),
    bare('npm-token', `npm_${base62(36)}`),
    bare('huggingface-token', `hf_${base62(34)}`),
    bare('aws-access-key', `AKIA${chars(LOWER.toUpperCase() + DIGITS, 16)}`),
    bare('aws-access-key', `ASIA${chars(LOWER.toUpperCase() + DIGITS, 16)}`),
    { kind: 'aws-secret-key', secret: awsSecret, text: `aws_secret_access_key = ${awsSecret}` },
    { kind: 'aws-secret-key', secret: awsSecret, text: `{"SecretAccessKey":"${awsSecret}"}` },
    bare('sendgrid-key', `SG.${urlsafe(22)}.${urlsafe(43)}`),
    { kind: 'twilio-key', secret: `SK${hex(32)}`, text: `twilio key SK${hex(32)}` },
    { kind: 'webhook-url', secret: base62(24), text: `https://hooks.slack.com/services/T${base62(8)}/B${base62(8)}/${base62(24)}` },
    { kind: 'webhook-url', secret: urlsafe(68), text: `https://discord.com/api/webhooks/${chars(DIGITS, 18)}/${urlsafe(68)}` },
    bare('jwt', `${header}.${payload}.${urlsafe(86)}`),
    bare('jwt', `${header}.${urlsafe(40, 'k')}.${urlsafe(16)}.${urlsafe(30)}.${urlsafe(22)}`),
    { kind: 'url-password', secret: base62(14), text: `postgres://app:${base62(14)}@db.example:5432/main` },
    { kind: 'url-password', secret: `p@${base62(10)}`, text: `amqp://app:p@${base62(10)}@mq.example` },
    { kind: 'parameter', secret: base62(20), text: `https://api.example/v1?a=1&access_token=${base62(20)}&b=2` },
    { kind: 'parameter', secret: base62(20), text: `https://api.example/v1?password=${base62(20)}` },
    { kind: 'parameter', secret: hex(64), text: `https://b.example/o?X-Amz-Date=1&X-Amz-Signature=${hex(64)}` },
    { kind: 'parameter', secret: `${base62(12)}7`, text: `DB_PASSWORD=${base62(12)}7 node server.js` },
    { kind: 'parameter', secret: `${base62(12)}7`, text: `export API_KEY="${base62(12)}7"` },
    { kind: 'parameter', secret: `${base62(12)}7`, text: `deploy --token=${base62(12)}7 --region=eu` },
    { kind: 'parameter', secret: `${base62(12)}7`, text: `Server=db;User Id=sa;Password=${base62(12)}7;Encrypt=true` },
    { kind: 'connection-key', secret: `${base62(86)}==`, text: `AccountName=x;AccountKey=${base62(86)}==;EndpointSuffix=core` },
    { kind: 'authorization', secret: base62(30), text: `curl -H "Authorization: Bearer ${base62(30)}" https://a.example` },
    { kind: 'authorization', secret: basic, text: `authorization: Basic ${basic}` },
    { kind: 'bearer-token', secret: `${base62(30)}7`, text: `sent with Bearer ${base62(30)}7 twice` },
    { kind: 'basic-credentials', secret: basic, text: `sent with Basic ${basic} twice` },
    { kind: 'cookie', secret: base62(20), text: `Cookie: theme=dark; sid=${base62(20)}` },
    { kind: 'header', secret: `${base62(20)}7`, text: `curl -H 'X-Api-Key: ${base62(20)}7'` },
    { kind: 'header', secret: `${base62(20)}7`, text: `PRIVATE-TOKEN: ${base62(20)}7` },
    { kind: 'command-password', secret: base62(12), text: `mysql -u root -p${base62(12)} main` },
    { kind: 'command-password', secret: base62(12), text: `curl -s -u admin:${base62(12)} https://a.example` },
    { kind: 'key-name', secret: `${base62(12)}7`, text: `{"dbPassword":"${base62(12)}7"}` },
    ...privateKeys(),
  ];
}

let keys: readonly Secret[] | undefined;

function privateKeys(): readonly Secret[] {
  if (keys !== undefined) return keys;
  const ed = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const rsa = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey;
  const encrypted = { format: 'pem', cipher: 'aes-128-cbc', passphrase: 'x' } as const;
  const pems = [
    ed,
    rsa.export({ type: 'pkcs1', format: 'pem' }).toString(),
    rsa.export({ type: 'pkcs1', ...encrypted }).toString(),
    rsa.export({ type: 'pkcs8', ...encrypted }).toString(),
  ];
  keys = pems.flatMap((pem) => {
    const secret = pem.split('\n').findLast((line) => /^[A-Za-z0-9+/=]{20,}$/.test(line)) ?? pem;
    const escaped = JSON.stringify(pem).slice(1, -1);
    const cutShort = pem.slice(0, pem.indexOf(secret) + secret.length - 2);
    return [
      { kind: 'private-key', secret, text: pem },
      { kind: 'private-key', secret, text: escaped },
      { kind: 'private-key', secret: secret.slice(0, -2), text: cutShort },
    ];
  });
  return keys;
}

const POOL = Array.from({ length: 40 }, (_, seed) => secretsOf(`pool ${seed}`)).flat();

export const anySecret: fc.Arbitrary<Secret> = fc.constantFrom(...POOL);

const sha = (algorithm: string, encoding: 'hex' | 'base64'): string => createHash(algorithm).update('x').digest(encoding);

/** Nothing in here is a secret, and no character of it may change. */
export const ORDINARY: readonly string[] = [
  // identifiers and digests
  sha('sha1', 'hex'),
  sha('sha256', 'hex'),
  sha('sha512', 'hex'),
  sha('md5', 'hex'),
  `sha256:${sha('sha256', 'hex')}`,
  `sha512-${sha('sha512', 'base64')}`,
  `"integrity": "sha384-${sha('sha384', 'base64')}"`,
  '3f2504e0-4f89-41d3-9a0c-0305e82c3301',
  '01J9ZQ4X7V8K2M3N4P5R6S7T8V',
  'arn:aws:iam::123456789012:role/Admin',
  'commit 9fceb02d0ae598e95dc970b74767f19372d61af8',
  'SK-2026-11-22 order, SKU 1234, SK hynix',
  `SK${sha('md5', 'hex')}`,
  'cus_NffrFeUfNV2Hib and pi_3MtwBwLkdIwHu7ix28a3tqPa',
  'price_1MoBy5LkdIwHu7ixZhnattbh',
  `data:image/png;base64,${characters(`${BASE62}+/`, 4000, 'image')}==`,
  characters(`${BASE62}+/`, 4000, 'blob'),
  characters('0123456789abcdef', 4000, 'hex'),
  'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl user@host',
  '-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUQ0u6J5D1cV7o8qk5b0v0mM3m9SkwCgYIKoZIzj0EAwIw\n-----END CERTIFICATE-----',
  '-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----',
  // prose
  'The bearer of this letter may pass. Basic authentication is a scheme; Bearer token authentication is another one.',
  'Her secretary wrote about authorship and the password policy; the token count was 1200 and max tokens 4096.',
  'Basic understanding: users, passwords. basic internationalization of strings',
  'Cookie: a small piece of data. Authorization: the user must be allowed to do it.',
  'Rotate your API key every 90 days. Never share a secret key: it is secret.',
  'A file that starts with -----BEGIN PRIVATE KEY----- is a private key and should not be committed.',
  'Set the Authorization header to Bearer <token>, or use Authorization: Bearer ${TOKEN}.',
  'ask-me-anything, disk-usage-report-2026-with-a-long-name, risk-assessment-questionnaire-v2',
  'task-1234567890abcdef1234567890abcdef, desk-00000000000000000000',
  'Ratio 3:1, time 12:30:45, mail bob@example.com, see http://example.com: done @ once',
  'Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich. 日本語のテキスト 🚀',
  // web addresses
  'https://example.com/login?next=/home&page_token=CAUQAA&next_token=abc123&limit=10',
  'https://example.com:8443/a/b?x=1&author=bob&tokens_used=12&sort_key=name#section-2',
  'ssh://git@github.com/org/repo.git and git@github.com:org/repo.git',
  'postgres://${user}:${password}@${host}/db and redis://:$REDIS_PASSWORD@cache:6379',
  'https://user@example.com/ and https://example.com/@scope/package',
  'wss://localhost:3000/socket, file:///etc/hosts, data://x',
  'https://www.youtube.com/watch?v=dQw4w9WgXcQ&t=42s',
  'https://hooks.slack.com/ and https://discord.com/api/webhooks/',
  // code
  "const token = await fetchToken(); headers['Authorization'] = `Bearer ${token}`;",
  'client.login(username=username, password=password, token=self.token)',
  'password = getpass.getpass(); if password == stored: return True',
  "if (url.includes('?token=' + token)) return url.replace(/token=[^&]+/, 'token=***');",
  "pem.replace('-----BEGIN PRIVATE KEY-----', '').replace('-----END PRIVATE KEY-----', '').trim()",
  'const { password, ...rest } = user; for (const key of keys) if (key === "secret") delete rest[key];',
  'API_KEY=$(cat key.txt) TOKEN=${TOKEN:-} PASSWORD=$PASSWORD node index.js',
  'var a=1;token=e.token;password=getPassword();key=null;t.secret=s',
  'export const SECRET_KEY = process.env.SECRET_KEY;',
  'grep -rn "password=" src/ | wc -l; echo "--token=<token>"',
  'SELECT id, password_hash FROM users WHERE token = ? AND api_key IS NOT NULL;',
  '.sk-fading-circle .sk-circle12:before { animation-delay: -0.1s } .sk-folding-cube-container-element {}',
  'def sk_test_helper(): pass  # sklearn sk_live_plot',
  'npm_config_registry=http://localhost npm_package_version npm_lifecycle_event_name_is_long_here_now',
  'eyJ is how base64 of {" starts; eyJhbGciOiJIUzI1NiJ9 alone is a header. a.b.c eyJfoo.bar.baz',
  `${base64url({ cursor: 12, after: 'bob' })}.${base64url({ page: 2 })}.next`,
  `import { eyJHelper } from './x.js'; obj.prop.method.call().then.catch`,
  'AKIA is a prefix; AKIAIOSFODNN7 is too short; MAKIAVELLI',
  'const AIzaPrefix = "AIza"; hf_model_name_or_path_for_the_tokenizer_x',
  'authorization = authorizationService.check; authorization: req.headers.authorization',
  'x = a ? b : c; y=z; z==w; a=>b; k=v&k2=v2; --flag=value --no-color',
  'aws_secret_access_key = <your secret access key here>',
  'SG.module.exports = {}; SG.a.b',
  'primary-key: id\ncache-key: v1-2026-linux-node24\nX-Request-Key: 12',
  '{"type":"object","properties":{"password":{"type":"string"},"token":{"type":"string"}}}',
  'ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx sk-xxxxxxxxxxxxxxxxxxxxxxxx',
  'AI_GATEWAY_API_KEY=xxxxxxxxx\nGATEWAY_SECRET=your-generated-secret-here\ndeploy --token=YOUR_TOKEN --password=xxxxxx',
  'if (url.password === other.password) token ==\n  next;\noauthAccessToken: !envAuthSet\njwt: /^[A-Za-z0-9-_]+\\.x$/',
  '[redacted] [redacted:jwt] token=[redacted:parameter] https://u:[redacted:url-password]@h Bearer [redacted:bearer-token]',
];
