/** Folders every program needs, and how a scope's patterns become folders: what is granted to whoever is contained. */
import { readdirSync, realpathSync } from 'node:fs';
import { delimiter, dirname, resolve } from 'node:path';
import { isUnder, normalPath } from '../rules/path-text.ts';
import type { SandboxCommand, Surroundings } from './sandbox-kind.ts';

/** Where a contained program runs. Paths are absolute. */
export interface Places {
  readonly workspace: string;
  readonly home: string;
  /** Folders for temporary files. */
  readonly tmp: readonly string[];
  readonly program: string;
  /** What the program runs, where that is an interpreter. */
  readonly script?: string;
  /** The folders of its `PATH`. */
  readonly path: readonly string[];
  /** Countersign's own files. */
  readonly own: readonly string[];
  /** What it has to read besides. */
  readonly reads?: readonly string[];
  readonly isRoot: boolean;
}

/** Of a command that is started from here. */
export function placesOf({ program, args, cwd, env }: SandboxCommand, { workspace, home, own, reads = [] }: Surroundings): Places {
  const tmp = env['TMPDIR'];
  const script = scriptOf(args);
  return {
    workspace,
    home,
    tmp: [...(tmp?.startsWith('/') === true ? [tmp] : []), ...SYSTEM_TMP],
    program,
    ...(script !== undefined && { script: resolve(cwd, script) }),
    path: (env['PATH'] ?? '')
      .split(delimiter)
      .slice(0, MAX_PATH_FOLDERS)
      .filter((folder) => folder.startsWith('/')),
    own,
    reads,
    isRoot: process.geteuid?.() === 0,
  };
}

/** The first that is no option, alone: others name what the script is to work on, which nobody meant to grant. */
function scriptOf(args: readonly string[]): string | undefined {
  const first = args.find((arg) => !arg.startsWith('-'));
  return first !== undefined && SCRIPT.test(first) ? first : undefined;
}

const SYSTEM_TMP = ['/tmp', '/var/tmp'];
const MAX_PATH_FOLDERS = 200;

/** What is asked of the file system while rules are made; tests give their own. */
export interface Look {
  /** All links followed; undefined where nothing is. */
  real(path: string): string | undefined;
  /** What is in a folder; nothing where it cannot be read. */
  entries(folder: string): readonly { readonly name: string; readonly isFolder: boolean }[];
}

export const THIS_HOST: Look = {
  real: (path) => {
    try {
      return realpathSync.native(path);
    } catch {
      return undefined;
    }
  },
  entries: (folder) => {
    try {
      return readdirSync(folder, { withFileTypes: true }).map((entry) => ({ name: entry.name, isFolder: entry.isDirectory() }));
    } catch {
      return [];
    }
  },
};

/** Programs and their libraries. */
export const PROGRAM_FOLDERS: readonly string[] = [
  '/usr',
  '/bin',
  '/sbin',
  '/lib',
  '/lib32',
  '/lib64',
  '/libx32',
  '/opt',
  '/nix/store',
  '/snap',
  '/gnu/store',
  '/home/linuxbrew',
];
/** What the kernel tells of itself and of processes; who is outside a Landlock domain tells nothing but its names. */
export const KERNEL_FOLDERS: readonly string[] = ['/proc', '/sys'];
/** Where names are looked up, fonts and certificates. */
export const SERVICE_FOLDERS: readonly string[] = [
  '/run/systemd/resolve',
  '/run/NetworkManager',
  '/run/resolvconf',
  '/var/cache/fontconfig',
  '/var/lib/ca-certificates',
];
export const DEVICES: readonly string[] = [
  '/dev/null',
  '/dev/zero',
  '/dev/full',
  '/dev/random',
  '/dev/urandom',
  '/dev/tty',
  '/dev/ptmx',
  '/dev/pts',
];
/** For semaphores and shared memory. */
export const SHARED_MEMORY = '/dev/shm';
const SYSTEM_SETTINGS = '/etc';
/** Names in `/etc`, or in a folder of it, that hold passwords and keys. */
const ETC_SECRETS: ReadonlySet<string> = new Set([
  'shadow',
  'shadow-',
  'gshadow',
  'gshadow-',
  'sudoers',
  'sudoers.d',
  'opasswd',
  'krb5.keytab',
  'kubernetes',
  'rancher',
  'private',
  'wireguard',
  'openvpn',
  'NetworkManager',
  'ppp',
  'mysql',
  'letsencrypt',
  'docker',
  '.pwd.lock',
]);
/** Folders of `/etc` in which some files are secret and others needed. */
const ETC_MIXED: ReadonlySet<string> = new Set(['ssh', 'ssl', 'security', 'pki']);
const HOST_KEY = /^ssh_host_.*_key$/;
const MAX_ETC_NAMES = 2_000;

