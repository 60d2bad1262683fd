/**
 * Streamable HTTP in front of Streamable HTTP. Bodies, events and headers go on as they came; what is a message is examined on the way.
 *
 * A session of the server's is one client (`sessions.ts`); a POST without a session is a client of its own, because without one the
 * server knows nothing of it afterwards either.
 */
import { Interposer, type InterposerOptions } from '../interposer.ts';
import type { Lane } from '../lane.ts';
import type { Line } from '../wire.ts';
import { ClientSide } from './client-side.ts';
import { EventRelay, type Reader } from './event-relay.ts';
import type { HttpExchange } from './exchange.ts';
import { headerOf } from './headers.ts';
import type { McpHandler } from './listener.ts';
import { relayMetadata } from './metadata.ts';
import { Post } from './post.ts';
import type { Relayed } from './relayed.ts';
import { type Session, Sessions, sessionIdOf, sessionKey } from './sessions.ts';

const NOT_FOUND = 404;
const BAD_GATEWAY = 502;
/** Asked of the endpoint by pages (CORS) and by people; they carry no message. */
const WITHOUT_MESSAGE: ReadonlySet<string> = new Set(['OPTIONS', 'HEAD']);

export interface RelayOptions extends Pick<InterposerOptions, 'onInvalid' | 'answerAt' | 'cancelGraceMs'> {
  readonly relayed: Relayed;
}

export class HttpRelay implements McpHandler {
  readonly #options: RelayOptions;
  readonly #relayed: Relayed;
  readonly #sessions: Sessions;
  /** Clients without a session, and those of sessions that are forgotten, until what they did is recorded. */
  readonly #others = new Set<Interposer>();

  constructor(options: RelayOptions) {
    this.#options = options;
    this.#relayed = options.relayed;
    this.#sessions = new Sessions((session, reason) => this.#finish(session.interposer, reason));
  }

  post(exchange: HttpExchange, body: Line): void {
    const session = this.#sessionOf(exchange);
    let isAdopted = false;
    const post: Post = new Post({
      relayed: this.#relayed,
      exchange,
      ...(session !== undefined && { session }),
      onSession: (id, interposer) => {
        const key = sessionKey(id, exchange.request);
        if (id !== '' && this.#sessions.find(key) === undefined) {
          isAdopted = true;
          this.#others.delete(interposer);
          interposer.belongsTo(key);
          this.#sessions.keep(this.#sessions.create(id, key, interposer));
        }
      },
      onAnswered: (status) => this.#sawStatus(session, status),
      onOver: () => {
        if (session !== undefined) this.#released(session);
        else if (!isAdopted) this.#finish(interposer, 'the exchange is over');
      },
    });
    const interposer = session?.interposer ?? this.#interposer(post, sessionKey('', exchange.request));
    if (session === undefined) this.#others.add(interposer);
    post.start(body, interposer);
  }

