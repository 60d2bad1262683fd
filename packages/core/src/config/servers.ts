/** `servers`: what the schema cannot see, and the plain data the rest works with. */
import { OWN_SERVER } from '../halt/after-halt.ts';
import type { ServerConfig, ValueConfig } from './config.ts';
import type { Look, Path, Problem } from './document.ts';
import { placedSecret, type SecretSource } from './secret.ts';
import type { ServerDocument, ValueDocument } from './servers-schema.ts';

/**
 * Behind a gateway a tool is called `<server>__<tool>`, and its server is what stands before the first two underscores. So
 * no name holds two, or ends with one: `a` with a tool `_b` and `a_` with a tool `b` would be the same. The length leaves room
 * for the tool in the 64 characters that models take.
 */
const NAME_SHAPE = /^(?!.*__)[A-Za-z0-9](?:[A-Za-z0-9._-]{0,38}[A-Za-z0-9.-])?$/;
const NAME_HINT = 'name of a server: letters, digits and . _ -, at most 40 characters, no two underscores in a row and none at the end';

const VARIABLE_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;
/** Odd items of a split are names of variables. */
const REFERENCE = /\$\{([A-Za-z_][A-Za-z0-9_]{0,127})\}/;
/** RFC 9110, section 5.6.2. */
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/;
const HEADER_TEXT = /^[\t\x20-\x7e\x80-\xff]*$/;
/** Headers that carry nothing but secrets. */
const SECRET_HEADERS: ReadonlySet<string> = new Set(['authorization', 'proxy-authorization', 'cookie', 'x-api-key']);
/** Headers that the transport itself sends. */
const OWN_HEADERS =
  /^(?:host|connection|content-(?:type|length|encoding)|transfer-encoding|accept|accept-encoding|expect|upgrade|te|trailer|mcp-.*|last-event-id)$/i;
const LOOPBACK: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]']);
/** Variables that are named to add to them, not because they are secret. */
const ORDINARY: ReadonlySet<string> = new Set(['PATH', 'HOME', 'USER', 'LOGNAME', 'SHELL', 'LANG', 'TERM', 'TMPDIR', 'TEMP', 'TMP', 'PWD']);

type Documents = Readonly<Record<string, ServerDocument>>;

export function serverProblems(servers: Documents, look: Look): readonly Problem[] {
  const problems: Problem[] = [];
  const folded = new Map<string, string>();
  for (const [name, server] of Object.entries(servers)) {
    const path = ['servers', name];
    if (!NAME_SHAPE.test(name)) problems.push(look(path, NAME_HINT));
    // An approval of such a call lets a halted session go on.
    if (name.toLowerCase() === OWN_SERVER)
      problems.push(look(path, `${OWN_SERVER} is the server of the calls that Countersign makes: choose another name`));
    // `NAME_SHAPE` keeps encoded names apart; people and some clients do not tell case apart.
    const twin = folded.get(name.toLowerCase());
    if (twin !== undefined)
      problems.push(look(path, `another server is called ${twin}: names that differ in case only are too easily mistaken`));
    folded.set(name.toLowerCase(), name);
    problems.push(...('command' in server ? commandProblems(server, path, look) : urlProblems(server, path, look)));
  }
  return problems;
}

function commandProblems(
  { command, args = [], env = {}, cwd = '' }: Extract<ServerDocument, { readonly command: string }>,
  path: Path,
  look: Look,
): readonly Problem[] {
  const problems: Problem[] = [];
  if ([command, cwd, ...args].some((text) => text.includes('\0'))) problems.push(look(path, 'a command holds no NUL'));
  for (const [name, value] of Object.entries(env)) {
    const at = [...path, 'env', name];
    if (!VARIABLE_NAME.test(name)) problems.push(look(at, 'the name of an environment variable: letters, digits and _'));
    problems.push(...valueProblems(value, at, look));
    if (typeof value === 'string' && value.includes('\0')) problems.push(look(at, 'a variable holds no NUL'));
  }
  return problems;
}

