/** Programs that run the rest of their line. */
import { checkVariable } from '../environment.ts';
import { type Field, isKnown, SPLIT, UNKNOWN } from '../field.ts';
import { type Call, type Handler, has, type OptionSyntax, type Options, parseOptions, runCode, runInside, valuesOf } from './call.ts';

interface Wrapper extends OptionSyntax {
  /** Options without a value. An option in neither list might take one, and then nobody knows where the command starts. */
  readonly flags: string;
  readonly longFlags?: readonly string[];
  /** Operands before the command. */
  readonly skip?: number;
  /** NAME=value may stand before the command. */
  readonly assigns?: boolean;
  readonly privileged?: boolean;
  /** One operand is a script, as for `watch`. */
  readonly script?: boolean;
}

const WRAPPERS: Readonly<Record<string, Wrapper>> = {
  sudo: {
    flags: 'AbEHnPSKkBisNvl',
    longFlags: [
      'preserve-env',
      'login',
      'shell',
      'non-interactive',
      'set-home',
      'stdin',
      'background',
      'reset-timestamp',
      'remove-timestamp',
      'validate',
      'list',
      'bell',
      'askpass',
    ],
    short: 'ugCcDRTthpUr',
    long: ['user', 'group', 'host', 'prompt', 'chdir', 'chroot', 'close-from', 'command-timeout', 'role', 'type', 'other-user'],
    assigns: true,
    privileged: true,
  },
  doas: { flags: 'nsL', short: 'uC', assigns: true, privileged: true },
  pkexec: { flags: '', longFlags: ['disable-internal-agent', 'keep-cwd'], long: ['user'], privileged: true },
  runuser: { flags: 'lmpf', short: 'ugG', long: ['user', 'group', 'supp-group'], privileged: true },
  nohup: { flags: '' },
  nice: { flags: '0123456789', short: 'n', long: ['adjustment'] },
  ionice: { flags: 't', short: 'cnpPu', long: ['class', 'classdata'], longFlags: ['ignore'] },
  chrt: { flags: 'bfiormadR', short: 'TPD', skip: 1 },
  taskset: { flags: 'ac', longFlags: ['all-tasks', 'cpu-list'], skip: 1 },
  timeout: { flags: 'vfp', longFlags: ['foreground', 'preserve-status', 'verbose'], short: 'sk', long: ['signal', 'kill-after'], skip: 1 },
  gtimeout: { flags: 'vfp', longFlags: ['foreground', 'preserve-status', 'verbose'], short: 'sk', long: ['signal', 'kill-after'], skip: 1 },
  time: { flags: 'pavVlh', longFlags: ['portability', 'append', 'verbose', 'quiet'], short: 'fo', long: ['format', 'output'] },
  stdbuf: { flags: '', short: 'ioe', long: ['input', 'output', 'error'] },
  setsid: { flags: 'cfw', longFlags: ['ctty', 'fork', 'wait'] },
  setpriv: {
    flags: '',
    longFlags: ['no-new-privs', 'clear-groups', 'keep-groups', 'init-groups', 'reset-env'],
    long: ['reuid', 'regid', 'groups', 'inh-caps', 'ambient-caps', 'bounding-set', 'securebits', 'pdeathsig'],
    privileged: true,
  },
  setarch: { flags: 'vRFILSTXZ', skip: 1 },
  numactl: { flags: '', longFlags: ['localalloc'], long: ['cpunodebind', 'membind', 'physcpubind', 'interleave'], short: 'CNmi' },
  unshare: {
    flags: 'imnpuUfrcT',
    longFlags: ['fork', 'map-root-user', 'mount', 'net', 'pid', 'user', 'ipc', 'uts', 'map-current-user'],
    short: 'RSGw',
    privileged: true,
  },
  nsenter: {
    flags: 'mniuUpCFaTZr',
    longFlags: ['all', 'mount', 'uts', 'ipc', 'net', 'pid', 'user', 'cgroup'],
    short: 'tSGwW',
    long: ['target', 'setuid', 'setgid'],
    privileged: true,
  },
  chroot: { flags: '', longFlags: ['skip-chdir'], long: ['userspec', 'groups'], skip: 1, privileged: true },
  strace: { flags: 'fFcCdhiqrtTvVxyzZwDk', short: 'abeoOpPsSuEIUX', long: ['trace', 'output', 'string-limit'] },
  ltrace: { flags: 'fcCrtTSiL', short: 'eopnsuxlaAwF' },
  valgrind: { flags: 'qv', longFlags: ['quiet'] },
  catchsegv: { flags: '' },
  caffeinate: { flags: 'disum', short: 'tw' },
  unbuffer: { flags: 'p' },
  rlwrap: { flags: 'acimnrvN', short: 'bCDefHlopPqstwz' },
  'xvfb-run': {
    flags: 'al',
    longFlags: ['auto-servernum', 'listen-tcp'],
    short: 'enfpsw',
    long: ['server-args', 'server-num', 'error-file', 'auth-file'],
  },
  'dbus-run-session': { flags: '' },
  'systemd-run': {
    flags: 'tPqrGd',
    longFlags: ['user', 'scope', 'pty', 'wait', 'quiet', 'collect', 'system'],
    short: 'pHMEuG',
    long: ['unit', 'property', 'setenv', 'uid', 'gid', 'on-calendar', 'on-boot', 'on-active', 'slice', 'description'],
  },
  watch: {
    flags: 'bcdeghptxrwC',
    longFlags: ['differences', 'no-title', 'color', 'exec', 'precise', 'errexit', 'chgexit', 'beep', 'no-wrap'],
    short: 'nq',
    long: ['interval', 'equexit'],
    script: true,
  },
  script: { flags: 'aefq', short: 'cIOBTEoltm', long: ['command'], longFlags: ['quiet', 'append', 'flush', 'return'], skip: 1 },
  flock: {
    flags: 'esxnuoFv',
    longFlags: ['shared', 'exclusive', 'nonblock', 'unlock', 'close', 'verbose', 'no-fork'],
    short: 'wEc',
    long: ['wait', 'timeout', 'conflict-exit-code', 'command'],
    skip: 1,
  },
  parallel: {
    flags: 'kuvmXntz0',
    short: 'jaIdLNPsSCE',
    longFlags: [
      'keep-order',
      'ungroup',
      'bar',
      'progress',
      'dry-run',
      'eta',
      'line-buffer',
      'halt-on-error',
      'no-notice',
      'will-cite',
      'null',
      'tag',
      'verbose',
    ],
    long: ['jobs', 'arg-file', 'colsep', 'delay', 'max-args', 'joblog', 'timeout', 'retries', 'halt', 'sshlogin', 'results'],
    script: true,
  },
  busybox: { flags: '' },
  chronic: { flags: 've' },
  eatmydata: { flags: '' },
  prlimit: { flags: 'p', short: 'cdefilmnqrstuvxy', long: ['cpu', 'nofile', 'as', 'core', 'fsize', 'nproc', 'pid'] },
  cgexec: { flags: '', longFlags: ['sticky'], short: 'g', privileged: true },
  daemonize: { flags: 'av', short: 'cEeloOpu' },
  'flatpak-spawn': { flags: '', longFlags: ['host', 'watch-bus', 'clear-env', 'sandbox'], long: ['env', 'directory'] },

  toybox: { flags: '' },
  env: {
    flags: 'i0v',
    longFlags: ['ignore-environment', 'null', 'debug', 'block-signal', 'default-signal', 'ignore-signal', 'list-signal-handling'],
    short: 'uCSa',
    long: ['unset', 'chdir', 'split-string', 'argv0'],
    assigns: true,
  },
  'cross-env': { flags: '', assigns: true },
  'cross-env-shell': { flags: '', assigns: true, script: true },
  dotenv: { flags: 'oq', longFlags: ['override', 'quiet'], short: 'efpvc', long: ['file'] },
  dotenvx: { flags: '', skip: 1, short: 'f' },
  npx: {
    flags: 'yq',
    longFlags: ['yes', 'no', 'no-install', 'quiet', 'ignore-existing', 'prefer-offline', 'offline', 'prefer-online'],
    short: 'pcw',
    long: ['package', 'call', 'workspace', 'prefix', 'cache', 'userconfig'],
  },
  bunx: { flags: '', longFlags: ['bun', 'silent', 'verbose'], short: 'p', long: ['package'] },
  pnpx: { flags: '', longFlags: ['silent'], long: ['package'] },
  uvx: {
    flags: 'qvn',
    longFlags: ['quiet', 'verbose', 'offline', 'isolated', 'refresh'],
    short: 'p',
    long: ['from', 'with', 'python', 'index-url'],
  },
  hyperfine: {
    flags: 'iN',
    longFlags: ['ignore-failure', 'show-output'],
    short: 'wmMrpcsSunL',
    long: [
      'warmup',
      'min-runs',
      'max-runs',
      'runs',
      'prepare',
      'setup',
      'cleanup',
      'export-json',
      'export-markdown',
      'shell',
      'style',
      'parameter-scan',
      'parameter-list',
    ],
    script: true,
  },
  entr: { flags: 'acdnprsz', script: true },
  mise: { flags: 'qvy', skip: 0, stops: true },
  doppler: { flags: '' },
  ccache: { flags: '' },
  sccache: { flags: '' },
  distcc: { flags: '' },
  faketime: { flags: 'm', short: 'fp', skip: 1 },
  fakeroot: { flags: 'u', short: 'lsib' },
  proot: { flags: '0', short: 'rbwqkSR', privileged: true },
  bwrap: { flags: '' },
  firejail: { flags: '' },
  torsocks: { flags: '' },
  torify: { flags: '' },
  proxychains: { flags: 'q', short: 'f' },
  proxychains4: { flags: 'q', short: 'f' },
  winpty: { flags: '' },
  arch: { flags: '' },
};

