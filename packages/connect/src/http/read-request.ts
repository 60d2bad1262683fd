/** From node's message to a web-standard request, whole and unambiguous, or a status that says why not. */
import type { IncomingMessage } from 'node:http';

export type ReadRequest =
  | { readonly kind: 'request'; readonly request: Request }
  | { readonly kind: 'refused'; readonly status: 400 | 405 | 413 }
  /** The peer left before it had sent everything. */
  | { readonly kind: 'gone' };

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
];

/**
 * @param origin - of our own address: the URL of the request never comes from its `Host`, which stays in the headers.
 * @param signal - given to the request.
 */
export async function readRequest(
  message: IncomingMessage,
  origin: string,
  maxBodyBytes: number,
  signal: AbortSignal,
): Promise<ReadRequest> {
  const method = message.method ?? '';
  if (!METHODS.has(method)) return { kind: 'refused', status: 405 };
  const url = urlOf(message.url ?? '', origin);
  if (url === undefined || hasRepeats(message)) return { kind: 'refused', status: 400 };
  const length = Number(message.headers['content-length'] ?? 0);
  if (WITHOUT_BODY.has(method) && (length > 0 || message.headers['transfer-encoding'] !== undefined))
    return { kind: 'refused', status: 400 };
  if (length > maxBodyBytes) return { kind: 'refused', status: 413 };
  const body = await bodyOf(message, maxBodyBytes);
  if (body === 'too-large') return { kind: 'refused', status: 413 };
  if (body === 'gone') return { kind: 'gone' };
  const headers = new Headers();
  for (const [name, values] of Object.entries(message.headersDistinct)) for (const value of values ?? []) headers.append(name, value);
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

async function bodyOf(message: IncomingMessage, maxBytes: number): Promise<Uint8Array<ArrayBuffer> | 'too-large' | 'gone'> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  try {
    // Not destroyed when it is left early: the refusal still has to be written on the same socket.
    for await (const chunk of message.iterator({ destroyOnReturn: false })) {
      if (!Buffer.isBuffer(chunk)) return 'gone';
      sizeBytes += chunk.length;
      if (sizeBytes > maxBytes) return 'too-large';
      chunks.push(chunk);
    }
  } catch {
    return 'gone';
  }
  return Uint8Array.from(Buffer.concat(chunks));
}
