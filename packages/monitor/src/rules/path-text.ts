/**
 * Paths as a watched process names them, in one spelling.
 *
 * The process chooses the name: dots, doubled slashes, `/proc/self/root/etc`, `/proc/7/cwd`, capitals where the file system folds
 * them, what macOS calls `/private`. Links are not followed here: where a sensor followed them, both names are judged.
 */

/** Longest path that is judged as it is. No file can be named by a longer one in one piece on Linux or macOS. */
export const MAX_PATH_CHARS = 8192;

export interface PathSpelling {
  /** The file system takes `A` for `a`, and composed for decomposed letters. */
  readonly folds: boolean;
  /** Where a relative path begins. */
  readonly cwd: string;
  /** Working directory of a process, when it is known. */
  readonly cwdOf?: (pid: string) => string | undefined;
}

export function normalPath(path: string, spelling: PathSpelling): string {
  if (isPlain(path) && !spelling.folds) return path;
  let text = path.length > MAX_PATH_CHARS ? path.slice(0, MAX_PATH_CHARS) : path;
  if (!text.startsWith('/')) text = `${spelling.cwd}/${text}`;
  text = `/${walk(text, spelling).join('/')}`;
  return spelling.folds ? folded(text) : text;
}

/** Nothing in it that has another spelling; most paths are so. */
export function isPlain(path: string): boolean {
  if (path.charCodeAt(0) !== SLASH || path.length > MAX_PATH_CHARS || path.length === 1) return path === '/';
  if (path.charCodeAt(path.length - 1) === SLASH || path.startsWith('/proc/')) return false;
  return !path.includes('//') && !passesDots(path);
}
const SLASH = 47;
const DOT = 46;

/** `.` or `..` is on the way, or at the end; a name that only begins with a dot is one like any other. */
function passesDots(path: string): boolean {
  for (let at = path.indexOf('/.'); at >= 0; at = path.indexOf('/.', at + 2)) {
    const second = path.charCodeAt(at + 2);
    const after = second === DOT ? path.charCodeAt(at + 3) : second;
    if (after === SLASH || Number.isNaN(after)) return true;
  }
  return false;
}

/** Segment by segment, as the kernel goes: what comes after `/proc/N/cwd` is relative to where that leads. */
function walk(path: string, spelling: PathSpelling): readonly string[] {
  let kept: string[] = [];
  for (const segment of path.split('/')) {
    if (segment === '' || segment === '.') continue;
    if (segment === '..') {
      kept.pop();
      continue;
    }
    kept.push(segment);
    if (kept[0] === 'proc' && (segment === 'root' || segment === 'cwd')) kept = throughProc(kept, spelling);
  }
  return kept;
}

/** `/proc/N/root` is the root and `/proc/N/cwd` a folder we may know. */
function throughProc(kept: string[], { cwd, cwdOf }: PathSpelling): string[] {
  const isLink = kept.length === 3 || (kept.length === 5 && kept[2] === 'task');
  const process = kept[1] ?? '';
  const isSelf = process === 'self' || process === 'thread-self';
  if (!isLink || !(isSelf || /^\d{1,10}$/.test(process))) return kept;
  if (kept.at(-1) === 'root') return [];
  const folder = isSelf ? cwd : cwdOf?.(process);
  return folder === undefined ? kept : folder.split('/').filter((segment) => segment !== '');
}

/** macOS: case and composition do not count, `/private/tmp` is `/tmp`, and the data volume is the root. */
function folded(path: string): string {
  const text = path.normalize('NFC').toLowerCase();
  const onRoot = text.startsWith('/system/volumes/data/') ? text.slice('/system/volumes/data'.length) : text;
  return /^\/private\/(?:tmp|var|etc)(?=\/|$)/.test(onRoot) ? onRoot.slice('/private'.length) : onRoot;
}

export function isUnder(path: string, folder: string): boolean {
  if (!path.startsWith(folder)) return false;
  return path.length === folder.length || path.charCodeAt(folder.length) === SLASH || folder === '/';
}

export function baseOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

export function folderOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash <= 0 ? '/' : path.slice(0, slash);
}

/** True when one of these names is on the way, or at its end. */
export function passesOne(path: string, names: ReadonlySet<string>): boolean {
  for (let start = 1; start <= path.length; ) {
    const slash = path.indexOf('/', start);
    const end = slash < 0 ? path.length : slash;
    if (names.has(path.slice(start, end))) return true;
    start = end + 1;
  }
  return false;
}

/** The first name of a path, with the slash before it: places below a home are told apart by it. */
export function firstOf(path: string): string {
  const slash = path.indexOf('/', 1);
  return slash < 0 ? path : path.slice(0, slash);
}

/** Things that lie in places, by the first name of the place. */
export function byFirst<Item>(items: readonly Item[], placeOf: (item: Item) => string): ReadonlyMap<string, readonly Item[]> {
  const map = new Map<string, Item[]>();
  for (const item of items) {
    const first = firstOf(placeOf(item));
    const list = map.get(first);
    if (list === undefined) map.set(first, [item]);
    else list.push(item);
  }
  return map;
}

/** True when a folder of this name is on the way, or at its end. */
export function passes(path: string, name: string): boolean {
  const at = path.indexOf(`/${name}`);
  if (at < 0) return false;
  const after = path.charCodeAt(at + name.length + 1);
  return Number.isNaN(after) || after === SLASH || passes(path.slice(at + 1), name);
}
