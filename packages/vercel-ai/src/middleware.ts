/**
 * The middleware of a language model: what is offered to it, and what becomes of what it asks for. It enforces nothing, since
 * a model runs nothing: `guardTools` does.
 */
import type { Guard } from '@countersign/core';
import type { LanguageModelMiddleware } from 'ai';
import { refusedText } from './denied-calls.ts';
import { filteredResult, type Refuse, StreamFilter } from './filtered-response.ts';
import { checkModelOptions, type Identity, type ModelMiddlewareOptions, toolRefOf } from './model-options.ts';
import { seen } from './model-stream.ts';
import type { CallParams, GenerateResult, ModelWarning, StreamPart, StreamResult } from './model-types.ts';
import { type OfferedParams, offered } from './offered-tools.ts';
import { type OpenRuns, ProviderRuns } from './provider-runs.ts';

/**
 * Middleware for `wrapLanguageModel`: tools of which every call would be refused are not offered to the model, tools of the
 * provider are not offered or put on record, and, when asked for, denied calls are taken out of what it answers.
 *
 * Nothing here throws because of the guard. When the guard cannot say what may be used, no tool is offered, with a warning in
 * the result; when it cannot decide on a call and `deniedCalls` is `filter`, the call is taken out.
 *
 * @throws {CountersignError} `OPTIONS_INVALID`
 */
export function countersignMiddleware(guard: Guard, options: ModelMiddlewareOptions = {}): LanguageModelMiddleware {
  checkModelOptions(options);
  /** By what this middleware made of the parameters: the SDK hands the very same object to the steps below. */
  const known = new WeakMap<CallParams, OfferedParams>();
  const open: OpenRuns = new Map();
  const told = new Set<string>();
  const about = (params: CallParams): Response => responseOf(known.get(params), open, guard, options);
  return {
    specificationVersion: 'v4',
    async transformParams({ params }) {
      const made = await offered(params, guard, options, told);
      known.set(made.params, made);
      return made.params;
    },
    async wrapGenerate({ doGenerate, params }) {
      return about(params).result(await doGenerate());
    },
    async wrapStream({ doStream, params }) {
      return about(params).stream(await doStream());
    },
  };
}

interface Response {
  result(given: GenerateResult): Promise<GenerateResult>;
  stream(given: StreamResult): StreamResult;
}

function responseOf(made: OfferedParams | undefined, open: OpenRuns, guard: Guard, options: ModelMiddlewareOptions): Response {
  const { identity, warnings = [] } = made ?? {};
  const runs = new ProviderRuns(identity ?? {}, open, guard, options);
  const refuse: Refuse | undefined = options.deniedCalls === 'filter' ? (call) => refusedText(call, identity, guard, options) : undefined;
  return {
    async result(given) {
      for (const part of given.content) await runs.see(part);
      await runs.finish();
      const kept = refuse === undefined ? given : await filteredResult(given, refuse);
      return warnings.length === 0 ? kept : { ...kept, warnings: [...kept.warnings, ...warnings] };
    },
    stream(given) {
      const filter = refuse === undefined ? undefined : new StreamFilter(refuse, (name) => mayShow(name, identity, guard, options));
      const warn = warner(warnings);
      const stream = seen(given.stream, {
        async next(part) {
          await runs.see(part);
          if (part.type === 'finish') await runs.finish();
          return ((await filter?.next(part)) ?? [part]).flatMap(warn);
        },
        async end() {
          await runs.finish();
          return (await filter?.end()) ?? [];
        },
        brokeOff: () => runs.finish(),
      });
      return { ...given, stream };
    },
  };
}

/** The input of a call that never came: nobody can decide on it, unless there is nothing to decide. */
async function mayShow(name: string, identity: Identity | undefined, guard: Guard, options: ModelMiddlewareOptions): Promise<boolean> {
  try {
    if (identity === undefined) return false;
    const [offer] = await guard.offers([toolRefOf(name, options)], identity);
    return offer !== undefined && offer.denial === undefined;
  } catch {
    return false;
  }
}

/** Warnings stand in the first part of a stream; a stream that starts without one gets it. */
function warner(warnings: readonly ModelWarning[]): (part: StreamPart) => readonly StreamPart[] {
  let left = warnings;
  return (part) => {
    if (left.length === 0) return [part];
    const more = [...left];
    left = [];
    if (part.type === 'stream-start') return [{ ...part, warnings: [...part.warnings, ...more] }];
    return [{ type: 'stream-start', warnings: more }, part];
  };
}
