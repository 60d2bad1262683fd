/**
 * What a newcomer gets before writing any rule: what hardly any agent should do without a person looking.
 *
 * Most rules ask; only what no ordinary call does is denied. Sequences are told by labels: `secret-read`, `surveyed`,
 * `dropped` and `injected` say what a session did, and rules about what goes out read them.
 *
 * Seam: a tool whose description *changed* is for the pins of the proxy, which compare it with what was accepted; a rule
 * sees only what the server says now.
 */
import type { Policy } from '../policy/policy.ts';
import type { Rule } from '../policy/rule-definition.ts';
import { type CommonOptions, definePack, optionTexts, type Pack, packPolicy } from './pack.ts';
import {
  ANY_TOOL,
  celList,
  celMatchesAny,
  celPattern,
  commandsShow,
  FORCE_PUSHES,
  GOES_TO,
  IS_LOOPBACK,
  LEAVES,
  LOOKS,
  NAMES_CREDENTIALS,
  RUNS_SCRATCH,
  SQL_DESTROYS,
  WRITES_PERSISTENTLY,
} from './words.ts';

export interface BaselineOptions extends CommonOptions {
  /** Hosts inside that calls may go to. */
  readonly hosts?: readonly string[] | undefined;
}

export const baseline: Pack<BaselineOptions> = definePack<BaselineOptions>(
  {
    name: 'baseline',
    version: '1',
    summary: 'what hardly any agent should do without a person looking',
    example: {},
    blind: [
      'What a tool does with its arguments, and what programs and scripts do that a command starts.',
      'Secrets in a spelling that nothing decodes: encrypted, compressed, or reworded by the model.',
      'Destinations that names hide: a redirect, a name that answers with an inner address.',
      'Tools that changed since they were looked at: that is what pins are for.',
    ],
    rules: ({ hosts = [] }) => [...secrets(), ...egress(hosts), ...machine(), ...sequences(), ...money(), ...tools()],
  },
  { hosts: optionTexts.optional().describe('hosts of the inner network that calls may go to, such as *.ours.internal') },
);

/** The baseline pack as a policy, to put beside others: `policy: [baselinePack(), rulePolicy(...)]`. */
export function baselinePack(options: BaselineOptions = {}): Policy {
  return packPolicy(baseline, options);
}

/** A rule that asks, about whatever tool. */
function asks(id: string, code: string, reason: string, when: string, unless?: string): Rule {
  return {
    id: `baseline.${id}`,
    tools: ANY_TOOL,
    when,
    ...(unless !== undefined && { unless }),
    effect: 'require_approval',
    reason,
    reason_code: `BASELINE_${code}`,
  };
}

function labels(id: string, label: string, when: string, unless?: string): Rule {
  return { id: `baseline.${id}`, tools: ANY_TOOL, when, ...(unless !== undefined && { unless }), effect: 'label', label: [label] };
}

/** Kinds that stand where a tool takes a credential, and numbers that are no credentials. */
const PLACES = celList([
  'key-name',
  'header',
  'authorization',
  'bearer-token',
  'basic-credentials',
  'cookie',
  'command-password',
  'parameter',
  'iban',
  'card-number',
]);
const REMOTE_SERVERS = celList([
  'github',
  'gitlab',
  'bitbucket',
  'gist',
  'notion',
  'jira',
  'confluence',
  'slack',
  'drive',
  's3',
  'dropbox',
  'gmail',
  'linear',
]);

function secrets(): readonly Rule[] {
  // A secret written into a local file or used by a local command does not leave.
  const local = `(writes(tool, args).size() > 0 || commands(tool, args).size() > 0) && ${GOES_TO}.all(h, host.isPrivate(h)) && !named(server, ${REMOTE_SERVERS})`;
  return [
    asks(
      'secret-leaves',
      'SECRET_LEAVES',
      'a credential stands in what this call sends out',
      `findings.exists(f, !(f.kind in ${PLACES})) && !(${local})`,
    ),
    asks(
      'credentials-out',
      'CREDENTIALS_OUT',
      'one command reads credentials and reaches the network',
      'commands(tool, args).exists(c, "credentials" in shell(c).found && "network" in shell(c).found)',
    ),
  ];
}

