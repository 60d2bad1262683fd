/** The strongest freezer this host has for a tree. */
import { native } from '../native/native.ts';
import type { ProcessTree } from '../tree/process-tree.ts';
import { CgroupFreezer } from './cgroup-freezer.ts';
import { makeControlGroup, originReader } from './control-group.ts';
import type { Freezer, FreezerOptions } from './freezer.ts';
import { GateFreezer } from './gate-freezer.ts';
import { Membership } from './membership.ts';
import { processTable } from './process-table.ts';
import { SignalFreezer } from './signal-freezer.ts';
import { signaller } from './signals.ts';

/**
 * Grade `gate` where a supervisor can hold what the tree is about to do. Then no control group is made, whose freezing waits for ever for those that a
 * supervisor holds.
 *
 * Else grade `cgroup` where a control group (v2) can be made below the one of the tree's first process and that process can be moved into
 * it, which happens at once: whatever it starts is born there. Else, and when some of it cannot be moved, grade `signal`. Our own process and its ancestors are never stopped.
 */
export function freezerFor(tree: ProcessTree, options: FreezerOptions = {}): Freezer {
  const table = processTable();
  const members = new Membership(tree, table, options);
  const parts = { members, table, signals: signaller({ table, native: native() }), options };
  if (options.gate !== undefined && options.grade === undefined) return new GateFreezer(parts, options.gate);
  const [root] = tree.members();
  if (options.grade === 'signal' || root === undefined) return new SignalFreezer(parts);
  const group = makeControlGroup(root.pid);
  if (group === undefined) return new SignalFreezer(parts);
  const freezer = new CgroupFreezer(parts, group, originReader());
  if (freezer.enrol() > 0) return freezer;
  void freezer.close();
  return new SignalFreezer(parts);
}
