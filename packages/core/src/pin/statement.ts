/**
 * What an approver signs who trusts declarations, or trusts them no more.
 *
 *     countersign/pin/v1
 *     {"approver":...,"before":{"leaf":...,"of":12},"event":"accepted","pins":[{"digest":...,"name":...}],"server":...}
 *
 * A fixed first line, then RFC 8785 JSON; UTF-8; Ed25519. `pins` sorted by name; `server` is there when the entry has it.
 * `before` is the pin entry that the answer follows: an answer that was signed once is good in one place of one ledger, and
 * not again after it was taken back.
 */
import type { EntryRef } from '../call.ts';
import { canonicalize } from '../ledger/canonical.ts';
import type { PinAnswerBody } from '../ledger/entry.ts';

export interface PinStatement {
  readonly before: EntryRef;
  readonly event: PinAnswerBody['event'];
  readonly server?: string | undefined;
  readonly pins: readonly { readonly name: string; readonly digest: string }[];
}

/** The bytes to sign. */
export function pinStatement({ before: { of, leaf }, event, server, pins }: PinStatement, approver: string): Uint8Array {
  const named = pins.map(({ name, digest }) => ({ digest, name })).toSorted(byName);
  return Buffer.from(`countersign/pin/v1\n${canonicalize({ approver, before: { leaf, of }, event, pins: named, server })}`);
}

/** By UTF-16 code units, as RFC 8785 sorts members. */
export function byName(one: { readonly name: string }, other: { readonly name: string }): number {
  return one.name < other.name ? -1 : one.name > other.name ? 1 : 0;
}
