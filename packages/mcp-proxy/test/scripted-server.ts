import { Gateway, type GatewayOptions } from '../src/gateway/gateway.ts';
import type { GatewayServer, Link } from '../src/gateway/link.ts';
import { Interposer } from '../src/interposer.ts';
import { isObject, type JsonObject } from '../src/message.ts';
import { Target } from '../src/target.ts';
import { LineReader } from '../src/wire.ts';
import { FakeGuard } from './fake-guard.ts';

type Method = (message: JsonObject, server: ScriptedServer) => unknown;

/** A server as a test needs it, behind a real interposer: what it gets is what was let through. */
export class ScriptedServer implements GatewayServer {
  readonly name: string;
  readonly guard = new FakeGuard();
  /** Lines that reached the server, over all its runs. */
  readonly received: string[] = [];
  starts = 0;
  backlogBytes = 0;
  capabilities: JsonObject = { tools: {}, prompts: {}, resources: { subscribe: true }, logging: {}, completions: {}, tasks: { list: {} } };
  /** Protocol versions it speaks with a handshake, newest first; none that it speaks without. */
  versions: readonly string[] = ['2025-11-25', '2025-06-18', '2024-11-05'];
  modern: readonly string[] = [];
  /** Results by method; absent: an empty one. `undefined`: it does not answer. */
  readonly methods = new Map<string, Method>();
  readonly #target: Target;
  /** Of every run: where its messages went. */
  readonly receivers: ((bytes: Buffer) => void)[] = [];
  #interposer: Interposer | undefined;
  #end: (reason: string) => void = () => {};

  constructor(name: string, methods: Readonly<Record<string, Method>> = {}) {
    this.name = name;
    this.#target = new Target({ guard: async () => this.guard, server: name, log: () => {} });
    for (const [method, answer] of Object.entries(methods)) this.methods.set(method, answer);
  }

  connect(receive: (bytes: Buffer) => void): Link {
    this.starts += 1;
    const interposer = new Interposer({
      target: this.#target,
      lane: { toClient: receive, toServer: (bytes) => this.#take(bytes.toString('utf8')), dropped: () => {} },
    });
    this.receivers.push(receive);
    this.#interposer = interposer;
    const over = new Promise<string>((resolve) => {
      this.#end = resolve;
    });
    const ended = over.then(async (reason) => {
      await interposer.serverEnded(reason);
      return reason;
    });
    const read = (): number => this.backlogBytes;
    return {
      send: (line) => interposer.fromClient(line),
      clientSilent: () => interposer.clientSilent(),
      get backlogBytes() {
        return read();
      },
      ended,
      close: () => this.die('closed'),
    };
  }

  /** What the server writes. */
  say(...messages: readonly unknown[]): void {
    for (const message of messages) this.raw(`${typeof message === 'string' ? message : JSON.stringify(message)}\n`);
  }

  raw(text: string): void {
    for (const line of new LineReader().push(Buffer.from(text))) this.#interposer?.fromServer(line);
  }

  /** Past its interposer: what only another interposer would let through. */
  sayUnchecked(message: unknown, run: number = this.starts - 1): void {
    this.receivers[run]?.(Buffer.from(`${JSON.stringify(message)}\n`));
  }

  die(reason = 'the server ended with SIGKILL'): void {
    this.#end(reason);
  }

  async decided(): Promise<void> {
    await this.#interposer?.decided();
  }

  /** What it got, parsed, of one method. */
  got(method: string): readonly JsonObject[] {
    return this.received
      .map((line): unknown => JSON.parse(line))
      .filter((each) => isObject(each) && each['method'] === method) as JsonObject[];
  }

  #take(line: string): void {
    this.received.push(line);
    const message: unknown = JSON.parse(line);
    if (!isObject(message) || message['id'] === undefined || typeof message['method'] !== 'string') return;
    const method = this.methods.get(message['method']);
    const result = method === undefined ? this.#default(message) : method(message, this);
    if (result === undefined) return;
    const isError = isObject(result) && 'code' in result && 'message' in result;
    this.say({ jsonrpc: '2.0', id: message['id'], ...(isError ? { error: result } : { result }) });
  }

  #default(message: JsonObject): unknown {
    const params = isObject(message['params']) ? message['params'] : {};
    if (message['method'] === 'initialize') {
      const asked = String(params['protocolVersion']);
      const protocolVersion = this.versions.includes(asked) ? asked : this.versions[0];
      return {
        protocolVersion,
        capabilities: this.capabilities,
        serverInfo: { name: 'x', version: '1' },
        instructions: `I am ${this.name}.`,
      };
    }
    if (message['method'] === 'server/discover') {
      if (this.modern.length === 0) return { code: -32601, message: 'method not found' };
      return { resultType: 'complete', ttlMs: 0, cacheScope: 'private', supportedVersions: this.modern, capabilities: this.capabilities };
    }
    if (message['method'] === 'tools/call') return { content: [{ type: 'text', text: `${this.name} ran ${String(params['name'])}` }] };
    return {};
  }
}

/** Several scripted servers behind a gateway, and the client's end of it. */
export class Behind {
  readonly gateway: Gateway;
  readonly out: string[] = [];
  readonly log: string[] = [];
  readonly refused: string[] = [];
  readonly #waiting = new Set<() => void>();

  constructor(servers: readonly GatewayServer[], options: Partial<GatewayOptions> = {}) {
    this.gateway = new Gateway({
      servers,
      toClient: (bytes) => {
        this.out.push(bytes.toString('utf8').trimEnd());
        for (const wake of this.#waiting) wake();
      },
      log: (text) => this.log.push(text),
      recordInvalid: async (tool, reason) => void this.refused.push(`${tool.server ?? ''}/${tool.name}: ${reason}`),
      version: '1.2.3',
      ...options,
    });
  }

  send(...messages: readonly unknown[]): void {
    for (const message of messages) {
      const text = typeof message === 'string' ? message : JSON.stringify(message);
      for (const line of new LineReader().push(Buffer.from(`${text}\n`))) this.gateway.fromClient(line);
    }
  }

  /** Resolves with the first message to the client, already there or not, that fits. */
  async message(fits: (message: JsonObject) => boolean): Promise<JsonObject> {
    for (;;) {
      const found = this.messages().find(fits);
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#waiting.delete(wake);
          resolve();
        };
        this.#waiting.add(wake);
      });
    }
  }

  async answer(id: unknown): Promise<JsonObject> {
    return this.message((message) => message['id'] === id && message['method'] === undefined);
  }

  messages(): readonly JsonObject[] {
    return this.out.map((line) => JSON.parse(line) as JsonObject);
  }

  async request(id: number | string, method: string, params: JsonObject = {}): Promise<JsonObject> {
    this.send({ jsonrpc: '2.0', id, method, params });
    return this.answer(id);
  }

  async initialize(protocolVersion = '2025-11-25', capabilities: JsonObject = {}): Promise<JsonObject> {
    const answer = await this.request('init', 'initialize', { protocolVersion, capabilities, clientInfo: { name: 'c', version: '1' } });
    this.send({ jsonrpc: '2.0', method: 'notifications/initialized' });
    return answer;
  }
}
