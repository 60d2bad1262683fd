/** Programs that talk to other machines. */
import { baseName, type Field, isHidden, isKnown, UNKNOWN } from '../field.ts';
import { mentionPaths } from '../mentions.ts';
import {
  type Call,
  type Handler,
  has,
  type OptionSyntax,
  type Options,
  parseOptions,
  read,
  runCode,
  runInside,
  undecidedIfHidden,
  valuesOf,
  write,
} from './call.ts';

/** The host of a URL, of `user@host:path`, or of `host:port`. */
export function noteHost(text: Field, { context }: Call): void {
  context.recorder.host(hostOf(text));
}

function hostOf(text: Field): Field {
  const scheme = text.indexOf('://');
  let rest = scheme < 0 ? text : text.slice(scheme + 3);
  for (const end of ['/', '?', '#', '\\']) {
    const at = rest.indexOf(end);
    if (at >= 0) rest = rest.slice(0, at);
  }
  rest = rest.slice(rest.lastIndexOf('@') + 1);
  if (rest.startsWith('[')) return rest.slice(1, rest.indexOf(']') < 0 ? undefined : rest.indexOf(']'));
  const colon = rest.indexOf(':');
  return (colon < 0 ? rest : rest.slice(0, colon)).toLowerCase();
}

const CURL: OptionSyntax = {
  short: 'AbcCdDeEFhHiKmoPQrtTuUwxXyYzt'.replace('i', ''),
  long: 'data data-ascii data-binary data-raw data-urlencode header output upload-file form form-string user user-agent cookie cookie-jar config url request proxy cert key cacert capath connect-timeout max-time retry retry-delay referer range write-out resolve connect-to interface dump-header trace trace-ascii stderr json netrc-file output-dir unix-socket variable expand-url oauth2-bearer aws-sigv4 limit-rate max-filesize retry-max-time ciphers'.split(
    ' ',
  ),
};

const curl: Handler = (call) => {
  const { recorder } = call.context;
  recorder.find('network');
  const options = parseOptions(call.args, CURL);
  undecidedIfHidden(options, call);
  for (const url of [...options.operands, ...valuesOf(options, 'url')]) noteUrl(url, call);
  for (const value of valuesOf(options, 'x', 'proxy', 'connect-to', 'resolve')) noteHost(value, call);
  const outputs = [...valuesOf(options, 'o', 'output'), ...valuesOf(options, 'c', 'cookie-jar', 'D', 'dump-header', 'trace', 'stderr')];
  for (const path of outputs) saved(path, call);
  if (has(options, 'O', 'remote-name', 'remote-name-all', 'J', 'remote-header-name'))
    for (const url of options.operands) saved(baseName(url), call);
  for (const path of valuesOf(options, 'T', 'upload-file', 'E', 'cert', 'key', 'netrc-file', 'cacert')) read(path, call);
  for (const path of valuesOf(options, 'K', 'config')) {
    recorder.undecided('argument'); // more options, in a file
    read(path, call);
  }
  for (const data of valuesOf(options, 'd', 'data', 'data-ascii', 'data-binary', 'data-urlencode', 'F', 'form', 'H', 'header', 'json'))
    noteData(data, call);
  if (has(options, 'n', 'netrc', 'netrc-optional')) recorder.find('credentials');
};

function noteUrl(url: Field, call: Call): void {
  if (url.toLowerCase().startsWith('file:')) read(url.slice(url.startsWith('file://') ? 7 : 5), call);
  else noteHost(url, call);
}

/** `@file`, `name=@file`, `name=<file`, `name@file`. */
function noteData(data: Field, call: Call): void {
  for (const mark of ['@', '<']) {
    const at = data.indexOf(mark);
    if (at < 0 || (at > 0 && data[at - 1] !== '=' && mark === '<')) continue;
    const path = data.slice(at + 1).split(';')[0] ?? '';
    if (at === 0 || data[at - 1] === '=' || path.includes('/') || path.startsWith('.')) read(path, call);
  }
}

