/**
 * The supervisor: waits for trapped calls, and answers each. It does nothing slow, since whoever made the call waits for it; people and
 * records are the main thread's. When this thread is gone, so is the listener, and every trapped call of the tree fails.
 */

import { constants } from 'node:os';
import { parentPort, receiveMessageOnPort } from 'node:worker_threads';
import { POLLFD_BYTES } from '../native/kernel-calls.ts';
import { errorName, type Native, native, nativeMissing } from '../native/native.ts';
import { ruleEngine } from '../rules/engine.ts';
import { enforced } from '../verdict.ts';
import { Answering } from './answering.ts';
import { Broker } from './broker.ts';
import { procFiles } from './broker-proc.ts';
import { Walker } from './broker-walk.ts';
import { FileFacts } from './file-facts.ts';
import { Gatekeeper } from './gatekeeper.ts';
import { HeldCalls } from './held-calls.ts';
import { hotReads, usuallyHot } from './hot.ts';
import { TargetMemory } from './memory.ts';
import { callNames, Notification, Response } from './notification.ts';
import { type Batch, FLUSH_MS, Outbox } from './outbox.ts';
import { OwnDescriptors } from './own-descriptors.ts';
import { packed } from './packed.ts';
import { Paths } from './paths.ts';
import { isInTree, processesOf } from './processes.ts';
import { SafeReads } from './safe-reads.ts';
import { Scripts } from './scripts.ts';
import { Sockets } from './sockets.ts';
import { CALLER, CALLS, type FromSupervisor, SEEN, type SupervisorStart, type ToSupervisor } from './supervisor-protocol.ts';
import { Targets } from './targets.ts';

const { ENOENT, EINTR, ENOSYS, EPERM } = constants.errno;
const POLLIN = 0x1;
const POLLHUP = 0x10;
const LISTENER_EVENTS_AT = 4;
const WAKE_BYTES = 8;
const ID_BYTES = 8;
/** Between two looks at which of those that are held still wait. */
const SWEEP_MS = 1_000;
/** How long such a look may take. Everybody else waits meanwhile. */
const SWEEP_TAKES_MS = 20;

/** Loaded before there is anything to supervise, while the agent is started. */
function main(): void {
  const loaded = native();
  parentPort?.once('message', (message: ToSupervisor) => {
    if (message.kind === 'begin') supervise(message.start, loaded);
    else parentPort?.close();
  });
}

function supervise(start: SupervisorStart, loaded: Native | undefined): void {
  if (loaded === undefined) return fail(nativeMissing() ?? 'koffi is missing');
  const supervisor = new Supervisor(start, loaded);
  loaded.kernel.wakeSynchronously(start.listener);
  say({ kind: 'ready' });
  supervisor.run();
}

class Supervisor {
  readonly #start: SupervisorStart;
  readonly #calls: Native['kernel'];
  readonly #control: Int32Array;
  readonly #gate: Gatekeeper;
  readonly #names = callNames(process.arch);
  readonly #targets: Targets;
  readonly #answering: Answering;
  readonly #broker: Broker | undefined;
  readonly #own: OwnDescriptors;
  readonly #held = new HeldCalls();
  readonly #outbox: Outbox;
  readonly #notification = new Notification();
  readonly #response = new Response();
  readonly #waiting = Buffer.alloc(2 * POLLFD_BYTES);
  readonly #woken = Buffer.alloc(WAKE_BYTES);
  /** May continue, and do when the gate opens. */
  #letGo: number[] = [];
  readonly #id = Buffer.alloc(ID_BYTES);
  #swept = 0;
  #isStopped = false;
  /** Why it stopped of its own accord. */
  #failure: string | undefined;