/** Where text is left for everybody, requests are caught, and tunnels end. */
const DROP_HOST: readonly string[] = [
  String.raw`pastebin\.com`,
  String.raw`paste\.ee`,
  String.raw`paste\.rs`,
  String.raw`pastes\.io`,
  String.raw`ghostbin\.\w+`,
  String.raw`hastebin\.com`,
  String.raw`dpaste\.\w+`,
  String.raw`ix\.io`,
  String.raw`sprunge\.us`,
  String.raw`termbin\.com`,
  String.raw`rentry\.co`,
  String.raw`privatebin\.net`,
  String.raw`0x0\.st`,
  String.raw`transfer\.sh`,
  String.raw`file\.io`,
  String.raw`catbox\.moe`,
  String.raw`gofile\.io`,
  String.raw`anonfiles\.com`,
  String.raw`temp\.sh`,
  String.raw`bashupload\.com`,
  String.raw`oshi\.at`,
  String.raw`uguu\.se`,
  String.raw`litterbox\.\w+`,
  String.raw`tmpfiles\.org`,
  String.raw`webhook\.site`,
  String.raw`requestbin\.\w+`,
  String.raw`requestcatcher\.com`,
  String.raw`pipedream\.net`,
  String.raw`beeceptor\.com`,
  String.raw`hookbin\.com`,
  String.raw`ptsv\d?\.com`,
  String.raw`postb\.in`,
  String.raw`mockbin\.\w+`,
  String.raw`burpcollaborator\.net`,
  String.raw`oastify\.com`,
  String.raw`interact\.sh`,
  String.raw`interactsh\.com`,
  String.raw`oast\.\w+`,
  String.raw`dnslog\.\w+`,
  String.raw`canarytokens\.(?:com|org)`,
  String.raw`ngrok\.io`,
  String.raw`ngrok\.app`,
  String.raw`ngrok\.dev`,
  String.raw`ngrok-free\.\w+`,
  String.raw`trycloudflare\.com`,
  String.raw`loca\.lt`,
  String.raw`localtunnel\.me`,
  String.raw`serveo\.net`,
  String.raw`localhost\.run`,
  String.raw`lhr\.life`,
  String.raw`bore\.pub`,
  String.raw`pagekite\.me`,
  String.raw`telebit\.io`,
  String.raw`loclx\.io`,
  String.raw`tunnelmole\.net`,
  String.raw`devtunnels\.ms`,
  String.raw`lhrtunnel\.link`,
  String.raw`pinggy\.\w+`,
];
const BOT_ENDPOINT = String.raw`(?i)^https?://(?:[^/]*\.)?(?:api\.telegram\.org/bot|discord(?:app)?\.com/api/webhooks|hooks\.slack\.com/)`;
const TUNNELS = celList(['ngrok', 'cloudflared', 'localtunnel', 'lt', 'bore', 'chisel', 'frpc', 'pagekite', 'sshuttle']);

function egress(own: readonly string[]): readonly Rule[] {
  const inside = `${GOES_TO}.exists(h, host.isPrivate(h) && !${IS_LOOPBACK}${own.length === 0 ? '' : ` && !host.matches(h, ${celList(own)})`})`;
  return [
    {
      id: 'baseline.metadata-address',
      tools: ANY_TOOL,
      when: `${GOES_TO}.exists(h, host.isMetadata(h))`,
      effect: 'deny',
      reason: 'this address hands out the credentials of the machine',
      reason_code: 'BASELINE_METADATA_ADDRESS',
    },
    asks('inner-address', 'INNER_ADDRESS', 'the call goes to an address of the inner network', inside),
    asks(
      'spelled-address',
      'SPELLED_ADDRESS',
      'the name of the host says itself which address it means',
      `${GOES_TO}.exists(h, host.isWildcardDns(h))`,
    ),
    asks(
      'drop-site',
      'DROP_SITE',
      'the call goes to a site where text is left, requests are caught or tunnels end',
      `${GOES_TO}.exists(h, ${celMatchesAny('h', DROP_HOST, String.raw`(?i)(?:^|\.)`, '$')})`,
    ),
    asks(
      'bot-endpoint',
      'DROP_SITE',
      'the call posts to a chat through an address of its own',
      `targets(tool, args).exists(u, u.matches(${celPattern(BOT_ENDPOINT)}))`,
    ),
    asks(
      'tunnel',
      'TUNNEL',
      'the command opens a way in or out',
      `runs(tool, args).exists(name, name in ${TUNNELS}) || commands(tool, args).exists(c, c.matches(${celPattern(String.raw`\bssh\s(?:.*\s)?-\w*R\b`)}))`,
    ),
  ];
}

