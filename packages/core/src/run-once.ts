/**
 * One run per call in this process, however often a framework comes with it: who comes while it runs is given its result, and so is
 * who comes later while the result is remembered. `guard.run` and the adapters (`guard.once`) both end here.
 *
 * What is remembered is what the framework was given, after `permit.release`: no run is given more than the model has seen. It is
 * filed under the call key, which covers agent, session, principal, tool, raw arguments, framework id, turn and attempt. Nothing is
 * remembered of a call that did not run to an end of its own (refused, pending, interrupted, aborted): it is decided again.
 */
import { authorize } from './authorize.ts';
import type { Authorization } from './call.ts';
import type { KeepLater, OnceOptions } from './call-options.ts';
import type { Engine, Rules } from './engine.ts';
import type { PermitState } from './permit.ts';
import { isUnusable, type PreparedCall, type UnusableCall } from './prepare.ts';
import { denial, refusal } from './refusal.ts';
import type { KeptResult, RunInFlight, RunResults } from './run-results.ts';
import { currentCall } from './scope.ts';

/** What an adapter makes of an authorization: what its framework gets. */
export type Use<T> = (authorization: Authorization, keepLater: KeepLater<T>) => T | Promise<T>;

export interface RunDeps {
  readonly rules: Rules;
  readonly engine: Engine;
  readonly results: RunResults;
}

const NOT_KEPT: KeepLater<unknown> = () => () => undefined;

/** @param options - `form`: results of another form are not given. */
export async function runOnce<T>(call: PreparedCall | UnusableCall, options: OnceOptions, use: Use<T>, deps: RunDeps): Promise<T> {
  const { rules, engine, results } = deps;
  // Nobody finds a call without a key again.
  if (isUnusable(call) || call.key === undefined) return await use(await authorize(call, options, rules, engine), NOT_KEPT);
  const key = keyOf(options.form, call.key);
  const within = currentCall()?.callId;
  for (;;) {
    const running = results.inFlight(key);
    // Only a run that was started from the same place is waited for: a call that comes with itself, or two calls that come with
    // each other, would wait forever. The store refuses those (`CALL_IN_PROGRESS`).
    if (running !== undefined && running.within !== within) return await use(await authorize(call, options, rules, engine), NOT_KEPT);
    if (running !== undefined) {
      const ended = await endOf(running, options.signal);
      if (ended === 'aborted')
        return await use(refusal(call.callId, denial('CALL_CANCELLED', 'the caller gave up waiting'), engine), NOT_KEPT);
      // What happened while it ran counts: without a result to be given, the call is decided, as one that ran.
      if (ended !== undefined && (await mayBeGiven(ended, call, deps))) return given(ended);
      continue;
    }
    const kept = results.kept(key);
    if (kept !== undefined && (await mayBeGiven(kept, call, deps))) return given(kept);
    // Another one may have begun meanwhile; from here to `begin` nothing is awaited.
    if (results.inFlight(key) === undefined) return await begin(key, within, call, options, use, deps);
  }
}

/** Whether `runOnce` with this form would be given a result now. */
export async function isKept(call: PreparedCall, form: string | undefined, deps: RunDeps): Promise<boolean> {
  if (form === undefined || call.key === undefined) return false;
  const kept = deps.results.kept(keyOf(form, call.key));
  return kept !== undefined && (await mayBeGiven(kept, call, deps));
}

/** A call key is hex, so this is injective. */
function keyOf(form: string, key: string): string {
  return `${key} ${form}`;
}

function begin<T>(
  key: string,
  within: string | undefined,
  call: PreparedCall,
  options: OnceOptions,
  use: Use<T>,
  { rules, engine, results }: RunDeps,
): Promise<T> {
  let authorization: Authorization | undefined;
  let isLater = false;
  const state: PermitState = {};
  const keepLater: KeepLater<T> = () => {
    isLater = true;
    return (value) => {
      const result = resultOf(authorization, state, { value, thrown: false });
      if (result !== undefined) results.keep(key, result);
    };
  };
  const run = (async () => {
    authorization = await authorize(call, { ...options, state }, rules, engine);
    return await use(authorization, keepLater);
  })();
  const kept = (value: unknown, thrown: boolean): KeptResult | undefined =>
    isLater ? undefined : resultOf(authorization, state, { value, thrown });
  results.begin(key, {
    within,
    ended: run.then(
      (value) => kept(value, false),
      (error: unknown) => kept(error, true),
    ),
  });
  return run;
}

/** Undefined for what is no result of a run that came to an end of its own. */
function resultOf(
  authorization: Authorization | undefined,
  { policy, ended }: PermitState,
  made: Pick<KeptResult, 'value' | 'thrown'>,
): KeptResult | undefined {
  if (authorization?.kind !== 'permit' || policy === undefined || ended === undefined || ended === 'cancelled') return undefined;
  return { policy, ...made };
}

/**
 * A halted session gets nothing, also nothing it had before: its agent stands still until an operator resumes it. And what one
 * policy released is not given under another, which might withhold it.
 */
async function mayBeGiven(kept: KeptResult, call: PreparedCall, { rules, engine }: RunDeps): Promise<boolean> {
  if (kept.policy !== rules.now().policy.hash) return false;
  try {
    return !(await engine.store.session(call.session)).halted;
  } catch (error) {
    engine.report(error, { callId: call.callId, during: 'a repeated call' });
    return false;
  }
}

function given<T>({ value, thrown }: KeptResult): T {
  if (thrown) throw value;
  // Filed under its form.
  return value as T;
}

async function endOf({ ended }: RunInFlight, signal: AbortSignal | undefined): Promise<KeptResult | undefined | 'aborted'> {
  if (signal === undefined) return ended;
  if (signal.aborted) return 'aborted';
  const { promise, resolve } = Promise.withResolvers<'aborted'>();
  const aborted = (): void => resolve('aborted');
  signal.addEventListener('abort', aborted, { once: true });
  try {
    return await Promise.race([ended, promise]);
  } finally {
    signal.removeEventListener('abort', aborted);
  }
}
