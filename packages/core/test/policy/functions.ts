/** Running one condition on arguments, for the tests of its functions. */
import { type Condition, ConditionError, compileCondition } from '../../src/policy/conditions.ts';
import type { PolicyInput } from '../../src/policy/policy.ts';
import { policyInput } from './input.ts';

/** True or false, or what the fault says. */
export function holds(source: string, args: unknown, changes: Partial<PolicyInput> = {}): boolean | string {
  return run(compileCondition(source, 'w'), args, changes);
}

/** The same for a condition that is compiled already. */
export function run(condition: Condition, args: unknown, changes: Partial<PolicyInput> = {}): boolean | string {
  try {
    return condition(policyInput({ args: args as PolicyInput['args'], ...changes }));
  } catch (error) {
    if (!(error instanceof ConditionError)) throw error;
    return error.message;
  }
}
