/**
 * The thread that listens to the kernel's process events. A child may live for a millisecond: what it runs is read here at once, while the
 * main thread may be busy with something else. Events of processes that do not belong go no further.
 */
import { uptime } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { errorName, type Native, native, nativeMissing } from '../native/native.ts';
import { AF_NETLINK, connectorAddress, listenMessage, NETLINK_CONNECTOR, type ProcEvent, parseProcEvents } from '../native/proc-event.ts';
import { procReader } from '../tree/proc-fs.ts';
import { isRunning } from '../tree/stat.ts';
import type { ConnectorEvent, ConnectorStart, FromThread, ToThread } from './connector-protocol.ts';

const SOCK_DGRAM = 2;
const SOCK_NONBLOCK_CLOEXEC = 0o2004000;
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
/** Beyond the limit of the system, for those who may. */
const SO_RCVBUFFORCE = 33;
const RECEIVE_BUFFER_BYTES = 8 * 1024 * 1024;
/** One datagram; a message of the connector has 76 bytes. */
const DATAGRAM_BYTES = 8_192;
/** Datagrams taken before others of this thread, messages of the main one above all, have their turn. */
const MAX_DATAGRAMS_PER_TURN = 1_024;
/** No answer to the request: the kernel has no process events, or not for this namespace. */
const ANSWER_MS = 2_000;
/** Between two looks at a process whose first thread ended while others may go on. */
const FIRST_RECHECK_MS = 20;
const MAX_RECHECK_MS = 1_000;
const TICKS_PER_SECOND = 100;
const NS_PER_TICK = 1_000_000_000 / TICKS_PER_SECOND;

const reader = procReader();
/** Start times by pid. */
const members = new Map<number, number>();
let pending: ConnectorEvent[] = [];
let lost = 0;

function main({ members: known }: ConnectorStart): void {
  for (const { pid, start } of known) members.set(pid, start);
  const calls = native();
  if (calls === undefined) return fail(nativeMissing() ?? 'koffi is missing');
  const socket = open(calls);
  if (typeof socket === 'string') return fail(socket);
  // What is read of a short child is a race against its end.
  calls.raisePriority();
  listen(calls, socket);
}

function say(message: FromThread): void {
  parentPort?.postMessage(message);
}

function fail(reason: string): void {
  say({ kind: 'failed', reason });
  parentPort?.close();
}

function flush(): void {
  if (pending.length === 0 && lost === 0) return;
  say({ kind: 'events', events: pending, lost });
  pending = [];
  lost = 0;
}

function listen(calls: Native, socket: number): void {
  const datagram = Buffer.alloc(DATAGRAM_BYTES);
  let isListening = false;
  let isStopped = false;
  const stop = (): void => {
    if (isStopped) return;
    isStopped = true;
    clearTimeout(unanswered);
    stopPolling();
    calls.close(socket);
    flush();
    parentPort?.close();
  };
  const giveUp = (reason: string): void => {
    flush();
    say({ kind: 'failed', reason });
    stop();
  };
  const unanswered = setTimeout(() => giveUp('the kernel does not answer: no process events here, or none inside a container'), ANSWER_MS);
  const answered = (error: number): void => {
    if (error !== 0) return giveUp(`the kernel refuses process events (${errorName(-error)})`);
    clearTimeout(unanswered);
    if (!isListening) say({ kind: 'listening' });
    isListening = true;
  };
  const stopPolling = calls.onReadable(socket, () => {
    for (let taken = 0; taken < MAX_DATAGRAMS_PER_TURN && !isStopped; taken++) {
      const size = calls.recv(socket, datagram);
      if (size < 0 && errorName(size) === 'EAGAIN') break;
      if (size < 0 && errorName(size) === 'ENOBUFS') lost++;
      else if (size <= 0) return giveUp(`process events cannot be received any more (${errorName(size)})`);
      for (const event of parseProcEvents(datagram.subarray(0, Math.max(size, 0)))) {
        if (event.kind === 'answer') answered(event.error);
        else takeEvent(event);
      }
    }
    flush();
  });
  parentPort?.on('message', (message: ToThread) => {
    switch (message.kind) {
      case 'watch':
        return void members.set(message.pid, message.start);
      case 'forget':
        return void members.delete(message.pid);
      case 'stop':
        return stop();
    }
  });
}

