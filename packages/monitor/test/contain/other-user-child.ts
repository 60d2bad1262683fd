/** Run as a user without rights: a tree of one process of its own and one of another's. Prints one JSON line. */
import { spawn } from 'node:child_process';
import { freezerFor } from '../../src/contain/freezer-for.ts';
import { processTable } from '../../src/contain/process-table.ts';
import { TrackedTree } from '../../src/tree/tracked-tree.ts';

const [pid, start] = process.argv.slice(2).map(Number);
if (pid === undefined || start === undefined) throw new Error('other-user-child PID START');
const own = spawn('sleep', ['300'], { stdio: 'ignore' });
const ownStart = processTable().read(own.pid ?? 0)?.start;
if (own.pid === undefined || ownStart === undefined) throw new Error('no child');
const ended = new Promise<void>((resolve) => own.once('exit', () => resolve()));
const tree = new TrackedTree({
  roots: [
    { pid: own.pid, start: ownStart },
    { pid, start },
  ],
});
const freezer = freezerFor(tree);
const { running } = await freezer.freeze();
const { left, grade } = await freezer.kill();
await ended;
await freezer.close();
console.log(JSON.stringify({ grade, running, left, own: 'ended' }));
