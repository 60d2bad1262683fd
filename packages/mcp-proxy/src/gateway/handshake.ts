/**
 * How a client and several servers come to one version of the protocol. With a session every server is greeted as the client greets
 * us, with the client's own name and capabilities; if they answer with different versions, the newer ones are greeted again with
 * the oldest. Without sessions a client speaks to us as long as every server that answers understands it.
 */
import { isObject, type JsonObject, member as ownMember } from '../message.ts';
import { edited, spanAt } from './json-spans.ts';
import type { Hello, Member, Offer } from './member.ts';
import { mergedCapabilities, mergedInstructions, oldestVersion } from './offers.ts';

/** How long a client waits for servers to start. Those that take longer come later, with a notification. */
export const GREETING_WAIT_MS = 10_000;
/** Versions with a handshake: what a client without one is told when a server knows nothing newer. */
export const SESSION_VERSIONS: readonly string[] = ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'];
const META = 'io.modelcontextprotocol/';

export interface HandshakeOptions {
  readonly members: ReadonlyMap<string, Member>;
  /** Of this program. */
  readonly version: string;
  readonly waitMs?: number;
}

/** `json`: the result, as JSON. */
export type Greeting =
  | { readonly kind: 'greeting'; readonly json: string }
  | { readonly kind: 'refusal'; readonly code: number; readonly message: string; readonly data?: JsonObject };

export const UNSUPPORTED_VERSION = -32022;
const GONE = -32000;

export class Handshake {
  readonly #options: HandshakeOptions;
  /** In a version without a session, while it goes on. */
  #greeting: { readonly version: string; readonly done: Promise<void> } | undefined;

  constructor(options: HandshakeOptions) {
    this.#options = options;
  }

