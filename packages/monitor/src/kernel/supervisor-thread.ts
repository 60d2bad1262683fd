/**
 * The supervisor: waits for trapped calls, and answers each. It does nothing slow, since whoever made the call waits for it; people and
 * records are the main thread's. When this thread is gone, so is the listener, and every trapped call of the tree fails.
 */

import { constants } from 'node:os';
import { arch } from 'node:process';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import type { Observation } from '../activity.ts';
import { POLLFD_BYTES } from '../native/kernel-calls.ts';
import { errorName, native, nativeMissing } from '../native/native.ts';
import { ruleEngine } from '../rules/engine.ts';
import { enforced, type Verdict, worse } from '../verdict.ts';
import { type Decoded, decode } from './decode.ts';
import { TargetMemory } from './memory.ts';
import { callNames, fails, goesOn, idOf, NOTIFICATION_BYTES, parseNotification, RESPONSE_BYTES, type Trapped } from './notification.ts';
import { Paths } from './paths.ts';
import { AT_GATE, type FromSupervisor, GATE, type SupervisorStart, type Told, type ToSupervisor } from './supervisor-protocol.ts';
import { type Target, Targets } from './targets.ts';

const { EPERM, ENOENT, EINTR, ENOSYS } = constants.errno;
const POLLIN = 0x1;
/** Told together; at most so many, and no later than this. */
const MAX_BATCH = 256;
const FLUSH_MS = 20;
const WAKE_BYTES = 8;

function main(start: SupervisorStart): void {
  const calls = native()?.kernel;
  if (calls === undefined) return say({ kind: 'failed', reason: nativeMissing() ?? 'koffi is missing' });
  calls.wakeSynchronously(start.listener);
  say({ kind: 'ready' });
  new Supervisor(start, calls).run();
}

class Supervisor {
  readonly #start: SupervisorStart;
  readonly #calls: NonNullable<ReturnType<typeof native>>['kernel'];
  readonly #control: Int32Array;
  readonly #names = callNames(arch);
  readonly #memory: TargetMemory;
  readonly #paths: Paths;
  readonly #targets: Targets;
  readonly #engine: ReturnType<typeof ruleEngine>;
  readonly #notification = Buffer.alloc(NOTIFICATION_BYTES);
  readonly #response = Buffer.alloc(RESPONSE_BYTES);
  readonly #waiting = Buffer.alloc(2 * POLLFD_BYTES);
  readonly #woken = Buffer.alloc(WAKE_BYTES);
  /** At the gate: not looked at yet. */
  readonly #atGate: Trapped[] = [];
  /** By number: waits for an answer. */
  readonly #held = new Map<number, { readonly id: bigint; readonly verdict: Verdict }>();
  #told: Told[] = [];
  #toldSince = 0;
  #lost = 0;
  #seq = 0;
  #heldSoFar = 0;
  #isStopped = false;

  constructor(start: SupervisorStart, calls: NonNullable<ReturnType<typeof native>>['kernel']) {
    this.#start = start;
    this.#calls = calls;
    this.#control = new Int32Array(start.control);
    this.#memory = new TargetMemory(calls);
    this.#paths = new Paths(calls);
    this.#targets = new Targets(calls);
    this.#engine = ruleEngine(start.scope, start.rules);
    this.#waiting.writeInt32LE(start.listener, 0);
    this.#waiting.writeInt16LE(POLLIN, 4);
    this.#waiting.writeInt32LE(start.wake, POLLFD_BYTES);
    this.#waiting.writeInt16LE(POLLIN, POLLFD_BYTES + 4);
  }

