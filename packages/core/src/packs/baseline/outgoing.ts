/** What leaves: credentials in what is sent, and where it is sent to. */
import type { Rule } from '../../policy/rule-definition.ts';
import { ANY_TOOL, celList, celMatchesAny, celPattern, GOES_TO, IS_LOOPBACK } from '../words.ts';
import { asks } from './rule.ts';

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

export function secrets(): readonly Rule[] {
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

export function egress(own: readonly string[]): readonly Rule[] {
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
