/**
 * `url(...)`, `host.*` and `ip.*`: where a call wants to go. Nothing is looked up: a name stays a name.
 *
 * | function                            | gives                                                                        |
 * |-------------------------------------|------------------------------------------------------------------------------|
 * | `url(text)`                         | `scheme`, `host`, `port`, `path`, `user`, `origin`; `query(name)`, `queries(name)` |
 * | `host.matches(h, ['*.ours.example'])` | whether the host is one of these                                             |
 * | `host.isPrivate(h)`                 | whether some program may take it for one inside                              |
 * | `host.isMetadata(h)`                | the same for where clouds hand out credentials                               |
 * | `host.isWildcardDns(h)`             | whether the name itself says which address it is answered with               |
 * | `ip.isAddress(h)`                   | true for an address, false for a name                                        |
 * | `ip.within(h, '10.0.0.0/8')`        | whether the address is in the network; a name is a fault                     |
 *
 * `h` is a host, a host with a port, or a URL. `matches`, `within` and `isAddress` need one that all programs read alike and
 * are a fault otherwise; the others ask for danger and look at every reading.
 */
import type { Environment } from '@marcbachmann/cel-js';
import { ConditionFault } from '../condition-value.ts';
import { CHARS_PER_STEP, remember, spend } from '../evaluation.ts';
import { isMetadataAddress, isPrivateAddress, isWithin, type Network, parseNetwork } from './host/address.ts';
import { type Host, looseHosts, readHost } from './host/host-text.ts';
import { isMetadataName, isPrivateName, isWildcardDnsName } from './host/known-names.ts';
import { type HostPattern, parseHostPattern } from './host/patterns.ts';
import { isUrlText, looseUrlHosts, readUrl, splitPort, UrlValue } from './host/url-text.ts';
import { isOn, type LiteralCheck, literalText, literalTexts } from './literals.ts';
import { UNREADABLE_HOST } from './text/url-search.ts';

export const HOST_WORDS: readonly string[] = ['url', 'host', 'ip'];

/** The types of `host` and `ip`: namespaces, of each of which there is one value. */
class HostFunctions {}
class IpFunctions {}

export function registerHosts(environment: Environment): void {
  const fields = { scheme: 'string', host: 'string', port: 'int', path: 'string', user: 'string', origin: 'string' };
  environment.registerType('Url', { ctor: UrlValue, fields });
  environment.registerFunction('url(string): Url', (text: string) => urlOf(text));
  environment.registerFunction('Url.query(string): string', (url: UrlValue, name: string) => onlyParameter(url, name));
  environment.registerFunction('Url.queries(string): list<string>', (url: UrlValue, name: string) => url.parameters(name));
  environment.registerOperator('Url == Url', () => {
    throw new ConditionFault('urls are compared by their parts, such as host or origin');
  });

  environment.registerType('HostFunctions', HostFunctions);
  environment.registerConstant('host', 'HostFunctions', new HostFunctions());
  environment.registerFunction('HostFunctions.matches(string, list): bool', (_: unknown, text: string, patterns: readonly unknown[]) =>
    matchesAny(text, patterns),
  );
  const questions: readonly (readonly [string, (host: Host) => boolean])[] = [
    ['isPrivate', isPrivate],
    ['isMetadata', isMetadata],
    ['isWildcardDns', isWildcardDns],
  ];
  for (const [name, holds] of questions) {
    environment.registerFunction(`HostFunctions.${name}(string): bool`, (_: unknown, text: string) => anyReading(text).some(holds));
  }

  environment.registerType('IpFunctions', IpFunctions);
  environment.registerConstant('ip', 'IpFunctions', new IpFunctions());
  environment.registerFunction('IpFunctions.isAddress(string): bool', (_: unknown, text: string) => oneReading(text).kind === 'address');
  environment.registerFunction('IpFunctions.within(string, string): bool', (_: unknown, text: string, network: string) =>
    isWithinAny(text, [network]),
  );
  environment.registerFunction('IpFunctions.within(string, list): bool', (_: unknown, text: string, networks: readonly unknown[]) =>
    isWithinAny(text, networks),
  );
}

/** Patterns, networks and URLs that stand in a rule are read when the rule is loaded. */
export const checkHostLiterals: LiteralCheck = (call) => {
  const [first, second] = call.args;
  if (call.receiver === undefined && call.name === 'url') {
    const text = literalText(first);
    return text === undefined ? undefined : faultOf(() => readUrl(text));
  }
  if (isOn(call, 'host') && call.name === 'matches' && literalTexts(second).some((text) => parseHostPattern(text) === undefined))
    return `a pattern of host.matches() ${PATTERN_HINT}`;
  if (isOn(call, 'ip') && call.name === 'within' && literalTexts(second).some((text) => parseNetwork(text) === undefined))
    return `a network of ip.within() ${NETWORK_HINT}`;
  return undefined;
};

