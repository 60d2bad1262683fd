/** Addresses in whatever spelling a program or a resolver takes: decimal, octal, hexadecimal, mapped into IPv6. */

/** Longest text that may be an address. */
const MAX_ADDRESS_CHARS = 64;

/**
 * One spelling for an address: dotted IPv4 also where it came mapped, translated (NAT64) or as `0xA9FEA9FE`; IPv6 as eight groups.
 * Undefined when the text is no address.
 */
export function canonicalAddress(text: string): string | undefined {
  if (text.length === 0 || text.length > MAX_ADDRESS_CHARS) return undefined;
  const bare = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text;
  if (!bare.includes(':')) return dotted(parseV4(bare));
  const groups = parseV6(bare.split('%')[0] ?? '');
  if (groups === undefined) return undefined;
  return dotted(embeddedV4(groups)) ?? groups.map((group) => group.toString(16)).join(':');
}

export function isLoopback(address: string): boolean {
  // The unspecified address leads to this host as well.
  return address.startsWith('127.') || address === '0:0:0:0:0:0:0:1' || address === '0.0.0.0' || address === '0:0:0:0:0:0:0:0';
}

function dotted(value: number | undefined): string | undefined {
  if (value === undefined) return undefined;
  return [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255].join('.');
}

/** As `inet_aton` reads it: one to four parts, the last one fills what is left. */
function parseV4(text: string): number | undefined {
  const parts = text.endsWith('.') ? text.slice(0, -1).split('.') : text.split('.');
  if (parts.length > 4) return undefined;
  const numbers: number[] = [];
  for (const part of parts) {
    const number = parseNumber(part);
    if (number === undefined) return undefined;
    numbers.push(number);
  }
  const last = numbers.pop() ?? 0;
  if (numbers.some((number) => number > 255) || last >= 256 ** (4 - numbers.length)) return undefined;
  return numbers.reduce((value, number, index) => value + number * 256 ** (3 - index), 0) + last;
}

function parseNumber(text: string): number | undefined {
  if (/^0x[0-9a-f]{1,16}$/i.test(text)) return Number(text);
  if (/^0[0-7]{1,21}$/.test(text)) return Number.parseInt(text, 8);
  return /^(?:0|[1-9]\d{0,14})$/.test(text) ? Number(text) : undefined;
}

function parseV6(text: string): readonly number[] | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [head, tail] = [groupsOf(halves[0] ?? ''), groupsOf(halves[1] ?? '')];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1) return missing === 0 ? head : undefined;
  return missing < 1 ? undefined : [...head, ...Array.from({ length: missing }, () => 0), ...tail];
}

function groupsOf(text: string): readonly number[] | undefined {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (const [index, part] of parts.entries()) {
    if (index === parts.length - 1 && part.includes('.')) {
      const value = parseV4(part);
      if (value === undefined) return undefined;
      groups.push(value >>> 16, value & 0xffff);
    } else if (/^[0-9a-f]{1,4}$/i.test(part)) groups.push(Number.parseInt(part, 16));
    else return undefined;
  }
  return groups.length > 8 ? undefined : groups;
}

/** Mapped (`::ffff:a.b.c.d`), compatible (`::a.b.c.d`), translated (`64:ff9b::a.b.c.d`), 6to4 (`2002:AABB:CCDD::`). */
function embeddedV4(groups: readonly number[]): number | undefined {
  const [a = 0, b = 0, c = 0, , , f = 0, high = 0, low = 0] = groups;
  const zeros = (from: number, to: number): boolean => groups.slice(from, to).every((group) => group === 0);
  const last = high * 65_536 + low;
  if (zeros(0, 5) && f === 0xffff) return last;
  if (zeros(0, 4) && groups[4] === 0xffff && f === 0) return last;
  if (zeros(0, 6) && last > 1) return last;
  if (a === 0x64 && b === 0xff9b && zeros(2, 6)) return last;
  return a === 0x2002 ? b * 65_536 + c : undefined;
}
