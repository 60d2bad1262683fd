import { type Field, isHidden, isKnown } from '../field.ts';
import { mentionPaths } from '../mentions.ts';
import { type Call, type Handler, has, type Options, parseOptions, read, runCode, runInside } from './call.ts';
import { noteHost } from './network.ts';

/** Options of git itself, before the subcommand, that take a value. */
const GLOBAL_VALUES: ReadonlySet<string> = new Set([
  '-C',
  '-c',
  '--git-dir',
  '--work-tree',
  '--namespace',
  '--exec-path',
  '--config-env',
  '--super-prefix',
  '--attr-source',
]);
/** Subcommands that another word of unknown text could turn against the work. */
const SENSITIVE: ReadonlySet<string> = new Set([
  'push',
  'reset',
  'clean',
  'checkout',
  'restore',
  'branch',
  'stash',
  'tag',
  'rebase',
  'filter-branch',
  'filter-repo',
  'reflog',
  'gc',
  'update-ref',
  'worktree',
  'rm',
  'config',
  'clone',
  'fetch',
  'pull',
  'remote',
  'submodule',
  'bisect',
  'grep',
  'archive',
  'difftool',
  'mergetool',
  'switch',
  'am',
  'apply',
  'ls-remote',
]);
const TALKS: ReadonlySet<string> = new Set([
  'push',
  'pull',
  'fetch',
  'clone',
  'ls-remote',
  'request-pull',
  'send-email',
  'svn',
  'p4',
  'lfs',
  'archive-remote',
  'daemon',
  'instaweb',
  'annex',
]);
/** Values of the configuration that are names of colours, people and habits; any other may name a program. */
const HARMLESS_CONFIG: readonly string[] = [
  'user.',
  'color.',
  'init.defaultbranch',
  'pull.',
  'push.',
  'fetch.prune',
  'core.autocrlf',
  'core.quotepath',
  'core.filemode',
  'core.ignorecase',
  'core.longpaths',
  'core.eol',
  'commit.gpgsign',
  'tag.gpgsign',
  'advice.',
  'branch.',
  'merge.ff',
  'merge.conflictstyle',
  'rebase.auto',
  'rerere.',
  'log.',
  'status.',
  'safe.directory',
  'http.postbuffer',
  'protocol.version',
  'gc.',
  'pack.',
  'index.',
  'column.',
  'help.autocorrect',
  'submodule.recurse',
  'feature.',
];

export const git: Handler = (call) => {
  const { recorder, state } = call.context;
  let at = 0;
  for (; at < call.args.length; at++) {
    const arg = call.args[at] ?? '';
    if (!arg.startsWith('-')) break;
    const [name = '', inline] = arg.split('=', 2);
    const value = inline ?? (GLOBAL_VALUES.has(arg) ? (call.args[++at] ?? '') : '');
    if (name === '-c' || name === '--config-env') checkSetting(value, call);
    else if (name === '-C' || name === '--work-tree' || name === '--git-dir') {
      recorder.path('mention', value, state.places);
      if (name !== '-C' && isHidden(value)) recorder.undecided('argument');
    } else if (name === '--exec-path' && value !== '') recorder.undecided('environment');
  }
  const word = call.args[at];
  if (word === undefined) return;
  if (!isKnown(word)) {
    recorder.undecided('argument');
    return;
  }
  const args = call.args.slice(at + 1);
  const options = parseOptions(args, {
    short: 'mFCSt',
    long: ['message', 'file', 'author', 'date', 'exec', 'upload-pack', 'receive-pack'],
  });
  if (options.hidden && SENSITIVE.has(word)) recorder.undecided('argument');
  if (TALKS.has(word)) recorder.find('network');
  for (const operand of options.operands) if (operand.includes('://') || (TALKS.has(word) && isScpLike(operand))) noteHost(operand, call);
  if (options.operands.some((operand) => operand.startsWith('ext::'))) recorder.undecided('code');
  if (
    has(options, 'upload-pack', 'receive-pack', 'open-files-in-pager') ||
    (word === 'clone' && has(options, 'u')) ||
    ((word === 'clone' || word === 'init') && has(options, 'template')) || // it brings hooks
    (RUNS_EXEC.has(word) && has(options, 'exec')) ||
    (word === 'send-email' && args.some((arg) => /^--[a-z-]*cmd\b|^--smtp-server(?:=|$)/.test(arg))) ||
    (word === 'grep' && options.names.some((name) => name.startsWith('O')))
  )
    recorder.undecided('code');
  subcommand(word, args, options, call);
};

