/** Secrets that are known by where they stand: whole texts, each with the part that must not be seen. Apart from the detectors, like `vendors.ts`. */
import { generateKeyPairSync } from 'node:crypto';
import { DIGITS, LOWER, type Random, STD64 } from './random.ts';

export interface PlacedSecret {
  readonly text: string;
  readonly secret: string;
}

export interface PlacedKind {
  readonly kind: string;
  readonly make: readonly ((random: Random) => PlacedSecret)[];
}

/** As people choose them, and as generators of passwords do. */
function password(random: Random): string {
  return random.pick([
    () => `${random.word()}${random.text(DIGITS, 4)}${random.word()}`,
    () => random.alnum(random.between(10, 24)),
    () => `${random.alnum(6)}-${random.alnum(6)}-${random.alnum(6)}`,
    () => `${random.word()}!${random.text(DIGITS, 3)}${random.text(LOWER, 4)}`,
  ])();
}

const token = (random: Random): string => `${random.alnum(random.between(20, 44))}${random.below(10)}`;

function place(secret: string, text: (secret: string) => string): PlacedSecret {
  return { secret, text: text(secret) };
}

const PEM_TYPES = ['PRIVATE KEY', 'RSA PRIVATE KEY', 'EC PRIVATE KEY', 'OPENSSH PRIVATE KEY', 'ENCRYPTED PRIVATE KEY', 'DSA PRIVATE KEY'];

/** The form of a key with random bytes in it: making real ones by the hundred takes minutes. */
function pem(random: Random): PlacedSecret {
  const type = random.pick(PEM_TYPES);
  const body = random.bytes(random.between(90, 1200)).toString('base64').replaceAll(/(.{64})/g, '$1\n');
  return { secret: body.split('\n')[1] ?? body.slice(0, 32), text: `-----BEGIN ${type}-----\n${body.trimEnd()}\n-----END ${type}-----\n` };
}

function pgp(random: Random): PlacedSecret {
  const body = random.bytes(random.between(300, 900)).toString('base64').replaceAll(/(.{64})/g, '$1\n').trimEnd();
  return {
    secret: body.split('\n')[2] ?? body,
    text: `-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: GnuPG v2\n\n${body}\n=${random.text(STD64, 4)}\n-----END PGP PRIVATE KEY BLOCK-----\n`,
  };
}

function realKey(random: Random): PlacedSecret {
  const text = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { secret: text.split('\n')[1] ?? text, text: `${random.words(3)}\n${text}` };
}

const escaped = ({ secret, text }: PlacedSecret): PlacedSecret => ({ secret, text: JSON.stringify(text) });

