/** Getting out: programs that transfer, many connections, cloud metadata, sockets of container engines. */
import { canonicalAddress, isLoopback } from '../address.ts';
import { cleanHost, isWithinDomain } from '../destination.ts';
import type { Program } from '../programs.ts';
import { quoted } from '../quoted.ts';
import type { RuleFamily } from '../rule.ts';
import { EventWindow, NameWindow } from '../window.ts';

const CONNECTION_WINDOW_MS = 60_000;

export const EGRESS: RuleFamily = {
  rules: [
    {
      id: 'transfer-tool',
      title: 'curl, wget or another transfer tool started',
      explanation:
        'Also by way of wrappers, shells and `busybox`. Under our own scope also `scp`, `sftp`, `ftp`, `rclone`, netcat and `rsync` to another host, and none of them for addresses of this host itself. Under a predecessor scope `curl` and `wget`, whatever the address.',
      levels: ['HALT'],
    },
    {
      id: 'many-connections',
      title: 'Many connections',
      explanation:
        '50 connections within 60 seconds, to other hosts. Under our own scope those to `allowed_domains` do not count where such are listed.',
      levels: ['HALT'],
    },
    {
      id: 'dns-tunnel',
      title: 'Data in names that are looked up',
      explanation: '20 names with a part of 30 or more characters below one domain, looked up within a minute.',
      levels: ['HALT'],
    },
  ],
  kinds: ['exec', 'connect', 'dns'],
  begin({ literal, scope: { limits, network } }) {
    const tunnels = new Tunnels();
    const window = new EventWindow(limits.connectionsPerMinute, CONNECTION_WINDOW_MS);
    const listed = literal ? [] : (network.allowedDomains ?? []);
    return {
      judge({ programs, destination, at, seq, isDouble, activity: { action } }, found) {
        if (action.kind === 'dns' && tunnels.add(cleanHost(action.name), at, seq))
          found({
            rule: 'dns-tunnel',
            level: 'HALT',
            reason: `${TUNNEL_NAMES} long names below one domain looked up, the last ${quoted(action.name)}`,
          });
        const tool = programs?.all.find((program) => (literal ? LITERAL_TOOLS.has(program.name) : transfers(program)));
        if (tool !== undefined) found({ rule: 'transfer-tool', level: 'HALT', reason: `${tool.name} started` });
        if (destination === undefined || destination.local || isDouble) return;
        const { host } = destination;
        if (host !== undefined && listed.some((domain) => isWithinDomain(host, domain))) return;
        if (window.add(at, seq))
          found({
            rule: 'many-connections',
            level: 'HALT',
            reason: `${limits.connectionsPerMinute} connections within 60 seconds, the last to ${quoted(destination.name)}`,
            evidence: window.evidence(),
          });
      },
      accept: () => window.clear(),
    };
  },
};

/** Of the predecessor. */
const LITERAL_TOOLS: ReadonlySet<string> = new Set(['curl', 'wget']);
/** They take URLs. */
const URL_TOOLS: ReadonlySet<string> = new Set([
  'curl',
  'wget',
  'wget2',
  'curlie',
  'aria2c',
  'axel',
  'lynx',
  'w3m',
  'httpie',
  'http',
  'https',
  'xh',
]);
/** They take hosts, or know them from settings of their own. */
const COPY_TOOLS: ReadonlySet<string> = new Set([
  'scp',
  'sftp',
  'ftp',
  'lftp',
  'tftp',
  'rclone',
  'ncftpput',
  'croc',
  'magic-wormhole',
  'wormhole',
]);
const NETCATS: ReadonlySet<string> = new Set(['nc', 'ncat', 'netcat', 'nc.openbsd', 'nc.traditional', 'telnet', 'socat']);

function transfers(program: Program): boolean {
  const { name, words } = program;
  if (URL_TOOLS.has(name)) return !staysHere(program) && !asksAboutItself(words);
  if (COPY_TOOLS.has(name)) return !asksAboutItself(words);
  if (name === 'rsync') return words.some((word) => /^(?:rsync:\/\/|[\w.@-]+:)/.test(word ?? ''));
  return NETCATS.has(name) && leadsAway(words);
}

