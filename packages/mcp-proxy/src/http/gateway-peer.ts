/**
 * A gateway behind one session: servers of its own. To a gateway its client is one line of messages; which POST an answer belongs to
 * is found by the id its client gave.
 */
import { errorAnswer } from '../answer.ts';
import { assembleGateway, type GatewayParts } from '../gateway/assemble.ts';
import type { Gateway } from '../gateway/gateway.ts';
import type { Lane } from '../lane.ts';
import { idKey, isObject, member, RPC_ERRORS } from '../message.ts';
import type { Line } from '../wire.ts';
import { type Outgoing, parse } from './outgoing.ts';
import type { SessionClient, SessionPeer } from './session-peer.ts';

interface Asked {
  readonly lane: Lane;
  readonly idJson: string;
}

export class GatewayPeer implements SessionPeer {
  /** Each server has its own limit. */
  readonly isFull = false;
  readonly ended: Promise<undefined>;
  readonly #client: SessionClient;
  readonly #gateway: Gateway;
  readonly #asked = new Map<string, Asked>();
  /** What came on it is being handed over. */
  #current: Lane | undefined;
  #end: (closed: Promise<undefined>) => void = () => {};

  constructor(parts: GatewayParts, client: SessionClient) {
    this.#client = client;
    this.#gateway = assembleGateway(parts, { toClient: (bytes) => this.#toClient(bytes), owner: client.owner });
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  fromClient(line: Line, lane: Lane, message: Outgoing | undefined): void {
    const key = message?.kind === 'request' ? message.key : undefined;
    const isFirst = key !== undefined && !this.#asked.has(key);
    if (isFirst && message?.kind === 'request') this.#asked.set(key, { lane, idJson: message.idJson });
    this.#current = lane;
    this.#gateway.fromClient(line);
    this.#current = undefined;
    // Nothing is said to these any more; for a lane that was answered meanwhile this is nothing new.
    if (!isFirst) lane.dropped();
    for (const over of [isFirst ? key : undefined, message?.kind === 'other' ? message.cancels : undefined]) {
      if (over === undefined || this.#gateway.waits(over)) continue;
      this.#asked.get(over)?.lane.dropped();
      this.#asked.delete(over);
    }
  }

  /** Each server tells of itself. */
  notBegun(): undefined {}

  /** The interposers of the servers write to them. */
  write(): void {}

  end(): void {
    const waiting = [...this.#asked.values()];
    this.#asked.clear();
    for (const { lane, idJson } of waiting)
      lane.toClient(
        errorAnswer(idJson, RPC_ERRORS.UPSTREAM_GONE, 'the session was ended; a server may have done what was asked'),
        'answer',
      );
    this.#end(this.#gateway.close().then(() => undefined));
  }

  /** The processes are killed, with this one, by what started them. */
  kill(): void {}

  #toClient(bytes: Buffer): void {
    const message = parse(bytes);
    if (!isObject(message)) return;
    const lane = this.#client.laneFor(message);
    if (lane !== undefined) return lane.toClient(bytes, 'message');
    const key = idKey(member(message, 'id'));
    const asked = key === undefined ? undefined : this.#asked.get(key);
    if (key !== undefined) this.#asked.delete(key);
    // A refusal may name no id, or another one than we read.
    (asked?.lane ?? this.#current)?.toClient(bytes, 'answer');
  }
}
