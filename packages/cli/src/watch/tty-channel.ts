/** Asks about a halt on the terminal that the stopped agent had: made usable for the answer, and put back for the agent after it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Channel, terminalChannel } from '@countersign/core';
import { type SharedTerminal, sharedTerminal } from '@countersign/monitor';
import type { Io } from '../io.ts';
import { terminalState } from './terminal-state.ts';

const STDIN = 0;
/** Between two looks whether a shell gave us the terminal. */
const LOOK_MS = 250;

/** Undefined where there is no terminal to ask at. */
export function haltTerminal({ stdin, stderr, isTTY }: Io, shared: SharedTerminal = sharedTerminal({ fd: STDIN })): Channel | undefined {
  if (!isTTY.stdin || !isTTY.stderr) return undefined;
  const terminal = terminalState(true);
  const asking = terminalChannel({ input: stdin, output: stderr });
  const ask: Channel['ask'] = async (request, answer, signal) => {
    // Of a job in the background it is not ours to ask at: whoever calls us forward is asked then.
    while (!shared.take()) {
      if (signal.aborted) return;
      // Rejects for the signal alone, which is looked at next.
      await sleep(LOOK_MS, undefined, { signal }).catch(() => {});
    }
    const saved = terminal.save();
    terminal.makeUsable();
    shared.dropTyped();
    const leave = (): void => {
      terminal.restore(saved);
      shared.giveBack();
    };
    try {
      // The agent goes on in the same moment in which the answer counts: it finds the terminal as it left it.
      await asking.ask(
        request,
        async (given, approver) => {
          leave();
          await answer(given, approver);
        },
        signal,
      );
    } finally {
      leave();
    }
  };
  let last: Promise<unknown> = Promise.resolve();
  return {
    name: 'terminal',
    // One after the other: what the first one leaves is not what the second one needs.
    ask: (request, answer, signal) => {
      const turn = last.then(() => ask(request, answer, signal));
      // Whoever asked is told what went wrong; the next one only waits for the end of it.
      last = turn.catch(() => {});
      return turn;
    },
  };
}
