/** A process table that a test writes. */
import type { ProcessStatus, ProcessTable, RunState, ThreadStatus } from '../../src/contain/process-table.ts';

export interface FakeProcess {
  readonly pid: number;
  readonly start: number;
  readonly parent: number;
  readonly state?: RunState;
  readonly marker?: string;
  readonly tracer?: number;
  readonly awaitsChild?: true;
}

export class FakeTable implements ProcessTable {
  readonly processes = new Map<number, FakeProcess>();

  constructor(processes: readonly FakeProcess[]) {
    for (const process of processes) this.processes.set(process.pid, process);
  }

  read(pid: number): ProcessStatus | undefined {
    const found = this.processes.get(pid);
    return found && { pid: found.pid, start: found.start, parent: found.parent, threads: 1, state: found.state ?? 'running' };
  }

  children(pid: number): readonly number[] {
    return this.pids().filter((each) => this.processes.get(each)?.parent === pid);
  }

  threads(pid: number): readonly ThreadStatus[] {
    const state = this.threadState(pid);
    return state === undefined ? [] : [{ thread: pid, state }];
  }

  threadState(thread: number): RunState | undefined {
    return this.read(thread)?.state;
  }

  awaitsChild(thread: number): boolean {
    return this.processes.get(thread)?.awaitsChild === true;
  }

  tracer(thread: number): number | undefined {
    return this.processes.get(thread)?.tracer;
  }

  pids(): readonly number[] {
    return [...this.processes.keys()];
  }

  hasMarker(pid: number, marker: string): boolean {
    return this.processes.get(pid)?.marker === marker;
  }
}
