/** find, sed, grep and editors: commands whose operands are small programs. */
import { type Field, isHidden, isKnown, SPLIT, STAR, UNKNOWN } from '../field.ts';
import { mentionPaths } from '../mentions.ts';
import { type Handler, has, parseOptions, read, runInside, undecidedIfHidden, valuesOf, write } from './call.ts';

const FIND_RUNS: ReadonlySet<string> = new Set(['-exec', '-execdir', '-ok', '-okdir']);
const FIND_WRITES: ReadonlySet<string> = new Set(['-fprint', '-fprint0', '-fls', '-fprintf']);

const find: Handler = (call) => {
  const { args, context } = call;
  const { recorder, state } = context;
  const start = args.findIndex((arg) => (arg.startsWith('-') && !['-H', '-L', '-P'].includes(arg)) || arg === '(' || arg === '!');
  const paths = args.slice(0, start < 0 ? args.length : start).filter((arg) => !arg.startsWith('-'));
  if (args.some((arg) => isHidden(arg)) && hidesAction(args)) recorder.undecided('argument');
  const folders = paths.length > 0 ? paths : ['.'];
  for (const path of folders) read(path, call);
  for (let i = Math.max(start, 0); i < args.length; i++) {
    const arg = args[i] ?? '';
    if (arg === '-delete') {
      recorder.find('destructive');
      for (const path of folders) recorder.path('delete', path, state.places);
    } else if (FIND_WRITES.has(arg)) write(args[i + 1] ?? '', call);
    else if (FIND_RUNS.has(arg)) {
      const end = args.findIndex((other, at) => at > i && (other === ';' || (other === '+' && args[at - 1] === '{}')));
      const words = args.slice(i + 1, end < 0 ? args.length : end);
      if (folders.length > 1 || folders.some((folder) => !isKnown(folder))) recorder.misses('paths');
      // One file at a time, whose name starts with the folder; a name inside a longer word is any text.
      for (const folder of folders.slice(0, 4))
        runInside(
          words.map((word) => (word === '{}' ? `${folder === '/' ? '' : folder}/${STAR}` : word.replaceAll('{}', UNKNOWN))),
          call,
        );
      if (folders.length > 4) recorder.undecided('argument');
      i = end < 0 ? args.length : end;
    }
  }
};

/** A word of unknown text is harmless as the value of a test, and as a folder it cannot become an action. */
function hidesAction(args: readonly Field[]): boolean {
  return args.some((arg, i) => isHidden(arg) && (arg.startsWith(UNKNOWN) || arg.includes(SPLIT)) && !FIND_TESTS.has(args[i - 1] ?? ''));
}
const FIND_TESTS: ReadonlySet<string> = new Set([
  '-name',
  '-iname',
  '-path',
  '-ipath',
  '-regex',
  '-newer',
  '-mtime',
  '-mmin',
  '-size',
  '-type',
  '-maxdepth',
  '-mindepth',
  '-user',
  '-group',
  '-perm',
]);

/** fd: `-x cmd` runs, and names are as unknown as those of find. */
const fd: Handler = (call) => {
  const { args, context } = call;
  const at = args.findIndex((arg) => arg === '-x' || arg === '-X' || arg === '--exec' || arg === '--exec-batch');
  if (at >= 0) {
    const words = args.slice(at + 1);
    const filled = words.map((word) => (word === '{}' ? `./${STAR}` : word.replaceAll('{', UNKNOWN)));
    runInside(words.some((word) => word.includes('{')) ? filled : [...filled, `./${STAR}`], call);
  }
  const rest = at >= 0 ? args.slice(0, at) : args;
  if (rest.some((arg) => arg.startsWith('--exec=') || arg.startsWith('--exec-batch='))) context.recorder.undecided('code');
  undecidedIfHidden(parseOptions(rest), call);
  mentionPaths(rest, context);
};

const grep: Handler = (call) => {
  const { recorder } = call.context;
  const options = parseOptions(call.args, {
    short: 'ABCdDefmgtTMjErG',
    long: [
      'regexp',
      'file',
      'include',
      'exclude',
      'exclude-dir',
      'context',
      'max-count',
      'glob',
      'type',
      'pre',
      'after-context',
      'before-context',
      'color',
      'pre-glob',
      'replace',
      'hostname-bin',
      'ignore',
      'ignore-dir',
      'pager',
    ],
  });
  // Letters that take a value in ripgrep and none in grep: without one the next word is the pattern, which reads nothing.
  const isRipgrep = call.name === 'rg' || call.name === 'ag' || call.name === 'ack';
  const parsed = isRipgrep
    ? options
    : parseOptions(call.args, {
        short: 'ABCdDefm',
        long: [
          'regexp',
          'file',
          'include',
          'exclude',
          'exclude-dir',
          'context',
          'max-count',
          'after-context',
          'before-context',
          'label',
          'binary-files',
          'directories',
          'devices',
          'exclude-from',
        ],
      });
  for (const program of valuesOf(parsed, 'pre')) runInside([program, `./${STAR}`], call); // for each file
  for (const program of valuesOf(parsed, 'hostname-bin', 'pager')) runInside([program], call);
  if (isRipgrep) undecidedIfHidden(parsed, call);
  const hasPattern = has(parsed, 'e', 'f', 'regexp', 'file');
  for (const path of hasPattern ? parsed.operands : parsed.operands.slice(1)) {
    read(path, call);
    if (['~', '/', '/etc', '/home', '~/'].includes(path)) recorder.find('credentials');
  }
  for (const path of valuesOf(parsed, 'f', 'file')) read(path, call);
};

