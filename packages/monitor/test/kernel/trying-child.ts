/** Run inside of a watched tree: says why it cannot watch one of its own. */
import { arch } from 'node:process';
import { tryKernelControl } from '../../src/kernel/available.ts';
import { filterProgram } from '../../src/kernel/filter.ts';
import { launchThroughShim } from '../../src/kernel/launch-shim.ts';

const options = { program: '/bin/true', args: [], cwd: '/', env: {}, filter: filterProgram(arch, []) };
await launchThroughShim(options).catch((error: unknown) => console.log(error instanceof Error ? error.message : error));
console.log(await tryKernelControl());
