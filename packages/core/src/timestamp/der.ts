/**
 * DER (ITU-T X.690, chapter 10) as far as timestamps need it, from anybody. The reader never goes deeper than the caller,
 * who names the tag of what comes next, so nesting costs nothing; one value has one encoding.
 */

/** Why bytes are not what they should be. The message is ours alone. */
export class NotDer extends Error {
  override readonly name = 'NotDer';
}

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
  /** Constructed, context-specific; also of a string that is implicitly tagged and holds others. */
  context: (number: number): number => 0xa0 + number,
} as const;

const LONG_TAG = 0x1f;
const NULL = '0500';
/** Of the bytes of a length: 16 MB, far past what any caller hands in. */
const MAX_LENGTH_BYTES = 3;

export interface DerValue {
  readonly tag: number;
  readonly content: Uint8Array;
  /** With tag and length. */
  readonly whole: Uint8Array;
}

/** Reads values one after the other. Every method throws `NotDer`. */
export class DerReader {
  private readonly bytes: Uint8Array;
  private offset = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.offset === this.bytes.length;
  }

  next(): DerValue {
    const { bytes, offset } = this;
    const [tag, first] = [bytes[offset], bytes[offset + 1]];
    if (tag === undefined || first === undefined) throw new NotDer('it ends too early');
    if ((tag & LONG_TAG) === LONG_TAG) throw new NotDer('it holds a tag of many bytes');
    const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
    const start = offset + 2 + lengthBytes;
    const length = lengthBytes === 0 ? first : longLength(bytes.subarray(offset + 2, start), lengthBytes);
    const end = start + length;
    if (end > bytes.length) throw new NotDer('it ends too early');
    this.offset = end;
    return { tag, content: bytes.subarray(start, end), whole: bytes.subarray(offset, end) };
  }

  read(tag: number): DerValue {
    if (this.bytes[this.offset] !== tag) throw new NotDer('it holds something else than expected');
    return this.next();
  }

  optional(tag: number): DerValue | undefined {
    return this.bytes[this.offset] === tag ? this.next() : undefined;
  }

  open(tag: number): DerReader {
    return new DerReader(this.read(tag).content);
  }

  /** INTEGER, whole, so that equal numbers are equal bytes. */
  integer(): Uint8Array {
    const { content, whole } = this.read(TAG.integer);
    const [first, second] = content;
    if (first === undefined) throw new NotDer('it holds an empty number');
    if (second !== undefined && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80)))
      throw new NotDer('it holds a number that could be shorter');
    return whole;
  }

  /** A small INTEGER that may not be negative. */
  smallInteger(): number {
    const content = this.integer().subarray(2);
    if (content.length > 4 || (content[0] as number) >= 0x80) throw new NotDer('it holds a number out of range');
    return content.reduce((value, byte) => value * 256 + byte, 0);
  }

  /** BOOLEAN DEFAULT FALSE. That some spell the default out is let pass: wherever one stands, it is signed. */
  flag(): boolean {
    const given = this.optional(TAG.boolean)?.content;
    if (given === undefined) return false;
    if (given.length !== 1 || (given[0] !== 0xff && given[0] !== 0)) throw new NotDer('it holds a truth that is none');
    return given[0] === 0xff;
  }

  /** OBJECT IDENTIFIER, as hex of its content. */
  oid(): string {
    return hex(this.read(TAG.oid).content);
  }

  /** AlgorithmIdentifier: its OBJECT IDENTIFIER as hex. With parameters other than NULL it is another, that nobody here knows. */
  algorithm(): string {
    const inner = this.open(TAG.sequence);
    const name = inner.oid();
    const isPlain = inner.isAtEnd || hex(inner.next().whole) === NULL;
    inner.end();
    return isPlain ? name : `${name} with parameters`;
  }

  /** Every value that is left. */
  *rest(): Generator<DerValue> {
    while (!this.isAtEnd) yield this.next();
  }

  end(): void {
    if (!this.isAtEnd) throw new NotDer('it holds more than expected');
  }
}

function longLength(bytes: Uint8Array, count: number): number {
  // 0x80: the length stands nowhere (BER).
  if (count === 0 || count > MAX_LENGTH_BYTES) throw new NotDer('it holds an indefinite or huge length');
  if (bytes.length < count) throw new NotDer('it ends too early');
  const length = bytes.reduce((value, byte) => value * 256 + byte, 0);
  if (bytes[0] === 0 || length < 0x80) throw new NotDer('it holds a length that could be shorter');
  return length;
}

/** Writes a value. */
export function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  if (content.length < 0x80) return Buffer.concat([Buffer.of(tag, content.length), content]);
  if (content.length <= 0xff) return Buffer.concat([Buffer.of(tag, 0x81, content.length), content]);
  if (content.length > 0xffff) throw new RangeError('longer than anything that is written here');
  return Buffer.concat([Buffer.of(tag, 0x82, content.length >> 8, content.length & 0xff), content]);
}

/** An object identifier in numbers. */
export const OID_SHAPE: RegExp = /^[0-2](?:\.(?:0|[1-9][0-9]{0,8})){1,30}$/;

/** The content of an OBJECT IDENTIFIER; undefined when the text is none. */
export function oidOf(dotted: string): Buffer | undefined {
  const [root = 0, second = 0, ...more] = OID_SHAPE.test(dotted) ? dotted.split('.').map(Number) : [Number.NaN];
  if (Number.isNaN(root) || (root < 2 && second > 39)) return undefined;
  return Buffer.concat([root * 40 + second, ...more].map(base128));
}

function base128(value: number): Buffer {
  const digits = [value % 128];
  for (let rest = Math.floor(value / 128); rest > 0; rest = Math.floor(rest / 128)) digits.unshift((rest % 128) + 128);
  return Buffer.from(digits);
}

/** For names that are constants. */
export function oidHex(dotted: string): string {
  const content = oidOf(dotted);
  if (content === undefined) throw new RangeError(`no object identifier: ${dotted}`);
  return hex(content);
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}
