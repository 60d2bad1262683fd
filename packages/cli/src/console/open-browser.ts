/** Opening the link in the user's browser, without showing it to whoever lists processes. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Io } from '../io.ts';

/** How long the file lies there: a browser that starts needs a while. */
const FILE_MS = 60_000;

/**
 * Opens a small file that leads to the link: arguments of a process can be read by every user of the machine, the file only
 * by its owner. Whatever fails, the link stands in the terminal too.
 *
 * @returns takes the file away; undefined where there is no screen to open anything on.
 */
export function openBrowser(link: string, env: NodeJS.ProcessEnv, platform: NodeJS.Platform = process.platform): (() => void) | undefined {
  const opener = openerFor(env, platform);
  if (opener === undefined) return undefined;
  const folder = mkdtempSync(join(tmpdir(), 'countersign-console-'));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  const file = join(folder, 'open.html');
  // The link is ours: letters, digits and `:/.#-_`.
  writeFileSync(
    file,
    `<!doctype html><meta charset="utf-8"><title>Countersign</title><meta http-equiv="refresh" content="0;url=${link}">\n`,
    {
      mode: 0o600,
      flag: 'wx',
    },
  );
  const child = spawn(opener, [pathToFileURL(file).href], { detached: true, stdio: 'ignore', env });
  child.on('error', () => {});
  child.unref();
  setTimeout(remove, FILE_MS).unref();
  return remove;
}

/** Over SSH the screen is elsewhere. */
function openerFor(env: Io['env'], platform: NodeJS.Platform): string | undefined {
  const isSet = (name: string): boolean => env[name] !== undefined && env[name] !== '';
  if (isSet('SSH_CONNECTION')) return undefined;
  if (platform === 'darwin') return '/usr/bin/open';
  if (platform === 'linux') return isSet('DISPLAY') || isSet('WAYLAND_DISPLAY') ? 'xdg-open' : undefined;
  return undefined;
}
