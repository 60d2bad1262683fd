/** Shells, and interpreters of other languages: what runs a text, a file, or its standard input. */
import { type Field, isKnown, PROCESS_FILE } from '../field.ts';
import { mentionPaths } from '../mentions.ts';
import { type Call, type Handler, has, parseOptions, read, runCode, valuesOf } from './call.ts';

/** Shells that read what we read. */
export const shell: Handler = (call) => {
  const { context } = call;
  const options = parseOptions(call.args, { short: 'oO', long: ['rcfile', 'init-file'], stops: true });
  for (const file of valuesOf(options, 'rcfile', 'init-file')) script(file, call);
  if (options.names.includes('c')) {
    // With -c a clustered option such as -lc does not change that the first operand is the code.
    const [code, zero, ...positional] = options.operands;
    const inner = { ...call, context: { ...context, state: context.state.fork() } };
    inner.context.state.positional = zero === undefined ? [] : positional;
    if (options.operands.length === 0) context.recorder.runsUnknown('script');
    runCode(code, inner);
    return;
  }
  const [file] = options.operands;
  if (file === undefined || has(options, 's')) {
    if (!has(options, 'version', 'help', 'n')) runInput(call);
  } else script(file, call);
};

/** A file that is run: what is in it is not looked at. Where it comes from a pipe, it is not even a file. */
function script(file: Field, call: Call): void {
  const { recorder, state } = call.context;
  if (file.startsWith('/dev/stdin') || file === '/dev/fd/0' || file === '/proc/self/fd/0' || file === '-') runInput(call);
  else if (file === PROCESS_FILE || file.startsWith('/dev/') || file.startsWith('/proc/')) recorder.runsUnknown('script');
  else if (!isKnown(file)) recorder.runsUnknown('script');
  else recorder.script(file, state.places);
}

function runInput(call: Call): void {
  const { input, recorder } = call.context;
  if (input.kind === 'text') runCode(input.text, call);
  else recorder.runsUnknown('script');
}

/** Shells whose language is another one. */
export const otherShell: Handler = (call) => {
  if (call.args.length === 1 && (call.args[0] === '--version' || call.args[0] === '--help')) return;
  call.context.recorder.undecided('other-shell');
  mentionPaths(call.args, call.context);
};

/** su and friends: `su -c 'code' user`, or a shell as somebody else. */
export const su: Handler = (call) => {
  const { recorder } = call.context;
  recorder.find('privileged');
  const options = parseOptions(call.args, { short: 'cgGsTw', long: ['command', 'group', 'supp-group', 'shell', 'session-command'] });
  const codes = valuesOf(options, 'c', 'command', 'session-command');
  for (const code of codes) runCode(code, call);
  if (codes.length === 0) runInput(call);
};

interface Language {
  /** Options that give code, letters and words. */
  readonly code: readonly string[];
  /** Options that take a value, so that the script can be told from it. */
  readonly values: string;
  readonly longValues?: readonly string[];
  /** Subcommands that take code. */
  readonly evaluates?: readonly string[];
  /** `-m name` runs a module instead of a file. */
  readonly module?: string;
}