/** Runs the program it is given. Called by hand it is told how; the name is of the C library and the processor it is for. */
const LOADER: Wrapper = {
  flags: '',
  longFlags: ['list', 'verify', 'inhibit-cache', 'list-tunables', 'list-diagnostics', 'help', 'version'],
  long: ['argv0', 'library-path', 'preload', 'audit', 'inhibit-rpath', 'glibc-hwcaps-prepend', 'glibc-hwcaps-mask'],
};
const LOADERS: readonly string[] = [
  'ld.so',
  ...['ld-linux.so.2', 'ld-linux-x86-64.so.2', 'ld-linux-x32.so.2', 'ld-linux-aarch64.so.1', 'ld-linux-armhf.so.3', 'ld-linux.so.3'],
  ...['ld-linux-riscv64-lp64d.so.1', 'ld-linux-loongarch-lp64d.so.1', 'ld.so.1', 'ld64.so.1', 'ld64.so.2'],
  ...['x86_64', 'aarch64', 'i386', 'armhf', 'arm', 'riscv64', 'powerpc64le', 's390x'].map((arch) => `ld-musl-${arch}.so.1`),
  // Where the others are links, up to glibc 2.33.
  ...Array.from({ length: 17 }, (_, index) => `ld-2.${17 + index}.so`),
];

