/** How much is done in a minute. */
import type { ActionKind } from '../../activity.ts';
import type { RuleFamily } from '../rule.ts';
import { EventWindow } from '../window.ts';

const WINDOW_MS = 60_000;
/** What a predecessor's observer told of. */
const LITERAL_KINDS: readonly ActionKind[] = ['read', 'write', 'delete', 'rename', 'exec', 'connect'];
/** Reading is how every program starts, hundreds of files at a time. */
const OWN_KINDS: readonly ActionKind[] = ['write', 'delete', 'rename', 'exec', 'connect'];

export const RATE: RuleFamily = {
  rules: [
    {
      id: 'rate-limit',
      title: 'Too much in a minute',
      explanation:
        'More than `max_actions_per_minute`: programs started, connections to other hosts, files written, deleted or renamed; under a predecessor scope files read as well, and 60 when the scope does not say. Our own scope has no limit unless one is written.',
      levels: ['KILL'],
    },
  ],
  kinds: LITERAL_KINDS,
  begin({ literal, scope: { limits } }) {
    const { actionsPerMinute } = limits;
    const kinds = new Set(literal ? LITERAL_KINDS : OWN_KINDS);
    const window = actionsPerMinute === undefined ? undefined : new EventWindow(actionsPerMinute + 1, WINDOW_MS);
    return {
      judge({ activity: { action }, destination, at, seq, isDouble }, found) {
        if (window === undefined || isDouble || !kinds.has(action.kind) || (!literal && destination?.local === true)) return;
        if (window.add(at, seq))
          found({ rule: 'rate-limit', level: 'KILL', reason: `more than ${actionsPerMinute} actions within a minute` });
      },
      accept: () => window?.clear(),
    };
  },
};
