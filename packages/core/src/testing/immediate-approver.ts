import type { ApprovalAnswer, ApprovalRequest, Approver, Channel } from '../interfaces.ts';

/** An answer in words, or a whole one. */
export type ImmediateAnswer = 'approve' | 'deny' | ApprovalAnswer;

/**
 * A channel that answers at once, for tests of what comes after an approval.
 *
 * @param answer - the same for every request, or a function of it; when that throws, the channel failed.
 * @param approver - who answers; default `test`, by method `host`.
 */
export function immediateApprover(
  answer: ImmediateAnswer | ((request: ApprovalRequest) => ImmediateAnswer | Promise<ImmediateAnswer>),
  approver: Approver = { id: 'test', method: 'host' },
): Channel {
  return {
    name: 'immediate',
    async ask(request, resolve) {
      const given = typeof answer === 'function' ? await answer(request) : answer;
      await resolve(typeof given === 'string' ? { decision: given } : given, approver);
    },
  };
}