  run(): void {
    while (!this.#isStopped) {
      const ready = this.#calls.poll(this.#waiting, this.#told.length === 0 ? -1 : FLUSH_MS);
      if (ready === 0 || this.#told.length >= MAX_BATCH || Date.now() - this.#toldSince >= FLUSH_MS) this.#flush();
      if (ready < 0 && ready !== -EINTR) return this.#end(`waiting for calls failed (${errorName(ready)})`);
      if (this.#isReady(1)) this.#hear();
      if (this.#isReady(0)) this.#receive();
      // Hung up: nobody is left who could call.
      else if (this.#waiting.readInt16LE(6) !== 0) {
        say({ kind: 'over' });
        break;
      }
    }
    this.#end();
  }

  #isReady(index: number): boolean {
    return (this.#waiting.readInt16LE(index * POLLFD_BYTES + 6) & POLLIN) !== 0;
  }

  #receive(): void {
    this.#notification.fill(0);
    const got = this.#calls.receive(this.#start.listener, this.#notification);
    // It was ended between the two steps.
    if (got === -ENOENT || got === -EINTR) return;
    if (got < 0) return this.#end(`receiving a call failed (${errorName(got)})`);
    const trapped = parseNotification(this.#notification, this.#names);
    if (trapped === undefined) return this.#send(fails(this.#response, idOf(this.#notification), ENOSYS));
    if (this.#control[GATE] !== 0 && makesProcesses(trapped)) {
      this.#atGate.push(trapped);
      Atomics.store(this.#control, AT_GATE, this.#atGate.length);
      return;
    }
    this.#answer(trapped);
  }

  #answer(trapped: Trapped): void {
    const target = this.#targets.of(trapped.tid);
    const decoded: Decoded =
      target === undefined
        ? { kind: 'unreadable', what: 'who it is' }
        : decode(trapped, { memory: this.#memory, paths: this.#paths, target, since: this.#start.since });
    switch (decoded.kind) {
      case 'plain':
      case 'fork':
        return this.#goOn(trapped.id);
      case 'unreadable':
      case 'never':
        return this.#refuse(trapped.id);
      case 'act':
        return this.#act(trapped, target as Target, decoded);
    }
  }

  #act({ id, call }: Trapped, target: Target, { actions, attribution }: Extract<Decoded, { kind: 'act' }>): void {
    const { tid: _, markers, ...actor } = target;
    const own = attribution ?? (markers?.call === undefined ? undefined : { method: 'marker' as const, call: markers.call });
    let worst: Verdict | undefined;
    const told = actions.map((action): Told => {
      const observation: Observation = {
        at: Date.now(),
        sensor: 'seccomp',
        phase: 'before',
        actor,
        action,
        ...(own !== undefined && { attribution: own }),
      };
      const verdict = this.#engine.judge({ ...observation, seq: ++this.#seq, attribution: own ?? { method: 'none' } });
      worst = worst === undefined ? verdict : worse(worst, verdict);
      return { observation, ...(markers !== undefined && { markers }) };
    });
    const level = worst === undefined ? 'SAFE' : enforced(worst.level, this.#start.mode);
    if (worst === undefined || level === 'SAFE' || level === 'FLAG') {
      this.#goOn(id);
      if (call === 'execve' || call === 'execveat') this.#targets.executed(target.pid);
      return told.forEach((each) => this.#tell(each));
    }
    const held = level === 'HALT' ? ++this.#heldSoFar : undefined;
    if (held === undefined) this.#refuse(id);
    else this.#held.set(held, { id, verdict: worst });
    const judged = worst;
    // Of several the last one carries the answer that is waited for.
    told.forEach((each, index) => this.#tell(index === told.length - 1 ? { ...each, judged, ...(held !== undefined && { held }) } : each));
    this.#flush();
  }

  #hear(): void {
    this.#calls.read(this.#start.wake, this.#woken);
    if (parentPort === null) return;
    for (let next = receiveMessageOnPort(parentPort); next !== undefined; next = receiveMessageOnPort(parentPort)) {
      const message = next.message as ToSupervisor; // the warden's own
      if (message.kind === 'stop') this.#isStopped = true;
      if (message.kind === 'gate') this.#gateChanged();
      if (message.kind === 'answer') this.#answered(message);
    }
  }

  #gateChanged(): void {
    if (this.#control[GATE] !== 0) return;
    for (const trapped of this.#atGate.splice(0)) this.#answer(trapped);
    Atomics.store(this.#control, AT_GATE, 0);
  }

  #answered({ held, with: answer }: Extract<ToSupervisor, { kind: 'answer' }>): void {
    const waiting = this.#held.get(held);
    if (waiting === undefined) return;
    this.#held.delete(held);
    if (answer === 'refuse') return this.#refuse(waiting.id);
    this.#engine.accept(waiting.verdict);
    this.#goOn(waiting.id);
  }

  #goOn(id: bigint): void {
    this.#send(goesOn(this.#response, id));
  }

  #refuse(id: bigint): void {
    this.#send(fails(this.#response, id, EPERM));
  }

  /** Whoever waited may have been ended meanwhile: then nobody wants it. */
  #send(response: Buffer): void {
    this.#calls.send(this.#start.listener, response);
  }

  #tell(told: Told): void {
    if (this.#told.length === 0) this.#toldSince = Date.now();
    this.#told.push(told);
  }

  #flush(): void {
    if (this.#told.length === 0 && this.#lost === 0) return;
    say({ kind: 'told', told: this.#told, lost: this.#lost });
    this.#told = [];
    this.#lost = 0;
  }

  #end(reason?: string): void {
    this.#isStopped = true;
    this.#flush();
    this.#targets.close();
    if (reason !== undefined) say({ kind: 'failed', reason });
    parentPort?.close();
  }
}

function makesProcesses({ call }: Trapped): boolean {
  return call === 'fork' || call === 'vfork' || call === 'clone' || call === 'execve' || call === 'execveat';
}

function say(message: FromSupervisor): void {
  parentPort?.postMessage(message);
}

main(workerData as SupervisorStart); // given by `supervise`
