/** The question that whoever halted something asks: an approval of this call lets it go on. */
import type { ToolRef } from '../call.ts';

/** Server of the calls that Countersign itself makes. No server may be configured under this name. */
export const OWN_SERVER = 'countersign';
export const AFTER_HALT: { readonly server: string; readonly name: string } = { server: OWN_SERVER, name: 'after_halt' };

export function isAfterHalt({ server, name }: Pick<ToolRef, 'server' | 'name'>): boolean {
  return server === AFTER_HALT.server && name === AFTER_HALT.name;
}
