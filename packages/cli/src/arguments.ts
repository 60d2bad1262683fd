/** From the words of the command line to a command and what was given to it. */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { didYouMean } from '@countersign/core';
import { COMMON_OPTIONS, type Command, Flags, type Option } from './command.ts';
import { UsageError } from './failure.ts';

export interface ParsedArguments {
  readonly flags: Flags;
  readonly positionals: readonly string[];
  readonly rest: readonly string[];
}

const SEE_ALL = 'run `countersign --help` to see all commands';

type Named = Pick<Command, 'name'>;

/** @throws {UsageError} */
export function commandOf<One extends Named>(argv: readonly string[], commands: readonly One[]): One {
  return findCommand(commonOptionsLast(argv), commands);
}

/** @throws {UsageError} */
export function parseArguments(argv: readonly string[], command: Command): ParsedArguments {
  const given = commonOptionsLast(argv).slice(command.name.split(' ').length);
  const end = command.passthrough === undefined ? -1 : given.indexOf('--');
  const own = end < 0 ? given : given.slice(0, end);
  const rest = end < 0 ? [] : given.slice(end + 1);
  const { flags, positionals } = parseOwn(own, command);
  if (!flags.on('help')) checkCount(positionals, rest, command);
  return { flags, positionals, rest };
}

/** `countersign --json verify x` means `countersign verify --json x`. */
function commonOptionsLast(argv: readonly string[]): readonly string[] {
  const moved: string[] = [];
  let at = 0;
  for (;;) {
    const word = argv[at];
    if (word === '--json' || word?.startsWith('--config=') === true) moved.push(word);
    else if (word === '--config') moved.push(`--config=${argv[++at] ?? ''}`);
    else break;
    at++;
  }
  const rest = argv.slice(at);
  const separator = rest.indexOf('--');
  return separator < 0 ? [...rest, ...moved] : [...rest.slice(0, separator), ...moved, ...rest.slice(separator)];
}

function findCommand<One extends Named>(words: readonly string[], commands: readonly One[]): One {
  const [first, second] = words;
  // What may stand before a command was moved behind it: found here, there is none.
  if (first === undefined || first === '--json' || first.startsWith('--config=')) throw new UsageError('no command', SEE_ALL);
  const found = commands.find(({ name }) => name === first || name === `${first} ${second}`);
  if (found !== undefined) return found;
  const verbs = commands.flatMap(({ name }) => (name.startsWith(`${first} `) ? [name.slice(first.length + 1)] : []));
  if (verbs.length > 0) {
    const advice = `use one of: ${verbs.map((verb) => `countersign ${first} ${verb}`).join(', ')}`;
    if (second === undefined || second.startsWith('-')) throw new UsageError(`${first} needs a verb`, advice);
    throw new UsageError(`unknown command ${JSON.stringify(`${first} ${second}`)}${didYouMean(second, verbs)}`, advice);
  }
  if (first.startsWith('-')) throw new UsageError(`unknown option ${JSON.stringify(first)}`, SEE_ALL);
  const known = new Set(commands.map(({ name }) => name.split(' ', 1)[0] ?? name));
  if (STOP_WORDS.has(first)) throw new UsageError(`unknown command ${JSON.stringify(first)}, did you mean "halt"?`, SEE_HALT);
  throw new UsageError(`unknown command ${JSON.stringify(first)}${didYouMean(first, known)}`, SEE_ALL);
}

/** Whoever types these has no time to look for the word that is ours. */
const STOP_WORDS: ReadonlySet<string> = new Set(['stop', 'kill', 'pause', 'freeze', 'suspend', 'abort']);
const SEE_HALT =
  'every call is refused from then on with `countersign halt`; what `countersign run` and `attach` watch freezes; to end it: Ctrl-C where it runs, or `countersign resume ID --kill`';

function parseOwn(words: readonly string[], command: Command): { readonly flags: Flags; readonly positionals: readonly string[] } {
  const options = [...command.options, ...COMMON_OPTIONS];
  const fail = (message: string): never => {
    throw new UsageError(message, `run \`countersign ${command.name} --help\``);
  };
  // Not strict: its own messages neither suggest a name nor follow our form. What it would check is checked below.
  const { tokens } = parseArgs({ args: [...words], options: nodeOptions(options), allowPositionals: true, strict: false, tokens: true });
  const values = new Map<string, string[]>();
  const positionals: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value);
    if (token.kind !== 'option') continue;
    const option = options.find(({ name }) => name === token.name);
    // An option of another program: it is that one's command line, and its `--` was forgotten.
    if (option === undefined && command.passthrough !== undefined && positionals[0] !== undefined)
      throw new UsageError(`unknown option ${JSON.stringify(token.rawName)}`, separatorHint(command, positionals[0]));
    if (option === undefined) return fail(`unknown option ${JSON.stringify(token.rawName)}${suggestion(token.rawName, options)}`);
    const shown = `--${option.name}`;
    if (option.kind === 'switch') {
      if (token.value !== undefined) fail(`${shown} takes no value`);
      values.set(option.name, []);
      continue;
    }
    if (token.value === undefined || token.value === '') return fail(`${shown} needs a value: ${shown} ${option.value ?? 'VALUE'}`);
    // `--out --name x` is a forgotten value, not a file called --name.
    if (!token.inlineValue && token.value.startsWith('-') && token.value !== '-') {
      fail(`${shown} needs a value; for one that starts with a dash write ${shown}=${token.value}`);
    }
    const before = values.get(option.name);
    if (before !== undefined && option.kind === 'text') fail(`${shown} may be given once`);
    values.set(option.name, [...(before ?? []), token.value]);
  }
  return { flags: new Flags(values), positionals };
}

function nodeOptions(options: readonly Option[]): NonNullable<ParseArgsConfig['options']> {
  const entries = options.map(({ name, kind }) => {
    const type = kind === 'switch' ? ('boolean' as const) : ('string' as const);
    return [name, { type, multiple: true, ...(name === 'help' && { short: 'h' }) }] as const;
  });
  return Object.fromEntries(entries);
}

function suggestion(given: string, options: readonly Option[]): string {
  return didYouMean(
    given,
    options.map(({ name }) => `--${name}`),
  );
}

function checkCount(positionals: readonly string[], rest: readonly string[], command: Command): void {
  const see = `run \`countersign ${command.name} --help\``;
  const wanted = command.positionals;
  // One that may be left out can stand before one that may not: `show [ledger] <entry>`.
  const missing = wanted.filter(({ required }) => required)[positionals.length];
  if (missing !== undefined) throw new UsageError(`${command.name} needs <${missing.name}>`, see);
  const extra = wanted.at(-1)?.isList === true ? undefined : positionals[wanted.length];
  if (extra !== undefined) {
    const hint = command.passthrough === undefined ? see : separatorHint(command, extra);
    throw new UsageError(`${command.name}: unexpected argument ${JSON.stringify(extra)}`, hint);
  }
  if (command.passthrough !== undefined && command.isPassthroughOptional !== true && rest.length === 0) {
    throw new UsageError(`${command.name} needs a command after \`--\``, `for example: ${command.example}`);
  }
}

function separatorHint({ name }: Command, program: string): string {
  return `put \`--\` before the command: countersign ${name} -- ${program} ...`;
}
