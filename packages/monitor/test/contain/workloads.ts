/** Process trees to be stopped and ended. Each ends with its test, and carries a marker by which what escaped is found. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { onTestFinished } from 'vitest';
import type { ProcessId } from '../../src/activity.ts';
import { makeControlGroup } from '../../src/contain/control-group.ts';
import { type ProcessStatus, processTable } from '../../src/contain/process-table.ts';
import { TrackedTree } from '../../src/tree/tracked-tree.ts';

export const table = processTable();

export interface Workload {
  readonly root: ChildProcess;
  readonly id: ProcessId;
  readonly tree: TrackedTree;
  /** `NAME=value` all of it has in its environment. */
  readonly marker: string;
  /** All that carry the marker and are no zombies. */
  alive(): readonly ProcessStatus[];
  ended(): Promise<void>;
}

/** `open` lets a workload that was launched behind a gate begin. */
export function launchGated(command: string, args: readonly string[]): Workload & { open(): void } {
  const workload = launch('/bin/sh', ['-c', 'read _; exec "$@"', 'sh', command, ...args], 'pipe');
  return { ...workload, open: () => void workload.root.stdin?.end('\n') };
}

export function launch(command: string, args: readonly string[], stdin: 'ignore' | 'pipe' = 'ignore'): Workload {
  const value = randomUUID();
  const marker = `COUNTERSIGN_TEST=${value}`;
  const root = spawn(command, args, { env: { PATH: process.env['PATH'], COUNTERSIGN_TEST: value }, stdio: [stdin, 'ignore', 'ignore'] });
  const alive = (): readonly ProcessStatus[] => marked(marker);
  onTestFinished(() => endMarked(marker));
  const status = table.read(root.pid ?? 0);
  if (status === undefined) throw new Error('the root of the workload cannot be read');
  const id = { pid: status.pid, start: status.start };
  const ended = new Promise<void>((resolve) => root.once('exit', () => resolve()));
  return { root, id, tree: new TrackedTree({ roots: [id] }), marker, alive, ended: () => ended };
}

/** All that carry the marker and are no zombies. */
export function marked(marker: string): readonly ProcessStatus[] {
  return table
    .pids()
    .filter((pid) => table.hasMarker(pid, marker))
    .flatMap((pid) => table.read(pid) ?? [])
    .filter(({ state }) => state !== 'gone');
}

/** Those that start others faster than they are ended end by themselves, soon. */
export function endMarked(marker: string): void {
  for (let round = 0; round < 50; round++) for (const { pid } of marked(marker)) killQuietly(pid);
}

/** A shell and so many sleeping children. Resolves when they are there. */
export async function sleepers(count: number): Promise<Workload> {
  const workload = launch('/bin/sh', ['-c', `i=0; while [ $i -lt ${count} ]; do sleep 300 & i=$((i+1)); done; wait`]);
  await until(() => table.children(workload.id.pid).length >= count && workload.alive().length > count);
  return workload;
}

/** Whether a process of ours can be put into a control group of its own. */
export function hasControlGroups(): boolean {
  const group = makeControlGroup(process.pid);
  group?.remove();
  return group !== undefined;
}

export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 2));
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Gone.
  }
}
