/** Help texts, written from the table of commands. */
import { COMMON_OPTIONS, type Command, type Option } from './command.ts';
import { wrap } from './wrap.ts';

const NOTE_CHARS = 80;

/** What stands before a command, where another kind of work begins. */
const SECTIONS: ReadonlyMap<string, string> = new Map([
  ['init', 'begin'],
  ['proxy', 'decide calls'],
  ['approvals list', 'look and answer'],
  ['run', 'watch and stop'],
  ['policy check', 'write rules'],
  ['verify', 'check and keep the record'],
]);

const EXIT_CODES = [
  'exit codes:',
  '  0  done, or what was asked is proven',
  '  1  invalid, refused, or a check failed',
  '  2  the command line is wrong',
  '  3  readable, but not proven, or empty',
  '  4  cannot read',
];

export function overview(commands: readonly Command[]): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  return lines([
    'countersign: decisions, approvals and a signed record for the tool calls of AI agents',
    '',
    'usage: countersign <command> [options]',
    '',
    ...commands.flatMap(({ name, summary }, at) => {
      const section = SECTIONS.get(name);
      const heading = section === undefined ? [] : [...(at === 0 ? [] : ['']), `${section}:`];
      return [...heading, `  ${name.padEnd(width)}  ${summary}`];
    }),
    '',
    'options of every command:',
    ...optionLines(COMMON_OPTIONS),
    '',
    ...EXIT_CODES,
    '',
    'examples:',
    '  countersign init && countersign doctor',
    '  countersign wrap cursor                    calls of an MCP client are decided and recorded',
    '  countersign run -- claude                  what an agent does is watched',
    '  countersign halt                           every call is refused from now on',
    '  countersign verify .countersign/ledger.db  what the record proves',
  ]);
}

export function commandHelp(command: Command): string {
  const { name, summary, positionals, options, notes = [], example, passthrough, isPassthroughOptional } = command;
  const words = positionals.map((word) => `${word.required ? `<${word.name}>` : `[${word.name}]`}${word.isList === true ? '...' : ''}`);
  const usage = [
    'countersign',
    name,
    ...words,
    '[options]',
    ...(passthrough === undefined ? [] : [isPassthroughOptional === true ? `[-- ${passthrough}]` : `-- ${passthrough}`]),
  ];
  return lines([
    `countersign ${name}: ${summary}`,
    '',
    `usage: ${usage.join(' ')}`,
    '',
    'options:',
    ...optionLines([...options, ...COMMON_OPTIONS]),
    ...notes.flatMap((note) => ['', ...wrap(note, NOTE_CHARS)]),
    '',
    'example:',
    `  ${example}`,
  ]);
}

function optionLines(options: readonly Option[]): readonly string[] {
  const shown = options.map(({ name, value }) => (value === undefined ? `--${name}` : `--${name} ${value}`));
  const width = Math.max(...shown.map((text) => text.length));
  return options.map(({ about }, index) => `  ${(shown[index] ?? '').padEnd(width)}  ${about}`);
}

function lines(texts: readonly string[]): string {
  return `${texts.join('\n')}\n`;
}
