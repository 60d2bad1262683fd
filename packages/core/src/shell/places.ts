/** Paths that mean something by themselves: credentials, what starts by itself, what a system cannot be without. */
import type { ShellEffect } from './analysis.ts';
import { type Field, hasGlob, isKnown, NUMBER, ONE, SPLIT, STAR, UNKNOWN } from './field.ts';

/** `mention`: an argument of a program that is not known by name. */
export type PathUse = 'read' | 'write' | 'append' | 'delete' | 'mention';

/**
 * What using this path is, whatever uses it. Segments are compared, so `/etc/../etc//shadow` is `/etc/shadow`; a glob
 * counts as everything it could match.
 */
export function effectOfPath(use: PathUse, path: string): readonly ShellEffect[] {
  const segments = segmentsOf(path);
  if (segments.length === 0 && path !== '/' && path !== '~') return NO_EFFECTS;
  if (use === 'delete') return isVital(segments) ? DESTRUCTIVE : NO_EFFECTS;
  const effects: ShellEffect[] = [];
  if (use === 'write' && (isVital(segments) || endsLike(segments, TRUNCATION_HURTS))) effects.push('destructive');
  if (use === 'append' && isVital(segments)) effects.push('destructive');
  if (use === 'write' || use === 'append') {
    if (endsLike(segments, STARTS_BY_ITSELF) || startsLike(segments, STARTS_FROM)) effects.push('persistence');
  } else if ((!isExample(segments.at(-1) ?? '') && endsLike(segments, SECRETS)) || startsLike(segments, SECRET_FOLDERS))
    effects.push('credentials');
  if (isConnection(segments)) effects.push('network');
  return effects;
}

const NO_EFFECTS: readonly ShellEffect[] = [];
const DESTRUCTIVE: readonly ShellEffect[] = ['destructive'];

function isConnection(segments: readonly string[]): boolean {
  const dev = segments.indexOf('dev');
  if (dev < 0) return false;
  return segments.some((segment, i) => i > dev && segments[i - 1] === 'dev' && (segment === 'tcp' || segment === 'udp'));
}

/** `.env.example` is there to be read. */
function isExample(name: string): boolean {
  return name.startsWith('.env') && EXAMPLES.some((ending) => name.endsWith(ending));
}
const EXAMPLES: readonly string[] = ['.example', '.sample', '.template', '.dist', '.defaults'];

/** True for `/`, `~`, `..`, a system folder or something in one: nothing there is a project's. */
export function isVital(segments: readonly string[]): boolean {
  const [first, second] = segments;
  if (first === undefined) return true;
  if (first === '~' || first.startsWith('~')) return segments.length === 1 || (segments.length === 2 && isMany(second ?? ''));
  if (first !== '')
    return segments.length === 1 && (first === '..' || first === '.git') ? true : first === '..' && segments.every((one) => one === '..');
  if (second === undefined || isMany(second)) return true;
  if (second === 'dev') return !HARMLESS_DEVICES.has(segments[2] ?? '');
  if (second === 'home' || second === 'Users' || second === 'Volumes' || second === 'mnt' || second === 'media')
    return segments.length <= 3;
  if (second === 'var') return segments.length <= 2 || !['tmp', 'folders'].includes(segments[2] ?? '');
  if (second === 'private') return isVital(['', ...segments.slice(2)]);
  return SYSTEM_FOLDERS.some((folder) => couldMatch(second, folder));
}

const HARMLESS_DEVICES: ReadonlySet<string> = new Set([
  'null',
  'stdout',
  'stderr',
  'stdin',
  'tty',
  'fd',
  'zero',
  'full',
  'random',
  'urandom',
  'shm',
  'tcp',
  'udp',
]);
const SYSTEM_FOLDERS: readonly string[] = [
  'etc',
  'boot',
  'bin',
  'sbin',
  'lib',
  'lib32',
  'lib64',
  'usr',
  'sys',
  'proc',
  'root',
  'System',
  'Library',
  'Applications',
  'run',
  'snap',
  'nix',
];