export const PLACED: readonly PlacedKind[] = [
  {
    kind: 'private-key',
    make: [
      pem,
      pgp,
      realKey,
      (r) => escaped(pem(r)),
      (r) => {
        const key = pem(r);
        const file = { type: 'service_account', project_id: r.word(), private_key_id: r.hex(40), private_key: key.text, client_email: `x@${r.word()}.iam.example` };
        return { secret: key.secret, text: JSON.stringify(file, null, 2) };
      },
      (r) => {
        const key = pem(r);
        return { secret: key.secret, text: `key: |\n${key.text.replaceAll(/^/gm, '    ')}` };
      },
    ],
  },
  {
    kind: 'putty-key',
    make: [
      (r) => {
        const lines = r.bytes(r.between(30, 600)).toString('base64').replaceAll(/(.{64})/g, '$1\n').trimEnd();
        const text = `PuTTY-User-Key-File-${r.pick(['2', '3'])}: ssh-ed25519\nEncryption: none\nComment: ${r.word()}\nPublic-Lines: 2\nAAAAC3NzaC1lZDI1NTE5AAAAI${r.text(STD64, 39)}\n${r.text(STD64, 4)}\nPrivate-Lines: ${lines.split('\n').length}\n${lines}\nPrivate-MAC: ${r.hex(64)}\n`;
        const secret = lines.slice(0, 40);
        return r.pick([{ secret, text }, { secret, text: text.replaceAll('\n', '\r\n') }, escaped({ secret, text })]);
      },
    ],
  },
  {
    kind: 'webhook-url',
    make: [
      (r) => place(r.alnum(24), (secret) => `curl -d @x https://hooks.slack.com/services/T${r.alnum(8)}/B${r.alnum(10)}/${secret}`),
      (r) => place(r.url64(68), (secret) => `WEBHOOK="https://discord.com/api/webhooks/${r.text(DIGITS, 18)}/${secret}"`),
      (r) => place(r.alnum(24), (secret) => `url: https://hooks.slack.com/workflows/T${r.alnum(8)}/A${r.alnum(8)}/${r.text(DIGITS, 18)}/${secret}\n`),
    ],
  },
  {
    kind: 'url-password',
    make: [
      (r) => place(password(r), (secret) => `DATABASE_URL=postgres://${r.word()}:${secret}@db.${r.word()}.example:5432/${r.word()}?sslmode=require`),
      (r) => place(password(r), (secret) => `mongodb+srv://${r.word()}:${secret}@cluster0.example.net/app`),
      (r) => place(password(r), (secret) => `{"redis":"redis://:${secret}@cache:6379/0"}`),
      (r) => place(password(r), (secret) => `amqp://guest:${secret}@mq.example/`),
      (r) => place(password(r), (secret) => `pip install --index-url https://ci:${secret}@pypi.example/simple ${r.word()}`),
      (r) => place(password(r), (secret) => `jdbc:mysql://${r.word()}:${secret}@10.0.0.3:3306/x`),
    ],
  },
  {
    kind: 'connection-key',
    make: [
      (r) => place(`${r.text(STD64, 86)}==`, (secret) => `DefaultEndpointsProtocol=https;AccountName=${r.word()};AccountKey=${secret};EndpointSuffix=core.windows.net`),
      (r) => place(`${r.text(STD64, 43)}=`, (secret) => `Endpoint=sb://${r.word()}.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=${secret}`),
    ],
  },
  {
    kind: 'parameter',
    make: [
      (r) => place(token(r), (secret) => `GET /v1/items?limit=10&${r.pick(['access_token', 'api_key', 'token', 'apikey', 'client_secret'])}=${secret}&page=2`),
      (r) => place(password(r), (secret) => `${r.pick(['DB_PASSWORD', 'POSTGRES_PASSWORD', 'SMTP_PASS', 'JWT_SECRET', 'SESSION_SECRET', 'API_KEY'])}=${secret}\nPORT=80\n`),
      (r) => place(password(r), (secret) => `docker run -e ${r.pick(['MYSQL_ROOT_PASSWORD', 'ADMIN_TOKEN'])}=${secret} -p 80:80 image`),
      (r) => place(password(r), (secret) => `deploy --region eu --${r.pick(['password', 'token', 'api-key'])}=${secret} --verbose`),
      (r) => place(password(r), (secret) => `Server=tcp:db,1433;Database=app;User Id=sa;Password=${secret};Encrypt=True`),
      (r) => place(r.hex(64), (secret) => `https://bucket.s3.amazonaws.com/o?X-Amz-Date=20261125T100000Z&X-Amz-Expires=60&X-Amz-Signature=${secret}`),
      (r) => place(encodeURIComponent(r.bytes(32).toString('base64')), (secret) => `https://acc.blob.core.windows.net/c/f?sv=2024-11-04&se=2026-12-01&sr=b&sp=r&sig=${secret}`),
    ],
  },
  {
    kind: 'authorization',
    make: [
      (r) => place(token(r), (secret) => `curl -H "Authorization: Bearer ${secret}" https://api.example`),
      (r) => place(token(r), (secret) => JSON.stringify({ headers: { Authorization: `Token ${secret}` } })),
      (r) => place(Buffer.from(`${r.word()}:${password(r)}`).toString('base64'), (secret) => `authorization: Basic ${secret}\r\n`),
      (r) => place(token(r), (secret) => `headers = {'Authorization': '${secret}'}`),
      (r) => place(token(r), (secret) => `Proxy-Authorization: ApiKey ${secret}`),
    ],
  },
  {
    kind: 'bearer-token',
    make: [(r) => place(token(r), (secret) => `${r.words(3)} Bearer ${secret} ${r.words(2)}`), (r) => place(token(r), (secret) => `auth='bearer ${secret}'`)],
  },
  {
    kind: 'basic-credentials',
    make: [(r) => place(Buffer.from(`${r.word()}:${password(r)}`).toString('base64'), (secret) => `${r.words(2)} sent 'Basic ${secret}' to ${r.word()}`)],
  },
  {
    kind: 'cookie',
    make: [
      (r) => place(token(r), (secret) => `Cookie: theme=dark; sid=${secret}; lang=en`),
      (r) => place(token(r), (secret) => `Set-Cookie: session=${secret}; Path=/; HttpOnly`),
      (r) => place(token(r), (secret) => `curl -H 'Cookie: SESSION=${secret}' https://app.example`),
    ],
  },
  {
    kind: 'header',
    make: [
      (r) => place(token(r), (secret) => `X-Api-Key: ${secret}\r\nAccept: */*`),
      (r) => place(token(r), (secret) => `curl --header "PRIVATE-TOKEN: ${secret}" https://git.example/api`),
      (r) => place(token(r), (secret) => `-H 'X-Vault-Token: ${secret}'`),
      (r) => place(token(r), (secret) => `X-Client-Secret: ${secret}`),
    ],
  },
  {
    kind: 'command-password',
    make: [
      (r) => place(password(r), (secret) => `mysql -h db -u ${r.word()} -p${secret} ${r.word()}`),
      (r) => place(password(r), (secret) => `curl -fsS -u ${r.word()}:${secret} https://api.example/v1`),
      (r) => place(password(r), (secret) => `sshpass -p ${secret} ssh ${r.word()}@10.0.0.7 uptime`),
      (r) => place(password(r), (secret) => `docker login registry.example -u ${r.word()} -p ${secret}`),
      (r) => place(password(r), (secret) => `redis-cli -h cache -a ${secret} ping`),
    ],
  },
];
