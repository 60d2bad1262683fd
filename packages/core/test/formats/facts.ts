/** The example of facts in `docs/formats/entry.md`: the ledger of `releases.ts`, and a decision that rests on more than its call. */
import { appendTo, checkpointOf, context, type GoldenEntry, id, opened, policy, timeOf } from './ledger.ts';
import { WITH_RELEASES } from './releases.ts';

const entries: GoldenEntry[] = [...WITH_RELEASES];

const shown = opened(20, {
  args: { path: '/srv/reports/q1.csv' },
  facts: {
    annotations: { readOnlyHint: true },
    at: timeOf(entries.length) - 3,
    calls: { 'files/read_*': 2 },
    lookups: { 'path:/srv/reports/q1.csv': '/mnt/data/q1.csv' },
  },
});
appendTo(entries)(
  {
    kind: 'decision',
    ...context,
    call: id(111),
    tool: { server: 'files', name: 'read_file' },
    mode: 'enforce',
    effect: 'allow',
    would: 'allow',
    reason_code: 'POLICY_ALLOW_LOW_RISK',
    rule: 'reports',
    policy,
    ...shown.commits,
  },
  { opening: shown.opening },
);

export const WITH_FACTS: readonly GoldenEntry[] = entries;
export const CHECKPOINT_WITH_FACTS: string = checkpointOf(entries);
