/**
 * A strict reader of JSON bytes that builds nothing. It answers what `JSON.parse` cannot: would another parser read
 * these bytes differently?
 *
 * The proxy decides on what *it* parsed and forwards the bytes. Every place where two correct parsers may disagree is
 * therefore a way around the decision: repeated keys (first or last wins?), numbers beyond a double, `__proto__`, lone
 * surrogates, keys that are the same but for case. All input is the client's.
 */
import { isUtf8 } from 'node:buffer';
import { isLossyNumber } from '@countersign/core';
import { lookalike } from './lookalike.ts';

/** Deepest nesting of objects and arrays that is read. */
export const MAX_DEPTH = 200;

/** Where in a JSON-RPC message: members of the message or of one in a batch, members of its `params`, below those, below other members. */
export type Zone = 'top' | 'params' | 'inside-params' | 'elsewhere';
export type FlawKind = 'duplicate-key' | 'proto-key' | 'lookalike-key' | 'lossy-number' | 'lone-surrogate';

export interface Flaw {
  readonly kind: FlawKind;
  readonly zone: Zone;
  /** Byte offset of the first one of this kind in this zone. */
  readonly offset: number;
}

export type JsonScan =
  | { readonly ok: false; readonly fault: 'not-utf8' | 'not-json' | 'too-deep'; readonly offset: number }
  | {
      readonly ok: true;
      readonly topLevel: 'object' | 'array' | 'scalar';
      /** At most one of each kind and zone, so that many harmless ones cannot hide another. */
      readonly flaws: readonly Flaw[];
      /** Bytes of the value of the top-level member `id`, the last if repeated. */
      readonly id?: { readonly start: number; readonly end: number };
    };

/** Keys that decide what a message is, and so must be spelt in one way only. */
export const DECIDING_KEYS: ReadonlySet<string> = new Set(['jsonrpc', 'id', 'method', 'params', 'name', 'arguments']);

/**
 * Scans one JSON text (RFC 8259, no byte order mark). Accepts what `JSON.parse` accepts, up to `MAX_DEPTH`.
 *
 * @param decidingKeys - no other key of the message or its `params` may look like one of these; default for a client's message.
 */
export function scanJson(bytes: Buffer, decidingKeys: ReadonlySet<string> = DECIDING_KEYS): JsonScan {
  if (!isUtf8(bytes)) return { ok: false, fault: 'not-utf8', offset: 0 };
  return new Scanner(bytes, decidingKeys).scan();
}

class Fault extends Error {
  readonly fault: 'not-json' | 'too-deep';
  constructor(fault: 'not-json' | 'too-deep') {
    super(fault);
    this.fault = fault;
  }
}

class Scanner {
  readonly #bytes: Buffer;
  readonly #decidingKeys: ReadonlySet<string>;
  #at = 0;
  #flaws: Map<string, Flaw> | undefined;
  #id: { readonly start: number; readonly end: number } | undefined;

  constructor(bytes: Buffer, decidingKeys: ReadonlySet<string>) {
    this.#bytes = bytes;
    this.#decidingKeys = decidingKeys;
  }

