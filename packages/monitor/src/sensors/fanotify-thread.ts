/**
 * The thread that is asked before a guarded file is opened, by whoever on this host. Who does not belong to the watched tree goes on at
 * once, and so do we: nothing here may open a marked file, or wait for somebody who does.
 */
import { fstatSync, readlinkSync } from 'node:fs';
import { uptime } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import type { Actor, FileAction, Observation } from '../activity.ts';
import { processOfThread } from '../kernel/processes.ts';
import { answerTo, type OpenEvent, parseFanotifyEvents } from '../native/fanotify-event.ts';
import { errorName, type Native, native, nativeMissing } from '../native/native.ts';
import { ruleEngine } from '../rules/engine.ts';
import { procReader } from '../tree/proc-fs.ts';
import { enforced, type Verdict, worse } from '../verdict.ts';
import { FanotifyMarks } from './fanotify-marks.ts';
import type { FanotifyStart, FromFanotify, ToFanotify, ToldOpen } from './fanotify-protocol.ts';
import { opensBy } from './opening-call.ts';

/** Opens that wait for a person; those beyond are refused. Each keeps a descriptor of ours open. */
export const MAX_HELD = 256;
const BUFFER_BYTES = 4_096;
const MAX_READS_PER_TURN = 64;
/** Between two looks for files that were put in the place of guarded ones. */
const LOOK_MS = 500;
/** An orphan that just began may be of the tree, and the news still on its way. */
const YOUNG_MS = 2_000;
const NEWS_MS = 250;
const MAX_ANCESTORS = 64;
const TICKS_PER_SECOND = 100;
const INIT = 1;

class FanotifyThread {
  readonly #start: FanotifyStart;
  readonly #calls: Native;
  readonly #marks: FanotifyMarks;
  readonly #engine: ReturnType<typeof ruleEngine>;
  readonly #reader = procReader();
  readonly #buffer = Buffer.alloc(BUFFER_BYTES);
  /** Start times by pid. */
  readonly #members = new Map<number, number>();
  readonly #above = new Set<number>();
  /** By number: waits for a person. */
  readonly #held = new Map<number, Verdict>();
  #heldSoFar = 0;
  /** By pid: waits for news of who that is. */
  readonly #unknown = new Map<number, { readonly opens: OpenEvent[]; readonly timer: NodeJS.Timeout }>();
  readonly #stopPolling: () => void;
  readonly #looking: NodeJS.Timeout;
  #told: ToldOpen[] = [];
  #lost = 0;
  #seq = 0;
  #unmarked = 0;
  #isStopped = false;

  constructor(start: FanotifyStart, calls: Native) {
    this.#start = start;
    this.#calls = calls;
    for (const { pid, start: since } of start.members) {
      this.#members.set(pid, since);
      this.#ancestorsOf(pid);
    }
    this.#engine = ruleEngine(start.scope, start.rules);
    this.#marks = new FanotifyMarks(calls.fanotify, start.group, start.places);
    this.#stopPolling = calls.onReadable(start.group, () => this.#read());
    // The handle alone keeps no thread alive; listening to the main one does.
    this.#looking = setInterval(() => this.#look(), LOOK_MS);
    this.#look();
  }

  hear(message: ToFanotify): void {
    switch (message.kind) {
      case 'watch':
        this.#members.set(message.pid, message.start);
        return this.#known(message.pid);
      case 'forget':
        return void this.#members.delete(message.pid);
      case 'answered':
        return this.#answered(message.number, message.with);
      case 'stop':
        return this.#stop();
    }
  }

