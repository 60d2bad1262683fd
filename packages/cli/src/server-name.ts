/** What a server is called in rules when nobody said: the name of its package or script. */
import { basename } from 'node:path';

/** Fetch a package and run it. */
const LAUNCHERS: ReadonlySet<string> = new Set(['npx', 'bunx', 'pnpx', 'uvx', 'pipx']);
/** Run a file or module. */
const RUNTIMES: ReadonlySet<string> = new Set(['node', 'bun', 'deno', 'tsx', 'python', 'python3', 'ruby', 'sh', 'bash']);
/** Words between the two: `pipx run x`, `deno run x`, `npm exec x`. */
const VERBS: ReadonlySet<string> = new Set(['run', 'exec', 'x', 'dlx', 'tool']);
const MANAGERS: ReadonlySet<string> = new Set(['npm', 'pnpm', 'yarn', 'uv']);
const MAX_NAME_CHARS = 64;

/**
 * `npx -y @scope/server-files@1.2 /data` gives `server-files`, `node ./build/index.js` gives `index`.
 *
 * @returns undefined when no name can be read off the command.
 */
export function serverName(command: readonly string[]): string | undefined {
  const [program = '', ...args] = command;
  const name = programName(program);
  const isIndirect = LAUNCHERS.has(name) || RUNTIMES.has(name) || MANAGERS.has(name);
  return clean(isIndirect ? firstWord(args) : name);
}

function firstWord(args: readonly string[]): string {
  // A flag's own value is not told from the package: `--server` is there for that.
  return args.find((arg) => !arg.startsWith('-') && !VERBS.has(arg)) ?? '';
}

function programName(program: string): string {
  return basename(program.replaceAll('\\', '/')).replace(/\.(exe|cmd|bat|ps1)$/i, '');
}

function clean(word: string): string | undefined {
  const last = basename(word.replaceAll('\\', '/'));
  const cleaned = last
    .replace(/(?<=.)@.*$/, '')
    .replace(/\.(m|c)?(js|ts)$|\.py$|\.rb$|\.sh$/, '')
    .replaceAll(/[^A-Za-z0-9._-]+/g, '-')
    .replaceAll(/^[^A-Za-z0-9]+|[-.]+$/g, '')
    .slice(0, MAX_NAME_CHARS);
  return cleaned === '' ? undefined : cleaned;
}
