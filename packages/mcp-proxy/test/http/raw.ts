import { connect, type Socket } from 'node:net';

/** A connection that sends what it is told, byte for byte, and keeps what comes back. */
export class RawClient {
  readonly socket: Socket;
  received = '';
  isClosed = false;
  readonly #waiting: (() => void)[] = [];

  constructor(port: number, options: { readonly allowHalfOpen?: boolean } = {}) {
    this.socket = connect({ port, host: '127.0.0.1', ...options });
    this.socket.setNoDelay(true);
    this.socket.on('data', (chunk: Buffer) => {
      this.received += chunk.toString('latin1');
      this.#wake();
    });
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      this.isClosed = true;
      this.#wake();
    });
  }

  send(text: string | Buffer): this {
    this.socket.write(text);
    return this;
  }

  /** Resolves when what was received matches, and fails when the connection ends first. */
  async until(pattern: RegExp): Promise<string> {
    for (;;) {
      if (pattern.test(this.received)) return this.received;
      if (this.isClosed) throw new Error(`closed before ${pattern}: ${JSON.stringify(this.received)}`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  async closed(): Promise<string> {
    while (!this.isClosed) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return this.received;
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

/** A POST of a JSON body as an MCP client sends it. */
export function post(body: string | Buffer, headers: readonly string[] = [], path = '/mcp'): Buffer {
  const bytes = Buffer.from(body);
  const all = [
    'host: localhost',
    'content-type: application/json',
    'accept: application/json, text/event-stream',
    `content-length: ${bytes.length}`,
    ...headers,
  ];
  return Buffer.concat([Buffer.from(`POST ${path} HTTP/1.1\r\n${all.join('\r\n')}\r\n\r\n`), bytes]);
}
