/** The machine itself: devices, processes, services, accounts, the clock of things that start by themselves. */

import { checkCarried } from '../carried.ts';
import { baseName, isHidden, isKnown } from '../field.ts';
import { mentionPaths } from '../mentions.ts';
import { type Handler, has, parseOptions, read, runCode, runInside, undecidedIfHidden, valuesOf, write } from './call.ts';

const destroys: Handler = (call) => {
  call.context.recorder.find('destructive');
  mentionPaths(call.args, call.context);
};
const elevates: Handler = (call) => {
  call.context.recorder.find('privileged');
  mentionPaths(call.args, call.context);
  checkCarried(call.args, call.context);
};
const stays: Handler = (call) => {
  call.context.recorder.find('persistence');
  mentionPaths(call.args, call.context);
};
const tellsSecrets: Handler = (call) => {
  call.context.recorder.find('credentials');
  mentionPaths(call.args, call.context);
};

const kill: Handler = (call) => {
  const { recorder } = call.context;
  const targets = call.args.filter((arg, i) => !arg.startsWith('-') || (arg.startsWith('-1') && i > 0));
  // -1 is every process one may kill, 1 is init.
  if (
    targets.some((target) => target === '-1' || target === '1' || target === '0') ||
    (call.args.includes('--') && call.args.includes('-1'))
  )
    recorder.find('destructive');
  if (targets.some(isHidden)) recorder.undecided('argument');
};
const killByName: Handler = (call) => {
  const options = parseOptions(call.args, { short: 'gGPsStTuUFOc' });
  if (
    call.args.some((arg) => arg === '-u' || arg.startsWith('--euid') || arg === '-U') ||
    options.operands.some((name) => name === '.' || name === '.*' || name === '')
  )
    call.context.recorder.find('destructive');
  undecidedIfHidden(options, call);
};

const crontab: Handler = (call) => {
  const { recorder, input } = call.context;
  const options = parseOptions(call.args, { short: 'u' });
  if (has(options, 'r')) recorder.find('destructive');
  if (!has(options, 'l')) recorder.find('persistence');
  for (const path of options.operands) read(path, call);
  if (input.kind === 'unknown' || options.operands.includes('-')) recorder.find('persistence');
  // A table that is read takes the place of the one that was there, and its lines are commands.
  if (!has(options, 'l', 'e', 'r') && (options.operands.includes('-') || options.operands.length === 0)) recorder.undecided('script');
  else if (options.operands.length > 0) recorder.script(options.operands[0] ?? '', call.context.state.places);
};

const at: Handler = (call) => {
  const { recorder, input } = call.context;
  recorder.find('persistence');
  const options = parseOptions(call.args, { short: 'fqtdrc' });
  for (const path of valuesOf(options, 'f')) recorder.script(path, call.context.state.places);
  if (has(options, 'f', 'l', 'd', 'r', 'c')) return;
  if (input.kind === 'text') runCode(input.text, call);
  else recorder.runsUnknown('script');
};

const STARTS: ReadonlySet<string> = new Set([
  'enable',
  'reenable',
  'link',
  'edit',
  'set-default',
  'preset',
  'set-property',
  'add-wants',
  'add-requires',
  'import-environment',
  'set-environment',
  'bootstrap',
  'load',
  'submit',
  'kickstart',
  'create',
  '/create',
  'config',
  'import',
]);
const HALTS: ReadonlySet<string> = new Set([
  'poweroff',
  'reboot',
  'halt',
  'rescue',
  'emergency',
  'kexec',
  'suspend',
  'hibernate',
  'isolate',
  'soft-reboot',
  'exit',
  'mask',
  'disable',
  'delete',
  '/delete',
  'remove',
  'bootout',
  'unload',
  'stop',
  'kill',
]);
const service: Handler = (call) => {
  const { recorder } = call.context;
  const options = parseOptions(call.args, {
    short: 'pstHMno',
    long: ['type', 'property', 'state', 'host', 'machine', 'lines', 'output', 'signal'],
  });
  undecidedIfHidden(options, call);
  const [verb = ''] = options.operands;
  if (!isKnown(verb)) recorder.undecided('argument');
  if (STARTS.has(verb) || STARTS.has(call.args[0] ?? '')) recorder.find('persistence');
  if (HALTS.has(verb) || HALTS.has(call.args[0] ?? '')) recorder.find('destructive');
  mentionPaths(call.args, call.context);
};

const mount: Handler = (call) => {
  if (call.args.length > 0 && call.args[0] !== '-l' && call.args[0] !== '--version') call.context.recorder.find('privileged');
  mentionPaths(call.args, call.context);
};

const printsVariables: Handler = (call) => {
  call.context.recorder.find('credentials');
};

const keychain: Handler = (call) => {
  const { recorder } = call.context;
  const text = call.args.join(' ');
  if (call.name !== 'security' || /find-|dump-|export|unlock|show/.test(text) || call.args.some((arg) => !isKnown(arg)))
    recorder.find('credentials');
  if (text.includes('add-trusted-cert') || text.includes('authorizationdb')) recorder.find('privileged');
  if (text.includes('delete-')) recorder.find('destructive');
};