/** Below a home: programs that a user put there. */
export const USER_PROGRAMS: readonly string[] = [
  '/.nvm',
  '/.pyenv',
  '/.rbenv',
  '/.rustup',
  '/.cargo/bin',
  '/.bun',
  '/.deno',
  '/.volta',
  '/.asdf',
  '/.sdkman',
  '/.local/bin',
  '/.local/lib',
  '/.local/share/mise',
  '/go/bin',
];
/** Below a home: settings without secrets that tools cannot do without. */
export const USER_SETTINGS: readonly string[] = ['/.gitconfig', '/.config/git/config', '/.config/git/ignore', '/.gitignore_global'];

/** What of `/etc` holds no secret, one by one: a rule of Landlock gives, and nothing takes back. */
export function systemSettings(look: Look): readonly string[] {
  return ofEtc(look).filter((path) => !isEtcSecret(path));
}

/** What of it holds secrets. */
export function systemSecrets(look: Look): readonly string[] {
  return ofEtc(look).filter(isEtcSecret);
}

/** Folders that hold both kinds by what is in them. */
function ofEtc(look: Look): readonly string[] {
  const inside = (folder: string): readonly string[] => look.entries(folder).map(({ name }) => `${folder}/${name}`);
  return inside(SYSTEM_SETTINGS)
    .flatMap((path) => (ETC_MIXED.has(path.slice(SYSTEM_SETTINGS.length + 1)) ? inside(path) : [path]))
    .slice(0, MAX_ETC_NAMES);
}

function isEtcSecret(path: string): boolean {
  const name = path.slice(path.lastIndexOf('/') + 1);
  return ETC_SECRETS.has(name) || HOST_KEY.test(name);
}

/**
 * Where the program lies with what belongs to it: the folder above its `bin`, the package of a script that is given to it. `file` is as
 * it was named, `folder` has no links; what is too wide is left to whoever grants.
 */
export function programFolders({ program, script }: Places, look: Look): readonly { readonly file: string; readonly folder: string }[] {
  return [program, ...(script === undefined ? [] : [script])].flatMap((file) => {
    const real = look.real(file);
    return real === undefined ? [] : [{ file, folder: folderOf(real, look) ?? real }];
  });
}

const SCRIPT = /\.(?:[cm]?[jt]s|py|rb|pl|php|sh|jar)$/i;
const PACKAGE_FILES = ['package.json', 'pyproject.toml'];
const MAX_DEPTH = 64;

/** Undefined: the file stands for itself. */
function folderOf(file: string, look: Look): string | undefined {
  // All packages beside it, which it loads.
  const packages = file.indexOf('/node_modules/');
  if (packages > 0) return file.slice(0, packages + '/node_modules'.length);
  const folder = dirname(file);
  if (/\/s?bin$/.test(folder)) return dirname(folder);
  let above = folder;
  for (let depth = 0; depth < MAX_DEPTH && above !== '/'; depth++) {
    if (PACKAGE_FILES.some((name) => look.real(`${above}/${name}`) !== undefined)) return above;
    above = dirname(above);
  }
  return undefined;
}

export type PatternPlace =
  /** It means a file or a folder with all in it. */
  | { readonly path: string }
  /** A wildcard stands where only names that exist could tell what it means. `below`: where all of it lies. */
  | { readonly below: string };

/** As rules read it: `~` is the home, and what does not begin with a slash or a wildcard is relative to the workspace. */
export function placeOf(pattern: string, { home, workspace }: Pick<Places, 'home' | 'workspace'>): PatternPlace {
  const text = pattern === '~' || pattern.startsWith('~/') ? `${home}${pattern.slice(1)}` : pattern;
  if (/^[*?[]/.test(text)) return { below: '/' };
  const whole = text.replace(/\/\*{1,2}$/, '') || '/';
  const wildcard = whole.search(/[*?[]/);
  const spelling = { folds: false, cwd: workspace };
  if (wildcard < 0) return { path: normalPath(whole, spelling) };
  const before = whole.slice(0, wildcard);
  return { below: normalPath(before.slice(0, before.lastIndexOf('/') + 1) || '.', spelling) };
}

/** One lies in the other, or they are the same. */
export function overlaps(one: string, other: string): boolean {
  return isUnder(one, other) || isUnder(other, one);
}
