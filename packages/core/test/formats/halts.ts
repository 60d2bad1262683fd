/** The examples of verdicts and halts in `docs/formats/entry.md`: the ledger of `pins.ts`, and what a monitor made of a call. */
import { resumeStatement } from '../../src/halt/statement.ts';
import { appendTo, checkpointOf, context, finance, type GoldenEntry, id, opened } from './ledger.ts';
import { WITH_PINS } from './pins.ts';

const entries: GoldenEntry[] = [...WITH_PINS];
const append = appendTo(entries);
const incident = 'inc-1';

const seen = opened(23, {
  activity: { action: { kind: 'read', path: '/home/u/.ssh/id_ed25519' }, reason: 'a private key was read', seq: 41 },
});
const verdict = append(
  {
    kind: 'verdict',
    ...context,
    call: id(101),
    level: 'HALT',
    enforced: 'HALT',
    mode: 'enforce_kill',
    rule: 'secret-read',
    evaluator: 'rules',
    confidence: 1,
    incident,
    phase: 'after',
    activity_commit: seen.commits['activity_commit'] ?? '',
  },
  { opening: seen.opening },
);
const done = opened(24, { details: { processes: ['4711 node'] } });
append(
  {
    kind: 'containment',
    ...context,
    incident,
    event: 'frozen',
    verdict,
    grade: 'cgroup',
    count: 1,
    left: 0,
    duration_ms: 2,
    details_commit: done.commits['details_commit'] ?? '',
  },
  { opening: done.opening },
);
const halt = append({ kind: 'session', ...context, event: 'halted', reason_code: 'MONITOR_HALT', incident });
export const resuming: Uint8Array = resumeStatement({ halt, session: context.session }, 'finance');
append({
  kind: 'session',
  ...context,
  event: 'resumed',
  halt,
  approver: { id: 'finance', method: 'key', assurance: 'high' },
  signature: Buffer.from(finance.sign(resuming)).toString('base64'),
  before: halt,
});

export const WITH_HALTS: readonly GoldenEntry[] = entries;
export const CHECKPOINT_WITH_HALTS: string = checkpointOf(entries);
