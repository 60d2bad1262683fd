/** `countersign hook ...` as a process of its own: nothing is loaded but what a hook needs, and it can only end with an answer. */
import { answerAndExit, denyAfter } from './last-word.ts';

export async function runHookProcess(argv: readonly string[]): Promise<never> {
  const { commandOf, parseArguments } = await import('../arguments.ts');
  const { hook, limitOf, wireOf } = await import('../commands/hook.ts');
  const { processIo } = await import('../io.ts');
  const { Output } = await import('../output.ts');
  const { failureOf } = await import('../failure.ts');
  const io = processIo();
  try {
    const { flags, positionals, rest } = parseArguments(argv, commandOf(argv, [hook]));
    if (flags.on('help')) {
      const { commandHelp } = await import('../help.ts');
      return answerAndExit({ exitCode: 0, stdout: commandHelp(hook), stderr: '' });
    }
    denyAfter(limitOf({ flags }));
    const { clientProcess } = await import('./client-process.ts');
    return answerAndExit(await wireOf({ io, output: new Output(io, false), flags, positionals, rest }, clientProcess()));
  } catch (error) {
    const { message, next } = failureOf(error);
    return answerAndExit({ exitCode: 2, stdout: '', stderr: `countersign: ${message}\n${next === undefined ? '' : `  next: ${next}\n`}` });
  }
}
