/** Says why no tree can be watched from here; with `--nested`, run inside of a watched tree, also what a launch says of it. */
import { arch } from 'node:process';
import { tryKernelControl } from '../../src/kernel/available.ts';
import { filterProgram } from '../../src/kernel/filter.ts';
import { launchThroughShim } from '../../src/kernel/launch-shim.ts';

if (process.argv[2] === '--nested') await nested();
console.log(await tryKernelControl());

async function nested(): Promise<void> {
  const options = { program: '/bin/true', args: [], cwd: '/', env: {}, filter: filterProgram(arch, []) };
  await launchThroughShim(options).catch((error: unknown) => console.log(error instanceof Error ? error.message : error));
}
