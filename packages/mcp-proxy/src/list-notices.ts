import type { ClientMessage } from './client-message.ts';
import type { Lane } from './lane.ts';
import { asksForTools, LISTEN_METHOD, listChanged, tellsOfTools } from './list-changes.ts';
import type { ListingReader } from './listing-watch.ts';
import type { Target } from './target.ts';

/** Where one client hears that its list of tools changed: in its session, and on every request that listens. */
export class ListNotices {
  /** Told when lists change, once the server has said that it tells of that. */
  readonly reader: ListingReader = { tellChanged: () => this.#tellChanged() };
  readonly #target: Target;
  #lane: Lane | undefined;

  /** @param lane - where the client hears what belongs to no request, if anywhere yet. */
  constructor(target: Target, lane: Lane | undefined) {
    this.#target = target;
    this.#lane = lane;
  }

  /** From now on the client is told, whatever the server says of that. */
  begin(): void {
    this.#target.listing.add(this.reader);
  }

  /** @param result - the server's answer to `initialize`. */
  learn(result: unknown): void {
    if (this.#target.hidesTools && tellsOfTools(result)) this.begin();
  }

  listensOn(lane: Lane): void {
    this.#lane = lane;
  }

  listensNoMore(lane: Lane): void {
    if (this.#lane === lane) this.#lane = undefined;
  }

  /** Of a request of 2026-07-28 that listens for changes of the list of tools. */
  listenerOf({ key, idJson, method, params }: Extract<ClientMessage, { readonly kind: 'request' }>, lane: Lane): ListingReader | undefined {
    if (key === undefined || !this.#target.hidesTools || method !== LISTEN_METHOD || !asksForTools(params)) return undefined;
    const tellChanged = (): boolean => {
      lane.toClient(listChanged(idJson), 'message');
      return true;
    };
    return { isAlwaysTold: true, tellChanged };
  }

  end(): void {
    this.#target.listing.remove(this.reader);
  }

  #tellChanged(): boolean {
    this.#lane?.toClient(listChanged(), 'message');
    return this.#lane !== undefined;
  }
}
