import type { ClientMessage, InvalidMessage } from './client-message.ts';

/**
 * Where the messages of one exchange go. A connection over stdio is one lane; over HTTP each POST with its answer is one, and so is
 * each stream of events that the client opened.
 */
export interface Lane {
  /**
   * One whole message for the client. Must not throw.
   *
   * @param kind - `answer`: it ends a request, as a rule the one that came on this lane.
   */
  toClient(bytes: Buffer, kind: 'answer' | 'message'): void;
  /** One whole message for the server. Must not throw. */
  toServer(bytes: Buffer): void;
  /** Why what came on this lane is refused, when the lane knows: what was said beside the message contradicts it. */
  objectionTo?(message: ClientMessage): InvalidMessage | undefined;
  /** What came on this lane is over, and we answer nothing to it. Must not throw. */
  dropped(): void;
}