/** @returns the socket, or why there is none. */
function open(calls: Native): number | string {
  const socket = calls.socket(AF_NETLINK, SOCK_DGRAM | SOCK_NONBLOCK_CLOEXEC, NETLINK_CONNECTOR);
  if (socket < 0) return `no socket for process events (${errorName(socket)})`;
  const size = Buffer.alloc(4);
  size.writeUInt32LE(RECEIVE_BUFFER_BYTES);
  if (calls.setsockopt(socket, SOL_SOCKET, SO_RCVBUFFORCE, size) < 0) calls.setsockopt(socket, SOL_SOCKET, SO_RCVBUF, size);
  const bound = calls.bind(socket, connectorAddress());
  const asked = bound < 0 ? bound : calls.send(socket, listenMessage());
  if (asked >= 0) return socket;
  calls.close(socket);
  return `process events are not for this user or kernel (${errorName(asked)})`;
}

function takeEvent(event: Exclude<ProcEvent, { kind: 'answer' }>): void {
  switch (event.kind) {
    case 'fork':
      // A pid that belonged and is another's now: its end was lost.
      if (!members.has(event.parent)) return void members.delete(event.child);
      return forked(event.parent, event.child, event.atNs);
    case 'exec':
      if (members.has(event.pid)) pending.push(readExec(event.pid));
      return;
    case 'exit':
      if (members.has(event.pid)) ended(event.pid, event.status, FIRST_RECHECK_MS);
      return;
  }
}

function forked(parent: number, pid: number, atNs: bigint): void {
  const start = reader.stat(pid)?.start ?? startAt(atNs);
  members.set(pid, start);
  pending.push({ kind: 'fork', parent, pid, start });
}

/** The command line first: it is what is gone soonest, and what the rules need most. */
function readExec(pid: number): ConnectorEvent {
  const argv = reader.argv(pid);
  const markers = reader.markers(pid);
  const exe = reader.exe(pid);
  const cwd = reader.cwd(pid);
  const stat = reader.stat(pid);
  const start = stat?.start ?? members.get(pid) ?? 0;
  return {
    kind: 'exec',
    pid,
    start,
    ...(stat !== undefined && { parent: stat.parent }),
    // None: it ended.
    ...(argv !== undefined && argv.length > 0 && { argv }),
    ...(exe !== undefined && { exe }),
    ...(cwd !== undefined && { cwd }),
    ...(markers !== undefined && { markers }),
  };
}

/** The first thread ended. When others go on, the process does: it may hide behind a zombie. */
function ended(pid: number, status: number, recheckMs: number): void {
  const stat = reader.stat(pid);
  const goesOn = stat !== undefined && stat.start === members.get(pid) && stat.threads > 1 && isRunning(stat);
  if (!goesOn) {
    if (members.delete(pid)) pending.push({ kind: 'exit', pid, status });
    return;
  }
  setTimeout(() => {
    if (members.has(pid)) ended(pid, status, Math.min(recheckMs * 2, MAX_RECHECK_MS));
    flush();
  }, recheckMs).unref();
}

/**
 * The start time of a process that ended before it could be read. The kernel counts it on a clock that goes on in suspend, the
 * event's does not.
 */
function startAt(atNs: bigint): number {
  return Math.floor((Number(atNs) + suspendedNs()) / NS_PER_TICK);
}

function suspendedNs(): number {
  const suspended = uptime() * 1e9 - Number(process.hrtime.bigint());
  // The clocks are read one after the other.
  return suspended > 1e8 ? suspended : 0;
}

if (parentPort !== null) main(workerData as ConnectorStart); // as `connectorSensor` gives it
