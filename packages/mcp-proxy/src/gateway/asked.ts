/**
 * What servers asked of the client and it has not answered. Servers number their requests alike: to the client each has an id and
 * a progress token that say whose it is, and its answer finds back to that server only, under the id that it gave.
 */
import { idKey } from '../message.ts';

/** Open requests of one server; further ones are refused. */
export const MAX_ASKED = 128;

export interface Question {
  readonly server: string;
  readonly method: string;
  /** The id as the server wrote it. */
  readonly idJson: string;
  /** Under what the client knows it. */
  readonly outerId: string;
  /** The progress token as the server wrote it; to the client it is the id. */
  readonly tokenJson?: string;
}

export class Asked {
  readonly #byOuter = new Map<string, Question>();
  readonly #byInner = new Map<string, Question>();
  readonly #counts = new Map<string, number>();
  #count = 0;

  /** Enters a request. `in-use`: the server has an open one with this id. */
  add(server: string, id: unknown, question: Pick<Question, 'method' | 'idJson' | 'tokenJson'>): Question | 'in-use' | 'full' | 'odd' {
    const key = idKey(id);
    if (key === undefined) return 'odd';
    if (this.#byInner.has(inner(server, key))) return 'in-use';
    const count = this.#counts.get(server) ?? 0;
    if (count >= MAX_ASKED) return 'full';
    const entered = { ...question, server, outerId: `${server}:${this.#count++}` };
    this.#byOuter.set(entered.outerId, entered);
    this.#byInner.set(inner(server, key), entered);
    this.#counts.set(server, count + 1);
    return entered;
  }

  /** @param id - of an answer, or a progress token, of the client. */
  get(id: unknown): Question | undefined {
    return typeof id === 'string' ? this.#byOuter.get(id) : undefined;
  }

  /** @param id - of a request, as its server says it. */
  of(server: string, id: unknown): Question | undefined {
    const key = idKey(id);
    return key === undefined ? undefined : this.#byInner.get(inner(server, key));
  }

  remove({ server, outerId, idJson }: Question): void {
    if (!this.#byOuter.delete(outerId)) return;
    this.#byInner.delete(inner(server, idKey(JSON.parse(idJson)) ?? ''));
    this.#counts.set(server, (this.#counts.get(server) ?? 1) - 1);
  }

  /** Takes out everything a server asked. */
  removeAll(server: string): readonly Question[] {
    const questions = [...this.#byOuter.values()].filter((question) => question.server === server);
    for (const question of questions) this.remove(question);
    return questions;
  }
}

function inner(server: string, key: string): string {
  return `${server} ${key}`;
}
