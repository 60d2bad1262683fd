/** What says that a list of tools changed, in both eras of the protocol, and who wants to hear it. */
import { isObject, member } from './message.ts';

export const LISTEN_METHOD = 'subscriptions/listen';
const CHANGED = 'notifications/tools/list_changed';
const SUBSCRIPTION_ID = 'io.modelcontextprotocol/subscriptionId';

/** @param idJson - of the request that listens (2026-07-28); absent: told to the session. */
export function listChanged(idJson?: string): Buffer {
  const params = idJson === undefined ? '' : `,"params":{"_meta":{"${SUBSCRIPTION_ID}":${idJson}}}`;
  return Buffer.from(`{"jsonrpc":"2.0","method":"${CHANGED}"${params}}\n`);
}

/** @param params - of `subscriptions/listen`. */
export function asksForTools(params: unknown): boolean {
  const wanted = isObject(params) ? member(params, 'notifications') : undefined;
  return isObject(wanted) && member(wanted, 'toolsListChanged') === true;
}

/** @param result - of `initialize`: a client that was not promised it need not know what to make of it. */
export function tellsOfTools(result: unknown): boolean {
  const capabilities = isObject(result) ? member(result, 'capabilities') : undefined;
  const tools = isObject(capabilities) ? member(capabilities, 'tools') : undefined;
  return isObject(tools) && member(tools, 'listChanged') === true;
}

/** @param params - of `tools/list`. */
export function hasCursor(params: unknown): boolean {
  return isObject(params) && typeof member(params, 'cursor') === 'string';
}
