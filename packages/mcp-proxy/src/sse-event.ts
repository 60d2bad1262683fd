/**
 * One event of an event stream (WHATWG HTML, "server-sent events"), read and written without touching what is not ours to change.
 *
 *     id: 7\n
 *     data: {"jsonrpc":"2.0","id":1,"result":{}}\n
 *     \n
 *
 * Lines end with LF, CR or CRLF. Several `data` lines are one text, joined by LF. Lines without a known name say nothing,
 * comments (`:`) among them.
 */

export interface SseEvent {
  readonly kind: 'event';
  /** Exactly as received, from the first byte after the event before it to the end of its blank line. */
  readonly bytes: Buffer;
  /** How many bytes of them stand before the first line: a byte order mark, or the second half of the line end before. */
  readonly start: number;
  /** Absent for an event without a `data` line: readers dispatch nothing, but take its id and retry. */
  readonly data?: Buffer;
  /** What a client resumes after; empty: there is nothing to resume after any more. */
  readonly id?: string;
  /** Absent: `message`. */
  readonly event?: string;
  /** Milliseconds to wait before connecting again. */
  readonly retry?: number;
}

const LF = 0x0a;
const CR = 0x0d;
const COLON = 0x3a;
const SPACE = 0x20;

/**
 * @param bytes - one event with its blank line, or the beginning of one.
 * @param start - where its first line begins.
 */
export function readEvent(bytes: Buffer, start = 0): SseEvent {
  const data = new DataLines(bytes.length);
  const fields: { id?: string; event?: string; retry?: number } = {};
  eachLine(bytes, start, (from, end) => {
    const name = fieldOf(bytes, from, end);
    if (name === undefined) return;
    const value = bytes.subarray(valueAt(bytes, from + name.length, end), end);
    if (name === 'data') data.add(value);
    // A reader ignores an id with NUL, and a retry that is no number.
    else if (name === 'id' && !value.includes(0)) fields.id = value.toString('utf8');
    else if (name === 'event') fields.event = value.toString('utf8');
    else if (name === 'retry' && /^\d{1,9}$/.test(value.toString('latin1'))) fields.retry = Number(value.toString('latin1'));
  });
  const text = data.joined();
  return { kind: 'event', bytes, start, ...(text !== undefined && { data: text }), ...fields };
}

/**
 * The event with other data, everything else byte for byte as it was: other fields, comments, order, line ends.
 *
 * @param data - every line end in it becomes one of the event's; to JSON they are all space.
 */
export function withData(event: SseEvent, data: Buffer): Buffer {
  const { bytes } = event;
  const parts: Buffer[] = [];
  let done = 0;
  let isWritten = false;
  const write = (at: number, prefix: Buffer, terminator: Buffer): void => {
    parts.push(bytes.subarray(done, at), ...dataLines(data, prefix, terminator));
    done = at;
    isWritten = true;
  };
  eachLine(bytes, event.start, (start, end, next) => {
    const terminator = bytes.subarray(end, next);
    if (fieldOf(bytes, start, end) === 'data') {
      const value = valueAt(bytes, start + DATA_NAME.length, end);
      // As the event writes it: `data:` or `data: `.
      if (!isWritten) write(start, value === end ? DATA : bytes.subarray(start, value), terminator);
      else parts.push(bytes.subarray(done, start));
      done = next;
      // Two line ends, which the line between them kept apart.
      if (parts.findLast((part) => part.length > 0)?.at(-1) === CR && bytes[done] === LF) parts.push(NEWLINE);
    } else if (start === end && !isWritten && next === bytes.length) write(start, DATA, terminator);
  });
  parts.push(bytes.subarray(done));
  return Buffer.concat(parts);
}

/** An event of ours. `id` and `event` must hold no line end. */
export function formatEvent({ data, id, event, retry }: Omit<SseEvent, 'kind' | 'bytes' | 'start'>): Buffer {
  const lines = [
    ...(id === undefined ? [] : [`id: ${id}\n`]),
    ...(event === undefined ? [] : [`event: ${event}\n`]),
    ...(retry === undefined ? [] : [`retry: ${retry}\n`]),
  ].map((line) => Buffer.from(line));
  return Buffer.concat([...lines, ...(data === undefined ? [] : dataLines(data, DATA, NEWLINE)), NEWLINE]);
}

const DATA = Buffer.from('data: ');
const NEWLINE = Buffer.from('\n');

/** The data as lines of an event. */
function dataLines(data: Buffer, prefix: Buffer, terminator: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  let start = 0;
  for (;;) {
    let end = start;
    while (end < data.length && data[end] !== LF && data[end] !== CR) end += 1;
    const text = data.subarray(start, end);
    // A reader drops one space after the colon.
    parts.push(prefix.at(-1) === COLON && text[0] === SPACE ? DATA : prefix, text, terminator);
    if (end === data.length) return parts;
    start = end + (data[end] === CR && data[end + 1] === LF ? 2 : 1);
  }
}

/** @param visit - told where a line begins, where its terminator does, and where the next line. */
function eachLine(bytes: Buffer, from: number, visit: (start: number, end: number, next: number) => void): void {
  let start = from;
  let [lf, cr] = [-1, -1];
  while (start < bytes.length) {
    if (lf < start) lf = indexOrEnd(bytes, LF, start);
    if (cr < start) cr = indexOrEnd(bytes, CR, start);
    const end = Math.min(lf, cr);
    const next = Math.min(end === cr && lf === cr + 1 ? end + 2 : end + 1, bytes.length);
    visit(start, end, next);
    start = next;
  }
}

function indexOrEnd(bytes: Buffer, byte: number, start: number): number {
  const index = bytes.indexOf(byte, start);
  return index === -1 ? bytes.length : index;
}

const DATA_NAME = 'data';
const NAMES = [DATA_NAME, 'id', 'event', 'retry'] as const;

/** The name of a line's field, if it has a meaning. */
function fieldOf(bytes: Buffer, start: number, end: number): (typeof NAMES)[number] | undefined {
  return NAMES.find((name) => isNamed(bytes, start, end, name));
}

function isNamed(bytes: Buffer, start: number, end: number, name: string): boolean {
  const after = start + name.length;
  if (after > end || (after < end && bytes[after] !== COLON)) return false;
  for (let i = 0; i < name.length; i++) if (bytes[start + i] !== name.charCodeAt(i)) return false;
  return true;
}

/** Where the value begins, behind the name that ends at `after`: one space before it does not count. */
function valueAt(bytes: Buffer, after: number, end: number): number {
  const from = Math.min(after + 1, end);
  return from < end && bytes[from] === SPACE ? from + 1 : from;
}

/** Values of `data` lines as one text. The peer chooses how many there are: no object is kept for each. */
class DataLines {
  readonly #most: number;
  #first: Buffer | undefined;
  #joined: Buffer | undefined;
  #sizeBytes = 0;

  constructor(most: number) {
    this.#most = most;
  }

  add(value: Buffer): void {
    if (this.#first === undefined) {
      this.#first = value;
      return;
    }
    if (this.#joined === undefined) {
      this.#joined = Buffer.allocUnsafe(this.#most);
      this.#sizeBytes = this.#first.copy(this.#joined);
    }
    this.#joined[this.#sizeBytes] = LF;
    this.#sizeBytes += 1 + value.copy(this.#joined, this.#sizeBytes + 1);
  }

  joined(): Buffer | undefined {
    return this.#joined?.subarray(0, this.#sizeBytes) ?? this.#first;
  }
}