/** Endings of paths, each a list of segments; a leading `~` or `/` is not needed to recognise them. */
interface Endings {
  /** By last segment, where that has no `*`. */
  readonly exact: ReadonlyMap<string, readonly (readonly string[])[]>;
  /** `*.pem` alone, by what follows the last dot. */
  readonly extensions: ReadonlySet<string>;
  /** By the segment before a last `*`. */
  readonly folders: ReadonlyMap<string, readonly (readonly string[])[]>;
  readonly others: readonly (readonly string[])[];
  readonly all: readonly (readonly string[])[];
}
/** By first segment, after the empty one of an absolute path. */
type Folders = ReadonlyMap<string, readonly (readonly string[])[]>;

const SECRETS: Endings = endings(
  '.ssh .ssh/* .aws/credentials .aws/config .aws .gnupg .gnupg/* .netrc .pgpass .git-credentials .npmrc .pypirc .env .env.* .envrc',
  '.docker/config.json .kube/config .kube .azure .azure/* .config/gcloud .config/gcloud/* .config/gh/hosts.yml .config/hub',
  '.config/op .vault-token .terraform.d/credentials.tfrc.json .cargo/credentials .cargo/credentials.toml .my.cnf .s3cfg .boto',
  '.bash_history .zsh_history .psql_history .mysql_history .python_history .node_repl_history .password-store .password-store/*',
  'id_rsa id_dsa id_ecdsa id_ed25519 *.pem *.key *.p12 *.pfx *.jks *.keystore *.kdbx *.ppk *.agekey authorized_keys',
  '/etc/shadow /etc/gshadow /etc/sudoers /etc/passwd- /etc/shadow- /etc/master.passwd /etc/krb5.keytab /etc/security/opasswd',
  '/proc/*/environ /proc/*/mem /proc/*/cmdline /proc/kcore /dev/mem /run/secrets /run/secrets/* /var/run/secrets /var/run/secrets/*',
  'Library/Keychains Library/Keychains/* .local/share/keyrings .local/share/keyrings/* .mozilla .mozilla/* .config/google-chrome',
  '.config/google-chrome/* .config/chromium credentials.json service-account.json secrets.yml secrets.yaml secrets.json master.key',
  'docker.sock wallet.dat .electrum/wallets/* .ethereum/keystore/* .solana/id.json .config/solana/id.json',
);
const SECRET_FOLDERS: Folders = folders(
  '.ssh .gnupg .aws .azure .config/gcloud .password-store .mozilla .config/google-chrome .config/chromium Library/Keychains',
  'Library/Cookies .local/share/keyrings /run/secrets /var/run/secrets /etc/ssl/private /etc/ssh .kube',
);
const STARTS_BY_ITSELF: Endings = endings(
  '.bashrc .bash_profile .bash_login .bash_logout .bash_aliases .profile .zshrc .zshenv .zprofile .zlogin .kshrc .cshrc .tcshrc .inputrc',
  'config.fish .xinitrc .xsession .xprofile .xsessionrc .vimrc .emacs .gitconfig .npmrc .pythonrc .irbrc .envrc .tmux.conf .screenrc',
  '.ssh/authorized_keys .ssh/authorized_keys2 .ssh/config .ssh/rc authorized_keys .pam_environment sitecustomize.py usercustomize.py',
  '/etc/rc.local /etc/crontab /etc/anacrontab /etc/ld.so.preload /etc/sudoers /etc/passwd /etc/shadow /etc/group /etc/environment',
  '/etc/profile /etc/bash.bashrc /etc/zshrc /etc/inittab /etc/hosts.equiv .rhosts .git/config *.service *.timer *.desktop *.plist',
);
const STARTS_FROM: Folders = folders(
  '.git/hooks .husky .config/autostart .config/systemd .config/fish .config/environment.d Library/LaunchAgents Library/LaunchDaemons',
  '/etc/cron.d /etc/cron.daily /etc/cron.hourly /etc/cron.weekly /etc/cron.monthly /var/spool/cron /etc/profile.d /etc/systemd',
  '/lib/systemd /usr/lib/systemd /etc/init.d /etc/init /etc/rc.d /etc/sudoers.d /etc/pam.d /etc/ld.so.conf.d /etc/xdg/autostart',
  '/etc/udev /etc/apt/apt.conf.d /etc/update-motd.d .vscode/tasks.json',
);
/** What is lost when it is written over, although no system folder. */
const TRUNCATION_HURTS: Endings = endings(
  '.ssh/* .gnupg/* .aws/* .git/* .bashrc .bash_profile .profile .zshrc .gitconfig .kube/config .bash_history .zsh_history',
  'authorized_keys id_rsa id_ed25519',
);