const LANGUAGES: Readonly<Record<string, Language>> = {
  python: { code: ['c'], values: 'cmWXQ', module: 'm' },
  node: {
    code: ['e', 'p', 'eval', 'print'],
    values: 'erpC',
    longValues: [
      'eval',
      'print',
      'require',
      'import',
      'loader',
      'experimental-loader',
      'conditions',
      'env-file',
      'test-name-pattern',
      'test-reporter',
      'max-old-space-size',
      'stack-size',
      'title',
      'icu-data-dir',
      'input-type',
    ],
  },
  deno: { code: ['eval'], values: '', evaluates: ['eval', 'repl'] },
  bun: { code: ['e', 'p', 'eval', 'print'], values: 'epr', longValues: ['eval', 'print', 'cwd', 'env-file', 'preload', 'filter'] },
  perl: { code: ['e', 'E', 'n', 'p', 'M', 'm'], values: 'eEMmI' },
  ruby: { code: ['e', 'n', 'p', 'r'], values: 'erICE' },
  php: { code: ['r', 'B', 'R', 'E', 'a'], values: 'rBREdfSt' },
  lua: { code: ['e', 'l'], values: 'el' },
  rscript: { code: ['e'], values: 'e' },
  r: { code: ['e'], values: 'ef' },
  tclsh: { code: [], values: '' },
  expect: { code: ['c'], values: 'cf' },
  osascript: { code: ['e'], values: 'el' },
  guile: { code: ['c', 'e'], values: 'ceLlx' },
  julia: { code: ['e', 'E', 'eval', 'print'], values: 'eELpt' },
  elixir: { code: ['e', 'eval', 'rpc-eval'], values: 'er' },
  erl: { code: ['eval', 'run', 's'], values: '' },
  ghc: { code: ['e'], values: 'eo' },
  swift: { code: ['e'], values: 'e' },
  groovy: { code: ['e'], values: 'e' },
  scala: { code: ['e'], values: 'e' },
  clojure: { code: ['e', 'eval', 'M', 'X'], values: 'e' },
  jshell: { code: [], values: '' },
  gdb: { code: ['x', 'ex', 'eval-command', 'command', 'e', 'ix', 'iex'], values: 'x' },
  lldb: { code: ['o', 's', 'O', 'S', 'k', 'one-line', 'source'], values: 'oOsSk' },
  vim: { code: ['c', 'cmd', 's', 'S', 'u', 'e'], values: 'csSuTWw' },
  emacs: { code: ['eval', 'execute', 'e', 'l', 'load', 'script', 'batch', 'f', 'funcall'], values: 'elf' },
  m4: { code: [], values: 'DIU' },
  gnuplot: { code: ['e'], values: 'e' },
  dc: { code: [], values: 'ef' },
  bc: { code: [], values: '' },
};
const SAME: Readonly<Record<string, string>> = {
  py: 'python',
  python2: 'python',
  python3: 'python',
  pypy: 'python',
  pypy3: 'python',
  ipython: 'python',
  nodejs: 'node',
  tsx: 'node',
  'ts-node': 'node',
  luajit: 'lua',
  ghci: 'ghc',
  runghc: 'ghc',
  wish: 'tclsh',
  vi: 'vim',
  nvim: 'vim',
  ex: 'vim',
  view: 'vim',
  gvim: 'vim',
  emacsclient: 'emacs',
  irb: 'ruby',
};
/** Their input is data, or a language that runs nothing. */
const INPUT_IS_DATA: ReadonlySet<string> = new Set(['bc', 'emacs']);

/** The language of an interpreter's name, also with a version: `python3.12`. */
function languageOf(name: string): Language | undefined {
  const known =
    SAME[name] ??
    (name.startsWith('python') &&
    name
      .slice(6)
      .split('')
      .every((c) => c === '.' || (c >= '0' && c <= '9'))
      ? 'python'
      : name);
  return Object.hasOwn(LANGUAGES, known) ? LANGUAGES[known] : undefined;
}

export function interpreterHandlers(): readonly (readonly [string, Handler])[] {
  const names = [...Object.keys(LANGUAGES), ...Object.keys(SAME), ...Array.from({ length: 20 }, (_, i) => `python3.${i}`)];
  return names.map((name) => [name, interpreter]);
}

/** Commands of `manage.py`, `artisan` and `bin/console` that empty a database. */
const RESETS_DATABASE: ReadonlySet<string> = new Set([
  'flush',
  'reset_db',
  'sqlflush',
  'migrate:fresh',
  'migrate:refresh',
  'migrate:reset',
  'db:wipe',
  'doctrine:database:drop',
  'doctrine:schema:drop',
]);
/** `vim +12 file` and `vim +/word file` go there; `+cmd` is a command. */
const PLACE_IN_FILE = /^\+(?:\d*|\/[^|]*|\d+:\d+)$/;

