/** Addresses and networks. The addresses are canonical (see `host-text.ts`); none is ever looked up. */
import { ConditionFault } from '../../condition-value.ts';
import { type Address, addressOf } from './host-text.ts';

const WORD_BITS = 16;
const ALL = 0xffff;

/** Not on the public internet: this host, private, shared (CGNAT), link-local, benchmarks, multicast, reserved. */
const PRIVATE = networks([
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '224.0.0.0/3',
  '168.63.129.16/32', // Azure's host, from inside a machine only
  '::/127',
  '64:ff9b:1::/48',
  '100::/64',
  'fc00::/7',
  'fe80::/9',
  'ff00::/8',
]);

/** Where clouds hand out credentials to whoever asks from inside. */
const METADATA = networks([
  '169.254.169.254/32', // AWS, Google, Azure, Oracle, DigitalOcean, Hetzner ...
  '169.254.169.253/32', // AWS resolver
  '169.254.170.2/32', // AWS ECS
  '169.254.170.23/32', // AWS EKS
  '169.254.0.23/32', // Tencent
  '169.254.42.42/32', // Scaleway
  '100.100.100.200/32', // Alibaba
  '192.0.0.192/32', // Oracle, classic
  '168.63.129.16/32', // Azure
  'fd00:ec2::254/128', // AWS
  'fd00:ec2::23/128', // AWS EKS
  'fd20:ce::254/128', // Google
  'fd00:42::42/128', // Scaleway
]);

export function isPrivateAddress(address: Address): boolean {
  return isListed(PRIVATE, address);
}

export function isMetadataAddress(address: Address): boolean {
  return isListed(METADATA, address);
}

/** One network, such as `10.0.0.0/8`; a single address is a network of one. */
export interface Network {
  readonly family: 'ipv4' | 'ipv6';
  /** In pieces of 16 bits: two or eight. */
  readonly base: readonly number[];
  readonly prefix: number;
}

/** @returns undefined when it is none, or has bits set behind its prefix: `10.0.0.1/8` is a typing error. */
export function parseNetwork(text: string): Network | undefined {
  const [, start = '', digits] = /^([0-9a-fA-F:.]{2,45})(?:\/(0|[1-9]\d{0,2}))?$/.exec(text) ?? [];
  const address = addressOf(start);
  if (address === undefined) return undefined;
  const base = wordsOf(address);
  const bits = base.length * WORD_BITS;
  const prefix = digits === undefined ? bits : Number(digits);
  if (prefix > bits || base.some((word, index) => (word & ~maskOf(index, prefix)) !== 0)) return undefined;
  return { family: address.family, base, prefix };
}

/**
 * Whether an address lies in a network. An IPv4 address written as IPv6 (`::ffff:10.0.0.1`) is that IPv4 address.
 *
 * @throws {ConditionFault} for an IPv6 address that a gateway would turn into an IPv4 address of the network: it is in it for
 *   one machine and not for the next.
 */
export function isWithin(address: Address, network: Network): boolean {
  const words = wordsOf(address);
  if (address.family === network.family) return contains(network, words);
  if (address.family === 'ipv4') return false;
  if (isMapped(words)) return contains(network, words.slice(6));
  if (carriedV4(words).some((carried) => contains(network, carried)))
    throw new ConditionFault('ip.within() cannot tell where an IPv6 address leads that carries an IPv4 address');
  return false;
}

function isListed(list: readonly Network[], address: Address): boolean {
  const words = wordsOf(address);
  const carried = address.family === 'ipv6' ? carriedV4(words) : [];
  return [words, ...carried].some((one) => list.some((network) => contains(network, one)));
}

/** The words of the other family are fewer or more. */
function contains({ base, prefix }: Network, words: readonly number[]): boolean {
  return words.length === base.length && words.every((word, index) => (word & maskOf(index, prefix)) === base[index]);
}

/** The bits of a word that belong to the prefix. */
function maskOf(index: number, prefix: number): number {
  const kept = Math.min(Math.max(prefix - index * WORD_BITS, 0), WORD_BITS);
  return (ALL << (WORD_BITS - kept)) & ALL;
}

function networks(texts: readonly string[]): readonly Network[] {
  return texts.map((text) => {
    const network = parseNetwork(text);
    if (network === undefined) throw new RangeError(`${text} is no network`);
    return network;
  });
}

/** `::ffff:a.b.c.d`: every system sends this to the IPv4 address. */
function isMapped(words: readonly number[]): boolean {
  return isZero(words.slice(0, 5)) && words[5] === ALL;
}

/** IPv4 addresses inside an IPv6 one: mapped, compatible, translated (SIIT), NAT64, 6to4, Teredo (server and client), ISATAP. */
function carriedV4(words: readonly number[]): readonly (readonly number[])[] {
  const [w0 = 0, w1 = 0, w2 = 0, w3 = 0, w4 = 0, w5 = 0, w6 = 0, w7 = 0] = words;
  const last = [w6, w7];
  if (isZero(words.slice(0, 4)) && ((w4 === 0 && (w5 === ALL || w5 === 0)) || (w4 === ALL && w5 === 0))) return [last];
  if (w0 === 0x64 && w1 === 0xff9b && isZero([w2, w3, w4, w5])) return [last];
  if (w0 === 0x2002) return [[w1, w2]];
  if (w0 === 0x2001 && w1 === 0)
    return [
      [w2, w3],
      [w6 ^ ALL, w7 ^ ALL],
    ];
  // The interface identifier of a tunnel's end.
  if ((w4 & 0xfdff) === 0 && w5 === 0x5efe) return [last];
  return [];
}

function isZero(words: readonly number[]): boolean {
  return words.every((word) => word === 0);
}

/** The address in pieces of 16 bits. WHATWG writes an IPv6 address without dots. */
function wordsOf({ family, text }: Address): readonly number[] {
  if (family === 'ipv4') {
    const [a = 0, b = 0, c = 0, d = 0] = text.split('.').map(Number);
    return [a * 256 + b, c * 256 + d];
  }
  const [head = '', tail] = text.split('::');
  const read = (part: string): number[] => (part === '' ? [] : part.split(':').map((word) => Number.parseInt(word, 16)));
  const start = read(head);
  if (tail === undefined) return start;
  const end = read(tail);
  return [...start, ...Array.from({ length: 8 - start.length - end.length }, () => 0), ...end];
}
