/**
 * One host, as every program would read it.
 *
 * Who controls the text: the agent. A browser, curl, a resolver and a library of a tool may each take the same text for another
 * host: `0177.0.0.1` is 127.0.0.1 or 177.0.0.1, a fullwidth or invisible character is dropped by one and sent by another,
 * `%2e` is a dot or is not. `readHost` accepts only what they all read alike and gives it one spelling; everything else is a
 * fault. `looseHosts` gives every reading instead, for questions where any of them is bad news.
 */
import { domainToASCII } from 'node:url';
import { ConditionFault } from '../../condition-value.ts';

export type Host =
  /** Lower case, in ASCII (`xn--`), without the dot at the end. */
  { readonly kind: 'name'; readonly text: string } | Address;

/** As WHATWG writes it: `127.0.0.1`, `fe80::1` without brackets. */
export interface Address {
  readonly kind: 'address';
  readonly family: 'ipv4' | 'ipv6';
  readonly text: string;
}

const MAX_HOST_CHARS = 255;
const MAX_NAME_CHARS = 253;
const MAX_LABEL_CHARS = 63;
/** Longest text that is searched for readings. */
const MAX_LOOSE_CHARS = 2048;
const ASCII_NAME = /^[A-Za-z0-9._-]+$/;
/** A last label like this makes parsers that know numbers read an address. */
const NUMERIC_LABEL = /^(?:\d+|0x[0-9a-f]*)$/;
/** Other dots, and the four characters that IDNA 2003 and 2008 read differently. */
const DISPUTED = /[\u3002\uff0e\uff61ßẞς\u200c\u200d]/;
/** What is not seen, and moves what is: controls, spaces, invisible and direction marks, private use, halves of characters. */
export const UNSEEN: RegExp = /[\p{Cc}\p{Cf}\p{Z}\p{Co}\p{Cs}\p{Default_Ignorable_Code_Point}]/u;
const ALL_UNSEEN = new RegExp(UNSEEN, 'gu');

/** @throws {ConditionFault} for what programs would read in different ways, and for what is no host. */
export function readHost(text: string): Host {
  const host = text.length <= MAX_HOST_CHARS ? (addressOf(text) ?? nameOf(text)) : undefined;
  if (host === undefined) throw new ConditionFault('the text is no host that all programs read alike');
  return host;
}

/**
 * Every host that some program may read in the text of one host, in any spelling; none when nothing could be reached.
 * A clean text has one reading.
 */
export function looseHosts(text: string): readonly Host[] {
  const strict = text.length <= MAX_HOST_CHARS ? (addressOf(text) ?? nameOf(text)) : undefined;
  if (strict !== undefined) return [strict];
  if (text.length > MAX_LOOSE_CHARS) return [];
  const found = new Map<string, Host>();
  const add = (host: Host | undefined): void => {
    if (host !== undefined) found.set(host.text, host);
  };
  for (const spelling of spellingsOf(text)) {
    const ascii = spelling.split(':').length > 2 ? bracketed(spelling) : spelling;
    add(whatwgHost(ascii));
    add(addressOf(withoutZone(spelling)));
    add(nameOf(spelling));
    add(decimalReading(spelling));
  }
  return [...found.values()];
}

function spellingsOf(text: string): ReadonlySet<string> {
  const visible = text.replace(ALL_UNSEEN, '');
  const first = text.split(/[\p{Cc}\p{Z}]/u, 1)[0] ?? '';
  const decoded = percentDecoded(visible).replace(ALL_UNSEEN, '');
  const folded = decoded
    .replaceAll(/[ßẞ]/g, 'ss')
    .replaceAll('ς', 'σ')
    .replaceAll(/[\u3002\uff0e\uff61]/g, '.');
  return new Set([visible, first, decoded, folded, folded.normalize('NFKC')].map((spelling) => spelling.replace(/\.+$/, '')));
}

function percentDecoded(text: string): string {
  return text.replaceAll(/(?:%[0-9a-f]{2})+/gi, (escapes) => Buffer.from(escapes.replaceAll('%', ''), 'hex').toString('utf8'));
}

function withoutZone(text: string): string {
  return text.replace(/%[^\]]*(?=\]?$)/, '');
}

function bracketed(text: string): string {
  return text.startsWith('[') ? withoutZone(text) : `[${withoutZone(text)}]`;
}

/** What a browser and `fetch` connect to. */
function whatwgHost(text: string): Host | undefined {
  if (text === '' || /[/?#@\\]/.test(text)) return undefined;
  const { hostname } = URL.parse(`http://${text}/`) ?? {};
  if (hostname === undefined || hostname === '') return undefined;
  return addressOf(hostname) ?? nameOf(hostname);
}

/** `010.0.0.1` for programs that do not know octal numbers. */
function decimalReading(text: string): Host | undefined {
  if (!/^\d+\.\d+\.\d+\.\d+$/.test(text)) return undefined;
  return addressOf(text.split('.').map(Number).join('.'));
}

const BYTE = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const IPV4 = new RegExp(`^${BYTE}(?:\\.${BYTE}){3}$`);

/** An address in the spelling that everybody reads alike, an IPv6 one with or without brackets; undefined for anything else. */
export function addressOf(text: string): Address | undefined {
  if (IPV4.test(text)) return { kind: 'address', family: 'ipv4', text };
  const inner = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text;
  if (!inner.includes(':') || !/^[0-9a-fA-F:.]{2,45}$/.test(inner)) return undefined;
  const { hostname } = URL.parse(`http://[${inner}]/`) ?? {};
  return hostname === undefined ? undefined : { kind: 'address', family: 'ipv6', text: hostname.slice(1, -1) };
}

function nameOf(text: string): Host | undefined {
  const ascii = asciiName(text);
  if (ascii === undefined) return undefined;
  const name = ascii.endsWith('.') ? ascii.slice(0, -1) : ascii;
  if (name === '' || name.length > MAX_NAME_CHARS) return undefined;
  const labels = name.split('.');
  if (labels.some((label) => label === '' || label.length > MAX_LABEL_CHARS)) return undefined;
  return NUMERIC_LABEL.test(labels.at(-1) ?? '') ? undefined : { kind: 'name', text: name };
}

function asciiName(text: string): string | undefined {
  if (ASCII_NAME.test(text)) return text.toLowerCase();
  if (text.normalize('NFKC') !== text || DISPUTED.test(text) || UNSEEN.test(text)) return undefined;
  // Letters, marks and digits: a slash of another alphabet is no slash, and looks like one.
  if (/[^A-Za-z0-9._\-\p{L}\p{M}\p{N}\u00b7\u30fb]/u.test(text)) return undefined;
  const ascii = domainToASCII(text);
  return ascii !== '' && ASCII_NAME.test(ascii) ? ascii : undefined;
}