/** `env`, `nice` and the like: option letters first, then the command. */
export function wrapperHandlers(): readonly (readonly [string, Handler])[] {
  const wrappers = [...Object.entries(WRAPPERS), ...LOADERS.map((name): [string, Wrapper] => [name, LOADER])];
  const handlers = wrappers.map(([name, wrapper]): readonly [string, Handler] => [name, (call) => unwrap(wrapper, call)]);
  const parallel = handlers.find(([name]) => name === 'parallel');
  // GNU parallel that waits for nobody.
  return parallel === undefined ? handlers : [...handlers, ['sem', (call) => parallel[1]({ ...call, name: 'parallel' })]];
}

function unwrap(wrapper: Wrapper, call: Call): void {
  const { recorder } = call.context;
  if (wrapper.privileged === true) recorder.find('privileged');
  const options = parseOptions(call.args, { ...wrapper, stops: true });
  if (options.names.some((name) => !isListed(name, wrapper))) recorder.undecided('option');
  if (call.name === 'env' || call.name === 'sudo') applyEnv(options, call);
  for (const code of valuesOf(options, 'c', 'command', 'call', 'prepare', 'setup', 'cleanup'))
    if (CODE_OPTION.has(call.name)) runCode(code, call);
  const rest = options.operands.slice(wrapper.skip ?? 0);
  const words = wrapper.assigns === true ? takeAssignments(rest, call) : rest;
  if (call.name === 'flock' && words[0] === '-c') {
    runCode(words[1], call);
    return;
  }
  if (wrapper.script === true) runJoined(words, options, call);
  else if (call.name === 'dotenv' && words[0] === 'run') runInside(words.slice(1), call);
  else if (words.length > 0) runInside(words, call);
  else if (call.name === 'sudo' && has(options, 's', 'i', 'shell', 'login')) runInput(call);
}

const CODE_OPTION: ReadonlySet<string> = new Set(['npx', 'script', 'flock', 'hyperfine', 'runuser']);

function isListed(name: string, wrapper: Wrapper): boolean {
  if (name.length === 1) return wrapper.flags.includes(name) || (wrapper.short?.includes(name) ?? false);
  const known = [...(wrapper.long ?? []), ...(wrapper.longFlags ?? [])];
  return known.includes(name);
}

