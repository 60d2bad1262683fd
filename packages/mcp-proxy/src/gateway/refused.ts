/** Messages of the client that a gateway refuses before any server hears of them: answered, logged, and recorded if they could be calls. */
import type { ToolRef } from '@countersign/core';
import { invalidAnswer } from '../answer.ts';
import type { InvalidMessage } from '../client-message.ts';
import { MAX_RECORDING, refusalReason, UNREADABLE_TOOL } from '../refusals.ts';
import type { ClientEnd } from './client-end.ts';
import { innerName } from './names.ts';

export interface RefusedParts {
  readonly client: ClientEnd;
  readonly isServer: (name: string) => boolean;
  /** Must not throw or reject. */
  readonly recordInvalid: (tool: ToolRef, reason: string) => Promise<void>;
  readonly log: (text: string) => void;
}

export class Refused {
  readonly #parts: RefusedParts;
  #recording = 0;

  constructor(parts: RefusedParts) {
    this.#parts = parts;
  }

  take(message: InvalidMessage): void {
    const { client, isServer, recordInvalid, log } = this.#parts;
    log(`message refused: ${refusalReason(message)}`);
    const answer = invalidAnswer(message);
    if (answer !== undefined) client.say(answer.toString('utf8').trimEnd());
    // Of a flood the first ones are recorded.
    if (!message.couldBeCall || this.#recording >= MAX_RECORDING) return;
    const inner = message.tool === undefined ? undefined : innerName(message.tool);
    const isOurs = inner !== undefined && isServer(inner.server);
    const tool = isOurs ? { server: inner.server, name: inner.name } : { name: message.tool ?? UNREADABLE_TOOL };
    this.#recording += 1;
    void recordInvalid(tool, refusalReason(message)).finally(() => {
      this.#recording -= 1;
    });
  }
}
