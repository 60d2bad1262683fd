/** `--url` and what belongs to it: the server over HTTP that `countersign proxy` stands in front of. */
import type { RemoteTransport } from '@countersign/mcp-proxy';
import type { Invocation, Option } from './command.ts';
import { UsageError } from './failure.ts';
import { readSmallFile } from './read-small-file.ts';

export interface RemoteServerGiven {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly transport: RemoteTransport;
  readonly ca?: string;
}

export const REMOTE_OPTIONS: readonly Option[] = [
  { name: 'url', kind: 'text', value: 'URL', about: 'a server over HTTP instead of a command: https://host/mcp' },
  { name: 'header', kind: 'texts', value: "'NAME: VALUE'", about: 'sent to it; ${VARIABLE} is one of the environment; again for more' },
  // Clients expand ${...} in the arguments of servers themselves.
  { name: 'header-env', kind: 'texts', value: 'NAME=VARIABLE', about: 'a header whose value is this environment variable; again for more' },
  { name: 'header-file', kind: 'text', value: 'FILE', about: 'further headers, one `Name: value` a line' },
  { name: 'transport', kind: 'text', value: 'KIND', about: 'http, or sse (of 2024-11-05); default: as it turns out' },
  { name: 'ca', kind: 'text', value: 'FILE', about: 'certificates to trust besides the usual ones, PEM' },
  { name: 'allow-insecure', kind: 'switch', about: 'plain http to another machine' },
];

/** Hosts that are this machine. */
export const LOOPBACK: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]']);
/** RFC 9110, section 5.6.2. */
const HEADER = /^([!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}):[ \t]*(.*?)[ \t]*$/s;
const HEADER_TEXT = /^[\t\x20-\x7e\x80-\xff]*$/;
const MAX_HEADERS = 64;
const REFERENCE = /\$\{([^}]*)\}/g;
const VARIABLE_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;
/** Those that the protocol itself sends. */
const OWN_HEADERS =
  /^(?:host|connection|content-(?:type|length|encoding)|transfer-encoding|accept|accept-encoding|expect|upgrade|te|trailer|mcp-.*|last-event-id)$/i;

/** Whether the protocol sends this header itself, so that none can be given. */
export function isOwnHeader(name: string): boolean {
  return OWN_HEADERS.test(name);
}
const SECRET_HEADERS: ReadonlySet<string> = new Set(['authorization', 'proxy-authorization', 'cookie', 'x-api-key']);

/**
 * @returns undefined without `--url`.
 * @throws {UsageError} names what is wrong, and never a value.
 */
export function remoteServer(invocation: Invocation): RemoteServerGiven | undefined {
  const { flags, io, rest } = invocation;
  const url = flags.text('url');
  if (url === undefined) {
    const stray = REMOTE_OPTIONS.find(({ name }) => flags.on(name));
    if (stray !== undefined) throw new UsageError(`--${stray.name} is for a server over HTTP`, 'name it: --url https://host/mcp');
    return undefined;
  }
  if (rest.length > 0)
    throw new UsageError('--url and a command were given', 'a proxy stands in front of one server: leave one of them out');
  const transport = flags.text('transport') ?? 'auto';
  if (transport !== 'auto' && transport !== 'http' && transport !== 'sse')
    throw new UsageError('--transport is http or sse', 'leave it out, and it is found out');
  const ca = flags.text('ca');
  return {
    url: checkedUrl(url, flags.on('allow-insecure')),
    headers: headersOf(invocation),
    transport,
    ...(ca !== undefined && { ca: certificates(ca, io.cwd) }),
  };
}

function checkedUrl(text: string, isInsecureAllowed: boolean): string {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:'))
    throw new UsageError('--url is no http URL', 'for example: --url https://host/mcp');
  if (url.username !== '' || url.password !== '') throw new UsageError('--url holds credentials', NAME_THEM);
  if (url.protocol === 'http:' && !isInsecureAllowed && !LOOPBACK.has(url.hostname))
    throw new UsageError(
      '--url: plain http to another machine can be read on the way',
      'write https://, or --allow-insecure if that is meant',
    );
  return text;
}

const NAME_THEM = "give them in a header, from the environment: --header 'Authorization: Bearer ${TOKEN}'";

function headersOf({ flags, io, output }: Invocation): Readonly<Record<string, string>> {
  const file = flags.text('header-file');
  const lines = file === undefined ? [] : readSmallFile(file, io.cwd, '--header-file').split(/\r?\n/);
  const filed = lines.filter((line) => line.trim() !== '' && !line.startsWith('#')).map((line) => parted(line, '--header-file'));
  const given = flags.texts('header').map((text) => {
    const [name, value] = parted(text, '--header');
    if (SECRET_HEADERS.has(name.toLowerCase()) && !value.includes('${'))
      output.note(`countersign: every user of this machine can read --header ${name} in the list of processes; ${NAME_THEM}`);
    return [name, expanded(name, value, io.env)] as const;
  });
  const named = flags.texts('header-env').map((text) => {
    const at = text.indexOf('=');
    const [name] = parted(`${text.slice(0, Math.max(0, at))}:`, '--header-env');
    return [name, expanded(name, `\${${text.slice(at + 1)}}`, io.env)] as const;
  });
  const headers = new Map<string, readonly [string, string]>();
  for (const [name, value] of [...filed, ...given, ...named]) {
    if (headers.has(name.toLowerCase())) throw new UsageError(`the header ${name} is given twice`, 'give it once');
    if (!HEADER_TEXT.test(value)) throw new UsageError(`the value of the header ${name} is no line of text`, 'look for line ends in it');
    headers.set(name.toLowerCase(), [name, value]);
  }
  if (headers.size > MAX_HEADERS) throw new UsageError(`more than ${MAX_HEADERS} headers`, 'give fewer');
  return Object.fromEntries(headers.values());
}

function parted(text: string, option: string): readonly [name: string, value: string] {
  const [, name, value] = HEADER.exec(text) ?? [];
  if (name === undefined || value === undefined) throw new UsageError(`${option}: a header has a name, a colon and a value`, NAME_THEM);
  if (OWN_HEADERS.test(name)) throw new UsageError(`${option}: the proxy sends the header ${name} itself`, 'leave it out');
  return [name, value];
}

/** A variable that is not set would send half a credential. */
function expanded(header: string, value: string, env: NodeJS.ProcessEnv): string {
  return value.replace(REFERENCE, (_whole, name: string) => {
    if (!VARIABLE_NAME.test(name)) throw new UsageError(`--header ${header}: after "\${" comes the name of a variable and "}"`, NAME_THEM);
    const found = Object.hasOwn(env, name) ? env[name] : undefined;
    if (found === undefined || found === '')
      throw new UsageError(`--header ${header}: the variable ${name} is not set`, `set ${name} where the proxy is started`);
    return found.trim();
  });
}

function certificates(path: string, cwd: string): string {
  const text = readSmallFile(path, cwd, '--ca');
  if (!text.includes('-----BEGIN CERTIFICATE-----'))
    throw new UsageError(`--ca: ${path} holds no certificate`, 'name a PEM file that begins with -----BEGIN CERTIFICATE-----');
  return text;
}

/** What a server over HTTP is called in rules when nobody said: its host. */
export function remoteName(url: string): string | undefined {
  const host =
    URL.parse(url)
      ?.hostname.replaceAll(/[^A-Za-z0-9._-]+/g, '-')
      .replaceAll(/^[^A-Za-z0-9]+|[-.]+$/g, '') ?? '';
  return host === '' ? undefined : host.slice(0, 64);
}
