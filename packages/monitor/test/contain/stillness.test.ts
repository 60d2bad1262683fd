import { describe, expect, it } from 'vitest';
import type { Gate } from '../../src/contain/gate.ts';
import { GateFreezer } from '../../src/contain/gate-freezer.ts';
import { Membership } from '../../src/contain/membership.ts';
import type { ProcessStatus, RunState } from '../../src/contain/process-table.ts';
import { signaller } from '../../src/contain/signals.ts';
import { atGate, withTracers } from '../../src/contain/stillness.ts';
import { TrackedTree } from '../../src/tree/tracked-tree.ts';
import { type FakeProcess, FakeTable } from './fake-table.ts';

const process = (pid: number, state: RunState, more: Partial<FakeProcess> = {}): FakeProcess => ({
  pid,
  start: pid * 10,
  parent: 1,
  state,
  ...more,
});

function status(table: FakeTable, pid: number): ProcessStatus {
  const found = table.read(pid);
  if (found === undefined) throw new Error('no such process');
  return found;
}

describe('what is traced', () => {
  const seen = (...processes: readonly FakeProcess[]): string => {
    const table = new FakeTable(processes);
    return withTracers(table)(status(table, 10));
  };

  it('is still while its debugger is', () => {
    expect(seen(process(10, 'traced', { tracer: 11 }), process(11, 'stopped'))).toBe('stopped');
  });

  it.each(['running', 'waiting', 'gone'] as const)('is not while its debugger is %s', (state) => {
    expect(seen(process(10, 'traced', { tracer: 11 }), process(11, state))).toBe('traced');
  });

  it('is not when nobody is known to trace it, or that one is no more', () => {
    expect(seen(process(10, 'traced'))).toBe('traced');
    expect(seen(process(10, 'traced', { tracer: 99 }))).toBe('traced');
  });

  it('is not when the debugger let it go on while it was stopped', () => {
    class Late extends FakeTable {
      override threadState(): RunState {
        return 'running';
      }
    }
    const table = new Late([process(10, 'traced', { tracer: 11 }), process(11, 'stopped')]);
    expect(withTracers(table)(status(table, 10))).toBe('traced');
  });

  it('is as still as the last of a chain of debuggers', () => {
    const chain = [process(10, 'traced', { tracer: 11 }), process(11, 'traced', { tracer: 12 })];
    expect(seen(...chain, process(12, 'stopped'))).toBe('stopped');
    expect(seen(...chain, process(12, 'running'))).toBe('traced');
  });

  it('is not where debuggers trace each other, or too many', () => {
    expect(seen(process(10, 'traced', { tracer: 11 }), process(11, 'traced', { tracer: 10 }))).toBe('traced');
    const many = Array.from({ length: 40 }, (_, index) => process(10 + index, 'traced', { tracer: 11 + index }));
    expect(seen(...many, process(50, 'stopped'))).toBe('traced');
  });
});

describe('at the gate', () => {
  const nobody: Pick<Gate, 'holds'> = { holds: () => false };

  it('a thread counts as held only with the start time of its process', () => {
    const table = new FakeTable([process(10, 'waiting')]);
    const look = atGate(table, () => ({ holds: (thread, start) => thread === 10 && start === 100 }));
    expect(look(status(table, 10))).toBe('held');
    table.processes.set(10, process(10, 'waiting', { start: 101 }));
    expect(look(status(table, 10))).toBe('waiting');
  });

  it('what waits for its vforked child is held, and nothing else that waits is', () => {
    const table = new FakeTable([
      process(10, 'waiting', { awaitsChild: true }),
      process(11, 'waiting'),
      process(12, 'running', { awaitsChild: true }),
    ]);
    const look = atGate(table, () => nobody);
    expect([10, 11, 12].map((pid) => look(status(table, pid)))).toEqual(['held', 'waiting', 'running']);
  });

  it.each([
    [['stopped', 'stopped'], 'stopped'],
    [['stopped', 'gone'], 'stopped'],
    [['stopped', 'running'], 'running'],
    [['stopped', 'waiting'], 'waiting'],
    [['gone', 'running'], 'running'],
    [['gone', 'gone'], 'stopped'],
    [['stopped', 'traced'], 'traced'],
  ] as const)('a process with threads that are %j is %s', (states, expected) => {
    class Threaded extends FakeTable {
      override threads() {
        return states.map((state, index) => ({ thread: 10 + index, state }));
      }
    }
    const table = new Threaded([process(10, 'stopped')]);
    expect(atGate(table, () => nobody)({ ...status(table, 10), threads: 2 })).toBe(expected);
  });

  it('without a supervisor nothing is held', () => {
    const table = new FakeTable([process(10, 'waiting')]);
    expect(atGate(table, () => undefined)(status(table, 10))).toBe('waiting');
  });
});