  #look(): void {
    this.#marks.look();
    if (this.#marks.unmarked === this.#unmarked) return;
    this.#unmarked = this.#marks.unmarked;
    say({ kind: 'unmarked', count: this.#unmarked });
  }

  #read(): void {
    for (let reads = 0; reads < MAX_READS_PER_TURN && !this.#isStopped; reads++) {
      const size = this.#calls.read(this.#start.group, this.#buffer);
      if (size < 0 && errorName(size) === 'EAGAIN') break;
      // A file that we cannot open, a leased one for instance: the kernel has refused it.
      if (size < 0) {
        this.#lost++;
        if (FATAL.has(errorName(size))) return this.#fail(`its events cannot be read any more (${errorName(size)})`);
        continue;
      }
      const { opens, overflows, isForeign } = parseFanotifyEvents(this.#buffer.subarray(0, size));
      if (isForeign) return this.#fail('the kernel tells of opens in a format that is not known');
      this.#lost += overflows;
      for (const open of opens) this.#asked(open);
    }
    this.#flush();
  }

  #asked(open: OpenEvent): void {
    const pid = processOfThread(open.tid);
    if (pid === undefined || pid === process.pid) return this.#answer(open.fd, 'continue');
    const belongs = this.#belongs(pid);
    if (belongs === 'member') return this.#judge(open, pid);
    if (belongs === 'stranger') return this.#answer(open.fd, 'continue');
    const waiting = this.#unknown.get(pid);
    if (waiting !== undefined) return void waiting.opens.push(open);
    const timer = setTimeout(() => this.#known(pid), NEWS_MS);
    this.#unknown.set(pid, { opens: [open], timer });
  }

  /** There is news of it, or there was none in time. */
  #known(pid: number): void {
    const waiting = this.#unknown.get(pid);
    if (waiting === undefined) return;
    this.#unknown.delete(pid);
    clearTimeout(waiting.timer);
    const isMember = this.#belongs(pid) === 'member';
    for (const open of waiting.opens) {
      if (isMember) this.#judge(open, pid);
      else this.#answer(open.fd, 'continue');
    }
    this.#flush();
  }

  /** Itself, or by a parent. Whose parents are gone, so that init or an ancestor of the tree has it, the sensors tell that saw it begin. */
  #belongs(pid: number): 'member' | 'stranger' | 'unknown' {
    let at = pid;
    let child = this.#reader.stat(pid);
    for (let steps = 0; child !== undefined && steps < MAX_ANCESTORS; steps++) {
      if (this.#members.get(at) === child.start) return 'member';
      const isOrphan = child.parent <= INIT || this.#above.has(child.parent);
      const parent = isOrphan ? undefined : this.#reader.stat(child.parent);
      // A parent that is younger has the pid of one that is gone.
      if (parent === undefined || parent.start > child.start) return isYoung(child.start) ? 'unknown' : 'stranger';
      at = child.parent;
      child = parent;
    }
    return 'stranger';
  }

  /** Those that orphans of the tree may be left to. */
  #ancestorsOf(pid: number): void {
    let parent = this.#reader.stat(pid)?.parent;
    for (let steps = 0; parent !== undefined && parent > INIT && steps < MAX_ANCESTORS; steps++) {
      this.#above.add(parent);
      parent = this.#reader.stat(parent)?.parent;
    }
  }

