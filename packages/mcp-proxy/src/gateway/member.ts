/**
 * One server behind a gateway: started when needed and again when it ended, spoken to in one era of the protocol, and asked on
 * behalf of the gateway itself. What it does to one client's connection is its own affair: nothing here waits without a limit.
 */
import { randomUUID } from 'node:crypto';
import { idKey, isObject, type JsonObject, member as ownMember, RPC_ERRORS } from '../message.ts';
import type { ServerResponse } from '../server-message.ts';
import { Backoff } from './backoff.ts';
import { spanAt } from './json-spans.ts';
import { type GatewayServer, type Link, lineOf } from './link.ts';

/** How long a server may take to answer its first message; `npx` may have to fetch it. */
export const START_LIMIT_MS = 60_000;
/** Bytes a server may leave unread before requests to it are refused. */
export const MAX_BACKLOG_BYTES: number = 32 * 1024 * 1024;
/** Answers that came after their time and wait to be asked for. */
const MAX_LATE = 8;
/** From the answer in place of a server that ended until it is over. */
const END_WAIT_MS = 5_000;
const MAX_VERSIONS = 32;
const MAX_ERROR_CHARS = 500;
const MAX_INSTRUCTIONS_CHARS = 16_384;

/** How a server is spoken to. */
export type Hello =
  /** 2025: `params` of the client's `initialize` as JSON, with the version that all are to speak. */
  | { readonly era: 'session'; readonly params: string; readonly version: string; readonly isAgreed: boolean }
  /** 2026: `_meta` of requests as JSON. */
  | { readonly era: 'stateless'; readonly meta: string; readonly version: string };

/** What a server says about itself. All of it is the server's to write. */
export interface Offer {
  readonly versions: readonly string[];
  readonly capabilities: JsonObject;
  readonly instructions?: string;
}

export type Answer =
  /** `json`: the result as the server wrote it; `value` is what `JSON.parse` makes of it. */
  | { readonly kind: 'result'; readonly json: string; readonly value: unknown }
  | { readonly kind: 'error'; readonly message: string; readonly code?: unknown }
  | { readonly kind: 'late' };

type State =
  | { readonly kind: 'idle' | 'closed' }
  | { readonly kind: 'starting'; readonly link: Link }
  | { readonly kind: 'ready'; readonly link: Link; readonly offer: Offer }
  | { readonly kind: 'down'; readonly reason: string }
  /** It speaks no version of the protocol that the others do: starting it again would not help. */
  | { readonly kind: 'unfit'; readonly reason: string };

export interface MemberEvents {
  /** A message for the client; answers to our own requests are not among them. */
  readonly onMessage: (member: Member, bytes: Buffer) => void;
  readonly onReady: (member: Member) => void;
  /** The answer to something asked with `late` came, and is kept. */
  readonly onLate: (member: Member, late: string) => void;
  /** It was ready and is no more. */
  readonly onLost: (member: Member, reason: string) => void;
  readonly log: (text: string) => void;
}

