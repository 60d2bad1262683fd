/**
 * A remote server of a client's list, and the same behind our proxy, which the client starts.
 *
 * `{ "type": "http", "url": "https://x/mcp", "headers": { "Authorization": "Bearer ..." } }` becomes
 * `{ "type": "stdio", "command": "/abs/node", "args": ["/abs/main.js", "proxy", "--wrapped", "url:http", "--server", "x", "--url", "https://x/mcp", "--header-env", "Authorization=COUNTERSIGN_HEADER_1"], "env": { "COUNTERSIGN_HEADER_1": "Bearer ..." } }`.
 *
 * Values of headers stay where they are and only get other keys: arguments of a process can be read by everybody on a host, and
 * variables of the client (`${input:token}`) stand in them. `${...}` of ours would be taken for one, hence `--header-env`.
 */
import { isOwnHeader, LOOPBACK } from '../remote-server.ts';
import { type Member, memberOf, type Node, type Splice, type Syntax, textOf } from './syntax.ts';

export interface Remote {
  readonly address: Member & { readonly value: Node & { readonly kind: 'text' } };
  readonly type: Member | undefined;
  readonly headers: readonly Member[];
  readonly headersMember: Member | undefined;
  readonly isLegacy: boolean;
}

/** What `--wrapped KIND` and the words behind it say of a remote server. */
export interface RemoteMark {
  readonly key: string;
  readonly type: string | undefined;
  /** Where the address stands in `args`. */
  readonly addressIndex: number;
  readonly headers: readonly (readonly [name: string, variable: string])[];
}