  get(exchange: HttpExchange): void {
    const session = this.#sessionOf(exchange);
    const client = new ClientSide(exchange);
    const relayed = this.#relayed;
    // Who has no session has asked nothing: no answer is for it.
    const stranger = { interposer: this.#interposer(NOBODY, sessionKey('', exchange.request)) };
    const asked = relayed.upstream.ask(
      { method: 'GET', target: relayed.targetOf(exchange), headers: exchange.request.rawHeaders },
      {
        answered: (answer) => {
          const status = answer.statusCode ?? BAD_GATEWAY;
          this.#sawStatus(session, status);
          if (!isSuccess(status)) return client.passOn(relayed.headOf(answer, exchange, 'same'), answer);
          // Clients read whatever comes as events, without asking for its type.
          if (relayed.isEncoded(answer)) {
            answer.destroy();
            return client.refuse(BAD_GATEWAY, 'the server sent an encoded stream, which was not asked for and cannot be examined');
          }
          client.begin(relayed.headOf(answer, exchange));
          const events: EventRelay = new EventRelay({
            source: answer,
            client,
            readerOf: (data) => (session === undefined ? stranger : this.#readerOf(session, data)),
            isResumed: headerOf(exchange.request.rawHeaders, 'last-event-id') !== undefined,
            log: relayed.target.log,
            onEnd: (how) => {
              if (how === 'ended') client.end();
              else exchange.response.destroy();
            },
          });
          const lane: Lane = { ...NOBODY, toClient: (bytes) => events.send(bytes) };
          session?.interposer.listensOn(lane);
          exchange.response.once('close', () => session?.interposer.listensNoMore(lane));
        },
        failed: (reason) => {
          relayed.target.log(reason);
          client.refuse(BAD_GATEWAY, reason);
        },
      },
    );
    exchange.response.once('close', () => {
      asked.destroy();
      if (session !== undefined) this.#released(session);
    });
  }

  delete(exchange: HttpExchange): void {
    const session = this.#sessionOf(exchange);
    this.#passOn(exchange, (status) => {
      this.#sawStatus(session, status);
      if (session === undefined || !isSuccess(status)) return;
      for (const each of this.#sessions.withId(session.id)) this.#sessions.end(each, 'the session was ended');
    });
    exchange.response.once('close', () => session !== undefined && this.#released(session));
  }

  other(exchange: HttpExchange): boolean {
    if (relayMetadata(this.#relayed, exchange)) return true;
    if (exchange.path !== this.#relayed.upstream.path || !WITHOUT_MESSAGE.has(exchange.request.method ?? '')) return false;
    this.#passOn(exchange, () => {});
    return true;
  }

  /** Answers what is open, and resolves when everything is recorded. */
  async close(reason: string): Promise<void> {
    for (const session of this.#sessions.all()) {
      this.#sessions.end(session, reason);
      this.#finish(session.interposer, reason);
    }
    await Promise.all([...this.#others].map((interposer) => interposer.ended(reason)));
    // Tasks, and calls kept open for an answer, belong to no one client.
    await this.#interposer(NOBODY, '').serverEnded(reason);
    this.#relayed.upstream.close();
  }

  #passOn(exchange: HttpExchange, answered: (status: number) => void): void {
    const relayed = this.#relayed;
    const client = new ClientSide(exchange);
    const asked = relayed.upstream.ask(
      { method: exchange.request.method ?? 'GET', target: relayed.targetOf(exchange), headers: exchange.request.rawHeaders },
      {
        answered: (answer) => {
          answered(answer.statusCode ?? BAD_GATEWAY);
          client.passOn(relayed.headOf(answer, exchange, 'same'), answer);
        },
        failed: (reason) => client.refuse(BAD_GATEWAY, reason),
      },
    );
    exchange.response.once('close', () => asked.destroy());
  }

  /** The session of a request, in use until it is released; not yet kept if we have not seen it. */
  #sessionOf({ request }: HttpExchange): Session | undefined {
    const id = sessionIdOf(request.rawHeaders);
    if (id === undefined) return undefined;
    const key = sessionKey(id, request);
    const session = this.#sessions.find(key) ?? this.#sessions.create(id, key, this.#interposer(NOBODY, key));
    if (!this.#sessions.isKept(session)) this.#others.add(session.interposer);
    session.uses += 1;
    return session;
  }

  #released(session: Session): void {
    session.uses -= 1;
    // Never taken by the server, or ended by it meanwhile.
    if (session.uses === 0 && !this.#sessions.isKept(session)) this.#finish(session.interposer, 'the session is over');
  }

  #sawStatus(session: Session | undefined, status: number): void {
    if (session === undefined) return;
    if (isSuccess(status)) {
      this.#sessions.keep(session);
      if (this.#sessions.isKept(session)) this.#others.delete(session.interposer);
    } else if (status === NOT_FOUND) this.#sessions.end(session, 'the server no longer knows the session');
  }

  /** Tokens change while a session lasts: an answer belongs to whoever asked, and the server said that this client may read it. */
  #readerOf(session: Session, data: Buffer): Reader {
    const all = this.#sessions.withId(session.id);
    const asked = all.length > 1 ? all.find(({ interposer, answers }) => interposer.isOpen(data) || answers.has(data)) : undefined;
    return asked ?? session;
  }

  /** @param owner - tells its client from others, as far as credentials do. */
  #interposer(lane: Lane, owner: string): Interposer {
    const { relayed, ...rest } = this.#options;
    return new Interposer({ ...rest, target: relayed.target, lane, framing: 'bodies', owner });
  }

  #finish(interposer: Interposer, reason: string): void {
    this.#others.add(interposer);
    void interposer.ended(reason).finally(() => this.#others.delete(interposer));
  }
}

/** Every message comes with its lane. */
const NOBODY: Lane = { toClient: () => {}, toServer: () => {}, dropped: () => {} };

function isSuccess(status: number): boolean {
  return status >= 200 && status < 300;
}
