/** Package managers: they fetch from the network, publish, and run what a project or a package tells them to. */

import { checkCarried } from '../carried.ts';
import { type Field, isHidden, isKnown } from '../field.ts';
import { mentionPaths } from '../mentions.ts';
import { type Call, type Handler, parseOptions, runCode, runInside, valuesOf } from './call.ts';

interface Manager {
  /** Options before the subcommand that take a value. */
  readonly short?: string;
  readonly long?: readonly string[];
  readonly network: readonly string[];
  readonly destructive?: readonly string[];
  readonly persistence?: readonly string[];
  /** Subcommands whose words are a command. */
  readonly runs?: readonly string[];
  readonly privileged?: boolean;
  readonly credentials?: readonly string[];
}

const NODE_LONG = [
  'prefix',
  'filter',
  'workspace',
  'cwd',
  'dir',
  'registry',
  'loglevel',
  'tag',
  'access',
  'otp',
  'userconfig',
  'cache',
  'package',
  'call',
  'config',
  'reporter',
];

const MANAGERS: Readonly<Record<string, Manager>> = {
  npm: {
    short: 'CwFc',
    long: NODE_LONG,
    network: [
      'install',
      'i',
      'in',
      'add',
      'ci',
      'clean-install',
      'update',
      'up',
      'upgrade',
      'publish',
      'audit',
      'outdated',
      'view',
      'info',
      'search',
      'login',
      'adduser',
      'logout',
      'whoami',
      'ping',
      'access',
      'dist-tag',
      'deprecate',
      'owner',
      'profile',
      'star',
      'team',
      'install-test',
      'it',
      'init',
      'create',
      'dlx',
      'fund',
      'diff',
    ],
    destructive: ['unpublish', 'deprecate'],
    credentials: ['token'],
    runs: ['exec', 'x'],
  },
  pnpm: {
    short: 'CwF',
    long: NODE_LONG,
    network: [
      'install',
      'i',
      'add',
      'update',
      'up',
      'upgrade',
      'publish',
      'audit',
      'outdated',
      'dlx',
      'create',
      'fetch',
      'import',
      'self-update',
    ],
    runs: ['exec', 'dlx'],
  },
  yarn: {
    long: NODE_LONG,
    network: ['', 'install', 'add', 'up', 'upgrade', 'publish', 'npm', 'audit', 'outdated', 'dlx', 'create', 'global', 'info', 'set'],
    runs: ['exec', 'dlx'],
  },
  bun: { long: NODE_LONG, network: ['install', 'i', 'add', 'a', 'update', 'upgrade', 'publish', 'create', 'c', 'x'], runs: ['x'] },
  pip: { long: ['proxy', 'cache-dir', 'log', 'python'], network: ['install', 'download', 'wheel', 'index', 'search', 'lock'] },
  uv: {
    long: ['project', 'directory', 'config-file', 'cache-dir', 'python', 'with', 'index-url', 'extra', 'group'],
    short: 'p',
    network: ['add', 'sync', 'lock', 'pip', 'tool', 'publish', 'python', 'self'],
    runs: ['run'],
  },
  poetry: {
    short: 'CP',
    long: ['directory', 'project'],
    network: ['install', 'add', 'update', 'lock', 'publish', 'self', 'search'],
    runs: ['run'],
  },
  pipenv: { long: ['python'], network: ['install', 'sync', 'update', 'lock', 'upgrade'], runs: ['run'] },
  pdm: { short: 'p', network: ['install', 'add', 'update', 'lock', 'sync', 'publish', 'self'], runs: ['run'] },
  hatch: { short: 'e', network: ['publish', 'dep'], runs: ['run'] },
  conda: {
    short: 'np',
    long: ['name', 'prefix', 'cwd'],
    network: ['install', 'create', 'update', 'search', 'upgrade'],
    runs: ['run'],
    destructive: ['remove', 'uninstall'],
  },
  pipx: { network: ['install', 'inject', 'upgrade', 'upgrade-all', 'run', 'reinstall'], runs: [] },
  cargo: {
    short: 'CZ',
    long: ['config', 'color', 'explain'],
    network: ['install', 'add', 'update', 'fetch', 'publish', 'search', 'login', 'owner', 'yank', 'generate-lockfile'],
    destructive: ['yank'],
  },
  rustup: { network: ['install', 'update', 'self', 'toolchain', 'component', 'target'], runs: [] },
  go: { short: 'C', network: ['get', 'install', 'mod', 'work'] },
  gem: { network: ['install', 'update', 'push', 'fetch', 'search', 'outdated', 'yank', 'signin', 'i'], destructive: ['yank'] },
  bundle: { network: ['install', '', 'update', 'outdated', 'lock', 'package', 'add'], runs: ['exec', 'e'] },
  composer: {
    short: 'd',
    long: ['working-dir'],
    network: ['install', 'update', 'require', 'create-project', 'global', 'self-update', 'outdated', 'diagnose'],
    runs: [],
  },
  brew: {
    network: ['install', 'upgrade', 'update', 'fetch', 'tap', 'search', 'info', 'reinstall', 'bundle', 'outdated'],
    persistence: ['services'],
  },
  apt: {
    short: 'ocat',
    network: ['install', 'update', 'upgrade', 'full-upgrade', 'dist-upgrade', 'download', 'source', 'build-dep'],
    destructive: ['remove', 'purge', 'autoremove', 'autopurge'],
    privileged: true,
  },
  dnf: {
    short: 'cxR',
    network: ['install', 'update', 'upgrade', 'makecache', 'check-update', 'search', 'groupinstall', 'download'],
    destructive: ['remove', 'erase', 'autoremove'],
    privileged: true,
  },
  apk: { short: 'Xpt', network: ['add', 'update', 'upgrade', 'fetch'], destructive: ['del'], privileged: true },
  pacman: { network: [], privileged: true },
  snap: { network: ['install', 'refresh', 'find', 'download'], destructive: ['remove'], privileged: true },
  flatpak: { network: ['install', 'update', 'search', 'remote-add'], destructive: ['uninstall', 'remove'], runs: [] },
  nix: { network: ['build', 'run', 'shell', 'develop', 'profile', 'flake', 'copy', 'store'], runs: [] },
  mvn: { short: 'fPsptl', network: ['deploy', 'deploy:deploy-file', 'release:perform', 'dependency:get', 'site-deploy'] },
  gradle: { short: 'pbcgI', network: ['publish', 'publishToMavenCentral', 'uploadArchives'] },
  dotnet: { network: ['restore', 'nuget', 'add', 'tool', 'workload'] },
  nuget: { network: ['install', 'push', 'restore', 'delete'], destructive: ['delete'] },
  mix: { network: ['deps.get', 'hex.publish', 'deps.update', 'local.hex'] },
  lerna: { network: ['publish'], runs: ['exec'] },
  choco: { network: ['install', 'upgrade', 'push'], destructive: ['uninstall'], privileged: true },
  winget: { network: ['install', 'upgrade'], destructive: ['uninstall'], privileged: true },
  scoop: { network: ['install', 'update'], destructive: ['uninstall'] },
  mise: { network: ['install', 'use', 'upgrade'], runs: ['exec', 'x'] },
  asdf: { network: ['install', 'plugin'], runs: ['exec'] },
  direnv: { network: [], runs: [] },
  volta: { network: ['install', 'fetch'], runs: ['run'] },
  nvm: { network: ['install'], runs: ['exec'] },
  rbenv: { network: ['install'], runs: ['exec'] },
  pyenv: { network: ['install', 'update'], runs: ['exec'] },
};
const SAME: Readonly<Record<string, string>> = {
  pip2: 'pip',
  pip3: 'pip',
  mamba: 'conda',
  micromamba: 'conda',
  'apt-get': 'apt',
  aptitude: 'apt',
  dpkg: 'apt',
  yum: 'dnf',
  zypper: 'dnf',
  rpm: 'dnf',
  mvnw: 'mvn',
  gradlew: 'gradle',
  bundler: 'bundle',
  'nix-shell': 'nix',
  'nix-env': 'nix',
  yay: 'pacman',
  paru: 'pacman',
};