const CODE_DESTROYS = String.raw`(?i)(?:rmtree|rmdirs?|rmSync|rm_rf|removedirs|remove_entry|delete_dir)\w*\(\s*['"](?:/|~/?|(?:/home|/Users)(?:/[\w.-]+)?/?|/(?:etc|usr|var|opt)(?:/[\w.-]+)?/?|C:\\+)['"]|\bunlink\s*\(?\s*glob\b`;
const CODE_DOWNLOADS = String.raw`(?i)(?:exec|eval|Function|loads)\s*\(.{0,300}(?:urlopen|requests\.|urlretrieve|fetch\(|https?\.get|https?://)|\bIEX\b|Invoke-Expression|DownloadString`;
const REVERSE_SHELL = String.raw`/dev/(?:tcp|udp)/|\b(?:nc|ncat|netcat)\b.*\s-\w*[ec]\b|\bsocat\b.*\bexec:|\bmkfifo\b.*\|\s*(?:nc|ncat)\b`;
const GREAT_COMMAND: readonly string[] = [
  String.raw`\bterraform\s+destroy\b`,
  String.raw`\bpulumi\s+destroy\b`,
  String.raw`\bkubectl\s+delete\s+(?:ns|namespaces?|all|pvc?|pv|--all)\b`,
  String.raw`\bhelm\s+uninstall\b`,
  String.raw`\bdocker\s+(?:system|volume)\s+prune\b.*(?:-\w*f|--force|--volumes)`,
  String.raw`\baws\s+s3\s+(?:rb|rm)\b.*(?:--force|--recursive)`,
  String.raw`\bgcloud\b.*\bdelete\b.*--quiet`,
  String.raw`\bdropdb\b`,
  String.raw`\bRemove-Item\b.*-Recurse`,
  String.raw`\bformat\s+[a-z]:`,
  String.raw`\bkill\s+-(?:9|KILL)\s+-1\b`,
  String.raw`\bdel\s+/[sfq]`,
];
/** Deletes of named things below the working folder, and a branch of one's own that is pushed anew: nobody wants to be asked. */
const TAME_PATH = `(p.matches(${celPattern(String.raw`^(?:\./)?[\w@.-][^*?~$]*$|^/tmp/[^*?~$]+$`)}) && !p.contains("..") && p != "." && p != "./" && !p.matches(${celPattern(String.raw`(?:^|/)\.(?:git|ssh|aws|gnupg|kube|env|countersign)(?:/|$)`)}))`;
const UNTAME = String.raw`\bgit\s+(?:reset|clean|push|branch|checkout|filter-branch)|\b(?:dd|shred|mkfs\S*|wipefs|truncate|kubectl|docker|terraform|chmod|chown|helm|aws|gcloud)\b`;
const TAME_FIND = String.raw`^\s*find\s+\.\s[^;&|]*-name\s[^;&|]*-delete\s*$`;
const TAME_PUSH = String.raw`^\s*git\s+push\s[^;&|]*--force-with-lease[^;&|]*$`;
const PROTECTED_BRANCH = String.raw`\b(?:main|master|production|release)\b`;
const TAME_DELETES = `!shell(c).undecided && !("deletes" in shell(c).incomplete) && shell(c).deletes.size() > 0 && shell(c).deletes.all(p, ${TAME_PATH}) && !c.matches(${celPattern(UNTAME)})`;
const TAME = `(${TAME_DELETES} || c.matches(${celPattern(TAME_FIND)}) || c.matches(${celPattern(TAME_PUSH)}) && !c.matches(${celPattern(PROTECTED_BRANCH)}))`;
const DECODERS = String.raw`(?i)\b(?:base64|base32|xxd|openssl|uudecode|rev|gpg)\b`;

