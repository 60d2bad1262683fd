import { type HttpProxy, type HttpProxyOptions, startHttpProxy } from '../../src/http/http-proxy.ts';
import { FakeGuard } from '../fake-guard.ts';
import { post, RawClient } from './raw.ts';
import { RecordingUpstream } from './recording-upstream.ts';

/** A proxy before a recording server, and everything that a test opens. */
export class Harness {
  readonly guard = new FakeGuard();
  readonly logged: string[] = [];
  upstream!: RecordingUpstream;
  proxy!: HttpProxy;
  readonly #open: (() => Promise<void> | void)[] = [];

  async start(options: Partial<HttpProxyOptions> = {}): Promise<this> {
    this.upstream = await RecordingUpstream.start();
    this.later(() => this.upstream.close());
    this.proxy = await startHttpProxy({
      guard: async () => this.guard,
      server: 'web',
      url: this.upstream.url,
      port: 0,
      log: (text) => this.logged.push(text),
      ...options,
    });
    this.later(() => this.proxy.close());
    return this;
  }

  /** Ends with the test; the last first. */
  later(end: () => Promise<void> | void): void {
    this.#open.push(end);
  }

  connect(options?: { readonly allowHalfOpen: boolean }): RawClient {
    const client = new RawClient(this.proxy.port, options);
    this.later(() => void client.socket.destroy());
    return client;
  }

  /** One POST on a connection of its own; the whole answer. */
  async post(
    body: string | Buffer,
    headers: readonly string[] = [],
  ): Promise<{ readonly status: number; readonly head: string; readonly body: string }> {
    return wholeAnswer(this.connect().send(post(body, ['connection: close', ...headers])));
  }

  async stop(): Promise<void> {
    for (const end of this.#open.splice(0).reverse()) await end();
  }
}

export async function wholeAnswer(client: RawClient): Promise<{ readonly status: number; readonly head: string; readonly body: string }> {
  const received = await client.closed();
  const end = received.indexOf('\r\n\r\n');
  const [head, rest] = [received.slice(0, end), received.slice(end + 4)];
  return { status: Number(head.slice(9, 12)), head, body: /transfer-encoding: chunked/i.test(head) ? unchunked(rest) : rest };
}

export function unchunked(text: string): string {
  let [at, joined] = [0, ''];
  for (;;) {
    const end = text.indexOf('\r\n', at);
    const size = Number.parseInt(text.slice(at, end), 16);
    if (end < 0 || !(size > 0)) return joined;
    joined += text.slice(end + 2, end + 2 + size);
    at = end + 4 + size;
  }
}

export const call = (id: number | string, name: string, rest = '"arguments":{"a":1}'): string =>
  `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"method":"tools/call","params":{"name":"${name}",${rest}}}`;
export const result = (id: number | string, text = 'done'): string =>
  `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":{"content":[{"type":"text","text":${JSON.stringify(text)}}]}}`;

/** A guard that masks one text. */
export function masking(secret: string): (value: unknown) => unknown {
  return (value) => {
    const text = JSON.stringify(value) as string | undefined;
    return text?.includes(secret) === true ? (JSON.parse(text.replaceAll(secret, '[masked]')) as unknown) : value;
  };
}