const manager: Handler = (call) => {
  const known = SAME[call.name] ?? call.name;
  const syntax = Object.hasOwn(MANAGERS, known) ? MANAGERS[known] : undefined;
  if (syntax === undefined) return;
  const { recorder } = call.context;
  const options = parseOptions(call.args, { short: syntax.short ?? '', long: syntax.long ?? [], stops: true });
  // rustup and asdf name a version with a plus: cargo +nightly build.
  const words = options.operands[0]?.startsWith('+') === true ? options.operands.slice(1) : options.operands;
  const [verb = '', ...rest] = words;
  if (isHidden(verb)) recorder.undecided('argument');
  if (syntax.network.includes(verb)) recorder.find('network');
  if (syntax.destructive?.includes(verb) === true) recorder.find('destructive');
  if (syntax.persistence?.includes(verb) === true) recorder.find('persistence');
  if (syntax.credentials?.includes(verb) === true) recorder.find('credentials');
  if (
    syntax.privileged === true &&
    (syntax.network.includes(verb) ||
      (syntax.destructive?.includes(verb) ?? false) ||
      call.args.some((arg) => /^-[a-zA-Z]*[SUiRer]/.test(arg)))
  )
    recorder.find('privileged');
  special(known, verb, rest, call);
  if (syntax.runs?.includes(verb) === true) runRest(verb, rest, call);
  mentionPaths(rest, call.context);
};