const sed: Handler = (call) => {
  const { recorder, state } = call.context;
  const options = parseOptions(call.args, { short: 'efl', long: ['expression', 'file', 'line-length'] });
  undecidedIfHidden(options, call);
  const scripts = valuesOf(options, 'e', 'expression');
  for (const file of valuesOf(options, 'f', 'file')) {
    if (isKnown(file) && file !== '-' && !file.startsWith('/dev/')) recorder.script(file, state.places);
    else recorder.runsUnknown('script');
  }
  const isInline = scripts.length === 0 && !has(options, 'f', 'file');
  const programs = isInline ? options.operands.slice(0, 1) : scripts;
  for (const program of programs) {
    if (isHidden(program)) recorder.undecided('argument');
    else if (!isHarmlessSed(program)) recorder.undecided('code');
  }
  const inPlace = options.names.includes('i') || options.names.some((name) => name.length > 1 && 'in-place'.startsWith(name));
  for (const path of options.operands.slice(isInline ? 1 : 0)) {
    // BSD sed takes the suffix after -i as a word of its own.
    if (path === '') continue;
    read(path, call);
    if (inPlace) write(path, call);
  }
};

/**
 * Only commands that change text: no `e`, no `w`, no `r` (GNU sed reads and runs through them). Anything that is not
 * understood is not harmless.
 */
export function isHarmlessSed(program: string): boolean {
  let at = 0;
  const skip = (characters: string): void => {
    while (at < program.length && characters.includes(program[at] ?? '')) at++;
  };
  for (;;) {
    skip(' \t\n;{}');
    if (at >= program.length) return true;
    // Addresses: numbers, $, +N, ~N, /regex/ with flags, and a comma between two.
    for (let address = 0; address < 2; address++) {
      skip('0123456789$+~ !');
      if (program[at] === '/' || program[at] === '\\') {
        const from = program[at] === '\\' ? at + 1 : at;
        at = delimited(program, from);
        if (at < 0) return false;
        skip('IM');
      }
      skip(' \t');
      if (program[at] !== ',') break;
      at++;
    }
    skip(' \t!');
    const command = program[at] ?? '';
    at++;
    if (command === 's' || command === 'y') {
      const middle = delimited(program, at);
      if (middle < 0) return false;
      const end = delimited(program, middle - 1);
      if (end < 0) return false;
      at = end;
      skip('gpiImM0123456789');
      if (!ENDS.includes(program[at] ?? '')) return false;
    } else if (command === 'a' || command === 'i' || command === 'c' || command === '#' || command === ':') {
      while (at < program.length && program[at] !== '\n') at += program[at] === '\\' ? 2 : 1;
    } else if (command === 'b' || command === 't' || command === 'T') {
      while (at < program.length && !ENDS.includes(program[at] ?? '')) at++;
    } else if (command === '}' || command === '{') {
      continue;
    } else if (!'pPdDnNgGhHxq=lQz'.includes(command) || command === '') return false;
    else skip('0123456789 ');
  }
}
const ENDS: readonly string[] = ['', ' ', ';', '}', '\n', '\t'];

/** @returns the place after the closing delimiter of what opens at `from`, or -1. */
function delimited(program: string, from: number): number {
  const mark = program[from];
  if (mark === undefined || mark === '\n' || mark === '\\') return -1;
  let inBrackets = false;
  for (let i = from + 1; i < program.length; i++) {
    const character = program[i];
    if (character === '\\') i++;
    else if (inBrackets) inBrackets = character !== ']' || program[i - 1] === '[';
    else if (character === '[' && mark !== '[') inBrackets = program.indexOf(']', i + 2) > 0;
    else if (character === mark) return i + 1;
  }
  return -1;
}

/** ed and ex read commands from their input, `!cmd` among them. */
const ed: Handler = (call) => {
  call.context.recorder.undecided('code');
  for (const path of parseOptions(call.args, { short: 'p' }).operands) write(path, call);
};

const patch: Handler = (call) => {
  const options = parseOptions(call.args, { short: 'pidorBDFVxY', long: ['strip', 'input', 'directory', 'output'] });
  if (has(options, 'e', 'ed')) call.context.recorder.undecided('code');
  for (const path of options.operands) write(path, call);
  for (const path of valuesOf(options, 'o', 'output', 'r')) write(path, call);
  call.context.recorder.misses('writes');
};

const decode: Handler = (call) => {
  mentionPaths(call.args, call.context);
};

const jq: Handler = (call) => {
  const options = parseOptions(call.args, { long: ['arg', 'argjson', 'slurpfile', 'rawfile', 'indent', 'from-file'], short: 'fL' });
  const text = call.args.join(' ');
  if (text.includes('$ENV') || text.includes('env.')) call.context.recorder.find('credentials');
  for (const path of options.operands.slice(1)) read(path, call);
};

export const TEXT_COMMANDS: readonly (readonly [string, Handler])[] = [
  ['find', find],
  ['gfind', find],
  ['fd', fd],
  ['fdfind', fd],
  ['grep', grep],
  ['egrep', grep],
  ['fgrep', grep],
  ['zgrep', grep],
  ['rg', grep],
  ['ag', grep],
  ['ack', grep],
  ['sed', sed],
  ['gsed', sed],
  ['ed', ed],
  ['red', ed],
  ['patch', patch],
  ['jq', jq],
  ['yq', decode],
];
