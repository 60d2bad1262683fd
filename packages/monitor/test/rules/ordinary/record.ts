/**
 * Records what an ordinary build does, as the rules would see it: `npx node record.ts`, on Linux with strace.
 *
 * What is written has no path and no host of this machine: the home is `/home/u`, the project `/home/u/project`, other hosts are
 * numbered. Reads are kept once for each file, everything else as often as it happened. A sensor that sees most is assumed: every
 * open, exec, connect, unlink, rename and new process, also those that failed; nobody says which files were there before.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import type { Compact } from './fixture.ts';

const TRACED = 'openat,open,creat,unlink,unlinkat,rename,renameat,renameat2,execve,connect,clone,clone3,fork,vfork,rmdir,chdir,fchdir';
const here = import.meta.dirname;
const root = realpathSync(mkdtempSync(join(tmpdir(), 'ordinary-')));
const home = join(root, 'home');
const project = join(home, 'project');
const tools = resolve(here, '../../../../../node_modules');
const [, , output = join(here, 'build.json'), registryPackages = ''] = process.argv;

/** What stands for what, longest first. */
const NAMES: readonly (readonly [string, string])[] = [
  [dirname(dirname(realpathSync(process.execPath))), '/usr/lib/nodejs'],
  [project, '/home/u/project'],
  [home, '/home/u'],
  [join(root, 'tmp'), '/tmp'],
  [root, '/tmp/recorded'],
  [tools, '/home/u/project/node_modules'],
  [resolve(tools, '..'), '/opt/tools'],
  [homedir(), '/home/other'],
];

mkdirSync(home, { recursive: true });
mkdirSync(join(root, 'tmp'));
const trace = join(root, 'trace.txt');
const env = {
  PATH: `${dirname(process.execPath)}:/usr/local/bin:/usr/bin:/bin`,
  HOME: home,
  PROJECT: project,
  TOOLS: tools,
  TMPDIR: join(root, 'tmp'),
  WITH_REGISTRY: registryPackages,
  CI: '1',
  ...reachable(),
};
const run = spawnSync('strace', ['-f', '-ttt', '-y', '-s', '4000', '-e', `trace=${TRACED}`, '-o', trace, 'sh', join(here, 'build.sh')], {
  env,
  cwd: root,
  stdio: ['ignore', 'inherit', 'inherit'],
});
if (run.status !== 0) throw new Error(`the build failed: ${run.status}`);
const compact = compactOf(readFileSync(trace, 'latin1'));
writeFileSync(output, `${JSON.stringify(compact, undefined, 0).replaceAll('],[', '],\n[')}\n`);
rmSync(root, { recursive: true });

/** What this host needs to get to a registry. */
function reachable(): NodeJS.ProcessEnv {
  const names = Object.keys(process.env).filter((name) =>
    /^(?:https?_proxy|no_proxy|node_extra_ca_certs|npm_config_registry|npm_config_cafile|ssl_cert_file)$/i.test(name),
  );
  return Object.fromEntries(names.map((name) => [name, process.env[name]]));
}

interface Process {
  exe: string;
  argv: readonly string[];
  cwd: string;
  parent: number;
}

