/**
 * What makes two calls the same. All of them are MACs, so that none of them can be guessed from a short argument.
 *
 *     key    the framework's very call, re-run: everything in `match`, the framework's id, the turn and the attempt
 *     match  a call that asks for the same thing: agent, session, principal, tool, raw arguments
 *     custody of a call that another process settles: agent, session and the framework's id, and nothing of what is asked for
 *     edited instead of the key, for a call that a person's edit made: the leaf of the answer, so that one edit makes one call
 *     binds  what an approval is good for: everything in `match` and the policy's hash, under a key of that call alone
 */
import { createHmac } from 'node:crypto';
import type { ToolRef } from './call.ts';
import { canonicalize } from './ledger/canonical.ts';

export interface KeyedCall {
  readonly agent: string;
  readonly session: string;
  readonly principal: string | undefined;
  readonly tool: ToolRef;
  /** Injective text of the raw arguments (`captureArguments`). */
  readonly exact: string;
}

/**
 * `key` and `match`. What they have in common is written once.
 *
 * @param framework - absent: the call has no key.
 * @param mac - HMAC under the store's secret.
 */
export function callNames(
  call: KeyedCall,
  framework: { readonly id: string; readonly turn: string | undefined; readonly attempt: number } | undefined,
  mac: (text: string) => string,
): { readonly key: string | undefined; readonly match: string } {
  const asked = canonicalize(subject(call));
  const match = mac(`countersign/call-match/v1\n${asked}`);
  if (framework === undefined) return { key: undefined, match };
  const { id, turn, attempt } = framework;
  // Two lists, neither empty, become one.
  const tried = canonicalize([id, turn ?? null, attempt]);
  return { key: mac(`countersign/call-key/v1\n${tried.slice(0, -1)},${asked.slice(1)}`), match };
}

/** @param leaf - leaf hash of the answer that proposed the arguments. */
export function editedCallKey(leaf: string, mac: (text: string) => string): string {
  return mac(`countersign/edited-call-key/v1\n${canonicalize([leaf])}`);
}

export function custodyName(
  call: { readonly agent: string; readonly session: string; readonly id: string },
  mac: (text: string) => string,
): string {
  return mac(`countersign/custody/v1\n${canonicalize([call.agent, call.session, call.id])}`);
}

/** A match that counts for one of several clients only. @param owner - which one. */
export function ownedMatch(match: string, owner: string, mac: (text: string) => string): string {
  return mac(`countersign/owned-call-match/v1\n${canonicalize([owner, match])}`);
}

/** @param bindKey - 32 random bytes of this call, hex. */
export function callBinding(call: KeyedCall, policyHash: string, bindKey: string): string {
  const text = `countersign/call-binding/v1\n${canonicalize([...subject(call), policyHash])}`;
  return createHmac('sha256', Buffer.from(bindKey, 'hex')).update(text).digest('hex');
}

function subject(call: KeyedCall): readonly (string | null)[] {
  return [call.agent, call.session, call.principal ?? null, ...toolParts(call.tool), call.exact];
}

/** A server named '' and no server are different tools: null and '' stay apart. */
function toolParts(tool: ToolRef): readonly (string | null)[] {
  return [tool.server ?? null, tool.name, tool.schema ?? null];
}
