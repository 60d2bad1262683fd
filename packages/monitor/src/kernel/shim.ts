/**
 * The launch shim: a small Node program that takes on the limits of a watched agent, then becomes it. A program of its own, because
 * what it takes on cannot be taken off again, and because a process that waits for its own supervisor waits for ever.
 *
 * From the filter on it opens nothing and loads nothing: that would wait for the supervisor, which may not listen yet. It never imports
 * `node:process`: that opens the standard streams, and Node makes a terminal non-blocking, for the agent as well.
 */
import { readSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import type { KernelCalls } from '../native/kernel-calls.ts';
import { errorName, type Native, native, nativeMissing } from '../native/native.ts';
import { confine } from './landlock.ts';
import { bytesOf, GO, LENGTH_BYTES, MAX_PLAN_BYTES, packed, type ShimPlan, type ShimReply } from './shim-protocol.ts';

const WARDEN = 3;
const STDERR = 2;
/** As shells say it of a program that cannot be run, and of one that is not there. */
const CANNOT_RUN = 126;
const NOT_FOUND = 127;
const SHELL = '/bin/sh';
/** At most this much of a path is shown. */
const MAX_SHOWN_CHARS = 200;
const { ENOSYS, ENOENT, ENOTDIR, ENOEXEC, EACCES, EPERM, E2BIG } = constants.errno;

class Failed extends Error {
  readonly errno: string | undefined;

  constructor(message: string, result?: number) {
    super(message);
    this.errno = result === undefined ? undefined : errorName(result);
  }
}

function main(): void {
  let plan: ShimPlan;
  let calls: Native;
  let taken: ShimReply & { readonly listener?: number };
  try {
    plan = readPlan();
    calls = systemCalls();
    taken = takeOn(plan, calls.kernel);
    reply(taken);
  } catch (error) {
    const { message, errno } = error instanceof Failed ? error : new Failed('the launch shim failed');
    try {
      reply({ failed: message, ...(errno !== undefined && { errno }) });
    } catch {
      // The warden is gone: nobody hears it.
    }
    leave();
  }
  waitForGo();
  // While we have it open too, a warden that is gone would leave us waiting for ever.
  if (taken.listener !== undefined) calls.close(taken.listener);
  calls.close(WARDEN);
  become(plan, calls.kernel);
}

function systemCalls(): Native {
  const calls = native();
  if (calls === undefined) throw new Failed(nativeMissing() ?? 'koffi is missing');
  return calls;
}

function takeOn({ filter, landlock }: ShimPlan, calls: KernelCalls): ShimReply & { readonly listener?: number } {
  if (filter === undefined && landlock === undefined) return {};
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

/** Never returns. Not Node's own `execve`: it ends in a core dump where the program cannot be run. */
function become({ program, args, env }: ShimPlan, calls: KernelCalls): void {
  const path = bytesOf(program);
  const argv = [path, ...args.map(bytesOf)];
  const envp = env.map(bytesOf);
  calls.keepOnlyStandardStreams();
  // Node ignores some signals, and so would the agent.
  calls.resetSignals();
  let result = calls.execve(path, argv, envp);
  // A script that does not say what runs it is the shell's, by old custom.
  if (result === -ENOEXEC) result = calls.execve(Buffer.from(SHELL), [Buffer.from(SHELL), ...argv], envp);
  calls.write(
    STDERR,
    Buffer.from(`countersign: ${shown(path)} cannot be run: ${REASONS.get(-result) ?? 'the kernel refused'} (${errorName(result)})\n`),
  );
  calls.exit(result === -ENOENT || result === -ENOTDIR ? NOT_FOUND : CANNOT_RUN);
}

const REASONS: ReadonlyMap<number, string> = new Map([
  [ENOENT, 'it, or what it names as its interpreter, is not there'],
  [ENOTDIR, 'a part of its path is no folder'],
  [ENOEXEC, 'it is in no format that runs here'],
  [EACCES, 'permission denied'],
  [EPERM, 'refused by who watches, or by the kernel'],
  // What our own filter makes of a call that nobody answers.
  [ENOSYS, 'who watched is gone'],
  [E2BIG, 'its arguments and environment are longer than the kernel takes'],
]);

/** Nothing a terminal would obey. */
function shown(path: Buffer): string {
  return path
    .toString()
    .replaceAll(/[^\P{C} ]/gu, '?')
    .slice(0, MAX_SHOWN_CHARS);
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
    if (got === 0) leave();
    at += got;
  }
  return bytes;
}

/** Without this word the warden is gone: nobody would answer for us. */
function waitForGo(): void {
  try {
    if (read(1).toString() === GO) return;
  } catch {
    // Gone as well, in the middle of what it said.
  }
  leave();
}

/** Nothing of Node runs any more: it might make a call that waits. */
function leave(): never {
  native()?.kernel.exit(CANNOT_RUN);
  process.exit(CANNOT_RUN);
}

function reply(message: ShimReply): void {
  writeSync(WARDEN, packed(message));
}

main();
