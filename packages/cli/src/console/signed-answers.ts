/**
 * Says in the terminal of the console what came from outside of the page: the answers that were taken, and that requests were
 * turned down. A wrong secret shows nowhere else: Slack and senders are told no more than that it is wrong.
 */
import { Refusals, type Route } from '@countersign/connect';
import type { Guard } from '@countersign/core';
import { type Output, safe } from '../output.ts';
import { answerLine, timeOfDay } from './answer-line.ts';

export interface SignedAnswers {
  readonly approvals: Pick<Guard['approvals'], 'resolve' | 'get'>;
  readonly watched: (route: Route) => Route;
  close(): void;
}

const TURNED_DOWN: ReadonlySet<number> = new Set([401, 403]);

export function signedAnswers(approvals: SignedAnswers['approvals'], output: Output): SignedAnswers {
  const refusals = new Refusals<string>((what, count) =>
    output.note(`${timeOfDay()} REFUSED ${count === 1 ? 'a request' : `${count} requests`} to ${safe(what)}`),
  );
  return {
    approvals: {
      get: (id) => approvals.get(id),
      async resolve(id, answer, approver) {
        const row = await approvals.resolve(id, answer, approver);
        output.note(answerLine(answer.decision, id, approver.id));
        return row;
      },
    },
    watched: ({ path, handler }) => ({
      path,
      async handler(request, peer) {
        const answer = await handler(request, peer);
        if (TURNED_DOWN.has(answer.status)) refusals.add(`${path}: ${await messageOf(answer.clone())}`);
        return answer;
      },
    }),
    close: () => refusals.close(),
  };
}

/** Fixed words of ours, and few: nothing of the request is in them. */
async function messageOf(answer: Response): Promise<string> {
  const { error } = (await answer.json()) as { readonly error: { readonly code: string; readonly message: string } };
  return `${error.message} [${error.code}]`;
}
