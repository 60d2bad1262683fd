/**
 * URLs, as every program would read them.
 *
 * `https://ours.example\@evil.example`, `http:/\evil.example`, a tab inside the name: browsers (WHATWG) and RFC 3986 read
 * different hosts in these. `readUrl` refuses whatever can be read in two ways; `looseUrlHosts` gives the hosts of every reading.
 */
import { ConditionFault } from '../../condition-value.ts';
import { type Host, looseHosts, readHost, UNSEEN } from './host-text.ts';

export const MAX_URL_CHARS = 8192;
const MAX_PARAMETERS = 1000;
const MAX_PORT = 65_535;
const MAX_AT_SIGNS = 16;

const SHAPE = /^([A-Za-z][A-Za-z0-9+.-]{0,31}):\/\/([^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#.*)?$/s;
/** Their text runs, or is the content itself: an authority in it means nothing. */
const WITHOUT_HOST: ReadonlySet<string> = new Set([
  'javascript',
  'vbscript',
  'data',
  'blob',
  'about',
  'filesystem',
  'view-source',
  'mailto',
]);
const DEFAULT_PORTS: ReadonlyMap<string, number> = new Map([
  ['http', 80],
  ['https', 443],
  ['ws', 80],
  ['wss', 443],
  ['ftp', 21],
]);

/** What `url(text)` gives to a condition. */
export class UrlValue {
  readonly scheme: string;
  /** Canonical; '' for `file:`. An IPv6 address has no brackets. */
  readonly host: string;
  /** The default of the scheme when none is written, -1 when there is no such default. */
  readonly port: bigint;
  /** What stands before the `@`, undecoded; '' when there is none. */
  readonly user: string;
  /** `https://ours.example:8443`: scheme, host, and the port unless it is the scheme's own. */
  readonly origin: string;
  readonly #path: string;
  readonly #query: string;

  constructor(parts: UrlParts) {
    this.scheme = parts.scheme;
    this.host = parts.host?.text ?? '';
    const standard = DEFAULT_PORTS.get(parts.scheme);
    this.port = BigInt(parts.port ?? standard ?? -1);
    this.user = parts.user;
    const shown = parts.host?.kind === 'address' && parts.host.family === 'ipv6' ? `[${this.host}]` : this.host;
    this.origin = `${parts.scheme}://${shown}${parts.port === undefined || parts.port === standard ? '' : `:${parts.port}`}`;
    this.#path = parts.path;
    this.#query = parts.query;
  }

  /** Decoded. @throws {ConditionFault} for a path that servers read in different ways. */
  get path(): string {
    const decoded = decodedPath(this.#path === '' ? '/' : this.#path);
    if (decoded === undefined) throw new ConditionFault('the path of the url can be read in two ways');
    return decoded;
  }

  /** Values of a parameter, decoded as forms are: none, one or several. @throws {ConditionFault} when an escape is broken. */
  parameters(name: string): readonly string[] {
    const pairs = this.#query === '' ? [] : this.#query.split('&', MAX_PARAMETERS + 1);
    if (pairs.length > MAX_PARAMETERS) throw new ConditionFault(`the url has more than ${MAX_PARAMETERS} parameters`);
    return pairs.flatMap((pair) => {
      const at = pair.indexOf('=');
      const key = decodedParameter(at < 0 ? pair : pair.slice(0, at));
      return key === name ? [at < 0 ? '' : decodedParameter(pair.slice(at + 1))] : [];
    });
  }
}

interface UrlParts {
  readonly scheme: string;
  readonly host: Host | undefined;
  readonly port: number | undefined;
  readonly user: string;
  readonly path: string;
  readonly query: string;
}

/** @throws {ConditionFault} for everything that programs would not read alike, and for a text that is no URL with a host. */
export function readUrl(text: string): UrlValue {
  if (text.length > MAX_URL_CHARS) throw new ConditionFault(`the url is longer than ${MAX_URL_CHARS} characters`);
  if (UNSEEN.test(text)) throw new ConditionFault('the url holds a space, a control or an invisible character');
  if (text.includes('\\')) throw new ConditionFault('the url holds a backslash, which programs read in different ways');
  const match = SHAPE.exec(text);
  if (match === null) throw new ConditionFault('the text is no url of the form scheme://host');
  const [, rawScheme = '', authority = '', path = '', query = ''] = match;
  const scheme = rawScheme.toLowerCase();
  if (WITHOUT_HOST.has(scheme)) throw new ConditionFault('the url has a scheme that names no host');
  if (scheme === 'file') {
    if (authority !== '') throw new ConditionFault('the url names a file on another host');
    return new UrlValue({ scheme, host: undefined, port: undefined, user: '', path, query });
  }
  const parts = readAuthority(authority);
  if (DEFAULT_PORTS.has(scheme)) requireAgreement(text, parts.host);
  return new UrlValue({ scheme, ...parts, path, query });
}

/** Whether the text is meant as a URL: then it is read as one, and never as the name of a host. */
export function isUrlText(text: string): boolean {
  return /:[/\\]|^[/\\]{2}/.test(text);
}

/** Every host that some program may read in a text that is meant as a URL; none when no program reads any. */
export function looseUrlHosts(text: string): readonly Host[] {
  if (text.length > MAX_URL_CHARS) return looseUrlHosts(text.slice(0, MAX_URL_CHARS));
  const found = new Map<string, Host>();
  for (const authority of authoritiesOf(text)) {
    // Of several "@" one program takes the first, another the last for the end of the user part.
    const [only = '', ...behind] = authority.split('@', MAX_AT_SIGNS);
    for (const part of behind.length === 0 ? [only] : behind) {
      const { host, port } = splitPort(part);
      if (port === undefined || /^\d*$/.test(port)) for (const reading of looseHosts(host)) found.set(reading.text, reading);
    }
  }
  return [...found.values()];
}

/** Backslashes read as slashes or as themselves, control characters dropped or the end, one slash or many. */
function authoritiesOf(text: string): ReadonlySet<string> {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: WHATWG drops exactly these
  const joined = text.replaceAll(/[\t\n\r]/g, '').trim();
  const cut = text.trim().split(/[\p{Cc}\p{Z}]/u, 1)[0] ?? '';
  const found = new Set<string>();
  for (const spelling of new Set([joined, cut])) {
    const match = /^(?:[A-Za-z][A-Za-z0-9+.-]*:)?[/\\]*/.exec(spelling);
    const rest = spelling.slice(match?.[0].length ?? 0);
    found.add(/^[^/?#\\]*/.exec(rest)?.[0] ?? '');
    found.add(/^[^/?#]*/.exec(rest)?.[0] ?? '');
  }
  return found;
}

function readAuthority(authority: string): Pick<UrlParts, 'host' | 'port' | 'user'> {
  const at = authority.indexOf('@');
  if (at !== authority.lastIndexOf('@')) throw new ConditionFault('the url has two "@" before its path');
  const { host, port } = splitPort(authority.slice(at + 1));
  if (port !== undefined && !(/^[1-9]\d{0,4}$/.test(port) && Number(port) <= MAX_PORT))
    throw new ConditionFault('the url has no port that is a port');
  // An IPv6 address stands in brackets, and nothing else does.
  if (host.startsWith('[') !== host.includes(':')) throw new ConditionFault('the text is no host that all programs read alike');
  return { host: readHost(host), port: port === undefined ? undefined : Number(port), user: at < 0 ? '' : authority.slice(0, at) };
}

/** At the last colon outside of brackets. */
export function splitPort(text: string): { readonly host: string; readonly port: string | undefined } {
  const at = text.lastIndexOf(':');
  if (at < 0 || text.indexOf(']', at) >= 0 || (!text.includes(']') && text.indexOf(':') !== at)) return { host: text, port: undefined };
  return { host: text.slice(0, at), port: text.slice(at + 1) };
}

/** A second opinion: should the two readings ever differ, neither counts. */
function requireAgreement(text: string, host: Host | undefined): void {
  const other = URL.parse(text)?.hostname.replace(/^\[|\]$|\.$/g, '');
  if (other !== host?.text) throw new ConditionFault('the text is no host that all programs read alike');
}

/** Undefined when a server might take it for another: dot segments, hidden separators, escapes of escapes, broken escapes. */
function decodedPath(path: string): string | undefined {
  if (/%(?:2f|5c|25|00|3f|23|2e)/i.test(path) || /\/\.{1,2}(?=\/|;|$)/.test(path)) return undefined;
  const decoded = decoded8(path);
  return decoded === undefined || UNSEEN.test(decoded.replaceAll(' ', '')) ? undefined : decoded;
}

function decodedParameter(text: string): string {
  const decoded = decoded8(text.replaceAll('+', ' '));
  if (decoded === undefined) throw new ConditionFault('the url has a parameter with a broken escape');
  return decoded;
}

/** Percent-decoding of UTF-8; undefined when an escape is broken. */
function decoded8(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
