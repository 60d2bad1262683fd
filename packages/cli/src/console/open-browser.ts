/** Opening the page in the user's browser. */
import { spawn } from 'node:child_process';
import type { Io } from '../io.ts';

/**
 * Opens the page, never the link: arguments of a process can be read by every user of the machine, and a file that leads to
 * the link by every process of this one, an agent's shell included. Whatever fails, the link stands in the terminal.
 *
 * @returns false where there is no screen to open anything on.
 */
export function openBrowser(url: string, env: NodeJS.ProcessEnv, platform: NodeJS.Platform = process.platform): boolean {
  const opener = openerFor(env, platform);
  if (opener === undefined) return false;
  const child = spawn(opener, [url], { detached: true, stdio: 'ignore', env });
  child.on('error', () => {});
  child.unref();
  return true;
}

/** Over SSH the screen is elsewhere. */
function openerFor(env: Io['env'], platform: NodeJS.Platform): string | undefined {
  const isSet = (name: string): boolean => env[name] !== undefined && env[name] !== '';
  if (isSet('SSH_CONNECTION')) return undefined;
  if (platform === 'darwin') return '/usr/bin/open';
  if (platform === 'linux') return isSet('DISPLAY') || isSet('WAYLAND_DISPLAY') ? 'xdg-open' : undefined;
  return undefined;
}