function applyEnv(options: Options, call: Call): void {
  // env -S 'rm -rf x' splits its value as words of its own syntax.
  if (has(options, 'S', 'split-string')) {
    for (const text of valuesOf(options, 'S', 'split-string')) {
      // It has escapes of its own: `\\_` is a blank.
      if (text.includes('\\')) call.context.recorder.undecided('code');
      runCode([text, ...options.operands].join(' '), call);
    }
  }
  if (has(options, 'C', 'D', 'chdir')) call.context.state.moveTo([...call.context.state.places, undefined]);
}

function takeAssignments(words: readonly Field[], call: Call): readonly Field[] {
  let at = 0;
  for (; at < words.length; at++) {
    const word = words[at] ?? '';
    const equals = word.indexOf('=');
    if (equals <= 0 || !isKnown(word.slice(0, equals))) break;
    checkVariable(word.slice(0, equals), word.slice(equals + 1), call.context);
  }
  return words.slice(at);
}

/** `watch`, `parallel`, `hyperfine`: words put together are a line for a shell. */
function runJoined(words: readonly Field[], options: Options, call: Call): void {
  if (call.name === 'parallel') {
    const { at, inputs } = parallelInputs(words);
    const line = words.slice(0, at);
    if (line.length === 0) {
      // The lines of its input are the commands.
      if (inputs.length > 0) for (const input of inputs) runCode(input, call);
      else runInput(call);
      return;
    }
    const isWord = inputs.length > 0 && inputs.every(isKnown);
    if (isWord) for (const input of inputs) runCode(fill(line, input), call);
    else runInside([...line.map((word) => word.replaceAll('{}', UNKNOWN)), SPLIT], call);
    return;
  }
  if (call.name === 'entr' && !has(options, 's')) {
    runInside(words, call);
    return;
  }
  if (call.name === 'hyperfine') for (const word of words) runCode(word, call);
  else if (call.name === 'watch' && has(options, 'x', 'exec')) runInside(words, call);
  else if (words.length > 0) runCode(words.join(' '), call);
}

function parallelInputs(words: readonly Field[]): { readonly at: number; readonly inputs: readonly Field[] } {
  const marks = new Set([':::', ':::+', '::::', '::::+']);
  const at = words.findIndex((word) => marks.has(word));
  if (at < 0) return { at: words.length, inputs: [] };
  const isFile = words.some((word) => word.startsWith('::::'));
  return { at, inputs: isFile ? [UNKNOWN] : words.slice(at).filter((word) => !marks.has(word)) };
}

function fill(line: readonly Field[], input: Field): Field {
  const text = line.join(' ');
  return text.includes('{') ? text.replaceAll('{}', input) : `${text} ${input}`;
}

function runInput(call: Call): void {
  const { input, recorder } = call.context;
  if (input.kind === 'text') runCode(input.text, call);
  else recorder.runsUnknown('script');
}

const XARGS: Wrapper = {
  flags: '0oprtx',
  short: 'adEeIiLlnPsSRJ',
  long: ['arg-file', 'delimiter', 'max-args', 'max-procs', 'replace', 'max-lines', 'max-chars', 'process-slot-var', 'eof'],
  longFlags: ['null', 'no-run-if-empty', 'verbose', 'interactive', 'exit', 'open-tty', 'show-limits'],
};

/** The words xargs adds are the lines of its input: known for `echo rm | xargs`, and else anything. */
export function xargs(call: Call): void {
  const { recorder, input } = call.context;
  const options = parseOptions(call.args, { ...XARGS, short: 'adEILnPsSRJ', stops: true });
  if (options.names.some((name) => !isListed(name, XARGS))) recorder.undecided('option');
  const words = options.operands.length > 0 ? options.operands : ['echo'];
  const marks = valuesOf(options, 'I', 'J', 'replace');
  const mark = marks[0] ?? (has(options, 'i') ? '{}' : undefined);
  const added = input.kind === 'text' && !has(options, 'a', 'arg-file') ? wordsOfText(input.text, options) : undefined;
  if (mark !== undefined) {
    if (added?.length === 1)
      runInside(
        words.map((word) => word.replaceAll(mark, added[0] ?? '')),
        call,
      );
    else
      runInside(
        words.map((word) => word.replaceAll(mark, UNKNOWN)),
        call,
      );
  } else runInside([...words, ...(added ?? [SPLIT])], call, { input: { kind: 'unknown' } });
}

function wordsOfText(text: string, options: Options): readonly Field[] | undefined {
  if (has(options, 'd', 'delimiter')) return undefined;
  if (has(options, '0', 'null')) return [text]; // blanks end no word

  if (text.includes('"') || text.includes("'") || text.includes('\\')) return undefined;
  return text.split(/[ \t\n]/).filter((word) => word !== '');
}
