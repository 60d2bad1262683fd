import type { MessageLine } from '../wire.ts';

/** A running server behind its interposer: a gateway sees the client's side of it. */
export interface Link {
  /** A message of the client, or one in its place. */
  send(line: MessageLine): void;
  /** The client says nothing more: nobody waits for its answer to a question of ours. */
  clientSilent(): void;
  /** Bytes the server has not taken yet. */
  readonly backlogBytes: number;
  /** Resolves when it is over and every open request was answered in its place; with the reason. */
  readonly ended: Promise<string>;
  /** Lets it end, and ends it. */
  close(): void;
}

/** One server of the configuration. */
export interface GatewayServer {
  readonly name: string;
  /** Starts it. @param receive - takes whole messages for the client, in order. Must not throw. */
  connect(receive: (bytes: Buffer) => void): Link;
}

/** @param text - one message of JSON. */
export function lineOf(text: string): MessageLine {
  const bytes = Buffer.from(`${text}\n`);
  return { kind: 'line', bytes, content: bytes.subarray(0, -1) };
}
