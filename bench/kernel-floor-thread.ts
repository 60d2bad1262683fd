/** The least a supervisor can be, on a thread of its own: it receives and lets go on. It judges, remembers and tells nothing. */
import { workerData } from 'node:worker_threads';
import { TargetMemory } from '../packages/monitor/src/kernel/memory.ts';
import { callNames, Notification, Response } from '../packages/monitor/src/kernel/notification.ts';
import { POLLFD_BYTES } from '../packages/monitor/src/native/kernel-calls.ts';
import { native } from '../packages/monitor/src/native/native.ts';
import type { FloorStart } from './kernel-floor.ts';

const POLLIN = 1;
/** Which argument names what is opened; of the calls that a search or a compiler makes most. */
const NAMES: ReadonlyMap<string, number> = new Map([
  ['open', 0],
  ['openat', 1],
]);

function main({ listener, reads }: FloorStart): void {
  const calls = native()?.kernel;
  if (calls === undefined) return;
  calls.wakeSynchronously(listener);
  const names = callNames(process.arch);
  const memory = new TargetMemory(calls);
  const [notification, response] = [new Notification(), new Response()];
  const waiting = Buffer.alloc(POLLFD_BYTES);
  waiting.writeInt32LE(listener, 0);
  waiting.writeInt16LE(POLLIN, 4);
  for (;;) {
    if (calls.poll(waiting, -1) < 0) continue;
    // Nobody is left who could call.
    if ((waiting.readInt16LE(6) & POLLIN) === 0) return;
    notification.clear();
    if (calls.receive(listener, notification.bytes) < 0) continue;
    const trapped = notification.parse(names);
    const name = trapped === undefined ? undefined : NAMES.get(trapped.call);
    if (reads && trapped !== undefined && name !== undefined) memory.path(trapped.tid, trapped.args[name] ?? 0n);
    calls.send(listener, response.goesOn(notification.id));
  }
}

main(workerData as FloorStart); // its own starter's