function asksAboutItself(words: readonly (string | undefined)[]): boolean {
  return words.length === 2 && /^(?:-V|-h|--version|--help)$/.test(words[1] ?? '');
}

/** A host of its own among the words, that is not this one. Listening names none. */
function leadsAway(words: readonly (string | undefined)[]): boolean {
  return words.slice(1).some((word) => {
    const host = /^(?:(?:tcp|udp|openssl|ssl)[46]?(?:-connect)?:)?\[?([0-9a-z][0-9a-z.:-]*?)\]?(?::\d+)?(?:,.*)?$/i.exec(word ?? '')?.[1];
    if (host === undefined || /^\d+$/.test(host)) return false;
    const address = canonicalAddress(host);
    return address === undefined ? /^(?!localhost$)[\w-]+(?:\.[\w-]+)+$/.test(host) : !isLoopback(address);
  });
}

const TUNNEL_NAMES = 20;
const TUNNEL_LABEL_CHARS = 30;
const TUNNEL_WINDOW_MS = 60_000;
/** Domains that are watched at once; the one least recently asked for is dropped. */
const MAX_TUNNELS = 1000;

class Tunnels {
  readonly #domains = new Map<string, NameWindow>();

  add(name: string, at: number, seq: number): boolean {
    const labels = name.split('.');
    if (labels.length < 3 || !labels.some((label) => label.length >= TUNNEL_LABEL_CHARS)) return false;
    const domain = labels.slice(-2).join('.');
    const window = this.#domains.get(domain) ?? new NameWindow(TUNNEL_NAMES, TUNNEL_WINDOW_MS);
    this.#domains.delete(domain);
    this.#domains.set(domain, window);
    if (this.#domains.size > MAX_TUNNELS)
      for (const oldest of this.#domains.keys()) {
        this.#domains.delete(oldest);
        break;
      }
    return window.add(name, at, seq);
  }
}

/** Options that can send it elsewhere than its operand says. */
const REDIRECTING =
  /^(?:-[a-zA-Z]*[xKLT]|--(?:proxy|preproxy|socks\w*|resolve|connect-to|config|location|next|upload-file|dns-\w+|doh-url|input-file|execute|use-askpass|url-query|variable)(?:=.*)?|-i|-e)$/;

/** All it is given are addresses of this host, and nothing that leads away from them. */
function staysHere({ words }: Program): boolean {
  const args = words.slice(1);
  if (args.some((word) => word === undefined || REDIRECTING.test(word))) return false;
  const urls = args.filter((word): word is string => word !== undefined && /^(?:[a-z]+:\/\/|localhost|127\.|\[::1\])/i.test(word));
  const others = args.filter(
    (word) => word !== undefined && /[\w-]\.[a-z]{2,}(?:[:/]|$)/i.test(word) && !word.startsWith('-') && !urls.includes(word),
  );
  return urls.length > 0 && others.length === 0 && urls.every((url) => isLocalUrl(url));
}

function isLocalUrl(url: string): boolean {
  const text = url.includes('://') ? url : `http://${url}`;
  if (!URL.canParse(text)) return false;
  const { hostname } = new URL(text);
  const address = canonicalAddress(hostname);
  return address === undefined ? hostname === 'localhost' : isLoopback(address);
}

/** Where clouds give credentials to whoever asks. */
const METADATA_ADDRESSES: ReadonlySet<string> = new Set(
  [
    '169.254.169.254', // AWS, Azure, GCP, OpenStack and most others
    '169.254.170.2', // AWS ECS tasks
    '169.254.170.23', // AWS EKS pod identity
    'fd00:ec2::254',
    'fd00:ec2::23',
    'fe80::a9fe:a9fe',
    '100.100.100.200', // Alibaba
    '168.63.129.16', // Azure wire server
    '192.0.0.192', // Oracle
    'fd20:ce::254', // GCP
  ].map((address) => canonicalAddress(address) ?? address),
);
const METADATA_NAMES: readonly string[] = [
  'metadata.google.internal',
  'metadata.goog',
  'instance-data',
  'instance-data.ec2.internal',
  'metadata.azure.internal',
];

export const METADATA: RuleFamily = {
  rules: [
    {
      id: 'cloud-metadata',
      title: 'The metadata address of a cloud',
      explanation:
        'Connected to 169.254.169.254 and its like in whatever spelling, looked up a name that leads there, or started a program with such an address in its arguments.',
      levels: ['HALT'],
    },
  ],
  kinds: ['connect', 'dns', 'exec'],
  begin() {
    const isMetadataName = (name: string): boolean => METADATA_NAMES.some((known) => isWithinDomain(cleanHost(name), known));
    return {
      judge({ activity: { action }, destination, programs }, found) {
        const tell = (what: string): void => found({ rule: 'cloud-metadata', level: 'HALT', reason: `cloud metadata: ${what}` });
        if (destination !== undefined) {
          const { address, host } = destination;
          if ((address !== undefined && METADATA_ADDRESSES.has(address)) || (host !== undefined && isMetadataName(host)))
            tell(`connected to ${quoted(destination.name)}`);
        } else if (action.kind === 'dns') {
          const leads = (action.addresses ?? []).some((address) => METADATA_ADDRESSES.has(canonicalAddress(address) ?? ''));
          if (leads || isMetadataName(action.name)) tell(`looked up ${quoted(action.name)}`);
        } else if (programs !== undefined) {
          const word = programs.all.flatMap(({ words }) => words).find((text) => text !== undefined && namesMetadata(text, isMetadataName));
          if (word !== undefined) tell(`${programs.all[0]?.name ?? 'a program'} is given ${quoted(word)}`);
        }
      },
    };
  },
};

/** A URL, or an address with a port or path behind it. */
function namesMetadata(word: string, isName: (name: string) => boolean): boolean {
  if (word.length > MAX_WORD_CHARS) return METADATA_NAMES.some((name) => word.includes(name)) || word.includes('169.254.169.254');
  const match = /^(?:--?[\w-]+=)?(?:[a-z][a-z0-9+.-]*:\/\/)?(?:[^/@]*@)?(\[[0-9a-f:.%]+\]|[^/:?#\s]+)/i.exec(word);
  const host = match?.[1];
  if (host === undefined) return false;
  const address = /[.:]|^0x/i.test(host) || word.includes('://') ? canonicalAddress(host) : undefined;
  return address === undefined ? isName(host) : METADATA_ADDRESSES.has(address);
}
const MAX_WORD_CHARS = 2048;

const ENGINE_SOCKET =
  /\/(?:docker|containerd|podman|crio|cri-dockerd|buildkitd|dockershim|k3s\/containerd\/containerd|podman\/podman|containerd\/containerd|crio\/crio|lxd\/unix|incus\/unix)\.(?:sock|socket)$/;

export const CONTAINER_SOCKET: RuleFamily = {
  rules: [
    {
      id: 'container-socket',
      title: 'The socket of a container engine',
      explanation: 'Who may talk to it can start a container that sees the whole host.',
      levels: ['HALT'],
    },
  ],
  kinds: ['connect', 'read', 'write', 'delete', 'rename', 'exec'],
  begin({ folders }) {
    return {
      judge({ destination, touches, programs, activity: { action } }, found) {
        const tell = (what: string): void =>
          found({ rule: 'container-socket', level: 'HALT', reason: `socket of a container engine: ${quoted(what)}` });
        if (action.kind === 'connect' && destination?.protocol === 'unix' && action.address !== undefined) {
          if (ENGINE_SOCKET.test(action.address.replace(/^@/, '/'))) tell(action.address);
        } else if (destination?.port === 2375 || destination?.port === 2376) tell(destination.name);
        for (const { path } of touches)
          if (path.length < MAX_WORD_CHARS && path.endsWith('.sock') && ENGINE_SOCKET.test(path) && !folders.inWorkspace(path)) tell(path);
        const word = programs?.all
          .flatMap(({ words }) => words)
          .find(
            (text) =>
              text !== undefined && /(?:^|[=:/,])\/?(?:var\/)?run\/(?:docker|containerd|podman|crio)/.test(text) && text.includes('.sock'),
          );
        if (word !== undefined) tell(word);
      },
    };
  },
};
