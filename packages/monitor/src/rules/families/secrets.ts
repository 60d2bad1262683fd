/** Keys and other secrets. What was read is remembered by the rules of chains. */
import { type Folders, isCertificateBundle } from '../folders.ts';
import { baseOf, byFirst, firstOf, isUnder, passes } from '../path-text.ts';
import { programName } from '../programs.ts';
import { quoted } from '../quoted.ts';
import type { RuleFamily, Setting } from '../rule.ts';
import type { Seen, Touch } from '../seen.ts';

export const SECRETS: RuleFamily = {
  rules: [
    {
      id: 'ssh-keys',
      title: 'SSH folder or key file touched',
      explanation:
        'Anything below `~/.ssh` (of whichever user), or a file named like a private key (`id_rsa`, `id_ed25519` ...) anywhere. Under our own scope package folders are left out, and so are `.pub` files elsewhere.',
      levels: ['KILL'],
    },
    {
      id: 'secret-read',
      title: 'A file with secrets was used',
      explanation:
        'Credentials of cloud, registry and database tools, keyrings, wallets, logins of browsers, shell histories, `/etc/shadow`, environments of other processes. The tool a file belongs to may read it. A connection that follows is `secret-egress`.',
      levels: ['FLAG'],
    },
  ],
  kinds: ['read', 'write', 'delete', 'rename', 'load'],
  begin(setting) {
    return {
      judge(seen, found) {
        for (const touch of seen.touches) {
          if (isKeyFile(touch, setting)) {
            found({ rule: 'ssh-keys', level: 'KILL', reason: `${touch.use} of an SSH key file or folder: ${quoted(touch.path)}` });
            return;
          }
          if (!setting.literal && isSecret(touch, seen, setting.folders))
            found({ rule: 'secret-read', level: 'FLAG', reason: `${touch.use} of a file with secrets: ${quoted(touch.path)}` });
        }
      },
    };
  },
};

const KEY_NAME = /id_(?:rsa|dsa|ecdsa|ed25519)/i;
/** Of the predecessor. */
const LITERAL_KEY_NAME = /id_rsa|id_ed25519/;

/** An SSH key, or what lies in a folder of them. */
export function isKeyFile(touch: Touch, setting: Setting): boolean {
  return (touch.isKey ??= holdsKey(touch.path, setting));
}

function holdsKey(path: string, { folders, literal }: Setting): boolean {
  const rest = literal ? folders.inHome(path) : folders.inAnyHome(path);
  if (rest !== undefined && isUnder(rest, '/.ssh')) return true;
  const name = baseOf(path);
  if (literal) return LITERAL_KEY_NAME.test(name);
  if (!KEY_NAME.test(name) || name.endsWith('.pub')) return false;
  return !folders.isPackage(path) && !isSourceText(name);
}

/** `parse_id_rsa.ts` is no key. */
function isSourceText(name: string): boolean {
  return /\.(?:[cm]?[jt]sx?|py|go|rs|rb|java|c|h|cc|cpp|md|html|d\.ts|map|snap)$/i.test(name) && !/^id_/i.test(name);
}

interface SecretPlace {
  /** Below a home. */
  readonly path: string;
  /** Programs it belongs to. */
  readonly tools: readonly string[];
}

