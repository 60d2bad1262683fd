/** From node's message to a web-standard request, whole and unambiguous, or a status that says why not. */
import type { IncomingMessage } from 'node:http';

export type ReadRequest =
  | { readonly kind: 'request'; readonly request: Request }
  | { readonly kind: 'refused'; readonly status: 400 | 405 | 413 | 503 }
  /** Objected to for its headers; its body was not kept. */
  | { readonly kind: 'objected'; readonly answer: Response }
  /** The peer left before it had sent everything. */
  | { readonly kind: 'gone' };

export interface BodyLimits {
  readonly maxBytes: number;
  /** Of all bodies that are being read. */
  readonly budget: BodyBudget;
  /** Asked once a body grows past `SMALL_BODY_BYTES`, with a request that has none. */
  readonly objectionTo: (head: Request) => Response | undefined;
}

/** So much of every body is read for whoever can connect. */
export const SMALL_BODY_BYTES = 65_536;

/** What bodies that are being read take together, each beyond its first `SMALL_BODY_BYTES`. */
export class BodyBudget {
  #left: number;

  constructor(maxBytes: number) {
    this.#left = maxBytes;
  }

  /** False when there is no room. Given back by `give`. */
  take(sizeBytes: number): boolean {
    if (sizeBytes > this.#left) return false;
    this.#left -= sizeBytes;
    return true;
  }

  give(sizeBytes: number): void {
    this.#left += sizeBytes;
  }
}

const MAX_TARGET_CHARS = 4_096;
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
const WITHOUT_BODY: ReadonlySet<string> = new Set(['GET', 'HEAD']);
/** A second one of these would be read differently by somebody else on the way. */
const SINGLE: readonly string[] = [
  'host',
  'origin',
  'content-type',
  'content-length',
  'transfer-encoding',
  'sec-fetch-site',
  'authorization',
  'content-encoding',
  'webhook-id',
  'webhook-timestamp',
  'webhook-signature',
  'x-slack-request-timestamp',
  'x-slack-signature',
];

/**
 * @param origin - of our own address: the URL of the request never comes from its `Host`, which stays in the headers.
 * @param signal - given to the request.
 */
export async function readRequest(message: IncomingMessage, origin: string, limits: BodyLimits, signal: AbortSignal): Promise<ReadRequest> {
  const method = message.method ?? '';
  if (!METHODS.has(method)) return { kind: 'refused', status: 405 };
  const url = urlOf(message.url ?? '', origin);
  if (url === undefined || hasRepeats(message)) return { kind: 'refused', status: 400 };
  const length = Number(message.headers['content-length'] ?? 0);
  const coding = message.headers['transfer-encoding'];
  if (WITHOUT_BODY.has(method) && (length > 0 || coding !== undefined)) return { kind: 'refused', status: 400 };
  // `gzip, chunked`: nobody here would take the gzip off, and somebody on the way may.
  if (coding !== undefined && coding.toLowerCase() !== 'chunked') return { kind: 'refused', status: 400 };
  if (length > limits.maxBytes) return { kind: 'refused', status: 413 };
  const headers = new Headers();
  for (const [name, values] of Object.entries(message.headersDistinct)) for (const value of values ?? []) headers.append(name, value);
  const body = await bodyOf(message, limits, () => limits.objectionTo(new Request(url, { method, headers })));
  if (body === 'too-large') return { kind: 'refused', status: 413 };
  if (body === 'busy') return { kind: 'refused', status: 503 };
  if (body === 'gone') return { kind: 'gone' };
  if (body instanceof Response) return { kind: 'objected', answer: body };
  return { kind: 'request', request: new Request(url, { method, headers, signal, ...(!WITHOUT_BODY.has(method) && { body }) }) };
}

/** A path that would be read as another one (`/a/../b`, `//host/`, `http://host/`, `/%2e%2e/`, `\`) is refused, not repaired. */
function urlOf(target: string, origin: string): URL | undefined {
  if (!target.startsWith('/') || target.startsWith('//') || target.length > MAX_TARGET_CHARS || target.includes('#')) return undefined;
  const url = URL.parse(`${origin}${target}`);
  const end = target.indexOf('?');
  return url !== null && url.origin === origin && url.pathname === (end < 0 ? target : target.slice(0, end)) ? url : undefined;
}

function hasRepeats({ headersDistinct }: IncomingMessage): boolean {
  return SINGLE.some((name) => (headersDistinct[name]?.length ?? 0) > 1);
}

async function bodyOf(
  message: IncomingMessage,
  { maxBytes, budget }: BodyLimits,
  objection: () => Response | undefined,
): Promise<Uint8Array<ArrayBuffer> | Response | 'too-large' | 'busy' | 'gone'> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  let takenBytes = 0;
  let objected: Response | undefined;
  try {
    // Not destroyed when it is left early: the refusal still has to be written on the same socket.
    for await (const chunk of message.iterator({ destroyOnReturn: false })) {
      if (!Buffer.isBuffer(chunk)) return 'gone';
      sizeBytes += chunk.length;
      if (sizeBytes > maxBytes) return 'too-large';
      const largeBytes = Math.max(0, sizeBytes - SMALL_BODY_BYTES);
      if (largeBytes > 0 && takenBytes === 0) objected ??= objection();
      if (objected !== undefined) {
        // Read to its end all the same: whose connection is reset while it writes never sees why.
        chunks.length = 0;
        continue;
      }
      if (!budget.take(largeBytes - takenBytes)) return 'busy';
      takenBytes = largeBytes;
      chunks.push(chunk);
    }
    return objected ?? Uint8Array.from(Buffer.concat(chunks));
  } catch {
    return 'gone';
  } finally {
    budget.give(takenBytes);
  }
}
