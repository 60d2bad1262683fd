/** What kind of place a path lies in. Folders are known under the name they were given and under the one links lead to. */
import { baseOf, byFirst, firstOf, isUnder, normalPath, type PathSpelling, passesOne } from './path-text.ts';

export interface FolderOptions {
  readonly workspace: string;
  readonly home: string;
  /** Folders for temporary files; those of the system are known. */
  readonly tmp: readonly string[];
  readonly folds: boolean;
  /** Follows links, once for each folder; gives the path itself where it cannot. */
  readonly real: (path: string) => string;
}

export interface Folders {
  readonly spelling: PathSpelling;
  readonly homes: readonly string[];
  readonly workspaces: readonly string[];
  /** A pattern of a scope, absolute: `~` is the home, and what does not begin with a wildcard is relative to the workspace. */
  expand(pattern: string): string;
  /** The same pattern for the home as links lead to it; undefined when that is the same. */
  expandReal(pattern: string): string | undefined;
  inWorkspace(path: string): boolean;
  inTmp(path: string): boolean;
  /** Below the user's home; the rest of the path, with a slash before it. */
  inHome(path: string): string | undefined;
  /** Below anybody's home. */
  inAnyHome(path: string): string | undefined;
  isSystem(path: string): boolean;
  /** Folders that tools fill and empty on their own. */
  isPackage(path: string): boolean;
  isBuildOutput(path: string): boolean;
  isCache(path: string): boolean;
  isDevice(path: string): boolean;
}

/** Where programs, libraries and their settings lie: readable, and never the place of what was just written. */
const SYSTEM_FOLDERS = [
  '/usr',
  '/bin',
  '/sbin',
  '/lib',
  '/lib32',
  '/lib64',
  '/libx32',
  '/opt',
  '/etc',
  '/nix',
  '/snap',
  '/gnu',
  '/run',
  '/var/run',
  '/sys',
  '/proc',
  '/dev',
  '/boot',
  '/var/lib',
  '/var/cache',
  '/system',
  '/System',
  '/library',
  '/Library',
  '/applications',
  '/Applications',
  '/home/linuxbrew',
];

const SYSTEM_PLACES = byFirst(SYSTEM_FOLDERS, (folder) => folder);
const SYSTEM_TMP = ['/tmp', '/var/tmp', '/var/folders'];
/** Filled by package managers, and rebuilt by them. */
export const PACKAGE_FOLDERS: readonly string[] = [
  'node_modules',
  '.pnpm',
  '.pnpm-store',
  '.yarn',
  '.venv',
  'venv',
  'site-packages',
  'dist-packages',
  '__pycache__',
  '.tox',
  '.nox',
  '.cargo',
  '.rustup',
  '.m2',
  '.gradle',
  '.npm',
  'bower_components',
  '.bundle',
  '.nuget',
  '.terraform',
  'Pods',
  '.dart_tool',
  '.eggs',
];
/** Made anew by every build; only within the workspace. */
const OUTPUT_FOLDERS = [
  'dist',
  'build',
  'out',
  'target',
  'coverage',
  '.next',
  '.nuxt',
  '.svelte-kit',
  '.turbo',
  '.cache',
  '.parcel-cache',
  '.vite',
  '.angular',
  '.output',
  '.mypy_cache',
  '.pytest_cache',
  '.ruff_cache',
  'htmlcov',
  '.nyc_output',
  'storybook-static',
  '_build',
];
/** Below the home, where tools keep what they can fetch or make again. */
export const CACHES: readonly string[] = [
  '/.npm',
  '/.cache',
  '/.node-gyp',
  '/.yarn',
  '/.pnpm-store',
  '/.local/share/pnpm',
  '/.local/share/virtualenv',
  '/.local/state',
  '/.bun/install',
  '/.deno',
  '/.cargo/registry',
  '/.cargo/git',
  '/.cargo/.package-cache',
  '/.rustup',
  '/.gradle',
  '/.m2',
  '/go/pkg',
  '/.nuget',
  '/.gem',
  '/.composer/cache',
  '/.config/configstore',
  '/Library/Caches',
  '/library/caches',
  '/.v8-cache',
  '/.ivy2',
  '/.sbt',
  '/.nvm/.cache',
  '/.cmake',
  '/.dotnet',
  '/.expo',
  '/.electron',
  '/.node_repl_history',
  '/.python_history',
  '/.yarnrc',
];
const OUTPUTS: ReadonlySet<string> = new Set(OUTPUT_FOLDERS);
const CACHE_PLACES = byFirst(CACHES, (cache) => cache);
const DEVICES =
  /^\/dev\/(?:null|zero|full|random|urandom|tty\d*|ptmx|pts\/\d+|console|stdin|stdout|stderr|fd(?:\/\d+)?|shm(?:\/.*)?|mqueue(?:\/.*)?|dtracehelper|autofs_nowait)$/;
const OWN_PROC =
  /^\/proc\/(?:self|thread-self|\d+)\/(?:comm|oom_score_adj|oom_adj|coredump_filter|timerslack_ns|loginuid|setgroups|uid_map|gid_map|attr\/.*|task\/\d+\/(?:comm|attr\/.*))$/;
