/**
 * What the mechanism costs, whatever is made of it: the same shim, filter and calls as kernel control, and a supervisor that lets every
 * call go on at once (`answers`), or once it has read the path of an open (`reads`). What stands between these and a figure of kernel
 * control is ours: who calls, where the path leads, the rules, what is told.
 *
 * Only printed. A bound below its floor cannot be kept by any supervisor in Node.
 */
import { text } from 'node:stream/consumers';
import { Worker } from 'node:worker_threads';
import { filterProgram } from '../packages/monitor/src/kernel/filter.ts';
import { launchThroughShim } from '../packages/monitor/src/kernel/launch-shim.ts';
import { wardenProcess } from '../packages/monitor/src/kernel/processes.ts';
import { trapsOf } from '../packages/monitor/src/kernel/traps.ts';
import { native } from '../packages/monitor/src/native/native.ts';
import type { SupervisedOptions } from '../packages/monitor/test/kernel/supervised.ts';

export interface FloorStart {
  readonly listener: number;
  readonly reads: boolean;
}

export type FloorOptions = Pick<SupervisedOptions, 'program' | 'args' | 'env'> & { readonly workspace: string };

/** @returns what it wrote to its standard output */
export async function letGoOn({ program, args = [], env = {}, workspace }: FloorOptions, reads: boolean): Promise<string> {
  const agent = await launchThroughShim({
    program,
    args,
    cwd: workspace,
    env,
    stdio: 'pipe',
    filter: filterProgram(process.arch, trapsOf({ trapReads: 'deny-list', ...wardenProcess() })),
  });
  const { listener, child } = agent;
  if (listener === undefined || child.stdout === null) throw new Error('the shim gave no listener');
  const thread = new Worker(new URL('./kernel-floor-thread.ts', import.meta.url), { workerData: { listener, reads } satisfies FloorStart });
  try {
    const ended = new Promise<void>((resolve, reject) => thread.once('error', reject).once('exit', () => resolve()));
    const output = text(child.stdout);
    child.stderr?.pipe(process.stderr);
    agent.go();
    await agent.ended;
    await ended;
    return await output;
  } finally {
    child.kill('SIGKILL');
    native()?.close(listener);
  }
}
