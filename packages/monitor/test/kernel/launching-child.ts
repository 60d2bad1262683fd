/**
 * A warden of its own process. Launches what its arguments say. First one of: `--never` (what never happens in a tree does not, and
 * nobody is asked about the rest); `--wait-with-filter`, `--wait-without-filter` (prints the pid of the shim, and never says go).
 */
import { arch } from 'node:process';
import { filterProgram } from '../../src/kernel/filter.ts';
import { launchThroughShim } from '../../src/kernel/launch-shim.ts';
import { neverRules } from '../../src/kernel/never.ts';
import { wardenProcess } from '../../src/kernel/processes.ts';
import { trapsOf } from '../../src/kernel/traps.ts';

const [first = '', ...rest] = process.argv.slice(2);
const [program = '', ...args] = first.startsWith('--') ? rest : [first, ...rest];
const rules = new Map([
  ['--never', neverRules(wardenProcess())],
  ['--wait-with-filter', trapsOf({ trapReads: 'deny-list', ...wardenProcess() })],
]).get(first);
const filter = rules === undefined ? {} : { filter: filterProgram(arch, rules) };
const agent = await launchThroughShim({ program, args, cwd: '/', env: process.env, ...filter });
if (first.startsWith('--wait')) console.log(agent.pid);
else agent.go();
process.exitCode = (await agent.ended).code ?? 1;