function saved(path: Field, call: Call): void {
  if (path === '' || path === '-') return;
  write(path, call);
  call.context.recorder.download(path);
}

const wget: Handler = (call) => {
  const { recorder } = call.context;
  recorder.find('network');
  const options = parseOptions(call.args, {
    short: 'OoaPiBtTwQURUIXADleEU',
    long: 'output-document output-file append-output directory-prefix input-file base tries timeout wait quota user password header post-data post-file body-data body-file method user-agent referer load-cookies save-cookies reject accept include-directories exclude-directories domains level limit-rate execute use-askpass config certificate private-key ca-certificate'.split(
      ' ',
    ),
  });
  undecidedIfHidden(options, call);
  for (const url of options.operands) noteUrl(url, call);
  const outputs = valuesOf(options, 'O', 'output-document');
  for (const path of [...outputs, ...valuesOf(options, 'o', 'output-file', 'a', 'append-output', 'save-cookies')]) saved(path, call);
  if (outputs.length === 0) {
    const [folder] = valuesOf(options, 'P', 'directory-prefix');
    for (const url of options.operands) saved(folder === undefined ? baseName(url) : `${folder}/${baseName(url)}`, call);
  }
  for (const path of valuesOf(options, 'i', 'input-file', 'post-file', 'body-file', 'load-cookies', 'private-key')) read(path, call);
  if (has(options, 'use-askpass', 'e', 'execute', 'config')) recorder.undecided('argument');
};

const httpie: Handler = (call) => {
  call.context.recorder.find('network');
  const options = parseOptions(call.args, {
    short: 'osahpA',
    long: ['output', 'session', 'auth', 'verify', 'proxy', 'timeout', 'print', 'style', 'cert', 'cert-key'],
  });
  undecidedIfHidden(options, call);
  const [first = '', ...rest] = options.operands;
  const isMethod = first !== '' && [...first].every((c) => c >= 'A' && c <= 'Z');
  noteHost(isMethod ? (rest[0] ?? '') : first, call);
  for (const path of valuesOf(options, 'o', 'output')) saved(path, call);
  for (const item of rest) noteData(item, call);
};

const SSH: OptionSyntax = { short: 'BbcDEeFIiJLlmOopQRSWw', stops: true };

const ssh: Handler = (call) => {
  const { recorder } = call.context;
  recorder.find('network');
  const before = parseOptions(call.args, SSH);
  noteHost(before.operands[0] ?? '', call);
  noteSshOptions(before, call);
  // Options may stand behind the host, too, and `--` ends them there.
  const after = parseOptions(before.operands.slice(1), SSH);
  noteSshOptions({ ...after, hidden: false }, call);
  const options = { ...before, names: [...before.names, ...after.names] };
  const words = after.operands;
  // What runs there is judged as if it ran here: it is meant to do something to somebody.
  if (words.length > 0) runCode(words.join(' '), { ...call, context: { ...call.context, state: call.context.state.fork() } });
  else if (!has(options, 'N', 'V', 'O', 'Q', 'G')) runStdin(call);
};

/** A remote shell reads its input as a script, when there is some. */
function runStdin(call: Call): void {
  const { input, recorder } = call.context;
  if (input.kind === 'text') runCode(input.text, call);
  else if (input.kind === 'unknown') recorder.runsUnknown('script');
}

function noteSshOptions(options: Options, call: Call): void {
  const { recorder } = call.context;
  for (const option of valuesOf(options, 'o')) {
    const lower = option.replaceAll('"', '').trimStart().toLowerCase();
    if (!isKnown(option) || RUNS_LOCALLY.some((name) => lower.startsWith(name))) recorder.undecided('code');
  }
  for (const path of valuesOf(options, 'i', 'F', 'I')) recorder.path('mention', path, call.context.state.places);
  if (has(options, 'I', 'F') || (options.hidden && !isHiddenHost(options))) recorder.undecided('argument');
}

