/** Calls that could not be read. */
import { quoted } from '../quoted.ts';
import type { RuleFamily } from '../rule.ts';

export const UNREADABLE_CALL: RuleFamily = {
  rules: [
    {
      id: 'unreadable-call',
      title: 'A system call that could not be read',
      explanation:
        'What its arguments lead to cannot be read, or has no end: nobody can tell what it would have done. Under kernel control it fails, except in audit mode. A program that does this by mistake gets the error the kernel has for it.',
      levels: ['FLAG'],
    },
  ],
  kinds: ['unreadable'],
  begin: () => ({
    judge({ activity: { action } }, found) {
      if (action.kind !== 'unreadable') return;
      found({ rule: 'unreadable-call', level: 'FLAG', reason: `${quoted(action.call)}, of which ${action.what} cannot be read` });
    },
  }),
};