  constructor(start: SupervisorStart, { kernel: calls, files }: Native) {
    this.#start = start;
    this.#calls = calls;
    const memory = new TargetMemory(calls);
    const hot = start.hot ?? usuallyHot(start.rules.workspace);
    if (start.trapReads === 'broker')
      this.#broker = new Broker({ hot, listener: start.listener, calls, files, memory, since: start.since });
    const control = new Int32Array(start.control);
    this.#control = control;
    this.#gate = new Gatekeeper(control);
    this.#outbox = new Outbox(
      (message) => this.#tell(message),
      () => Atomics.load(control, SEEN),
    );
    this.#targets = new Targets(calls);
    const processes = processesOf(process.pid);
    const own = new OwnDescriptors(files);
    this.#own = own;
    this.#answering = new Answering({
      ...start,
      memory,
      paths: new Paths({ files, own, walker: new Walker(files, own, procFiles(files)), processOf: processes.processOf }),
      processes,
      targets: this.#targets,
      files: new FileFacts(calls),
      scripts: new Scripts(files, own),
      sockets: new Sockets(calls),
      rules: ruleEngine(start.scope, { ...start.rules, isMember: (pid) => isInTree(pid, processes) }),
      isHot: hotReads(hot),
      answers: {
        goOn: (id) => this.#send(this.#response.goesOn(id)),
        fail: (id, errno) => this.#send(this.#response.fails(id, errno)),
      },
      safeReads: new SafeReads(start.scope),
      held: this.#held,
      outbox: this.#outbox,
      ...(this.#broker !== undefined && { opener: this.#broker }),
    });
    this.#waiting.writeInt32LE(start.listener, 0);
    this.#waiting.writeInt32LE(start.wake, POLLFD_BYTES);
    this.#waiting.writeInt16LE(POLLIN, POLLFD_BYTES + 4);
  }

  run(): void {
    while (!this.#isStopped) {
      // While the gate is shut calls wait where they are, in the kernel: there a signal can stop them, and they take no room of ours.
      // They also do while the main thread has too much to look at.
      const isWaiting = this.#gate.isShut || this.#outbox.isFull;
      this.#waiting.writeInt16LE(isWaiting ? 0 : POLLIN, LISTENER_EVENTS_AT);
      const ready = this.#calls.poll(this.#waiting, this.#timeout(isWaiting));
      if (ready === -EINTR) continue;
      if (ready < 0) {
        this.#fail(`waiting for calls failed (${errorName(ready)})`);
        break;
      }
      if (this.#broker?.isWaiting === true && !this.#gate.isShut) this.#broker.tick(Date.now());
      if (this.#isReady(1)) this.#hear();
      // The listener may be gone by then.
      if (this.#isStopped || !this.#receiveSome()) break;
      if (ready === 0 || this.#outbox.isDue) this.#outbox.flush();
      this.#sweep();
    }
    this.#end();
  }

  /** @returns false when there is nobody left who could call */
  #receiveSome(): boolean {
    const events = this.#waiting.readInt16LE(LISTENER_EVENTS_AT + 2);
    if (events === 0) return true;
    if ((events & POLLIN) === 0) {
      if ((events & POLLHUP) === 0) this.#fail(`the listener cannot be waited for (${events})`);
      else say({ kind: 'over' });
      return false;
    }
    // One at a time: what people say comes between any two. It may have been shut since.
    if (!this.#gate.isShut) this.#receive();
    return true;
  }

  #timeout(isWaiting: boolean): number {
    if (!this.#outbox.isEmpty || this.#broker?.isWaiting === true || (isWaiting && !this.#gate.isShut)) return FLUSH_MS;
    const { msLeft } = this.#gate;
    if (msLeft > 0) return Math.min(msLeft, SWEEP_MS);
    return this.#held.size > 0 ? SWEEP_MS : -1;
  }

  /** Those that were ended while they were held. */
  #sweep(): void {
    if (this.#held.size === 0) return;
    const now = Date.now();
    if (now - this.#swept < SWEEP_MS) return;
    this.#swept = now;
    const until = performance.now() + SWEEP_TAKES_MS;
    const isWaiting = (id: bigint): boolean => {
      this.#id.writeBigUInt64LE(id, 0);
      return this.#calls.isWaiting(this.#start.listener, this.#id) >= 0;
    };
    this.#held.sweep(isWaiting, () => performance.now() < until);
  }

  #isReady(index: number): boolean {
    return (this.#waiting.readInt16LE(index * POLLFD_BYTES + 6) & POLLIN) !== 0;
  }

  #receive(): void {
    this.#notification.clear();
    const got = this.#calls.receive(this.#start.listener, this.#notification.bytes);
    // It was ended between the two steps.
    if (got === -ENOENT || got === -EINTR) return;
    if (got < 0) return this.#fail(`receiving a call failed (${errorName(got)})`);
    const trapped = this.#notification.parse(this.#names);
    if (trapped === undefined) return this.#send(this.#response.fails(this.#notification.id, ENOSYS));
    this.#control[CALLER] = trapped.tid;
    this.#control[CALLS] = ((this.#control[CALLS] ?? 0) + 1) | 0;
    this.#answering.answer(trapped);
    this.#control[CALLER] = 0;
  }

  #hear(): void {
    this.#calls.read(this.#start.wake, this.#woken);
    if (parentPort === null) return;
    for (let next = receiveMessageOnPort(parentPort); next !== undefined; next = receiveMessageOnPort(parentPort)) {
      const message = next.message as ToSupervisor; // the warden's own
      if (message.kind === 'stop') this.#isStopped = true;
      if (message.kind === 'gate') this.#gateChanged(message);
      if (message.kind === 'answer') this.#answered(message.held, message.with);
    }
  }

  /** A call that went on under a stop signal would be broken off by it, and start again: it goes on with all the others. */
  #answered(held: number, answer: 'continue' | 'refuse'): void {
    this.#gate.answered();
    if (answer === 'continue' && this.#gate.isShutByWarden) this.#letGo.push(held);
    else this.#answering.answered(held, answer);
  }

  #gateChanged({ nth, stops }: Extract<ToSupervisor, { kind: 'gate' }>): void {
    this.#gate.changed(stops);
    if (!this.#gate.isShutByWarden) {
      for (const held of this.#letGo) this.#answering.answered(held, 'continue');
      this.#letGo = [];
    }
    // What is held by now is told before this is.
    this.#outbox.flush();
    say({ kind: 'gate', nth, waiting: this.#broker?.waiting ?? [] });
  }

  #tell({ told, lost, counted }: Batch): void {
    for (const { judged } of told) {
      if (judged === undefined) continue;
      const level = enforced(judged.level, this.#start.mode);
      this.#gate.found(this.#start.shutsGate === true && (level === 'HALT' || level === 'KILL'));
    }
    say({ kind: 'told', told: packed(told), lost, counted });
  }

  /** Whoever waited may have been ended meanwhile: then nobody wants it. */
  #send(response: Buffer): void {
    this.#calls.send(this.#start.listener, response);
  }

  #fail(reason: string): void {
    this.#isStopped = true;
    this.#failure = reason;
  }

  /** Once: what is closed here is another's the next moment. */
  #end(): void {
    for (const { id, opened } of this.#held.clear()) {
      opened?.drop();
      this.#send(this.#response.fails(id, EPERM));
    }
    this.#outbox.flush();
    this.#targets.close();
    this.#broker?.close();
    this.#own.close();
    if (this.#failure !== undefined) say({ kind: 'failed', reason: this.#failure });
    parentPort?.close();
  }
}

function say(message: FromSupervisor): void {
  parentPort?.postMessage(message);
}

function fail(reason: string): void {
  say({ kind: 'failed', reason });
  parentPort?.close();
}

main();
