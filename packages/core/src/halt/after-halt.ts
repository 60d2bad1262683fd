/** Names that whoever halts something goes by, and the question that is asked then: an approval of that call lets it go on. */
import type { ToolRef } from '../call.ts';

/** Server of the calls that Countersign itself makes. No server may be configured under this name. */
export const OWN_SERVER = 'countersign';
export const AFTER_HALT: { readonly server: string; readonly name: string } = { server: OWN_SERVER, name: 'after_halt' };

/** Reason code of a halt that a person said, and no rule: whoever watches processes stops them too, and only an end of its own ends it. */
export const OPERATOR_HALT = 'OPERATOR_HALT';

export function isAfterHalt({ server, name }: Pick<ToolRef, 'server' | 'name'>): boolean {
  return server === AFTER_HALT.server && name === AFTER_HALT.name;
}