/** Prints secrets when asked by this word. */
const SECRET_VERBS: ReadonlySet<string> = new Set([
  'token',
  'print-access-token',
  'print-identity-token',
  'get-secret-value',
  'get-parameter',
  'get-session-token',
  'get-login-password',
  'export-credentials',
  'export-secret-keys',
  'export-secret-key',
  'read',
  'show',
  'get',
  'reveal',
]);
const secretStore: Handler = (call) => {
  if (call.args.some((arg) => SECRET_VERBS.has(arg.startsWith('--') ? arg.slice(2) : arg) || isHidden(arg)))
    call.context.recorder.find('credentials');
  mentionPaths(call.args, call.context);
  checkCarried(call.args, call.context); // op run -- command
};

const sysctl: Handler = (call) => {
  if (call.args.some((arg) => arg.includes('=') || arg === '-w' || arg === '-p')) elevates(call);
};

const defaults: Handler = (call) => {
  if (call.args[0] === 'write' || call.args[0] === 'import') call.context.recorder.find('persistence');
  if (call.args[0] === 'delete') call.context.recorder.find('destructive');
};

const diskutil: Handler = (call) => {
  if (
    call.args.some(
      (arg) =>
        arg.toLowerCase().startsWith('erase') ||
        arg.toLowerCase().startsWith('partition') ||
        arg.toLowerCase().includes('delete') ||
        arg.toLowerCase().includes('zero'),
    )
  )
    destroys(call);
};

/** Terminal multiplexers run a line in a shell of their own. */
const multiplexer: Handler = (call) => {
  const { args, name } = call;
  if (name === 'screen') {
    runInside(parseOptions(args, { short: 'STscehpt', stops: true }).operands, call);
    if (args.includes('-X')) call.context.recorder.undecided('code');
    return;
  }
  const options = parseOptions(args, { short: 'fLScstnxyeF', stops: true });
  const [verb = '', ...rest] = options.operands;
  if (has(options, 'c')) for (const code of valuesOf(options, 'c')) runCode(code, call);
  if (
    ['send-keys', 'send', 'run-shell', 'run', 'if-shell', 'pipe-pane', 'source-file', 'bind-key', 'set-hook', 'respawn-pane'].includes(verb)
  )
    call.context.recorder.undecided('code');
  else if (['new-session', 'new', 'new-window', 'neww', 'split-window', 'splitw'].includes(verb)) {
    const words = parseOptions(rest, { short: 'csntFexylpE', stops: true }).operands;
    if (words.length > 0) runCode(words.join(' '), call);
  }
};

