/** A program under the real filter and the real supervisor, and the freezer that stands at its gate. Ends with its test. */
import { randomUUID } from 'node:crypto';
import { onTestFinished } from 'vitest';
import type { ProcessId } from '../../src/activity.ts';
import type { Freezer, FreezerOptions } from '../../src/contain/freezer.ts';
import { freezerFor } from '../../src/contain/freezer-for.ts';
import type { ProcessStatus } from '../../src/contain/process-table.ts';
import { TrackedTree } from '../../src/tree/tracked-tree.ts';
import { type Supervised, type SupervisedOptions, supervised } from '../kernel/supervised.ts';
import { endMarked, marked, table } from './workloads.ts';

export interface Gated extends Supervised {
  readonly id: ProcessId;
  readonly tree: TrackedTree;
  readonly freezer: Freezer;
  /** All that carry its marker and are no zombies. */
  alive(): readonly ProcessStatus[];
}

export async function gated({ freezing = {}, ...options }: SupervisedOptions & { readonly freezing?: FreezerOptions }): Promise<Gated> {
  const value = randomUUID();
  const marker = `COUNTERSIGN_TEST=${value}`;
  onTestFinished(() => endMarked(marker));
  const work = await supervised({ ...options, env: { COUNTERSIGN_TEST: value, ...options.env } });
  onTestFinished(() => work.close());
  const root = table.read(work.pid);
  if (root === undefined) throw new Error('the root of the workload cannot be read');
  const id = { pid: root.pid, start: root.start };
  const tree = new TrackedTree({ roots: [id] });
  const freezer = freezerFor(tree, { gate: () => work.supervisor, marker, ...freezing });
  onTestFinished(async () => {
    await freezer.kill();
    await freezer.close();
  });
  return { ...work, id, tree, freezer, alive: () => marked(marker) };
}
