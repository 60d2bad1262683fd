/** The body of a request or an answer, as the one message it is. Bounded, each and all of them together. */
import type { IncomingMessage } from 'node:http';
import { EXCERPT_BYTES, type Line, MAX_MESSAGE_BYTES } from '../wire.ts';

/** Bytes of bodies that are being read at once. */
export const MAX_BUFFERED_BYTES: number = 512 * 1024 * 1024;

const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);

/** What all bodies that are being read take together. */
export class BodyBudget {
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxBytes: number = MAX_BUFFERED_BYTES) {
    this.#maxBytes = maxBytes;
  }

  take(sizeBytes: number): boolean {
    if (this.#bytes + sizeBytes > this.#maxBytes) return false;
    this.#bytes += sizeBytes;
    return true;
  }

  give(sizeBytes: number): void {
    this.#bytes -= sizeBytes;
  }
}

export interface ReadBodyOptions {
  /** What becomes of a body over `MAX_MESSAGE_BYTES`; default `skip`: read to its end and not kept. `cut`: the connection is taken away. */
  readonly overLimit?: 'skip' | 'cut';
  /** The bytes of a whole body stay taken from the budget: its reader gives them back. */
  readonly keeps?: boolean;
}

/** @returns `gone`: it broke off; `busy`: there is no room for it. */
export function readBody(
  message: IncomingMessage,
  budget: BodyBudget,
  { overLimit = 'skip', keeps = false }: ReadBodyOptions = {},
): Promise<Line | 'gone' | 'busy'> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let [sizeBytes, heldBytes] = [0, 0];
    let head: Buffer | undefined;
    let tail: Buffer = Buffer.alloc(0);
    let isOver = false;
    const finish = (result: Line | 'gone' | 'busy'): void => {
      if (isOver) return;
      isOver = true;
      if (!keeps || typeof result === 'string') budget.give(heldBytes);
      heldBytes = 0;
      chunks.length = 0;
      resolve(result);
    };
    const take = (chunk: Buffer): void => {
      if (isOver) return;
      sizeBytes += chunk.length;
      if (head !== undefined) {
        tail = lastBytes(tail, chunk);
        return;
      }
      chunks.push(chunk);
      if (sizeBytes > MAX_MESSAGE_BYTES) {
        const held = Buffer.concat(chunks.splice(0));
        head = Buffer.from(held.subarray(0, EXCERPT_BYTES));
        tail = lastBytes(tail, held);
        budget.give(heldBytes);
        heldBytes = 0;
        if (overLimit === 'skip') return;
        message.destroy();
        finish({ kind: 'oversize', sizeBytes, head, tail });
      } else if (budget.take(chunk.length)) heldBytes += chunk.length;
      else finish('busy');
    };
    const whole = (): void => {
      if (head !== undefined) return finish({ kind: 'oversize', sizeBytes, head, tail });
      if (isOver) return;
      const [first] = chunks;
      finish(bodyLine(chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks)));
    };
    // Its own end of a broken message is `close`, which comes after every other one too.
    message
      .on('data', take)
      .on('end', whole)
      .on('close', () => finish('gone'));
    message.on('error', () => {});
  });
}

export function bodyLine(bytes: Buffer): Line {
  const isMarked = bytes[0] === BYTE_ORDER_MARK[0] && bytes.subarray(0, 3).equals(BYTE_ORDER_MARK);
  return { kind: 'line', bytes, content: isMarked ? bytes.subarray(3) : bytes };
}

function lastBytes(before: Buffer, part: Buffer): Buffer {
  const joined = Buffer.concat([before.subarray(-EXCERPT_BYTES), part.subarray(-EXCERPT_BYTES)]);
  return Buffer.from(joined.subarray(-EXCERPT_BYTES));
}

/** Without the line end of stdio. */
export function trimmed(bytes: Buffer): Buffer {
  let end = bytes.length;
  while (end > 0 && (bytes[end - 1] === 0x0a || bytes[end - 1] === 0x0d)) end -= 1;
  return bytes.subarray(0, end);
}
