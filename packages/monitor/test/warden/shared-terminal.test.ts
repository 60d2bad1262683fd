/** Who has the terminal, and from whom a warden takes it. With real terminals: cli `watch/terminal-attack.test.ts`. */
import { describe, expect, it } from 'vitest';
import type { TerminalCalls } from '../../src/native/terminal-calls.ts';
import { goOnInBackground, sharedTerminal } from '../../src/warden/shared-terminal.ts';

const [WARDEN, OWN_GROUP, SHELL, AGENT, CHILD] = [100, 90, 50, 200, 201];
const ENOTTY = -25;

/** A warden 100 of group 90 below a shell 50, which watches agent 200 of group 90 and its child 201. */
function terminalOf({ foreground, groups = {} }: { readonly foreground: number; readonly groups?: Record<number, number> }) {
  const state = { foreground, ignored: [] as number[], sets: [] as number[], drops: 0, mayTake: true };
  const terminal: TerminalCalls = {
    ignoreSignal: (signal) => state.ignored.push(signal),
    ownGroup: () => OWN_GROUP,
    foregroundGroup: () => state.foreground,
    setForegroundGroup: (_, group) => {
      state.sets.push(group);
      if (!state.mayTake) return -1;
      state.foreground = group;
      return 0;
    },
    dropTyped: () => ++state.drops,
  };
  const parents: Record<number, number> = { [SHELL]: 1, [WARDEN]: SHELL, [AGENT]: WARDEN, [CHILD]: AGENT };
  const groupOf: Record<number, number> = { [SHELL]: SHELL, [WARDEN]: OWN_GROUP, [AGENT]: OWN_GROUP, [CHILD]: CHILD, ...groups };
  const shared = sharedTerminal({
    fd: 0,
    calls: { terminal },
    processes: { warden: WARDEN, parentOf: (pid) => parents[pid], groupOf: (pid) => groupOf[pid] },
    pids: () => Object.keys(parents).map(Number),
  });
  return { state, shared };
}

describe('the terminal that a warden shares', () => {
  it.each([
    ['ours', { foreground: OWN_GROUP }, true],
    ['of the tree', { foreground: CHILD }, true],
    ['that nobody is left of', { foreground: 777 }, true],
    ['of a shell', { foreground: SHELL }, false],
    ['of a shell whose group one of the tree has joined', { foreground: SHELL, groups: { [CHILD]: SHELL } }, false],
    ['of no terminal', { foreground: ENOTTY }, true],
  ])('to look whether it can be taken from a group %s changes nothing', (_, at, can) => {
    const { state, shared } = terminalOf(at);
    expect(shared.canTake()).toBe(can);
    expect([state.sets, state.foreground]).toEqual([[], at.foreground]);
    expect(shared.take()).toBe(can);
  });

  it('is left where it is ours already', () => {
    const { state, shared } = terminalOf({ foreground: OWN_GROUP });
    expect(shared.take()).toBe(true);
    shared.giveBack();
    expect(state.sets).toEqual([]);
  });

  it.each([
    ['of the tree', { foreground: CHILD }],
    ['that nobody is left of', { foreground: 777 }],
  ])('is taken from a group %s, and given back once', (_, at) => {
    const { state, shared } = terminalOf(at);
    expect(shared.take()).toBe(true);
    shared.giveBack();
    shared.giveBack();
    expect(state.sets).toEqual([OWN_GROUP, at.foreground]);
  });

  it.each([
    ['a shell', { foreground: SHELL }],
    ['a shell whose group one of the tree has joined', { foreground: SHELL, groups: { [CHILD]: SHELL } }],
  ])('is not taken from %s', (_, at) => {
    const { state, shared } = terminalOf(at);
    expect(shared.take()).toBe(false);
    shared.giveBack();
    expect(state).toMatchObject({ sets: [], foreground: SHELL });
  });

  it('is not given to whom it was taken from when a shell has it by then', () => {
    const { state, shared } = terminalOf({ foreground: CHILD });
    shared.take();
    state.foreground = SHELL;
    shared.giveBack();
    expect(state.foreground).toBe(SHELL);
  });

  it('is not ours when it cannot be taken, and there is none to take where nobody can tell', () => {
    const refused = terminalOf({ foreground: CHILD });
    refused.state.mayTake = false;
    expect(refused.shared.take()).toBe(false);
    expect(terminalOf({ foreground: ENOTTY }).shared.take()).toBe(true);
    const without = sharedTerminal({ fd: 0, calls: undefined });
    expect(() => without.giveBack()).not.toThrow();
    expect(() => without.dropTyped()).not.toThrow();
  });

  it('stops nobody who uses it from the background: SIGTTIN and SIGTTOU, and no other signal', () => {
    const { state } = terminalOf({ foreground: SHELL });
    goOnInBackground({ terminal: { ignoreSignal: (signal) => state.ignored.push(signal) } as TerminalCalls });
    expect(state.ignored).toEqual([21, 22]);
    expect(() => goOnInBackground(undefined)).not.toThrow();
  });
});
