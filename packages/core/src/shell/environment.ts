/** Variables that change what programs run, whatever their names say. */
import type { Context } from './context.ts';
import { isKnown } from './field.ts';
import type { Value } from './state.ts';

/** Code is loaded from where these point. */
const LOADS_CODE: ReadonlySet<string> = new Set([
  'LD_PRELOAD',
  'LD_AUDIT',
  'LD_LIBRARY_PATH',
  'DYLD_INSERT_LIBRARIES',
  'DYLD_LIBRARY_PATH',
  'DYLD_FRAMEWORK_PATH',
  'BASH_ENV',
  'BASH_FUNC',
  'SHELLOPTS',
  'BASHOPTS',
  'PYTHONSTARTUP',
  'PYTHONHOME',
  'PYTHONINSPECT',
  'PERL5OPT',
  'PERL5DB',
  'RUBYOPT',
  'JAVA_TOOL_OPTIONS',
  'GIT_CONFIG',
  'GIT_CONFIG_GLOBAL',
  'GIT_CONFIG_COUNT',
  'GIT_CONFIG_PARAMETERS',
  'GIT_EXEC_PATH',
  'GIT_TEMPLATE_DIR',
  'TAR_OPTIONS',
  'RUSTC_WRAPPER',
  'CDPATH',
  'ZDOTDIR',
  'FPATH',
  'HISTFILE',
  // What names mean: the table of hashed programs, and that of aliases.
  'BASH_CMDS',
  'BASH_ALIASES',
  'GCONV_PATH',
  'PERL5LIB',
  'RUBYLIB',
  'MAKEFILES',
  'GIT_CONFIG_SYSTEM',
  'RUSTC',
  'RUSTC_WORKSPACE_WRAPPER',
  'CARGO_BUILD_RUSTC_WRAPPER',
  'VIMINIT',
  'EXINIT',
  'LESSKEY',
  'LESSKEYIN',
  'OPENSSL_CONF',
  'NPM_CONFIG_SCRIPT_SHELL',
  'npm_config_script_shell',
]);
/** Their value is itself a command. */
const IS_COMMAND: ReadonlySet<string> = new Set([
  'PROMPT_COMMAND',
  'GIT_SSH_COMMAND',
  'GIT_SSH',
  'GIT_EDITOR',
  'GIT_SEQUENCE_EDITOR',
  'GIT_PAGER',
  'GIT_EXTERNAL_DIFF',
  'GIT_ASKPASS',
  'GIT_PROXY_COMMAND',
  'EDITOR',
  'VISUAL',
  'PAGER',
  'MANPAGER',
  'BROWSER',
  'LESSOPEN',
  'LESSCLOSE',
  'FCEDIT',
  'SUDO_ASKPASS',
  'SSH_ASKPASS',
  'RSYNC_RSH',
  'RSYNC_CONNECT_PROG',
  'SHELL',
]);
/** Prompts are expanded like double quotes. */
const IS_PROMPT: ReadonlySet<string> = new Set(['PS0', 'PS1', 'PS2', 'PS3', 'PS4']);

/** Called for every assignment, also before a command and in `env`. */
export function checkVariable(name: string, value: Value, context: Context): void {
  const { recorder } = context;
  const text = typeof value === 'string' ? value : value.join(' ');
  if (LOADS_CODE.has(name) || name.startsWith('BASH_FUNC') || name.startsWith('GIT_CONFIG_KEY')) recorder.undecided('environment');
  else if (name === 'PATH') {
    if (!isOrdinaryPath(text)) recorder.undecided('environment');
  } else if (name === 'NODE_OPTIONS' && !isOrdinaryNodeOptions(text)) recorder.undecided('environment');
  else if (name === 'ENV' && text.includes('/')) recorder.undecided('environment');
  else if (name === 'MAKEFLAGS' && (!isKnown(text) || text.includes('eval') || text.includes('$'))) recorder.undecided('environment');
  else if (IS_COMMAND.has(name)) {
    if (isKnown(text)) context.engine.runText(text, { ...context, state: context.state.fork() });
    else recorder.undecided('environment');
  } else if (IS_PROMPT.has(name) && (!isKnown(text) || text.includes('$(') || text.includes('`') || text.includes('${'))) {
    recorder.undecided('environment');
  }
}

const ORDINARY_FOLDERS: readonly string[] = ['/usr/', '/opt/', '/bin', '/sbin', '/home/linuxbrew/'];

/** Folders of the system, and `bin` folders in the home folder and of packages; anything else may hold another `ls`. */
function isOrdinaryPath(text: string): boolean {
  return text.split(':').every((entry) => {
    if (!isKnown(entry) || entry.includes('..')) return false;
    if (ORDINARY_FOLDERS.some((folder) => entry.startsWith(folder))) return true;
    return (entry.startsWith('~/') && entry.endsWith('bin')) || entry.endsWith('node_modules/.bin');
  });
}

function isOrdinaryNodeOptions(text: string): boolean {
  if (!isKnown(text)) return false;
  return text.split(' ').every((option) => option === '' || option.startsWith('--max-') || ORDINARY_NODE_OPTIONS.has(option));
}
const ORDINARY_NODE_OPTIONS: ReadonlySet<string> = new Set([
  '--no-warnings',
  '--trace-warnings',
  '--trace-deprecation',
  '--no-deprecation',
  '--enable-source-maps',
  '--experimental-vm-modules',
  '--openssl-legacy-provider',
  '--inspect',
  '--unhandled-rejections=strict',
]);
