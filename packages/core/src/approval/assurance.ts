/** What an answer is worth, by how its approver was authenticated. What a method is worth is ours to say, never the caller's. */
import { ASSURANCES, type Assurance } from '../call.ts';
import type { ApproverIdentity, ApproverMethod } from '../ledger/entry.ts';

const WORTH: ReadonlyMap<ApproverMethod, Assurance> = new Map([
  ['key', 'high'],
  ['terminal', 'medium'],
  ['host', 'medium'],
  ['page', 'medium'],
  ['webhook', 'medium'],
  ['elicitation', 'low'],
]);

/** Undefined for a method that is none. */
export function assuranceOf(method: ApproverMethod): Assurance | undefined {
  return WORTH.get(method);
}

/** True when `given` is worth at least `wanted`. */
export function isAssured(given: Assurance, wanted: Assurance | undefined): boolean {
  return wanted === undefined || ASSURANCES.indexOf(given) >= ASSURANCES.indexOf(wanted);
}

/** The stricter of two; undefined when neither asks for any. */
export function higherAssurance(one: Assurance | undefined, other: Assurance | undefined): Assurance | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return isAssured(one, other) ? one : other;
}

/** What is wrong with an answer on record that claims more than its method is worth. A guard may take one for less, never for more. */
export function overclaim({ method, assurance }: Pick<ApproverIdentity, 'method' | 'assurance'>): string | undefined {
  return isAssured(assuranceOf(method) ?? 'low', assurance) ? undefined : `an answer by ${method} is not of ${assurance} assurance`;
}
