import type { Readable, Writable } from 'node:stream';

export interface ServerEnd {
  /** What a shell would give. */
  readonly code: number;
  readonly reason: string;
}

/** A server as its client sees it: lines in, lines out. A process, or something far away that looks like one. */
export interface ServerPeer {
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** What it says to people. */
  readonly stderr?: Readable;
  readonly pid: number | undefined;
  /** Resolves when nothing more comes from it and its output was read. */
  readonly ended: Promise<ServerEnd>;
  signal(signal: NodeJS.Signals): void;
  /** Asks it to end, and ends it. */
  terminate(signal?: NodeJS.Signals): void;
  kill(): void;
}
