/** A proxy in front of a server over HTTP, with a client's hands on its standard streams. */
import { EventEmitter } from 'node:events';
import { PassThrough } from 'node:stream';
import { isObject, type JsonObject } from '../../src/message.ts';
import { type RemoteProxyOptions, runRemoteProxy } from '../../src/stdio.ts';
import { FakeGuard } from '../fake-guard.ts';

export class RemoteClient {
  readonly guard = new FakeGuard();
  readonly stdin = new PassThrough();
  readonly stdout = new PassThrough();
  readonly stderr = new PassThrough();
  readonly signals = new EventEmitter();
  readonly exit: Promise<number>;
  output = '';
  log = '';
  readonly #changed = new EventEmitter();

  constructor(url: string, options: Partial<RemoteProxyOptions> = {}) {
    this.stdout.on('data', (chunk: Buffer) => {
      this.output += chunk.toString();
      this.#changed.emit('change');
    });
    this.stderr.on('data', (chunk: Buffer) => {
      this.log += chunk.toString();
      this.#changed.emit('change');
    });
    this.exit = runRemoteProxy({
      url,
      guard: async () => this.guard,
      server: 'remote',
      stdin: this.stdin,
      stdout: this.stdout,
      stderr: this.stderr,
      signals: this.signals,
      ...options,
    });
  }

  send(...messages: readonly (JsonObject | string)[]): void {
    for (const message of messages)
      this.stdin.write(typeof message === 'string' ? message : `${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  }

  async until(claim: () => boolean): Promise<void> {
    while (!claim()) await new Promise((resolve) => this.#changed.once('change', resolve));
  }

  /** Sends, and waits for the answer to that id. */
  async ask(message: JsonObject): Promise<JsonObject> {
    this.send(message);
    return this.answer(message['id']);
  }

  async answer(id: unknown): Promise<JsonObject> {
    const find = (): JsonObject | undefined => this.messages().find((each) => each['id'] === id && !Object.hasOwn(each, 'method'));
    await this.until(() => find() !== undefined);
    return find() as JsonObject;
  }

  messages(): JsonObject[] {
    return this.output
      .split('\n')
      .slice(0, -1)
      .map((line) => {
        const message: unknown = JSON.parse(line);
        if (!isObject(message)) throw new Error('not a message');
        return message;
      });
  }

  async initialize(): Promise<JsonObject> {
    const answer = await this.ask(INITIALIZE);
    this.send({ method: 'notifications/initialized' });
    return answer;
  }

  async close(): Promise<number> {
    this.stdin.end();
    return this.exit;
  }
}

export const INITIALIZE: JsonObject = {
  id: 0,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } },
};

/** A request of the stateless protocol. */
export function modern(id: unknown, method: string, params: JsonObject = {}): JsonObject {
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientCapabilities': {},
    'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
  };
  return { id, method, params: { ...params, _meta } };
}