function endings(...lines: readonly string[]): Endings {
  const all = patternsOf(lines);
  const exact = new Map<string, (readonly string[])[]>();
  const extensions = new Set<string>();
  const byFolder = new Map<string, (readonly string[])[]>();
  const others: (readonly string[])[] = [];
  for (const pattern of all) {
    const last = (pattern.at(-1) ?? '').toLowerCase();
    const folder = pattern.at(-2)?.toLowerCase();
    if (!last.includes('*')) put(exact, last, pattern);
    else if (pattern.length === 1 && last.startsWith('*.')) extensions.add(last.slice(2));
    else if (last === '*' && folder !== undefined && !folder.includes('*')) put(byFolder, folder, pattern);
    else others.push(pattern);
  }
  return { exact, extensions, folders: byFolder, others, all };
}

function put(map: Map<string, (readonly string[])[]>, key: string, pattern: readonly string[]): void {
  const patterns = map.get(key);
  if (patterns === undefined) map.set(key, [pattern]);
  else patterns.push(pattern);
}

function folders(...lines: readonly string[]): Folders {
  const byFirst = new Map<string, (readonly string[])[]>();
  for (const pattern of patternsOf(lines)) {
    const first = (pattern[0] === '' ? pattern[1] : pattern[0]) ?? '';
    put(byFirst, first.toLowerCase(), pattern);
  }
  return byFirst;
}

function patternsOf(lines: readonly string[]): readonly (readonly string[])[] {
  return lines.flatMap((line) => line.split(' ')).map((text) => text.split('/'));
}

function endsLike(segments: readonly string[], list: Endings): boolean {
  const last = (segments.at(-1) ?? '').toLowerCase();
  if (hasGlob(last)) return endsWithOne(segments, list.all);
  const dot = last.lastIndexOf('.');
  if (dot >= 0 && list.extensions.has(last.slice(dot + 1))) return true;
  const candidates = list.exact.get(last);
  if (candidates !== undefined && endsWithOne(segments, candidates)) return true;
  const folder = segments.at(-2);
  if (folder !== undefined) {
    if (hasGlob(folder)) return endsWithOne(segments, list.all);
    const inFolder = list.folders.get(folder.toLowerCase());
    if (inFolder !== undefined && endsWithOne(segments, inFolder)) return true;
  }
  return endsWithOne(segments, list.others);
}

function endsWithOne(segments: readonly string[], patterns: readonly (readonly string[])[]): boolean {
  for (const ending of patterns) if (endsWith(segments, ending)) return true;
  return false;
}

function endsWith(segments: readonly string[], ending: readonly string[]): boolean {
  const start = ending[0] === '' ? 0 : segments.length - ending.length;
  if (start < 0 || (ending[0] === '' && segments.length !== ending.length)) return false;
  for (let i = ending.length - 1; i >= 0; i--) if (!couldMatch(segments[start + i] ?? '', ending[i] ?? '')) return false;
  return true;
}

