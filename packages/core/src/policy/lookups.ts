/**
 * What a condition looked up outside the call, such as where a link on disk leads.
 *
 * A lookup is read once per decision: all rules see the same answer, and the answer is recorded beside the decision, so
 * that a replay needs neither the disk nor luck.
 */
import type { Json } from '../call.ts';
import { ConditionFault } from './condition-value.ts';

/** Most things the rules of one decision may look up. The subjects come from arguments. */
export const MAX_LOOKUPS = 1024;
/** Longest subject of a lookup. */
export const MAX_LOOKUP_CHARS = 8192;

export interface Lookups {
  /**
   * What `read` gives, remembered under kind and subject for this decision.
   *
   * A read that fails says so in its answer (`{ error: 'EACCES' }`) instead of throwing: what failed is a fact, too, and
   * a replay has to fail in the same way.
   *
   * @param kind - names who looks up, such as `path`: lower case letters and `-`.
   * @throws {ConditionFault} when there are too many, or when a replay does not know the answer.
   */
  lookUp(kind: string, subject: string, read: () => Json): Json;
  /** Notes that the policy read the time of the decision. */
  readTime?(atMs: number): void;
}

/** Lookups that read for real, with what they read. */
export interface RecordedLookups extends Lookups {
  /** By `kind:subject`; undefined when nothing was looked up. */
  recorded(): Readonly<Record<string, Json>> | undefined;
}

export function createLookups(): RecordedLookups {
  let known: Map<string, Json> | undefined;
  return {
    lookUp(kind, subject, read) {
      const key = `${kind}:${subject}`;
      known ??= new Map();
      const remembered = known.get(key);
      if (remembered !== undefined) return remembered;
      if (subject.length > MAX_LOOKUP_CHARS)
        throw new ConditionFault(`a ${kind} of more than ${MAX_LOOKUP_CHARS} characters is not looked up`);
      if (known.size >= MAX_LOOKUPS) throw new ConditionFault(`the rules look up more than ${MAX_LOOKUPS} things for one call`);
      const answer = read();
      known.set(key, answer);
      return answer;
    },
    recorded() {
      if (known === undefined || known.size === 0) return undefined;
      const sorted = [...known].toSorted(([left], [right]) => (left < right ? -1 : 1));
      return Object.fromEntries(sorted);
    },
  };
}

/**
 * Lookups of a replay: they answer from what was recorded and read nothing.
 *
 * @param onMissing - told the `kind:subject` of whatever was not recorded.
 * @param assumed - what is taken to be the answer all the same; undefined = none.
 */
export function replayedLookups(
  recorded: Readonly<Record<string, Json>>,
  onMissing?: (name: string) => void,
  assumed: (kind: string, subject: string) => Json | undefined = () => undefined,
): Lookups {
  const known = new Map(Object.entries(recorded));
  return {
    lookUp(kind, subject) {
      const name = `${kind}:${subject}`;
      const answer = known.get(name);
      if (answer !== undefined) return answer;
      const taken = assumed(kind, subject);
      if (taken !== undefined) return taken;
      onMissing?.(name);
      throw new ConditionFault(`the ${kind} that this rule looks up was not recorded`);
    },
  };
}
