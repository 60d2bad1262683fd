/**
 * Calls that a grant lets run. Uses are counted from entries, so the question is what that costs once there are many.
 *
 * "late": a call by a grant on a ledger that has seen 9,000 uses, 20,000 entries and nine grants that are used up, against
 * the same call on a ledger that begins. "plain": the late call against one that policy allows on the same ledger.
 */
import { createGuard, definePolicy, type Guard } from '@countersign/core';
import { atMost, type Claim } from './figure.ts';
import { benchSigner, benchStore } from './fixtures.ts';
import { ONE_BY_ONE, timeRatio, type Work } from './measure.ts';

const late = 'a call by a grant after 9,000 uses / by a grant on a ledger that begins';
const plain = 'a call by a grant after 9,000 uses / a call that policy allows';

const USES = 1000;
const USED_UP = 9;
/** A run uses 1,400. */
const MORE_THAN_A_RUN = 3;
const HOUR_MS = 3_600_000;

export const grantClaims: readonly Claim[] = [
  { name: late, measure: async () => atMost(late, await timeRatio(await uses(USED_UP), await uses(0), { ...ONE_BY_ONE, rounds: 5 }), 1.3) },
  {
    name: plain,
    async measure() {
      const guard = benchGuard();
      const work = await usesOf(guard, USED_UP);
      const allowed: Work = async (count) => {
        for (let i = 0; i < count; i++) await settled(guard, 'read');
      };
      return atMost(plain, await timeRatio(work, allowed, { ...ONE_BY_ONE, rounds: 5 }), 1.5);
    },
  },
];

const policy = definePolicy({
  id: 'bench',
  evaluate: ({ tool }) => (tool.name === 'ask' ? { effect: 'require_approval', rule: 'ask' } : { effect: 'allow', rule: 'read' }),
});

function benchGuard(): Guard {
  return createGuard({ agent: 'bench', session: 'bench', policy, store: benchStore(benchSigner()) });
}

function uses(usedUp: number): Promise<Work> {
  return usesOf(benchGuard(), usedUp);
}

/** @param usedUp - grants that are used up first. */
async function usesOf(guard: Guard, usedUp: number): Promise<Work> {
  const work: Work = async (count) => {
    for (let i = 0; i < count; i++) if (!(await settled(guard, 'ask'))) throw new Error('the grant of the bench is used up');
  };
  for (let grant = 0; grant < usedUp; grant++) {
    await give(guard, 1);
    await work(USES);
  }
  // More than a run needs, so that none is given while it is measured.
  await give(guard, MORE_THAN_A_RUN);
  return work;
}

/** Asks about so many calls, then approves each with a grant: while one is good, nothing asks. */
async function give(guard: Guard, count: number): Promise<void> {
  const ids: string[] = [];
  for (let number = 0; number < count; number++) {
    const pending = await guard.authorize({ tool: { name: 'ask' }, args: { number } }, { approval: 'suspend' });
    if (pending.kind !== 'pending') throw new Error('the call of the bench did not ask');
    ids.push(pending.approvalId);
  }
  const grant = { ttlMs: HOUR_MS, uses: USES, reason: 'bench' };
  for (const id of ids) await guard.approvals.resolve(id, { decision: 'approve', grant }, { id: 'bench', method: 'host' });
}

async function settled(guard: Guard, name: string): Promise<boolean> {
  const permit = await guard.authorize({ tool: { name }, args: { path: '/srv/a.txt' } }, { approval: 'suspend' });
  if (permit.kind !== 'permit') return false;
  await permit.settle({ status: 'success' });
  return true;
}
