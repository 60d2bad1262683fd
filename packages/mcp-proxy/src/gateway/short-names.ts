/** Which names of a server stand behind the short forms a client was told. The servers choose the names. */
import { innerName, outerName } from './names.ts';

/** Short forms kept of one list of one server. */
export const MAX_SHORT_NAMES = 10_000;

export class ShortNames {
  readonly #names = new Map<string, Map<string, string>>();

  /**
   * What the client is told for a name; undefined when it cannot be: another name of this server has its short form, or there are
   * too many.
   *
   * @param list - names of tools and of prompts are apart.
   */
  outer(list: string, server: string, name: string): string | undefined {
    const outer = outerName(server, name);
    const inner = innerName(outer);
    if (inner?.isShort !== true) return outer;
    const known = this.#of(list, server);
    const taken = known.get(inner.name);
    if (taken === undefined && known.size < MAX_SHORT_NAMES) known.set(inner.name, name);
    return known.get(inner.name) === name ? outer : undefined;
  }

  /** The name behind a short form. */
  find(list: string, server: string, form: string): string | undefined {
    return this.#of(list, server).get(form);
  }

  #of(list: string, server: string): Map<string, string> {
    const key = `${list} ${server}`;
    const known = this.#names.get(key) ?? new Map<string, string>();
    this.#names.set(key, known);
    return known;
  }
}