function urlProblems(
  { url, headers = {}, allow_insecure }: Extract<ServerDocument, { readonly url: string }>,
  path: Path,
  look: Look,
): readonly Problem[] {
  const problem = urlProblem(url, allow_insecure ?? false);
  const problems = problem === undefined ? [] : [look([...path, 'url'], problem)];
  const seen = new Set<string>();
  for (const [name, value] of Object.entries(headers)) {
    const at = [...path, 'headers', name];
    const lower = name.toLowerCase();
    if (!HEADER_NAME.test(name)) problems.push(look(at, 'no name of a header'));
    else if (OWN_HEADERS.test(name)) problems.push(look(at, 'the transport sets this header itself'));
    else if (seen.has(lower)) problems.push(look(at, 'this header is given twice'));
    seen.add(lower);
    problems.push(...valueProblems(value, at, look));
    if (typeof value !== 'string') continue;
    if (!HEADER_TEXT.test(value)) problems.push(look(at, 'the value of a header is one line of text'));
    if (SECRET_HEADERS.has(lower) && !REFERENCE.test(value))
      problems.push(
        look(at, 'this header is a secret, which is named, never written here: "Bearer ${NAME}", { env: NAME } or { file: PATH }'),
      );
  }
  return problems;
}

/** Never repeats the URL: it may hold what should not be there. */
function urlProblem(text: string, isInsecureAllowed: boolean): string | undefined {
  if (!URL.canParse(text)) return 'not a URL: write https://host/path';
  const { protocol, hostname, username, password } = new URL(text);
  if (protocol !== 'https:' && protocol !== 'http:') return 'not an http URL: write https://host/path';
  if (username !== '' || password !== '') return 'no credentials in a URL: send them with `headers`';
  if (protocol === 'http:' && !isInsecureAllowed && !LOOPBACK.has(hostname))
    return 'plain http leaves this machine readable to others; write https, or allow_insecure: true if that is meant';
  return undefined;
}

/** A `${` that names nothing would go out as it stands, to a server that cannot know what was meant. */
function valueProblems(value: ValueDocument, path: Path, look: Look): readonly Problem[] {
  if (typeof value !== 'string') return [];
  const isOdd = value.split(REFERENCE).some((part, at) => at % 2 === 0 && part.includes('${'));
  return isOdd
    ? [look(path, 'after "${" comes the name of a variable and "}"; a value with "${" itself goes into a file: { file: PATH }')]
    : [];
}

/** @param place - makes a path of the file absolute. */
export function workOutServers(servers: Documents, place: (name: string) => string): ReadonlyMap<string, ServerConfig> {
  return new Map(
    Object.entries(servers).map(([name, server]) => [name, 'command' in server ? commandConfig(server, place) : urlConfig(server, place)]),
  );
}

function commandConfig(server: Extract<ServerDocument, { readonly command: string }>, place: (name: string) => string): ServerConfig {
  const { command, args = [], env = {}, cwd, contain = 'off' } = server;
  return { command, args, env: valuesOf(env, place), contain, ...(cwd !== undefined && { cwd: place(cwd) }) };
}

function urlConfig(server: Extract<ServerDocument, { readonly url: string }>, place: (name: string) => string): ServerConfig {
  const { url, headers = {}, transport = 'auto', allow_insecure: allowInsecure = false } = server;
  return { url, headers: valuesOf(headers, place), transport, allowInsecure };
}

function valuesOf(values: Readonly<Record<string, ValueDocument>>, place: (name: string) => string): ReadonlyMap<string, ValueConfig> {
  return new Map(Object.entries(values).map(([name, value]) => [name, valueOf(value, place)]));
}

function valueOf(value: ValueDocument, place: (name: string) => string): ValueConfig {
  if (typeof value !== 'string') return [placedSecret(value, place)];
  const parts = value.split(REFERENCE).map((part, at) => (at % 2 === 1 ? { env: part } : part));
  return parts.filter((part) => part !== '');
}

/** Every place a secret of a server lies. */
export function serverSecrets(servers: ReadonlyMap<string, ServerConfig>): readonly SecretSource[] {
  const parts = [...servers.values()].flatMap((server) => [...('command' in server ? server.env : server.headers).values()].flat());
  return parts.filter((part) => typeof part !== 'string').filter((part) => !('env' in part) || !ORDINARY.has(part.env));
}
