/** What is said of a call that a halted session may not make. */

/** What a shell takes as it is. Ids of sessions come from outside, and a person copies the command. */
const PLAIN = /^[A-Za-z0-9][A-Za-z0-9._:@-]*$/;

/** For people and models: what stands in the way, and who can lift it. */
export function haltedReason(session: string): string {
  return `the session is halted until an operator resumes it: countersign resume${PLAIN.test(session) ? ` ${session}` : ''}`;
}