/** Where `--exec` names the program of the other side, which may be this very machine. */
const RUNS_EXEC: ReadonlySet<string> = new Set(['push', 'fetch', 'pull', 'ls-remote', 'fetch-pack', 'send-pack']);

function isScpLike(operand: Field): boolean {
  const colon = operand.indexOf(':');
  return colon > 0 && operand.slice(0, colon).includes('@');
}

function checkSetting(setting: Field, { context }: Call): void {
  const name = setting.toLowerCase();
  if (!isKnown(setting) || !isHarmlessConfig(name)) context.recorder.undecided('code');
}

/** `merge.ff` is a habit, and `merge.ff.driver` a program. @param setting - lower case, with or without `=value`. */
function isHarmlessConfig(setting: string): boolean {
  const [name = ''] = setting.split('=', 1);
  if (name.startsWith('gc.') && name.includes('expire')) return false;
  return HARMLESS_CONFIG.some((known) => (OPEN_ENDED.has(known) || known.endsWith('.') ? name.startsWith(known) : name === known));
}
const OPEN_ENDED: ReadonlySet<string> = new Set(['fetch.prune', 'rebase.auto']);

function subcommand(word: string, args: readonly Field[], options: Options, call: Call): void {
  const { recorder, state } = call.context;
  const [first = '', second = ''] = options.operands;
  switch (word) {
    case 'push':
      if (has(options, 'f', 'force', 'force-with-lease', 'force-if-includes', 'd', 'delete', 'mirror', 'prune'))
        recorder.find('destructive');
      if (options.operands.some((operand) => operand.startsWith('+') || operand.startsWith(':'))) recorder.find('destructive');
      return;
    case 'reset':
      if (has(options, 'hard', 'merge', 'keep')) recorder.find('destructive');
      return;
    case 'clean':
      if (!has(options, 'n', 'dry-run')) recorder.find('destructive');
      return;
    case 'checkout':
    case 'restore':
    case 'switch':
      if (has(options, 'f', 'force', 'discard-changes', 'ours', 'theirs')) recorder.find('destructive');
      if (word === 'switch' && has(options, 'C', 'force-create')) recorder.find('destructive');
      // Files by name, or after --, lose what was not committed.
      if (word === 'restore' && !(has(options, 'staged', 'S') && !has(options, 'worktree', 'W'))) recorder.find('destructive');
      if (
        word === 'checkout' &&
        (args.includes('--') ||
          has(options, 'B', 'pathspec-from-file') ||
          (options.operands.length > 1 && !has(options, 'b', 'orphan', 't', 'track')) ||
          options.operands.some((operand) => operand === '.' || operand.startsWith('./') || operand === ':/'))
      )
        recorder.find('destructive');
      return;
    case 'branch':
      if (has(options, 'D') || (has(options, 'd', 'delete') && has(options, 'f', 'force'))) recorder.find('destructive');
      return;
    case 'tag':
      if (has(options, 'd', 'delete')) recorder.find('destructive');
      return;
    case 'stash':
      if (first === 'drop' || first === 'clear') recorder.find('destructive');
      return;
    case 'reflog':
      if (first === 'expire' || first === 'delete') recorder.find('destructive');
      return;
    case 'read-tree':
      if (has(options, 'reset', 'u')) recorder.find('destructive');
      return;
    case 'checkout-index':
      if (has(options, 'f', 'force')) recorder.find('destructive');
      return;
    case 'gc':
    case 'prune':
      if (args.some((arg) => arg.startsWith('--prune'))) recorder.find('destructive');
      return;
    case 'update-ref':
      if (has(options, 'd', 'stdin')) recorder.find('destructive');
      return;
    case 'filter-branch':
    case 'filter-repo':
      recorder.find('destructive');
      recorder.undecided('code');
      return;
    case 'rm':
      if (!has(options, 'cached')) {
        if (has(options, 'r', 'f', 'force')) recorder.find('destructive');
        for (const path of options.operands) recorder.path('delete', path, state.places);
      }
      return;
    case 'worktree':
      if (first === 'remove' && has(options, 'f', 'force')) recorder.find('destructive');
      return;
    case 'rebase':
      if (has(options, 'x', 'exec')) rebaseCode(args, call);
      return;
    case 'bisect':
      if (first === 'run') runInside(args.slice(args.indexOf('run') + 1), call);
      return;
    case 'submodule':
      if (first === 'foreach') runCode(afterOptions(args.slice(args.indexOf('foreach') + 1)).join(' '), call);
      if (first === 'add' || first === 'update' || first === '') recorder.find('network');
      if (first === 'deinit' && has(options, 'f', 'force')) recorder.find('destructive');
      return;
    case 'remote':
      if (first === 'update' || first === 'show' || first === 'prune') recorder.find('network');
      return;
    case 'config':
      config(options, first, second, call);
      return;
    case 'credential':
    case 'credential-store':
    case 'credential-cache':
      recorder.find('credentials');
      return;
    case 'difftool':
    case 'mergetool':
      if (has(options, 'x', 'extcmd')) recorder.undecided('code');
      return;
    case 'archive':
      if (has(options, 'remote')) recorder.find('network');
      if (has(options, 'exec')) recorder.undecided('code');
      for (const path of afterOption(args, '-o', '--output')) recorder.path('write', path, state.places);
      return;
    case 'clone':
      if (has(options, 'c', 'config')) for (const setting of afterOption(args, '-c', '--config')) checkSetting(setting, call);
      if (second !== '') recorder.path('append', second, state.places);
      return;
    case 'add':
    case 'show':
    case 'diff':
    case 'log':
    case 'commit':
    case 'mv':
      for (const path of afterOption(args, '--output', '--output')) recorder.path('write', path, state.places);
      if (word === 'diff' && has(options, 'no-index')) for (const path of options.operands) read(path, call);
      else
        mentionPaths(
          options.operands.filter((operand) => !operand.includes(':')),
          call.context,
        );
      return;
    default:
      // A name that is not a subcommand may be an alias of the configuration, which is not looked at.
      mentionPaths(args, call.context);
  }
}

