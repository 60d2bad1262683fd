/** Asks about a halt on the terminal that the stopped agent had: made usable for the answer, and put back for the agent after it. */
import { type Channel, terminalChannel } from '@countersign/core';
import type { Io } from '../io.ts';
import { terminalState } from './terminal-state.ts';

/** Undefined where there is no terminal to ask at. */
export function haltTerminal({ stdin, stderr, isTTY }: Io): Channel | undefined {
  if (!isTTY.stdin || !isTTY.stderr) return undefined;
  const terminal = terminalState(true);
  const asking = terminalChannel({ input: stdin, output: stderr });
  return {
    name: 'terminal',
    ask: async (request, answer, signal) => {
      const saved = terminal.save();
      terminal.makeUsable();
      try {
        // The agent goes on in the same moment in which the answer counts: it finds the terminal as it left it.
        await asking.ask(
          request,
          async (given, approver) => {
            terminal.restore(saved);
            await answer(given, approver);
          },
          signal,
        );
      } finally {
        terminal.restore(saved);
      }
    },
  };
}
