/** How a prepared program is started by whoever has a `spawn` and nothing of ours: a command line, and what a launch shim is told. */
import { planOf, SHIM } from '../kernel/launch-shim.ts';
import { GO, LENGTH_BYTES, packed, type ShimReply } from '../kernel/shim-protocol.ts';
import type { Prepared } from './sandbox-kind.ts';

export interface SandboxStart {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  /** Of its descriptor 3, a pipe that carries both ways. Absent: it needs none. */
  readonly control?: {
    /** Written to it at once. */
    readonly send: Buffer;
    /** @param told - all that came from it. @returns why the program was not started; undefined when it was */
    problem(told: Buffer): string | undefined;
  };
}

export function startOf({ program, args, cwd, env, landlock }: Prepared): SandboxStart {
  if (landlock === undefined) return { command: program, args, cwd, env };
  const plan = packed(planOf({ program, args, env, landlock }));
  // Nothing of the program's environment reaches the shim: `NODE_OPTIONS` would be run by it.
  return { command: process.execPath, args: [SHIM], cwd, env: {}, control: { send: Buffer.concat([plan, Buffer.from(GO)]), problem } };
}

function problem(told: Buffer): string | undefined {
  if (told.length < LENGTH_BYTES || told.length < LENGTH_BYTES + told.readUInt32LE(0))
    return 'the launch shim ended before it said anything';
  const reply = JSON.parse(told.toString('utf8', LENGTH_BYTES, LENGTH_BYTES + told.readUInt32LE(0))) as ShimReply; // written by our own shim
  if (!('failed' in reply)) return undefined;
  return reply.errno === undefined ? reply.failed : `${reply.failed} (${reply.errno})`;
}
