/** One command line from its words to its exit code. */
import { commandOf, parseArguments } from './arguments.ts';
import { allCommands, COMMANDS } from './commands/index.ts';
import { EXIT } from './exit-codes.ts';
import { failureOf } from './failure.ts';
import { commandHelp, overview } from './help.ts';
import type { Io } from './io.ts';
import { Output } from './output.ts';
import { version } from './version.ts';

/**
 * Runs `countersign <argv>`.
 *
 * @param argv - without `node` and the script.
 * @returns the exit code (see `EXIT`); for `proxy` the server's own. Never throws.
 */
export async function main(argv: readonly string[], io: Io): Promise<number> {
  const output = new Output(io, asksForJson(argv));
  let code: number;
  try {
    code = await run(argv, io, output);
  } catch (error) {
    const failure = failureOf(error);
    output.fail(failure);
    code = failure.exitCode;
  }
  const lost = await output.flush();
  if (lost === undefined) return code;
  // A checkpoint cut short by a full disk must not look like one.
  output.raw();
  output.fail(failureOf(lost));
  return EXIT.CANNOT_READ;
}

async function run(argv: readonly string[], io: Io, output: Output): Promise<number> {
  const [first] = argv;
  if (argv.length === 0 || first === '--help' || first === '-h' || (first === 'help' && argv.length === 1)) {
    await output.data(overview(await allCommands()));
    return argv.length === 0 ? EXIT.USAGE : EXIT.OK;
  }
  if (argv.includes('--version') && argv.every((word) => word === '--version' || word === '--json')) {
    output.line(version());
    output.result({ version: version() });
    return EXIT.OK;
  }
  // `countersign help verify` reads as `countersign verify --help`.
  const words = first === 'help' ? [...argv.slice(1), '--help'] : argv;
  const command = await commandOf(words, COMMANDS).load();
  if (command.isProtocol === true) output.raw();
  const { flags, positionals, rest } = parseArguments(words, command);
  if (flags.on('help')) {
    await output.data(commandHelp(command));
    return EXIT.OK;
  }
  return command.run({ io, output, flags, positionals, rest });
}

/** Known before the words are understood: an error about them follows it too. */
function asksForJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return argv.slice(0, end < 0 ? argv.length : end).includes('--json');
}
