/**
 * A warden of its own process. Launches what its arguments say; with `--wait-with-filter` or `--wait-without-filter` first it prints the
 * pid of the shim instead, and never says go.
 */
import { arch } from 'node:process';
import { filterProgram } from '../../src/kernel/filter.ts';
import { launchThroughShim } from '../../src/kernel/launch-shim.ts';
import { trapsOf } from '../../src/kernel/traps.ts';

const [first = '', ...rest] = process.argv.slice(2);
const waits = first.startsWith('--wait');
const [program = '', ...args] = waits ? rest : [first, ...rest];
const filter = first === '--wait-with-filter' ? filterProgram(arch, trapsOf({ trapReads: 'deny-list', warden: process.pid })) : undefined;
const agent = await launchThroughShim({ program, args, cwd: '/', env: process.env, ...(filter !== undefined && { filter }) });
if (waits) console.log(agent.pid);
else agent.go();
process.exitCode = (await agent.ended).code ?? 1;
