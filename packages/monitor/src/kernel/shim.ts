/**
 * The launch shim: a small Node program that takes on the limits of a watched agent, then becomes it. A program of its own, because
 * what it takes on cannot be taken off again, and because a process that waits for its own supervisor waits for ever.
 */
import { closeSync, readSync, writeSync } from 'node:fs';
import { execve, exit } from 'node:process';
import { errorName, native, nativeMissing } from '../native/native.ts';
import { confine } from './landlock.ts';
import { GO, LENGTH_BYTES, MAX_PLAN_BYTES, packed, type ShimPlan, type ShimReply } from './shim-protocol.ts';

const WARDEN = 3;
/** As a shell says it of a program that cannot be run. */
const CANNOT_RUN = 126;

class Failed extends Error {
  readonly errno: string | undefined;

  constructor(message: string, result?: number) {
    super(message);
    this.errno = result === undefined ? undefined : errorName(result);
  }
}

function main(): void {
  let plan: ShimPlan;
  try {
    plan = readPlan();
    reply(takeOn(plan));
  } catch (error) {
    const { message, errno } = error instanceof Failed ? error : new Failed('the launch shim failed');
    reply({ failed: message, ...(errno !== undefined && { errno }) });
    exit(CANNOT_RUN);
  }
  // Without this word the warden is gone: nobody would answer for us.
  if (read(1).toString() !== GO) exit(CANNOT_RUN);
  closeSync(WARDEN);
  // Node ignores some signals, and so would the agent.
  native()?.kernel.resetSignals();
  become(plan);
}

function takeOn({ filter, landlock }: ShimPlan): ShimReply {
  if (filter === undefined && landlock === undefined) return {};
  const calls = native()?.kernel;
  if (calls === undefined) throw new Failed(nativeMissing() ?? 'koffi is missing');
  const bound = calls.noNewPrivileges();
  if (bound < 0) throw new Failed('no_new_privs could not be set', bound);
  // Before the filter: from then on every open waits for a supervisor.
  const confined = landlock === undefined ? undefined : confine(calls, landlock);
  if (confined !== undefined && 'failed' in confined) throw new Failed(confined.failed, confined.result);
  const taken = confined === undefined ? {} : { landlock: confined };
  if (filter === undefined) return taken;
  const listener = calls.filterWithListener(Buffer.from(filter, 'base64'));
  if (listener < 0) throw new Failed('the seccomp filter could not be set', listener);
  return { listener, ...taken };
}

function become({ program, args, env }: ShimPlan): void {
  // Typed as optional: not on every platform.
  if (execve === undefined) exit(CANNOT_RUN);
  execve(program, [program, ...args], Object.fromEntries(env));
}

function readPlan(): ShimPlan {
  const length = read(LENGTH_BYTES).readUInt32LE(0);
  if (length > MAX_PLAN_BYTES) throw new Failed('the plan is too long');
  return JSON.parse(read(length).toString()) as ShimPlan; // written by our own launcher
}

function read(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; ) {
    const got = readSync(WARDEN, bytes, at, length - at, null);
    if (got === 0) exit(CANNOT_RUN);
    at += got;
  }
  return bytes;
}

function reply(message: ShimReply): void {
  writeSync(WARDEN, packed(message));
}

main();
