/** The real command on real processes. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { project, run } from '../harness.ts';

export const NODE = ['--conditions=@countersign/source', '--no-warnings'];
export const CLI = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

export interface Started {
  readonly child: ChildProcessWithoutNullStreams;
  readonly output: { readonly stdout: string; readonly stderr: string };
  /** Resolves with the match once the output holds one; rejects when the process ends without. */
  until(pattern: RegExp, where?: 'stdout' | 'stderr'): Promise<RegExpExecArray>;
  readonly ended: Promise<{
    readonly code: number | null;
    readonly signal: NodeJS.Signals | null;
    readonly stdout: string;
    readonly stderr: string;
  }>;
}

export function startCli(argv: readonly string[], options: { readonly cwd: string; readonly env?: NodeJS.ProcessEnv }): Started {
  return start(process.execPath, [...NODE, CLI, ...argv], options);
}

export function start(
  program: string,
  argv: readonly string[],
  options: { readonly cwd: string; readonly env?: NodeJS.ProcessEnv },
): Started {
  const child = spawn(program, [...argv], { cwd: options.cwd, env: { ...process.env, ...options.env } });
  const output = { stdout: '', stderr: '' };
  const looks = new Set<() => void>();
  for (const where of ['stdout', 'stderr'] as const) {
    child[where].on('data', (chunk: Buffer) => {
      output[where] += chunk.toString();
      for (const look of looks) look();
    });
  }
  let isOver = false;
  const ended = new Promise<Awaited<Started['ended']>>((resolve) => {
    child.once('close', (code, signal) => {
      isOver = true;
      for (const look of looks) look();
      resolve({ code, signal, ...output });
    });
  });
  onTestFinished(async () => {
    // Twice: the first one is the agent's.
    for (let i = 0; i < 3 && !isOver; i++) {
      child.kill(i < 2 ? 'SIGTERM' : 'SIGKILL');
      await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 5_000))]);
    }
  });
  return {
    child,
    output,
    ended,
    until: (pattern, where = 'stderr') =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const found = pattern.exec(output[where]);
          if (found === null && !isOver) return;
          looks.delete(look);
          if (found !== null) resolve(found);
          else reject(new Error(`it ended without ${pattern}:\n${output.stdout}\n${output.stderr}`));
        };
        looks.add(look);
        look();
      }),
  };
}

/** A project with a file nobody may touch, an approver `jane` and her key, watched closely. */
export async function watchedProject(monitor = ''): Promise<string> {
  const cwd = await project();
  const { stdout: vkey } = await run(['keygen', '--out', 'jane.key'], { cwd });
  appendFileSync(
    join(cwd, 'countersign.yaml'),
    `approvers:\n  jane: { key: ${JSON.stringify(vkey.trim())} }\nscope: { filesystem: { forbidden_paths: [${JSON.stringify(join(cwd, 'bait.txt'))}] } }\nmonitor: { poll: 20ms${monitor} }\n`,
  );
  writeFileSync(join(cwd, 'bait.txt'), 'nobody has any business with this\n');
  return cwd;
}

/** A folder of the test's own that is not below one for temporary files, where nearly all is allowed. */
export function workFolder(): string {
  const nest = fileURLToPath(new URL('./.countersign/', import.meta.url));
  mkdirSync(nest, { recursive: true });
  const path = mkdtempSync(join(nest, 'work-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Files that are older than whatever is started next. @returns their names */
export function oldFiles(folder: string, count: number): readonly string[] {
  const names = Array.from({ length: count }, (_, i) => `f${String(i).padStart(4, '0')}.txt`);
  for (const name of names) writeFileSync(join(folder, name), 'old\n');
  return names;
}

/** What an agent does, as one script: lines of JavaScript with `fs`, `spawn` and `hold(path)`, which keeps a file open. */
export function script(cwd: string, lines: string, name = 'agent.cjs'): string {
  const path = join(cwd, name);
  writeFileSync(
    path,
    `const fs = require('node:fs'); const { spawn } = require('node:child_process');
// Where it is refused before it happens the agent goes on, as one does that means to.
const hold = (path) => { try { fs.openSync(path); } catch (error) { if (error.code !== 'EPERM') throw error; } };
// Polls see what lasts: this lasts.
const later = (ms, run) => setTimeout(run, ms);
${lines}
`,
  );
  return path;
}

const CORE = new URL('../../../core/src/sqlite/index.ts', import.meta.url).href;

/** An agent that guards a tool of its own, with the ledger of the project, and says `done`. */
export const GUARDED: string = `import(${JSON.stringify(CORE)}).then(async ({ openGuard }) => {
  const { guard } = await openGuard('countersign.yaml');
  await guard.tool('t', async () => 1)({}).catch((error) => console.log(error.code));
  later(3_000, async () => { await guard.close(); console.log('done'); });
});`;

/** An agent that writes itself a lease into the file of the ledger, as a guard has one. @param start - JavaScript, of the start time it claims */
export function forger(start: string): string {
  return `const { DatabaseSync } = require('node:sqlite');
const host = [require('node:os').hostname(), fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(), fs.readlinkSync('/proc/self/ns/pid')].join(' ');
const stat = fs.readFileSync('/proc/self/stat', 'latin1');
const own = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
const db = new DatabaseSync('.countersign/ledger.db', { timeout: 5000 });
db.prepare('INSERT INTO leases (writer, pid, start_time, host, heartbeat_at) VALUES (?, ?, ?, ?, ?)').run('f'.repeat(32), process.pid, ${start}, host, Date.now());
later(200, () => { try { console.log('key', fs.readFileSync('.countersign/ledger.key', 'utf8').length > 0); } catch (error) { console.log(error.code); } });
later(3_000, () => {});`;
}
