/** What is thrown on in place of an error that a rule on results changed. */
import type { Released } from '../call.ts';
import { CountersignError } from '../errors.ts';

/** The very error when nothing of it was changed, else one with code `TOOL_FAILED` whose message is what may be seen of it. */
export function releasedError(released: Released, error: unknown): unknown {
  if (released.kind === 'replaced') return new CountersignError('TOOL_FAILED', released.text);
  if (released.value === error) return error;
  return new CountersignError('TOOL_FAILED', typeof released.value === 'string' ? released.value : JSON.stringify(released.value));
}