  /** @param params - of the client's `initialize`, as JSON. */
  async initialize(params: string, version: string): Promise<Greeting> {
    const deadline = performance.now() + (this.#options.waitMs ?? GREETING_WAIT_MS);
    const members = [...this.#options.members.values()];
    await this.#greetAll({ era: 'session', params, version, isAgreed: false }, members, deadline);
    const agreed = oldestVersion(members.flatMap(({ offer }) => offer?.versions ?? [])) ?? version;
    const hello: Hello = { era: 'session', params: withVersion(params, agreed), version: agreed, isAgreed: true };
    const others = members.filter(({ offer }) => offer !== undefined && offer.versions[0] !== agreed);
    for (const member of members) member.expect(hello);
    await this.#greetAll(hello, others, deadline);
    const result = { protocolVersion: agreed, ...this.#offer(), serverInfo: this.#info() };
    return { kind: 'greeting', json: JSON.stringify(result) };
  }

  /** The answer to `server/discover`, after `stateless`. @param meta - of the request. */
  discovered(meta: JsonObject): Greeting {
    const members = [...this.#options.members.values()];
    const offers = members.flatMap(({ offer }) => offer ?? []);
    if (members.some(({ state }) => state === 'unfit'))
      return {
        kind: 'refusal',
        code: UNSUPPORTED_VERSION,
        message: 'not every server behind this gateway speaks this version; initialize a session instead',
        data: { supported: SESSION_VERSIONS, requested: versionOf(meta) },
      };
    if (offers.length === 0) return { kind: 'refusal', code: GONE, message: 'no server behind this gateway is running; retry later' };
    const [first, ...rest] = offers;
    const supportedVersions = (first?.versions ?? []).filter((version) => rest.every(({ versions }) => versions.includes(version)));
    const info = { _meta: { [`${META}serverInfo`]: this.#info() } };
    const result = { resultType: 'complete', ttlMs: 0, cacheScope: 'private', supportedVersions, ...this.#offer(), ...info };
    return { kind: 'greeting', json: JSON.stringify(result) };
  }

  /** The version that some server is spoken to in without a session. */
  #spoken(): string | undefined {
    return [...this.#options.members.values()].map((member) => member.statelessVersion).find((version) => version !== undefined);
  }

  /**
   * Sees to it that servers are up for requests without a session; waits no longer than for a greeting. Every server would have to be
   * started again for each change of the version, and who names one is anybody: those who name another wait for the first, and one that
   * servers said they do not speak starts none.
   *
   * @returns versions there are in place of this one; undefined when it is spoken to the servers.
   */
  async stateless(meta: JsonObject): Promise<readonly string[] | undefined> {
    const version = versionOf(meta);
    while (this.#greeting !== undefined && this.#greeting.version !== version) await this.#greeting.done;
    const others = this.#othersThan(version);
    if (others !== undefined) return others;
    const done = this.#stateless(meta).finally(() => {
      if (this.#greeting?.done === done) this.#greeting = undefined;
    });
    this.#greeting = { version, done };
    await done;
    return this.#othersThan(version);
  }

  #othersThan(version: string): readonly string[] | undefined {
    const spoken = this.#spoken();
    if (spoken !== undefined) return spoken === version ? undefined : [spoken];
    const known = [...this.#options.members.values()].flatMap(({ statelessVersions }) => (statelessVersions ? [statelessVersions] : []));
    const [first = [], ...rest] = known;
    if (known.every((versions) => versions.includes(version))) return undefined;
    const common = first.filter((each) => rest.every((versions) => versions.includes(each)));
    return common.length > 0 ? common : SESSION_VERSIONS;
  }

  async #stateless(meta: JsonObject): Promise<void> {
    const deadline = performance.now() + (this.#options.waitMs ?? GREETING_WAIT_MS);
    const hello: Hello = { era: 'stateless', meta: helloMeta(meta), version: versionOf(meta) };
    const members = [...this.#options.members.values()];
    await this.#greetAll(
      hello,
      members.filter((member) => !member.isGreeted(hello)),
      deadline,
    );
    await settled(members, deadline);
  }

  async #greetAll(hello: Hello, members: readonly Member[], deadline: number): Promise<void> {
    await Promise.race([Promise.all(members.map((member) => member.greet(hello))), after(deadline)]);
    await settled(members, deadline);
  }

  #offer(): JsonObject {
    const members = [...this.#options.members.values()];
    const offers = members.flatMap(({ offer }): readonly Offer[] => (offer === undefined ? [] : [offer]));
    const isWhole = members.every(({ state }) => state === 'ready' || state === 'unfit');
    const instructions = mergedInstructions(members.map(({ name, offer }) => ({ name, instructions: offer?.instructions })));
    return { capabilities: mergedCapabilities(offers, isWhole), instructions };
  }

  #info(): JsonObject {
    return { name: 'countersign', title: 'Countersign gateway', version: this.#options.version };
  }
}

/** The version that a request without a session is in; undefined for a request that is in none. */
export function statelessVersion(params: unknown): string | undefined {
  const meta = isObject(params) ? ownMember(params, '_meta') : undefined;
  const version = isObject(meta) ? ownMember(meta, `${META}protocolVersion`) : undefined;
  return typeof version === 'string' ? version : undefined;
}

function versionOf(meta: JsonObject): string {
  return String(ownMember(meta, `${META}protocolVersion`));
}

/** Of the `_meta` of a request what goes with every request: no progress token, no trace. */
export function helloMeta(meta: JsonObject): string {
  const keys = ['protocolVersion', 'clientInfo', 'clientCapabilities'].map((name) => META + name);
  return JSON.stringify(Object.fromEntries(keys.flatMap((key) => (Object.hasOwn(meta, key) ? [[key, meta[key]]] : []))));
}

function withVersion(params: string, version: string): string {
  const span = spanAt(params, ['protocolVersion']);
  return span === undefined ? params : edited(params, [{ ...span, text: JSON.stringify(version) }]);
}

async function settled(members: readonly Member[], deadline: number): Promise<void> {
  const leftMs = Math.max(1, deadline - performance.now());
  await Promise.all(members.map((member) => member.settled(leftMs)));
}

async function after(deadline: number): Promise<void> {
  await new Promise<void>((resolve) => setTimeout(resolve, Math.max(1, deadline - performance.now())).unref());
}
