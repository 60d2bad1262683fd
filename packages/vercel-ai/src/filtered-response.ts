/** A response without its denied calls: each leaves a text, and a response without any call left has ended. */
import { randomUUID } from 'node:crypto';
import type { Content, FinishReason, GenerateResult, ModelToolCall, StreamPart } from './model-types.ts';

/** Text for one call that is denied; undefined for one that stays. Never throws. */
export type Refuse = (call: ModelToolCall) => Promise<string | undefined>;

/** The very same result when every call stays. */
export async function filteredResult(result: GenerateResult, refuse: Refuse): Promise<GenerateResult> {
  let dropped = 0;
  let left = 0;
  const content: Content[] = [];
  for (const part of result.content) {
    const text = part.type === 'tool-call' ? await refuse(part) : undefined;
    if (part.type === 'tool-call' && text === undefined && part.providerExecuted !== true) left++;
    if (text !== undefined) dropped++;
    content.push(text === undefined ? part : { type: 'text', text });
  }
  if (dropped === 0) return result;
  return { ...result, content, finishReason: mended(result.finishReason, left) };
}

/** Characters of inputs that wait for their call; more are let go, and the call itself holds the input once more. */
export const MAX_HELD_CHARS = 8_388_608;

type InputPart = Extract<StreamPart, { readonly type: 'tool-input-start' | 'tool-input-delta' | 'tool-input-end' }>;

/**
 * The calls of a stream. Its input streams before the call itself comes, so from the first part of an input on everything
 * waits, in its order, until the calls before it are judged.
 */
export class StreamFilter {
  readonly #refuse: Refuse;
  /** Whether an input that no call followed may be seen. */
  readonly #mayShow: (toolName: string) => Promise<boolean>;
  #waiting: StreamPart[] = [];
  /** Names of tools by the id of an input whose call has not come. */
  readonly #inputs = new Map<string, string>();
  /** Inputs whose call was denied. */
  readonly #denied = new Set<string>();
  #heldChars = 0;
  #dropped = 0;
  #left = 0;

  constructor(refuse: Refuse, mayShow: (toolName: string) => Promise<boolean>) {
    this.#refuse = refuse;
    this.#mayShow = mayShow;
  }

  /** What may be passed on once `part` has come. */
  async next(part: StreamPart): Promise<readonly StreamPart[]> {
    if (part.type === 'finish') return [...(await this.end()), this.#finished(part)];
    if (isInput(part)) this.#hold(part);
    else {
      const parts = part.type === 'tool-call' ? await this.#judged(part) : [part];
      this.#waiting.push(...parts);
    }
    return this.#released();
  }

  /** What still waits when no more comes: inputs that never became a call. */
  async end(): Promise<readonly StreamPart[]> {
    for (const [id, name] of this.#inputs) if (!(await this.#mayShow(name))) this.#deny(id);
    this.#inputs.clear();
    return this.#released();
  }

  #hold(part: InputPart): void {
    // What the provider runs is not ours to judge.
    if (part.type === 'tool-input-start') this.#denied.delete(part.id);
    if (part.type === 'tool-input-start' && part.providerExecuted !== true) this.#inputs.set(part.id, part.toolName);
    if (this.#denied.has(part.id)) return;
    if (part.type === 'tool-input-delta' && this.#inputs.has(part.id)) {
      if (this.#heldChars + part.delta.length > MAX_HELD_CHARS) return;
      this.#heldChars += part.delta.length;
    }
    this.#waiting.push(part);
  }

  async #judged(part: ModelToolCall): Promise<readonly StreamPart[]> {
    const text = await this.#refuse(part);
    this.#inputs.delete(part.toolCallId);
    if (text === undefined) {
      if (part.providerExecuted !== true) this.#left++;
      return [part];
    }
    this.#dropped++;
    this.#deny(part.toolCallId);
    const id = `refused-${randomUUID()}`;
    return [
      { type: 'text-start', id },
      { type: 'text-delta', id, delta: text },
      { type: 'text-end', id },
    ];
  }

  #deny(id: string): void {
    this.#denied.add(id);
    this.#waiting = this.#waiting.filter((waiting) => !(isInput(waiting) && waiting.id === id));
  }

  /** Everything before the first input whose call is still to come. */
  #released(): readonly StreamPart[] {
    const first = this.#waiting.findIndex((part) => isInput(part) && this.#inputs.has(part.id));
    const released = this.#waiting.splice(0, first < 0 ? this.#waiting.length : first);
    if (this.#waiting.length === 0) this.#heldChars = 0;
    return released;
  }

  #finished(part: Extract<StreamPart, { readonly type: 'finish' }>): StreamPart {
    return this.#dropped === 0 ? part : { ...part, finishReason: mended(part.finishReason, this.#left) };
  }
}

function isInput(part: StreamPart): part is InputPart {
  return part.type === 'tool-input-start' || part.type === 'tool-input-delta' || part.type === 'tool-input-end';
}

/** With no call left there is nothing to wait for. What the provider itself said stays beside it. */
function mended(reason: FinishReason, left: number): FinishReason {
  return left === 0 && reason.unified === 'tool-calls' ? { ...reason, unified: 'stop' } : reason;
}