const make: Handler = (call) => {
  const { recorder } = call.context;
  const options = parseOptions(call.args, {
    short: 'CfIjloOWE',
    long: ['directory', 'file', 'makefile', 'include-dir', 'jobs', 'eval', 'assume-old', 'assume-new'],
  });
  // Targets are names of rules in a file that is not looked at; a variable may replace the shell.
  for (const arg of call.args) {
    if (arg.startsWith('SHELL=') || arg.startsWith('MAKEFLAGS=') || arg.startsWith('.SHELLFLAGS=')) recorder.undecided('environment');
    if (/^[A-Za-z_]\w*[:+?]?=/.test(arg) && /\$\(|\$\{|[;|&`]/.test(arg)) recorder.undecided('code');
  }
  if (has(options, 'eval', 'E')) recorder.undecided('code');
  for (const file of valuesOf(options, 'f', 'file', 'makefile')) {
    if (file === '-' || file.startsWith('/dev/') || !isKnown(file)) recorder.runsUnknown('script');
    else recorder.script(file, call.context.state.places);
  }
  mentionPaths(options.operands, call.context);
};

const account: Handler = (call) => {
  call.context.recorder.find('privileged');
  call.context.recorder.find('persistence');
  if (/^(userdel|groupdel|deluser|delgroup)$/.test(call.name)) call.context.recorder.find('destructive');
};

const gpg: Handler = (call) => {
  if (call.args.some((arg) => arg.startsWith('--export-secret') || arg.startsWith('--export-sec')))
    call.context.recorder.find('credentials');
  if (call.args.some((arg) => arg.startsWith('--delete'))) call.context.recorder.find('destructive');
  const at = call.args.findIndex((arg) => arg === '-o' || arg === '--output');
  if (at >= 0) write(call.args[at + 1] ?? '', call);
  mentionPaths(call.args, call.context);
};

const xdgOpen: Handler = (call) => {
  for (const arg of call.args) if (arg.includes('://')) call.context.recorder.find('network');
  if (call.args.some((arg) => baseName(arg).includes('.app') || arg === '-a')) call.context.recorder.undecided('code');
  mentionPaths(call.args, call.context);
};

/** Volumes, file systems, virtual machines and backups: a verb that says so removes. */
const REMOVES = /^(?:destroy|delete|remove|undefine|rollback|labelclear|forget|prune|purge|expire|reset|--delete|clear)$/;
const keeper: Handler = (call) => {
  const { name } = call;
  const words = call.args.slice(0, 3);
  const option = name.startsWith('7z') ? '-sdel' : name === 'nix-collect-garbage' ? '-d' : undefined;
  if (name === 'borg' || name === 'restic') call.context.recorder.find('network');
  if (words.some((word) => REMOVES.test(word)) || (option !== undefined && call.args.includes(option)))
    call.context.recorder.find('destructive');
  if (words.some(isHidden)) call.context.recorder.undecided('argument');
  mentionPaths(call.args, call.context);
  checkCarried(call.args, call.context);
};

/** `less +G` and `man -P less` are habits; any other command given to a pager may start a program. */
const pager: Handler = (call) => {
  const options = parseOptions(call.args, { short: call.name === 'man' ? 'PHCLmMpreESs' : 'bhjkoOpPtTxyz', long: ['pager', 'html'] });
  if (call.name === 'man') {
    for (const code of valuesOf(options, 'P', 'pager')) runCode(code, call);
    if (has(options, 'H', 'html', 'p', 'preprocessor')) call.context.recorder.undecided('code');
  } else if (call.args.some((arg) => arg.startsWith('+') && !/^\+{1,2}(?:[FGg]|\d+[gGp%]?|\/.*)?$/.test(arg)) || has(options, 'k'))
    call.context.recorder.undecided('code');
  for (const path of options.operands) if (call.name !== 'man' && !path.startsWith('+')) read(path, call);
};

/** It shows and runs what its options say for every line. */
const fzf: Handler = (call) => {
  const options = parseOptions(call.args, {
    long: ['bind', 'preview', 'query', 'filter', 'height', 'preview-window', 'delimiter', 'with-nth', 'header', 'prompt'],
    short: 'qfdn',
  });
  for (const code of valuesOf(options, 'preview')) runCode(code.replaceAll(/\{[^{} ]*\}/g, "'x'"), call);
  if (valuesOf(options, 'bind').some((binding) => /execute|become|reload|transform|start|load/.test(binding)))
    call.context.recorder.undecided('code');
};

/** Compilers take programs to run as options. */
const compiler: Handler = (call) => {
  if (call.args.some((arg) => /^(?:-wrapper|-fplugin|-Xclang|-specs|-B)/.test(arg) || arg.startsWith('@')))
    call.context.recorder.undecided('code');
  mentionPaths(call.args, call.context);
};

const lists = (names: string, handler: Handler): readonly (readonly [string, Handler])[] =>
  names.split(' ').map((name) => [name, handler] as const);

export const SYSTEM: readonly (readonly [string, Handler])[] = [
  ...lists(
    'mkfs mke2fs mkfs.ext2 mkfs.ext3 mkfs.ext4 mkfs.xfs mkfs.btrfs mkfs.vfat mkfs.ntfs mkfs.fat mkfs.f2fs mkfs.exfat mkswap newfs newfs_apfs newfs_hfs format fdisk sfdisk cfdisk gdisk sgdisk parted gparted hdparm nvme badblocks cryptsetup lvremove vgremove pvremove lvreduce zpool mdadm dmsetup debugfs shutdown reboot poweroff halt init telinit swapoff fsfreeze vssadmin bcdedit cipher wevtutil diskpart',
    destroys,
  ),
  ...lists(
    'visudo sudoedit modprobe insmod rmmod kexec iptables ip6tables nft ufw firewall-cmd pfctl setenforce aa-disable apparmor_parser capsh umount losetup pivot_root bpftool csrutil spctl dscl nvram auditctl',
    elevates,
  ),
  ...lists('update-rc.d chkconfig rc-update insserv update-alternatives reg schtasks sc.exe login-items', stays),
  ...lists('printenv secret-tool keyctl kwallet-query gpg-connect-agent mimikatz secretsdump pwdump unshadow john hashcat', tellsSecrets),
  ...lists(
    'useradd adduser usermod userdel deluser groupadd addgroup groupmod groupdel delgroup passwd chpasswd chage newusers gpasswd vipw vigr',
    account,
  ),
  ...lists('security kwalletcli', keychain),
  ...lists('pass gopass op bw vault lpass aws-vault sops age chamber doppler-secrets keyring', secretStore),
  ...lists('pkill killall killall5 skill slay fuser', killByName),
  ...lists('tmux screen byobu', multiplexer),
  ...lists('make gmake bmake ninja just task rake mage', make),
  ...lists('systemctl service launchctl initctl rc-service supervisorctl sc', service),
  ...lists('zfs btrfs virsh lxc multipass borg restic nix-collect-garbage 7z 7za wp', keeper),
  ...lists('less more most man', pager),
  ...lists('gcc g++ cc c++ clang clang++', compiler),
  ['fzf', fzf],
  ['kill', kill],
  ['taskkill', killByName],
  ['crontab', crontab],
  ['at', at],
  ['batch', at],
  ['mount', mount],
  ['sysctl', sysctl],
  ['defaults', defaults],
  ['diskutil', diskutil],
  ['gpg', gpg],
  ['gpg2', gpg],
  ['open', xdgOpen],
  ['xdg-open', xdgOpen],
  ['start', xdgOpen],
];
export { printsVariables };