/** The path lies in one of these folders, wherever the folder is when it is not absolute. */
function startsLike(segments: readonly string[], list: Folders): boolean {
  for (let at = 0; at < segments.length; at++) {
    const segment = segments[at] ?? '';
    if (segment === '') continue;
    const candidates = hasGlob(segment) ? [...list.values()].flat() : list.get(segment.toLowerCase());
    if (candidates?.some((folder) => matchesAt(segments, folder[0] === '' ? 0 : at, folder)) === true) return true;
  }
  return false;
}

function matchesAt(segments: readonly string[], start: number, folder: readonly string[]): boolean {
  return folder.every((pattern, i) => couldMatch(segments[start + i] ?? '', pattern));
}

/** Segments with `.` and `..` worked out; the first one is '' for an absolute path. */
export function segmentsOf(path: string): readonly string[] {
  if (!path.includes('/')) return path === '.' || path === '' ? [] : [path];
  const segments: string[] = [];
  for (const segment of path.split('/')) {
    if (segment === '.' || (segment === '' && segments.length > 0)) continue;
    const last = segments.at(-1);
    if (segment !== '..' || last === undefined || last === '..' || last === '~') segments.push(segment);
    else if (last !== '') segments.pop();
  }
  // What is below the root of a process is the root.
  if (segments[0] === '' && segments[1] === 'proc' && segments[3] === 'root') return ['', ...segments.slice(4)];
  return segments[0] === '' && segments.length === 1 && path !== '/' && !path.startsWith('/') ? [] : segments;
}

function isMany(segment: string): boolean {
  return segment === STAR || segment === `.${STAR}` || segment === `${STAR}.${STAR}`;
}

/**
 * Could a segment with marks be a name that fits `pattern` (`*` for any text)? Names are compared without case, as some
 * file systems do. An unknown piece alone fits nothing, or every variable would be a secret.
 */
function couldMatch(segment: string, pattern: string): boolean {
  if (!hasGlob(segment)) {
    if (segment.length + 1 < pattern.length) return false;
    if (pattern === '*') return segment !== '';
    if (pattern.startsWith('*')) return segment.length >= pattern.length && segment.toLowerCase().endsWith(pattern.slice(1));
    if (pattern.endsWith('*')) return segment.toLowerCase().startsWith(pattern.slice(0, -1));
    return segment.toLowerCase() === pattern.toLowerCase();
  }
  if (pattern.includes('*')) return segment.startsWith('.') === pattern.startsWith('.') && pattern !== '*' && !segment.startsWith(STAR);
  // A pattern never matches a leading dot that it does not spell, and `*` alone is the whole folder, not a secret in it.
  if (segment === STAR || segment.startsWith('.') !== pattern.startsWith('.')) return false;
  return globMatches(segment.toLowerCase(), pattern.toLowerCase());
}

/** Whether a name fits a segment with marks. At most segment times name steps, both short. */
function globMatches(segment: string, name: string): boolean {
  // What stands before the first mark and after the last one decides nearly always.
  let head = 0;
  while (head < segment.length && !isMark(segment, head)) head++;
  let tail = segment.length;
  while (tail > head && !isMark(segment, tail - 1)) tail--;
  if (!name.startsWith(segment.slice(0, head)) || !name.endsWith(segment.slice(tail))) return false;
  let reachable = new Set([0]);
  for (const mark of segment) {
    const next = new Set<number>();
    for (const at of reachable) {
      if (mark === STAR || mark === UNKNOWN || mark === SPLIT || mark === NUMBER) for (let to = at; to <= name.length; to++) next.add(to);
      else if (at < name.length && (mark === ONE || name[at] === mark)) next.add(at + 1);
    }
    reachable = next;
  }
  return reachable.has(name.length);
}

function isMark(segment: string, at: number): boolean {
  return !isKnown(segment.charAt(at));
}

/** The whole home folder or system: whatever secret there is lies in it. */
export function isBroad(path: Field): boolean {
  const plain = path.endsWith('/') && path.length > 1 ? path.slice(0, -1) : path;
  return ['~', '/', '/home', '/root', '/etc', '/Users'].includes(plain);
}
