/**
 * `requestState` of servers (2026-07-28) on its way through a gateway: what a server hands the client to bring back with its retry.
 *
 * The client holds it, so it is the agent's. To the client it is sealed, with the server that gave it and the request it was given for;
 * it goes back to that server, with that request, once. Anything else brought in its place counts for nothing: the request is a new
 * one, and is decided as such.
 */
import { ROUND_TTL_MS } from '../approval/open-rounds.ts';
import { callDigest, MAX_CARRIED_CHARS, RequestStates, withCarried } from '../approval/request-state.ts';
import { lookalike } from '../lookalike.ts';
import { isObject, member } from '../message.ts';
import type { ServerResponse } from '../server-message.ts';
import { type Edit, edited, members, spanAt } from './json-spans.ts';
import type { Route } from './routes.ts';

/** Of a state that a gateway seals: it may be one that was sealed before. */
const MAX_SEALED_CHARS: number = 2 * MAX_CARRIED_CHARS;
const STATE_KEYS: ReadonlySet<string> = new Set(['requeststate', 'inputresponses']);
const OWN_KEYS: ReadonlySet<string> = new Set(['requestState', 'inputResponses']);

export class ServerStates {
  readonly #states = new RequestStates<null>(Date.now, MAX_SEALED_CHARS);
  readonly #log: (text: string) => void;

  constructor(log: (text: string) => void) {
    this.#log = log;
  }

  /**
   * A request as its server gets it, with its own state in the place of ours. Uses that up.
   *
   * @param text - the message, with the names that the server knows.
   */
  toServer(server: string, method: string, text: string): { readonly text: string; readonly states: NonNullable<Route['states']> } {
    const message: unknown = JSON.parse(text);
    const params = isObject(message) ? member(message, 'params') : undefined;
    if (!isObject(message) || !isObject(params)) return { text, states: {} };
    const { _meta: _own, ...said } = withCarried(params, {});
    const about = callDigest(server, method, said);
    const states = about === undefined ? {} : { about };
    if (!Object.hasOwn(params, 'requestState')) return { text, states };
    const state = this.#states.spend(member(params, 'requestState'), { owner: '', call: about ?? '' });
    if (state.kind !== 'good') {
      const why = state.kind === 'bad' ? state.why : 'not given here';
      this.#log(`the state of a retried ${method} counts for nothing (${why}): it is a new request to server ${server}`);
      return { text: withoutState(text), states };
    }
    const span = spanAt(text, ['params', 'requestState']);
    const own = JSON.stringify(state.facts.carried.requestState);
    return { text: span === undefined ? text : edited(text, [{ ...span, text: own }]), states };
  }

  /** What changes in an answer; undefined when its state cannot be sealed. */
  toClient(text: string, { result }: ServerResponse, { states }: Route): readonly Edit[] | undefined {
    const requestState = isObject(result) ? member(result, 'requestState') : undefined;
    const span = spanAt(text, ['result', 'requestState']);
    if (states === undefined || requestState === undefined || span === undefined) return [];
    if (typeof requestState !== 'string' || states.about === undefined) return undefined;
    const expiresAtMs = Date.now() + ROUND_TTL_MS;
    const sealed = this.#states.seal({ owner: '', call: states.about, expiresAtMs, about: null, carried: { requestState } });
    return sealed === undefined ? undefined : [{ ...span, text: JSON.stringify(sealed.state) }];
  }
}

/** Whether some reader takes a member for a state, or for what goes with one, that we do not. */
export function hasOtherState(params: unknown): boolean {
  return (
    isObject(params) &&
    Object.keys(params).some((key) => !OWN_KEYS.has(key) && (STATE_KEYS.has(key) || lookalike(key, STATE_KEYS) !== undefined))
  );
}

/** The same request without what it brings back; the values of all other parameters byte for byte as they were. */
function withoutState(text: string): string {
  const params = spanAt(text, ['params']);
  if (params === undefined) return text;
  const kept = [...members(text, params)].filter(([key]) => !OWN_KEYS.has(key));
  const json = kept.map(([key, { start, end }]) => `${JSON.stringify(key)}:${text.slice(start, end)}`).join(',');
  return edited(text, [{ ...params, text: `{${json}}` }]);
}