describe('a freezer at a gate', () => {
  function standing(shutGate: () => Promise<boolean>, isTended = true) {
    const table = new FakeTable([process(10, 'running')]);
    const did: string[] = [];
    const kill = (pid: number, signal: string): void => {
      did.push(`${signal} ${pid}`);
      table.processes.set(pid, process(pid, signal === 'SIGSTOP' ? 'stopped' : signal === 'SIGKILL' ? 'gone' : 'running'));
    };
    const tree = new TrackedTree({ roots: [{ pid: 10, start: 100 }] });
    const parts = { members: new Membership(tree, table, {}), table, signals: signaller({ table, kill, self: 5 }), options: {} };
    const gate: Gate = {
      isTended,
      shutGate: () => {
        did.push('shut');
        return shutGate();
      },
      openGate: () => void did.push('open'),
      holds: () => false,
    };
    return { table, did, freezer: new GateFreezer(parts, () => gate), none: new GateFreezer(parts, () => undefined) };
  }

  it('shuts it before the first signal, and opens it after the last', async () => {
    const { did, freezer } = standing(async () => true);
    expect(await freezer.freeze()).toMatchObject({ grade: 'gate', processes: 1, running: [] });
    await freezer.resume();
    expect(did).toEqual(['shut', 'SIGSTOP 10', 'SIGCONT 10', 'open']);
  });

  it('leaves it shut when all was ended', async () => {
    const { did, freezer } = standing(async () => true);
    expect(await freezer.kill()).toMatchObject({ grade: 'gate', left: [] });
    expect(did).toEqual(['shut', 'SIGSTOP 10', 'SIGKILL 10']);
    await freezer.close();
    expect(did).not.toContain('open');
  });

  it('looks once more for what was started until the gate was shut', async () => {
    const shut = Promise.withResolvers<boolean>();
    const { table, freezer } = standing(() => shut.promise);
    const frozen = freezer.freeze();
    setImmediate(() => {
      table.processes.set(11, process(11, 'running', { parent: 10 }));
      shut.resolve(true);
    });
    expect(await frozen).toMatchObject({ grade: 'gate', processes: 2, running: [] });
    expect(table.read(11)?.state).toBe('stopped');
  });

  it.each([
    ['says that nobody tends it', async () => false],
    ['fails', () => Promise.reject(new Error('gone'))],
    ['says nothing', () => new Promise<boolean>(() => {})],
  ])('stops all the same when the gate %s, and is of grade signal', async (_, shutGate) => {
    const { table, freezer } = standing(shutGate);
    expect(await freezer.freeze()).toMatchObject({ grade: 'signal', processes: 1, running: [] });
    expect(table.read(10)?.state).toBe('stopped');
  });

  it('is of grade signal where there is no gate, or nobody who tends it', async () => {
    expect(standing(async () => true, false).freezer.grade).toBe('signal');
    const { none } = standing(async () => true);
    expect(await none.freeze()).toMatchObject({ grade: 'signal', processes: 1, running: [] });
    expect(await none.kill()).toMatchObject({ grade: 'signal', left: [] });
  });

  it('has its grade back with a gate that shuts again', async () => {
    let answers = false;
    const { freezer } = standing(async () => answers);
    expect((await freezer.freeze()).grade).toBe('signal');
    await freezer.resume();
    answers = true;
    expect((await freezer.freeze()).grade).toBe('gate');
  });
});