export class Member {
  readonly name: string;
  readonly #server: GatewayServer;
  readonly #events: MemberEvents;
  readonly #backoff: Backoff;
  /** Nobody but us knows it: no request of the client can have one of our ids. */
  readonly #idPrefix = `countersign-gateway/${randomUUID()}/`;
  readonly #own = new Map<string, (answer: Answer) => void>();
  readonly #late = new Map<string, Answer>();
  readonly #waiting = new Set<() => void>();
  /** All that have not ended, also those that are not spoken to any more. */
  readonly #links = new Set<Promise<void>>();
  #state: State = { kind: 'idle' };
  #hello: Hello | undefined;
  /** How the last connection was. */
  #greeted: Hello | undefined;
  #statelessVersions: readonly string[] | undefined;
  #count = 0;
  #isSilent = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(server: GatewayServer, events: MemberEvents, backoff: Backoff = new Backoff()) {
    this.name = server.name;
    this.#server = server;
    this.#events = events;
    this.#backoff = backoff;
  }

  get offer(): Offer | undefined {
    return this.#state.kind === 'ready' ? this.#state.offer : undefined;
  }

  /** Versions without a session that it last said it speaks; also one that was greeted in another. */
  get statelessVersions(): readonly string[] | undefined {
    return this.#statelessVersions;
  }

  /** The version it is spoken to in, when that is without a session. */
  get statelessVersion(): string | undefined {
    return this.#state.kind === 'ready' && this.#greeted?.era === 'stateless' ? this.#greeted.version : undefined;
  }

  get state(): State['kind'] {
    return this.#state.kind;
  }

  /** Why it cannot be asked now. */
  get trouble(): string {
    const wait = Math.ceil(this.#backoff.waitMs / 1000);
    switch (this.#state.kind) {
      case 'down':
        return `server ${this.name} is not running: ${this.#state.reason}; ${wait > 0 ? `it is started again in ${wait} s` : 'retry'}`;
      case 'unfit':
        return `server ${this.name} cannot be used: ${this.#state.reason}`;
      case 'starting':
        return `server ${this.name} is still starting; retry later`;
      case 'idle':
      case 'closed':
      case 'ready':
        return `server ${this.name} is not running`;
    }
  }

  /** Starts it if it does not run and may. */
  open(hello: Hello | undefined = this.#hello): void {
    this.#hello = hello;
    const { kind } = this.#state;
    if (hello === undefined || (kind !== 'idle' && kind !== 'down') || this.#backoff.waitMs > 0) return;
    this.#start(hello);
  }

  /** Starts it so; a connection that was greeted otherwise is ended first. */
  async greet(hello: Hello): Promise<void> {
    if (this.#state.kind === 'closed' || this.isGreeted(hello)) return this.open(hello);
    const link = 'link' in this.#state ? this.#state.link : undefined;
    this.#hello = hello;
    if (this.#state.kind !== 'down') this.#to({ kind: 'idle' });
    link?.close();
    await link?.ended;
    this.open();
  }

  /** Whether what runs, if anything, was greeted so. */
  isGreeted(hello: Hello): boolean {
    const said = this.#greeted;
    if (said?.era !== hello.era || said.version !== hello.version) return false;
    return said.era !== 'session' || hello.era !== 'session' || said.isAgreed === hello.isAgreed;
  }

  /** How it is greeted when it is started next. */
  expect(hello: Hello): void {
    this.#hello = hello;
  }

  /** Resolves when it is ready or known not to be, and at the latest when the time is up. */
  async settled(timeoutMs: number): Promise<void> {
    if (this.#state.kind !== 'starting') return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, timeoutMs);
      this.#waiting.add(done);
    });
  }

  /** Passes a message on; false when it cannot be. */
  send(text: string): boolean {
    if (this.#state.kind !== 'ready' || this.isFull) return false;
    this.#state.link.send(lineOf(text));
    return true;
  }

  get isFull(): boolean {
    return 'link' in this.#state && this.#state.link.backlogBytes > MAX_BACKLOG_BYTES;
  }

  /**
   * Asks it something of our own. Never rejects.
   *
   * @param late - under what an answer that comes too late is kept for whoever asks the same next, and told of with `onLate`.
   */
  async ask(method: string, params: string, timeoutMs: number, late?: string): Promise<Answer> {
    const kept = late === undefined ? undefined : this.#late.get(late);
    if (kept !== undefined && late !== undefined) {
      this.#late.delete(late);
      return kept;
    }
    if (!('link' in this.#state)) return { kind: 'error', message: this.trouble };
    return this.#request(this.#state.link, method, params, timeoutMs, late);
  }

  /** Whatever was kept may not be true any more. */
  forget(): void {
    this.#late.clear();
  }

  /** True when this was the answer to a request of ours. */
  take({ id, error, result }: ServerResponse, text: string, repeatsKeys: boolean): boolean {
    const key = idKey(id);
    const own = key === undefined ? undefined : this.#own.get(key);
    if (key === undefined || own === undefined) return typeof id === 'string' && id.startsWith(this.#idPrefix);
    this.#own.delete(key);
    if (error !== undefined || repeatsKeys) {
      own({ kind: 'error', ...(repeatsKeys ? { message: 'its answer repeats a key' } : errorOf(error)) });
      return true;
    }
    const span = spanAt(text, ['result']);
    own({ kind: 'result', json: span === undefined ? 'null' : text.slice(span.start, span.end), value: result });
    return true;
  }

  /** The client says nothing more. */
  clientSilent(): void {
    this.#isSilent = true;
    if ('link' in this.#state) this.#state.link.clientSilent();
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    const link = 'link' in this.#state ? this.#state.link : undefined;
    this.#to({ kind: 'closed' });
    link?.close();
    await Promise.all([...this.#links]);
  }

  #start(hello: Hello): void {
    clearTimeout(this.#timer);
    this.#greeted = hello;
    this.#backoff.started();
    let opened: Link | undefined;
    try {
      opened = this.#server.connect((bytes) => {
        if ('link' in this.#state && this.#state.link === opened) this.#events.onMessage(this, bytes);
      });
    } catch (error) {
      return this.#fail(`it could not be started: ${error instanceof Error ? error.message : 'unknown error'}`);
    }
    const link = opened;
    if (this.#isSilent) link.clientSilent();
    this.#to({ kind: 'starting', link });
    const over = link.ended.then((reason) => {
      this.#links.delete(over);
      this.#over(link, reason);
    });
    this.#links.add(over);
    void this.#greet(link, hello);
  }

  async #greet(link: Link, hello: Hello): Promise<void> {
    const [method, params] = hello.era === 'session' ? ['initialize', hello.params] : ['server/discover', `{"_meta":${hello.meta}}`];
    const answer = await this.#request(link, method, params, START_LIMIT_MS);
    if (this.#state.kind !== 'starting' || this.#state.link !== link) return;
    if (answer.kind === 'late') return this.#drop(link, `it did not answer ${method} in ${START_LIMIT_MS / 1000} s`);
    // Its interposer answered for it: why it ended is told in a moment.
    if (answer.kind === 'error' && answer.code === RPC_ERRORS.UPSTREAM_GONE && (await isOver(link))) return;
    if (this.#state.kind !== 'starting' || this.#state.link !== link) return;
    if (answer.kind === 'error' && hello.era === 'session') return this.#drop(link, `it refused ${method}: ${answer.message}`);
    const offer = answer.kind === 'result' ? offerOf(answer.value) : { versions: [], capabilities: {} };
    if (hello.era === 'stateless' && offer.versions.length > 0) this.#statelessVersions = offer.versions;
    // Meanwhile the others may have come to a version.
    const wanted = this.#hello ?? hello;
    const isFit = wanted.era === 'session' && !wanted.isAgreed ? offer.versions.length > 0 : offer.versions.includes(wanted.version);
    if (!isFit) return this.isGreeted(wanted) ? this.#drop(link, `it does not speak MCP ${wanted.version}`, 'unfit') : this.greet(wanted);
    this.#to({ kind: 'ready', link, offer });
    this.#events.onReady(this);
  }

  async #request(link: Link, method: string, params: string, timeoutMs: number, late?: string): Promise<Answer> {
    const id = `${this.#idPrefix}${this.#count++}`;
    return new Promise((resolve) => {
      let isLate = false;
      const timer = setTimeout(() => {
        isLate = true;
        if (late === undefined) this.#own.delete(`s:${id}`);
        resolve({ kind: 'late' });
      }, timeoutMs);
      this.#own.set(`s:${id}`, (answer) => {
        clearTimeout(timer);
        if (isLate) this.#keep(late, answer);
        else resolve(answer);
      });
      link.send(lineOf(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},"method":${JSON.stringify(method)},"params":${params}}`));
    });
  }

  #keep(late: string | undefined, answer: Answer): void {
    if (late === undefined || answer.kind !== 'result' || this.#late.size >= MAX_LATE) return;
    this.#late.set(late, answer);
    this.#events.onLate(this, late);
  }

  /** It runs, but not as it must. */
  #drop(link: Link, reason: string, kind: 'down' | 'unfit' = 'down'): void {
    if (kind === 'unfit') {
      this.#events.log(`server ${this.name} cannot be used: ${reason}`);
      this.#to({ kind, reason });
    } else this.#fail(reason);
    link.close();
  }

  #over(link: Link, reason: string): void {
    if (!('link' in this.#state) || this.#state.link !== link) return;
    const wasReady = this.#state.kind === 'ready';
    this.#late.clear();
    this.#fail(reason);
    if (wasReady) this.#events.onLost(this, reason);
  }

  #fail(reason: string): void {
    this.#backoff.failed();
    const { failures, isOpen, waitMs } = this.#backoff;
    const wait = `${Math.round(waitMs / 100) / 10} s`;
    const next = isOpen ? `circuit open, started again only when needed, not before ${wait}` : `restart in ${wait}`;
    this.#events.log(`server ${this.name} is down (${failures} in a row): ${reason}; ${next}`);
    this.#to({ kind: 'down', reason });
    if (isOpen) return;
    this.#restart();
  }

  #restart(): void {
    // Timers may fire a little early.
    if (this.#backoff.waitMs === 0) return this.open();
    this.#timer = setTimeout(() => this.#restart(), Math.ceil(this.#backoff.waitMs));
    this.#timer.unref();
  }

  #to(state: State): void {
    if (this.#state.kind === 'closed') return;
    this.#state = state;
    if (state.kind === 'starting') return;
    if (state.kind === 'ready' && this.#backoff.failures > 0) this.#events.log(`server ${this.name} is running again`);
    for (const done of [...this.#waiting]) done();
  }
}

function errorOf(error: unknown): { readonly message: string; readonly code?: unknown } {
  if (!isObject(error)) return { message: 'an error' };
  const message = ownMember(error, 'message');
  return { message: typeof message === 'string' ? message.slice(0, MAX_ERROR_CHARS) : 'an error', code: ownMember(error, 'code') };
}

async function isOver(link: Link): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), END_WAIT_MS);
  });
  const over = await Promise.race([link.ended.then(() => true), late]);
  clearTimeout(timer);
  return over;
}

/** What a server offers, of its answer to `initialize` or `server/discover`. */
function offerOf(result: unknown): Offer {
  const read = isObject(result) ? (name: string): unknown => ownMember(result, name) : (): undefined => undefined;
  const [version, several, capabilities, instructions] = ['protocolVersion', 'supportedVersions', 'capabilities', 'instructions'].map(read);
  const versions = (Array.isArray(several) ? (several as readonly unknown[]) : [version]).filter((each) => typeof each === 'string');
  return {
    versions: versions.slice(0, MAX_VERSIONS),
    capabilities: isObject(capabilities) ? capabilities : {},
    ...(typeof instructions === 'string' && { instructions: instructions.slice(0, MAX_INSTRUCTIONS_CHARS) }),
  };
}
