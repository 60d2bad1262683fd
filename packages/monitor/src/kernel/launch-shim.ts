/** Starts an agent through the launch shim: it runs nothing until the supervisor holds the listener of its filter. */
import { type ChildProcess, spawn } from 'node:child_process';
import { extname } from 'node:path';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { CountersignError } from '@countersign/core';
import { errorName, native, nativeMissing } from '../native/native.ts';
import type { AgentEnd, LaunchedAgent, LaunchOptions } from '../warden/launch.ts';
import { exactBytes, startedWith } from './exact-bytes.ts';
import type { LandlockRules } from './landlock.ts';
import { GO, LENGTH_BYTES, MAX_PLAN_BYTES, packed, type ShimPlan, type ShimReply, textOf } from './shim-protocol.ts';

export interface ShimLaunchOptions extends LaunchOptions {
  /** Of the filter; see `filterProgram`. Absent: none. */
  readonly filter?: Buffer;
  /** Absent: the whole file system is left to it. */
  readonly landlock?: LandlockRules;
}

export interface ShimmedAgent extends LaunchedAgent {
  /** Our own copy of the listener's descriptor; whoever takes it closes it. Absent without a filter. */
  readonly listener?: number;
  /** Absent without rules for it. */
  readonly landlock?: NonNullable<Extract<ShimReply, { readonly listener?: number }>['landlock']>;
}

/** A shim that says nothing for so long is broken. */
const ANSWER_MS = 30_000;

/** @throws {CountersignError} `MONITOR_UNAVAILABLE`: nothing runs then */
export async function launchThroughShim(options: ShimLaunchOptions): Promise<ShimmedAgent> {
  const { cwd, stdio = 'inherit', filter } = options;
  const calls = native();
  if (calls === undefined) throw unavailable(nativeMissing() ?? 'koffi is missing');
  const plan = packed(planOf(options));
  if (plan.length > MAX_PLAN_BYTES) throw unavailable('its arguments and environment are longer than any kernel takes');
  // Nothing of the agent's environment reaches the shim: `NODE_OPTIONS` and `LD_PRELOAD` would be run by it.
  const child = spawn(process.execPath, [SHIM], { cwd, env: {}, stdio: [stdio, stdio, stdio, 'pipe'] });
  const ended = new Promise<AgentEnd>((done) => {
    child.once('exit', (code, signal) => done({ ...(code !== null && { code }), ...(signal !== null && { signal }) }));
  });
  try {
    const { pid, channel } = await started(child);
    channel.write(plan);
    const reply = await answer(channel, ended);
    if ('failed' in reply)
      throw unavailable(reply.errno === 'EBUSY' ? NESTED : `${reply.failed}${reply.errno === undefined ? '' : ` (${reply.errno})`}`);
    const listener = filter === undefined || reply.listener === undefined ? undefined : take(pid, reply.listener);
    return {
      pid,
      child,
      ended,
      go: () => void channel.end(GO),
      ...(listener !== undefined && { listener }),
      ...(reply.landlock !== undefined && { landlock: reply.landlock }),
    };
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }

  function take(pid: number, fd: number): number {
    const pidfd = calls?.pidfdOpen(pid) ?? -1;
    const taken = pidfd < 0 ? pidfd : (calls?.kernel.pidfdGetfd(pidfd, fd) ?? -1);
    if (pidfd >= 0) calls?.close(pidfd);
    if (taken < 0) throw unavailable(`the listener could not be taken over (${errorName(taken)})`);
    return taken;
  }
}

/** Beside us: the same line from source and from `dist`. */
export const SHIM: string = fileURLToPath(new URL(`./shim${extname(new URL(import.meta.url).pathname)}`, import.meta.url));
const NESTED = 'another supervisor listens to this process tree already: an agent cannot be watched from inside a watched tree';

export function planOf({ program, args, env, filter, landlock }: Omit<ShimLaunchOptions, 'cwd' | 'stdio'>): ShimPlan {
  const argument = (text: string): string => exactText(text, 'cmdline');
  const given = Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [exactText(`${name}=${value}`, 'environ')]));
  return {
    program: argument(program),
    args: args.map(argument),
    env: given,
    ...(filter !== undefined && { filter: filter.toString('base64') }),
    ...(landlock !== undefined && { landlock }),
  };
}

function exactText(text: string, file: 'cmdline' | 'environ'): string {
  // It would end there for the program that gets it: not what was asked for.
  if (text.includes('\0')) throw unavailable(`${file === 'cmdline' ? 'an argument' : 'a variable of the environment'} holds a zero byte`);
  return textOf(exactBytes(text, () => startedWith(file)));
}

async function started(child: ChildProcess): Promise<{ readonly pid: number; readonly channel: Duplex }> {
  await new Promise<void>((done, failed) => {
    child.once('spawn', done);
    child.once('error', (cause) => failed(unavailable(cause.message, cause)));
  });
  child.on('error', () => {});
  const channel = child.stdio[3];
  if (child.pid === undefined || channel === undefined || channel === null || !('write' in channel))
    throw unavailable('it has no process id');
  // It may end before it is told to go: that is told by `ended`.
  channel.on('error', () => {});
  return { pid: child.pid, channel: channel as Duplex }; // a pipe of `spawn` is read and written
}

/** One message, however it is cut into pieces. */
async function answer(channel: Duplex, ended: Promise<AgentEnd>): Promise<ShimReply> {
  let bytes = Buffer.alloc(0);
  const { promise, resolve, reject } = Promise.withResolvers<ShimReply>();
  const timer = setTimeout(() => reject(unavailable(`the launch shim did not answer within ${ANSWER_MS} ms`)), ANSWER_MS);
  channel.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    const isWhole = bytes.length >= LENGTH_BYTES && bytes.length >= LENGTH_BYTES + bytes.readUInt32LE(0);
    if (isWhole) resolve(JSON.parse(bytes.subarray(LENGTH_BYTES).toString()) as ShimReply); // written by our own shim
  });
  void ended.then(({ code, signal }) => reject(unavailable(`the launch shim ended (${code ?? signal ?? 'no code'})`)));
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
  }
}

function unavailable(reason: string, cause?: unknown): CountersignError {
  return new CountersignError('MONITOR_UNAVAILABLE', `the agent could not be started: ${reason}`, { cause, details: { reason } });
}
