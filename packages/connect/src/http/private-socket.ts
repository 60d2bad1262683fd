/**
 * A unix socket that only processes of this user can open: the folder it lies in is closed to everybody else.
 *
 * That is all the authentication there is. Node does not tell who is at the other end of a unix socket (SO_PEERCRED), so
 * processes of one user are not told apart, and root comes in everywhere.
 */
import { chmodSync, lstatSync, mkdirSync, readdirSync, type Stats, unlinkSync } from 'node:fs';
import { createConnection } from 'node:net';
import { basename, dirname, isAbsolute } from 'node:path';
import { CountersignError } from '@countersign/core';

/** What every system takes; longer ones are cut by some, and would lie elsewhere. */
export const MAX_SOCKET_BYTES = 103;
const FOLDER_MODE = 0o700;
const SOCKET_MODE = 0o600;
const GROUP_AND_OTHERS = 0o077;

/**
 * Makes sure that a socket may be laid at `path`: makes its folder when there is none, and takes away the socket of a process
 * that is gone.
 *
 * @throws {CountersignError} `OPTIONS_INVALID`: others could get in, something else stands there, or somebody listens.
 */
export async function claimSocket(path: string): Promise<void> {
  if (process.platform === 'win32') throw invalid('there are no unix sockets here: use a port');
  if (!isAbsolute(path) || path.includes('\0')) throw invalid('its path must be absolute');
  if (Buffer.byteLength(path) > MAX_SOCKET_BYTES) throw invalid(`${path} is longer than ${MAX_SOCKET_BYTES} bytes: choose a shorter path`);
  const folder = dirname(path);
  mkdirSync(folder, { recursive: true, mode: FOLDER_MODE });
  requirePrivate(folder, lstatSync(folder), path);
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (there === undefined) return;
  if (!there.isSocket()) throw invalid(`${path} is something else than a socket, and was left as it is`);
  if (await isAnswered(path))
    throw invalid(`${path} is in use: another process listens there, perhaps another countersign: end it, or choose another path`);
  unlinkSync(path);
}

/** The folder keeps others out already; this is for whoever opens the folder later. */
export function closeToOthers(path: string): void {
  chmodSync(path, SOCKET_MODE);
}

function requirePrivate(folder: string, stats: Stats, path: string): void {
  if (!stats.isDirectory()) throw invalid(`${folder} is no folder, or a link to one`);
  if (stats.uid !== process.getuid?.()) throw invalid(`${folder} belongs to another user`);
  if ((stats.mode & GROUP_AND_OTHERS) === 0) return;
  // Nobody is told to close a folder that others use, such as /tmp.
  const isItsOwn = readdirSync(folder).every((name) => name === basename(path));
  const next = isItsOwn ? `run: chmod 700 ${folder}` : `name a folder of its own, which is then made: ${folder}/NAME/${basename(path)}`;
  throw invalid(`${folder} is open to other users (mode ${(stats.mode & 0o777).toString(8)}); ${next}`);
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    const done = (answered: boolean) => (): void => {
      socket.destroy();
      resolve(answered);
    };
    socket.once('connect', done(true));
    // Refused, or gone meanwhile.
    socket.once('error', done(false));
  });
}

function invalid(what: string): CountersignError {
  return new CountersignError('OPTIONS_INVALID', `socket: ${what}`);
}
