/** A process that takes in orphans, alone: what it changes must not concern the one that runs the tests. Prints one JSON line. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import type { Observation } from '../../src/activity.ts';
import { processTable } from '../../src/contain/process-table.ts';
import { orphanSensor } from '../../src/sensors/orphans.ts';
import { TrackedTree } from '../../src/tree/tracked-tree.ts';

const table = processTable();
const older = spawn('/bin/sh', ['-c', 'read _; exit 9'], { stdio: ['pipe', 'ignore', 'ignore'] });
const tree = new TrackedTree({ roots: [], adopter: process.pid });
const sensor = orphanSensor({ tree });
const seen: Observation[] = [];
await sensor.start({ tree, emit: (observation) => void seen.push(observation), died: () => process.exit(70) });

// Its children are orphans as soon as it ends: one ends by a code, one by a signal, one stays.
const root = spawn('/bin/sh', ['-c', '(read _; exit 5) <&3 & (read _; kill -TERM $(exec sh -c "echo \\$PPID")) <&4 & sleep 300 & exit 3'], {
  stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
});
const [rootCode] = await once(root, 'exit');
while (sensor.adopted().length < 3) await new Promise((resolve) => setTimeout(resolve, 5));
const adopted = sensor.adopted();
for (const { pid, start } of adopted) tree.seen({ pid, start, parent: process.pid });
const members = tree.members().length;
for (const stream of [root.stdio[3], root.stdio[4]]) if (stream !== null && stream !== undefined && 'end' in stream) stream.end('\n');

// Meanwhile Node starts and ends children of its own, many at once: none of their exit codes may be taken from it.
const own = await Promise.all(
  Array.from({ length: 20 }, (_, code) =>
    promisify(execFile)('/bin/sh', ['-c', `exit ${code}`]).then(
      () => 0,
      (error: { code: number }) => error.code,
    ),
  ),
);
older.stdin.end('\n');
const [olderCode] = await once(older, 'exit');
while (seen.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
const left = sensor.adopted();
for (const { pid } of left) process.kill(pid, 'SIGKILL');
while (seen.length < 3) await new Promise((resolve) => setTimeout(resolve, 5));
await sensor.stop();
console.log(
  JSON.stringify({
    rootCode,
    olderCode,
    own,
    adopted: adopted.length,
    members,
    exits: seen
      .map(({ action }) => (action.kind === 'exit' ? String(action.code ?? action.signal) : action.kind))
      .toSorted((a, b) => a.localeCompare(b)),
    zombies: table.children(process.pid).filter((pid) => table.read(pid)?.state === 'gone').length,
    treeLeft: tree.members().length,
  }),
);