const PATTERN_HINT = "is no host; write 'ours.example', or '*.ours.example' for all below it";
const NETWORK_HINT = "is none; write '10.0.0.0/8' or 'fd00::/8', with no bits set behind the prefix";
const MAX_PATTERNS = 1000;
const STEPS_PER_PATTERN = 0.25;

export function isPrivate(host: Host): boolean {
  return host.kind === 'address' ? isPrivateAddress(host) : isPrivateName(host.text) || isMetadataName(host.text);
}

function isMetadata(host: Host): boolean {
  return host.kind === 'address' ? isMetadataAddress(host) : isMetadataName(host.text);
}

function isWildcardDns(host: Host): boolean {
  return host.kind === 'name' && isWildcardDnsName(host.text);
}

function urlOf(text: string): UrlValue {
  spend(1 + text.length / CHARS_PER_STEP);
  return remember('url', text, () => readUrl(text));
}

function onlyParameter(url: UrlValue, name: string): string {
  const values = url.parameters(name);
  if (values.length === 0) throw new ConditionFault('the url has no such parameter; queries(name) gives an empty list for it');
  if (values.length > 1) throw new ConditionFault('the url has this parameter more than once');
  return values[0] ?? '';
}

/** @throws {ConditionFault} when programs may read different hosts. */
function oneReading(text: string): Host {
  spend(1 + text.length / CHARS_PER_STEP);
  if (text === UNREADABLE_HOST) return { kind: 'name', text };
  if (isUrlText(text)) return readHost(urlOf(text).host);
  const { host, port } = splitPort(text);
  if (port !== undefined && !/^[1-9]\d{0,4}$/.test(port)) throw new ConditionFault('the host has no port that is a port');
  return readHost(host);
}

/** @throws {ConditionFault} when no program would read any. */
function anyReading(text: string): readonly Host[] {
  spend(1 + text.length / CHARS_PER_STEP);
  const hosts = isUrlText(text) ? looseUrlHosts(text) : looseHosts(splitPort(text).host);
  if (hosts.length === 0 && text !== UNREADABLE_HOST) throw new ConditionFault('the text is no host');
  return hosts;
}

function matchesAny(text: string, patterns: readonly unknown[]): boolean {
  const host = oneReading(text);
  return each(patterns, 'host.matches()', readPattern).some((pattern) => pattern.matches(host));
}

function isWithinAny(text: string, networks: readonly unknown[]): boolean {
  const host = oneReading(text);
  // Whether a name leads into a network is for the resolver to know, and it may say so tomorrow only.
  if (host.kind === 'name') throw new ConditionFault('ip.within() needs an address and got a name; ask ip.isAddress() first');
  return each(networks, 'ip.within()', readNetwork).some((network) => isWithin(host, network));
}

function each<T>(texts: readonly unknown[], what: string, read: (text: string) => T): readonly T[] {
  if (texts.length > MAX_PATTERNS) throw new ConditionFault(`${what} compares with at most ${MAX_PATTERNS} at once`);
  spend(texts.length * STEPS_PER_PATTERN);
  return texts.map((text) => {
    if (typeof text !== 'string') throw new ConditionFault(`${what} compares with texts only`);
    return read(text);
  });
}

const readPattern = cached((text: string): HostPattern => {
  const pattern = parseHostPattern(text);
  if (pattern === undefined) throw new ConditionFault(`a pattern of host.matches() ${PATTERN_HINT}`);
  return pattern;
});

const readNetwork = cached((text: string): Network => {
  const network = parseNetwork(text);
  if (network === undefined) throw new ConditionFault(`a network of ip.within() ${NETWORK_HINT}`);
  return network;
});

/** Most stand in rules and come again with every call; should they come out of arguments, the cache starts over. */
function cached<T>(read: (text: string) => T): (text: string) => T {
  const known = new Map<string, T>();
  return (text) => {
    let value = known.get(text);
    if (value === undefined) {
      value = read(text);
      if (known.size >= MAX_PATTERNS) known.clear();
      known.set(text, value);
    }
    return value;
  };
}

function faultOf(read: () => unknown): string | undefined {
  try {
    read();
    return undefined;
  } catch (error) {
    if (error instanceof ConditionFault) return error.message;
    throw error;
  }
}
