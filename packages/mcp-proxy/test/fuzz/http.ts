/** A batch of messages over Streamable HTTP: the whole proxy, before a server that keeps the bodies it receives. */
import { Agent, request } from 'node:http';
import { startHttpProxy } from '../../src/http/http-proxy.ts';
import { someAllowed } from './guard.ts';
import { HttpUpstream } from './http-upstream.ts';
import type { Sent } from './messages.ts';
import type { Traffic } from './oracle.ts';
import { Random } from './random.ts';

/** Exchanges at once. */
const AT_ONCE = 8;
const SESSION = 'one';

export async function overHttp(messages: readonly Sent[]): Promise<Traffic> {
  const { guard, store } = someAllowed();
  const upstream = await HttpUpstream.start();
  const proxy = await startHttpProxy({ guard: async () => guard, server: 's', url: upstream.url, port: 0, log: () => {} });
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
  try {
    const answers: Buffer[] = [];
    const left = messages.entries();
    const work = async (): Promise<void> => {
      for (const [i, message] of left) answers[i] = await exchanged(proxy.url, agent, message.bytes, headersOf(message));
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    await proxy.close();
    await guard.close();
    return {
      code: 0,
      framing: 'bodies',
      passed: (bytes) => [bytes.toString('latin1')],
      isExchange: true,
      received: upstream.received,
      answers,
      entries: store.entries(),
    };
  } finally {
    agent.destroy();
    await proxy.close();
    await upstream.close();
  }
}

const LISTENS = '"method":"notifications/subscriptions/acknowledged"';

/** The messages that come back, a line each. */
export function exchanged(url: string, agent: Agent, body: Buffer, headers: Readonly<Record<string, string>>): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const accept = 'application/json, text/event-stream';
    const all = { accept, 'content-type': 'application/json', 'content-length': body.length, ...headers };
    const post = request(url, { method: 'POST', agent, headers: all }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        // Whoever listens is answered when it hangs up.
        if (chunk.includes(LISTENS)) post.destroy();
      });
      response.once('error', () => {});
      response.once('close', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        if (response.headers['content-type'] !== 'text/event-stream') return resolve(Buffer.from(text.replaceAll('\n', ' ')));
        const data = text.split('\n').flatMap((line) => (line.startsWith('data:') ? [line.slice(5)] : []));
        resolve(Buffer.from(data.join('\n')));
      });
    });
    post.once('error', reject);
    post.end(body);
  });
}

const VERSION_KEY = 'io.modelcontextprotocol/protocolVersion';
interface Said {
  readonly method: string;
  readonly params?: { readonly name?: string; readonly _meta?: Readonly<Record<string, string | undefined>> };
}

/** Those of its protocol for a message that is in order; for one that is not, true, false or none. */
export function headersOf({ bytes, clean }: Sent, session: string = SESSION, needsSession = false): Readonly<Record<string, string>> {
  const random = new Random(bytes.reduce((sum, byte) => (sum * 31 + byte) >>> 0, 7));
  if (clean === undefined) {
    return {
      ...(random.below(2) === 0 && { 'mcp-session-id': session }),
      ...(random.below(2) === 0 && { 'mcp-protocol-version': random.of(['2026-07-28', '2025-11-25', '1']) }),
      ...(random.below(2) === 0 && { 'mcp-method': random.of(['ping', 'tools/call', 'Tools/Call', 'tools/list']) }),
      ...(random.below(2) === 0 && { 'mcp-name': random.of(['free', 'denied', '=?base64?ZnJlZQ==?=']) }),
    };
  }
  const { method, params } = JSON.parse(bytes.toString('utf8')) as Said;
  const version = params?._meta?.[VERSION_KEY];
  if (version === undefined) return needsSession || random.below(2) === 0 ? { 'mcp-session-id': session } : {};
  return {
    'mcp-protocol-version': version,
    'mcp-method': method,
    ...(params?.name !== undefined && { 'mcp-name': params.name }),
  };
}
