import { findProgram } from '@countersign/monitor';
import type { Command } from '../command.ts';
import { withoutSecrets } from '../configured-servers.ts';
import { safe } from '../output.ts';
import { RUN_EXIT } from '../watch/exit-codes.ts';
import { checkKernelFlags, KERNEL_OPTIONS } from '../watch/kernel-choice.ts';
import { WATCH_NOTES, WATCH_OPTIONS, watchAgent } from '../watch/watch-agent.ts';

export const runCommand: Command = {
  name: 'run',
  summary: 'start an agent, watch all its processes do, and stop it when it goes too far',
  positionals: [],
  options: [...WATCH_OPTIONS, ...KERNEL_OPTIONS],
  notes: [
    'The agent has this terminal: its input, output, Ctrl-C and Ctrl-Z are its own. It runs nothing before it is watched, and whatever it starts is watched with it, until the last of it has ended.',
    'On Linux, with koffi, its files, programs and connections wait for us before they happen: what is halted has not happened yet. Where this host cannot do that it is said, or refused with --kernel required.',
    'With --probe every Node program of it also asks the rules from inside, and is refused before it acts. It is no boundary: hostile code in such a program gets past it, and a program that is not Node has no probe.',
    'Without a configuration nothing is stopped (mode: audit), which is said; the built-in rules tell what would have been.',
    ...WATCH_NOTES,
    "Otherwise the agent's own exit code; 128 and the number of a signal that ended it; 126 and 127 when it cannot be run, or is not found.",
  ],
  example: 'countersign run --task "fix the failing tests" -- claude',
  passthrough: '<agent> [args...]',
  isProtocol: true,
  async run(invocation) {
    const { io, output, flags, rest } = invocation;
    checkKernelFlags(flags);
    const [word = '', ...args] = rest;
    const found = findProgram(word, io.cwd, io.env['PATH']);
    if ('missing' in found) {
      const isFound = found.missing === 'not executable';
      output.fail({
        code: isFound ? 'NOT_EXECUTABLE' : 'NOT_FOUND',
        message: `${word} ${isFound ? 'cannot be run: it is no program, or you may not run it' : 'is not in any folder of PATH'}`,
        next: isFound ? `check it: ls -l ${safe(word)}` : 'give the path of the program, or install it',
        exitCode: isFound ? RUN_EXIT.NOT_EXECUTABLE : RUN_EXIT.NOT_FOUND,
      });
      return isFound ? RUN_EXIT.NOT_EXECUTABLE : RUN_EXIT.NOT_FOUND;
    }
    return watchAgent(invocation, (config) => ({
      // The last one tells whatever the agent starts that it may not answer approvals.
      launch: { program: found.program, args, cwd: io.cwd, env: { ...withoutSecrets(io.env, config), COUNTERSIGN_GUARDED: '1' } },
    }));
  },
};