/** What tells where a remote server is. */
export const ADDRESS_KEYS = ['url', 'serverUrl', 'httpUrl'] as const;
/** Ways to log in that only the client knows. */
const LOGIN_KEYS = [
  'oauth',
  'auth',
  'authProviderType',
  'headersHelper',
  'bearer_token_env_var',
  'env_http_headers',
  'requestInit',
] as const;
const TYPE_SHAPE = /^[A-Za-z][A-Za-z-]{0,31}$/;
const HEADER_SHAPE = /^[A-Za-z0-9!#%&'*+.^_`|~-]{1,128}$/;
const VARIABLE = /^COUNTERSIGN_HEADER_[1-9][0-9]?$/;
const MAX_HEADERS = 50;

/** @param headersKey - what the client calls them. @returns why it cannot be wrapped, or its parts. */
export function remoteOf(text: string, entry: Node, headersKey: string, syntax: Syntax): Remote | string {
  const keys = ADDRESS_KEYS.filter((key) => memberOf(entry, key) !== undefined);
  const address = memberOf(entry, keys[0] ?? '');
  if (keys.length !== 1 || address === undefined) return `it has ${keys.join(' and ')}: which of them the client takes is not clear`;
  const login = LOGIN_KEYS.find((key) => memberOf(entry, key) !== undefined);
  if (login !== undefined) return `it is remote and logs in with ${login}, which only the client can`;
  const { value } = address;
  if (value.kind !== 'text') return `its ${address.key} is not a text`;
  const problem = addressProblem(value.value);
  if (problem !== undefined) return `it is remote, and its ${address.key} ${problem}`;
  if (memberOf(entry, 'env') !== undefined) return 'it is remote and has an env besides';
  const type = memberOf(entry, 'type');
  if (
    type !== undefined &&
    (type.value.kind !== 'text' || !TYPE_SHAPE.test(type.value.value) || textOf(text, type.value) !== syntax.quote(type.value.value))
  ) {
    return 'its type is no word';
  }
  const headersMember = memberOf(entry, headersKey);
  if (headersMember !== undefined && headersMember.value.kind !== 'table') return `its ${headersKey} are no table`;
  const headers = headersMember?.value.kind === 'table' ? headersMember.value.members : [];
  const names = new Set(headers.map(({ key }) => key.toLowerCase()));
  if (headers.length > MAX_HEADERS || names.size < headers.length) return 'it has too many headers, or one of them twice';
  if (!headers.every(({ key, value: held }) => HEADER_SHAPE.test(key) && held.kind === 'text'))
    return 'one of its headers is no name with a text';
  const own = headers.find(({ key }) => isOwnHeader(key));
  if (own !== undefined) return `it sets the header ${own.key}, which the proxy sends itself`;
  const renamed = [...headers, ...(headersMember === undefined ? [] : [headersMember])];
  const plain = renamed.every(({ key, keys: places }) =>
    places.every((place) => rekeyed(textOf(text, place), key) === textOf(text, place)),
  );
  if (!plain || address.whole === undefined || textOf(text, address.keys[0]) !== syntax.key(address.key))
    return 'its keys are written in a way that is not changed';
  const isLegacy = type?.value.kind === 'text' && type.value.value === 'sse';
  return { address: { ...address, value }, type, headers, headersMember, isLegacy };
}

/** Whether the client may find out by itself how to log in: nothing in the entry says that it needs not. */
export function mayLogIn({ address, headers }: Remote): boolean {
  return headers.length === 0 && !LOOPBACK.has(new URL(address.value.value).hostname);
}

/** The words behind `proxy`, but for the address: it moves as it is written. */
export function remoteKind({ address, type }: Remote): string {
  return type?.value.kind === 'text' ? `${address.key}:${type.value.value}` : address.key;
}

export function headerWords({ headers }: Remote): readonly string[] {
  return headers.flatMap(({ key }, index) => ['--header-env', `${key}=${variable(index)}`]);
}

/** @param args - as they are written, all of them. */
export function wrapRemote(text: string, remote: Remote, node: string, args: readonly string[], syntax: Syntax): readonly Splice[] {
  const { address, type, headers, headersMember } = remote;
  if (address.whole === undefined) return [];
  const members = [
    ['command', syntax.quote(node)],
    ['args', `[${args.join(', ')}]`],
  ] as const;
  return [
    { ...address.whole, text: syntax.members(text, address, members) },
    ...(type === undefined ? [] : [{ start: type.value.start, end: type.value.end, text: syntax.quote('stdio') }]),
    ...(headersMember === undefined ? [] : renames(text, headersMember, 'env')),
    ...headers.flatMap((header, index) => renames(text, header, variable(index))),
  ];
}

/** @returns undefined when something is not as it was written. */
export function readRemoteMark(kind: string, words: readonly string[], from: number): RemoteMark | undefined {
  const [key = '', type] = kind.split(':');
  if (!ADDRESS_KEYS.some((each) => each === key) || words[from] !== '--url' || words[from + 1] === undefined) return undefined;
  let at = from + 2;
  if (words[at] === '--transport') {
    if (words[at + 1] !== 'sse') return undefined;
    at += 2;
  }
  const headers: (readonly [string, string])[] = [];
  for (; at < words.length; at += 2) {
    const [name = '', held = '', ...more] = (words[at + 1] ?? '').split('=');
    if (words[at] !== '--header-env' || !HEADER_SHAPE.test(name) || !VARIABLE.test(held) || more.length > 0) return undefined;
    headers.push([name, held]);
  }
  return { key, type, addressIndex: from + 1, headers };
}

/** @returns undefined when something is not as it was written. */
export function unwrapRemote(
  text: string,
  entry: Node,
  mark: RemoteMark,
  headersKey: string,
  syntax: Syntax,
): readonly Splice[] | undefined {
  const [command, args, type, env] = ['command', 'args', 'type', 'env'].map((key) => memberOf(entry, key));
  const address = args?.value.kind === 'list' ? args.value.items[mark.addressIndex] : undefined;
  if (command?.whole === undefined || args?.whole === undefined || address === undefined) return undefined;
  if (syntax.removeAfter(text, command, args) === undefined) return undefined;
  if ((type === undefined) !== (mark.type === undefined)) return undefined;
  const held = env?.value.kind === 'table' ? env.value.members : [];
  const names = new Map(mark.headers.map(([name, key]) => [key, name]));
  if (held.length !== names.size || !held.every(({ key }) => names.has(key))) return undefined;
  return [
    { start: command.whole.start, end: args.whole.end, text: syntax.members(text, command, [[mark.key, textOf(text, address)]]) },
    ...(type === undefined || mark.type === undefined
      ? []
      : [{ start: type.value.start, end: type.value.end, text: syntax.quote(mark.type) }]),
    ...(env === undefined ? [] : renames(text, env, headersKey)),
    ...held.flatMap((member) => renames(text, member, names.get(member.key) ?? member.key)),
  ];
}

function addressProblem(address: string): string | undefined {
  if (address.includes('$')) return 'holds a variable';
  if (!URL.canParse(address)) return 'is none';
  const { protocol, username, password, search, hostname } = new URL(address);
  if (!['http:', 'https:'].includes(protocol)) return 'is not http or https';
  if (protocol === 'http:' && !LOOPBACK.has(hostname)) return 'is plain http to another machine, which the proxy does not speak unasked';
  // As an argument of the proxy every user of the host could read it.
  if (username !== '' || password !== '' || search !== '')
    return 'may hold a secret (a user, or a query), which everybody on this host could read';
  return undefined;
}

function variable(index: number): string {
  return `COUNTERSIGN_HEADER_${index + 1}`;
}

function renames(text: string, { keys }: Member, name: string): readonly Splice[] {
  return keys.map((place) => ({ ...place, text: rekeyed(textOf(text, place), name) }));
}

/** Another name in the same quotes. */
function rekeyed(written: string, name: string): string {
  const quote = /^["']/.exec(written)?.[0] ?? '';
  return `${quote}${name}${quote}`;
}
