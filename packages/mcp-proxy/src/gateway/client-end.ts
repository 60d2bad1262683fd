/** The one end of a gateway that the client sees: what it asked, and everything it is told. */
import type { JsonObject } from '../message.ts';
import { lineOf } from './link.ts';
import { type Route, Routes } from './routes.ts';

export class ClientEnd {
  readonly routes: Routes = new Routes();
  readonly #toClient: (bytes: Buffer) => void;
  #isClosed = false;

  /** @param toClient - takes whole lines, in order. Must not throw. */
  constructor(toClient: (bytes: Buffer) => void) {
    this.#toClient = toClient;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Nothing is said after this. */
  close(): void {
    this.#isClosed = true;
  }

  say(text: string): void {
    if (!this.#isClosed) this.#toClient(lineOf(text).bytes);
  }

  /** @param json - the result. */
  answer(idJson: string, json: string): void {
    this.say(`{"jsonrpc":"2.0","id":${idJson},"result":${json}}`);
  }

  error(idJson: string, code: number, message: string, data?: JsonObject): void {
    this.say(`{"jsonrpc":"2.0","id":${idJson},"error":${JSON.stringify({ code, message, ...(data !== undefined && { data }) })}}`);
  }

  /** Answers a request that is still open, and otherwise does nothing. */
  finish(key: string, route: Route, json: string): void {
    if (this.#take(key, route)) this.answer(route.idJson, json);
  }

  fail(key: string, route: Route, code: number, message: string, data?: JsonObject): void {
    if (this.#take(key, route)) this.error(route.idJson, code, message, data);
  }

  #take(key: string, route: Route): boolean {
    return this.routes.get(key) === route && this.routes.remove(key) !== undefined;
  }
}