function compactOf(text: string): Compact {
  const events: Compact['events'] = [];
  const programs: string[][] = [];
  const processes = new Map<number, Process>();
  const started = new Map<number, number>();
  /** What strace calls a process may be a thread of one. */
  const leaders = new Map<number, number>();
  const seen = new Set<string>();
  const hosts = new Map<string, string>();
  let first: number | undefined;
  const unfinished = new Map<number, string>();
  for (const raw of text.split('\n')) {
    const head = /^(\d+) +([\d.]+) (.*)$/.exec(raw);
    if (head === null) continue;
    const task = Number(head[1]);
    const pid = leaders.get(task) ?? task;
    const at = Math.round(Number(head[2]) * 1000);
    first ??= at;
    let line = head[3] ?? '';
    if (line.endsWith('<unfinished ...>')) {
      unfinished.set(task, line.slice(0, -'<unfinished ...>'.length));
      continue;
    }
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(line);
    if (resumed !== null) line = `${unfinished.get(task) ?? ''}${resumed[1]}`;
    const call = /^(\w+)\((.*)\)\s+= (-?\d+|\?)/.exec(line);
    if (call === null) continue;
    const [, name = '', args = '', result = ''] = call;
    const process = processes.get(pid) ?? { exe: '', argv: [], cwd: root, parent: started.get(pid) ?? 0 };
    processes.set(pid, process);
    const push = (kind: Compact['events'][number][2], ...rest: readonly string[]): void => {
      events.push([at - (first ?? at), pid, kind, programOf(programs, process), process.parent, ...rest]);
    };
    if (/^(?:clone|clone3|fork|vfork)$/.test(name)) {
      const child = Number(result);
      if (!(child > 0)) continue;
      if (args.includes('CLONE_THREAD')) {
        leaders.set(child, pid);
        continue;
      }
      leaders.delete(child);
      started.set(child, pid);
      processes.set(child, { ...process, parent: pid });
      push('spawn', String(child));
    } else if (name === 'chdir') {
      if (result === '0') process.cwd = resolve(process.cwd, unquote(/^"((?:[^"\\]|\\.)*)"/.exec(args)?.[1] ?? ''));
    } else if (name === 'fchdir') {
      if (result === '0') process.cwd = /<([^>]*)>/.exec(args)?.[1] ?? process.cwd;
    } else if (name === 'execve') {
      const exe = unquote(/^"((?:[^"\\]|\\.)*)"/.exec(args)?.[1] ?? '');
      const list = /^"(?:[^"\\]|\\.)*", \[(.*?)\], /.exec(args)?.[1] ?? '';
      const argv = [...list.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map((match) => named(unquote(match[1] ?? '')));
      if (result !== '0') continue;
      process.exe = named(exe.includes('/') ? exe : `/usr/bin/${exe}`);
      process.argv = argv;
      push('exec');
    } else if (name === 'connect') {
      const path = /sun_path=@?"((?:[^"\\]|\\.)*)"/.exec(args)?.[1];
      const port = /sin6?_port=htons\((\d+)\)/.exec(args)?.[1];
      const address = /inet_addr\("([^"]*)"\)|inet_pton\(AF_INET6, "([^"]*)"/.exec(args);
      if (path !== undefined) push('unix', named(unquote(path)));
      else if (port !== undefined && port !== '0') push('connect', numbered(hosts, address?.[1] ?? address?.[2] ?? ''), port);
    } else {
      const paths = [...args.matchAll(/(?:(AT_FDCWD|\d+)<([^>]*)>, )?"((?:[^"\\]|\\.)*)"/g)].map((match) =>
        absolute(unquote(match[3] ?? ''), match[2] ?? process.cwd),
      );
      const [path, to] = paths;
      if (path === undefined) continue;
      if (name.startsWith('rename')) push('rename', path, to ?? path);
      else if (name.startsWith('unlink') || name === 'rmdir') {
        if (name !== 'rmdir' && !args.includes('AT_REMOVEDIR') && result === '0') push('delete', path);
      } else {
        const isWrite = /O_WRONLY|O_RDWR|O_CREAT|O_TRUNC/.test(args) || name === 'creat';
        if (isWrite && result === '-1') continue;
        if (/O_DIRECTORY/.test(args)) continue;
        const key = isWrite ? `${pid} ${path}` : path;
        if (seen.has(key)) continue;
        seen.add(key);
        push(isWrite ? 'write' : 'read', path);
      }
    }
  }
  return { programs, events };
}

function programOf(programs: string[][], { exe, argv }: Process): number {
  const entry = [exe, ...argv];
  const text = JSON.stringify(entry);
  const index = programs.findIndex((known) => JSON.stringify(known) === text);
  return index >= 0 ? index : programs.push(entry) - 1;
}

function absolute(path: string, folder: string): string {
  return named(path.startsWith('/') ? path : join(folder, path));
}

function named(text: string): string {
  return NAMES.reduce((all, [from, to]) => all.replaceAll(from, to), text);
}

function numbered(hosts: Map<string, string>, address: string): string {
  if (/^127\.|^::1?$|^0\.0\.0\.0$/.test(address)) return address;
  const known = hosts.get(address) ?? `203.0.113.${hosts.size + 1}`;
  hosts.set(address, known);
  return known;
}

function unquote(text: string): string {
  return text.replace(/\\(x[0-9a-f]{2}|[0-7]{1,3}|.)/g, (_, code: string) => {
    if (code.startsWith('x')) return String.fromCharCode(Number.parseInt(code.slice(1), 16));
    if (/^[0-7]/.test(code)) return String.fromCharCode(Number.parseInt(code, 8));
    return { n: '\n', t: '\t', r: '\r' }[code] ?? code;
  });
}
