/**
 * A workload whose truth is known: a process that starts short-lived children, each with a tag of its own among its arguments, and
 * opens files, each once, holds them for a while and closes them. It waits for a word before it begins, so that whoever watches is there first.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface WorkloadOptions {
  /** How many children, and how long each sleeps. What it takes to start and end one comes on top. */
  readonly children: number;
  readonly childMs: number;
  /** How many files are read, and how long each is held open. */
  readonly reads: number;
  readonly readMs: number;
}

export interface Truth {
  /** Of every child: its pid, and an argument that no other has. */
  readonly children: readonly { readonly pid: number; readonly tag: string }[];
  /** Absolute paths, each opened once. */
  readonly reads: readonly string[];
}

export interface Workload {
  readonly pid: number;
  /** Holds the files that will be read. */
  readonly folder: string;
  /** Begins; resolves when it is done, and its process has not ended yet. */
  go(): Promise<Truth>;
  /** Ends the process and removes the files. */
  close(): Promise<void>;
}

/** Longest between two acts; each waits for a random part of it, so that no interval of a poll falls in with it. */
export const GAP_MS = 20;

export async function startWorkload(options: WorkloadOptions): Promise<Workload> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'countersign-workload-')));
  for (let at = 0; at < options.reads; at++) writeFileSync(join(folder, `secret-${at}`), `secret ${at}\n`);
  const program = fileURLToPath(new URL('./monitor-workload-child.ts', import.meta.url));
  const child = spawn(process.execPath, ['--no-warnings', program, JSON.stringify({ ...options, folder, gapMs: GAP_MS })], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  const killed = endsWithUs(child);
  const lines = linesOf(child);
  await lines.next();
  return {
    pid: child.pid ?? 0,
    folder,
    async go() {
      child.stdin.write('go\n');
      const { value } = await lines.next();
      if (value === undefined) throw new Error('the workload ended before it was done');
      return JSON.parse(value) as Truth;
    },
    async close() {
      killed();
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGKILL');
        await once(child, 'exit');
      }
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Processes that do nothing, each with ten open descriptors, seven of them files. */
export async function idleProcesses(count: number): Promise<{ readonly pids: readonly number[]; close(): void }> {
  const open = Array.from({ length: 7 }, (_, at) => `exec ${at + 3}</etc/passwd`).join('; ');
  const children = Array.from({ length: count }, () =>
    spawn('/bin/sh', ['-c', `${open}; echo up; exec sleep 3600`], { stdio: ['ignore', 'pipe', 'ignore'] }),
  );
  const ends = children.map(endsWithUs);
  await Promise.all(children.map(({ stdout }) => once(stdout, 'data')));
  return {
    pids: children.map(({ pid }) => pid ?? 0),
    close() {
      for (const child of children) child.kill('SIGKILL');
      for (const end of ends) end();
    },
  };
}

const running = new Set<ChildProcess>();
// Also when the bench fails.
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** @returns when it ended otherwise. */
function endsWithUs(child: ChildProcess): () => void {
  running.add(child);
  return () => running.delete(child);
}

async function* linesOf({ stdout }: ChildProcess): AsyncGenerator<string, undefined> {
  let rest = '';
  for await (const chunk of stdout ?? []) {
    rest += String(chunk);
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
      yield rest.slice(0, end);
      rest = rest.slice(end + 1);
    }
  }
  return undefined;
}
