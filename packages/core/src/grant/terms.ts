/** What a person may grant, and for how long. */

/** Longest a grant may last unless the configuration says otherwise: 24 hours. */
export const MAX_GRANT_TTL_MS: number = 24 * 60 * 60_000;
export const MAX_GRANT_USES = 1000;

/** Terms of a grant, as the person who approves a call gives them. */
export interface GrantTerms {
  /** From now, in milliseconds; at most `approvals.maxGrantTtlMs` of the guard. */
  readonly ttlMs: number;
  /** How many later calls need not ask, 1 to 1000. The call that is approved is not one of them. */
  readonly uses: number;
  /** Why. Required, at most 500 characters; it is redacted, and kept beside the entry. */
  readonly reason: string;
  /** Default `session`: calls of the session that asked. `agent`: calls of that agent in any session. */
  readonly scope?: 'session' | 'agent';
  /** CEL condition over the shown view that a call must meet: `args.amount <= 1000`. */
  readonly when?: string;
}