  #judge(open: OpenEvent, pid: number): void {
    let answer: 'continue' | 'refuse' | 'hold' = 'refuse';
    try {
      answer = this.#weigh(open, pid);
    } catch {
      // What cannot be judged may not.
      this.#lost++;
    }
    if (answer !== 'hold') this.#answer(open.fd, answer);
  }

  #weigh(open: OpenEvent, pid: number): 'continue' | 'refuse' | 'hold' {
    const actor = this.#actor(pid);
    const { action, verdict } = this.#verdict(open, actor);
    const observation: Observation = { at: Date.now(), sensor: 'fanotify', phase: 'before', actor, action };
    const level = enforced(verdict.level, this.#start.mode);
    if (level === 'SAFE' || level === 'FLAG') {
      this.#told.push({ observation });
      return 'continue';
    }
    const isHeld = level === 'HALT' && this.#held.size < MAX_HELD;
    const held = isHeld ? { number: ++this.#heldSoFar, fd: open.fd, thread: open.tid } : undefined;
    if (held !== undefined) this.#held.set(held.number, verdict);
    this.#told.push({ observation, judged: verdict, ...(held !== undefined && { held }) });
    this.#flush();
    return isHeld ? 'hold' : 'refuse';
  }

  /** The file under the name it is guarded by and under the one it was opened by; reading, writing, or the worse of both where that is not known. */
  #verdict({ fd, tid }: OpenEvent, actor: Actor): { readonly action: FileAction; readonly verdict: Verdict } {
    const opened = readlinkSync(`/proc/self/fd/${fd}`);
    const path = this.#marks.nameOf(fstatSync(fd, { bigint: true })) ?? opened;
    const kind = opensBy(tid);
    const judge = (use: 'read' | 'write') => {
      const action: FileAction = { kind: use, path, ...(opened !== path && { resolved: opened }) };
      const activity = { at: Date.now(), sensor: 'fanotify', phase: 'before', actor, action } as const;
      return { action, verdict: this.#engine.judge({ ...activity, seq: ++this.#seq, attribution: { method: 'none' } }) };
    };
    if (kind !== undefined) return judge(kind);
    const [read, write] = [judge('read'), judge('write')];
    return worse(read.verdict, write.verdict) === read.verdict ? read : write;
  }

  #actor(pid: number): Actor {
    const stat = this.#reader.stat(pid);
    const [exe, argv, cwd] = [this.#reader.exe(pid), this.#reader.argv(pid), this.#reader.cwd(pid)];
    return {
      pid,
      start: stat?.start ?? this.#members.get(pid) ?? 0,
      ...(stat !== undefined && { parent: stat.parent }),
      ...(exe !== undefined && { exe }),
      ...(argv !== undefined && { argv }),
      ...(cwd !== undefined && { cwd }),
    };
  }

  #answered(number: number, answer: 'continue' | 'refuse'): void {
    const verdict = this.#held.get(number);
    if (verdict !== undefined && answer === 'continue') this.#engine.accept(verdict);
    this.#held.delete(number);
  }

  /** Whoever waited may have been ended meanwhile: then nobody wants it. */
  #answer(fd: number, answer: 'continue' | 'refuse'): void {
    this.#calls.kernel.write(this.#start.group, answerTo(fd, answer));
    this.#calls.close(fd);
  }

  #flush(): void {
    if (this.#told.length === 0 && this.#lost === 0) return;
    say({ kind: 'told', told: this.#told, lost: this.#lost });
    this.#told = [];
    this.#lost = 0;
  }

  #fail(reason: string): void {
    say({ kind: 'failed', reason });
    this.#stop();
  }

  /** What waits for a person is the main thread's to answer. What comes after is let through by the kernel, once the group is closed. */
  #stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    clearInterval(this.#looking);
    this.#stopPolling();
    for (const pid of [...this.#unknown.keys()]) this.#known(pid);
    this.#flush();
    parentPort?.close();
  }
}

/** The group itself is broken. Others are about one file. */
const FATAL: ReadonlySet<string> = new Set(['EBADF', 'EINVAL', 'EFAULT']);

/** @param start - ticks since boot */
function isYoung(start: number): boolean {
  return uptime() * 1_000 - (start / TICKS_PER_SECOND) * 1_000 < YOUNG_MS;
}

function say(message: FromFanotify): void {
  parentPort?.postMessage(message);
}

function main(start: FanotifyStart): void {
  const calls = native();
  if (calls === undefined) {
    say({ kind: 'failed', reason: nativeMissing() ?? 'koffi is missing' });
    return parentPort?.close();
  }
  // Others wait for its answers.
  calls.raisePriority();
  const thread = new FanotifyThread(start, calls);
  parentPort?.on('message', (message: ToFanotify) => thread.hear(message));
  say({ kind: 'listening' });
}

if (parentPort !== null) main(workerData as FanotifyStart); // as `fanotifySensor` gives it