function machine(): readonly Rule[] {
  return [
    asks(
      'destructive-command',
      'DESTRUCTIVE_COMMAND',
      'the command destroys what cannot be brought back',
      `commands(tool, args).exists(c, "destructive" in shell(c).found && !${TAME}) || commands(tool, args).exists(c, ${celMatchesAny('c', GREAT_COMMAND, '(?i)')} || ${FORCE_PUSHES}) || codes(tool, args).exists(c, c.matches(${celPattern(CODE_DESTROYS)})) || commands(tool, args).exists(c, "code" in shell(c).reasons && c.matches(${celPattern(CODE_DESTROYS)}))`,
    ),
    asks(
      'hidden-command',
      'HIDDEN_COMMAND',
      'the command runs what it decodes, or is too long to be looked at',
      `commands(tool, args).exists(c, "script" in shell(c).reasons && c.matches(${celPattern(DECODERS)}) || "too-large" in shell(c).reasons || "too-much" in shell(c).reasons)`,
    ),
    asks(
      'destructive-sql',
      'DESTRUCTIVE_SQL',
      'the statement destroys tables or the rows of a whole table',
      `queries(tool, args).exists(q, ${SQL_DESTROYS})`,
    ),
    asks(
      'persistence',
      'PERSISTENCE',
      'the call leaves something that runs again later',
      `${commandsShow('persistence')} || ${WRITES_PERSISTENTLY}`,
      `named(tool, ${LOOKS})`,
    ),
    asks(
      'download-and-run',
      'DOWNLOAD_AND_RUN',
      'the command runs what it downloads, or opens a shell to somebody else',
      `${commandsShow('downloadsAndRuns')} || commands(tool, args).exists(c, c.matches(${celPattern(REVERSE_SHELL)})) || (codes(tool, args) + commands(tool, args)).exists(c, c.matches(${celPattern(CODE_DOWNLOADS)}))`,
    ),
  ];
}

const SURVEYS = celList([
  'whoami',
  'id',
  'hostname',
  'uname',
  'ip',
  'ifconfig',
  'ps',
  'netstat',
  'ss',
  'last',
  'w',
  'who',
  'getent',
  'sudo',
  'arp',
  'lsblk',
  'mount',
  'env',
  'route',
  'dmesg',
  'systeminfo',
  'ipconfig',
  'net',
]);
const SCANS = celList(['nmap', 'masscan', 'arp', 'arp-scan', 'getent', 'linpeas', 'nbtscan', 'enum4linux', 'rustscan', 'zmap']);
const SURVEY_PATH = String.raw`^/(?:etc/(?:passwd|group|hosts|shadow|sudoers)|proc/(?:net/.*|\d+/.*|version|mounts))?$`;
const WIDE_FOLDER = celList(['/', '/etc', '/home', '/root', '/var', '/Users', 'C:\\']);

function sequences(): readonly Rule[] {
  const vault = `named(tool, ${celList(['secret', 'secrets', 'vault', 'keychain', 'credential', 'credentials', 'password', 'passwords'])}) && named(tool, ${celList(['get', 'read', 'list', 'fetch', 'retrieve', 'export', 'show', 'reveal'])})`;
  const download = `commands(tool, args).exists(c, "network" in shell(c).found) && runs(tool, args).exists(name, name in ${celList(['curl', 'wget', 'aria2c', 'fetch', 'scp'])}) || named(tool, ['download'])`;
  return [
    labels(
      'secret-read',
      'secret-read',
      `${NAMES_CREDENTIALS} || ${commandsShow('credentials')} || (${vault})`,
      `named(tool, ${celList(['write', 'create', 'edit'])})`,
    ),
    labels(
      'surveyed',
      'surveyed',
      `runs(tool, args).filter(name, name in ${SURVEYS}).size() >= 2 || runs(tool, args).exists(name, name in ${SCANS}) || paths(tool, args).exists(p, p.matches(${celPattern(SURVEY_PATH)})) || named(tool, ${celList(['tree', 'list', 'directory'])}) && paths(tool, args).exists(p, p in ${WIDE_FOLDER})`,
    ),
    labels(
      'dropped',
      'dropped',
      `${download} || scripts(tool, args).exists(s, "network" in shell(s).found || "downloadsAndRuns" in shell(s).found || s.matches(${celPattern(REVERSE_SHELL)}))`,
    ),
    {
      id: 'baseline.injected',
      on: 'result',
      tools: ANY_TOOL,
      when: 'result.instructions.size() > 0',
      effect: 'label',
      label: ['injected', 'untrusted'],
    },
    {
      id: 'baseline.mask-secrets',
      on: 'result',
      tools: ANY_TOOL,
      when: 'result.secrets.size() > 0',
      effect: 'mask',
      label: ['secret-read'],
    },
    asks(
      'secret-read-then-sent',
      'SECRET_READ_THEN_SENT',
      'the session read credentials, and this call sends something out',
      `'secret-read' in session.labels && sends(tool, args) && ${LEAVES}`,
    ),
    asks(
      'survey-then-sent',
      'SURVEY_THEN_SENT',
      'the session looked around this machine, and this call sends something out',
      `'surveyed' in session.labels && sends(tool, args) && ${GOES_TO}.exists(h, !host.isPrivate(h))`,
    ),
    asks(
      'dropped-then-run',
      'DROPPED_THEN_RUN',
      'the session fetched or wrote something, and this command runs it from a scratch folder',
      `'dropped' in session.labels && (${RUNS_SCRATCH})`,
    ),
    asks(
      'injected-then-sent',
      'INJECTED_THEN_SENT',
      'a result told the model what to do, and this call sends something out',
      `'injected' in session.labels && sends(tool, args) && ${LEAVES}`,
    ),
  ];
}

