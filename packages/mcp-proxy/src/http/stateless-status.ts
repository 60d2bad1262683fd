/** The HTTP status of an answer of the stateless protocol (2026-07-28): a server over stdio has only the error to say it with. */
import { isObject, member, RPC_ERRORS } from '../message.ts';
import { type Outgoing, parse } from './outgoing.ts';

/** The first version without sessions. Versions are dates, so they compare as text. */
const FIRST_STATELESS = '2026-07-28';
const VERSION = /^\d{4}-\d\d-\d\d$/;
const CAPABILITIES_KEY = 'io.modelcontextprotocol/clientCapabilities';

/** The errors that the protocol ties to a status. */
const STATUS_OF: ReadonlyMap<unknown, number> = new Map([
  [RPC_ERRORS.METHOD_NOT_FOUND, 404],
  [RPC_ERRORS.HEADER_MISMATCH, 400],
  [RPC_ERRORS.MISSING_CAPABILITY, 400],
  [RPC_ERRORS.UNSUPPORTED_VERSION, 400],
]);

/** @param answer - one whole message. */
export function statelessStatus(request: Extract<Outgoing, { readonly kind: 'request' }>, answer: Buffer): number {
  // Most are results, which may be large.
  if (!answer.includes('"error"')) return 200;
  const message = parse(answer);
  const error = isObject(message) && !Object.hasOwn(message, 'result') ? member(message, 'error') : undefined;
  const code = isObject(error) ? member(error, 'code') : undefined;
  if (code === RPC_ERRORS.INVALID_PARAMS) return saysCapabilities(request.params) ? 200 : 400;
  return STATUS_OF.get(code) ?? 200;
}

/** Whether a client that names this version in its header speaks without sessions. */
export function isStatelessVersion(version: string | readonly string[] | undefined): boolean {
  return typeof version === 'string' && VERSION.test(version) && version >= FIRST_STATELESS;
}

/** Parameters of the method itself may be wrong too, which is told with 200; what every request has to carry is not there. */
function saysCapabilities(params: unknown): boolean {
  const meta = isObject(params) ? member(params, '_meta') : undefined;
  return isObject(meta) && isObject(member(meta, CAPABILITIES_KEY));
}
