/** Changing the policy of a running guard, on record. */
import { onePolicy } from './create-engine.ts';
import type { Engine } from './engine.ts';
import { CountersignError } from './errors.ts';
import type { GuardOptions, PolicyChange } from './guard-types.ts';
import type { Policy, PolicyName } from './policy/policy.ts';

/** Topics of the notes, see `docs/formats/entry.md`. */
export const POLICY_CHANGED = 'policy-changed';
export const POLICY_REJECTED = 'policy-rejected';

type Given = GuardOptions['policy'];
type Deps = Pick<Engine, 'agent' | 'commit' | 'inForce' | 'recordPolicy' | 'report'>;

/** As `Guard.setPolicy`. */
export async function setPolicy(given: Given | (() => Given | Promise<Given>), engine: Deps): Promise<PolicyChange> {
  let next: Policy;
  try {
    next = onePolicy(typeof given === 'function' ? await given() : given);
  } catch (error) {
    await recordRejected(error, engine);
    throw error;
  }
  return engine.inForce.replace(next, async (current) => {
    const [from, to] = [nameOf(current), nameOf(next)];
    if (from.hash === to.hash) return { changed: false, from, to };
    // The document first: nobody meets a hash in the note that stands nowhere.
    await engine.recordPolicy(next, true);
    const data = { agent: engine.agent, from: { ...from }, to: { ...to } };
    await engine.commit({ kind: 'record', body: { kind: 'note', topic: POLICY_CHANGED, data } });
    return { changed: true, from, to };
  });
}

export function nameOf({ id, version, hash }: Policy): PolicyName {
  return { id, ...(version !== undefined && { version }), hash };
}

/** Code and place alone: the message may quote the file. */
async function recordRejected(error: unknown, engine: Deps): Promise<void> {
  const isOurs = CountersignError.is(error);
  const { line, column } = isOurs ? error.details : {};
  const data = {
    agent: engine.agent,
    code: isOurs ? error.code : 'INTERNAL_ERROR',
    ...(isPlace(line) && { line }),
    ...(isPlace(column) && { column }),
    in_force: { ...nameOf(engine.inForce.policy) },
  };
  try {
    await engine.commit({ kind: 'record', body: { kind: 'note', topic: POLICY_REJECTED, data } });
  } catch (failed) {
    engine.report(failed, { during: 'recording that a policy was rejected' });
  }
}

function isPlace(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 1;
}