const MOVES = celList([
  'transfer',
  'payout',
  'payouts',
  'wire',
  'withdraw',
  'withdrawal',
  'pay',
  'remit',
  'purchase',
  'buy',
  'donate',
  'disburse',
]);
const SENDS_MONEY = celList(['money', 'funds', 'payment', 'sol', 'eth', 'btc', 'transaction', 'crypto', 'coins', 'tokens']);
const PAYEES = celList(['payee', 'beneficiary', 'payout', 'bank', 'iban']);
/** Beyond this even what is given back is looked at; in whatever unit the tool counts. */
const LARGE_AMOUNT = 100_000;

function money(): readonly Rule[] {
  const moves = `named(tool, ${MOVES}) || named(tool, ['send', 'create']) && named(tool, ${SENDS_MONEY}) && payees(args).size() > 0`;
  return [
    asks(
      'funds-moved',
      'FUNDS_MOVED',
      'the call moves money',
      `(${moves} || payees(args).size() > 0 && amounts(args).size() > 0) && amounts(args).size() > 0`,
      `named(tool, ${LOOKS})`,
    ),
    asks(
      'payee-changed',
      'PAYEE_CHANGED',
      'the call changes where money goes',
      `named(tool, ${celList(['add', 'create', 'update', 'set', 'change', 'replace', 'edit'])}) && named(tool, ${PAYEES})`,
      `named(tool, ${LOOKS})`,
    ),
    asks(
      'large-amount',
      'LARGE_AMOUNT',
      'the amount is unusually large',
      `named(tool, ${celList(['refund', 'credit', 'charge', 'payment', 'payout', 'transfer'])}) && amounts(args).exists(a, a > ${LARGE_AMOUNT}.0)`,
      `named(tool, ${LOOKS})`,
    ),
  ];
}

const TELLS_MODEL = String.raw`(?i)ignore (?:all |any )?(?:previous|prior|above)|system prompt|do not (?:tell|mention|inform)|<important>|you must (?:now|first|always)|before using (?:this|any) tool`;

function tools(): readonly Rule[] {
  return [
    asks(
      'tool-contradicts-itself',
      'TOOL_CONTRADICTS_ITSELF',
      'the tool says that it only reads, and its name says that it changes something',
      `has(annotations.readOnlyHint) && annotations.readOnlyHint == true && named(tool, ${celList(['write', 'delete', 'remove', 'drop', 'send', 'transfer', 'pay', 'execute', 'exec', 'upload', 'update', 'create'])})`,
      `named(tool, ${LOOKS})`,
    ),
    asks(
      'tool-tells-model',
      'TOOL_TELLS_MODEL',
      'the title of the tool tells the model what to do',
      `has(annotations.title) && annotations.title.matches(${celPattern(TELLS_MODEL)})`,
    ),
  ];
}