/** A hidden word after the first operand belongs to the remote command, which is looked at by itself. */
function isHiddenHost(options: Options): boolean {
  return !options.values.some(([, value]) => isHidden(value)) && options.operands[0] !== undefined && isKnown(options.operands[0]);
}
const RUNS_LOCALLY: readonly string[] = [
  'proxycommand',
  'localcommand',
  'permitlocalcommand',
  'knownhostscommand',
  'match',
  'include',
  'pkcs11provider',
  'securitykeyprovider',
  'remotecommand',
];

const scp: Handler = (call) => {
  const { recorder } = call.context;
  const options = parseOptions(call.args, {
    short: 'cDFiJloPSXeBfTMb',
    long: [
      'rsh',
      'rsync-path',
      'exclude',
      'include',
      'filter',
      'files-from',
      'exclude-from',
      'include-from',
      'bwlimit',
      'partial-dir',
      'temp-dir',
      'backup-dir',
      'compare-dest',
      'link-dest',
      'log-file',
      'chmod',
      'chown',
      'password-file',
      'timeout',
      'port',
      'max-size',
      'min-size',
      'out-format',
      'suffix',
    ],
  });
  undecidedIfHidden(options, call);
  const isRsync = call.name === 'rsync';
  for (const code of isRsync ? valuesOf(options, 'e', 'rsh') : valuesOf(options, 'S')) {
    if (isKnown(code)) runCode(code, call);
    else recorder.runsUnknown('code');
  }
  if (has(options, 'rsync-path') && isRsync) recorder.undecided('code');
  if (!isRsync && has(options, 'D')) recorder.undecided('code'); // a program in place of the server
  if (isRsync && valuesOf(options, 'M', 'remote-option').some((option) => /del|remove|rsh|path/.test(option) || isHidden(option)))
    recorder.undecided('argument');
  if (!isRsync) noteSshOptions({ ...options, hidden: false }, call);
  if (isRsync && options.names.some((name) => name.startsWith('del') || name === 'remove-source-files')) recorder.find('destructive');
  const target = options.operands.at(-1);
  for (const operand of options.operands) {
    if (isRemote(operand)) {
      recorder.find('network');
      noteHost(operand, call);
    } else if (operand === target) write(operand, call);
    else {
      read(operand, call);
      if (['~', '~/', '/', '/etc', '/etc/', '/home', '/home/', '/root'].includes(operand)) recorder.find('credentials');
    }
    if (!isKnown(operand) && operand.startsWith(UNKNOWN)) recorder.find('network');
  }
  if (!isRsync) recorder.find('network');
  // Its commands are in a file, or on its input.
  if (call.name === 'sftp' && (has(options, 'b') || call.context.input.kind !== 'inherited')) recorder.undecided('code');
};

function isRemote(operand: Field): boolean {
  const colon = operand.indexOf(':');
  return operand.includes('://') || (colon > 0 && !operand.slice(0, colon).includes('/'));
}

const NC_RUNS: readonly string[] = ['e', 'c', 'exec', 'sh-exec', 'lua-exec'];

const netcat: Handler = (call) => {
  const { recorder } = call.context;
  recorder.find('network');
  const options = parseOptions(call.args, {
    short: 'ceiIOoPpqsTVwXxGg',
    long: ['exec', 'sh-exec', 'lua-exec', 'output', 'proxy', 'source', 'wait', 'idle-timeout', 'ssl-key', 'ssl-cert'],
  });
  undecidedIfHidden(options, call);
  noteHost(options.operands[0] ?? '', call);
  if (has(options, ...NC_RUNS)) {
    // A shell for whoever is at the other end.
    recorder.runsUnknown('code');
    for (const code of valuesOf(options, ...NC_RUNS)) runCode(code, call);
  }
};

const socat: Handler = (call) => {
  const { recorder } = call.context;
  recorder.find('network');
  for (const arg of call.args) {
    const lower = arg.toLowerCase();
    if (!isKnown(arg) || lower.includes('exec:') || lower.includes('system:') || lower.includes('shell:')) recorder.runsUnknown('code');
    const [kind = '', host = ''] = lower.split(':');
    if (kind.startsWith('tcp') || kind.startsWith('udp') || kind.startsWith('openssl')) noteHost(host, call);
  }
};

