/**
 * What to start on Windows for a command such as `npx`. There a program is an .exe, and anything else that can be typed, such as
 * `npx.cmd`, is a script that only `cmd.exe` runs: started without it, it is not found.
 *
 *     npx -y "a & b"   →   cmd.exe /d /s /c ""C:\Program Files\nodejs\npx.cmd" ^^^"-y^^^" ^^^"a^^^ ^^^&^^^ b^^^""
 *
 * `cmd.exe` reads that line twice: once to start the script, and once more where the script says `%*`. So every character that means
 * something to it is escaped for both, quotes too, so that it never believes itself inside of some: what an argument says is not run.
 *
 * @see https://qntm.org/cmd, and cross-spawn, which MCP's own SDK starts servers with
 */
import { statSync } from 'node:fs';
import { win32 } from 'node:path';
import { CountersignError } from '@countersign/core';

export interface Command {
  readonly command: string;
  readonly args: readonly string[];
  /** The arguments are one text, written as `cmd.exe` reads it. */
  readonly windowsVerbatimArguments?: true;
}

const EXTENSIONS = '.COM;.EXE;.BAT;.CMD';
const PROGRAM = /\.(?:com|exe)$/i;
const SCRIPT = /\.(?:bat|cmd)$/i;
const META = /[()\][%!^"`<>&|;, *?]/g;

/**
 * The same when it is a program, or not found. The current folder is not looked into: whoever writes there would be run.
 *
 * @param env - of the command; names of its variables in any case, as Windows takes them.
 * @throws {CountersignError} `OPTIONS_INVALID` for an argument that no script can be given.
 */
export function windowsCommand(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  isFile: (path: string) => boolean = isFileHere,
): Command {
  const found = find(command, env, isFile);
  if (found === undefined || !SCRIPT.test(found)) return { command, args };
  if (args.some((arg) => /[\0\r\n]/.test(arg)) || /["%\0\r\n]/.test(found))
    throw new CountersignError(
      'OPTIONS_INVALID',
      `${win32.basename(found)} is a script of Windows: an argument with a line end, or a path with " or %, cannot be handed to it`,
    );
  const line = [`"${found}"`, ...args.map(escaped)].join(' ');
  return { command: variable(env, 'ComSpec') ?? 'cmd.exe', args: ['/d', '/s', '/c', `"${line}"`], windowsVerbatimArguments: true };
}

function find(command: string, env: NodeJS.ProcessEnv, isFile: (path: string) => boolean): string | undefined {
  if (PROGRAM.test(command)) return undefined;
  const folders = /[\\/:]/.test(command)
    ? ['']
    : (variable(env, 'Path') ?? '')
        .split(';')
        .map((folder) => folder.replace(/^"(.*)"$/, '$1'))
        .filter((folder) => win32.isAbsolute(folder));
  const extensions = [
    ...(SCRIPT.test(command) ? [''] : []),
    ...(variable(env, 'PATHEXT') ?? EXTENSIONS).split(';').filter((each) => each !== ''),
  ];
  for (const folder of folders)
    for (const extension of extensions) {
      const path = win32.normalize(folder === '' ? command + extension : win32.join(folder, command + extension));
      if ((PROGRAM.test(path) || SCRIPT.test(path)) && isFile(path)) return path;
    }
  return undefined;
}

/** One argument: first as programs take a command line apart, then twice as `cmd.exe` does. */
function escaped(arg: string): string {
  const quoted = `"${arg.replace(/(\\*)"/g, '$1$1\\"').replace(/(\\+)$/, '$1$1')}"`;
  return quoted.replace(META, '^$&').replace(META, '^$&');
}

function variable(env: NodeJS.ProcessEnv, name: string): string | undefined {
  const key = Object.keys(env).find((each) => each.toLowerCase() === name.toLowerCase());
  return key === undefined ? undefined : env[key];
}

function isFileHere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}