const NPM_TOOLS = ['npm', 'npx', 'pnpm', 'yarn', 'npm-cli.js', 'npx-cli.js', 'pnpm.cjs', 'yarn.js', 'corepack.js', 'pnpx.cjs', 'yarn.cjs'];
const HOME_SECRETS: readonly SecretPlace[] = [
  { path: '/.aws/credentials', tools: ['aws'] },
  { path: '/.aws/sso/cache', tools: ['aws'] },
  { path: '/.aws/cli/cache', tools: ['aws'] },
  { path: '/.azure', tools: ['az'] },
  { path: '/.config/gcloud', tools: ['gcloud', 'gsutil', 'bq', 'gcloud.py'] },
  { path: '/.config/gh', tools: ['gh'] },
  { path: '/.config/glab-cli', tools: ['glab'] },
  { path: '/.config/doctl', tools: ['doctl'] },
  { path: '/.config/op', tools: ['op'] },
  { path: '/.kube', tools: ['kubectl', 'helm', 'k9s'] },
  { path: '/.docker/config.json', tools: ['docker', 'docker-credential-desktop', 'podman', 'buildx'] },
  { path: '/.gnupg', tools: ['gpg', 'gpg2', 'gpg-agent', 'gpgsm', 'gpgconf', 'keyboxd', 'scdaemon', 'dirmngr'] },
  { path: '/.netrc', tools: ['git', 'git-remote-https', 'git-remote-http', 'ftp', 'heroku'] },
  { path: '/.git-credentials', tools: ['git', 'git-credential-store'] },
  { path: '/.config/git/credentials', tools: ['git', 'git-credential-store'] },
  { path: '/.npmrc', tools: NPM_TOOLS },
  { path: '/.yarnrc.yml', tools: NPM_TOOLS },
  { path: '/.pypirc', tools: ['twine', 'pip', 'uv', 'poetry'] },
  { path: '/.cargo/credentials', tools: ['cargo'] },
  { path: '/.cargo/credentials.toml', tools: ['cargo'] },
  { path: '/.gem/credentials', tools: ['gem'] },
  { path: '/.m2/settings.xml', tools: ['mvn', 'java'] },
  { path: '/.terraform.d/credentials.tfrc.json', tools: ['terraform', 'tofu'] },
  { path: '/.vault-token', tools: ['vault'] },
  { path: '/.pgpass', tools: ['psql', 'pg_dump', 'pg_restore'] },
  { path: '/.my.cnf', tools: ['mysql', 'mysqldump', 'mariadb'] },
  { path: '/.password-store', tools: ['pass'] },
  { path: '/.local/share/keyrings', tools: ['gnome-keyring-daemon'] },
  { path: '/.local/share/kwalletd', tools: ['kwalletd5', 'kwalletd6'] },
  { path: '/library/keychains', tools: [] },
  { path: '/Library/Keychains', tools: [] },
  { path: '/.bitcoin', tools: ['bitcoind'] },
  { path: '/.ethereum/keystore', tools: ['geth'] },
  { path: '/.config/solana', tools: ['solana'] },
  { path: '/.electrum', tools: ['electrum'] },
  { path: '/.bash_history', tools: ['bash'] },
  { path: '/.zsh_history', tools: ['zsh'] },
  { path: '/.psql_history', tools: ['psql'] },
  { path: '/.mysql_history', tools: ['mysql'] },
  { path: '/.config/rclone', tools: ['rclone'] },
  { path: '/.s3cfg', tools: ['s3cmd'] },
  { path: '/.boto', tools: ['gsutil'] },
];
const SECRET_PLACES = byFirst(HOME_SECRETS, ({ path }) => path);
const BROWSERS =
  /\/(?:\.mozilla\/firefox|\.config\/(?:google-chrome|chromium|BraveSoftware|microsoft-edge|vivaldi|opera)|Library\/Application Support\/(?:Google\/Chrome|Firefox|BraveSoftware|Microsoft Edge))\/.*(?:logins\.json|key[34]\.db|cookies(?:\.sqlite)?|Login Data|Web Data|Local State)$/i;
const BROWSER_PLACES: ReadonlySet<string> = new Set(['/.mozilla', '/.config', '/Library', '/library']);
const SYSTEM_SECRETS = byFirst(
  [
    '/etc/shadow',
    '/etc/shadow-',
    '/etc/gshadow',
    '/etc/sudoers',
    '/etc/sudoers.d',
    '/etc/krb5.keytab',
    '/etc/kubernetes',
    '/etc/rancher',
    '/var/run/secrets',
    '/run/secrets',
    '/etc/ssl/private',
  ],
  (secret) => secret,
);
const SECRET_ENDING = /\.(?:kdbx|p12|pfx|ppk|jks|keystore)$/i;
const SECRET_NAME = /^(?:wallet\.dat|service[-_]?account.*\.json|ssh_host_.*_key)$|private[-_]?key.*\.(?:pem|key)$/i;

function isSecretName(name: string): boolean {
  return SECRET_ENDING.test(name) || SECRET_NAME.test(name);
}
const OTHERS_ENVIRONMENT = /^\/proc\/(\d+)\/(?:task\/\d+\/)?environ$/;

/** A file whose content is worth stealing, and that this process has no business of its own with. */
export function isSecret(touch: Touch, seen: Seen, folders: Folders): boolean {
  return (touch.isSecret ??= holdsSecret(touch, seen, folders));
}

function holdsSecret({ path, use }: Touch, seen: Seen, folders: Folders): boolean {
  if (use === 'delete') return false;
  const rest = folders.inAnyHome(path);
  if (rest !== undefined) {
    const place = SECRET_PLACES.get(firstOf(rest))?.find((secret) => isUnder(rest, secret.path));
    if (place !== undefined) return !isTool(place.tools, seen, folders);
    if (BROWSER_PLACES.has(firstOf(rest)) && BROWSERS.test(rest)) return true;
  }
  if (SYSTEM_SECRETS.get(firstOf(path))?.some((secret) => isUnder(path, secret)) === true)
    return !isTool(['sudo', 'su', 'login', 'passwd', 'unix_chkpwd', 'sshd'], seen, folders);
  const owner = path.startsWith('/proc/') ? OTHERS_ENVIRONMENT.exec(path)?.[1] : undefined;
  if (owner !== undefined) return Number(owner) !== seen.activity.actor?.pid;
  return use === 'read' && isSecretName(baseOf(path)) && !folders.isPackage(path) && !isCertificateBundle(path) && !passes(path, 'test');
}

/**
 * The tool a file belongs to, by its file in a system folder; of a script that an interpreter runs, by the script. Anybody can
 * start these tools, but then it is them who read.
 */
function isTool(tools: readonly string[], { exe, activity }: Seen, folders: Folders): boolean {
  if (folders.inTmp(exe) || folders.inWorkspace(exe) || exe === '') return false;
  const name = programName(exe);
  if (tools.includes(name)) return true;
  if (!/^(?:node|nodejs|python|ruby|bun|deno)[\d.]*$/.test(name)) return false;
  const script = activity.actor?.argv?.[1];
  if (script?.startsWith('/') !== true || folders.inTmp(script) || folders.inWorkspace(script)) return false;
  return tools.includes(baseOf(script));
}
