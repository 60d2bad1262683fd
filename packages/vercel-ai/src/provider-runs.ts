/** Putting on record what a model's provider ran, as its parts come by. Never throws; nothing here can stop such a run. */
import type { Guard, RecordedRun } from '@countersign/core';
import { toolCallOf } from './call.ts';
import { type Identity, type ModelMiddlewareOptions, namesOf } from './model-options.ts';
import type { Content, ModelToolCall, StreamPart } from './model-types.ts';

/** Runs whose result has not come yet, over all responses of one middleware. The oldest stay open in the ledger. */
export const MAX_OPEN_RUNS = 1000;

/** By session and call: a result may come in a later response than its call. */
export type OpenRuns = Map<string, RecordedRun>;

/** The runs of one response. */
export class ProviderRuns {
  /** Seen in the part before: whether it waits for an approval that the provider asks for is told by the next. */
  #fresh: ModelToolCall | undefined;
  readonly #identity: Identity;
  readonly #open: OpenRuns;
  readonly #guard: Guard;
  readonly #options: ModelMiddlewareOptions;

  constructor(identity: Identity, open: OpenRuns, guard: Guard, options: ModelMiddlewareOptions) {
    this.#identity = identity;
    this.#open = open;
    this.#guard = guard;
    this.#options = options;
  }

  /** Every part of the response in its order. Resolves once what it tells is on record. */
  async see(part: Content | StreamPart): Promise<void> {
    const fresh = this.#fresh;
    this.#fresh = undefined;
    const isAsked = part.type === 'tool-approval-request' && part.toolCallId === fresh?.toolCallId;
    if (fresh !== undefined && !isAsked) await this.#begin(fresh);
    if (part.type === 'tool-call' && part.providerExecuted === true) this.#fresh = part;
    if (part.type === 'tool-result' && part.preliminary !== true) await this.#end(part);
  }

  /** No more parts will come. */
  async finish(): Promise<void> {
    const fresh = this.#fresh;
    this.#fresh = undefined;
    if (fresh !== undefined) await this.#begin(fresh);
  }

  async #begin(part: ModelToolCall): Promise<void> {
    try {
      const call = toolCallOf({ ...part, input: inputOf(part.input) }, undefined, namesOf(this.#identity, this.#options));
      const run = await this.#guard.recordRun(call, 'provider');
      if (this.#open.size >= MAX_OPEN_RUNS) this.#open.delete(this.#open.keys().next().value ?? '');
      this.#open.set(this.#key(part.toolCallId), run);
    } catch {
      // `recordRun` tells `onError` what it could not write.
    }
  }

  async #end(part: Extract<Content, { readonly type: 'tool-result' }>): Promise<void> {
    const key = this.#key(part.toolCallId);
    const run = this.#open.get(key);
    this.#open.delete(key);
    await run?.ended(part.isError === true ? { status: 'error', error: part.result } : { status: 'success', result: part.result });
  }

  #key(toolCallId: string): string {
    return JSON.stringify([this.#identity.session, toolCallId]);
  }
}

/** As it was written, when it is no JSON. */
function inputOf(text: string): unknown {
  try {
    return text.trim() === '' ? {} : (JSON.parse(text) as unknown);
  } catch {
    return text;
  }
}