/** Talks to hosts among its operands, and no more is known. */
const talks: Handler = (call) => {
  call.context.recorder.find('network');
  for (const arg of call.args)
    if (arg.includes('://') || (!arg.startsWith('-') && arg.includes('.') && !arg.includes('/'))) noteHost(arg, call);
  mentionPaths(call.args, call.context);
};

const openssl: Handler = (call) => {
  if (call.args[0] === 's_client' || call.args[0] === 's_server' || call.args[0] === 'ocsp') {
    call.context.recorder.find('network');
    const at = call.args.indexOf('-connect');
    if (at >= 0) noteHost(call.args[at + 1] ?? '', call);
  }
  const out = call.args.indexOf('-out');
  if (out >= 0) write(call.args[out + 1] ?? '', call);
  mentionPaths(call.args, call.context);
};

const torrent: Handler = (call) => {
  talks(call);
  const options = parseOptions(call.args, { short: 'do', long: ['dir', 'out'] });
  for (const path of valuesOf(options, 'o', 'out')) saved(path, call);
};

const proxied: Handler = (call) => {
  call.context.recorder.find('network');
  runInside(parseOptions(call.args, { short: 'f', stops: true }).operands, call);
};

/** Clients whose commands, `!rm` among them, come as an option or on their input. */
const transfers: Handler = (call) => {
  talks(call);
  const { input, recorder } = call.context;
  const options = parseOptions(call.args, { short: call.name === 'smbclient' ? 'cUWpIAlmOsDTnt' : 'cefupdo', long: ['command'] });
  const codes = valuesOf(options, 'c', 'e', 'f', 'command');
  if (codes.length > 0 || input.kind === 'text') recorder.undecided('code');
  else if (input.kind === 'unknown') recorder.runsUnknown('code');
};

const TALKERS =
  'ftp lftp ncftp tftp telnet dig nslookup host drill whois ping ping6 traceroute tracepath mtr nmap masscan zmap arp-scan hping3 fping finger irssi weechat mail mailx mutt sendmail msmtp swaks smbclient rpcclient ldapsearch snmpwalk rclone s3cmd gsutil duplicity croc wormhole magic-wormhole ngrok cloudflared localtunnel lt frpc chisel tailscale wg wg-quick openvpn vpnc gh hub glab heroku vercel netlify flyctl fly wrangler firebase amplify aws gcloud az bq doctl linode-cli oci ibmcloud eb sam cdk serverless sls ansible ansible-playbook terraform-docs pulumi twine websocat wscat grpcurl evans ab wrk hey k6 vegeta siege yt-dlp youtube-dl gallery-dl transmission-cli ipfs curlie xh'.split(
    ' ',
  );

export const NETWORK: readonly (readonly [string, Handler])[] = [
  ...TALKERS.map((name): readonly [string, Handler] => [name, talks]),
  ['curl', curl],
  ['wget', wget],
  ['wget2', wget],
  ['http', httpie],
  ['https', httpie],
  ['ssh', ssh],
  ['mosh', ssh],
  ['autossh', ssh],
  ['sshpass', (call) => runInside(parseOptions(call.args, { short: 'pfdP', stops: true }).operands, call)],
  ['scp', scp],
  ['sftp', scp],
  ['rsync', scp],
  ['nc', netcat],
  ['ncat', netcat],
  ['netcat', netcat],
  ['nc.openbsd', netcat],
  ['nc.traditional', netcat],
  ['socat', socat],
  ['openssl', openssl],
  ['aria2c', torrent],
  ['axel', torrent],
  ...['ftp', 'lftp', 'ncftp', 'tftp', 'smbclient'].map((name): readonly [string, Handler] => [name, transfers]),
  ['torsocks', proxied],
  ['proxychains', proxied],
  ['proxychains4', proxied],
];
