import type { Lane } from '../lane.ts';
import type { Line } from '../wire.ts';
import type { Outgoing } from './outgoing.ts';

/** The client's side of a session, as what stands behind it sees it. */
export interface SessionClient {
  /** Whose calls and tasks these are: what one client was approved is no other's. */
  readonly owner: string;
  /** The stream of the session itself. */
  readonly own: Lane;
  /** @param message - of a server, parsed. @returns where it goes; undefined for answers, which go where they were asked for. */
  laneFor(message: unknown): Lane | undefined;
}

/** What stands behind one session: a server, or several as one. */
export interface SessionPeer {
  /** Takes no more, because what it was sent is not read. */
  readonly isFull: boolean;
  /** Resolves when it is gone and everything is answered; with what people are told when it went by itself and should not have. */
  readonly ended: Promise<string | undefined>;
  /** The first greeting failed. @returns what people are told of that; undefined when they were told already */
  notBegun(): string | undefined;
  /**
   * One message of the client. Every lane is told in the end that it is over.
   *
   * @param line - the message as one line.
   * @param message - what was read of it; undefined if nothing could be.
   */
  fromClient(line: Line, lane: Lane, message: Outgoing | undefined): void;
  /** What was decided, for the server. */
  write(bytes: Buffer): void;
  end(): void;
  kill(): void;
}

export type OpenPeer = (client: SessionClient) => SessionPeer;
