// What scripts that try the packages as they are shipped share: packing one, and npm itself.
import { spawnSync } from 'node:child_process';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** @returns the tarball of what was built of a package, in `folder` */
export function pack(name, folder) {
  const packed = npm(['pack', '--silent', '--pack-destination', folder], join(root, 'packages', name));
  if (packed.status !== 0) throw new Error(`npm pack of ${name} failed\n${packed.stderr}`);
  return join(folder, basename(packed.stdout.trim().split('\n').at(-1) ?? ''));
}

export function npm(args, cwd) {
  const path = process.env.npm_execpath;
  const [command, all] = path === undefined ? ['npm', args] : [process.execPath, [path, ...args]];
  return spawnSync(command, all, { cwd, encoding: 'utf8' });
}

/** What npm says where there is no network. */
export function isOffline(stderr) {
  return /\bcode E(?:NOTFOUND|AI_AGAIN|CONNREFUSED|CONNRESET|TIMEDOUT|NETUNREACH|NOTCACHED)\b/.test(stderr);
}