  scan(): JsonScan {
    try {
      this.#space();
      const opening = this.#bytes[this.#at];
      this.#value('top', 0);
      this.#space();
      if (this.#at !== this.#bytes.length) throw new Fault('not-json');
      const topLevel = opening === 0x7b ? 'object' : opening === 0x5b ? 'array' : 'scalar';
      const flaws = this.#flaws === undefined ? [] : [...this.#flaws.values()];
      return { ok: true, topLevel, flaws, ...(this.#id === undefined ? {} : { id: this.#id }) };
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      return { ok: false, fault: error.fault, offset: this.#at };
    }
  }

  /** `zone` is where the value stands; `depth` counts the containers around it. */
  #value(zone: Zone, depth: number): void {
    const byte = this.#bytes[this.#at];
    if (byte === 0x22) this.#string(zone);
    else if (byte === 0x7b) this.#object(zone, depth + 1);
    else if (byte === 0x5b) this.#array(zone, depth + 1);
    else if (byte === 0x74) this.#word('true');
    else if (byte === 0x66) this.#word('false');
    else if (byte === 0x6e) this.#word('null');
    else this.#number(zone);
  }

  #object(zone: Zone, depth: number): void {
    if (depth > MAX_DEPTH) throw new Fault('too-deep');
    const keys = new Keys();
    this.#at += 1;
    this.#space();
    if (this.#skip(0x7d)) return;
    do {
      this.#space();
      const offset = this.#at;
      const key = this.#key(zone);
      this.#judgeKey(key, keys.add(key), zone, offset);
      this.#space();
      this.#expect(0x3a);
      this.#space();
      const start = this.#at;
      this.#value(zoneOf(zone, depth, key), depth);
      if (depth === 1 && key === 'id') this.#id = { start, end: this.#at };
      this.#space();
    } while (this.#skip(0x2c));
    this.#expect(0x7d);
  }

  #array(zone: Zone, depth: number): void {
    if (depth > MAX_DEPTH) throw new Fault('too-deep');
    this.#at += 1;
    this.#space();
    if (this.#skip(0x5d)) return;
    do {
      this.#space();
      this.#value(elementZone(zone, depth), depth);
      this.#space();
    } while (this.#skip(0x2c));
    this.#expect(0x5d);
  }

  #judgeKey(key: string, isNew: boolean, zone: Zone, offset: number): void {
    if (!isNew) this.#flaw('duplicate-key', zone, offset);
    if (key === '__proto__') this.#flaw('proto-key', zone, offset);
    const deciding = zone === 'top' || zone === 'params';
    if (deciding && lookalike(key, this.#decidingKeys) !== undefined) this.#flaw('lookalike-key', zone, offset);
  }

  /** Reads a key and gives it with escapes decoded: `"na\u006de"` is the key `name`. */
  #key(zone: Zone): string {
    const start = this.#at;
    if (this.#bytes[start] !== 0x22) throw new Fault('not-json');
    const escaped = this.#string(zone);
    if (!escaped) return this.#bytes.toString('utf8', start + 1, this.#at - 1);
    return String(JSON.parse(this.#bytes.toString('utf8', start, this.#at)));
  }

  /** Reads a string; true if it holds an escape. */
  #string(zone: Zone): boolean {
    const start = this.#at;
    let escaped = false;
    let high = -1; // where a high surrogate escape ended that still needs its low half
    let lone = false;
    for (this.#at += 1; ; ) {
      const byte = this.#bytes[this.#at];
      if (byte === undefined || byte < 0x20) throw new Fault('not-json');
      if (byte === 0x22) break;
      if (byte !== 0x5c) {
        this.#at += 1;
        continue;
      }
      escaped = true;
      const unitAt = this.#at;
      const unit = this.#escape();
      const completes = high === unitAt && unit >= 0xdc00 && unit <= 0xdfff;
      if ((high !== -1 && !completes) || (!completes && unit >= 0xdc00 && unit <= 0xdfff)) lone = true;
      high = unit >= 0xd800 && unit <= 0xdbff ? this.#at : -1;
    }
    this.#at += 1;
    if (lone || high !== -1) this.#flaw('lone-surrogate', zone, start);
    return escaped;
  }

  /** Reads one escape; its code unit for `\uXXXX`, 0 for the short ones. */
  #escape(): number {
    const kind = this.#bytes[this.#at + 1];
    if (kind !== 0x75) {
      // " \ / b f n r t
      if (kind === undefined || !'"\\/bfnrt'.includes(String.fromCharCode(kind))) throw new Fault('not-json');
      this.#at += 2;
      return 0;
    }
    const digits = this.#bytes.toString('latin1', this.#at + 2, this.#at + 6);
    if (!/^[0-9a-fA-F]{4}$/.test(digits)) throw new Fault('not-json');
    this.#at += 6;
    return Number.parseInt(digits, 16);
  }

  #number(zone: Zone): void {
    const start = this.#at;
    this.#skip(0x2d);
    if (!this.#skip(0x30)) this.#digits();
    if (this.#skip(0x2e)) this.#digits();
    if (this.#skip(0x65) || this.#skip(0x45)) {
      if (!this.#skip(0x2b)) this.#skip(0x2d);
      this.#digits();
    }
    if (isLossyNumber(this.#bytes.toString('latin1', start, this.#at))) this.#flaw('lossy-number', zone, start);
  }

  #digits(): void {
    const start = this.#at;
    for (let byte = this.#bytes[this.#at]; byte !== undefined && byte >= 0x30 && byte <= 0x39; byte = this.#bytes[this.#at]) this.#at += 1;
    if (this.#at === start) throw new Fault('not-json');
  }

  #word(word: string): void {
    if (this.#bytes.toString('latin1', this.#at, this.#at + word.length) !== word) throw new Fault('not-json');
    this.#at += word.length;
  }

  #space(): void {
    for (let byte = this.#bytes[this.#at]; byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d; byte = this.#bytes[this.#at]) {
      this.#at += 1;
    }
  }

  #skip(byte: number): boolean {
    if (this.#bytes[this.#at] !== byte) return false;
    this.#at += 1;
    return true;
  }

  #expect(byte: number): void {
    if (!this.#skip(byte)) throw new Fault('not-json');
  }

  #flaw(kind: FlawKind, zone: Zone, offset: number): void {
    const name = `${kind} ${zone}`;
    this.#flaws ??= new Map();
    if (!this.#flaws.has(name)) this.#flaws.set(name, { kind, zone, offset });
  }
}

/** As a rule an object has a few keys, and a list of them costs less than a set. */
const FEW_KEYS = 8;

class Keys {
  readonly #few: string[] = [];
  #many: Set<string> | undefined;

  /** @returns false for one that was added before. */
  add(key: string): boolean {
    if (this.#many?.has(key) ?? this.#few.includes(key)) return false;
    if (this.#many !== undefined) this.#many.add(key);
    else if (this.#few.push(key) > FEW_KEYS) this.#many = new Set(this.#few);
    return true;
  }
}

/** The zone of an element. Those of a batch are messages themselves. */
function elementZone(zone: Zone, depth: number): Zone {
  if (zone === 'params') return 'inside-params';
  return zone === 'top' && depth > 1 ? 'elsewhere' : zone;
}

/** The zone of the value of `key`. An object's members share the zone of the object itself, except at these two steps. */
function zoneOf(zone: Zone, depth: number, key: string): Zone {
  if (zone === 'inside-params' || zone === 'elsewhere') return zone;
  if (zone === 'params') return 'inside-params';
  return depth === 1 && key === 'params' ? 'params' : 'elsewhere';
}
