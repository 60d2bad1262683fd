/** The host monitor's watch over one call: begun before the call is allowed, so that no call runs unwatched. */
import type { Refusal } from './call.ts';
import type { Engine, Rules } from './engine.ts';
import { CountersignError } from './errors.ts';
import { haltedReason } from './halt/reason.ts';
import type { CallWatch } from './interfaces.ts';
import type { PreparedCall, UnusableCall } from './prepare.ts';
import { denial, failure, refusal, refuse } from './refusal.ts';

/** The call will not run after all. */
export function abandonWatch(watch: CallWatch | undefined, callId: string, engine: Engine): void {
  try {
    watch?.end();
  } catch (error) {
    engine.report(error, { callId, during: 'host monitor' });
  }
}

export class MonitorFailure extends Error {}

/** @throws {MonitorFailure} */
export function beginWatch({ callId, session, tool: { server } }: PreparedCall, engine: Engine): CallWatch | undefined {
  try {
    return engine.monitor?.begin(callId, { session, ...(server !== undefined && { server }) });
  } catch (cause) {
    throw new MonitorFailure('the host monitor does not work', { cause });
  }
}

/** On record where that is possible. Never throws. */
export async function refuseMonitor(
  call: PreparedCall | UnusableCall,
  rules: Rules,
  engine: Engine,
  why?: MonitorFailure,
): Promise<Refusal> {
  // A monitor that stopped the session is ahead of the ledger by as long as a commit takes.
  const isStopped = CountersignError.is(why?.cause) && why.cause.code === 'SESSION_STOPPED';
  const decision = isStopped
    ? denial('SESSION_HALTED', haltedReason(call.session))
    : denial('MONITOR_FAILED', 'the host monitor does not work: no call runs unwatched');
  try {
    return await refuse(call, decision, rules, engine);
  } catch (error) {
    return refusal(call.callId, failure(error), engine);
  }
}
