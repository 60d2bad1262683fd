/** A refusal as an error, and in words. */
import type { Refusal } from './call.ts';
import { CountersignError } from './errors.ts';

/** Thrown by `guard.run` and wrapped tools. The tool did not run. */
export class CallRefusedError extends CountersignError {
  override readonly name: string = 'CallRefusedError';
  readonly refusal: Refusal;
  constructor(refusal: Refusal) {
    super('CALL_REFUSED', refusalText(refusal), { details: { reasonCode: refusal.decision.reasonCode, callId: refusal.callId } });
    this.refusal = refusal;
  }
}

/** One sentence for a model or a log: what was refused, why, and the code. */
export function refusalText(refusal: Refusal): string {
  const { reason, reasonCode, rule } = refusal.decision;
  const why = reason === undefined ? '' : `: ${reason}`;
  return `call refused${why} [${reasonCode}${rule === undefined ? '' : `, rule ${rule}`}]`;
}
