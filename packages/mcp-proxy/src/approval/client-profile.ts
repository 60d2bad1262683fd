/** What a client says it can ask the person before it. All of it is the client's claim: it decides how we ask, never what an answer is worth. */
import { isObject, type JsonObject, member } from '../message.ts';

export interface ClientProfile {
  /** Shows a form and sends back what was entered. */
  readonly form: boolean;
  /** Opens a page somewhere else. */
  readonly url: boolean;
}

export const NO_ELICITATION: ClientProfile = { form: false, url: false };

const STATELESS_CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities';

/** @param params - of `initialize`: what they say is good for the whole session. */
export function profileOfSession(params: unknown): ClientProfile {
  return profileOf(isObject(params) ? member(params, 'capabilities') : undefined);
}

/** @param params - of a request of the stateless protocol (2026-07-28), which says it each time. */
export function profileOfRequest(params: JsonObject): ClientProfile {
  const meta = member(params, '_meta');
  return profileOf(isObject(meta) ? member(meta, STATELESS_CAPABILITIES) : undefined);
}

/** `{}` is from before there were modes and means forms; `{"url":{}}` alone means no forms. */
function profileOf(capabilities: unknown): ClientProfile {
  const elicitation = isObject(capabilities) ? member(capabilities, 'elicitation') : undefined;
  if (!isObject(elicitation)) return NO_ELICITATION;
  const [form, url] = [isObject(member(elicitation, 'form')), isObject(member(elicitation, 'url'))];
  return { form: form || Object.keys(elicitation).length === 0, url };
}

export type ProgressToken = string | number;
const MAX_TOKEN_CHARS = 1024;

/** The token under which the client wants to hear how the request gets on. */
export function progressTokenOf(params: JsonObject): ProgressToken | undefined {
  const meta = member(params, '_meta');
  const token = isObject(meta) ? member(meta, 'progressToken') : undefined;
  if (typeof token === 'number') return token;
  return typeof token === 'string' && token.length <= MAX_TOKEN_CHARS ? token : undefined;
}
