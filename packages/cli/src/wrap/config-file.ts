/**
 * Reading and replacing the configuration files of other programs: MCP clients' server lists, Claude Code's settings.
 *
 * `readConfigFile` gives the text of a file, or refuses one that is not safe to change; `replaceConfigFile` puts another text
 * in its place, whole or not at all, with a back-up beside it. Between the two the text is edited by `json-edit.ts` (by path,
 * comments and formatting kept) or by `server-list.ts` (MCP servers).
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { FileRefusedError } from '../failure.ts';
import { readFileBytes } from '../read-small-file.ts';

/** Claude Code keeps histories beside its servers; what is larger is not the file that was meant. */
export const MAX_CONFIG_FILE_BYTES: number = 32 * 1_048_576;

const BACKUP_MODE = 0o600;
const MAX_BACKUPS = 1_000;
const OTHERS_WRITE = 0o002;
const GROUP_WRITES = 0o020;
const BYTE_ORDER_MARK = '\ufeff';

export interface ConfigFile {
  /** As it was named. */
  readonly path: string;
  /** Where it really lies: links of the user's own are followed. */
  readonly realPath: string;
  /** Without the byte order mark. */
  readonly text: string;
  readonly hasByteOrderMark: boolean;
  /** Undefined: there is no such file yet. */
  readonly stat: Stats | undefined;
}

/**
 * The file, if it may be changed. Whoever else could write it could also choose what the client starts, so such a file is
 * refused, like one that lies behind somebody else's link.
 *
 * @param path - absolute.
 * @returns undefined when there is none.
 * @throws {FileRefusedError}; a system error when it cannot be read.
 */
export function readConfigFile(path: string): ConfigFile | undefined {
  const link = lstatSync(path, { throwIfNoEntry: false });
  if (link === undefined) return undefined;
  if (link.isSymbolicLink()) {
    refuseForeign(link, path, 'a symbolic link');
    if (statSync(path, { throwIfNoEntry: false }) === undefined)
      throw refused(path, 'is a symbolic link that leads nowhere', 'remove the link');
  }
  const realPath = realpathSync(path);
  const stat = statSync(realPath);
  if (!stat.isFile()) throw refused(path, 'is not a regular file', 'name the file itself');
  refuseForeign(stat, path, 'a file');
  refuseShared(stat, path);
  refuseShared(statSync(dirname(realPath)), dirname(realPath));
  if (stat.nlink > 1)
    throw refused(path, 'has more than one name (a hard link), and replacing it would part them', 'copy it to a file of its own');
  if (stat.size > MAX_CONFIG_FILE_BYTES)
    throw refused(path, `is larger than ${MAX_CONFIG_FILE_BYTES} bytes`, 'check that it is the file you mean');
  const decoded = decode(readFileBytes(realPath, '/', path, MAX_CONFIG_FILE_BYTES), path);
  const hasByteOrderMark = decoded.startsWith(BYTE_ORDER_MARK);
  return { path, realPath, text: hasByteOrderMark ? decoded.slice(1) : decoded, hasByteOrderMark, stat };
}

/** A file that is still to be made, for `replaceConfigFile`. */
export function newConfigFile(path: string): ConfigFile {
  return { path, realPath: path, text: '', hasByteOrderMark: false, stat: undefined };
}

/**
 * Puts `text` in the place of the file: a copy of the old bytes beside it first (mode 600, never over another one), then a
 * temporary file in the same folder, `fsync`, rename, `fsync` of the folder. Mode and owner stay; a new file gets mode 600.
 *
 * @returns the path of the back-up; undefined for a new file.
 * @throws {FileRefusedError} when the file is no longer what was read: somebody else writes it, the client perhaps.
 */
export function replaceConfigFile(file: ConfigFile, text: string): string | undefined {
  const { realPath, stat } = file;
  if (stat === undefined) mkdirSync(dirname(realPath), { recursive: true, mode: 0o700 });
  const backup = stat === undefined ? undefined : backUp(file);
  const temporary = join(dirname(realPath), `.${basename(realPath)}.${randomBytes(6).toString('hex')}.tmp`);
  const handle = openSync(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, BACKUP_MODE);
  try {
    try {
      writeFileSync(handle, bytesOf(file, text));
      if (stat !== undefined) keepOwnerAndMode(handle, stat, file.path);
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    if (stat === undefined) linkSync(temporary, realPath);
    else {
      refuseChanged(file);
      renameSync(temporary, realPath);
    }
  } finally {
    rmSync(temporary, { force: true });
  }
  syncFolder(dirname(realPath));
  return backup;
}

/** `mcp.json.countersign-backup`, then `-2`, `-3` ... */
function backUp(file: ConfigFile): string {
  for (let number = 1; number <= MAX_BACKUPS; number++) {
    const path = `${file.realPath}.countersign-backup${number === 1 ? '' : `-${number}`}`;
    try {
      writeFileSync(path, bytesOf(file, file.text), { flag: 'wx', mode: BACKUP_MODE, flush: true });
      return path;
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    }
  }
  throw refused(file.path, `has ${MAX_BACKUPS} back-ups beside it already`, 'remove those that are not needed');
}

function bytesOf({ hasByteOrderMark }: ConfigFile, text: string): Buffer {
  return Buffer.from(hasByteOrderMark ? BYTE_ORDER_MARK + text : text);
}

/** Only root comes here with a file of somebody else's. */
function keepOwnerAndMode(handle: number, wanted: Stats, path: string): void {
  const { uid, gid } = fstatSync(handle);
  if (process.platform !== 'win32' && (uid !== wanted.uid || gid !== wanted.gid)) {
    try {
      fchownSync(handle, wanted.uid, wanted.gid);
    } catch {
      throw refused(path, 'would change its owner or group', 'run this as its owner');
    }
  }
  fchmodSync(handle, wanted.mode & 0o7777);
}

function refuseChanged(file: ConfigFile): void {
  const now = readConfigFile(file.path);
  if (now?.realPath === file.realPath && now.text === file.text && now.hasByteOrderMark === file.hasByteOrderMark) return;
  throw refused(file.path, 'was written by another program meanwhile and was left as it is', 'close the client, then try again');
}

function refuseForeign(stat: Stats, path: string, what: string): void {
  const user = process.geteuid?.();
  if (user === undefined || user === 0 || stat.uid === user) return;
  throw refused(path, `is ${what} of another user (${stat.uid})`, 'run this as its owner');
}

function refuseShared(stat: Stats, path: string): void {
  if (process.platform === 'win32') return;
  // In a folder like /tmp only owners may replace what is theirs.
  const isSticky = stat.isDirectory() && (stat.mode & 0o1000) !== 0;
  // Many systems give every user a group of the same number, with nobody else in it.
  const isPrivateGroup = stat.gid === stat.uid;
  const shared = ((stat.mode & OTHERS_WRITE) !== 0 && 'others') || ((stat.mode & GROUP_WRITES) !== 0 && !isPrivateGroup && 'its group');
  if (shared === false || isSticky) return;
  throw refused(
    path,
    `may be written by ${shared} (mode ${(stat.mode & 0o7777).toString(8)}), who could choose what the client starts`,
    'take the permission away: chmod go-w',
  );
}

function decode(bytes: Buffer, path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw refused(path, 'is not UTF-8', 'save it as UTF-8');
  }
}

/** Windows cannot open folders, and needs no such thing. */
function syncFolder(path: string): void {
  if (process.platform === 'win32') return;
  const handle = openSync(path, constants.O_RDONLY);
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

function refused(path: string, why: string, next: string): FileRefusedError {
  return new FileRefusedError(`${path} ${why}`, next);
}