function config(options: Options, first: Field, second: Field, call: Call): void {
  const { recorder } = call.context;
  const isVerb = ['set', 'get', 'unset', 'list', 'edit'].includes(first);
  const name = isVerb ? second : first;
  const isReading =
    first === 'get' ||
    first === 'list' ||
    has(options, 'get', 'get-all', 'l', 'list', 'get-regexp') ||
    (!isVerb && second === '' && options.operands.length === 1);
  if (first === 'edit' || has(options, 'e', 'edit')) return;
  if (isReading || has(options, 'unset', 'unset-all')) return;
  checkSetting(name, call);
  // A setting that names a program runs it at the next git command.
  if (!isHarmlessConfig(name.toLowerCase())) recorder.find('persistence');
}

/** The words from the first that is no option. */
function afterOptions(args: readonly Field[]): readonly Field[] {
  const at = args.findIndex((arg) => !arg.startsWith('-'));
  return at < 0 ? [] : args.slice(at);
}

/** `-ix code` and `--ex code` are spellings that are not taken apart. */
function rebaseCode(args: readonly Field[], call: Call): void {
  const codes = afterOption(args, '-x', '--exec');
  if (codes.length === 0) call.context.recorder.undecided('code');
  for (const code of codes) runCode(code, call);
}

/** Values of an option, `-x value`, `-xvalue`, `--long value` and `--long=value`. */
function afterOption(args: readonly Field[], short: string, long: string): readonly Field[] {
  const values: Field[] = [];
  args.forEach((arg, i) => {
    if (arg === short || arg === long) values.push(args[i + 1] ?? '');
    else if (arg.startsWith(`${long}=`)) values.push(arg.slice(long.length + 1));
    else if (short.length === 2 && arg.startsWith(short)) values.push(arg.slice(2));
  });
  return values;
}