const HOMES_BEGIN = 'huUrv';
const HOMES = /^\/(?:home\/[^/]+|[uU]sers\/[^/]+|root|var\/root)(?=\/|$)/;

export function foldersOf({ workspace, home, tmp, folds, real }: FolderOptions): Folders {
  const plain: PathSpelling = { folds, cwd: '/' };
  const spelled = (path: string): string => normalPath(path, plain);
  const both = (path: string): readonly string[] => [...new Set([spelled(path), spelled(real(path))])];
  const workspaces = both(workspace).filter((path) => path !== '/');
  const homes = both(home).filter((path) => path !== '/');
  const tmps = [...new Set([...SYSTEM_TMP, ...tmp].flatMap(both))].filter((path) => path !== '/');
  const spelling: PathSpelling = { folds, cwd: workspaces[0] ?? '/' };
  const packages = new Set(folds ? PACKAGE_FOLDERS.map((name) => name.toLowerCase()) : PACKAGE_FOLDERS);
  const within = (folders: readonly string[], path: string): boolean => folders.some((folder) => isUnder(path, folder));
  const inHome = (path: string): string | undefined => {
    const found = homes.find((folder) => isUnder(path, folder));
    return found === undefined ? undefined : path.slice(found.length);
  };
  const expandIn = (base: string, pattern: string): string => {
    if (pattern === '~' || pattern.startsWith('~/')) return spelledPattern(`${base}${pattern.slice(1)}`, folds);
    if (/^[/*?[]/.test(pattern)) return spelledPattern(pattern, folds);
    return spelledPattern(`${spelling.cwd}/${pattern}`, folds);
  };
  return {
    spelling,
    homes,
    workspaces,
    expand: (pattern) => expandIn(homes[0] ?? '', pattern),
    expandReal: (pattern) => (homes[1] !== undefined && pattern.startsWith('~') ? expandIn(homes[1], pattern) : undefined),
    inWorkspace: (path) => within(workspaces, path),
    inTmp: (path) => within(tmps, path),
    inHome,
    inAnyHome: (path) => inHome(path) ?? (HOMES_BEGIN.includes(path.charAt(1)) ? restOf(HOMES.exec(path)?.[0], path) : undefined),
    isSystem: (path) => SYSTEM_PLACES.get(firstOf(path))?.some((folder) => isUnder(path, folder)) === true,
    isPackage: (path) => passesOne(path, packages),
    isBuildOutput: (path) => {
      const workspace = workspaces.find((folder) => isUnder(path, folder));
      return workspace !== undefined && passesOne(path.slice(workspace.length), OUTPUTS);
    },
    isCache: (path) => {
      const rest = inHome(path);
      if (rest === undefined) return false;
      return CACHE_PLACES.get(firstOf(rest))?.some((cache) => isUnder(rest, cache)) === true || isToolData(rest);
    },
    isDevice: (path) => (path.startsWith('/dev/') && DEVICES.test(path)) || (path.startsWith('/proc/') && OWN_PROC.test(path)),
  };
}

/** `~/.local/share/vitest` and its like; not what the desktop starts, nor where others keep secrets. */
function isToolData(rest: string): boolean {
  const name = /^\/\.local\/share\/([^/]+)\/./.exec(rest)?.[1];
  return name !== undefined && !NO_TOOL_DATA.has(name);
}
const NO_TOOL_DATA: ReadonlySet<string> = new Set([
  'applications',
  'systemd',
  'keyrings',
  'kwalletd',
  'dbus-1',
  'autostart',
  'nautilus',
  'bash-completion',
  'zsh',
  'fish',
  'gnupg',
  'password-store',
]);

function restOf(folder: string | undefined, path: string): string | undefined {
  return folder === undefined ? undefined : path.slice(folder.length);
}

/** Dots and doubled slashes of a pattern; wildcards stay. */
function spelledPattern(pattern: string, folds: boolean): string {
  if (!pattern.startsWith('/')) return folds ? pattern.normalize('NFC').toLowerCase() : pattern;
  const tail = pattern.length > 1 && pattern.endsWith('/') ? '/' : '';
  return normalPath(pattern, { folds, cwd: '/' }) + tail;
}

/** Settings and certificates every program reads that speaks TLS. */
export function isCertificateBundle(path: string): boolean {
  if (isUnder(path, '/etc/ssl') || isUnder(path, '/etc/pki') || isUnder(path, '/etc/ca-certificates')) return !path.includes('/private/');
  if (isUnder(path, '/usr/share/ca-certificates') || isUnder(path, '/usr/local/share/ca-certificates') || isUnder(path, '/usr/lib/ssl'))
    return true;
  return (
    /^(?:cacerts?|ca-bundle|ca-certificates|roots|cert|isrgrootx1|ca)(?:[-.][\w.-]*)?\.(?:pem|crt|p12)$/i.test(baseOf(path)) &&
    isUnder(path, '/usr')
  );
}
