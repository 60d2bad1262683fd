/** What the terminal of the console says of an answer. */
import type { PageEvent } from '@countersign/connect';
import { safe } from '../output.ts';

type Answered = Extract<PageEvent, { readonly kind: 'answer' }>['decision'];

const WORDS: Readonly<Record<Answered, string>> = {
  approve: 'approved',
  deny: 'denied',
  edit: 'proposed other arguments for',
  grant: 'approved and granted with',
  revoke: 'revoked',
};

export function answerLine(decision: Answered, id: string, approver: string): string {
  return `${timeOfDay()} ${WORDS[decision]} ${id.slice(0, 8)} as ${safe(approver)}`;
}

/** In UTC. */
export function timeOfDay(): string {
  return new Date().toISOString().slice(11, 19);
}