/** `npm exec -- eslint .`, `poetry run pytest`, `pnpm exec tsc`. */
function runRest(verb: string, rest: readonly Field[], call: Call): void {
  const options = parseOptions(rest, {
    short: 'pcnwe',
    long: ['package', 'call', 'name', 'with', 'env-file', 'python', 'workspace', 'prefix', 'extra', 'group'],
    stops: true,
  });
  for (const code of valuesOf(options, 'c', 'call')) if (verb === 'exec' || verb === 'x') runCode(code, call);
  const dashes = options.operands[0]?.includes('@') === true ? options.operands.indexOf('--') : -1;
  runInside(dashes >= 0 ? options.operands.slice(dashes + 1) : options.operands, call);
}

function special(known: string, verb: string, rest: readonly Field[], call: Call): void {
  const { recorder } = call.context;
  if (known === 'go' && verb === 'run' && rest.some((word) => word.includes('@'))) {
    recorder.find('network');
    recorder.find('downloadsAndRuns');
  }
  if (known === 'go' && rest.some((word) => word.replace('--', '-').startsWith('-toolexec') || word.replace('--', '-').startsWith('-exec')))
    recorder.undecided('code');
  if (known === 'npm' && verb === 'explore') runInside(rest.slice(rest[1] === '--' ? 2 : 1), call);
  if (verb === 'set-script' || (verb === 'pkg' && rest[0] === 'set' && rest.some((word) => word.startsWith('scripts'))))
    recorder.undecided('code');
  if (known === 'yarn' && verb === 'node') runInside(['node', ...rest], call);
  if (known === 'bun' && verb === 'exec') runCode(rest.join(' '), call);
  // A script of the project, or else a program of its packages and of the machine.
  if (known === 'yarn' || known === 'pnpm' || known === 'bun') checkCarried(verb === 'run' ? rest : [verb, ...rest], call.context);
  if ((known === 'npm' || known === 'pnpm') && (verb === 'config' || verb === 'set' || verb === 'c')) {
    if (rest[0] === 'set' || verb === 'set') recorder.find('persistence');
    if (rest.some((word) => word.includes('_auth') || word.includes('token'))) recorder.find('credentials');
  }
  if (call.args.some((arg) => arg.startsWith('--script-shell') || arg.startsWith('--node-options') || arg.startsWith('--shell=')))
    recorder.undecided('environment');
  if (known === 'apt' && call.args.some((arg) => /invoke|dir::bin|solver|methods/i.test(arg))) recorder.undecided('code');
  if (known === 'apt' && call.name === 'dpkg' && call.args.some((arg) => /^(?:-[a-zA-Z]*[rP]|--remove|--purge)$/.test(arg)))
    recorder.find('destructive');
  if (known === 'cargo' && call.args.some((arg) => /(?:wrapper|rustc|runner|linker)\b/.test(arg) && arg.includes('=')))
    recorder.undecided('code');
  if (known === 'bun' && call.args.some((arg) => /^(?:-[ep]|--eval|--print)(?:=|$)/.test(arg))) recorder.undecided('code');
  if (known === 'nix')
    for (const code of parseOptions(call.args, { long: ['run', 'command', 'arg', 'argstr'], short: 'pIA' }).values)
      if (code[0] === 'run' || code[0] === 'command') runCode(code[1], call);
  if (known === 'nix') for (const mark of ['-c', '--command']) if (rest.includes(mark)) runInside(rest.slice(rest.indexOf(mark) + 1), call);
  if (known === 'conda' && verb === 'env' && rest[0] === 'remove') recorder.find('destructive');
  if (known === 'pacman') {
    if (call.args.some((arg) => arg.startsWith('-S') || arg.startsWith('-U'))) recorder.find('network');
    if (call.args.some((arg) => arg.startsWith('-R'))) recorder.find('destructive');
  }
  if (known === 'direnv' && verb === 'exec') runInside(rest.slice(1), call);
  if (known === 'dotnet' && verb === 'nuget' && (rest[0] === 'delete' || rest[0] === 'push'))
    recorder.find(rest[0] === 'delete' ? 'destructive' : 'network');
  if (known === 'cargo' && rest.some((word) => !isKnown(word)) && (verb === 'install' || verb === 'publish'))
    recorder.undecided('argument');
}

/** `npx name`, `pnpm dlx name`: a package is fetched and run. What it is called decides as if it were installed. */
export const MANAGER_HANDLERS: readonly (readonly [string, Handler])[] = [...Object.keys(MANAGERS), ...Object.keys(SAME)].map((name) => [
  name,
  manager,
]);