const interpreter: Handler = (call) => {
  const { recorder } = call.context;
  const language = languageOf(call.name);
  if (language === undefined) return;
  const options = parseOptions(call.args, { short: language.values, long: [...(language.longValues ?? [])], stops: true });
  const [first] = options.operands;
  if (call.args.some((arg) => arg.includes('data:'))) recorder.undecided('code'); // a module that is its own address
  if (call.args.some((arg) => arg.startsWith('+') && !PLACE_IN_FILE.test(arg))) recorder.undecided('code');
  const modules = language.module === undefined ? [] : valuesOf(options, language.module);
  if (has(options, ...language.code) || (language.evaluates?.includes(first ?? '') ?? false)) {
    const isLiteral = call.args.every(isKnown);
    if (isLiteral) recorder.undecided('code');
    else recorder.runsUnknown('code');
    mentionPaths(call.args, call.context);
  } else if (modules.length > 0) runModule(modules[0] ?? '', options.operands, call);
  else if (has(options, 'version', 'help', 'v', 'V', 'h', 'check', 'test', 'l', 'c') && first === undefined) return;
  else if (first === undefined || first === '-') {
    if (!INPUT_IS_DATA.has(call.name)) readProgram(call);
  } else if (isKnown(first) && !first.startsWith('/dev/') && !first.startsWith('/proc/')) {
    recorder.script(first, call.context.state.places);
    if (RESETS_DATABASE.has(options.operands[1] ?? '')) recorder.find('destructive');
    mentionPaths(options.operands.slice(1), call.context);
  } else recorder.runsUnknown('script');
};

function readProgram(call: Call): void {
  const { recorder, input } = call.context;
  if (input.kind === 'text') recorder.undecided('code');
  else recorder.runsUnknown('script');
}

/** Modules of Python that do something of their own; the others are tools and tests of the project. */
function runModule(name: Field, operands: readonly Field[], call: Call): void {
  const { recorder } = call.context;
  if (!isKnown(name)) recorder.runsUnknown('script');
  else if (name === 'http.server' || name === 'smtpd' || name === 'ftplib' || name === 'telnetlib' || name === 'smtplib')
    recorder.find('network');
  else if (name === 'pip' && operands.some((word) => word === 'install' || word === 'download')) recorder.find('network');
  else if (name === 'timeit' || name === 'pdb' || name === 'code' || name === 'trace' || name === 'cProfile' || name === 'profile') {
    if (name === 'timeit' || name === 'code' || name === 'pdb') recorder.undecided('code');
  }
  mentionPaths(operands, call.context);
}

/** awk: a program that can start others (`system`, pipes) and write files. */
export const awk: Handler = (call) => {
  const { recorder } = call.context;
  const options = parseOptions(call.args, {
    short: 'FvfieElL',
    long: ['field-separator', 'assign', 'file', 'source', 'include', 'load', 'exec'],
    stops: true,
  });
  const files = valuesOf(options, 'f', 'file', 'i', 'include', 'E', 'exec', 'l', 'load');
  for (const file of files) {
    if (isKnown(file) && file !== '-' && !file.startsWith('/dev/')) recorder.script(file, call.context.state.places);
    else recorder.runsUnknown('script');
  }
  const sources = valuesOf(options, 'e', 'source');
  const inline = files.length === 0 && sources.length === 0;
  const programs = inline ? options.operands.slice(0, 1) : sources;
  for (const program of programs) {
    if (!isKnown(program)) recorder.runsUnknown('code');
    else if (!isHarmlessAwk(program)) recorder.undecided('code');
  }
  for (const file of options.operands.slice(inline ? 1 : 0)) if (!file.includes('=')) read(file, call);
};

/** No `system`, no pipe, no `>` after a `print`, no `@load`: quotes and patterns are not told apart, on the careful side. */
function isHarmlessAwk(program: string): boolean {
  const text = program.replaceAll('||', '  ');
  if (text.includes('system') || text.includes('|') || text.includes('@') || text.includes('getline')) return false;
  for (let at = text.indexOf('print'); at >= 0; at = text.indexOf('print', at + 1)) {
    const statement = text.slice(at, endOfStatement(text, at));
    if (statement.includes('>')) return false;
  }
  return true;
}

function endOfStatement(text: string, from: number): number {
  for (let i = from; i < text.length; i++) if (text[i] === '\n' || text[i] === '}') return i;
  return text.length;
}

export const FOLLOWED_SHELLS: readonly string[] = ['sh', 'bash', 'dash', 'ash', 'rbash', 'ksh', 'mksh', 'posh', 'yash'];
export const OTHER_SHELLS: readonly string[] = [
  'zsh',
  'fish',
  'csh',
  'tcsh',
  'nu',
  'elvish',
  'xonsh',
  'rc',
  'es',
  'oil',
  'osh',
  'ysh',
  'cmd',
  'command.com',
  'powershell',
  'pwsh',
  'wsl',
  'wscript',
  'cscript',
  'mshta',
  'rundll32',
  'regsvr32',
  'iex',
  'invoke-expression',
  'invoke-webrequest',
  'invoke-restmethod',
  'invoke-command',
  'start-process',
];
