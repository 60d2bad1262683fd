/** Whether a process is still, looked at closely: what its state letter alone does not tell. */
import type { Gate } from './gate.ts';
import type { ProcessStatus, ProcessTable, RunState } from './process-table.ts';

/**
 * `stopped` only where nothing of it runs or could before it is let go on. `held`: the same once a stop signal waits for it, because what it waits
 * for does not come. Else the state that keeps it from being still.
 */
export type Look = (process: ProcessStatus) => RunState | 'held';

/** Debuggers that debug each other are not followed for ever. */
const MAX_TRACERS = 16;

/** Whoever is in a tracing stop goes on when its debugger says so: it is still as long as that is. */
export function withTracers(table: ProcessTable): Look {
  return (process) => (process.state === 'traced' && isHeldByTracer(process, table) ? 'stopped' : process.state);
}

/** Of each thread, where there are several: that the first one stopped does not say that the others have. */
export function atGate(table: ProcessTable, gate: () => Pick<Gate, 'holds'> | undefined): Look {
  const traced = withTracers(table);
  return (process) => {
    const { pid, start, threads } = process;
    // The first thread may have ended alone: then it says nothing of the others.
    const all = threads === 1 ? [{ thread: pid, state: process.state }] : table.threads(pid);
    let worst: RunState | 'held' = 'stopped';
    for (const { thread, state } of all) {
      if (state === 'stopped' || state === 'gone') continue;
      if (state === 'traced' && traced({ ...process, pid: thread, state }) === 'stopped') continue;
      const isHeld = gate()?.holds(thread, start) === true || (state === 'waiting' && table.awaitsChild(thread));
      if (!isHeld) return state;
      worst = 'held';
    }
    return worst;
  };
}

function isHeldByTracer({ pid, state }: ProcessStatus, table: ProcessTable): boolean {
  const chain = [pid];
  for (let each = pid, now: RunState | undefined = state; now === 'traced'; ) {
    const tracer = table.tracer(each);
    const found = tracer === undefined || chain.includes(tracer) || chain.length > MAX_TRACERS ? undefined : table.read(tracer);
    if (found === undefined) return false;
    chain.push(found.pid);
    [each, now] = [found.pid, found.state];
    // It was stopped before we look once more: whatever it told them to do it told before.
    if (now === 'stopped') return chain.slice(0, -1).every((one) => table.threadState(one) === 'traced');
  }
  return false;
}
